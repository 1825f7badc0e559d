//! The terms of the variational bound, used by the hybrid loss and by likelihoods.

use std::f64::consts::SQRT_2;

use burn::tensor::{Bool, Tensor, TensorData};
use ddm_schedule::{Invalid, NoiseSchedule, kernel};

use crate::{ModelError, column};

/// The rows of a β table that the variational bound uses, one per sample: the mean of the posterior
/// `q(x_{i−1} | x_i, x₀)`, and the two variances between which a model may interpolate.
///
/// ```text
/// L_i = KL(q(x_{i−1} | x_i, x₀) ‖ N(μ(x_i, x̂₀), β^v β̃^(1−v))),    at row 0: −ln P(x₀'s bin)
/// ```
///
/// Source: Ho et al., *Denoising Diffusion Probabilistic Models*, eq. 5–8 and 13,
/// arXiv 2006.11239; Nichol & Dhariwal, *Improved Denoising Diffusion Probabilistic Models*,
/// eq. 15, arXiv 2102.09672.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use ddm_denoiser::ChainRows;
/// use ddm_schedule::BetaTable;
/// let x0 = Tensor::<2>::zeros([2, 3], &Device::flex());
/// let rows = ChainRows::new(&BetaTable::default(), &[5, 900], &x0)?;
/// let posterior = rows.log_variance(x0.clone()); // v = 0: the posterior's own variance
/// assert_eq!(rows.nats(x0.clone(), x0, posterior).sum().into_scalar::<f32>(), 0.0);
/// # Ok::<(), ddm_denoiser::ModelError>(())
/// ```
#[derive(Clone, Debug)]
pub struct ChainRows<const D: usize> {
    /// Factor of x₀ in the mean of the posterior.
    mean: Tensor<D>,
    log_small: Tensor<D>,
    log_large: Tensor<D>,
    is_first: Tensor<D, Bool>,
}

impl<const D: usize> ChainRows<D> {
    /// Creates the terms of rows 0 … T − 1, one per sample or one for all samples, with the device
    /// and float type of x.
    ///
    /// # Errors
    /// Returns an error if the schedule is not a table of at least 2 steps, if a row lies outside
    /// it, or if the number of rows is neither the batch size nor 1.
    pub fn new(
        schedule: &dyn NoiseSchedule,
        rows: &[usize],
        x: &Tensor<D>,
    ) -> Result<Self, ModelError> {
        let steps = ModelError::require_table(schedule)?;
        if rows.len() != 1 {
            ModelError::require_batch("the rows", rows.len(), x.dims()[0])?;
        }
        let last = rows.iter().copied().max().unwrap_or(0);
        Invalid::require(last < steps, "row", last as f64, "a row of the table, below T")?;

        let level = |row: usize| schedule.level(row as f64 / steps as f64);
        let column = |of: &dyn Fn(usize) -> f64| column(x, rows.iter().map(|&row| of(row)));
        // At row 0 the posterior has no variance; row 1's stands in, as in the paper's program.
        let small = |row: usize| {
            let row = row.max(1);
            2.0 * kernel::ddim_std(level(row + 1), level(row), 1.0).ln()
        };
        let large = |row: usize| 2.0 * kernel::forward(level(row), level(row + 1)).noise.ln();
        let mean = |row: usize| {
            let (from, to) = (level(row + 1), level(row));
            kernel::reverse(from, to, kernel::ddim_std(from, to, 1.0)).x0
        };
        let mut broadcast = [1; D];
        broadcast[0] = rows.len();
        let first: Vec<bool> = rows.iter().map(|&row| row == 0).collect();
        Ok(Self {
            mean: column(&mean),
            log_small: column(&small),
            log_large: column(&large),
            is_first: Tensor::from_data(TensorData::new(first, broadcast), &x.device()),
        })
    }

    /// Returns `ln β^v β̃^(1−v)`: the posterior's variance at v = 0, the chain's at v = 1.
    pub fn log_variance(&self, v: Tensor<D>) -> Tensor<D> {
        v.clone() * self.log_large.clone() + (v.neg() + 1.0) * self.log_small.clone()
    }

    /// Returns the terms of the bound in nats, one per element of x₀. The steps have the mean of
    /// the posterior at the prediction x̂₀. Row 0 uses 256 bins, centred on k/127.5 − 1.
    pub fn nats(&self, x0: Tensor<D>, prediction: Tensor<D>, log_variance: Tensor<D>) -> Tensor<D> {
        let difference = (x0.clone() - prediction.clone()) * self.mean.clone();
        let ratio = self.log_small.clone() - log_variance.clone();
        let kl = (difference.square() * log_variance.clone().neg().exp() + ratio.clone().exp()
            - ratio
            - 1.0)
            * 0.5;
        let own_bin = -log_bin(x0, prediction, (log_variance * 0.5).exp());
        let first = self.is_first.clone().expand(kl.dims());
        kl.mask_where(first, own_bin)
    }
}

impl ModelError {
    /// Returns the number of rows T of a schedule that is a β table.
    ///
    /// # Errors
    /// Returns an error if the schedule has no table, or one of fewer than 2 rows.
    pub fn require_table(schedule: &dyn NoiseSchedule) -> Result<usize, Self> {
        let steps = schedule.steps().unwrap_or(0);
        let allowed = "at least 2, since the bound requires a beta table";
        Invalid::require(steps >= 2, "the schedule's number of steps", steps as f64, allowed)?;
        Ok(steps)
    }
}

/// `ln P(x₀'s bin)` under N(mean, std²) for 256 bins, centred on k/127.5 − 1. The outermost bins
/// extend to ±∞.
fn log_bin<const D: usize>(x0: Tensor<D>, mean: Tensor<D>, std: Tensor<D>) -> Tensor<D> {
    let half = 1.0 / 255.0;
    let below = |edge: Tensor<D>| ((edge - mean.clone()) / std.clone() / SQRT_2).erf() * 0.5 + 0.5;
    let upper = below(x0.clone() + half);
    let lower = below(x0.clone() - half);
    let upper = upper.mask_fill(x0.clone().greater_elem(0.999), 1.0);
    let lower = lower.mask_fill(x0.lower_elem(-0.999), 0.0);
    (upper - lower).clamp_min(1e-12).log()
}
