//! The boundary condition of latent consistency models.

use burn::tensor::Tensor;
use ddm_schedule::{Invalid, NoiseLevel};
use serde::{Deserialize, Serialize};

use crate::{Denoised, Denoiser, ModelError, full_precision, linear_combination_each};

/// A denoiser with the boundary condition of latent consistency models applied to its x̂₀:
///
/// ```text
/// f(x, t) = c_skip x + c_out x̂₀,   c_skip = σ_d²/(τ² + σ_d²),   c_out = τ/√(τ² + σ_d²)
/// ```
///
/// with τ the timestep times a scaling and σ_d = ½, so that f(x, 0) = x. Source: Luo et al.,
/// *Latent Consistency Models*, sec. 4.1, arXiv 2310.04378.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use ddm_denoiser::{Consistent, Denoiser, from_fn};
/// use ddm_schedule::NoiseLevel;
/// let model = Consistent::new(from_fn(|x: Tensor<2>, _: NoiseLevel| x * 0.0));
/// let x = Tensor::<2>::ones([1, 2], &Device::flex());
/// assert!(model.denoise(x.clone(), NoiseLevel::DATA).all_close(x, None, None));
/// assert!(Consistent::new(()).timestep_scaling(0.0).is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Settings<M>")]
pub struct Consistent<M> {
    inner: M,
    timestep_scaling: f64,
}

impl<M> Consistent<M> {
    /// Wraps `inner`, with timestep scaling 10, as in the released models.
    pub fn new(inner: M) -> Self {
        Self { inner, timestep_scaling: 10.0 }
    }

    /// Sets the timestep scaling, finite and above 0.
    ///
    /// # Errors
    /// Returns an error if the scaling is outside that range.
    pub fn timestep_scaling(self, timestep_scaling: f64) -> Result<Self, ModelError> {
        let good = timestep_scaling > 0.0 && timestep_scaling.is_finite();
        Invalid::require(good, "timestep_scaling", timestep_scaling, "finite and above 0")?;
        Ok(Self { timestep_scaling, ..self })
    }

    /// (c_skip, c_out).
    fn factors(&self, at: NoiseLevel) -> (f64, f64) {
        let tau = at.timestep * self.timestep_scaling;
        let norm = tau.hypot(0.5);
        ((0.5 / norm).powi(2), tau / norm)
    }
}

#[derive(Deserialize)]
struct Settings<M> {
    inner: M,
    timestep_scaling: f64,
}

impl<M> TryFrom<Settings<M>> for Consistent<M> {
    type Error = ModelError;
    fn try_from(Settings { inner, timestep_scaling }: Settings<M>) -> Result<Self, ModelError> {
        Self::new(inner).timestep_scaling(timestep_scaling)
    }
}

impl<const D: usize, M: Denoiser<D>> Denoiser<D> for Consistent<M> {
    fn predict_x0(&self, x: Tensor<D>, at: &[NoiseLevel]) -> Denoised<D> {
        let x = full_precision(x);
        let (skip, out): (Vec<f64>, Vec<f64>) = at.iter().map(|&at| self.factors(at)).unzip();
        let denoised = self.inner.predict_x0(x.clone(), at);
        denoised.map_x0(|x0| linear_combination_each([(skip, x), (out, x0)]))
    }

    fn check(&self, x: &Tensor<D>, noisiest: NoiseLevel) -> Result<(), ModelError> {
        self.inner.check(x, noisiest)
    }
}
