//! The score as a field of arrows over the density.

use std::error::Error;
use std::path::Path;

use ddm_core::prelude::*;
use ddm_core::score::{ScoreError, score_of};
use ddm_examples::output::write_png;
use ddm_examples::plots::{Layer, Panel, lattice, palette, panels};
use ddm_examples::tensors::{from_points, points};

use crate::density::{Cells, EXTENT, peak, shades};
use crate::learning::Learned;
use crate::sky::Sky;

/// Arrows along a side.
pub(crate) const ARROWS: usize = 19;
/// The noise levels of the pictures, falling.
const SIGMAS: [f64; 3] = [0.8, 0.3, 0.1];

/// Feet, and one vector per foot.
pub(crate) type Arrows = (Vec<[f32; 2]>, Vec<[f32; 2]>);

/// Returns the scores of a model at a level.
pub(crate) fn arrows(
    model: &impl Denoiser<2>,
    at: NoiseLevel,
    device: &Device,
) -> Result<Arrows, ScoreError> {
    let feet = lattice(ARROWS, EXTENT);
    let x = from_points(&feet, device);
    let score = score_of(x.clone(), model.denoise(x, at), at)?;
    Ok((feet, points(score)))
}

/// Draws the exact score and density above the learned ones.
pub(crate) fn draw(
    sky: &Sky,
    learned: &Learned,
    schedule: &VarianceExploding,
    cells: &Cells,
    path: &Path,
) -> Result<(), Box<dyn Error>> {
    let (model, device) = (learned.unprompted(), cells.x.device());
    let (mut exact, mut found) = (Vec::new(), Vec::new());
    for sigma in SIGMAS {
        let at = schedule.level_at(-sigma.ln());
        let of_data = cells.exact(&sky.whole, at);
        let top = peak(&of_data);
        let of_model = cells.learned(&model, schedule, at)?;
        let title = |whose| format!("{whose}, sigma = {sigma}");
        exact.push((title("exact"), shades(&of_data, top), arrows(&sky.whole, at, &device)?));
        found.push((title("learned"), shades(&of_model, top), arrows(&model, at, &device)?));
    }
    let pictures: Vec<Panel<'_>> = exact
        .iter()
        .chain(&found)
        .map(|(title, heat, (feet, score))| Panel {
            title,
            layers: vec![
                Layer::heat(heat, palette::BLUE),
                Layer::arrows(feet, score, palette::ORANGE),
            ],
        })
        .collect();
    Ok(write_png(path, &panels(&pictures, SIGMAS.len(), EXTENT))?)
}
