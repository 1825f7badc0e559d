//! Images of pipelines beside diffusers' own, from the recorded noise or seed: what takes more than a
//! directory and a request. (Those that do not are compared by the example `compare`.)

use std::path::{Path, PathBuf};

use burn::tensor::{DType, Device, Tensor};
use ddm_diffusers::SchedulerConfig;
use ddm_models::ControlNet;
use ddm_noise::{RecordedNoise, TorchNoise};
use ddm_pipelines::{
    ControlImage, Loading, Part, Pipeline, PipelineError, Request, Sizes, StableDiffusionXl, open,
    scheduler_named,
};
use ddm_weights::Tensors;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/pipelines").join(name)
}

fn loading() -> Loading {
    Loading::new(&Device::flex())
}

fn record(name: &str) -> Tensors {
    Tensors::open(golden(name).with_extension("safetensors")).unwrap()
}

fn tensor(record: &Tensors, name: &str) -> Tensor<4> {
    Tensor::from_data(record.read_as(name, DType::F32).unwrap(), &Device::flex())
}

/// The seed of all records: diffusers draws from `torch.Generator().manual_seed(3001)`.
fn noise() -> Box<TorchNoise> {
    Box::new(TorchNoise::new(3001))
}

/// The request that all records have.
fn recorded() -> Request {
    Request {
        prompt: "a photo of the red cat and the dog, in the sea".to_owned(),
        negative: Some("blue house".to_owned()),
        guidance: Some(5.0),
        height: Some(16),
        width: Some(24),
        steps: Some(6.into()),
        ..Request::default()
    }
}

/// Asserts that the largest difference is at most 1e-5 of the largest expected number.
#[track_caller]
fn assert_is(found: Tensor<4>, record: &Tensors, name: &str) {
    let expected = tensor(record, name);
    assert_eq!(found.dims(), expected.dims());
    let size = expected.clone().abs().max().into_scalar::<f32>();
    let off = (found - expected).abs().max().into_scalar::<f32>() / size;
    println!("{name}: {off:.1e}");
    assert!(off <= 1e-5, "{name} is {off} off");
}

const SIZES: Sizes = Sizes { original: Some([40, 32]), crop: [2, 3], target: Some([16, 24]) };

#[test]
fn a_controlnet_steers_stable_diffusion_xl() {
    let record = record("stable-diffusion-xl/controlnet");
    let network = golden("stable-diffusion-xl/controlnet");
    let network = ControlNet::from_diffusers(network, &Device::flex()).unwrap();
    let mut pipeline = StableDiffusionXl::open(golden("stable-diffusion-xl"), &loading()).unwrap();
    let control = ControlImage { scale: 0.8, ..ControlImage::new(tensor(&record, "input.image")) };
    let request = Request { control: Some(control), sizes: SIZES, ..recorded() };
    assert!(pipeline.start(&request, noise()).is_err()); // there is no ControlNet yet
    pipeline.diffusion.controlnet = Some(Part::new(network.into()));
    let run = pipeline.start(&request, noise()).unwrap();
    assert_is(run.images().unwrap(), &record, "image");
}

#[test]
fn the_refiner_goes_on_where_the_base_ends() {
    let base = open(golden("stable-diffusion-xl"), &loading()).unwrap();
    let refiner = open(golden("sdxl-refiner"), &loading()).unwrap();
    for name in ["hand-over", "hand-over-dpmpp-2m"] {
        let record = record(&format!("sdxl-refiner/{name}"));
        let scheduler: SchedulerConfig = record.metadata()["scheduler_config"].parse().unwrap();
        let all = Request { steps: Some(10.into()), scheduler: Some(scheduler), ..recorded() };
        let first = Request { denoising_end: Some(0.7), ..all.clone() };
        let run = base.start(&first, noise()).unwrap();
        let (steps, levels, scheduler) = (run.len(), run.levels().clone(), run.scheduler().clone());
        assert_eq!((steps, levels.steps()), (7, 10), "{name}");
        let latent = run.latents();
        // Theirs has the scale of their scheduler.
        let scale = scheduler.scale_to_theirs(levels[steps]);
        assert_is(latent.clone() * scale, &record, "latents");
        let rest = Request { latent: Some(latent), denoising_start: Some(0.7), ..all };
        let run = refiner.start(&rest, noise()).unwrap();
        assert_eq!(run.len(), 3, "{name}");
        assert_is(run.images().unwrap(), &record, "image");
    }
}

#[test]
fn parts_of_a_schedule_that_do_not_fit_are_refused() {
    let latent = || Some(Tensor::<4>::zeros([1, 4, 8, 12], &Device::flex()));
    let image = || Some(Tensor::<4>::zeros([1, 3, 16, 24], &Device::flex()));
    let start = Some(0.7);
    for (request, says) in [
        (Request { denoising_start: start, ..recorded() }, "needs a latent"),
        (Request { latent: latent(), ..recorded() }, "needs a denoising_start"),
        (
            Request { latent: latent(), denoising_start: start, image: image(), ..recorded() },
            "takes no image beside a latent",
        ),
        (
            Request { latent: latent(), denoising_start: start, height: Some(32), ..recorded() },
            "must be [1, 4, 16, 12]",
        ),
        (Request { denoising_end: Some(1.0), ..recorded() }, "above 0 and below 1"),
        (Request { denoising_end: Some(1e-9), ..recorded() }, "before the first step"),
        (
            Request { latent: latent(), denoising_start: Some(1.0 - 1e-9), ..recorded() },
            "none of the 6 steps remains",
        ),
        (Request { aesthetic_scores: Some([6.0, 2.5]), ..recorded() }, "takes no aesthetic scores"),
    ] {
        let pipeline = open(golden("stable-diffusion-xl"), &loading()).unwrap();
        let error = pipeline.start(&request, noise()).unwrap_err().to_string();
        assert!(error.contains(says), "{error:?} does not say {says:?}");
    }
    let refiner = open(golden("sdxl-refiner"), &loading()).unwrap();
    let error = refiner.start(&Request { sizes: SIZES, ..recorded() }, noise()).unwrap_err();
    assert!(error.to_string().contains("takes no target size"), "{error}");
    let other = open(golden("stable-diffusion-3"), &loading()).unwrap();
    let request = Request { denoising_end: start, ..recorded() };
    let error = other.start(&request, noise()).unwrap_err();
    assert!(matches!(error, PipelineError::NotTaken { .. }), "{error:?}");
}

#[test]
fn pixart_sigma_is_that_of_diffusers() {
    let record = record("pixart-alpha/sigma");
    // The weights of PixArt-α's directory, with the class of Σ, which takes 300 tokens.
    let folder = tempfile::tempdir().unwrap();
    pixart_in(folder.path(), |text| text.replace("PixArtAlpha", "PixArtSigma"), |text| text);
    let pipeline = open(folder.path(), &loading()).unwrap();
    assert_is(pipeline.start(&recorded(), noise()).unwrap().images().unwrap(), &record, "image");
}

/// Copies PixArt's directory with changes of `model_index.json` and of the transformer's config.
fn pixart_in(
    folder: &Path,
    index: impl Fn(String) -> String,
    transformer: impl Fn(String) -> String,
) {
    let from = golden("pixart-alpha");
    for part in ["scheduler", "text_encoder", "tokenizer", "transformer", "vae"] {
        std::fs::create_dir(folder.join(part)).unwrap();
        for entry in std::fs::read_dir(from.join(part)).unwrap().map(Result::unwrap) {
            std::fs::copy(entry.path(), folder.join(part).join(entry.file_name())).unwrap();
        }
    }
    let change = |name: &str, change: &dyn Fn(String) -> String| {
        let text = std::fs::read_to_string(from.join(name)).unwrap();
        std::fs::write(folder.join(name), change(text)).unwrap();
    };
    change("model_index.json", &index);
    change("transformer/config.json", &transformer);
}

#[test]
fn samplers_of_flows_have_the_schedulers_of_diffusers() {
    for model in ["stable-diffusion-3", "flux-dev"] {
        let pipeline = open(golden(model), &loading()).unwrap();
        // FluxPipeline gives sigmas, which the last two classes of diffusers do not take.
        let names = ["dpmpp-2m", "unipc", "heun", "lcm"];
        for name in &names[..if model == "flux-dev" { 2 } else { 4 }] {
            let record = record(&format!("{model}/reference_{name}"));
            let mut request = Request {
                scheduler: Some(scheduler_named(name, pipeline.scheduler()).unwrap()),
                max_sequence_length: Some(20),
                steps: Some(if *name == "lcm" { 4 } else { 6 }.into()),
                ..recorded()
            };
            if model == "flux-dev" {
                (request.negative, request.guidance) = (None, Some(3.5));
            }
            // This pipeline of diffusers draws the noise of steps without its generator.
            let noise = Box::new(RecordedNoise::new(draws(&record)));
            let run = pipeline.start(&request, noise).unwrap();
            assert_is(run.images().unwrap(), &record, "image");
        }
    }
}

/// The draws of noise of a record.
fn draws(record: &Tensors) -> Vec<Vec<f32>> {
    let names = (0..).map(|draw| format!("noise.{draw}"));
    let names = names.take_while(|name| record.contains(name));
    names.map(|name| tensor(record, &name).into_data().try_into_vec().unwrap()).collect()
}

#[test]
fn pixart_brings_sizes_to_those_of_its_training() {
    let folder = tempfile::tempdir().unwrap();
    let large = |text: String| text.replace("\"sample_size\": 8", "\"sample_size\": 32");
    pixart_in(folder.path(), |text| text, large);
    let pipeline = open(folder.path(), &loading()).unwrap();
    for (name, height, width, inside) in
        [("binning", 16, 24, [208, 304]), ("binning-tall", 40, 22, [336, 192])]
    {
        let record = record(&format!("pixart-alpha/{name}"));
        let request = Request {
            height: Some(height),
            width: Some(width),
            steps: Some(3.into()),
            max_sequence_length: Some(20),
            binning: true,
            ..recorded()
        };
        let mut run = pipeline.start(&request, noise()).unwrap();
        let [_, _, rows, columns] = run.next().unwrap().x.dims();
        assert_eq!([rows * 2, columns * 2], inside, "{name}");
        assert_is(run.images().unwrap(), &record, "image");
    }
    let small = open(golden("pixart-alpha"), &loading()).unwrap();
    let request = Request { binning: true, ..recorded() };
    let error = small.start(&request, noise()).unwrap_err().to_string();
    assert!(error.contains("is 8, but must be 32, 64, 128 or 256"), "{error}");
    let other = open(golden("stable-diffusion-small"), &loading()).unwrap();
    assert!(matches!(other.start(&request, noise()), Err(PipelineError::NotTaken { .. })));
}
