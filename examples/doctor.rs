//! Is this device right? Every operation of our networks, compared with the CPU.
//!
//! `cargo run --release --features ddm-examples/vulkan --example doctor -- --device vulkan`

use std::error::Error;
use std::process::ExitCode;

use clap::Parser;
use ddm_examples::device::parse_device;
use ddm_testkit::device::{Check, operations, report};

/// What can be done about a wrong device.
const ADVICE: &str = "\
What to try, one at a time, each time with this program:
1. Another backend of the same GPU: vulkan, metal, cuda, rocm, or wgpu compiled without vulkan, which
   goes through WGSL.
2. BURN_FUSION_MAX_EXPLORATIONS=0, which switches burn's kernel fusion off.
3. CUBECL_AUTOTUNE_CACHE=0, which tunes anew. Otherwise the autotuner's picks of earlier runs are
   taken from target/environment, beside the outermost Cargo.toml above the working folder (from the
   user's cache where there is none). Deleting that folder clears them.
4. A newer driver.
Until all is right, compute on flex. docs/devices.md says what is known.";

/// Compares a device with a reference, and exits with 1 if an operation is wrong.
#[derive(Parser)]
struct Args {
    /// The device to check: flex, ndarray, vulkan, … (those compiled in).
    #[arg(long, default_value = "flex")]
    device: String,
    /// The device that is taken to be right.
    #[arg(long, default_value = "flex")]
    reference: String,
    /// Only operations whose name and shapes contain this text.
    #[arg(long, default_value = "")]
    only: String,
    /// Selects the shapes of the random operations.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Holds every operation to this error instead of its own; 1e-5 shows where f32 is rounded.
    #[arg(long)]
    tolerance: Option<f64>,
    /// Prints only what is wrong.
    #[arg(long)]
    quiet: bool,
}

fn main() -> ExitCode {
    ddm_examples::cli::run(run)
}

fn run() -> Result<ExitCode, Box<dyn Error>> {
    let args = Args::parse();
    let (device, reference) = (parse_device(&args.device)?, parse_device(&args.reference)?);
    println!(
        "{} compared with {}; errors are relative to the largest value",
        args.device, args.reference
    );
    println!("\n{:5} {:>8} {:>10} {:>10} {:>7}  operation", "", "error", "ms", "ms there", "speed");
    let operations = operations(args.seed).into_iter();
    let chosen = operations.filter(|operation| operation.to_string().contains(&args.only));
    let (mut count, mut wrong) = (0, 0);
    for mut check in report(chosen, &device, &reference) {
        check.tolerance = args.tolerance.unwrap_or(check.tolerance);
        count += 1;
        wrong += usize::from(!check.is_right());
        if !(args.quiet && check.is_right()) {
            println!("{}", row(&check));
        }
    }
    println!("\n{count} checks, {wrong} wrong");
    if count == 0 {
        return Err(format!("no operation contains {:?}", args.only).into());
    }
    if wrong == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    println!("\n{ADVICE}");
    Ok(ExitCode::FAILURE)
}

/// Returns a row of the table: the times, and the speed relative to the reference's.
fn row(check: &Check) -> String {
    let verdict = if check.is_right() { "right" } else { "WRONG" };
    let speed = check.reference_seconds / check.seconds;
    let (here, there) = (1e3 * check.seconds, 1e3 * check.reference_seconds);
    let fault = check.fault.iter().map(|fault| format!(": {fault}")).collect::<String>();
    let error = check.error;
    format!("{verdict} {error:>8.1e} {here:>10.3} {there:>10.3} {speed:>7.2}  {check}{fault}")
}
