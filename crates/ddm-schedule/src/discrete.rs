//! The discrete chain of T steps, defined by its β table.

use serde::{Deserialize, Serialize};

use crate::geometric::row_at;
use crate::{NoiseSchedule, ScheduleError};

/// The discrete forward process of T steps: `x_{i} = √(1 − β_i) x_{i−1} + √β_i ε`, hence
/// `ᾱ_i = Π_{j ≤ i} (1 − β_j)`, `α = √ᾱ`, `σ = √(1 − ᾱ)`.
///
/// Row i (0 … T − 1, the network's timestep) lies at time t = (i + 1)/T, and the data itself at
/// t = 0. Between rows λ is linear in t, as in DPM-Solver and k-diffusion; if λ is infinite
/// at an end (data, or zero terminal SNR), the angle `atan2(σ, α)` is linear instead.
/// Products are accumulated in f64, the variance as `σ_i² = (1 − β_i) σ_{i−1}² + β_i`, which is
/// precise for small β. Source: Ho et al., *Denoising Diffusion Probabilistic Models*,
/// eq. 2–4, arXiv 2006.11239.
///
/// ```
/// use ddm_schedule::{BetaTable, NoiseSchedule};
/// let table = BetaTable::new([0.1, 0.2])?;
/// let (alpha, sigma) = table.alpha_sigma(1.0);
/// assert!((alpha * alpha - 0.72).abs() < 1e-15 && (sigma * sigma - 0.28).abs() < 1e-15);
/// assert_eq!(table.timestep(1.0), 1.0);
/// assert!(BetaTable::new([0.1, 1.0]).is_ok() && BetaTable::new([1.0, 0.1]).is_err());
/// assert!(BetaTable::new([0.1, 1.5]).unwrap_err().to_string().contains("beta[1] = 1.5"));
/// # Ok::<(), ddm_schedule::ScheduleError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<f64>", into = "Vec<f64>")]
pub struct BetaTable {
    betas: Vec<f64>,
    /// (α, σ) at the data and after each row: T + 1 pairs.
    nodes: Vec<(f64, f64)>,
}

impl BetaTable {
    /// Creates a table from βs in (0, 1); the last may also be 1, which leaves no signal.
    ///
    /// # Errors
    ///
    /// Returns [`ScheduleError::NoSteps`] for an empty table, [`ScheduleError::Beta`] if a β is out
    /// of range, and [`ScheduleError::NotFalling`] at a row where λ does not fall in `f64`: because
    /// β is below the rounding of ᾱ, or because ᾱ underflows to 0.
    ///
    /// ```
    /// use ddm_schedule::{BetaTable, NoiseSchedule};
    /// assert_eq!(BetaTable::new([1e-18])?.alpha_sigma(1.0), (1.0, 1e-9));
    /// let error = BetaTable::new([0.999; 120]).unwrap_err(); // ᾱ = 10⁻³⁶⁰ is 0 in f64
    /// assert!(error.to_string().contains("beta[107] = 0.999"));
    /// # Ok::<(), ddm_schedule::ScheduleError>(())
    /// ```
    pub fn new(betas: impl IntoIterator<Item = f64>) -> Result<Self, ScheduleError> {
        let betas: Vec<f64> = betas.into_iter().collect();
        if betas.is_empty() {
            return Err(ScheduleError::NoSteps);
        }
        let (mut alpha_bar, mut variance) = (1.0, 0.0);
        let mut node = (1.0, 0.0);
        let mut nodes = vec![node];
        for (step, &beta) in betas.iter().enumerate() {
            let no_signal_left = beta == 1.0 && step + 1 == betas.len();
            if !(beta > 0.0 && (beta < 1.0 || no_signal_left)) {
                return Err(ScheduleError::Beta { step, beta });
            }
            alpha_bar *= 1.0 - beta;
            variance = (1.0 - beta) * variance + beta;
            let before = lambda_of(node);
            node = (f64::sqrt(alpha_bar), f64::sqrt(variance));
            let after = lambda_of(node);
            let has_signal = alpha_bar > 0.0 || no_signal_left;
            if !(after < before && has_signal) {
                return Err(ScheduleError::NotFalling { step, beta, before, after });
            }
            nodes.push(node);
        }
        Ok(Self { betas, nodes })
    }

    /// Returns the βs, row by row.
    pub fn betas(&self) -> &[f64] {
        &self.betas
    }
}

/// The table of DDPM: 1000 linear steps from 1e-4 to 0.02.
impl Default for BetaTable {
    fn default() -> Self {
        let stride = (0.02 - 1e-4) / 999.0;
        match Self::new((0..1000).map(|i| 1e-4 + stride * f64::from(i))) {
            Ok(table) => table,
            Err(error) => unreachable!("the published table is valid: {error}"),
        }
    }
}

fn lambda_of((alpha, sigma): (f64, f64)) -> f64 {
    (alpha / sigma).ln()
}

fn angle_of((alpha, sigma): (f64, f64)) -> f64 {
    sigma.atan2(alpha)
}

/// Returns the variance-preserving (α, σ) at λ: `α² = 1/(1 + e^(−2λ))`.
fn preserving(lambda: f64) -> (f64, f64) {
    (1.0 / (1.0 + (-2.0 * lambda).exp()).sqrt(), 1.0 / (1.0 + (2.0 * lambda).exp()).sqrt())
}

impl NoiseSchedule for BetaTable {
    fn alpha_sigma(&self, t: f64) -> (f64, f64) {
        let place = t.clamp(0.0, 1.0) * self.betas.len() as f64;
        // (i + 1)/T · T can differ from an integer by one rounding; such a t is the row itself.
        let nearest = place.round();
        if (place - nearest).abs() < 1e-9 {
            return self.nodes[nearest as usize];
        }
        let (row, part) = (place.floor() as usize, place.fract());
        let (before, after) = (self.nodes[row], self.nodes[row + 1]);
        let (from, to) = (lambda_of(before), lambda_of(after));
        if from.is_finite() && to.is_finite() {
            preserving(from + part * (to - from))
        } else {
            let (from, to) = (angle_of(before), angle_of(after));
            let angle = from + part * (to - from);
            (angle.cos(), angle.sin())
        }
    }

    fn steps(&self) -> Option<usize> {
        Some(self.betas.len())
    }

    /// Returns the row of the table, `T t − 1`: an integer at the times of rows, and −1 at the
    /// data.
    fn timestep(&self, t: f64) -> f64 {
        row_at(t, self.betas.len())
    }

    /// The inverse of the interpolation in [`alpha_sigma`](NoiseSchedule::alpha_sigma).
    fn time_at(&self, lambda: f64) -> f64 {
        let above = self.nodes.partition_point(|&node| lambda_of(node) > lambda);
        if above == 0 {
            return 0.0;
        }
        let Some(&after) = self.nodes.get(above) else { return 1.0 };
        let before = self.nodes[above - 1];
        let (from, to) = (lambda_of(before), lambda_of(after));
        let part = if from.is_finite() && to.is_finite() {
            (lambda - from) / (to - from)
        } else {
            let (from, to) = (angle_of(before), angle_of(after));
            (angle_of(preserving(lambda)) - from) / (to - from)
        };
        ((above - 1) as f64 + part) / self.betas.len() as f64
    }
}

impl TryFrom<Vec<f64>> for BetaTable {
    type Error = ScheduleError;
    fn try_from(betas: Vec<f64>) -> Result<Self, ScheduleError> {
        Self::new(betas)
    }
}

impl From<BetaTable> for Vec<f64> {
    fn from(table: BetaTable) -> Self {
        table.betas
    }
}
