//! The sliced Wasserstein distance between two sets of points.

use std::cmp::Ordering;

use ddm_noise::HostNoise;
use ddm_schedule::Invalid;
use rand::RngExt;
use rand_distr::StandardNormal;
use rayon::prelude::*;

use crate::pairs::dot;
use crate::{Features, QualityError};

/// The sliced Wasserstein distance: the sets are projected on random directions, where the optimal
/// transport pairs the points in order.
///
/// `SW_p(a, b)ᵖ = mean over θ of ∫₀¹ |F_θ⁻¹(q) − G_θ⁻¹(q)|ᵖ dq`, with F_θ, G_θ the distributions of θᵀx
/// and θᵀy. In one dimension it is the Wasserstein distance; in d dimensions, sets that differ by a
/// shift δ have the distance `‖δ‖/√d` at p = 2, in expectation of its square over the directions.
///
/// Source: Bonneel et al., *Sliced and Radon Wasserstein Barycenters of Measures*, Journal of
/// Mathematical Imaging and Vision 51 (2015); Kolouri et al., *Generalized Sliced Wasserstein
/// Distances*, arXiv 1902.00434.
///
/// ```
/// use ddm_quality::{Features, SlicedWasserstein};
/// let one = Features::from_values(3, 1, vec![0.0, 1.0, 2.0])?;
/// let shifted = Features::from_values(3, 1, vec![7.0, 5.0, 6.0])?;
/// let distance = SlicedWasserstein::default().between(&one, &shifted)?;
/// assert!((distance - 5.0).abs() < 1e-12);
/// # Ok::<(), ddm_quality::QualityError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SlicedWasserstein {
    /// The number of directions. More directions give less variance between seeds.
    pub directions: usize,
    /// p, from 1 to 8: 1 is the earth mover's distance, 2 the usual choice.
    pub order: f64,
    /// The same seed gives the same directions.
    pub seed: u64,
}

impl Default for SlicedWasserstein {
    /// 256 directions, order 2.
    fn default() -> Self {
        Self { directions: 256, order: 2.0, seed: 0 }
    }
}

impl SlicedWasserstein {
    /// Returns the distance of two sets, which may have different numbers of rows.
    ///
    /// # Errors
    ///
    /// Returns [`QualityError::Widths`] if the widths differ, and [`QualityError::Invalid`] if there
    /// are no directions or the order is not from 1 to 8.
    pub fn between(&self, a: &Features, b: &Features) -> Result<f64, QualityError> {
        let Self { directions, order, seed } = *self;
        QualityError::require_widths(a.width(), b.width())?;
        let name = "the number of directions";
        Invalid::require(directions > 0, name, directions as f64, "1 or more")?;
        let allowed = (1.0..=8.0).contains(&order);
        Invalid::require(allowed, "the order of the distance", order, "from 1 to 8")?;
        let noise = HostNoise::new(seed).fork("directions of the sliced Wasserstein distance");
        let costs = (0..directions).into_par_iter().map(|index| {
            let direction = direction(&noise, index, a.width());
            cost(&projected(a, &direction), &projected(b, &direction), order)
        });
        // In order, so that the sum does not depend on the threads.
        let costs: Vec<f64> = costs.collect();
        Ok((costs.iter().sum::<f64>() / directions as f64).powf(1.0 / order))
    }
}

/// Returns a direction, uniform on the unit sphere.
fn direction(noise: &HostNoise, index: usize, width: usize) -> Vec<f64> {
    let rngs = noise.clone().starting_at(index as u64).rngs(1);
    let mut direction: Vec<f64> =
        rngs.flat_map(|rng| rng.sample_iter(StandardNormal).take(width)).collect();
    let norm = dot(&direction, &direction).sqrt().max(f64::MIN_POSITIVE);
    direction.iter_mut().for_each(|part| *part /= norm);
    direction
}

/// Returns θᵀx for all rows, in ascending order.
fn projected(set: &Features, direction: &[f64]) -> Vec<f64> {
    let mut values: Vec<f64> = set.iter().map(|row| dot(row, direction)).collect();
    values.sort_unstable_by(f64::total_cmp);
    values
}

/// Returns ∫ |F⁻¹ − G⁻¹|ᵖ of two sorted sets: both are steps, of width 1/n and 1/m.
fn cost(xs: &[f64], ys: &[f64], order: f64) -> f64 {
    let (n, m) = (xs.len() as u128, ys.len() as u128);
    let (mut i, mut j, mut sum) = (0, 0, 0.0);
    // Quantiles in units of 1/(n m), which are exact.
    let mut from = 0;
    while let (Some(x), Some(y)) = (xs.get(i), ys.get(j)) {
        let (end_x, end_y) = ((i as u128 + 1) * m, (j as u128 + 1) * n);
        let to = end_x.min(end_y);
        sum += (to - from) as f64 * (x - y).abs().powf(order);
        from = to;
        let ends = end_x.cmp(&end_y);
        i += usize::from(ends != Ordering::Greater);
        j += usize::from(ends != Ordering::Less);
    }
    sum / (n as f64 * m as f64)
}
