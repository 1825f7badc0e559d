//! The classifier that judges samples of clothes: trains it and writes its weights.
//!
//! `cargo run --release --example fashion_classifier` made `examples/assets/fashion-classifier.safetensors`.

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use ddm_core::data::{FASHION_MNIST, Idx, Source, Split};
use ddm_core::weights::save;
use ddm_examples::clothes::{ClothesClassifier, some};
use ddm_examples::device::parse_device;
use ddm_examples::quality::Reader;

/// Trains a small classifier on Fashion-MNIST.
#[derive(Parser)]
struct Args {
    /// The folder with the IDX files, gzipped or not.
    #[arg(long, default_value = FASHION_MNIST)]
    data: PathBuf,
    /// Passes over the data.
    #[arg(long, default_value_t = 15)]
    epochs: usize,
    /// The seed.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The device: flex, ndarray, vulkan, … (those compiled in).
    #[arg(long, default_value = "flex")]
    device: String,
    /// The file to write.
    #[arg(long, default_value = "out/fashion-classifier.safetensors")]
    out: PathBuf,
}

fn main() -> ExitCode {
    ddm_examples::cli::run(run)
}

fn run() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let device = parse_device(&args.device)?;
    let clothes = Idx::open(&args.data, Split::Train)?;
    let test = Idx::open(&args.data, Split::Test)?;
    device.seed(args.seed);
    let classifier = ClothesClassifier::trained_on(&clothes, args.epochs, args.seed, &device)?;
    let test = some(&test, 0, test.len(), &device)?;
    let right = classifier.share_right(test.images, test.labels);
    println!("reads {:.1} % of the test images right", 100.0 * right);
    if let Some(folder) = args.out.parent() {
        ddm_examples::output::create_folder(folder)?;
    }
    save(&classifier, &args.out)?;
    println!("written to {}", args.out.display());
    Ok(())
}
