//! Ours among the contenders of `benches/peers`: one case, in a process of its own, on the CPU.
//!
//! Follows the protocol in `benches/peers/README.md`: the first run is timed from the start of the
//! process, its output is written, and the last line printed is JSON.

mod contender;
mod files;
mod process;

use std::error::Error;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Parser;
use mimalloc::MiMalloc;

use contender::Case;

/// As in the criterion benches: glibc's allocator returns large tensors to the system every time.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Runs one case of `benches/peers`.
#[derive(Debug, Parser)]
struct Arguments {
    /// The case.
    case: Case,
    /// The folder that `networks.py` made.
    folder: PathBuf,
    /// Seconds of timed runs, which are at least ten.
    #[arg(long, default_value_t = 4.0)]
    seconds: f64,
}

/// Milliseconds of each run: at least so many, and for so many seconds.
fn times(run: &mut dyn FnMut(), at_least: usize, seconds: f64) -> Vec<f64> {
    let (start, limit) = (Instant::now(), Duration::from_secs_f64(seconds));
    let mut times = Vec::new();
    while times.len() < at_least || start.elapsed() < limit {
        let start = Instant::now();
        run();
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    times
}

fn main() -> Result<(), Box<dyn Error>> {
    let Arguments { case, folder, seconds } = Arguments::parse();
    let place = folder.join(case.to_string());
    let data = files::read(&place.join("reference.safetensors"))?;
    let mut contender = case.contender(&folder, &data)?;

    let first = contender.run()?;
    let first_s = process::age()?;
    let outputs = contender.outputs(first, &data)?;

    let mut result = Ok(());
    let mut run = || result = contender.run().map(|_| ());
    times(&mut run, 2, seconds.min(1.0)); // these do not count
    let mut times = times(&mut run, 10, seconds);
    result?;
    let peak_mib = process::peak_mib()?;

    times.sort_by(f64::total_cmp);
    let last = times.len() - 1;
    files::write(&place.join("output-ours.safetensors"), &outputs)?;
    let line = serde_json::json!({
        "contender": "ours",
        "version": format!("ddm {}, burn flex", env!("CARGO_PKG_VERSION")),
        "case": case.to_string(),
        "iterations": times.len(),
        "median_ms": 0.5 * (times[last / 2] + times[last.div_ceil(2)]),
        "min_ms": times[0],
        "p90_ms": times[9 * last / 10],
        "peak_mib": peak_mib,
        "first_s": first_s,
        "error": files::error(&outputs, &data),
    });
    println!("{line}");
    Ok(())
}
