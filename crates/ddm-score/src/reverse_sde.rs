//! Direct discretisations of the reverse SDE.

use burn::tensor::Tensor;
use ddm_samplers::{Context, Sampler, SamplingError};
use ddm_schedule::{Invalid, Levels, NoiseLevel, NoiseSchedule, kernel};
use serde::{Deserialize, Serialize};

use crate::score::score;

/// The reverse-diffusion sampler, with the coefficients of the forward kernel,
/// `x_from = r x_to + w z`:
///
/// ```text
/// x' = (2 − r) x + w² s(x) + w z,   r = α_from/α_to,   w² = σ_from² − r² σ_to²
/// ```
///
/// One model call per step; weak order 1; stochastic; no state. The step to σ = 0 returns `α_to
/// x̂₀`. If variance explodes (r = 1) it is [`Ddpm`](ddm_samplers::Ddpm) with the large variance.
/// The paper's ancestral sampler, with the same mean and less noise, is then
/// [`Ddim`](ddm_samplers::Ddim) at η = 1. If variance is preserved, the paper's ancestral sampler,
/// `(x + w² s)/r + w z`, is `Ddpm` with the large variance, from which this one differs in second
/// order. Source: Song et al., *Score-Based Generative Modeling through Stochastic Differential
/// Equations*, app. E and F, eq. 46 and 47, arXiv 2011.13456.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use ddm_denoiser::from_fn;
/// use ddm_samplers::Sampling;
/// use ddm_schedule::{Exponential, NoiseLevel, VarianceExploding};
/// use ddm_score::ReverseDiffusion;
/// let model = from_fn(|x: Tensor<2>, at: NoiseLevel| x / at.scale().powi(2)); // data N(0, 1)
/// let schedule = VarianceExploding::default();
/// let run = Sampling::new(&model, &schedule).sampler(ReverseDiffusion).grid(Exponential);
/// let x = run.steps(100).sample([1000, 1], &Device::flex())?;
/// assert!((x.var(0).into_scalar::<f64>() - 1.0).abs() < 0.2);
/// # Ok::<(), ddm_samplers::SamplingError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReverseDiffusion;

impl<const D: usize> Sampler<D> for ReverseDiffusion {
    type State = ();

    fn step(
        &self,
        cx: &mut Context<'_, D>,
        x: Tensor<D>,
        from: NoiseLevel,
        to: NoiseLevel,
        (): &mut (),
    ) -> Tensor<D> {
        let x0 = cx.denoise(x.clone(), from);
        if to.sigma == 0.0 {
            return x0 * to.alpha;
        }
        let up = kernel::forward(to, from);
        let score = score(x.clone(), x0, from);
        cx.combine([(2.0 - up.x, x), (up.noise.powi(2), score)], up.noise)
    }

    fn is_stochastic(&self) -> bool {
        true
    }
}

/// The Euler–Maruyama method for the reverse SDE, `dx = (f x − g² s) dt + g dw̄` with t running
/// down:
///
/// ```text
/// x' = x − (f x − g² s(x)) Δt + g √Δt z,   Δt = t_from − t_to, f and g at t_from
/// ```
///
/// f and g are [`NoiseSchedule::drift`] and [`NoiseSchedule::diffusion`]; the times are those at
/// which the run's schedule has the levels' λ. One model call per step; weak order 1; stochastic;
/// no state. The step to σ = 0 returns `α_to x̂₀`: the score is undefined there, and the authors
/// also omit the last noise. It requires small steps: it is the simplest method, and less accurate
/// than [`Ddim`](ddm_samplers::Ddim) at η = 1, which solves the linear part exactly. f is undefined
/// where α = 0, so on schedules that end there ([`Cosine`](ddm_schedule::Cosine),
/// [`RectifiedFlow`](ddm_schedule::RectifiedFlow)), a run must start at a lower level. Source: Song
/// et al., *Score-Based Generative Modeling through Stochastic Differential Equations*, eq. 6 and
/// sec. 4.1, arXiv 2011.13456.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use ddm_denoiser::from_fn;
/// use ddm_samplers::Sampling;
/// use ddm_schedule::{LinearVp, NoiseLevel};
/// use ddm_score::EulerMaruyama;
/// let model = from_fn(|x: Tensor<2>, at: NoiseLevel| x * at.alpha); // data N(0, 1)
/// let schedule = LinearVp::default();
/// let run = Sampling::new(&model, &schedule).sampler(EulerMaruyama).steps(200);
/// let x = run.sample([1000, 1], &Device::flex())?;
/// assert!((x.var(0).into_scalar::<f64>() - 1.0).abs() < 0.2);
/// # Ok::<(), ddm_samplers::SamplingError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EulerMaruyama;

impl<const D: usize> Sampler<D> for EulerMaruyama {
    type State = ();

    fn step(
        &self,
        cx: &mut Context<'_, D>,
        x: Tensor<D>,
        from: NoiseLevel,
        to: NoiseLevel,
        (): &mut (),
    ) -> Tensor<D> {
        let x0 = cx.denoise(x.clone(), from);
        if to.sigma == 0.0 {
            return x0 * to.alpha;
        }
        let (schedule, t) = (cx.schedule(), cx.time_of(from));
        let dt = t - cx.time_of(to);
        let (f, g) = (schedule.drift(t), schedule.diffusion(t));
        let score = score(x.clone(), x0, from);
        cx.combine([(1.0 - f * dt, x), (g * g * dt, score)], g * dt.sqrt())
    }

    fn is_stochastic(&self) -> bool {
        true
    }

    fn check(
        &self,
        _: [usize; D],
        levels: &Levels,
        schedule: &dyn NoiseSchedule,
    ) -> Result<(), SamplingError> {
        let alpha = levels[0].alpha;
        let allowed = "above 0 for Euler-Maruyama, whose drift is infinite there";
        Invalid::require(alpha > 0.0, "alpha of the first level", alpha, allowed)?;
        let allowed = "on the run's schedule, whose drift Euler-Maruyama uses";
        for level in levels.iter().filter(|level| level.sigma > 0.0) {
            let own = schedule.level_at(level.lambda());
            let near = (own.alpha / level.alpha - 1.0).abs() <= 1e-6;
            Invalid::require(near, "alpha of a level", level.alpha, allowed)?;
            let near = (own.lambda() - level.lambda()).abs() <= 1e-6;
            Invalid::require(near, "sigma of a level", level.sigma, allowed)?;
        }
        Ok(())
    }
}
