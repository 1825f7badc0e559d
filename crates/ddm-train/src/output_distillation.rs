//! A smaller network from a larger one.

use burn::module::Module;
use burn::tensor::Tensor;
use ddm_denoiser::{ConditionalPredictor, ModelError, NoisePredictor, Parameterization};
use ddm_noise::NoiseSource;
use ddm_schedule::{Invalid, NoiseSchedule};

use crate::{Example, Objective, TimeSampling, TrainError, Weighting};

/// Trains a smaller network, the student, to the predictions F_T of a trained one, the teacher:
/// `L = ‖F − F_T‖² + d ‖F − target‖²`, both with the weights of the objective.
///
/// The teacher's prediction is close to the mean of the targets at x, without their noise: so the student
/// learns in fewer steps. It learns the teacher's errors too, unless the data count as well: d is 0 here at
/// first, and 1 in the source. Both networks must predict the same, at the same timesteps. The source also
/// compares features inside the networks, which is not done here.
///
/// Source: Kim et al., *BK-SDM: A Lightweight, Fast, and Cheap Version of Stable Diffusion*, sec. 3.2,
/// arXiv 2305.15798.
///
/// ```
/// use burn::optim::AdamWConfig;
/// use burn::tensor::Device;
/// use ddm_denoiser::VPrediction;
/// use ddm_models::MlpConfig;
/// use ddm_noise::NoiseSource;
/// use ddm_schedule::Cosine;
/// use ddm_train::{Objective, OutputDistillation, Training};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let device = Device::flex().autodiff();
/// let teacher = MlpConfig::new().init(&device)?; // a trained one
/// let student = MlpConfig::new().with_hidden(32).init(&device)?;
/// let objective = Objective::new(Cosine::default(), VPrediction)?;
/// let distillation = OutputDistillation::new(&teacher);
/// let training = Training { steps: 10, ema_decay: 0.9, seed: 0 };
/// let trained = training.run(student, AdamWConfig::new().init(), 1e-3, |student, noise| {
///     let x0 = noise.draw([64, 2], &device); // a batch of data
///     distillation.loss(&objective, student, x0, noise)
/// })?;
/// # assert_eq!(trained.losses.len(), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct OutputDistillation<T> {
    /// Frozen, and without autodiff.
    teacher: T,
    data_weight: f64,
}

impl<T: Module> OutputDistillation<T> {
    /// Takes a trained network as the teacher, such as `Trained::average`. It is frozen.
    pub fn new(teacher: &T) -> Self {
        Self { teacher: teacher.valid().freeze(), data_weight: 0.0 }
    }

    /// Sets d, the weight of the data.
    ///
    /// # Errors
    ///
    /// Returns an error if d is negative or not finite.
    pub fn data_weight(mut self, d: f64) -> Result<Self, Invalid> {
        Invalid::require(d.is_finite() && d >= 0.0, "data weight", d, "finite and at least 0")?;
        self.data_weight = d;
        Ok(self)
    }

    /// Returns the loss of a student on data x₀ `[batch, …]`, of shape `[1]`. Times and noise are the next
    /// two draws.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`Objective::loss`], for the student and for the teacher.
    pub fn loss<const D: usize>(
        &self,
        objective: &Objective<
            impl NoiseSchedule,
            impl Parameterization,
            impl Weighting,
            impl TimeSampling,
        >,
        student: &impl NoisePredictor<D>,
        x0: Tensor<D>,
        noise: &mut impl NoiseSource,
    ) -> Result<Tensor<1>, TrainError>
    where
        T: NoisePredictor<D>,
    {
        self.teacher.check(x0.dims())?;
        student.check(x0.dims())?;
        let example = objective.draw(x0, noise)?;
        let taught = self.teacher(&example.x_t).predict(example.x_t.clone(), example.t.clone());
        let prediction = student.predict(objective.cast(&example.x_t), example.t.clone());
        self.of_predictions(&example, taught, prediction)
    }

    /// Returns the loss as [`loss`](Self::loss), for networks with the same kind of condition.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`Objective::loss_with`], for the student and for the teacher.
    pub fn loss_with<const D: usize, N: ConditionalPredictor<D>>(
        &self,
        objective: &Objective<
            impl NoiseSchedule,
            impl Parameterization,
            impl Weighting,
            impl TimeSampling,
        >,
        student: &N,
        x0: Tensor<D>,
        condition: N::Condition,
        noise: &mut impl NoiseSource,
    ) -> Result<Tensor<1>, TrainError>
    where
        T: ConditionalPredictor<D, Condition = N::Condition>,
    {
        self.teacher.check_with(x0.dims(), &condition)?;
        student.check_with(x0.dims(), &condition)?;
        let example = objective.draw(x0, noise)?;
        let (x, t) = (example.x_t.clone(), example.t.clone());
        let taught = self.teacher(&x).predict_with(x, t.clone(), condition.clone());
        let prediction = student.predict_with(objective.cast(&example.x_t), t, condition);
        self.of_predictions(&example, taught, prediction)
    }

    /// The teacher beside a tensor: a condition that is on an autodiff device cannot be taken from it.
    fn teacher<const D: usize>(&self, x: &Tensor<D>) -> T {
        let teacher = self.teacher.clone();
        if x.is_autodiff() { teacher.train() } else { teacher }
    }

    fn of_predictions<const D: usize>(
        &self,
        example: &Example<D>,
        taught: Tensor<D>,
        prediction: Tensor<D>,
    ) -> Result<Tensor<1>, TrainError> {
        ModelError::require_prediction(taught.dims(), example.target.dims())?;
        let target = taught.detach().cast(example.target.dtype());
        let by_teacher = Example { target, ..example.clone() }.loss(prediction.clone())?;
        if self.data_weight == 0.0 {
            return Ok(by_teacher);
        }
        Ok(by_teacher + example.loss(prediction)? * self.data_weight)
    }
}
