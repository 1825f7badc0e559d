//! RePaint: inpainting with an unconditional model.

use burn::tensor::Tensor;
use ddm_denoiser::ModelError;
use ddm_schedule::{Invalid, Levels, NoiseLevel, NoiseSchedule};

use crate::settings::Count;
use crate::{Context, Sampler, SamplingError};

/// RePaint around any sampler. After each step the known region is replaced by the known data with
/// the noise of the level,
///
/// ```text
/// x' = m (α_to x_known + σ_to z) + (1 − m) step(x)
/// ```
///
/// and every j steps, and at the end of the run, the forward kernel moves x back up to the level at
/// which these steps started, and they are repeated, until they have been taken r times. This
/// harmonizes the unknown region with the known one. At σ_to = 0 the known region is exact.
/// Stochastic; r times the model calls of the inner sampler, which takes the j steps from the same
/// state each time.
///
/// Source: Lugmayr et al., *RePaint*, sec. 4.2 and algorithm 1, arXiv 2201.09865. The paper wraps
/// [`Ddpm`](crate::Ddpm), with j = r = 10 and 250 steps. There the step to the data is taken once,
/// and jumps are counted from it and go up step by step, which in law is the forward kernel.
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
/// let sampler = RePaint::new(Ddpm::default(), known, mask, 3)?.jump(2)?;
/// let run = Sampling::new(&model, &schedule).sampler(sampler).steps(6);
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
    jump: usize,
}

/// Checks that `fits` holds for every axis of two shapes.
fn shapes<const D: usize>(
    what: &'static str,
    found: [usize; D],
    wanted: [usize; D],
    fits: impl Fn(usize, usize) -> bool,
) -> Result<(), SamplingError> {
    if found.iter().zip(wanted).all(|(&found, wanted)| fits(found, wanted)) {
        return Ok(());
    }
    Err(SamplingError::Shape { what, found: found.to_vec(), wanted: wanted.to_vec() })
}

/// Checks that all values of a mask are in [0, 1]. The check is left out in a browser, where values
/// cannot be read back synchronously.
fn require_mask<const D: usize>(mask: Tensor<D>) -> Result<(), SamplingError> {
    if cfg!(target_family = "wasm") {
        return Ok(());
    }
    let values = mask.try_into_vec_as::<f64>().map_err(ModelError::read("the mask"))?;
    match values.into_iter().find(|value| !(0.0..=1.0).contains(value)) {
        None => Ok(()),
        Some(value) => {
            Err(Invalid { name: "a value of the mask", value, allowed: "in [0, 1]" }.into())
        }
    }
}

impl<S, const D: usize> RePaint<S, D> {
    /// Wraps `inner`, with data that is known where `mask` is 1 and ignored where it is 0; each
    /// step is taken r = `times ≥ 1` times. Both tensors broadcast against x, so `[1, …]` serves a
    /// whole batch, and are cast to its type. Values of the mask between 0 and 1 blend.
    ///
    /// # Errors
    /// Returns an error if the shapes do not broadcast, if the mask has values outside [0, 1] or
    /// cannot be read back from the device, or if `times` is 0.
    pub fn new(
        inner: S,
        known: Tensor<D>,
        mask: Tensor<D>,
        times: usize,
    ) -> Result<Self, SamplingError> {
        let either = |known, mask| known == mask || known == 1 || mask == 1;
        shapes("the known data (compared with the mask)", known.dims(), mask.dims(), either)?;
        require_mask(mask.clone())?;
        Ok(Self { inner, known, mask, times: Count::new("times", times)?.0, jump: 1 })
    }

    /// Sets the length j ≥ 1 of the jumps in steps; by default 1.
    ///
    /// # Errors
    /// Returns an error if j is 0.
    pub fn jump(self, steps: usize) -> Result<Self, SamplingError> {
        Ok(Self { jump: Count::new("jump", steps)?.0, ..self })
    }

    /// x at level `to`, with the known region replaced.
    fn replaced(&self, cx: &mut Context<'_, D>, x: Tensor<D>, to: NoiseLevel) -> Tensor<D> {
        let of_x = |tensor: &Tensor<D>| tensor.clone().cast(x.dtype()).expand(x.dims());
        let (known, mask) = (of_x(&self.known), of_x(&self.mask));
        let known = match to.sigma {
            0.0 => known * to.alpha,
            _ => cx.forward(known, NoiseLevel::DATA, to),
        };
        let blend = known * mask.clone() + x.clone() * (-mask.clone() + 1.0);
        // Multiplication alone would keep NaN values of the unknown part of `known`.
        blend.mask_where(mask.equal_elem(0.0), x)
    }
}

/// The state of [`RePaint`]: the inner sampler's state, now and at the start of the current jump,
/// and the levels at which the steps since then started.
#[derive(Clone, Debug, Default)]
pub struct Jump<T> {
    now: T,
    start: T,
    from: Vec<NoiseLevel>,
}

impl<const D: usize, S: Sampler<D>> Sampler<D> for RePaint<S, D> {
    type State = Jump<S::State>;

    fn step(
        &self,
        cx: &mut Context<'_, D>,
        x: Tensor<D>,
        from: NoiseLevel,
        to: NoiseLevel,
        Jump { now, start, from: levels }: &mut Jump<S::State>,
    ) -> Tensor<D> {
        if levels.is_empty() {
            *start = now.clone();
        }
        levels.push(from);
        let x = self.inner.step(cx, x, from, to, now);
        let mut x = self.replaced(cx, x, to);
        let done = cx.done();
        if levels.len() < self.jump && done + 1 < cx.steps() {
            return x;
        }
        for _ in 1..self.times {
            x = cx.forward(x, to, levels[0]);
            *now = start.clone();
            for (k, &from) in levels.iter().enumerate() {
                let number = (done + 1 + k).saturating_sub(levels.len());
                let to = levels.get(k + 1).copied().unwrap_or(to);
                x = cx.step(&self.inner, number, x, (from, to), now);
                x = self.replaced(cx, x, to);
            }
        }
        levels.clear();
        x
    }

    fn order(&self) -> Option<usize> {
        None
    }

    fn is_stochastic(&self) -> bool {
        true
    }

    fn calls(&self) -> usize {
        self.times * self.inner.calls()
    }

    fn check(
        &self,
        shape: [usize; D],
        levels: &Levels,
        schedule: &dyn NoiseSchedule,
    ) -> Result<(), SamplingError> {
        let stretches = |found, wanted| found == wanted || found == 1;
        shapes("the known data (compared with x)", self.known.dims(), shape, stretches)?;
        shapes("the mask (compared with x)", self.mask.dims(), shape, stretches)?;
        self.inner.check(shape, levels, schedule)
    }
}
