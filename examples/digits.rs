//! Handwritten digits: trains a U-Net on real ones and draws new ones.
//!
//! `cargo run --release --example digits`; `--help` shows the options.

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use ddm_core::denoiser::Clipped;
use ddm_core::models::UNet;
use ddm_core::prelude::*;
use ddm_core::quality::{Memorization, QualityError, nearest};
use ddm_core::train::MinSnr;
use ddm_examples::data::{digits, digits_from};
use ddm_examples::device::parse_device;
use ddm_examples::handwriting::{Classifier, guided, train, unet};
use ddm_examples::labelled::{LabelledImages, labels};
use ddm_examples::output::{create_folder, write_png};
use ddm_examples::pictures::{Images, grid, spread, strip};
use ddm_examples::plots::{Axis, curve};
use ddm_examples::quality::Quality;
use ddm_examples::tensors::beside;
use indicatif::{ProgressBar, ProgressStyle};

/// Trains a class-conditional U-Net on handwritten digits and samples a 10×10 grid of new ones.
#[derive(Parser)]
struct Args {
    /// Passes over the data.
    #[arg(long, default_value_t = 30)]
    epochs: usize,
    /// Sampling steps.
    #[arg(long, default_value_t = 50)]
    steps: usize,
    /// Guidance scale: 1 is none; with larger values more samples are read as requested, and they are
    /// more alike.
    #[arg(long, default_value_t = 1.25)]
    guidance: f64,
    /// The same seed gives the same grid.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The device: flex, ndarray, vulkan, … (those compiled in).
    #[arg(long, default_value = "flex")]
    device: String,
    /// Folder for the output.
    #[arg(long, default_value = "out/digits")]
    out: PathBuf,
    /// Another data file: rows of 64 pixels (0 to 16) and a label, plain or gzipped.
    #[arg(long)]
    data: Option<PathBuf>,
}

fn main() -> ExitCode {
    ddm_examples::cli::run(run)
}

fn run() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let device = parse_device(&args.device)?;
    let digits = match &args.data {
        Some(path) => digits_from(path)?,
        None => digits(),
    };
    create_folder(&args.out)?;
    device.seed(args.seed);
    // The last sixth, from other writers, is held out of all training.
    let (seen, held_out) = LabelledImages::split(&digits, &device);

    // The network predicts v on the cosine schedule, with the condition dropped one time in ten.
    let schedule = Cosine::default();
    let objective = Objective::new(&schedule, VPrediction)?.weighting(MinSnr::default());
    // A row of ten for each digit. The settings are checked with the untrained network, before the
    // training.
    let wanted = labels((0..100).map(|i| i / 10), &device);
    let levels = Trailing.levels(&schedule, args.steps)?;
    clipped(&unet().init(&device)?, wanted.clone(), args.guidance)?;

    let clock = Instant::now();
    let classifier = Classifier::trained_on(&seen, args.seed)?;
    println!("classifier  {:6.1} s", clock.elapsed().as_secs_f64());

    let clock = Instant::now();
    let trained = train(&objective, &seen, args.epochs, args.seed)?;
    println!("training    {:6.1} s", clock.elapsed().as_secs_f64());

    let clock = Instant::now();
    let unet = &trained.average;
    let model = clipped(unet, wanted.clone(), args.guidance)?;
    let run = Sampling::new(&model, &schedule).sampler(Ddim::default()).levels(levels.clone());
    let run = run.seed(args.seed).start([100, 1, 8, 8], &device)?;
    let style = ProgressStyle::with_template("sampling  {wide_bar} {pos}/{len}")?;
    let progress = ProgressBar::new(run.len() as u64).with_style(style);
    let frames: Vec<_> = progress.wrap_iter(run).collect();
    let samples = frames.last().ok_or("a run has at least one frame")?.x.clone();
    println!("sampling    {:6.1} s", clock.elapsed().as_secs_f64());

    // As many others as there are held-out digits, with their labels, to compare the two.
    let clock = Instant::now();
    let model = clipped(unet, held_out.labels.clone(), args.guidance)?;
    let run = Sampling::new(&model, &schedule).sampler(Ddim::default()).levels(levels);
    let images = run.seed(args.seed).sample(held_out.images.dims(), &device)?;
    let measured = LabelledImages { images, labels: held_out.labels.clone() };
    println!("more        {:6.1} s", clock.elapsed().as_secs_f64());

    let path = |name: &str| args.out.join(name);
    write_png(&path("digits.png"), &grid(&Images::from(samples.clone()), 10, 6))?;
    let one_of_each = labels((0..10).map(|digit| digit * 10), &device);
    let moments: Vec<Images> = spread(frames.len(), 12)
        .into_iter()
        .map(|moment| Images::from(frames[moment].x.clone().select(0, one_of_each.clone())))
        .collect();
    write_png(&path("noise_to_digit.png"), &strip(&moments, 6))?;
    let losses = trained.losses.iter().map(|&(step, loss)| (step as f64, loss)).collect();
    let axes = (Axis::linear("training step"), Axis::log("weighted squared error of v"));
    write_png(&path("loss.png"), &curve("Training loss", axes.0, axes.1, &[("loss", losses)]))?;
    unet.to_diffusers(path("unet"))?;

    // Five samples of each digit, each left of the training digit that is most like it.
    let shown: Vec<i32> = (0..100).filter(|i| i % 10 < 5).collect();
    let shown = Tensor::<1, Int>::from_data(shown.as_slice(), &device);
    let samples = LabelledImages { images: samples, labels: wanted }.chosen(shown);
    let alike: Vec<i32> = nearest(&samples.pixels()?, &seen.pixels()?)?
        .iter()
        .map(|neighbour| neighbour.index as i32)
        .collect();
    let alike = seen.chosen(Tensor::from_data(alike.as_slice(), &device));
    let pairs = beside(samples.images, alike.images);
    write_png(&path("nearest.png"), &grid(&Images::from(pairs), 10, 6))?;

    let copied = Memorization::of(&measured.pixels()?, &seen.pixels()?, &held_out.pixels()?)?;
    let columns = [&measured, &seen.thinned(held_out.len()), &held_out]
        .map(|digits| Quality::of(digits, &held_out, &classifier));
    report(columns, &copied)?;

    println!("\nwritten to {}", args.out.display());
    for (name, what) in [
        ("digits.png", "ten samples of each digit"),
        ("noise_to_digit.png", "from noise to digit, one of each"),
        ("nearest.png", "samples, each left of the training digit most like it"),
        ("loss.png", "the training loss"),
        ("unet/", "the trained network, as diffusers saves one"),
    ] {
        println!("  {name:20} {what}");
    }
    Ok(())
}

/// Prints how good samples are, beside as many training digits and the held-out digits themselves.
fn report(
    columns: [Result<Quality, QualityError>; 3],
    copied: &Memorization,
) -> Result<(), QualityError> {
    let [samples, training, held_out] = columns;
    let columns = [samples?, training?, held_out?];
    let line = |what: &str, number: fn(&Quality) -> String| {
        let [samples, training, held_out] = columns.each_ref().map(number);
        println!("  {what:36}{samples:>9}{training:>10}{held_out:>10}");
    };
    println!("\n  {:36}{:>9}{:>10}{:>10}", "", "samples", "training", "held-out");
    line("read as requested by a classifier", |q| format!("{:.1} %", 100.0 * q.right));
    line("mean distance of two of a digit", |q| format!("{:.2}", q.spread()));
    line("Fréchet distance from held-out", |q| format!("{:.2}", q.frechet));
    line("density among held-out", |q| format!("{:.2}", q.support.density));
    line("coverage of held-out", |q| format!("{:.1} %", 100.0 * q.support.coverage));
    println!("\n  mean distance of two of each digit");
    for (name, quality) in ["samples", "training", "held-out"].into_iter().zip(&columns) {
        let spreads = quality.spreads.iter().map(|of| format!("{}: {:.1}", of.class, of.distance));
        println!("  {name:10}{}", spreads.collect::<Vec<_>>().join("  "));
    }
    println!(
        "\n{:.0} % of the time a sample is closer to the training digits than a held-out digit is \
         (median distance {:.2}, of held-out digits {:.2})",
        100.0 * copied.closer(),
        copied.sample_median(),
        copied.held_out_median(),
    );
    Ok(())
}

/// Returns the network as a denoiser of images that follows the wanted labels.
fn clipped(
    unet: &UNet,
    wanted: Tensor<1, Int>,
    scale: f64,
) -> Result<impl Denoiser<4>, ModelError> {
    Clipped::new(guided(unet, VPrediction, wanted, scale)?, -1.0, 1.0)
}
