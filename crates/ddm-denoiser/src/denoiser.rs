//! The model as samplers see it.

use burn::tensor::Tensor;
use ddm_schedule::NoiseLevel;

use crate::ModelError;

/// A model that answers `x̂₀ ≈ E[x₀ | x_t]` whatever its network predicts.
///
/// Usually a [`Model`](crate::Model); wrappers (clipping, guidance, inpainting) are denoisers that
/// hold denoisers. All samples of the batch are at the same level.
pub trait Denoiser<const D: usize> {
    /// The guess at the data, `x̂₀ ≈ E[x₀ | x_t = x]` at level `at`; of the shape of x.
    fn denoise(&self, x: Tensor<D>, at: NoiseLevel) -> Tensor<D>;

    /// x̂₀ and, of a model that learns its variance, `v ∈ [0, 1]` for each element: where between
    /// the posterior's variance (0) and the chain's β (1) the noise of a step lies, in logarithms.
    /// Source: Nichol & Dhariwal, eq. 15, arXiv 2102.09672.
    fn denoise_with_variance(
        &self,
        x: Tensor<D>,
        at: NoiseLevel,
    ) -> (Tensor<D>, Option<Tensor<D>>) {
        (self.denoise(x, at), None)
    }

    /// x̂₀ where every sample is at a level of its own, `at[i]` for sample i: for solvers that go at
    /// each sample's own pace.
    ///
    /// Right for every denoiser, at the cost of a call of [`denoise`](Self::denoise) for every
    /// distinct level; a [`Model`](crate::Model) answers in one.
    fn denoise_each(&self, x: Tensor<D>, at: &[NoiseLevel]) -> Tensor<D> {
        let mut answers: Vec<(NoiseLevel, Tensor<D>)> = Vec::new();
        let rows = at.iter().enumerate().map(|(sample, &level)| {
            if !answers.iter().any(|(known, _)| *known == level) {
                answers.push((level, self.denoise(x.clone(), level)));
            }
            let known = answers.iter().find(|(known, _)| *known == level);
            let (_, x0) = known.expect("it was pushed above");
            x0.clone().narrow(0, sample, 1)
        });
        let rows = rows.collect();
        Tensor::cat(rows, 0)
    }

    /// Whether a run of x of this shape may start at level `noisiest`. Called once before a run.
    fn check(&self, shape: [usize; D], noisiest: NoiseLevel) -> Result<(), ModelError> {
        let _ = (shape, noisiest);
        Ok(())
    }
}

macro_rules! delegate {
    ($($pointer:ty),*) => {$(
        impl<const D: usize, M: Denoiser<D> + ?Sized> Denoiser<D> for $pointer {
            fn denoise(&self, x: Tensor<D>, at: NoiseLevel) -> Tensor<D> {
                (**self).denoise(x, at)
            }
            fn denoise_with_variance(
                &self,
                x: Tensor<D>,
                at: NoiseLevel,
            ) -> (Tensor<D>, Option<Tensor<D>>) {
                (**self).denoise_with_variance(x, at)
            }
            fn denoise_each(&self, x: Tensor<D>, at: &[NoiseLevel]) -> Tensor<D> {
                (**self).denoise_each(x, at)
            }
            fn check(&self, shape: [usize; D], noisiest: NoiseLevel) -> Result<(), ModelError> {
                (**self).check(shape, noisiest)
            }
        }
    )*};
}
delegate!(&M, Box<M>);
