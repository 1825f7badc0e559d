//! The model as the score: a sun and a moon of known density, and a network that learns it.
//!
//! `cargo run --release --example scores`; `--help` shows the options.

mod density;
mod field;
mod learning;
mod likelihood;
mod prompt;
mod prompts;
mod sky;
mod ways;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use ddm_core::prelude::*;
use ddm_examples::device::parse_device;
use ddm_examples::output::create_folder;

use density::Cells;
use learning::Learned;
use prompt::Prompt;
use sky::Sky;
use ways::Ways;

/// Learns scores by denoising score matching, and draws the field, three kinds of paths along it,
/// the effect of prompts, and the likelihood.
#[derive(Parser)]
pub(crate) struct Args {
    /// Training steps.
    #[arg(long, default_value_t = 4000)]
    training_steps: usize,
    /// Steps from noise to data.
    #[arg(long, default_value_t = 40)]
    steps: usize,
    /// Points to sample.
    #[arg(long, default_value_t = 256)]
    points: usize,
    /// Cells along a side of a heat map.
    #[arg(long, default_value_t = 64)]
    cells: usize,
    /// The prompt; may be given several times.
    #[arg(long, default_values = sky::CLASSES)]
    prompt: Vec<String>,
    /// The same seed gives the same pictures.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The device: flex, ndarray, vulkan, … (those compiled in).
    #[arg(long, default_value = "flex")]
    device: String,
    /// Folder for the pictures.
    #[arg(long, default_value = "out/scores")]
    out: PathBuf,
}

fn main() -> ExitCode {
    ddm_examples::cli::run(run)
}

fn run() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let device = parse_device(&args.device)?;
    let prompts =
        args.prompt.iter().map(|text| Prompt::encode(text)).collect::<Result<Vec<_>, _>>()?;
    for (option, found) in [("points", args.points), ("cells", args.cells)] {
        if found == 0 {
            return Err(format!("--{option} is 0, but must be at least 1").into());
        }
    }
    create_folder(&args.out)?;
    device.seed(args.seed);
    let sky = Sky::new()?;
    // From below the finest detail to above the whole.
    let schedule = VarianceExploding::new(0.03, 5.0)?;
    // Invalid steps are an error now, not after the training.
    let three_ways = Ways::new(&schedule, args.steps)?;
    let learned = Learned::train(&sky, &schedule, &device, args.training_steps, args.seed)?;

    let cells = Cells::new(args.cells, &device);
    let path = |name: &str| args.out.join(name);
    field::draw(&sky, &learned, &schedule, &cells, &path("field.png"))?;
    ways::draw(&sky, &learned, &schedule, &cells, three_ways, &args)?;
    prompts::draw(&sky, &learned, &schedule, &device, &prompts, &args)?;
    likelihood::draw(&sky, &learned, &schedule, &cells, args.seed, &path("likelihood.png"))?;

    println!("written to {}", args.out.display());
    for (name, what) in [
        ("field.png", "the score over the density, exact above and learned below"),
        ("ways.png", "Langevin dynamics, the reverse SDE and the probability flow: paths"),
        ("ways.gif", "an animation of the same"),
        ("prompts.png", "the field and samples under prompts, and at several guidance scales"),
        ("likelihood.png", "ln p, exact and by the probability flow"),
    ] {
        println!("  {name:14} {what}");
    }
    Ok(())
}
