//! The exact denoiser of Gaussian data.

use burn::tensor::{Tensor, TensorData};
use ddm_denoiser::{Denoised, Denoiser, ModelError, column, full_precision, sum_each};
use ddm_schedule::{Invalid, NoiseLevel};

/// The exact denoiser of data `x₀ ~ N(μ, s² I)`:
///
/// ```text
/// E[x₀ | x] = μ + α s² / (α² s² + σ²) · (x − α μ)
/// ```
///
/// With s = 0 the data is one point, and the denoiser predicts μ for every x. For Gaussian data
/// everything has a closed form: x at a level is `N(α μ, (α² s² + σ²) I)`,
/// and along the probability-flow ODE `(x − α μ)/√(α² s² + σ²)` is constant.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use ddm_denoiser::Denoiser;
/// use ddm_schedule::NoiseLevel;
/// use ddm_testkit::Gaussian;
/// let at = NoiseLevel { timestep: 500.0, alpha: 0.6, sigma: 0.8 };
/// let gaussian = Gaussian::new([0.0], 1.0)?;
/// let x0 = gaussian.denoise(Tensor::<2>::ones([2, 3], &Device::flex()), at);
/// assert!(x0.all_close(Tensor::full([2, 3], 0.6, &Device::flex()), None, None));
/// # Ok::<(), ddm_denoiser::ModelError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Gaussian {
    mean: Vec<f64>,
    std: f64,
}

impl Gaussian {
    /// Creates the denoiser of mean μ and standard deviation s ≥ 0. Element j of a sample has mean
    /// `mean[j % len]`, so a single value is the mean of all elements.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no mean, or a value is out of range.
    pub fn new(mean: impl IntoIterator<Item = f64>, std: f64) -> Result<Self, ModelError> {
        let mean: Vec<f64> = mean.into_iter().collect();
        let allowed = "finite and at least 0";
        if !(std.is_finite() && std >= 0.0) {
            return Err(Invalid { name: "the Gaussian's std", value: std, allowed }.into());
        }
        // An empty list is as invalid as a value that is not finite.
        let sum: f64 = if mean.is_empty() { f64::NAN } else { mean.iter().sum() };
        if !sum.is_finite() {
            let (what, allowed) = ("the sum of the Gaussian's means", "finite");
            return Err(Invalid { name: what, value: sum, allowed }.into());
        }
        Ok(Self { mean, std })
    }

    /// Returns the mean μ of element j of a sample.
    pub fn mean(&self, j: usize) -> f64 {
        self.mean[j % self.mean.len()]
    }

    /// Returns the standard deviation s.
    pub fn std(&self) -> f64 {
        self.std
    }

    /// Returns the standard deviation of x at a level, `√(α² s² + σ²)`.
    pub fn std_at(&self, at: NoiseLevel) -> f64 {
        (at.alpha * self.std).hypot(at.sigma)
    }

    /// Returns μ for x, as `[1, …]`.
    fn mean_like<const D: usize>(&self, x: &Tensor<D>) -> Tensor<D> {
        let mut shape = x.dims();
        shape[0] = 1;
        let means: Vec<f64> = (0..shape.iter().product()).map(|j| self.mean(j)).collect();
        Tensor::from_data(TensorData::new(means, shape), (&x.device(), x.dtype()))
    }

    /// Returns `ln p_t(x)` in nats, `[batch]`: the density `N(α μ, (α² s² + σ²) I)` of x at a
    /// level.
    pub fn log_density<const D: usize>(&self, x: Tensor<D>, at: NoiseLevel) -> Tensor<1> {
        let std = self.std_at(at);
        let elements = x.dims()[1..].iter().product::<usize>() as f64;
        let apart = (x.clone() - self.mean_like(&x) * at.alpha) / std;
        let log_peak = -elements * (0.5 * std::f64::consts::TAU.ln() + std.ln());
        sum_each(apart.square()) * -0.5 + log_peak
    }

    /// Returns the gain α s²/(α² s² + σ²) of the deviation of x from its mean.
    fn gain(&self, at: NoiseLevel) -> f64 {
        match self.std {
            0.0 => 0.0,
            std => at.alpha * (std / self.std_at(at)).powi(2),
        }
    }
}

impl<const D: usize> Denoiser<D> for Gaussian {
    fn predict_x0(&self, x: Tensor<D>, at: &[NoiseLevel]) -> Denoised<D> {
        let x = full_precision(x);
        let gain = column(&x, at.iter().map(|&at| self.gain(at)));
        let rest = column(&x, at.iter().map(|&at| 1.0 - self.gain(at) * at.alpha));
        let mean = self.mean_like(&x);
        (x * gain + mean * rest).into()
    }
}
