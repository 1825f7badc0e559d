//! The exact denoiser of a mixture of Gaussians.

use burn::tensor::{Tensor, TensorData, activation::softmax};
use ddm_denoiser::{Denoiser, ModelError};
use ddm_schedule::NoiseLevel;

/// The exact denoiser of data from isotropic Gaussians, `x₀ ~ Σ_k w_k N(μ_k, s_k² I)`, for x of
/// shape `[batch, dim]`. With `v_k = α² s_k² + σ²`:
///
/// ```text
/// r_k = softmax_k( ln w_k − dim/2 ln v_k − |x − α μ_k|²/(2 v_k) )
/// E[x₀ | x] = Σ_k r_k ( μ_k + α s_k²/v_k · (x − α μ_k) )
/// ```
///
/// Any point cloud is one, with s_k = 0 (a kernel density with s_k > 0): then this is what a
/// network that knows its training set by heart would answer. Distances are taken of differences
/// and the exponentials in a softmax, so that far components vanish instead of overflowing.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use ddm_denoiser::Denoiser;
/// use ddm_schedule::NoiseLevel;
/// use ddm_testkit::GaussianMixture;
/// let points = GaussianMixture::new([vec![-1.0, 0.0], vec![1.0, 0.0]], [0.0, 0.0], [1.0, 1.0])?;
/// let at = NoiseLevel { t: 1.0, alpha: 1.0, sigma: 0.01 };
/// let x = Tensor::<2>::from_floats([[0.9, 0.1]], &Device::flex());
/// let x0 = points.denoise(x, at); // all but surely the second point
/// assert!(x0.all_close(Tensor::from_floats([[1.0, 0.0]], &Device::flex()), None, None));
/// # Ok::<(), ddm_denoiser::ModelError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct GaussianMixture {
    means: Vec<Vec<f64>>,
    stds: Vec<f64>,
    weights: Vec<f64>,
}

impl GaussianMixture {
    /// Of means μ_k (all of one dimension), standard deviations s_k ≥ 0 and weights w_k > 0, which
    /// need not sum to 1.
    pub fn new(
        means: impl IntoIterator<Item = Vec<f64>>,
        stds: impl IntoIterator<Item = f64>,
        weights: impl IntoIterator<Item = f64>,
    ) -> Result<Self, ModelError> {
        let means: Vec<Vec<f64>> = means.into_iter().collect();
        let (stds, weights): (Vec<_>, Vec<_>) =
            (stds.into_iter().collect(), weights.into_iter().collect());
        let dim = means.first().map_or(0, Vec::len);
        ModelError::require_batch("the mixture's stds", stds.len(), means.len())?;
        ModelError::require_batch("the mixture's weights", weights.len(), means.len())?;
        let setting = |what, found, allowed| Err(ModelError::Setting { what, found, allowed });
        if dim == 0 {
            return setting("the mixture's dimension", 0.0, "at least 1, of at least 1 mean");
        }
        if let Some(mean) = means.iter().find(|mean| mean.len() != dim) {
            return setting("a mean's dimension", mean.len() as f64, "that of the first mean");
        }
        if let Some(&value) = means.iter().flatten().find(|value| !value.is_finite()) {
            return setting("a mean", value, "finite");
        }
        if let Some(&std) = stds.iter().find(|std| !(std.is_finite() && **std >= 0.0)) {
            return setting("a std", std, "finite and at least 0");
        }
        if let Some(&weight) = weights.iter().find(|w| !(w.is_finite() && **w > 0.0)) {
            return setting("a weight", weight, "finite and above 0");
        }
        Ok(Self { means, stds, weights })
    }

    /// Number of elements of a sample.
    pub fn dim(&self) -> usize {
        self.means[0].len()
    }
}

impl Denoiser<2> for GaussianMixture {
    fn denoise(&self, x: Tensor<2>, at: NoiseLevel) -> Tensor<2> {
        let (components, dim) = (self.means.len(), self.dim());
        let options = (&x.device(), x.dtype());
        let per_component = |value: &dyn Fn(f64, f64) -> f64| {
            let values: Vec<f64> =
                self.stds.iter().zip(&self.weights).map(|(&std, &w)| value(std, w)).collect();
            Tensor::<3>::from_data(TensorData::new(values, [1, components, 1]), options)
        };
        // At sigma = 0 a point has no variance at all: keep it above 0.
        let v = |std: f64| ((at.alpha * std).powi(2) + at.sigma.powi(2)).max(1e-20);
        let log_prior = per_component(&|std, w| w.ln() - 0.5 * dim as f64 * v(std).ln());
        let precision = per_component(&|std, _| 0.5 / v(std));
        let gain = per_component(&|std, _| at.alpha * std * std / v(std));

        let flat: Vec<f64> = self.means.iter().flatten().copied().collect();
        let means = Tensor::<3>::from_data(TensorData::new(flat, [1, components, dim]), options);
        let away = x.unsqueeze_dim::<3>(1) - means.clone() * at.alpha; // [batch, k, dim]
        let logits = log_prior - away.clone().square().sum_dim(2) * precision;
        let x0 = (means + away * gain) * softmax(logits, 1);
        x0.sum_dim(1).squeeze_dim(1)
    }

    fn check(&self, shape: [usize; 2], _: NoiseLevel) -> Result<(), ModelError> {
        if shape[1] == self.dim() {
            return Ok(());
        }
        let (found, expected) = (shape[1].to_string(), self.dim().to_string());
        Err(ModelError::Shape { what: "the dimension of x", found, expected })
    }
}
