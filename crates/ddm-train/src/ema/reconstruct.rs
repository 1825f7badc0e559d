//! Averages of any width, computed after training.

use burn::module::Module;
use ddm_schedule::Invalid;

use super::{Combine, Ema, PowerDecay, Weights};
use crate::TrainError;

/// Computes the average of width `target` after `updates` updates, from saved averages of the same
/// training.
///
/// An average has the profile `p(τ) = (γ + 1) τ^γ / t^(γ + 1)`, 0 ≤ τ ≤ t: the coefficient of the
/// weights of update τ. The result is the combination `Σ xᵢ θ̄ᵢ`, `Σ xᵢ = 1`, whose profile is the
/// least-squares fit of the target's:
///
/// ```text
/// min_x ‖p_target − Σ xᵢ pᵢ‖²,    ⟨pᵢ, pⱼ⟩ = (γᵢ+1)(γⱼ+1)/(γᵢ+γⱼ+1) · m^(γᵢ+γⱼ+1)/(tᵢ^(γᵢ+1) tⱼ^(γⱼ+1))
/// ```
///
/// with `m = min(tᵢ, tⱼ)`. Save averages of two widths (0.05 and 0.10) every few percent of the
/// training. Source: Karras et al., *Analyzing and Improving the Training Dynamics of Diffusion
/// Models*, sec. 3.2 and algorithm 3, arXiv 2312.02696; the paper does not require
/// `Σ xᵢ = 1`, which preserves constant weights.
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::tensor::Device;
/// use ddm_train::{Ema, PowerDecay, reconstruct};
/// let network = LinearConfig::new(2, 2).init(&Device::flex());
/// let mut averages = [0.05, 0.10].map(|width| Ema::new(&network, PowerDecay::from_width(width)?));
/// let mut saved = Vec::new();
/// for average in &mut averages {
///     let average = average.as_mut().map_err(|error| error.clone())?;
///     for _ in 0..3 {
///         average.update(&network)?;
///         saved.push(average.clone());
///     }
/// }
/// let network = reconstruct(&saved, PowerDecay::from_width(0.07)?, 3)?;
/// # Ok::<(), ddm_train::TrainError>(())
/// ```
///
/// # Errors
///
/// Returns an error if there are no averages, an average has no updates, no average has reached
/// `updates`, or the architectures differ.
pub fn reconstruct<M: Module>(
    averages: &[Ema<M, PowerDecay>],
    target: PowerDecay,
    updates: usize,
) -> Result<M, TrainError> {
    let [base, others @ ..] = averages else {
        let allowed = "at least 1";
        Err(Invalid { name: "the number of averages", value: 0.0, allowed })?
    };
    let counts = averages.iter().map(Ema::updates);
    let (first, last) = (counts.clone().min().unwrap_or(0), counts.max().unwrap_or(0));
    Invalid::require(first > 0, "updates of an average", first as f64, "at least 1")?;
    let holds = (1..=last).contains(&updates);
    Invalid::require(
        holds,
        "updates",
        updates as f64,
        "from 1 to the updates of the last average",
    )?;

    let profile = |ema: &Ema<M, PowerDecay>| Profile::new(ema.decay, ema.updates);
    let (origin, profiles) = (profile(base), others.iter().map(profile).collect::<Vec<_>>());
    let rates = fit(&origin, &profiles, &Profile::new(target, updates));

    let weights = Weights::of(&base.average);
    let mut moves = Vec::new();
    for (other, rate) in others.iter().zip(rates) {
        let other = Weights::of(&other.average);
        weights.require_same(&other)?;
        moves.push((rate, other));
    }
    let mut combine = Combine { origin: weights, others: moves, path: vec![] };
    Ok(base.average.clone().map(&mut combine))
}

/// The profile of an average: the coefficients of the weights of each update.
struct Profile {
    gamma: f64,
    /// ln t.
    end: f64,
}

impl Profile {
    fn new(decay: PowerDecay, updates: usize) -> Self {
        Self { gamma: decay.gamma(), end: (updates as f64).ln() }
    }

    /// Returns `⟨p, q⟩`, in logarithms since the powers of t overflow.
    fn dot(&self, other: &Self) -> f64 {
        let (a, b) = (self.gamma + 1.0, other.gamma + 1.0);
        let sum = a + b - 1.0;
        let ln = sum * self.end.min(other.end) - a * self.end - b * other.end;
        a * b / sum * ln.exp()
    }
}

/// Returns the xᵢ with the least `‖target − origin − Σ xᵢ (pᵢ − origin)‖²`.
fn fit(origin: &Profile, profiles: &[Profile], target: &Profile) -> Vec<f64> {
    let norm = origin.dot(origin);
    let dot = |a: &Profile, b: &Profile| a.dot(b) - a.dot(origin) - b.dot(origin) + norm;
    let row = |a| profiles.iter().chain([target]).map(|b| dot(a, b)).collect();
    solve(profiles.iter().map(row).collect())
}

/// Solves the normal equations `[A | b]` by elimination with the largest pivot first. An unknown
/// whose pivot is below rounding depends on the others, and is set to 0.
fn solve(mut rows: Vec<Vec<f64>>) -> Vec<f64> {
    let n = rows.len();
    let scale: Vec<f64> = (0..n).map(|i| rows[i][i]).collect();
    let mut left: Vec<usize> = (0..n).collect();
    let mut solution = vec![0.0; n];
    while !left.is_empty() {
        let share = |&i: &usize| rows[i][i] / scale[i];
        let largest = (0..left.len()).max_by(|&a, &b| share(&left[a]).total_cmp(&share(&left[b])));
        let Some(pivot) = largest.map(|at| left[at]).filter(|i| share(i) > 1e-10) else { break };
        left.retain(|&i| i != pivot);
        let factor = rows[pivot][pivot];
        let row: Vec<f64> = rows[pivot].iter().map(|value| value / factor).collect();
        for other in &mut rows {
            let factor = other[pivot];
            other.iter_mut().zip(&row).for_each(|(value, of_row)| *value -= factor * of_row);
        }
        rows[pivot] = row;
    }
    for i in (0..n).filter(|i| !left.contains(i)) {
        solution[i] = rows[i][n];
    }
    solution
}
