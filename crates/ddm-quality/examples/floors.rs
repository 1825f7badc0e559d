//! The floors in the README: what the measures say of two sets of one distribution, and their time.
//!
//! `cargo run --release -p ddm-quality --example floors`
//!
//! Two independent draws of N(0, I) in 64 dimensions, in sets of 300 to 10,000 rows.

use std::error::Error;
use std::time::Instant;

use burn::tensor::{Device, Tensor};
use ddm_noise::{HostNoise, NoiseSource};
use ddm_quality::{
    Features, KernelDistance, SlicedWasserstein, Support, energy_distance, frechet_distance,
};

/// The features of a row.
const WIDTH: usize = 64;

fn main() -> Result<(), Box<dyn Error>> {
    let device = Device::flex();
    println!(
        "| rows | Fréchet | kernel | precision | recall | density | coverage | sliced W₂ | energy |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    let mut times = Vec::new();
    for rows in [300, 1000, 3000, 10_000] {
        let draw = |seed| -> Tensor<2> { HostNoise::new(seed).draw([rows, WIDTH], &device) };
        let (a, b) = (Features::new(draw(1))?, Features::new(draw(2))?);
        let mut clock = Instant::now();
        let mut seconds = Vec::new();
        let mut lap = || {
            seconds.push(format!("{:.2}", clock.elapsed().as_secs_f64()));
            clock = Instant::now();
        };
        let frechet = frechet_distance(&a, &b)?;
        lap();
        let subsets = KernelDistance { subsets: 50, size: rows / 10, seed: 0 };
        let kernel = subsets.between(&a, &b)?;
        lap();
        let Support { precision, recall, density, coverage } = Support::of(&a, &b, 5)?;
        lap();
        let sliced = SlicedWasserstein::default().between(&a, &b)?;
        lap();
        let energy = energy_distance(&a, &b)?;
        lap();
        println!(
            "| {rows} | {frechet:.3} | {:.4} ± {:.4} | {precision:.3} | {recall:.3} | {density:.3} | \
             {coverage:.3} | {sliced:.4} | {energy:.5} |",
            kernel.mean, kernel.standard_error,
        );
        times.push(format!("| {rows} | {} |", seconds.join(" | ")));
    }
    println!(
        "\n| rows | Fréchet, s | kernel | support | sliced W₂ | energy |\n|---|---|---|---|---|---|"
    );
    println!("{}", times.join("\n"));
    Ok(())
}
