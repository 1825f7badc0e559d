//! Replays recorded runs of diffusers' schedulers and says how far each is off.
//!
//! Exits with 0 if all are ok, 1 if any is not, 2 if a file cannot be read.

use std::path::PathBuf;
use std::process::ExitCode;

use burn::tensor::Device;
use clap::Parser;
use ddm_testkit::replay::{Outcome, ReplayError, read, replay};

/// Replay recorded runs of diffusers' schedulers.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Files of recorded runs, as testdata/record_schedulers.py makes them.
    #[arg(required = true, value_name = "FILE.json")]
    files: Vec<PathBuf>,
    /// The largest error of x that is ok, relative to max |x|.
    #[arg(long, default_value_t = 1e-4, value_parser = tolerance)]
    tolerance: f64,
}

fn tolerance(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| *number >= 0.0 && number.is_finite());
    number.ok_or_else(|| "a tolerance is a finite number of at least 0".to_owned())
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let read_all: Result<Vec<_>, ReplayError> =
        arguments.files.iter().map(|file| read(file)).collect();
    let recordings = match read_all {
        Ok(recordings) => recordings.concat(),
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    let (mut ok, mut off, mut unsupported) = (0, 0, 0);
    for recording in &recordings {
        let outcome = replay(recording, &Device::flex());
        let verdict = match &outcome {
            Outcome::Unsupported { .. } => {
                unsupported += 1;
                ""
            }
            outcome if outcome.is_ok(arguments.tolerance) => {
                ok += 1;
                "  ok"
            }
            _ => {
                off += 1;
                "  not ok"
            }
        };
        println!("{:<48}  {outcome}{verdict}", recording.name);
    }
    let all = recordings.len();
    println!("{all} cases: {ok} ok, {off} not ok, {unsupported} unsupported");
    if ok == all { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
