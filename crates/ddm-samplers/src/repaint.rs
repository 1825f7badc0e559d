//! RePaint: inpainting with a model that knows nothing of masks.

use burn::tensor::Tensor;
use ddm_schedule::NoiseLevel;

use crate::{Context, Sampler, SamplingError};

/// RePaint around any sampler: after each step the known region is replaced by the known data with
/// the level's noise on it, and the step is taken r times over, with the forward kernel between:
///
/// ```text
/// r times:  x' = m (α_to x_known + σ_to z) + (1 − m) step(x),   then x = forward(x', to → from)
/// ```
///
/// so that the unknown region has the time to fit the known one. At σ_to = 0 the known region is
/// exact. Jumps are one step long. Stochastic; r times the model calls of the inner sampler, whose
/// state is that of the last time. Source: Lugmayr et al., *RePaint*, algorithm 1,
/// arXiv 2201.09865: there around [`Ddpm`](crate::Ddpm) with r = 10.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use ddm_denoiser::from_fn;
/// use ddm_samplers::{Ddpm, RePaint, Sampling};
/// use ddm_schedule::{Cosine, NoiseLevel};
/// let (known, mask) = (Tensor::<2>::ones([1, 2], &Device::flex()), [[1.0, 0.0]]);
/// let mask = Tensor::from_floats(mask, &Device::flex());
/// let model = from_fn(|x: Tensor<2>, at: NoiseLevel| x * at.alpha); // data N(0, 1)
/// let schedule = Cosine::default();
/// let sampler = RePaint::new(Ddpm::default(), known, mask, 3)?;
/// let run = Sampling::new(&model, &schedule).sampler(sampler).steps(5);
/// let x = run.sample([1, 2], &Device::flex())?;
/// assert_eq!(x.narrow(1, 0, 1).into_scalar::<f32>(), 1.0);
/// # Ok::<(), ddm_samplers::SamplingError>(())
/// ```
#[derive(Clone, Debug)]
pub struct RePaint<S, const D: usize> {
    inner: S,
    known: Tensor<D>,
    mask: Tensor<D>,
    times: usize,
}

impl<S, const D: usize> RePaint<S, D> {
    /// Around `inner`, with data that is known where `mask` is 1 and of no matter where it is 0,
    /// each step r = `times ≥ 1` times. Both broadcast against x: `[1, …]` serves a whole batch.
    pub fn new(
        inner: S,
        known: Tensor<D>,
        mask: Tensor<D>,
        times: usize,
    ) -> Result<Self, SamplingError> {
        if times > 0 {
            return Ok(Self { inner, known, mask, times });
        }
        Err(SamplingError::Setting { name: "times", value: 0.0, allowed: "at least 1" })
    }
}

impl<const D: usize, S: Sampler<D>> Sampler<D> for RePaint<S, D> {
    type State = S::State;

    fn step(
        &self,
        cx: &mut Context<'_, D>,
        mut x: Tensor<D>,
        from: NoiseLevel,
        to: NoiseLevel,
        state: &mut S::State,
    ) -> Tensor<D> {
        let before = state.clone();
        for time in 1..=self.times {
            *state = before.clone();
            let unknown = self.inner.step(cx, x, from, to, state);
            let known = self.known.clone().expand(unknown.dims());
            let known = match to.sigma {
                0.0 => known * to.alpha,
                _ => cx.forward(known, NoiseLevel::DATA, to),
            };
            x = known * self.mask.clone() + unknown * (1.0 - self.mask.clone());
            if time < self.times {
                x = cx.forward(x, to, from);
            }
        }
        x
    }
}
