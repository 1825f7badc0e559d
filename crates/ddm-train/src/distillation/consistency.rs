//! Consistency training and distillation.

use burn::module::Module;
use burn::tensor::Tensor;
use ddm_denoiser::{Denoiser, ModelError, NoisePredictor, Parameterization};
use ddm_noise::NoiseSource;
use ddm_schedule::{Invalid, NoiseLevel, NoiseSchedule};

use super::consistency_example::ConsistencyExample;
use super::discretization::{Discretization, LevelPair};
use super::distance::Distance;
use super::teacher::{ddim, heun, noisy};
use crate::objective::at_least_f32;
use crate::{StepNoise, TrainError};

/// The loss of a consistency model, whose predictions are to agree along each path from noise to data.
///
/// The consistency function f(x, t) maps x to the data at the end of its path. It is the x̂₀ of the network
/// and a parameterization that is the identity at the least noise. The loss compares two neighbouring
/// levels t > r of one path:
///
/// ```text
/// loss = w d( f(x_t, t), f⁻(x_r, r) ),   x_t = α_t x₀ + σ_t ε
/// training:      x_r = α_r x₀ + σ_r ε
/// distillation:  x_r = one step of a teacher from x_t
/// ```
///
/// where f⁻ has no gradient. A [`Discretization`] gives the levels and w; d is the pseudo-Huber distance
/// `√(‖x − y‖² + c²) − c`, `c = 0.00054 √d` for d elements.
///
/// | method | parameterization | discretization | d | f⁻ |
/// |---|---|---|---|---|
/// | consistency distillation | [`ConsistencyPrediction`](ddm_denoiser::ConsistencyPrediction) | [`FixedSteps`](crate::FixedSteps) | [`squared`](Self::squared), or LPIPS in the paper | an average |
/// | iCT | the same | [`DoublingSteps`](crate::DoublingSteps) | pseudo-Huber | the network itself |
/// | ECT, from a diffusion model | that of the model | [`ShrinkingGap`](crate::ShrinkingGap) | pseudo-Huber | the network itself |
///
/// Sample with `Lcm::floor(σ_min)`, or in one step. Sources: Song et al., *Consistency Models*, algorithms
/// 2 and 3, arXiv 2303.01469; Song & Dhariwal, *Improved Techniques for Training Consistency Models*, arXiv
/// 2310.14189; Geng et al., *Consistency Models Made Easy*, arXiv 2406.14548.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use ddm_denoiser::ConsistencyPrediction;
/// use ddm_schedule::Edm;
/// use ddm_train::{Consistency, DoublingSteps, StepNoise};
/// let levels = DoublingSteps::new(1000)?;
/// let ict = Consistency::new(Edm::default(), ConsistencyPrediction::default(), levels)?;
/// let x0 = Tensor::<2>::zeros([16, 2], &Device::flex());
/// let example = ict.draw(x0, &mut StepNoise::new(0, 1))?;
/// // With a network: example.compared(&network, &network.valid())
/// let target = example.target(example.x_r.clone())?;
/// let loss = example.loss(example.x_t.clone(), target)?;
/// assert_eq!(loss.dims(), [1]);
/// # Ok::<(), ddm_train::TrainError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Consistency<S, P, K> {
    schedule: S,
    parameterization: P,
    discretization: K,
    distance: Distance,
    second_order: bool,
}

impl<S: NoiseSchedule, P: Parameterization, K: Discretization> Consistency<S, P, K> {
    /// Creates the loss, with the pseudo-Huber distance of iCT.
    ///
    /// # Errors
    ///
    /// Returns an error if the parameterization is not the identity at the least noise of the
    /// discretization, or does not determine x₀ at the end of the schedule.
    pub fn new(schedule: S, parameterization: P, discretization: K) -> Result<Self, TrainError> {
        let lowest = discretization.lowest(&schedule);
        let (a, b) = parameterization.x0_from(lowest);
        let (name, allowed) = (
            "the factor of the network at the least noise",
            "0, so that f(x) = x there; use ConsistencyPrediction with the sigma/alpha of that level",
        );
        let identity = b.abs() <= 1e-9 && (a * lowest.alpha - 1.0).abs() <= 1e-9;
        Invalid::require(identity, name, b, allowed)?;
        parameterization.check(schedule.level(1.0))?;
        let (distance, second_order) = (Distance::ICT, false);
        Ok(Self { schedule, parameterization, discretization, distance, second_order })
    }

    /// Sets the distance to the mean squared error.
    #[must_use]
    pub fn squared(self) -> Self {
        Self { distance: Distance::Squared, ..self }
    }

    /// Sets c of the pseudo-Huber distance, for a sample of d elements to `factor √d`.
    ///
    /// # Errors
    ///
    /// Returns an error if the factor is not finite and above 0.
    pub fn pseudo_huber(self, factor: f64) -> Result<Self, TrainError> {
        Ok(Self { distance: Distance::pseudo_huber(factor)?, ..self })
    }

    /// Sets that the teacher's step is one of Heun's method, with two calls, in place of DDIM. The error
    /// of a step of length h in σ/α falls as h³ in place of h².
    #[must_use]
    pub fn second_order(self) -> Self {
        Self { second_order: true, ..self }
    }

    /// Draws an example of consistency training from data x₀ `[batch, …]`: both points have the same ε.
    /// Levels and ε are the next two draws.
    ///
    /// # Errors
    ///
    /// Returns an error if the schedule does not have the levels of the discretization.
    pub fn draw<const D: usize>(
        &self,
        x0: Tensor<D>,
        noise: &mut StepNoise,
    ) -> Result<ConsistencyExample<D>, TrainError> {
        self.compose(x0, noise, |x0, epsilon, _, _, to| Ok(noisy(x0, epsilon, to)))
    }

    /// Draws an example of consistency distillation from data x₀ `[batch, …]`: the second point is one step
    /// of the teacher from the first. Levels and ε are the next two draws. Calls the teacher once.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`draw`](Self::draw), and an error if the teacher's prediction has another
    /// shape.
    pub fn draw_with<const D: usize>(
        &self,
        teacher: &impl Denoiser<D>,
        x0: Tensor<D>,
        noise: &mut StepNoise,
    ) -> Result<ConsistencyExample<D>, TrainError> {
        self.compose(x0, noise, |_, _, x_t, from, to| match self.second_order {
            true => heun(teacher, x_t, from, to),
            false => ddim(teacher, x_t, from, to),
        })
    }

    /// Returns the loss of consistency training on data x₀ `[batch, …]`, of shape `[1]`: f⁻ is the network
    /// itself, without gradients and dropout.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`draw`](Self::draw), and an error if the network does not accept the data or
    /// its prediction has another shape.
    pub fn loss<const D: usize, N: NoisePredictor<D> + Module>(
        &self,
        network: &N,
        x0: Tensor<D>,
        noise: &mut StepNoise,
    ) -> Result<Tensor<1>, TrainError> {
        network.check(x0.dims())?;
        self.draw(x0, noise)?.compared(network, &network.valid())
    }

    /// Returns the loss of consistency distillation from a teacher: as [`loss`](Self::loss), with f⁻ of the
    /// network `target`, an average of the student's weights or `&student.valid()`.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`loss`](Self::loss) and [`draw_with`](Self::draw_with).
    pub fn loss_with<const D: usize>(
        &self,
        student: &impl NoisePredictor<D>,
        target: &impl NoisePredictor<D>,
        teacher: &impl Denoiser<D>,
        x0: Tensor<D>,
        noise: &mut StepNoise,
    ) -> Result<Tensor<1>, TrainError> {
        student.check(x0.dims())?;
        self.draw_with(teacher, x0, noise)?.compared(student, target)
    }

    fn compose<const D: usize>(
        &self,
        x0: Tensor<D>,
        noise: &mut StepNoise,
        second: impl FnOnce(
            &Tensor<D>,
            &Tensor<D>,
            Tensor<D>,
            &[NoiseLevel],
            &[NoiseLevel],
        ) -> Result<Tensor<D>, ModelError>,
    ) -> Result<ConsistencyExample<D>, TrainError> {
        let taped = x0.is_autodiff();
        let x0 = at_least_f32(x0.inner());
        let step = noise.number();
        let pairs: Vec<LevelPair> = noise
            .uniform(x0.dims()[0])
            .into_iter()
            .map(|u| self.discretization.pair(u, step, &self.schedule))
            .collect();
        for pair in &pairs {
            let allowed = "above 0; choose levels that the schedule has";
            let gap = pair.inverse_gap().recip();
            Invalid::require(gap > 0.0, "the difference of two levels", gap, allowed)?;
        }
        let epsilon: Tensor<D> = noise.draw(x0.dims(), &x0.device()).cast(x0.dtype());
        let (from, to): (Vec<_>, Vec<_>) = pairs.iter().map(|pair| (pair.from, pair.to)).unzip();
        let x_t = noisy(&x0, &epsilon, &from);
        let x_r = second(&x0, &epsilon, x_t.clone(), &from, &to)?;
        let weights = pairs.iter().map(|pair| self.discretization.weight(pair)).collect();
        let kind = &self.parameterization;
        let example = ConsistencyExample::new(kind, self.distance, pairs, weights, [x_t, x_r]);
        Ok(if taped { example.on_tape() } else { example })
    }
}
