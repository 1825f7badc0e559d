//! Which sampler, and how many steps? Every sampler on one problem whose answer is known.
//!
//! `cargo run --release --example samplers` prints the tables of docs/choosing-a-sampler.md and
//! draws the plot beside them.

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use ddm_core::prelude::*;
use ddm_core::samplers::{
    BoxedSampler, Churn, Deis, DpmSolver, DpmSolverSingle, Heun, Ipndm, Lcm, Lms, Midpoint, Pndm,
    SaSolver, Tcd, UniPc,
};
use ddm_core::schedule::{Karras, LinearVp};
use ddm_examples::device::parse_device;
use ddm_examples::output::{create_folder, write_png};
use ddm_examples::plots::{Axis, curve};
use ddm_examples::tensors::points;
use ddm_testkit::GaussianMixture;

/// Model calls that each sampler may spend.
const CALLS: [usize; 4] = [5, 10, 20, 50];
/// Those in the plot: those that one chooses between, and the first of their kinds.
const PLOTTED: [&str; 8] = [
    "DDIM, Euler",
    "Heun",
    "DPM-Solver++ 2M",
    "DPM-Solver++ 3M",
    "UniPC 2",
    "UniPC 3",
    "DEIS 3",
    "PNDM",
];
/// Directions along which clouds of points are compared.
const DIRECTIONS: usize = 16;

/// Runs every sampler on a mixture of Gaussians with its exact denoiser and compares the results.
#[derive(Parser)]
struct Args {
    /// Points to sample.
    #[arg(long, default_value_t = 4096)]
    points: usize,
    /// Steps of the reference.
    #[arg(long, default_value_t = 1000)]
    steps: usize,
    /// Where to compute: flex, ndarray, vulkan, … (those this program was built with).
    #[arg(long, default_value = "flex")]
    device: String,
    /// Folder for the plot.
    #[arg(long, default_value = "out/samplers")]
    out: PathBuf,
}

/// A sampler under the name that people know.
struct Entry {
    name: &'static str,
    sampler: BoxedSampler<2>,
    remembers: bool,
}

fn entry<S>(name: &'static str, sampler: S) -> Entry
where
    S: Sampler<2, State: 'static> + 'static,
{
    let remembers = std::mem::size_of::<S::State>() > 0;
    Entry { name, sampler: BoxedSampler::new(sampler), remembers }
}

fn entries() -> Result<Vec<Entry>, SamplingError> {
    Ok(vec![
        entry("DDIM, Euler", Ddim::default()),
        entry("Heun", Heun::default()),
        entry("KDPM2", Midpoint::KDPM2),
        entry("DPM-Solver++ 2M", DpmSolverPp::new(2)?),
        entry("DPM-Solver++ 3M", DpmSolverPp::new(3)?),
        entry("DPM-Solver++ 2S", DpmSolverSingle::new(2)?),
        entry("DPM-Solver++ 3S", DpmSolverSingle::new(3)?),
        entry("DPM++ 2S, own midpoints", Midpoint::DPM_PP_2S),
        entry("DPM-Solver 2M", DpmSolver::new(2)?),
        entry("DPM-Solver 3M", DpmSolver::new(3)?),
        entry("UniPC 2", UniPc::new(2)?),
        entry("UniPC 3", UniPc::new(3)?),
        entry("DEIS 1", Deis::new(1)?),
        entry("DEIS 2", Deis::new(2)?),
        entry("DEIS 3", Deis::new(3)?),
        entry("LMS 4", Lms::new(4)?),
        entry("iPNDM 4", Ipndm::new(4)?),
        entry("PNDM", <Pndm>::default()),
        entry("DDPM, Euler ancestral", Ddpm::default()),
        entry("DPM-Solver++ 2M SDE", DpmSolverPp::sde(2, 1.0)?),
        entry("DPM-Solver 2M SDE", DpmSolver::sde(2)?),
        entry("KDPM2 ancestral", Midpoint::KDPM2_ANCESTRAL),
        entry("DPM++ 2S ancestral", Midpoint::DPM_PP_2S_ANCESTRAL),
        entry("Heun with churn 10", Churn::new(Heun::default(), 10.0)?),
        entry("SA-Solver", SaSolver::default()),
        entry("LCM", Lcm::default()),
        entry("TCD, gamma 0.3", Tcd::new(0.3)?),
    ])
}

fn main() -> ExitCode {
    ddm_examples::cli::run(run)
}

fn run() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let device = parse_device(&args.device)?;
    create_folder(&args.out)?;
    let schedule = LinearVp::default();
    // Eight Gaussians on a ring, like the beads of a necklace.
    let means = (0..8).map(|k| {
        let angle = f64::from(k) * std::f64::consts::FRAC_PI_4;
        vec![angle.cos(), angle.sin()]
    });
    let model = GaussianMixture::new(means, [0.1; 8], [1.0; 8])?;
    let seeded = |sampler: BoxedSampler<2>, steps: usize, seed: u64| {
        let run = Sampling::new(&model, &schedule).sampler(sampler).grid(Karras::default());
        let x = run.steps(steps).seed(seed).sample([args.points, 2], &device)?;
        Ok::<_, SamplingError>(points(x))
    };
    let sample = |sampler, steps| seeded(sampler, steps, 1);
    let exact = || BoxedSampler::new(Heun::default());
    let reference = sample(exact(), args.steps)?;

    let mut series = Vec::new();
    for stochastic in [false, true] {
        let what = if stochastic { "distance of the clouds" } else { "distance of the points" };
        println!("| sampler | order | calls per step | state | {what} at 5, 10, 20, 50 calls | | | |");
        println!("|---|---|---|---|---|---|---|---|");
        for Entry { name, sampler, remembers } in entries()? {
            if sampler.is_stochastic() != stochastic {
                continue;
            }
            let mut curve = Vec::new();
            for calls in CALLS {
                let samples = sample(sampler.clone(), calls.div_ceil(sampler.calls()))?;
                let error = if stochastic { clouds } else { pairs }(&samples, &reference);
                curve.push((calls as f64, error));
            }
            let order = sampler.order().map_or("–".to_owned(), |order| order.to_string());
            let state = if remembers { "predictions" } else { "none" };
            let errors: Vec<String> = curve.iter().map(|(_, e)| format!("{e:.1e}")).collect();
            let (calls, errors) = (sampler.calls(), errors.join(" | "));
            println!("| {name} | {order} | {calls} | {state} | {errors} |");
            if PLOTTED.contains(&name) {
                series.push((name, curve));
            }
        }
        println!();
    }
    let floor = clouds(&seeded(exact(), args.steps, 2)?, &reference);
    println!("two exact clouds of {} points are {floor:.1e} apart", args.points);
    let axes = (Axis::log("model calls"), Axis::log("distance from the exact path"));
    let title = "Error of the deterministic samplers on a ring of Gaussians";
    write_png(&args.out.join("samplers.png"), &curve(title, axes.0, axes.1, &series))?;
    println!("plot written to {}", args.out.join("samplers.png").display());
    Ok(())
}

/// Root mean square distance between each sample and the reference from the same noise.
fn pairs(samples: &[[f32; 2]], reference: &[[f32; 2]]) -> f64 {
    let squares = samples
        .iter()
        .zip(reference)
        .map(|(a, b)| f64::from(a[0] - b[0]).powi(2) + f64::from(a[1] - b[1]).powi(2));
    (squares.sum::<f64>() / samples.len() as f64).sqrt()
}

/// Sliced Wasserstein distance between two clouds: the points' order does not count.
fn clouds(samples: &[[f32; 2]], reference: &[[f32; 2]]) -> f64 {
    let along = |cloud: &[[f32; 2]], angle: f32| -> Vec<f32> {
        let (sin, cos) = angle.sin_cos();
        let mut places: Vec<f32> = cloud.iter().map(|[x, y]| x * cos + y * sin).collect();
        places.sort_by(f32::total_cmp);
        places
    };
    let square = (0..DIRECTIONS).map(|k| {
        let angle = std::f32::consts::PI * k as f32 / DIRECTIONS as f32;
        let (a, b) = (along(samples, angle), along(reference, angle));
        a.iter().zip(&b).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>() / a.len() as f64
    });
    (square.sum::<f64>() / DIRECTIONS as f64).sqrt()
}
