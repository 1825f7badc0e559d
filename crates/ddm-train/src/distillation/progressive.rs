//! Progressive distillation: a student whose step is two steps of its teacher.

use burn::tensor::Tensor;
use ddm_denoiser::{Denoiser, NoisePredictor, Parameterization, column, linear_combination_each};
use ddm_noise::NoiseSource;
use ddm_schedule::{Invalid, Levels, NoiseLevel, kernel};

use super::teacher::{ddim, noisy};
use crate::objective::at_least_f32;
use crate::{Example, Sampled, TrainError, UniformWeight, Weighting};

/// Progressive distillation: one DDIM step of the student is to be two DDIM steps of the teacher.
///
/// For levels t > t′ > t″ of the teacher's run, it takes two steps from `x_t = α x₀ + σ ε`, to x″. The
/// student's target is the x̂₀ whose one step from t to t″ is x″ as well:
///
/// ```text
/// x̃ = (x″ − (σ″/σ_t) x_t)/(α″ − (σ″/σ_t) α_t),   loss = w ‖F − F̃‖²,   F̃ = (x̃ − a x_t)/b
/// ```
///
/// with F̃ the network's output whose x̂₀ = a x + b F is x̃. The student starts with the teacher's
/// weights, and is the teacher of the next round: from N steps to N/2, N/4, …, 1. Sample with
/// `Ddim::default()` on [`student_levels`](Self::student_levels): the student is for these levels alone.
/// A guided teacher makes a student that needs no guidance. The weight is 1 for the error of F by
/// default, for v the paper's SNR + 1 for the error of x̂₀; ε is no good target where there is hardly any
/// signal. Source: Salimans & Ho, *Progressive Distillation for Fast Sampling of Diffusion Models*,
/// algorithm 2, arXiv 2202.00512.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use ddm_denoiser::{VPrediction, from_fn};
/// use ddm_schedule::{Cosine, Grid, NoiseLevel, Trailing};
/// use ddm_train::{ProgressiveDistillation, StepNoise};
/// let levels = Trailing.levels(&Cosine::default(), 8)?;
/// let halving = ProgressiveDistillation::new(levels, VPrediction)?;
/// assert_eq!(halving.student_levels().steps(), 4);
/// // A teacher that knows that the data is always 3.
/// let teacher = from_fn(|x: Tensor<2>, _: NoiseLevel| x * 0.0 + 3.0);
/// let x0 = Tensor::full([16, 2], 3.0, &Device::flex());
/// let example = halving.draw(&teacher, x0, &mut StepNoise::new(0, 1))?;
/// let loss = example.loss(example.target.clone())?; // of network.predict(example.x_t, example.t)
/// assert_eq!(loss.into_scalar::<f32>(), 0.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct ProgressiveDistillation<P, W = UniformWeight> {
    teacher: Levels,
    student: Levels,
    parameterization: P,
    weighting: W,
}

impl<P: Parameterization> ProgressiveDistillation<P> {
    /// Creates the distillation of a teacher that samples by DDIM on `levels`, an even number of steps,
    /// into a student of half as many, which predicts `parameterization`.
    ///
    /// # Errors
    ///
    /// Returns an error if the number of steps is odd, or the prediction does not determine x₀ at the
    /// first level.
    pub fn new(levels: Levels, parameterization: P) -> Result<Self, TrainError> {
        let steps = levels.steps();
        let (name, allowed) = ("the number of the teacher's steps", "even, to be halved");
        Invalid::require(steps.is_multiple_of(2), name, steps as f64, allowed)?;
        parameterization.check(levels[0])?;
        let student = levels.halved();
        Ok(Self { teacher: levels, student, parameterization, weighting: UniformWeight })
    }
}

impl<P: Parameterization, W: Weighting> ProgressiveDistillation<P, W> {
    /// Sets the weighting, such as the paper's [`TruncatedSnr`](crate::TruncatedSnr).
    pub fn weighting<V: Weighting>(self, weighting: V) -> ProgressiveDistillation<P, V> {
        let Self { teacher, student, parameterization, .. } = self;
        ProgressiveDistillation { teacher, student, parameterization, weighting }
    }

    /// Returns the levels of the student's run, every second one of the teacher's.
    pub fn student_levels(&self) -> &Levels {
        &self.student
    }

    /// Draws an example from data x₀ `[batch, …]`: its target is the teacher's, without gradients. The
    /// steps and ε are the next two draws. Calls the teacher twice.
    ///
    /// The times of the example are `1 − i/n` for step i of n, which are the schedule's for
    /// [`Trailing`](ddm_schedule::Trailing) levels.
    ///
    /// # Errors
    ///
    /// Returns an error if the noise cannot be read, or the teacher's prediction has another shape.
    pub fn draw<const D: usize>(
        &self,
        teacher: &impl Denoiser<D>,
        x0: Tensor<D>,
        noise: &mut impl NoiseSource,
    ) -> Result<Example<D>, TrainError> {
        let taped = x0.is_autodiff();
        let x0 = at_least_f32(x0.inner());
        let steps = self.student.steps();
        let chosen: Vec<usize> =
            noise.uniform(x0.dims()[0])?.iter().map(|u| at(*u, steps)).collect();
        let epsilon = noise.draw(x0.dims(), &x0.device()).cast(x0.dtype());
        let levels = |place: usize| -> Vec<NoiseLevel> {
            chosen.iter().map(|step| self.teacher[2 * step + place]).collect()
        };
        let (from, middle, to) = (levels(0), levels(1), levels(2));

        let x = noisy(&x0, &epsilon, &from);
        let halfway = ddim(teacher, x.clone(), &from, &middle)?;
        let end = ddim(teacher, halfway, &middle, &to)?;
        // The step x″ = k x + m x̃ solved for x̃, and x̃ = a x + b F for F.
        let factors = |(&from, &to): (&NoiseLevel, &NoiseLevel)| {
            let step = kernel::reverse(from, to, 0.0);
            let (a, b) = self.parameterization.x0_from(from);
            (1.0 / (step.x0 * b), -step.x / (step.x0 * b) - a / b)
        };
        let (of_end, of_x) = from.iter().zip(&to).map(factors).unzip();
        let target = linear_combination_each([(of_end, end), (of_x, x.clone())]);

        let each = |of: &dyn Fn(NoiseLevel) -> f64| {
            column(&x, from.iter().map(|&at| of(at))).reshape([from.len()])
        };
        let t = each(&|at| self.parameterization.time(at));
        let weight = each(&|at| self.weighting.weight(at, &self.parameterization));
        let seen = from.iter().map(|&at| self.parameterization.input_scale(at)).collect();
        let x_t = linear_combination_each([(seen, x)]);
        let (x_t, t) = if taped { (x_t.autodiff(), t.autodiff()) } else { (x_t, t) };
        let time =
            |step: usize| Sampled { time: 1.0 - step as f64 / steps as f64, importance: 1.0 };
        let sampled = chosen.into_iter().map(time).collect();
        Ok(Example { x_t, t, target, weight, sampled, levels: from })
    }

    /// Returns the loss of a student on data x₀ `[batch, …]`, of shape `[1]`. For a student with a
    /// condition, [`draw`](Self::draw) an example.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`draw`](Self::draw), and an error if the student does not accept the data
    /// or its prediction has another shape.
    pub fn loss<const D: usize>(
        &self,
        student: &impl NoisePredictor<D>,
        teacher: &impl Denoiser<D>,
        x0: Tensor<D>,
        noise: &mut impl NoiseSource,
    ) -> Result<Tensor<1>, TrainError> {
        student.check(x0.dims())?;
        let example = self.draw(teacher, x0, noise)?;
        example.loss(student.predict(example.x_t.clone(), example.t.clone()))
    }
}

/// Returns the one of `count` steps for u, uniform on [0, 1).
fn at(u: f64, count: usize) -> usize {
    ((u * count as f64) as usize).min(count - 1)
}
