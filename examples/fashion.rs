//! Clothes: trains a class-conditional U-Net on Fashion-MNIST, and measures what it draws.
//!
//! `cargo run --release --example fashion -- --quick`; `--help` shows the options.

use std::cell::RefCell;
use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use ddm_core::burn::grad_clipping::GradientClippingConfig;
use ddm_core::burn::optim::AdamWConfig;
use ddm_core::burn::optim::lr_scheduler::cosine::CosineAnnealingLrSchedulerConfig;
use ddm_core::data::{FASHION_MNIST, Idx, Source, Split};
use ddm_core::models::UNet;
use ddm_core::prelude::*;
use ddm_core::train::{Checkpoints, LossByTime, MinSnr};
use ddm_examples::clothes::{
    CLASSES, ClothesBatches, ClothesClassifier, Drawing, small_unet, some,
};
use ddm_examples::device::parse_device;
use ddm_examples::labelled::LabelledImages;
use ddm_examples::output::{create_folder, write_png};
use ddm_examples::pictures::{Images, grid};
use ddm_examples::plots::{Axis, curve};
use ddm_examples::progress::training_bar;
use ddm_examples::quality::Quality;
use image::RgbImage;

/// Trains a class-conditional U-Net on Fashion-MNIST and measures its samples while it trains.
///
/// Started again with the same options, it goes on from its last checkpoint.
#[derive(Parser)]
struct Args {
    /// A training of a few minutes on two cores, in place of one for a GPU.
    #[arg(long)]
    quick: bool,
    /// Training steps; by default 1,600 in the quick training, else 60,000.
    #[arg(long)]
    train_steps: Option<usize>,
    /// Images in a batch; by default 64 in the quick training, else 128.
    #[arg(long)]
    batch: Option<usize>,
    /// How often samples are drawn and measured on the way; by default 2 times, else 10.
    #[arg(long)]
    measurements: Option<usize>,
    /// Stop after this many measurements; the next run goes on from there.
    #[arg(long)]
    stop_after: Option<usize>,
    /// Samples that are measured; by default 1,000, else 10,000.
    #[arg(long)]
    samples: Option<usize>,
    /// Sampling steps.
    #[arg(long, default_value_t = 20)]
    steps: usize,
    /// Guidance scale: 1 is none.
    #[arg(long, default_value_t = 1.0)]
    guidance: f64,
    /// The seed.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The device: flex, ndarray, vulkan, … (those compiled in).
    #[arg(long, default_value = "flex")]
    device: String,
    /// The folder with the IDX files of Fashion-MNIST, gzipped or not; by default that of Debian's
    /// package dataset-fashion-mnist.
    #[arg(long, default_value = FASHION_MNIST)]
    data: PathBuf,
    /// Folder for the output.
    #[arg(long, default_value = "out/fashion")]
    out: PathBuf,
}

/// Steps between two checkpoints.
const CHECKPOINT: usize = 200;
/// Real images that samples are compared with.
const REAL: usize = 5_000;

fn main() -> ExitCode {
    ddm_examples::cli::run(run)
}

fn run() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let device = parse_device(&args.device)?;
    let or =
        |given: Option<usize>, quick, full| given.unwrap_or(if args.quick { quick } else { full });
    let steps = or(args.train_steps, 1_600, 60_000);
    let batch = or(args.batch, 64, 128);
    let measurements = or(args.measurements, 2, 10).max(1);
    let count = or(args.samples, 1_000, 10_000);
    let config = config(args.quick);

    let clothes = Idx::open(&args.data, Split::Train)?;
    let test = some(&Idx::open(&args.data, Split::Test)?, 0, count, &device)?;
    let real = some(&clothes, 0, REAL.min(clothes.len()), &device)?;
    let classifier = ClothesClassifier::trained(&device)?;
    let quality = |images: &LabelledImages| Quality::of(images, &real, &classifier);
    create_folder(&args.out)?;
    device.seed(args.seed);

    let schedule = Cosine::default();
    let objective = Objective::new(&schedule, VPrediction)?.weighting(MinSnr::default());
    let on_tape = device.clone().autodiff();
    let batches = ClothesBatches::new(clothes, batch, args.seed, &on_tape)?;
    let by_time = RefCell::new(LossByTime::new(20)?);
    let loss = |network: &UNet, noise: &mut StepNoise| {
        let losses = batches.losses(&objective, network, noise)?;
        if noise.number().is_multiple_of(10) {
            by_time.borrow_mut().record(losses.sampled(), &losses.read()?)?;
        }
        Ok(losses)
    };
    let checkpoints = Checkpoints::open(args.out.join("checkpoints"))?.every(CHECKPOINT)?;

    let drawing = Drawing { count, steps: args.steps, guidance: args.guidance, seed: args.seed };
    // In parts, each from the checkpoint of the one before; after each, samples are measured.
    let (mut distances, mut last) = (Vec::new(), None);
    let clock = Instant::now();
    for part in 1..=args.stop_after.map_or(measurements, |stop| stop.clamp(1, measurements)) {
        let until = steps * part / measurements;
        if checkpoints.last()?.is_some_and(|saved| saved.step() > until) {
            continue; // an earlier run came further
        }
        let training = Training { steps: until, ema_decay: 0.998, seed: args.seed };
        let adam = AdamWConfig::new().with_grad_clipping(Some(GradientClippingConfig::Norm(1.0)));
        let rate = CosineAnnealingLrSchedulerConfig::new(2e-3, steps).init()?;
        let (network, adam, bar) = (config.init(&on_tape)?, adam.init(), training_bar());
        let trained = training.resume(&checkpoints, network, adam, rate, loss, bar)?;
        let samples = drawing.of(&trained.average, VPrediction, &schedule, &device)?;
        let found = quality(&samples)?;
        distances.push((until as f64, found.frechet));
        println!(
            "step {until:6}: Fréchet distance {:7.3}, {:4.1} % read as requested ({:.0} s)",
            found.frechet,
            100.0 * found.right,
            clock.elapsed().as_secs_f64()
        );
        write_png(&args.out.join(format!("samples-{until:06}.png")), &picture(&samples))?;
        last = Some((trained, samples, found));
    }
    let (trained, samples, found) = last.ok_or("there is at least one part")?;

    let path = |name: &str| args.out.join(name);
    trained.average.to_diffusers(path("unet"))?;
    plots(&path, &trained.losses, &by_time.borrow(), distances)?;
    write_png(&path("samples.png"), &picture(&samples))?;

    // As many test images, with noise of std 10 of 255.
    let noise = HostNoise::new(args.seed).draw(test.images.dims(), &device) * (20.0 / 255.0);
    let images = (test.images.clone() + noise).clamp(-1.0, 1.0);
    let noisy = LabelledImages { images, labels: test.labels.clone() };
    report(&[("samples", found), ("test + noise", quality(&noisy)?), ("test", quality(&test)?)]);
    println!("\nwritten to {}", args.out.display());
    Ok(())
}

/// Returns the settings of the network.
fn config(quick: bool) -> UNetConfig {
    match quick {
        true => small_unet(),
        false => {
            small_unet().with_channels(vec![64, 128, 128]).with_blocks(2).with_attention(vec![2])
        }
    }
}

/// Draws ten samples of each kind, a column for each.
fn picture(samples: &LabelledImages) -> RgbImage {
    let shown = samples.len().min(100);
    grid(&Images::from(samples.images.clone().narrow(0, 0, shown)), CLASSES, 3)
}

/// Draws the loss and the Fréchet distance against the steps, and the loss against the time.
fn plots(
    path: &impl Fn(&str) -> PathBuf,
    losses: &[(usize, f64)],
    by_time: &LossByTime,
    distances: Vec<(f64, f64)>,
) -> Result<(), Box<dyn Error>> {
    let losses = losses.iter().map(|&(step, loss)| (step as f64, loss)).collect();
    let axes = (Axis::linear("step"), Axis::log("loss"));
    write_png(&path("loss.png"), &curve("Training loss", axes.0, axes.1, &[("loss", losses)]))?;
    let times = by_time.times().into_iter().zip(by_time.means());
    let by_time = times.filter_map(|(time, mean)| Some((0.5 * (time.start + time.end), mean?)));
    let axes = (Axis::linear("time, from data to noise"), Axis::log("loss"));
    let series = [("loss", by_time.collect())];
    write_png(&path("loss_by_time.png"), &curve("Loss by time", axes.0, axes.1, &series))?;
    let axes = (Axis::linear("step"), Axis::log("Fréchet distance"));
    let series = [("samples", distances)];
    write_png(&path("distance.png"), &curve("Fréchet distance", axes.0, axes.1, &series))?;
    Ok(())
}

/// Prints how good images are.
fn report(columns: &[(&str, Quality)]) {
    let line = |what: &str, number: &dyn Fn(&Quality) -> String| {
        let numbers = columns.iter().map(|(_, quality)| format!("{:>14}", number(quality)));
        println!("  {what:36}{}", numbers.collect::<String>());
    };
    let names = columns.iter().map(|(name, _)| format!("{name:>14}"));
    println!("\n  {:36}{}", "", names.collect::<String>());
    line("read as requested by a classifier", &|q| format!("{:.1} %", 100.0 * q.right));
    line("Fréchet distance from training images", &|q| format!("{:.3}", q.frechet));
    line("precision", &|q| format!("{:.3}", q.support.precision));
    line("recall", &|q| format!("{:.3}", q.support.recall));
    line("density", &|q| format!("{:.3}", q.support.density));
    line("coverage", &|q| format!("{:.3}", q.support.coverage));
    line("mean distance of two of a kind", &|q| format!("{:.2}", q.spread()));
}
