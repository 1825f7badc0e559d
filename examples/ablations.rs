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
    Ema, LogitNormal, MinSnr, Stratified, TimeSampling, UniformTime, UniformWeight, Weighting,
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
    #[arg(long, default_value_t = 800)]
    train_steps: usize,
    /// Trainings of each setting, with seeds from 0 on.
    #[arg(long, default_value_t = 2)]
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
/// Decays of the averages; 0 is the network of the last step.
const DECAYS: [f64; 5] = [0.0, 0.9, 0.98, 0.995, 0.998];
/// The one that all other settings are measured with.
const DECAY: usize = 3;
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

    println!("| setting | Fréchet distance | read as requested |");
    println!("|---|---|---|");
    let (cosine, linear, flow) = (Cosine::default(), LinearVp::default(), RectifiedFlow);
    let (min_snr, one, uniform) = (MinSnr::default(), UniformWeight, UniformTime);
    let averages = lab.row("v, cosine, min-SNR weight", &cosine, VPrediction, min_snr, uniform)?;
    lab.row("x₀", &cosine, X0Prediction, min_snr, uniform)?;
    lab.row("v, weight 1", &cosine, VPrediction, one, uniform)?;
    lab.row("v, stratified times", &cosine, VPrediction, min_snr, Stratified(uniform))?;
    lab.row("v, linear β", &linear, VPrediction, min_snr, uniform)?;
    // Not on the cosine schedule: at its end there is no signal, and ε does not determine x₀.
    lab.row("ε, linear β", &linear, EpsilonPrediction, min_snr, uniform)?;
    lab.row("ε, linear β, weight 1", &linear, EpsilonPrediction, one, uniform)?;
    lab.row("flow matching", &flow, FlowPrediction, one, uniform)?;
    lab.row("flow, logit-normal times", &flow, FlowPrediction, one, LogitNormal::default())?;

    println!("\n| decay of the average | Fréchet distance | read as requested |");
    println!("|---|---|---|");
    for (at, decay) in DECAYS.into_iter().enumerate() {
        let found = averages.iter().map(|of| lab.quality(&of[at], &cosine, VPrediction, 1.0));
        print(&decay.to_string(), &found.collect::<Result<Vec<_>, _>>()?);
    }
    println!("\n| guidance | Fréchet distance | read as requested |");
    println!("|---|---|---|");
    for scale in GUIDANCE {
        let found = averages.iter().map(|of| lab.quality(&of[DECAY], &cosine, VPrediction, scale));
        print(&scale.to_string(), &found.collect::<Result<Vec<_>, _>>()?);
    }
    Ok(())
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
    /// Trains with a setting, once for each seed, prints its row, and returns the averages of each
    /// training.
    fn row(
        &self,
        setting: &str,
        schedule: &impl NoiseSchedule,
        parameterization: impl Parameterization + Clone,
        weighting: impl Weighting,
        times: impl TimeSampling,
    ) -> Result<Vec<Vec<UNet>>, Box<dyn Error>> {
        let objective = Objective::new(schedule, parameterization.clone())?;
        let objective = objective.weighting(weighting).time_sampling(times);
        let (mut averages, mut found) = (Vec::new(), Vec::new());
        for seed in 0..self.args.seeds {
            let trained = self.train(&objective, seed)?;
            found.push(self.quality(&trained[DECAY], schedule, parameterization.clone(), 1.0)?);
            averages.push(trained);
        }
        print(setting, &found);
        Ok(averages)
    }

    /// Returns the averages of a training, one for each decay.
    fn train<S: NoiseSchedule, P: Parameterization, W: Weighting, T: TimeSampling>(
        &self,
        objective: &Objective<S, P, W, T>,
        seed: u64,
    ) -> Result<Vec<UNet>, Box<dyn Error>> {
        let (device, steps) = (self.device.clone().autodiff(), self.args.train_steps);
        device.seed(seed);
        let network = small_unet().init(&device)?;
        let averages = DECAYS.map(|decay| Ema::new(&network, decay)).into_iter();
        let averages = RefCell::new(averages.collect::<Result<Vec<_>, _>>()?);
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
        let finish = |mut average: Ema<UNet>| {
            average.update(&trained.network)?;
            Ok(average.into_average())
        };
        averages.into_inner().into_iter().map(finish).collect()
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
