//! The log-density at each point: learned, by the probability flow, next to the exact one.

use std::error::Error;
use std::path::Path;

use ddm_core::prelude::*;
use ddm_examples::output::write_png;
use ddm_examples::plots::{Layer, Panel, palette, panels};
use ddm_examples::tensors::numbers;

use crate::density::{Cells, EXTENT, log_density, peak};
use crate::learning::Learned;
use crate::sky::Sky;

/// Depth of the colour scale below the peak, in nats.
const DEPTH: f32 = 10.0;
/// The difference in nats that has full colour.
const FAR: f32 = 1.0;
/// Data points for the mean difference.
const DATA: usize = 1000;

/// Draws ln p, exact and learned, on one scale, and their difference.
pub(crate) fn draw(
    sky: &Sky,
    learned: &Learned,
    schedule: &VarianceExploding,
    cells: &Cells,
    seed: u64,
    path: &Path,
) -> Result<(), Box<dyn Error>> {
    let (model, device, at) = (learned.unprompted(), cells.x.device(), schedule.level(0.0));
    let exact = cells.exact(&sky.whole, at);
    let found = cells.learned(&model, schedule, at)?;
    let top = peak(&exact);
    let matters = |value: f32| value > top - DEPTH;
    let apart: Vec<f32> = exact
        .iter()
        .zip(&found)
        .map(|(&exact, found)| if matters(exact) { (found - exact).abs() } else { f32::NAN })
        .collect();

    // Data with the little noise of this level.
    let mut noise = HostNoise::new(seed);
    let data = sky.whole.sample(DATA, &mut noise, &device);
    let data = data + noise.draw([DATA, 2], &device) * at.sigma;
    let of_data = numbers(sky.whole.log_density(data.clone(), at));
    let of_model = log_density(&model, schedule, data, at)?;
    println!("ln p by the probability flow, next to the exact one");
    let off: Vec<f32> = of_data.iter().zip(&of_model).map(|(a, b)| (a - b).abs()).collect();
    println!("  over {DATA} data points: {:.3} nats apart", mean(&off));
    println!("  their mean ln p: {:.3} and {:.3} nats", mean(&of_model), mean(&of_data));
    let on_cells: Vec<f32> = apart.iter().copied().filter(|value| !value.is_nan()).collect();
    println!("  over the cells above e^-{DEPTH} of the peak: {:.3} nats apart", mean(&on_cells));

    let shade = |values: &[f32]| -> Vec<f32> {
        values.iter().map(|value| 1.0 + (value - top) / DEPTH).collect()
    };
    let (exact, found) = (shade(&exact), shade(&found));
    let apart: Vec<f32> = apart.iter().map(|value| value / FAR).collect();
    let bottom = top - DEPTH;
    let titles = [
        format!("exact ln p, {bottom:.1} to {top:.1} nats"),
        "learned, the same scale".into(),
        format!("difference, 0 to {FAR:.0} nat"),
    ];
    let pictures = [(&exact, palette::BLUE), (&found, palette::BLUE), (&apart, palette::RED)];
    let pictures: Vec<Panel<'_>> = titles
        .iter()
        .zip(pictures)
        .map(|(title, (heat, colour))| Panel { title, layers: vec![Layer::heat(heat, colour)] })
        .collect();
    Ok(write_png(path, &panels(&pictures, 3, EXTENT))?)
}

fn mean(values: &[f32]) -> f32 {
    values.iter().sum::<f32>() / values.len() as f32
}
