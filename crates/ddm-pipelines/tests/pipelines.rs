//! Requests, files and parts that do not fit are errors that say why.

use std::fs;
use std::path::{Path, PathBuf};

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{DType, Device, FloatDType, Tensor, TensorData};
use ddm_diffusers::{Class, SchedulerConfig};
use ddm_latent::Autoencoder as _;
use ddm_models::lora::Lora;
use ddm_models::single_file::SingleFile;
use ddm_models::text::ClipText;
use ddm_models::{AutoencoderKl, AutoencoderTiny};
use ddm_noise::TorchNoise;
use ddm_pipelines::{
    Generation, LinearPreview, Loading, ModelDirectory, Part, Pipeline, PipelineError, Request,
    StableDiffusion, Tokenizer, open, sampler_names, scheduler_named,
};
use serde_json::Value;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/pipelines").join(name)
}

fn loading() -> Loading {
    Loading::new(&Device::flex())
}

fn start<'a>(
    pipeline: &'a dyn Pipeline,
    request: &Request,
) -> Result<Generation<'a>, PipelineError> {
    pipeline.start(request, Box::new(TorchNoise::new(1)))
}

fn small() -> Request {
    let prompt = "a photo of the cat".to_owned();
    Request { prompt, steps: Some(2.into()), ..Request::default() }
}

/// A copy of a directory, to break.
fn copy(name: &str) -> tempfile::TempDir {
    fn walk(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
            let to = to.join(entry.file_name());
            if entry.path().is_dir() {
                walk(&entry.path(), &to);
            } else {
                fs::copy(entry.path(), to).unwrap();
            }
        }
    }
    let folder = tempfile::tempdir().unwrap();
    walk(&golden(name), folder.path());
    folder
}

/// The error of opening a broken copy, and of a first run.
fn broken(name: &str, file: &str, change: impl FnOnce(&Path)) -> String {
    let folder = copy(name);
    change(&folder.path().join(file));
    let run = || start(&*open(folder.path(), &loading())?, &small()).map(drop);
    run().unwrap_err().to_string()
}

#[test]
fn requests_that_do_not_fit_are_refused() {
    let image = || Some(Tensor::<4>::zeros([1, 3, 16, 24], &Device::flex()));
    let mask = || Some(Tensor::<4>::ones([1, 1, 16, 24], &Device::flex()));
    let transparent = Some(Tensor::<4>::zeros([1, 4, 16, 24], &Device::flex()));
    for (pipeline, request, says) in [
        ("stable-diffusion-small", Request { classes: vec![1], ..small() }, "takes no classes"),
        ("stable-diffusion-small", Request { batch: 0, ..small() }, "at least 1"),
        (
            "stable-diffusion-small",
            Request { width: Some(17), ..small() },
            "a multiple of 2 pixels",
        ),
        ("stable-diffusion-small", Request { steps: Some(0.into()), ..small() }, "steps"),
        ("stable-diffusion-small", Request { strength: Some(0.5), ..small() }, "needs an image"),
        (
            "stable-diffusion-image-to-image",
            Request { image: transparent, ..small() },
            "the image is [1, 4, 16, 24], but must be [1, 3, 16, 24]",
        ),
        (
            "stable-diffusion-image-to-image",
            Request { image: image(), strength: Some(1.5), ..small() },
            "strength",
        ),
        ("stable-diffusion-inpaint-9", small(), "needs an image and a mask"),
        (
            "stable-diffusion-inpaint",
            Request { image: image(), mask: mask(), height: Some(32), ..small() },
            "must be [1, 3, 32, 24]",
        ),
        ("flux-dev", Request { negative: Some("x".into()), ..small() }, "takes no negative prompt"),
        ("flux-dev", Request { image: image(), mask: mask(), ..small() }, "Flux takes no mask"),
        (
            "stable-diffusion-3",
            Request { image: image(), strength: Some(0.0), ..small() },
            "strength must be above 0",
        ),
        (
            "flux-schnell",
            Request { image: image(), height: Some(32), ..small() },
            "must be [1, 3, 32, 24]",
        ),
        (
            "latent-consistency",
            Request { image: image(), strength: Some(0.03), ..small() },
            "at least 2/50, to keep 2 steps",
        ),
        ("ddpm-unconditional", small(), "takes no prompt"),
        ("dit", Request { steps: Some(2.into()), ..Request::default() }, "needs classes"),
        (
            "dit",
            Request { classes: vec![1, 2, 3], batch: 2, ..Request::default() },
            "1 or 2, one per image",
        ),
    ] {
        let pipeline_of = open(golden(pipeline), &loading()).unwrap();
        let error = start(&*pipeline_of, &request).unwrap_err().to_string();
        assert!(error.contains(says), "{pipeline}: {error:?} does not say {says:?}");
    }
}

#[test]
fn settings_of_guidance_are_refused_without_guidance() {
    let unguided: fn() -> Request = || Request { guidance: Some(1.0), ..small() };
    let settings = |request: fn() -> Request| {
        [
            (Request { negative: Some("blue".into()), ..request() }, "negative prompt"),
            (Request { rescale: 0.7, ..request() }, "rescale"),
            (Request { interval: Some(1.0..=2.0), ..request() }, "interval"),
        ]
    };
    for name in ["stable-diffusion-small", "stable-diffusion-xl", "stable-diffusion-3"] {
        for (request, what) in settings(unguided) {
            let pipeline = open(golden(name), &loading()).unwrap();
            let error = start(&*pipeline, &request).unwrap_err();
            assert!(matches!(error, PipelineError::NotTaken { .. }), "{name}: {error:?}");
            assert!(error.to_string().contains(what), "{name}: {error}");
            let guided = Request { guidance: Some(2.0), ..request };
            assert!(start(&*pipeline, &guided).is_ok(), "{name} {what}");
        }
    }
    // Distilled networks have one branch at any scale.
    for name in ["flux-dev", "flux-schnell", "latent-consistency"] {
        for (request, what) in settings(small) {
            let pipeline = open(golden(name), &loading()).unwrap();
            let error = start(&*pipeline, &request).unwrap_err();
            assert!(matches!(error, PipelineError::NotTaken { .. }), "{name}: {error:?}");
            assert!(error.to_string().contains(what), "{name}: {error}");
        }
    }
    let schnell = open(golden("flux-schnell"), &loading()).unwrap();
    let error = start(&*schnell, &Request { guidance: Some(3.5), ..small() }).unwrap_err();
    assert!(error.to_string().contains("takes no guidance"), "{error}");
    assert!(start(&*schnell, &Request { guidance: Some(0.0), ..small() }).is_ok());
}

#[test]
fn directories_that_are_broken_are_refused() {
    let write = |text: &'static str| move |path: &Path| fs::write(path, text).unwrap();
    let name = "stable-diffusion-small";
    for (file, change, says) in [
        ("model_index.json", "{", "is not JSON"),
        ("model_index.json", "[]", "an object with a _class_name"),
        (
            "model_index.json",
            r#"{"_class_name": "WanPipeline"}"#,
            "WanPipeline is not supported; the",
        ),
        (
            "model_index.json",
            r#"{"_class_name": "StableDiffusionPipeline"}"#,
            "nothing for its text_encoder, but must have CLIPTextModel",
        ),
        ("scheduler/scheduler_config.json", "{}", "_class_name"),
        ("tokenizer/vocab.json", "{}", "lacks the token <|startoftext|>"),
        ("tokenizer/merges.txt", "a", "Merges text file invalid at line 1"),
        ("unet/config.json", "{}", "missing"),
        ("unet/diffusion_pytorch_model.safetensors", "x", "safetensors"),
    ] {
        let error = broken(name, file, write(change));
        assert!(error.contains(says), "{file}: {error:?} does not say {says:?}");
    }
    let gone = broken(name, "vae/config.json", |path| fs::remove_file(path).unwrap());
    assert!(gone.starts_with("cannot read") && gone.contains("config.json"), "{gone}");
    let spiece = broken("pixart-alpha", "tokenizer/spiece.model", |path| {
        let whole = fs::read(path).unwrap();
        fs::write(path, &whole[..whole.len() - 3]).unwrap();
    });
    assert!(spiece.contains("spiece.model is invalid"), "{spiece}");
}

#[test]
fn a_long_prompt_is_cut_and_said() {
    let pipeline = open(golden("stable-diffusion-small"), &loading()).unwrap();
    let prompt = "the cat ".repeat(20);
    let run = start(&*pipeline, &Request { prompt, ..small() }).unwrap();
    // 40 tokens, begin and end, of which 16 have room.
    assert_eq!(run.dropped_tokens(), [26]);
    let run = start(&*pipeline, &small()).unwrap();
    assert_eq!(run.dropped_tokens(), [0]);
}

#[test]
fn images_do_not_depend_on_which_parts_are_kept() {
    let image = |keep| {
        let pipeline = open(golden("stable-diffusion-xl"), &loading().keep_parts(keep)).unwrap();
        start(&*pipeline, &small()).unwrap().images().unwrap().into_data()
    };
    assert_eq!(image(true), image(false));
}

#[test]
fn a_run_is_an_iterator_that_can_end_early() {
    let pipeline = open(golden("stable-diffusion-small"), &loading()).unwrap();
    let mut run = start(&*pipeline, &Request { steps: Some(5.into()), ..small() }).unwrap();
    assert_eq!(run.len(), 5);
    let frame = run.next().unwrap();
    assert_eq!(run.len(), 4);
    let preview = run.decode(frame.denoised).unwrap();
    let [_, channels, height, width] = preview.dims();
    assert_eq!((channels, height, width), (3, 16, 16));
    let inside = preview.clone().greater_equal_elem(0.0).all().into_scalar::<bool>();
    assert!(inside && preview.lower_equal_elem(1.0).all().into_scalar::<bool>());
}

#[test]
fn a_batch_has_the_images_of_its_noise() {
    let pipeline = open(golden("stable-diffusion-small"), &loading()).unwrap();
    let noise = || Box::new(TorchNoise::per_sample([3, 4]));
    let both = pipeline.start(&Request { batch: 2, ..small() }, noise()).unwrap().images().unwrap();
    for (row, seed) in [3, 4].into_iter().enumerate() {
        let one = pipeline.start(&small(), Box::new(TorchNoise::new(seed))).unwrap();
        let off = (both.clone().narrow(0, row, 1) - one.images().unwrap()).abs().max();
        assert!(off.into_scalar::<f32>() < 1e-5);
    }
}

#[test]
fn a_lora_must_have_its_networks() {
    let lora = || Lora::open(golden("lora-sd").join("kohya.safetensors")).unwrap();
    let fits = open(golden("stable-diffusion-small"), &loading().lora(lora(), 0.5)).unwrap();
    assert!(start(&*fits, &small()).is_ok());
    let other = open(golden("stable-diffusion-xl"), &loading().lora(lora(), 0.5)).unwrap();
    assert!(matches!(start(&*other, &small()), Err(PipelineError::Lora(_))));
    let none = open(golden("ddpm-unconditional"), &loading().lora(lora(), 0.5));
    let error = none.err().unwrap().to_string();
    assert!(error.contains("nothing for its text_encoder"), "{error}");
}

#[test]
fn schedulers_have_names() {
    for name in ["stable-diffusion-small", "stable-diffusion-3"] {
        let saved = ModelDirectory::open(golden(name)).unwrap().scheduler().unwrap();
        let pipeline = open(golden(name), &loading()).unwrap();
        for sampler in sampler_names(&saved) {
            let scheduler = scheduler_named(sampler, &saved).unwrap();
            let request = Request { scheduler: Some(scheduler), steps: Some(3.into()), ..small() };
            let request = Request { guidance: Some(2.0), ..request };
            let images = start(&*pipeline, &request).unwrap().images().unwrap();
            let sum = images.sum().into_scalar::<f32>();
            assert!(sum.is_finite() && sum > 0.0, "{name} {sampler}: {sum}");
        }
    }
    let saved = SchedulerConfig::new(Class::Ddim).unwrap();
    let karras = scheduler_named("dpmpp-2m-sde-karras", &saved).unwrap();
    assert_eq!(karras.get("use_karras_sigmas"), Some(&true.into()));
    assert_eq!(karras.get("algorithm_type"), Some(&"sde-dpmsolver++".into()));
    for unknown in ["", "karras", "ddim-karras", "dpm-3000"] {
        let error = scheduler_named(unknown, &saved).unwrap_err().to_string();
        assert!(error.contains("euler-a") && error.contains(unknown), "{error}");
    }
}

#[test]
fn old_configs_of_stable_diffusion_are_read_as_it_was_trained() {
    let folder = copy("stable-diffusion-small");
    let path = folder.path().join("scheduler/scheduler_config.json");
    let text = r#"{"_class_name": "DDIMScheduler", "steps_offset": 0, "clip_sample": true}"#;
    fs::write(path, text).unwrap();
    let pipeline = StableDiffusion::open(folder.path(), &loading()).unwrap();
    let scheduler = pipeline.scheduler();
    assert_eq!(scheduler.get("steps_offset"), Some(&1.into()));
    assert_eq!(scheduler.get("clip_sample"), Some(&false.into()));
}

#[test]
fn tokens_have_room_for_their_ends() {
    let tokenizer = Tokenizer::open(golden("tokenizer-cases/clip-tiny")).unwrap();
    assert_eq!(tokenizer.length(), Some(16));
    assert!(tokenizer.encode("a", Some(2)).is_err());
    let tokens = tokenizer.encode("the cat and the dog", Some(3)).unwrap();
    assert_eq!((tokens.ids.len(), tokens.mask), (3, vec![1, 1, 1]));
    assert!(tokens.dropped > 0);
}

#[test]
fn a_part_is_loaded_once_if_it_is_kept() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    for (kept, loads) in [(true, 1), (false, 3)] {
        let count = Arc::new(AtomicUsize::new(0));
        let counter = count.clone();
        let load = move || Ok(counter.fetch_add(1, Ordering::Relaxed));
        let part = Part::lazy(load).kept(kept);
        (0..3).for_each(|_| drop(part.get().unwrap()));
        assert_eq!(count.load(Ordering::Relaxed), loads);
    }
}

/// The first x̂₀ of a run, with the run.
fn first<'a>(pipeline: &'a dyn Pipeline) -> (Generation<'a>, Tensor<4>) {
    let mut run = start(pipeline, &small()).unwrap();
    let denoised = run.next().unwrap().denoised;
    (run, denoised)
}

fn mean_of(x: Tensor<4>) -> f32 {
    x.mean().into_scalar()
}

#[test]
fn a_linear_preview_is_the_best_linear_one() {
    for name in ["stable-diffusion-small", "stable-diffusion-3", "ldm-unconditional"] {
        let pipeline = open(golden(name), &loading()).unwrap();
        let request = Request { prompt: String::new(), ..small() };
        let request = if name.starts_with("ldm") { request } else { small() };
        let mut run = start(&*pipeline, &request).unwrap();
        let x = run.next().unwrap().denoised;
        let shown = run.preview(x.clone()).unwrap();
        let exact = run.decode(x.clone()).unwrap();
        let [batch, _, height, width] = x.dims();
        assert_eq!(shown.dims(), [batch, 3, height, width], "{name}");
        let factor = exact.dims()[2] / height;
        let blocks = exact.reshape([batch * 3, height, factor, width, factor]);
        let exact = blocks.mean_dim(4).mean_dim(2).reshape([batch, 3, height, width]);
        let of_mean = exact.clone() - mean_of(exact.clone());
        let off = mean_of((shown - exact.clone()).square());
        // Better than one colour for all, of which the linear map is one.
        let of_mean = mean_of(of_mean.square());
        assert!(off < 0.9 * of_mean, "{name}: {off} {of_mean}");
        // Later frames take the same map: it is linear, up to the ends of the range.
        let (a, b) = (x.clone() * 0.25, x.clone() * 0.5);
        let middle = run.preview((a.clone() + b.clone()) * 0.5).unwrap();
        let between = (run.preview(a).unwrap() + run.preview(b).unwrap()) * 0.5;
        let off = (middle - between).abs().max().into_scalar::<f32>();
        assert!(off < 1e-6, "{name}: {off}");
    }
}

#[test]
fn a_linear_preview_finds_the_map_of_a_linear_decoder() {
    use ddm_latent::{Autoencoder, LatentSpace, Posterior};
    use std::sync::Arc;
    /// Each pixel of two channels becomes a block of 2×2, whose mean is a linear colour.
    struct Blocks;
    impl Autoencoder<4> for Blocks {
        fn encode(&self, x: Tensor<4>) -> Posterior<4> {
            Posterior::new(x.clone(), x)
        }
        fn decode(&self, z: Tensor<4>) -> Tensor<4> {
            let (a, b) = (z.clone().narrow(1, 0, 1), z.narrow(1, 1, 1));
            let rgb = vec![a.clone() * 0.3 + 0.1, b.clone() * 0.2, a * 0.1 - b * 0.3 - 0.2];
            let rgb = Tensor::cat(rgb, 1);
            let row = Tensor::cat(vec![rgb.clone() + 0.1, rgb - 0.1], 3);
            Tensor::cat(vec![row.clone(), row], 2)
        }
    }
    // Blocks of one value each: a map that is known, since rows and columns are one.
    let z = Tensor::<1>::from_floats([0.5, -1.0, 1.0, 0.3, -0.2, 0.9], &Device::flex());
    let z = z.reshape([3, 2, 1, 1]);
    let space = LatentSpace::new(Arc::new(Blocks) as Arc<dyn Autoencoder<4>>, 2.0, 0.0).unwrap();
    let fitted = LinearPreview::fit(&space, z.clone()).unwrap();
    let expected = LinearPreview::new(vec![[0.15, 0.0, 0.05], [0.0, 0.1, -0.15]], [0.1, 0.0, -0.2]);
    let off = fitted.image(z.clone()).unwrap() - expected.unwrap().image(z.clone()).unwrap();
    let off = off.abs().max().into_scalar::<f32>();
    assert!(off < 1e-5, "{off}");
    assert!(fitted.image(z.clone().repeat_dim(1, 2)).is_err());
    let empty = Tensor::<4>::zeros([1, 2, 0, 0], &Device::flex());
    assert!(LinearPreview::fit(&space, empty).unwrap_err().to_string().contains("not empty"));
    assert!(LinearPreview::fit(&space, z * f32::NAN).is_err());
    assert!(LinearPreview::new(vec![], [0.0; 3]).is_err());
}

#[test]
fn a_small_autoencoder_makes_previews() {
    let tiny = golden("../models/autoencoder-tiny");
    let pipeline = open(golden("stable-diffusion-small"), &loading().preview(&tiny)).unwrap();
    let (run, x) = first(&*pipeline);
    let shown = run.preview(x.clone()).unwrap();
    // TAESD takes latents with their scale, and has no shift.
    let network = AutoencoderTiny::from_diffusers(&tiny, &Device::flex()).unwrap();
    let expected = (network.decode(x.clone()) * 0.5 + 0.5).clamp(0.0, 1.0);
    assert_eq!(shown.dims(), expected.dims());
    assert!((shown - expected).abs().max().into_scalar::<f32>() < 1e-6);
    assert_ne!(run.decode(x.clone()).unwrap().dims(), run.preview(x).unwrap().dims());
    // One for other latents is refused, and so is a directory without one.
    let other = open(golden("single-file-sd"), &loading()).err().unwrap();
    assert!(matches!(other, PipelineError::Read { .. }), "{other:?}");
    let absent = open(golden("stable-diffusion-small"), &loading().preview("absent")).unwrap();
    let (run, x) = first(&*absent);
    assert!(run.preview(x).unwrap_err().to_string().contains("absent"));
}

fn largest(x: Tensor<4>) -> f32 {
    x.abs().max().into_scalar()
}

/// The images of a prepared pipeline are those of one that is not.
#[test]
fn networks_are_prepared_unless_that_is_not_wanted() {
    for name in ["stable-diffusion-small", "stable-diffusion-controlnet", "pixart-alpha"] {
        let image = |loading| {
            let pipeline = open(golden(name), &loading).unwrap();
            start(&*pipeline, &small()).unwrap().images().unwrap()
        };
        let (fast, plain) = (image(loading()), image(loading().prepare(false)));
        let off = largest(fast - plain);
        assert!(off < 1e-5, "{name}: {off:e}");
    }
    let open = |loading| StableDiffusion::open(golden("stable-diffusion-small"), &loading).unwrap();
    let packed = |loading| {
        let pipeline = open(loading);
        let unet = pipeline.diffusion.unet.get().unwrap();
        (unet.network().is_none(), pipeline.text_encoder.get().unwrap().network().is_none())
    };
    assert_eq!(packed(loading()), (true, true));
    assert_eq!(packed(loading().prepare(false)), (false, false));
    // Who loads half precision wants it small.
    assert_eq!(packed(loading().dtype(Some(FloatDType::BF16))), (false, false));
}

/// Weights are cast as they are read, from directories and single files, to what a cast afterwards gives.
#[test]
fn networks_are_of_the_type_that_is_asked_for() {
    #[derive(Default)]
    struct Floats(Vec<(DType, TensorData)>);
    impl ModuleVisitor for Floats {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0.push((param.val().dtype(), param.val().into_data()));
        }
    }
    let file = || SingleFile::open(golden("single-file-sd").join("model.safetensors")).unwrap();
    let weights = |loading: Loading| {
        let pipeline =
            StableDiffusion::open(golden("stable-diffusion-small"), &loading.prepare(false));
        let pipeline = pipeline.unwrap();
        let (mut text, mut unet) = (Floats::default(), Floats::default());
        pipeline.text_encoder.get().unwrap().network().unwrap().visit(&mut text);
        pipeline.diffusion.unet.get().unwrap().network().unwrap().visit(&mut unet);
        assert!(!text.0.is_empty() && !unet.0.is_empty());
        [text.0, unet.0].concat()
    };
    for base in [loading(), loading().single_file(file())] {
        let stored = weights(base.clone().dtype(None));
        for dtype in [FloatDType::F16, FloatDType::BF16, FloatDType::F64] {
            let found = weights(base.clone().dtype(Some(dtype)));
            assert_eq!(found.len(), stored.len());
            for ((found, numbers), (_, stored)) in found.into_iter().zip(&stored) {
                assert_eq!(found, dtype.into());
                assert_eq!(numbers, stored.clone().convert_dtype(dtype.into()));
            }
        }
    }
}

/// Of NaN a picture would be black, and of an infinity too.
#[test]
fn weights_that_are_no_numbers_are_refused() {
    struct Spoil(f32);
    impl ModuleMapper for Spoil {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            param.map(|tensor| {
                let (shape, device) = (tensor.dims(), tensor.device());
                if D == 2 { Tensor::full(shape, self.0, &device) } else { tensor }
            })
        }
    }
    let folder = copy("stable-diffusion-small");
    let path = folder.path().join("text_encoder");
    let encoder = ClipText::from_transformers(&path, &Device::flex()).unwrap();
    let error = |value: f32, dtype| {
        let spoiled = encoder.clone().map(&mut Spoil(value));
        ddm_weights::save(&spoiled, path.join("model.safetensors")).unwrap();
        let pipeline = StableDiffusion::open(folder.path(), &loading().dtype(Some(dtype))).unwrap();
        pipeline.text_encoder.get().err().map(|error| error.to_string())
    };
    assert!(error(f32::NAN, FloatDType::F32).unwrap().contains("is NaN, not a finite number"));
    assert!(error(f32::INFINITY, FloatDType::BF16).unwrap().contains("is inf, not a finite"));
    // Too large for f16 alone.
    assert!(error(1e6, FloatDType::F16).unwrap().contains("is inf, not a finite number"));
    assert_eq!(error(1e6, FloatDType::BF16), None);
}

/// A config that names a huge image costs nothing before there is one.
#[test]
fn the_size_in_a_config_is_not_allocated() {
    let folder = copy("stable-diffusion-small");
    let path = folder.path().join("unet/config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    config["sample_size"] = (1_u64 << 40).into();
    fs::write(&path, config.to_string()).unwrap();
    let pipeline = StableDiffusion::open(folder.path(), &loading()).unwrap();
    assert!(pipeline.diffusion.unet.get().unwrap().network().is_none());
}

/// In f16 the features of some autoencoders overflow: these stay in f32, the other networks do not.
#[test]
fn an_autoencoder_in_f16_is_upcast_where_its_config_says_so() {
    struct Enlarge;
    impl ModuleMapper for Enlarge {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            // Convolutions, so that the features between two norms grow.
            param.map(|tensor| if D == 4 { tensor * 2e3 } else { tensor })
        }
    }
    struct Half(bool);
    impl ModuleVisitor for Half {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0 &= param.val().dtype() == DType::F16;
        }
    }
    let (folder, device) = (copy("stable-diffusion-small"), Device::flex());
    let vae = folder.path().join("vae");
    let large = AutoencoderKl::from_diffusers(&vae, &device).unwrap().map(&mut Enlarge);
    ddm_weights::save(&large, vae.join("diffusion_pytorch_model.safetensors")).unwrap();
    let path = vae.join("config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    for upcast in [true, false] {
        config["force_upcast"] = upcast.into();
        fs::write(&path, config.to_string()).unwrap();
        let in_f16 = loading().dtype(Some(FloatDType::F16));
        let pipeline = StableDiffusion::open(folder.path(), &in_f16).unwrap();
        let wide = StableDiffusion::open(folder.path(), &loading()).unwrap();
        let latents = start(&pipeline, &small()).unwrap().latents();
        let decode = |pipeline: &StableDiffusion| {
            pipeline.diffusion.autoencoder.get().unwrap().decode(latents.clone())
        };
        let (found, expected) = (decode(&pipeline), decode(&wide));
        let off = largest(found - expected.clone()) / largest(expected);
        println!("force_upcast {upcast}: {off:e} off");
        assert_eq!(off < 1e-5, upcast, "{off:e}");
        let unet = pipeline.diffusion.unet.get().unwrap();
        let unet = unet.network().unwrap();
        let mut half = Half(true);
        unet.visit(&mut half);
        assert!(half.0);
    }
}
