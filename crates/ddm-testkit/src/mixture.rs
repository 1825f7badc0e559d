//! The exact denoiser of a mixture of Gaussians.

use burn::tensor::{
    Device, Tensor, TensorData,
    activation::{log_softmax, softmax},
};
use ddm_denoiser::{Denoised, Denoiser, ModelError, full_precision};
use ddm_samplers::{HostNoise, NoiseSource};
use ddm_schedule::{Invalid, NoiseLevel};

/// The exact denoiser of a mixture of isotropic Gaussians, `x₀ ~ Σ_k w_k N(μ_k, s_k² I)`, for x of
/// shape `[batch, dim]`. With `v_k = α² s_k² + σ²`:
///
/// ```text
/// r_k = softmax_k( ln w_k − dim/2 ln v_k − |x − α μ_k|²/(2 v_k) )
/// E[x₀ | x] = Σ_k r_k ( μ_k + α s_k²/v_k · (x − α μ_k) )
/// ```
///
/// The density of x at any level is also known, and, if every component has a
/// [class](Self::with_classes), the density of a class and the probability of a class at x. They
/// are references for likelihoods and guidance. Distances are computed from differences and the
/// exponentials in a softmax, so that far components vanish instead of overflowing.
///
/// With s_k = 0 it is a point cloud, with s_k > 0 a kernel density. For images and other ranks the
/// ideal denoiser is [`FiniteData`](crate::FiniteData).
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use ddm_denoiser::Denoiser;
/// use ddm_schedule::NoiseLevel;
/// use ddm_testkit::GaussianMixture;
/// let points = GaussianMixture::new([vec![-1.0, 0.0], vec![1.0, 0.0]], [0.0, 0.0], [1.0, 1.0])?;
/// let at = NoiseLevel { timestep: 1.0, alpha: 1.0, sigma: 0.01 };
/// let x = Tensor::<2>::from_floats([[0.9, 0.1]], &Device::flex());
/// let x0 = points.denoise(x, at); // almost surely the second point
/// assert!(x0.all_close(Tensor::from_floats([[1.0, 0.0]], &Device::flex()), None, None));
/// # Ok::<(), ddm_denoiser::ModelError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct GaussianMixture {
    means: Vec<Vec<f64>>,
    stds: Vec<f64>,
    weights: Vec<f64>,
    classes: Vec<usize>,
}

/// The terms of the densities, at levels `[1 or batch]` and components k.
struct Components {
    /// `x − α μ_k`, `[batch, k, dim]`.
    away: Tensor<3>,
    /// `ln w_k N(x; α μ_k, v_k I)` with the weights as given, `[batch, k, 1]`.
    logits: Tensor<3>,
}

impl GaussianMixture {
    /// Creates the mixture from means μ_k (all of one dimension), standard deviations s_k ≥ 0 and
    /// weights w_k > 0, which need not sum to 1.
    ///
    /// # Errors
    ///
    /// Returns an error if the lengths or dimensions differ, or a value is out of range.
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
        let setting =
            |what, found, allowed| Err(Invalid { name: what, value: found, allowed }.into());
        if dim == 0 {
            return setting("the mixture's dimension", 0.0, "at least 1, with at least 1 mean");
        }
        if let Some(mean) = means.iter().find(|mean| mean.len() != dim) {
            return setting(
                "a mean's dimension",
                mean.len() as f64,
                "the dimension of the first mean",
            );
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
        let classes = vec![0; means.len()];
        Ok(Self { means, stds, weights, classes })
    }

    /// Returns the number of elements of a sample.
    pub fn dim(&self) -> usize {
        self.means[0].len()
    }

    /// Sets a class for each component; a class is the mixture of its components.
    ///
    /// # Errors
    ///
    /// Returns an error if there is not one class per component.
    pub fn with_classes(
        self,
        classes: impl IntoIterator<Item = usize>,
    ) -> Result<Self, ModelError> {
        let classes: Vec<usize> = classes.into_iter().collect();
        ModelError::require_batch("the mixture's classes", classes.len(), self.means.len())?;
        Ok(Self { classes, ..self })
    }

    /// Returns the mixture of one class, a perfect conditional model.
    ///
    /// # Errors
    ///
    /// Returns an error if no component has this class.
    pub fn of_class(&self, class: usize) -> Result<Self, ModelError> {
        let inside: Vec<usize> =
            (0..self.means.len()).filter(|&k| self.classes[k] == class).collect();
        if inside.is_empty() {
            let (found, allowed) = (class as f64, "the class of a component");
            return Err(Invalid { name: "the class", value: found, allowed }.into());
        }
        Self::new(
            inside.iter().map(|&k| self.means[k].clone()),
            inside.iter().map(|&k| self.stds[k]),
            inside.iter().map(|&k| self.weights[k]),
        )?
        .with_classes(inside.iter().map(|_| class))
    }

    /// Returns `ln p_t(x)` in nats, `[batch]`: the density of x = α x₀ + σ ε at a level.
    pub fn log_density(&self, x: Tensor<2>, at: NoiseLevel) -> Tensor<1> {
        let logits = self.components(x, &[at]).logits;
        log_sum_exp(logits) - self.weights.iter().sum::<f64>().ln()
    }

    /// Returns `ln p(class | x)` at a level, `[batch]`: the perfect classifier of noisy data.
    pub fn log_probability(&self, x: Tensor<2>, at: NoiseLevel, class: usize) -> Tensor<1> {
        let of_component = log_softmax(self.components(x, &[at]).logits, 1);
        // Outside the class the density is 0: ln 0, but finite so that f32 sums stay finite.
        let mask = self.classes.iter().map(|&other| if other == class { 0.0 } else { -1e30 });
        let mask = self.per_component(&of_component, mask.collect());
        log_sum_exp(of_component + mask)
    }

    /// Draws `samples` exact samples of the data, `[samples, dim]`: two draws of the noise.
    pub fn sample(&self, samples: usize, noise: &mut HostNoise, device: &Device) -> Tensor<2> {
        let total: f64 = self.weights.iter().sum();
        let pick = |u: f64| {
            let mut left = u * total;
            let reached = self.weights.iter().position(|weight| {
                left -= weight;
                left < 0.0
            });
            reached.unwrap_or(self.weights.len() - 1)
        };
        let picked: Vec<usize> = noise.uniform(samples).into_iter().map(pick).collect();
        let column = |values: Vec<f64>, width| {
            Tensor::<2>::from_data(TensorData::new(values, [samples, width]), device)
        };
        let means = picked.iter().flat_map(|&k| self.means[k].iter().copied()).collect();
        let stds = picked.iter().map(|&k| self.stds[k]).collect();
        column(means, self.dim()) + noise.draw([samples, self.dim()], device) * column(stds, 1)
    }

    /// Returns the mean of the data.
    pub fn mean(&self) -> Vec<f64> {
        (0..self.dim()).map(|i| self.expect(|k| self.means[k][i])).collect()
    }

    /// Returns the covariance of the data, row by row.
    pub fn covariance(&self) -> Vec<Vec<f64>> {
        let mean = self.mean();
        let entry = |i: usize, j: usize| {
            let own = if i == j { 1.0 } else { 0.0 };
            self.expect(|k| {
                let apart = (self.means[k][i] - mean[i]) * (self.means[k][j] - mean[j]);
                apart + own * self.stds[k].powi(2)
            })
        };
        (0..self.dim()).map(|i| (0..self.dim()).map(|j| entry(i, j)).collect()).collect()
    }

    /// Returns `Σ_k w_k f(k)` with weights normalized to sum 1.
    fn expect(&self, f: impl Fn(usize) -> f64) -> f64 {
        let sum: f64 = self.weights.iter().enumerate().map(|(k, weight)| weight * f(k)).sum();
        sum / self.weights.iter().sum::<f64>()
    }

    /// Returns v_k = α² s_k² + σ², kept above 0 for a point at σ = 0.
    fn variance(&self, at: NoiseLevel, k: usize) -> f64 {
        ((at.alpha * self.stds[k]).powi(2) + at.sigma.powi(2)).max(1e-20)
    }

    /// Returns one value per level and component, `[levels, k, 1]`.
    fn per_component(&self, like: &Tensor<3>, values: Vec<f64>) -> Tensor<3> {
        let components = self.means.len();
        let shape = [values.len() / components, components, 1];
        Tensor::from_data(TensorData::new(values, shape), (&like.device(), like.dtype()))
    }

    fn at_levels(&self, at: &[NoiseLevel], of: impl Fn(NoiseLevel, usize) -> f64) -> Vec<f64> {
        at.iter()
            .flat_map(|&at| (0..self.means.len()).map(move |k| (at, k)))
            .map(|(at, k)| of(at, k))
            .collect()
    }

    fn components(&self, x: Tensor<2>, at: &[NoiseLevel]) -> Components {
        let x = x.unsqueeze_dim::<3>(1);
        let values =
            |of: &dyn Fn(NoiseLevel, usize) -> f64| self.per_component(&x, self.at_levels(at, of));
        let half_dim = 0.5 * self.dim() as f64;
        let log_peak = values(&|at, k| {
            self.weights[k].ln() - half_dim * (std::f64::consts::TAU * self.variance(at, k)).ln()
        });
        let precision = values(&|at, k| 0.5 / self.variance(at, k));
        let alpha = values(&|at, _| at.alpha);
        let away = x.clone() - self.means_like(&x) * alpha;
        let logits = log_peak - away.clone().square().sum_dim(2) * precision;
        Components { away, logits }
    }

    /// Returns μ_k, `[1, k, dim]`.
    fn means_like(&self, like: &Tensor<3>) -> Tensor<3> {
        let flat: Vec<f64> = self.means.iter().flatten().copied().collect();
        let shape = [1, self.means.len(), self.dim()];
        Tensor::from_data(TensorData::new(flat, shape), (&like.device(), like.dtype()))
    }

    /// Returns x̂₀ at one level for all samples, or one level per sample.
    fn expected(&self, x: Tensor<2>, at: &[NoiseLevel]) -> Tensor<2> {
        let Components { away, logits } = self.components(x, at);
        let gain =
            self.at_levels(at, |at, k| at.alpha * self.stds[k].powi(2) / self.variance(at, k));
        let gain = self.per_component(&away, gain);
        let x0 = (self.means_like(&away) + away * gain) * softmax(logits, 1);
        x0.sum_dim(1).squeeze_dim(1)
    }
}

/// Returns `ln Σ_k exp(logit_k)`, `[batch]`.
fn log_sum_exp(logits: Tensor<3>) -> Tensor<1> {
    let highest = logits.clone().max_dim(1).detach();
    let sum = (logits - highest.clone()).exp().sum_dim(1).log() + highest;
    let batch = sum.dims()[0];
    sum.reshape([batch])
}

impl Denoiser<2> for GaussianMixture {
    fn predict_x0(&self, x: Tensor<2>, at: &[NoiseLevel]) -> Denoised<2> {
        self.expected(full_precision(x), at).into()
    }

    fn check(&self, x: &Tensor<2>, _: NoiseLevel) -> Result<(), ModelError> {
        let shape = x.dims();
        if shape[1] == self.dim() {
            return Ok(());
        }
        let (found, expected) = (shape[1].to_string(), self.dim().to_string());
        Err(ModelError::Shape { what: "the dimension of x", found, expected })
    }
}
