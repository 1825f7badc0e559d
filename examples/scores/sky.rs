//! The data: a sun and a moon of known density.

use std::f64::consts::TAU;

use ddm_core::prelude::*;
use ddm_testkit::GaussianMixture;

/// Names of the classes.
pub(crate) const CLASSES: [&str; 2] = ["sun", "moon"];

/// A disc with eight rays and a crescent, as mixtures of Gaussians.
pub(crate) struct Sky {
    /// Both, equally likely.
    pub(crate) whole: GaussianMixture,
    /// Each alone, in the order of [`CLASSES`].
    pub(crate) parts: Vec<GaussianMixture>,
}

impl Sky {
    pub(crate) fn new() -> Result<Self, ModelError> {
        let ray = |k: i32| (on_circle([-0.75, 0.45], 0.72, f64::from(k) / 8.0), 0.07, 0.06);
        let sun = std::iter::once((vec![-0.75, 0.45], 0.2, 0.52)).chain((0..8).map(ray));
        // Thick in the middle, thin at the tips, which point past the sun.
        let bead = |k: i32| {
            let along = f64::from(k) / 10.0;
            let thick = (0.25 * TAU * along).cos();
            (on_circle([0.1, -0.2], 1.25, 0.22 * along - 0.07), 0.045 + 0.1 * thick, 0.02 + thick)
        };
        let moon: Vec<_> = (-10..=10).map(bead).collect();
        let all: f64 = moon.iter().map(|(_, _, weight)| weight).sum();
        let moon = moon.into_iter().map(|(mean, std, weight)| (mean, std, weight / all));

        let classed = sun.map(|bead| (bead, 0)).chain(moon.map(|bead| (bead, 1)));
        let (beads, classes): (Vec<_>, Vec<_>) = classed.unzip();
        let (means, stds, weights) = beads.into_iter().collect::<(Vec<_>, Vec<_>, Vec<_>)>();
        let whole = GaussianMixture::new(means, stds, weights)?.with_classes(classes)?;
        let parts = (0..CLASSES.len()).map(|class| whole.of_class(class)).collect::<Result<_, _>>();
        Ok(Self { parts: parts?, whole })
    }
}

/// Returns the point of a circle at `turn` turns from the east.
fn on_circle(centre: [f64; 2], radius: f64, turn: f64) -> Vec<f64> {
    let (sin, cos) = (TAU * turn).sin_cos();
    vec![centre[0] + radius * cos, centre[1] + radius * sin]
}
