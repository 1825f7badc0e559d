//! Latent diffusion: an autoencoder of handwritten digits, and a U-Net that draws new ones in its
//! latent space.
//!
//! `cargo run --release --example latent`; `--help` shows the options.

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use ddm_core::latent::{Autoencoder, LatentSpace};
use ddm_core::models::VaeConfig;
use ddm_core::prelude::*;
use ddm_core::train::MinSnr;
use ddm_examples::data::digits;
use ddm_examples::device::parse_device;
use ddm_examples::handwriting::{Classifier, guided, train_autoencoder, train_unet};
use ddm_examples::labelled::{LabelledImages, labels};
use ddm_examples::output::{create_folder, write_png};
use ddm_examples::pictures::{Images, grid};
use ddm_examples::quality::Reader;
use ddm_examples::tensors::beside;

/// Channels of a latent, which is half as high and wide as a digit.
const CHANNELS: usize = 2;
/// Weight of the KL divergence: that of a decoder with noise of std 0.03, where ink and paper differ
/// by 2.
const KL_WEIGHT: f64 = 2e-3;

/// Trains an autoencoder on handwritten digits, then a U-Net on its latents, and samples new digits.
#[derive(Parser)]
struct Args {
    /// Passes over the data to train the autoencoder.
    #[arg(long, default_value_t = 60)]
    autoencoder_epochs: usize,
    /// Passes over the data to train the U-Net.
    #[arg(long, default_value_t = 100)]
    epochs: usize,
    /// Sampling steps.
    #[arg(long, default_value_t = 50)]
    steps: usize,
    /// Guidance scale: 1 is none; larger values follow the requested digit more closely.
    #[arg(long, default_value_t = 1.5)]
    guidance: f64,
    /// The same seed gives the same pictures.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The device: flex, ndarray, vulkan, … (those compiled in).
    #[arg(long, default_value = "flex")]
    device: String,
    /// Folder for the output.
    #[arg(long, default_value = "out/latent")]
    out: PathBuf,
}

fn main() -> ExitCode {
    ddm_examples::cli::run(run)
}

fn run() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let device = parse_device(&args.device)?;
    create_folder(&args.out)?;
    device.seed(args.seed);
    // The last sixth, from other writers, is held out of all training.
    let (seen, held_out) = LabelledImages::split(&digits(), &device);

    // Invalid settings are errors now, before the training.
    let schedule = Cosine::default();
    let objective = Objective::new(&schedule, VPrediction)?.weighting(MinSnr::default());
    let wanted = labels((0..100).map(|i| i / 10), &device);
    let levels = Trailing.levels(&schedule, args.steps)?;
    let unet = UNetConfig::new(CHANNELS, CHANNELS).with_channels(vec![64, 64]);
    let unet = unet.with_classes(Some(10));
    guided(&unet.init(&device)?, VPrediction, wanted.clone(), args.guidance)?;

    let clock = Instant::now();
    let classifier = Classifier::trained_on(&seen, args.seed)?;
    println!("classifier  {:6.1} s", clock.elapsed().as_secs_f64());

    let clock = Instant::now();
    let config = VaeConfig::new(1, CHANNELS).with_channels(vec![32, 64]);
    let (epochs, seed) = (args.autoencoder_epochs, args.seed);
    let vae = train_autoencoder(&config, KL_WEIGHT, &seen, epochs, seed)?.average;
    println!("autoencoder {:6.1} s", clock.elapsed().as_secs_f64());

    // The latents with the mean 0 and the variance 1 that a schedule assumes.
    let space = LatentSpace::fitted(&vae, vae.encode(seen.images.clone()).mode())?;
    let latents =
        LabelledImages { images: space.encode(seen.images.clone()), labels: seen.labels.clone() };
    let clock = Instant::now();
    let trained = train_unet(&unet, &objective, &latents, args.epochs, args.seed)?;
    println!("training    {:6.1} s", clock.elapsed().as_secs_f64());

    let clock = Instant::now();
    let model = guided(&trained.average, VPrediction, wanted.clone(), args.guidance)?;
    let run = Sampling::new(&model, &schedule).sampler(Ddim::default()).levels(levels);
    let [_, channels, height, width] = latents.images.dims();
    let sample = run.seed(args.seed).sample([100, channels, height, width], &device)?;
    let samples = space.decode(sample);
    println!("sampling    {:6.1} s", clock.elapsed().as_secs_f64());

    let reconstructed = space.decode(space.encode(held_out.images.clone()));
    let path = |name: &str| args.out.join(name);
    let shown = held_out.len().min(100);
    let first = |images: &Tensor<4>| images.clone().narrow(0, 0, shown);
    let pairs = beside(first(&held_out.images), first(&reconstructed));
    write_png(&path("reconstructions.png"), &grid(&Images::from(pairs), 20, 6))?;
    write_png(&path("samples.png"), &grid(&Images::from(samples.clone()), 10, 6))?;
    let (scale, shift) = (space.scale(), space.shift());
    vae.clone().with_latents(scale, shift).to_diffusers(path("vae"))?;
    trained.average.to_diffusers(path("unet"))?;

    let error = (reconstructed.clone() - held_out.images.clone()).square().mean();
    println!(
        "\na digit is {} numbers, its latent {}; scale {:.3}, shift {:.3}",
        held_out.images.dims()[1..].iter().product::<usize>(),
        channels * height * width,
        space.scale(),
        space.shift(),
    );
    println!(
        "held-out digits come back within {:.1} % of the range from paper to ink (rms)",
        50.0 * error.into_scalar::<f32>().sqrt(),
    );
    println!("\na classifier of real digits reads as requested");
    for (images, labels, what) in [
        (samples, wanted, "of the samples"),
        (held_out.images, held_out.labels.clone(), "of the held-out digits"),
        (reconstructed, held_out.labels, "of the held-out digits when reconstructed"),
    ] {
        println!("  {:5.1} % {what}", 100.0 * classifier.share_right(images, labels));
    }
    println!("\nwritten to {}", args.out.display());
    for (name, what) in [
        ("reconstructions.png", "held-out digits, each left of its reconstruction"),
        ("samples.png", "ten samples of each digit"),
        ("vae/", "the autoencoder, as diffusers saves one"),
        ("unet/", "the U-Net, likewise"),
    ] {
        println!("  {name:24} {what}");
    }
    Ok(())
}
