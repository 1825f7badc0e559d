//! The pictures of the theory: a dinosaur dissolves into noise, and a network learns to reverse it.
//!
//! `cargo run --release --example points`; `--help` shows the options.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use ddm_core::burn::optim::AdamWConfig;
use ddm_core::burn::optim::lr_scheduler::cosine::CosineAnnealingLrSchedulerConfig;
use ddm_core::models::Mlp;
use ddm_core::prelude::*;
use ddm_core::schedule::Levels;
use ddm_examples::animation::Timing;
use ddm_examples::data::{dino, points_from};
use ddm_examples::device::parse_device;
use ddm_examples::output::{create_folder, write_gif, write_png};
use ddm_examples::plots::{Layer, Panel, lattice, palette, panels};
use ddm_examples::progress::training_bar;
use ddm_examples::tensors::{from_points, points};

/// Half the width of the plane in the pictures.
const EXTENT: f32 = 2.6;
/// Points in a training batch and in a picture.
const POINTS: usize = 512;

/// Trains an MLP on 2-D points and draws the forward process, the learned field and the samples.
#[derive(Parser)]
struct Args {
    /// Training steps.
    #[arg(long, default_value_t = 4000)]
    training_steps: usize,
    /// Sampling steps.
    #[arg(long, default_value_t = 60)]
    steps: usize,
    /// The same seed gives the same pictures.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The device: flex, ndarray, vulkan, … (those compiled in).
    #[arg(long, default_value = "flex")]
    device: String,
    /// Folder for the pictures.
    #[arg(long, default_value = "out/points")]
    out: PathBuf,
    /// Another data file: rows `x,y`.
    #[arg(long)]
    data: Option<PathBuf>,
}

fn main() -> ExitCode {
    ddm_examples::cli::run(run)
}

fn run() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let device = parse_device(&args.device)?;
    let data = match &args.data {
        Some(path) => points_from(path)?,
        None => dino(),
    };
    create_folder(&args.out)?;
    device.seed(args.seed);
    let schedule = Cosine::default();
    // An invalid number of steps is an error now, not after the training.
    let levels = Trailing.levels(&schedule, args.steps)?;

    let network = train(&schedule, &data, &device, args.training_steps, args.seed)?;
    forward_process(&schedule, &data, &device, args.seed, &args.out.join("forward.png"))?;
    let model = Model::new(network, VPrediction);
    learned_field(&model, &schedule, &data, &device, &args.out.join("field.png"))?;
    way_back(&model, &schedule, levels, &data, &device, &args)?;

    println!("written to {}", args.out.display());
    for (name, what) in [
        ("forward.png", "the diffusion process: x_t = alpha x0 + sigma epsilon"),
        ("field.png", "the learned field: the score as arrows"),
        ("paths.png", "generation: the paths of samples from noise to data"),
        ("denoising.gif", "an animation of the same"),
    ] {
        println!("  {name:14} {what}");
    }
    Ok(())
}

/// Draws the data at increasing noise, by the closed form `x_t = α x₀ + σ ε`.
fn forward_process(
    schedule: &Cosine,
    data: &[[f32; 2]],
    device: &Device,
    seed: u64,
    path: &Path,
) -> Result<(), Box<dyn Error>> {
    let x0 = from_points(data, device);
    let mut noise = HostNoise::new(seed);
    let moments: Vec<(String, Vec<[f32; 2]>)> = [0.0, 0.1, 0.2, 0.4, 0.6, 1.0]
        .into_iter()
        .map(|t| {
            let NoiseLevel { alpha, sigma, .. } = schedule.level(t);
            let epsilon = noise.draw(x0.dims(), device);
            let x_t = x0.clone() * alpha + epsilon * sigma;
            (format!("t = {t:.1}: {alpha:.2} x0 + {sigma:.2} noise"), points(x_t))
        })
        .collect();
    let pictures: Vec<Panel<'_>> = moments
        .iter()
        .map(|(title, x_t)| Panel { title, layers: vec![Layer::points(x_t, palette::BLUE)] })
        .collect();
    Ok(write_png(path, &panels(&pictures, 3, EXTENT))?)
}

/// Trains an MLP to predict v. Every point of the data has a small width.
fn train(
    schedule: &Cosine,
    data: &[[f32; 2]],
    device: &Device,
    steps: usize,
    seed: u64,
) -> Result<Mlp, Box<dyn Error>> {
    let device = device.clone().autodiff();
    let data = from_points(data, &device);
    let count = data.dims()[0] as f64;
    let objective = Objective::new(schedule, VPrediction)?;
    let training = Training { steps, ema_decay: 0.999, seed };
    let rate = CosineAnnealingLrSchedulerConfig::new(2e-3, steps.max(1)).init()?;
    let network = MlpConfig::new().with_frequencies(6).init(&device)?;
    let loss = |network: &Mlp, noise: &mut StepNoise| {
        let rows: Vec<i32> = noise.uniform(POINTS).iter().map(|u| (u * count) as i32).collect();
        let x0 = data.clone().select(0, Tensor::from_data(rows.as_slice(), &device));
        let width = noise.draw(x0.dims(), &device) * 0.02;
        objective.loss(network, x0 + width, noise)
    };
    let optimizer = AdamWConfig::new().init();
    let trained = training.run_with(network, optimizer, rate, loss, training_bar())?;
    Ok(trained.average)
}

/// Draws the score `∇ log p(x) = (α x̂₀ − x)/σ²` over the noisy data, at several noise levels.
fn learned_field(
    model: &impl Denoiser<2>,
    schedule: &Cosine,
    data: &[[f32; 2]],
    device: &Device,
    path: &Path,
) -> Result<(), Box<dyn Error>> {
    let feet = lattice(21, EXTENT);
    let x = from_points(&feet, device);
    let x0 = from_points(data, device);
    let mut noise = HostNoise::new(1);
    let fields: Vec<_> = [0.7, 0.4, 0.2, 0.08]
        .into_iter()
        .map(|t| {
            let at = schedule.level(t);
            let predicted = model.denoise(x.clone(), at);
            let score = (predicted * at.alpha - x.clone()) / (at.sigma * at.sigma);
            let noisy = x0.clone() * at.alpha + noise.draw(x0.dims(), device) * at.sigma;
            (format!("t = {t:.2}: sigma = {:.2}", at.sigma), points(noisy), points(score))
        })
        .collect();
    let pictures: Vec<Panel<'_>> = fields
        .iter()
        .map(|(title, noisy, score)| Panel {
            title,
            layers: vec![Layer::background(noisy), Layer::arrows(&feet, score, palette::ORANGE)],
        })
        .collect();
    Ok(write_png(path, &panels(&pictures, 2, EXTENT))?)
}

/// Draws samples from noise to data, as paths and as an animation.
fn way_back(
    model: &impl Denoiser<2>,
    schedule: &Cosine,
    levels: Levels,
    data: &[[f32; 2]],
    device: &Device,
    args: &Args,
) -> Result<(), Box<dyn Error>> {
    let run = Sampling::new(model, schedule).sampler(Ddim::default()).levels(levels);
    let run = run.seed(args.seed).start([POINTS, 2], device)?;
    let (xs, predictions): (Vec<_>, Vec<_>) =
        run.map(|frame| (points(frame.x), points(frame.denoised))).unzip();
    let samples = &xs[xs.len() - 1];

    let paths: Vec<Vec<[f32; 2]>> =
        (0..POINTS / 4).map(|i| xs.iter().map(|x| x[i]).collect()).collect();
    let pictures = [
        Panel { title: "data", layers: vec![Layer::points(data, palette::BLUE)] },
        Panel { title: "paths from noise", layers: vec![Layer::paths(&paths, palette::ORANGE)] },
        Panel { title: "samples", layers: vec![Layer::points(samples, palette::ORANGE)] },
    ];
    write_png(&args.out.join("paths.png"), &panels(&pictures, 3, EXTENT))?;

    let frames: Vec<_> = xs
        .iter()
        .zip(&predictions)
        .map(|(x, prediction)| {
            let now = Panel { title: "x", layers: vec![Layer::points(x, palette::ORANGE)] };
            let layers = vec![Layer::points(prediction, palette::BLUE)];
            panels(&[now, Panel { title: "the guess at x0", layers }], 2, EXTENT)
        })
        .collect();
    Ok(write_gif(&args.out.join("denoising.gif"), &frames, Timing::default())?)
}
