//! A picture from a prompt, by a pretrained model on disk or from the Hugging Face Hub.
//!
//! `cargo run --release --example generate -- --model MODEL --prompt "…"`; `--help` shows the options.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use ddm_core::models::lora::Lora;
use ddm_core::models::single_file::SingleFile;
use ddm_core::noise::TorchNoise;
use ddm_core::pipelines::{
    ControlImage, Generation, Hub, HubError, Loading, Pipeline, Request, open, scheduler_named,
};
use ddm_core::prelude::{Device, Tensor};
use ddm_examples::device::parse_device;
use ddm_examples::model::located;
use ddm_examples::output::write_png_with_text;
use ddm_examples::photo::{read_image, read_mask};
use ddm_examples::pictures::{Images, each};
use ddm_examples::progress::sampling_bar;
use ddm_examples::weights::{described, total};

/// Makes pictures with a pretrained model: a directory of diffusers, a name on the Hugging Face Hub, or a
/// single file with such a directory's configs.
#[derive(Parser)]
struct Args {
    /// The model: a directory with a `model_index.json`, or a `.safetensors`, `.ckpt` or `.gguf` file; or,
    /// if there is no such path, a name on the Hugging Face Hub, organization/name or
    /// organization/name:FILE.
    #[arg(long)]
    model: String,
    /// For a single file: the directory (or the name on the hub) with `model_index.json`, configs,
    /// tokenizers and scheduler.
    #[arg(long)]
    config: Option<String>,
    /// For names on the hub: the branch, the tag or the commit.
    #[arg(long, default_value = "main")]
    revision: String,
    /// For names on the hub: prefer weights in f16.
    #[arg(long)]
    fp16: bool,
    /// Request nothing from the hub; what its cache has is used.
    #[arg(long)]
    offline: bool,
    /// The refiner of Stable Diffusion XL, which makes the end of the picture: a directory, or a name on
    /// the hub.
    #[arg(long)]
    refiner: Option<String>,
    /// The part of the schedule, above 0 and below 1, at which the refiner goes on.
    #[arg(long, requires = "refiner", default_value_t = 0.8)]
    refine_from: f64,
    /// What the picture shows.
    #[arg(long, default_value = "")]
    prompt: String,
    /// What it does not show.
    #[arg(long)]
    negative: Option<String>,
    /// The classes, for models of classes.
    #[arg(long, value_delimiter = ',')]
    classes: Vec<i64>,
    /// The number of steps; by default the pipeline's.
    #[arg(long)]
    steps: Option<usize>,
    /// The sampler, such as dpmpp-2m-karras or euler-a; by default the model's own.
    #[arg(long)]
    sampler: Option<String>,
    /// The scale of guidance; by default the pipeline's.
    #[arg(long)]
    guidance: Option<f64>,
    /// How far guided predictions are rescaled, from 0 to 1.
    #[arg(long, default_value_t = 0.0)]
    rescale: f64,
    /// The seed: the noise is that of PyTorch's generator on the CPU.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// A LoRA and its weight, FILE or FILE:WEIGHT; may be repeated.
    #[arg(long)]
    lora: Vec<String>,
    /// The image to start from, a PNG file.
    #[arg(long)]
    image: Option<PathBuf>,
    /// How much of the image changes, above 0 and at most 1.
    #[arg(long, requires = "image")]
    strength: Option<f64>,
    /// What of the image is painted anew: the white part of a PNG file.
    #[arg(long, requires = "image")]
    mask: Option<PathBuf>,
    /// The control image for a ControlNet, a PNG file.
    #[arg(long)]
    control: Option<PathBuf>,
    /// Width and height in pixels, as 512x512; by default those of the image or the model's.
    #[arg(long, value_parser = parse_size)]
    size: Option<(usize, usize)>,
    /// The number of tokens for T5; by default the pipeline's.
    #[arg(long)]
    tokens: Option<usize>,
    /// The number of pictures.
    #[arg(long, default_value_t = 1)]
    batch: usize,
    /// Write what the model predicts after each step, beside the picture: small and linear, or as
    /// --preview-by says.
    #[arg(long)]
    preview: bool,
    /// What makes previews: the directory of an AutoencoderTiny such as TAESD, or `exact` for the
    /// model's own autoencoder.
    #[arg(long, requires = "preview")]
    preview_by: Option<PathBuf>,
    /// Load each network when it is needed and drop it after, to need less memory.
    #[arg(long)]
    low_memory: bool,
    /// The device: flex, ndarray, vulkan, … (those compiled in).
    #[arg(long, default_value = "flex")]
    device: String,
    /// The picture.
    #[arg(long, default_value = "out/generate.png")]
    out: PathBuf,
}

fn parse_size(text: &str) -> Result<(usize, usize), String> {
    let sides = text.split_once('x').and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)));
    sides.ok_or_else(|| "give width and height, such as 512x512".to_owned())
}

/// Splits FILE:WEIGHT.
fn weighted(lora: &str) -> (&str, f64) {
    let split = lora.rsplit_once(':').and_then(|(file, weight)| Some((file, weight.parse().ok()?)));
    split.unwrap_or((lora, 1.0))
}

fn main() -> ExitCode {
    ddm_examples::cli::run(run)
}

fn run() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let device = parse_device(&args.device)?;
    let start = Instant::now();
    let (directory, mut loading) = source(&args, &device)?;
    if let Some(tiny) = args.preview_by.as_ref().filter(|_| !exact(&args)) {
        loading = loading.preview(tiny);
    }
    // Without the LoRAs, which are for the model's own networks.
    let refiner = refiner(&args, &loading)?;
    for lora in &args.lora {
        let (file, weight) = weighted(lora);
        loading = loading.lora(Lora::open(file)?, weight);
        println!("LoRA {file}, weight {weight}");
    }
    let pipeline = open(&directory, &loading)?;
    let request = request(&args, &device)?;
    let scheduler = match &args.sampler {
        Some(name) => Some(scheduler_named(name, pipeline.scheduler())?),
        None => None,
    };
    let request = Request { scheduler, ..request };
    let first =
        Request { denoising_end: refiner.as_ref().map(|_| args.refine_from), ..request.clone() };
    let generation = pipeline.start(&first, Box::new(TorchNoise::new(args.seed)))?;
    if let Some(dropped) = generation.dropped_tokens().iter().copied().max().filter(|&n| n > 0) {
        eprintln!("warning: the prompt is too long; its last {dropped} tokens are left out");
    }
    let sampler =
        args.sampler.as_deref().unwrap_or(generation.scheduler().class().name()).to_owned();
    let mut steps = generation.len();
    let mut generation = shown(generation, &args, 0)?;
    if let Some(refiner) = &refiner {
        let latent = Some(generation.latents());
        let rest = Request {
            latent,
            denoising_start: Some(args.refine_from),
            image: None,
            mask: None,
            strength: None,
            control: None,
            ..request
        };
        // Not the noise that the first began with.
        let noise = TorchNoise::new(args.seed.wrapping_add(1));
        generation = refiner.start(&rest, Box::new(noise))?;
        let refined = generation.len();
        generation = shown(generation, &args, steps)?;
        steps += refined;
    }
    let images = generation.images()?;
    let [_, _, height, width] = images.dims();
    let text = settings(&args, &sampler, steps, (width, height));
    let written = write_images(&args, None, images, &[("parameters", &text)])?;
    let seconds = start.elapsed().as_secs_f64();
    for path in written {
        println!("{}", path.display());
    }
    println!("{} of {width}x{height} in {seconds:.1} s", args.batch);
    Ok(())
}

/// Whether previews are decoded by the model's own autoencoder.
fn exact(args: &Args) -> bool {
    args.preview_by.as_deref() == Some(Path::new("exact"))
}

/// Takes the steps of a run, with a bar and previews; `before` steps were taken earlier.
fn shown<'a>(
    mut generation: Generation<'a>,
    args: &Args,
    before: usize,
) -> Result<Generation<'a>, Box<dyn Error>> {
    let steps = generation.len();
    let bar = sampling_bar(steps);
    while let Some(frame) = generation.next() {
        bar.inc(1);
        if args.preview {
            let step = format!("step-{:03}", before + steps - generation.len());
            let image = match exact(args) {
                true => generation.decode(frame.denoised)?,
                false => generation.preview(frame.denoised)?,
            };
            write_images(args, Some(&step), image, &[])?;
        }
    }
    bar.finish_and_clear();
    Ok(generation)
}

/// Returns the hub for the arguments.
fn hub(args: &Args) -> Result<Hub, HubError> {
    let hub = Hub::from_env()?;
    let offline = args.offline || hub.offline;
    Ok(Hub { revision: args.revision.clone(), fp16: args.fp16, offline, ..hub })
}

/// Opens the refiner, if there is one, and says what it is.
fn refiner(args: &Args, loading: &Loading) -> Result<Option<Box<dyn Pipeline>>, Box<dyn Error>> {
    let Some(name) = &args.refiner else { return Ok(None) };
    let directory = located(name, || hub(args))?;
    println!("refiner {name}, from {}", args.refine_from);
    described(&directory)?.iter().for_each(|part| println!("{part}"));
    Ok(Some(open(&directory, loading)?))
}

/// Writes images in [0, 1], each into a file: `x.png`, or `x-1.png`, `x-2.png`, …
fn write_images(
    args: &Args,
    step: Option<&str>,
    images: Tensor<4>,
    texts: &[(&str, &str)],
) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let stem = args.out.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let pictures = each(&Images::from(images * 2.0 - 1.0));
    let mut written = Vec::new();
    for (index, picture) in pictures.iter().enumerate() {
        let mut name = stem.clone();
        if pictures.len() > 1 {
            name += &format!("-{}", index + 1);
        }
        if let Some(step) = step {
            name += &format!(".{step}");
        }
        let path = args.out.with_file_name(name + ".png");
        write_png_with_text(&path, picture, texts)?;
        written.push(path);
    }
    Ok(written)
}

/// Returns the directory with the configs, and how the networks are loaded; says what they are.
fn source(args: &Args, device: &Device) -> Result<(PathBuf, Loading), Box<dyn Error>> {
    let loading = Loading::new(device).keep_parts(!args.low_memory);
    let model = located(&args.model, || hub(args))?;
    if model.is_dir() {
        let parts = described(&model)?;
        parts.iter().for_each(|part| println!("{part}"));
        println!("{}", total(&parts));
        return Ok((model, loading));
    }
    let file = SingleFile::open(&model)?;
    println!("{}: {}", args.model, file.layout());
    for part in file.parts() {
        let tensors = file.tensors(part)?;
        let numbers: usize =
            tensors.iter().map(|(_, it)| it.shape().iter().product::<usize>()).sum();
        println!("  {part}: {:.3} M parameters", numbers as f64 / 1e6);
    }
    let Some(config) = &args.config else {
        let why = "a single file has no tokenizer and no scheduler: give --config, a directory of \
                   diffusers for the same kind of model (its weights are not needed)";
        return Err(why.into());
    };
    Ok((located(config, || hub(args))?, loading.single_file(file)))
}

/// Returns the request for the arguments, but for the scheduler.
fn request(args: &Args, device: &Device) -> Result<Request, Box<dyn Error>> {
    let image = |path: &Option<PathBuf>| {
        path.as_ref().map(|path: &PathBuf| read_image(path, device)).transpose()
    };
    Ok(Request {
        prompt: args.prompt.clone(),
        negative: args.negative.clone(),
        classes: args.classes.clone(),
        batch: args.batch,
        width: args.size.map(|(width, _)| width),
        height: args.size.map(|(_, height)| height),
        steps: args.steps.map(Into::into),
        guidance: args.guidance,
        rescale: args.rescale,
        image: image(&args.image)?,
        mask: args.mask.as_ref().map(|path| read_mask(path, device)).transpose()?,
        strength: args.strength,
        control: image(&args.control)?.map(ControlImage::new),
        max_sequence_length: args.tokens,
        ..Request::default()
    })
}

/// Returns the settings as one text, in the form that AUTOMATIC1111's web interface writes and others
/// read.
fn settings(args: &Args, sampler: &str, steps: usize, (width, height): (usize, usize)) -> String {
    let mut text = args.prompt.clone();
    if let Some(negative) = &args.negative {
        text += &format!("\nNegative prompt: {negative}");
    }
    text += &format!("\nSteps: {steps}, Sampler: {sampler}");
    if let Some(guidance) = args.guidance {
        text += &format!(", CFG scale: {guidance}");
    }
    text += &format!(", Seed: {}, Size: {width}x{height}", args.seed);
    if let Some(strength) = args.strength {
        text += &format!(", Denoising strength: {strength}");
    }
    let name = |path: &Path| path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    text += &format!(", Model: {}", name(Path::new(&args.model)));
    let loras: Vec<String> = args
        .lora
        .iter()
        .map(|lora| weighted(lora))
        .map(|(file, weight)| format!("{}: {weight}", name(Path::new(file))))
        .collect();
    if !loras.is_empty() {
        text += &format!(", Lora: \"{}\"", loras.join(", "));
    }
    text + ", Version: ddm"
}
