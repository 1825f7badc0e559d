//! Handwritten digits from the score: a U-Net trained by denoising score matching at geometric noise
//! levels, annealed Langevin dynamics, and a predictor with corrector.
//!
//! `cargo run --release --example score_digits`; `--help` shows the options.

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use ddm_core::denoiser::{EpsilonPrediction, ScaledInput};
use ddm_core::prelude::*;
use ddm_core::samplers::BoxedSampler;
use ddm_core::schedule::{Exponential, GeometricSigmas};
use ddm_core::score::{AnnealedLangevin, CorrectorStep, PredictorCorrector, ReverseDiffusion};
use ddm_core::train::ScoreMatching;
use ddm_examples::data::digits;
use ddm_examples::device::parse_device;
use ddm_examples::handwriting::{Classifier, guided, train, unet};
use ddm_examples::labelled::{LabelledImages, labels};
use ddm_examples::output::{create_folder, write_png};
use ddm_examples::pictures::{Images, grid};
use ddm_examples::quality::Reader;

/// Samples of each digit per sampler.
const EACH: usize = 5;
/// Pixels of a digit.
const PIXELS: usize = 64;

/// Learns the score of handwritten digits, and draws new ones with two samplers.
#[derive(Parser)]
struct Args {
    /// Passes over the data.
    #[arg(long, default_value_t = 30)]
    epochs: usize,
    /// Langevin moves at each noise level.
    #[arg(long, default_value_t = 10)]
    moves: usize,
    /// Steps of the predictor.
    #[arg(long, default_value_t = 100)]
    steps: usize,
    /// Guidance scale: 1 is none; larger values follow the requested digit more closely.
    #[arg(long, default_value_t = 1.0)]
    guidance: f64,
    /// The same seed gives the same grid.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The device: flex, ndarray, vulkan, … (those compiled in).
    #[arg(long, default_value = "flex")]
    device: String,
    /// Folder for the output.
    #[arg(long, default_value = "out/score_digits")]
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
    let (seen, _) = LabelledImages::split(&digits(), &device);

    // The levels of NCSNv2: so dense that the noise of neighbours overlaps, up to the largest distance
    // between two digits, 9.6.
    let ladder = GeometricSigmas::ncsn_v2(0.05, 10.0, PIXELS)?;
    let rungs = ladder.steps().ok_or("a ladder has rungs")?;
    let prediction = ScaledInput(EpsilonPrediction);
    let objective = Objective::new(&ladder, prediction)?.weighting(ScoreMatching);
    // Invalid settings are errors now, before the training.
    let langevin = AnnealedLangevin::ncsn_v2(ladder.ratio(), args.moves)?;
    let corrected = PredictorCorrector::new(ReverseDiffusion, CorrectorStep::snr(0.16)?, 1);
    let ways = [
        ("Langevin dynamics", BoxedSampler::new(langevin), Exponential.levels(&ladder, rungs)?),
        (
            "predictor–corrector",
            BoxedSampler::new(corrected),
            Exponential.levels(&ladder, args.steps)?,
        ),
    ];
    let wanted = labels((0..10 * EACH as i32).map(|i| i / EACH as i32), &device);
    guided(&unet().init(&device)?, prediction, wanted.clone(), args.guidance)?;

    let clock = Instant::now();
    let classifier = Classifier::trained_on(&seen, args.seed)?;
    let trained = train(&objective, &seen, args.epochs, args.seed)?;
    println!("training on {rungs} noise levels: {:.1} s", clock.elapsed().as_secs_f64());

    let model = guided(&trained.average, prediction, wanted.clone(), args.guidance)?;
    println!("read as requested, by a classifier of real digits");
    let mut painted = Vec::new();
    for (k, (name, sampler, levels)) in ways.into_iter().enumerate() {
        let clock = Instant::now();
        // Separate noise: with the same noise, both would give almost the same digits.
        let noise = HostNoise::new(args.seed).starting_at((k * 10 * EACH) as u64);
        let run = Sampling::new(&model, &ladder).sampler(sampler).levels(levels).noise(noise);
        let run = run.start([10 * EACH, 1, 8, 8], &device)?;
        let last = run.last().ok_or("a run has at least one frame")?;
        let right = classifier.share_right(last.x.clone(), wanted.clone());
        println!(
            "  {name:20} {:5.1} % after {} model calls, {:.1} s",
            100.0 * right,
            last.evaluations,
            clock.elapsed().as_secs_f64()
        );
        painted.push(last.x.reshape([10, EACH, PIXELS]));
    }
    // One row per digit: those of the first sampler, a blank, those of the second.
    painted.insert(1, Tensor::ones([10, 1, PIXELS], &device));
    let images = Tensor::cat(painted, 1).reshape([10 * (2 * EACH + 1), 1, 8, 8]);
    let path = args.out.join("score_digits.png");
    write_png(&path, &grid(&Images::from(images), 2 * EACH + 1, 6))?;
    println!("written to {}: left by Langevin dynamics, right by the other", path.display());
    Ok(())
}
