//! The chain of unCLIP.

use burn::tensor::Tensor;
use ddm_samplers::{Context, Ddpm, Sampler};
use ddm_schedule::NoiseLevel;

use crate::ConfigError;
use crate::settings::Settings;
use crate::table::single;

/// [`Ddpm`] whose last step, to the data, gives `x̂₀ β₀/(1 − ᾱ₀)`.
///
/// The quotient is 1 but for single precision, in which diffusers takes 1 − ᾱ₀ after rounding ᾱ₀:
/// that moves x by 5 · 10⁻⁴ of itself.
#[derive(Clone, Debug)]
pub(crate) struct UnClip {
    inner: Ddpm,
    last: f64,
}

impl UnClip {
    pub(crate) fn new(inner: Ddpm, settings: &Settings) -> Result<Self, ConfigError> {
        let beta = single(settings.beta_table()?.betas()[0]);
        Ok(Self { inner, last: beta / settings.table()?.level(0).sigma.powi(2) })
    }
}

impl<const D: usize> Sampler<D> for UnClip {
    type State = ();

    fn step(
        &self,
        cx: &mut Context<'_, D>,
        x: Tensor<D>,
        from: NoiseLevel,
        to: NoiseLevel,
        state: &mut (),
    ) -> Tensor<D> {
        let x = self.inner.step(cx, x, from, to, state);
        if to == NoiseLevel::DATA { x * self.last } else { x }
    }
}
