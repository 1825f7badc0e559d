//! Replays recorded runs of diffusers' schedulers and says how far each is off.
//!
//! Exits with 0 if all are ok, 1 if any is not, 2 if a file cannot be read or the report not be
//! written. Ends quietly where whoever reads the report has had enough (`replay … | head`).

mod recording;
#[path = "replay.rs"]
mod replay;

use std::io::{self, ErrorKind, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use burn::tensor::Device;
use clap::Parser;

use recording::Recording;
use replay::{Outcome, ReplayError, read, replay};

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
    match report(&recordings, arguments.tolerance, &mut io::stdout().lock()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the report cannot be written: {error}");
            ExitCode::from(2)
        }
    }
}

/// Runs all again, with a line for each; whether all are ok.
fn report(recordings: &[Recording], tolerance: f64, out: &mut impl Write) -> io::Result<bool> {
    let (mut ok, mut off, mut unsupported) = (0, 0, 0);
    for recording in recordings {
        let outcome = replay(recording, &Device::flex());
        let verdict = match &outcome {
            Outcome::Unsupported { .. } => {
                unsupported += 1;
                ""
            }
            outcome if outcome.is_ok(tolerance) => {
                ok += 1;
                "  ok"
            }
            _ => {
                off += 1;
                "  not ok"
            }
        };
        writeln!(out, "{:<48}  {outcome}{verdict}", recording.name)?;
    }
    let all = recordings.len();
    writeln!(out, "{all} cases: {ok} ok, {off} not ok, {unsupported} unsupported")?;
    Ok(ok == all)
}
