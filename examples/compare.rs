//! Are the networks that were loaded from Python's files those of Python?
//!
//! `cargo run --release --example compare -- DIR…`

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use ddm_examples::compare::{CompareError, compare, directories};
use ddm_examples::device::parse_device;

/// Loads networks, runs them on recorded inputs, and compares the outputs with the recorded ones.
///
/// A directory holds a network as `save_pretrained` writes it and a `reference.safetensors`, with the
/// inputs by the names of diffusers' arguments and the outputs; or it holds such directories. Exits with
/// 1 if an output is off or a class is unsupported, and with 2 if a file cannot be read.
#[derive(Parser)]
struct Args {
    /// The directories.
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// The largest error that is right, relative to the largest number of an output.
    #[arg(long, default_value_t = 1e-4)]
    tolerance: f64,
    /// The device: flex, ndarray, vulkan, … (those compiled in).
    #[arg(long, default_value = "flex")]
    device: String,
}

fn main() -> ExitCode {
    ddm_examples::cli::run(run)
}

fn run() -> Result<ExitCode, Box<dyn Error>> {
    let args = Args::parse();
    let device = parse_device(&args.device)?;
    let (mut wrong, mut unreadable) = (0, 0);
    for path in &args.paths {
        let found = match directories(path) {
            Ok(found) => found,
            Err(error) => {
                println!("{}: cannot be read: {error}", path.display());
                unreadable += 1;
                continue;
            }
        };
        for directory in found {
            let name = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
            match compare(&directory, &device, args.tolerance) {
                Ok(lines) => {
                    for line in lines {
                        let right = line.error <= args.tolerance;
                        wrong += usize::from(!right);
                        let verdict = if right { "ok" } else { "WRONG" };
                        let how = if line.in_f64 { " (in f64)" } else { "" };
                        println!("{verdict:5} {:8.1e}  {name}: {}{how}", line.error, line.name);
                    }
                }
                Err(error @ CompareError::Unsupported { .. }) => {
                    println!("{:5} {:8}  {name}: {error}", "–", "");
                    wrong += 1;
                }
                Err(error) => {
                    println!("{:5} {:8}  {name}: {error}", "ERROR", "");
                    unreadable += 1;
                }
            }
        }
    }
    println!("{wrong} wrong or unsupported, {unreadable} cannot be read");
    Ok(match (wrong, unreadable) {
        (_, 1..) => ExitCode::from(2),
        (1.., _) => ExitCode::from(1),
        _ => ExitCode::SUCCESS,
    })
}
