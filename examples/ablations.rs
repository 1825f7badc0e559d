//! What the settings of a training change: one at a time, on clothes.
//!
//! `cargo run --release --example ablations` prints the tables of docs/training.md.

use std::cell::RefCell;
use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use ddm_core::burn::grad_clipping::GradientClippingConfig;
use ddm_core::burn::optim::AdamWConfig;
use ddm_core::burn::optim::lr_scheduler::cosine::CosineAnnealingLrSchedulerConfig;
use ddm_core::data::{FASHION_MNIST, Idx, Source, Split};
use ddm_core::denoiser::{EpsilonPrediction, FlowPrediction, Parameterization, X0Prediction};
use ddm_core::models::UNet;
use ddm_core::prelude::*;
use ddm_core::schedule::{LinearVp, RectifiedFlow};
use ddm_core::train::{
    Ema, LogitNormal, MinSnr, PowerDecay, Stratified, TimeSampling, UniformTime, UniformWeight,
    Weighting,
};
use ddm_examples::clothes::{ClothesBatches, ClothesClassifier, Drawing, small_unet, some};
use ddm_examples::device::parse_device;
use ddm_examples::labelled::LabelledImages;
use ddm_examples::progress::training_bar;
use ddm_examples::quality::Quality;

/// Trains a small U-Net on Fashion-MNIST with one setting changed at a time, and measures its samples.
#[derive(Parser)]
struct Args {
    /// Training steps, of 64 images.
    #[arg(long, default_value_t = 1_600)]
    train_steps: usize,
    /// Trainings of each setting, with seeds from 0 on.
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// Images in a batch.
    #[arg(long, default_value_t = 64)]
    batch: usize,
    /// Samples that are measured.
    #[arg(long, default_value_t = 1_000)]
    samples: usize,
    /// Sampling steps.
    #[arg(long, default_value_t = 20)]
    steps: usize,
    /// The device: flex, ndarray, vulkan, … (those compiled in).
    #[arg(long, default_value = "flex")]
    device: String,
    /// The folder with the IDX files of Fashion-MNIST.
    #[arg(long, default_value = FASHION_MNIST)]
    data: PathBuf,
}

/// Real images that samples are compared with.
const REAL: usize = 5_000;
/// Widths of the averages, relative to the training; 0 is the network of the last step.
const WIDTHS: [f64; 6] = [0.0, 0.02, 0.05, 0.1, 0.15, 0.2];
/// The one that all other settings are measured with.
const WIDTH: usize = 3;
/// Guidance scales.
const GUIDANCE: [f64; 4] = [1.0, 1.5, 2.0, 3.0];

fn main() -> ExitCode {
    ddm_examples::cli::run(run)
}

fn run() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let device = parse_device(&args.device)?;
    let clothes = Idx::open(&args.data, Split::Train)?;
    let real = some(&clothes, 0, REAL.min(clothes.len()), &device)?;
    let classifier = ClothesClassifier::trained(&device)?;
    let lab = Lab { args, device, clothes, real, classifier };

    let (cosine, linear, flow) = (Cosine::default(), LinearVp::default(), RectifiedFlow);
    let (min_snr, one, uniform) = (MinSnr::default(), UniformWeight, UniformTime);
    let averages = lab.train(&cosine, VPrediction, min_snr, uniform)?;
    let first = |at: usize, guidance| {
        let found = averages.iter().map(|of| lab.quality(&of[at], &cosine, VPrediction, guidance));
        found.collect::<Result<Vec<_>, _>>()
    };
    heading("width of the average");
    for (at, width) in WIDTHS.into_iter().enumerate() {
        print(&width.to_string(), &first(at, 1.0)?);
    }
    heading("guidance");
    for scale in GUIDANCE {
        print(&scale.to_string(), &first(WIDTH, scale)?);
    }
    heading("setting");
    print("v, cosine, min-SNR weight, uniform times", &first(WIDTH, 1.0)?);
    lab.row("weight 1", &cosine, VPrediction, one, uniform)?;
    // Not on the cosine schedule: at its end there is no signal, and ε does not determine x₀.
    lab.row("ε, linear β", &linear, EpsilonPrediction, min_snr, uniform)?;
    lab.row("flow matching, weight 1", &flow, FlowPrediction, one, uniform)?;
    let logit_normal = LogitNormal::default();
    lab.row("the same, logit-normal times", &flow, FlowPrediction, one, logit_normal)?;
    lab.row("stratified times", &cosine, VPrediction, min_snr, Stratified(uniform))?;
    lab.row("x₀ in place of v", &cosine, X0Prediction, min_snr, uniform)?;
    lab.row("linear β", &linear, VPrediction, min_snr, uniform)?;
    lab.row("ε, linear β, weight 1", &linear, EpsilonPrediction, one, uniform)
}

/// Prints the head of a table.
fn heading(what: &str) {
    println!("\n| {what} | Fréchet distance | read as requested |");
    println!("|---|---|---|");
}

/// Prints a row: what each seed gave.
fn print(setting: &str, found: &[Quality]) {
    let cells = |number: &dyn Fn(&Quality) -> String| {
        found.iter().map(number).collect::<Vec<_>>().join(", ")
    };
    let (distances, right) =
        (cells(&|q| format!("{:.1}", q.frechet)), cells(&|q| format!("{:.1} %", 100.0 * q.right)));
    println!("| {setting} | {distances} | {right} |");
}

/// What all trainings share.
struct Lab {
    args: Args,
    device: Device,
    clothes: Idx,
    real: LabelledImages,
    classifier: ClothesClassifier,
}

impl Lab {
    /// Trains with a setting, and prints its row.
    fn row(
        &self,
        setting: &str,
        schedule: &impl NoiseSchedule,
        parameterization: impl Parameterization + Clone,
        weighting: impl Weighting,
        times: impl TimeSampling,
    ) -> Result<(), Box<dyn Error>> {
        let trained = self.train(schedule, parameterization.clone(), weighting, times)?;
        let measure =
            |of: &Vec<UNet>| self.quality(&of[WIDTH], schedule, parameterization.clone(), 1.0);
        print(setting, &trained.iter().map(measure).collect::<Result<Vec<_>, _>>()?);
        Ok(())
    }

    /// Trains with a setting, once for each seed, and returns the averages of each training.
    fn train(
        &self,
        schedule: &impl NoiseSchedule,
        parameterization: impl Parameterization,
        weighting: impl Weighting,
        times: impl TimeSampling,
    ) -> Result<Vec<Vec<UNet>>, Box<dyn Error>> {
        let objective = Objective::new(schedule, parameterization)?;
        let objective = objective.weighting(weighting).time_sampling(times);
        (0..self.args.seeds).map(|seed| self.train_once(&objective, seed)).collect()
    }

    /// Returns the averages of a training, one for each width.
    fn train_once<S: NoiseSchedule, P: Parameterization, W: Weighting, T: TimeSampling>(
        &self,
        objective: &Objective<S, P, W, T>,
        seed: u64,
    ) -> Result<Vec<UNet>, Box<dyn Error>> {
        let (device, steps) = (self.device.clone().autodiff(), self.args.train_steps);
        device.seed(seed);
        let network = small_unet().init(&device)?;
        let average = |&width: &f64| Ema::new(&network, PowerDecay::from_width(width)?);
        let averages = WIDTHS[1..].iter().map(average).collect::<Result<Vec<_>, _>>()?;
        let averages = RefCell::new(averages);
        let batches = ClothesBatches::new(self.clothes.clone(), self.args.batch, seed, &device)?;
        let loss = |network: &UNet, noise: &mut StepNoise| {
            for average in &mut *averages.borrow_mut() {
                average.update(network)?;
            }
            Ok(batches.losses(objective, network, noise)?.mean())
        };
        let adam = AdamWConfig::new().with_grad_clipping(Some(GradientClippingConfig::Norm(1.0)));
        let rate = CosineAnnealingLrSchedulerConfig::new(2e-3, steps).init()?;
        let training = Training { steps, ema_decay: 0.0, seed };
        let trained = training.run_with(network, adam.init(), rate, loss, training_bar())?;
        let mut all = vec![trained.average];
        for mut average in averages.into_inner() {
            average.update(&trained.network)?;
            all.push(average.into_average());
        }
        Ok(all)
    }

    /// Measures the samples of a network.
    fn quality(
        &self,
        network: &UNet,
        schedule: &impl NoiseSchedule,
        parameterization: impl Parameterization + Clone,
        guidance: f64,
    ) -> Result<Quality, Box<dyn Error>> {
        let Args { samples: count, steps, .. } = self.args;
        let drawing = Drawing { count, steps, guidance, seed: 0 };
        let samples = drawing.of(network, parameterization, schedule, &self.device)?;
        Ok(Quality::of(&samples, &self.real, &self.classifier)?)
    }
}
