//! Two points of a path that a consistency model is to map to the same data.

use burn::tensor::Tensor;
use ddm_denoiser::{ModelError, NoisePredictor, Parameterization, column, linear_combination_each};
use ddm_schedule::NoiseLevel;

use super::discretization::LevelPair;
use super::distance::Distance;
use crate::TrainError;

/// Two neighbouring points of a path, for a batch.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConsistencyExample<const D: usize> {
    /// The input of the network at the noisier level, scaled by the preconditioning if any.
    pub x_t: Tensor<D>,
    /// The network's timestep there, `[batch]`.
    pub t: Tensor<1>,
    /// The input at the less noisy level, without gradients. Where that is the data, `σ = 0`, it is
    /// `x_t`: the network is not needed there.
    pub x_r: Tensor<D>,
    /// The network's timestep there.
    pub r: Tensor<1>,
    /// The levels of each sample.
    pub pairs: Vec<LevelPair>,
    /// a x of `f = a x + b F`, and b, at both levels.
    upper: (Tensor<D>, Tensor<D>),
    lower: (Tensor<D>, Tensor<D>),
    weight: Tensor<1>,
    distance: Distance,
}

impl<const D: usize> ConsistencyExample<D> {
    /// Creates the example of two points, the noisier first, without gradients.
    pub(super) fn new(
        kind: &impl Parameterization,
        distance: Distance,
        pairs: Vec<LevelPair>,
        weights: Vec<f64>,
        [x_t, x_r]: [Tensor<D>; 2],
    ) -> Self {
        let per_sample = |of: &dyn Fn(&LevelPair) -> f64| pairs.iter().map(of).collect::<Vec<_>>();
        let vector = |numbers: Vec<f64>| column(&x_t, numbers).reshape([pairs.len()]);
        // At the data the input may be undefined (¼ ln σ), and counts nowhere: that of x_t is shown.
        let has_noise = |pair: &LevelPair| pair.to.sigma > 0.0;
        let shown = |pair: &LevelPair| if has_noise(pair) { pair.to } else { pair.from };
        let scale = |of_r: bool, pair: &LevelPair| match has_noise(pair) == of_r {
            true => kind.input_scale(shown(pair)),
            false => 0.0,
        };
        let f = |x: &Tensor<D>, at: &dyn Fn(&LevelPair) -> NoiseLevel| {
            let a = per_sample(&|pair| kind.x0_from(at(pair)).0);
            let b = per_sample(&|pair| kind.x0_from(at(pair)).1);
            (linear_combination_each([(a, x.clone())]), column(x, b))
        };
        let input = per_sample(&|pair| kind.input_scale(pair.from));
        Self {
            x_t: linear_combination_each([(input, x_t.clone())]),
            t: vector(per_sample(&|pair| kind.time(pair.from))),
            x_r: linear_combination_each([
                (per_sample(&|pair| scale(true, pair)), x_r.clone()),
                (per_sample(&|pair| scale(false, pair)), x_t.clone()),
            ]),
            r: vector(per_sample(&|pair| kind.time(shown(pair)))),
            upper: f(&x_t, &|pair| pair.from),
            lower: f(&x_r, &|pair| pair.to),
            weight: vector(weights),
            distance,
            pairs,
        }
    }

    /// Puts the input at the noisier level on the autodiff device.
    pub(super) fn on_tape(self) -> Self {
        Self { x_t: self.x_t.autodiff(), t: self.t.autodiff(), ..self }
    }

    /// Returns the target `f⁻(x_r, r)`, without gradients, from the prediction F for `x_r` and `r`.
    ///
    /// # Errors
    ///
    /// Returns an error if the prediction has another shape than the data.
    pub fn target(&self, prediction: Tensor<D>) -> Result<Tensor<D>, TrainError> {
        function(&self.lower, prediction.inner())
    }

    /// Returns the loss of the prediction F for `x_t` and `t`, of shape `[1]`.
    ///
    /// # Errors
    ///
    /// Returns an error if the prediction has another shape than the data.
    pub fn loss(&self, prediction: Tensor<D>, target: Tensor<D>) -> Result<Tensor<1>, TrainError> {
        Ok(self.losses(prediction, target)?.mean())
    }

    /// Returns the loss of each sample, `[batch]`, whose mean is the loss.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`loss`](Self::loss).
    pub fn losses(
        &self,
        prediction: Tensor<D>,
        target: Tensor<D>,
    ) -> Result<Tensor<1>, TrainError> {
        let f = function(&self.upper, prediction)?;
        ModelError::require_prediction(target.dims(), f.dims())?;
        Ok(self.distance.each(f - target) * self.weight.clone())
    }

    /// Returns the loss of a network with f⁻ of the network `target`, which is off the autodiff device: an
    /// average of the network's weights or `network.valid()`. Bind conditions with
    /// [`Conditioned`](ddm_denoiser::Conditioned).
    ///
    /// # Errors
    ///
    /// Returns an error if a prediction has another shape than the data.
    pub fn compared(
        &self,
        network: &impl NoisePredictor<D>,
        target: &impl NoisePredictor<D>,
    ) -> Result<Tensor<1>, TrainError> {
        let target = self.target(target.predict(self.x_r.clone(), self.r.clone()))?;
        self.loss(network.predict(self.x_t.clone(), self.t.clone()), target)
    }
}

/// Returns `f = a x + b F`.
fn function<const D: usize>(
    (scaled, b): &(Tensor<D>, Tensor<D>),
    prediction: Tensor<D>,
) -> Result<Tensor<D>, TrainError> {
    ModelError::require_prediction(prediction.dims(), scaled.dims())?;
    Ok(prediction.cast(scaled.dtype()) * b.clone() + scaled.clone())
}
