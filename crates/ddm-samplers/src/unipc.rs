//! UniPC, and the predictor-corrector scheme it shares with SA-Solver.

use burn::tensor::Tensor;
use ddm_denoiser::linear_combination;
use ddm_schedule::{NoiseLevel, kernel};
use serde::{Deserialize, Serialize};

use crate::integral::{moments, weights};
use crate::prediction::prediction_of;
use crate::settings::Order;
use crate::{Context, Extrapolate, History, Sampler, SamplingError};

/// UniPC of order 1 to 3: a multistep predictor and corrector with one history and one model call
/// per step.
///
/// A step first repeats the previous one, with the prediction at its end now known (corrector
/// UniC-p), then extrapolates through the last p predictions (predictor UniP-p). Both are a
/// first-order step with a mean of predictions whose weights integrate their polynomial exactly.
/// With a single difference (UniP-2 and UniC-1), [`Basis`] sets its weight. UniP-2 with
/// [`Basis::B2`] is DPM-Solver++(2M).
///
/// The corrector raises the order to p + 1 (measured 1.9, 2.9 and 4.2). With `lower_order_final`
/// (the default) the order falls to 1 in the last steps, which stabilizes short runs but lowers the
/// order of long ones. A step to σ = 0 is always of order 1. State: the last x and predictions.
/// Source: Zhao et al.,
/// *UniPC: A Unified Predictor-Corrector Framework*, algorithms 1 and 2, arXiv 2302.04867.
///
/// ```
/// use ddm_samplers::{Basis, UniPc};
/// let sampler = UniPc::new(3)?.basis(Basis::B1).lower_order_final(false);
/// assert!(UniPc::new(4).is_err());
/// # Ok::<(), ddm_samplers::SamplingError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UniPc {
    order: Order,
    basis: Basis,
    extrapolate: Extrapolate,
    lower_order_final: bool,
    without_corrector: Vec<usize>,
}

/// The function B(h) of UniPC, which scales a single difference; z = −h for x̂₀, h for ε̂.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Basis {
    /// `B₁ = z`: better at few steps without guidance.
    B1,
    /// `B₂ = e^z − 1`.
    #[default]
    B2,
}

impl UniPc {
    /// Creates a solver of order 1, 2 or 3, with B₂, x̂₀ and lower order in the last steps.
    ///
    /// # Errors
    /// Returns an error for any other order.
    pub fn new(order: usize) -> Result<Self, SamplingError> {
        let order = Order::new("order", order)?;
        Ok(Self { order, lower_order_final: true, ..Self::default() })
    }

    /// Sets the function B(h).
    #[must_use]
    pub fn basis(self, basis: Basis) -> Self {
        Self { basis, ..self }
    }

    /// Sets the interpolated quantity: x̂₀ (the default) or ε̂.
    #[must_use]
    pub fn extrapolate(self, extrapolate: Extrapolate) -> Self {
        Self { extrapolate, ..self }
    }

    /// Sets whether the order falls to 1 in the last steps.
    #[must_use]
    pub fn lower_order_final(self, lower_order_final: bool) -> Self {
        Self { lower_order_final, ..self }
    }

    /// Sets the steps (from 0) without a corrector at their end (`disable_corrector` of diffusers).
    /// With strong guidance this may improve the first steps.
    #[must_use]
    pub fn without_corrector(self, steps: impl IntoIterator<Item = usize>) -> Self {
        Self { without_corrector: steps.into_iter().collect(), ..self }
    }
}

/// Order 2, with B₂ and x̂₀.
impl Default for UniPc {
    fn default() -> Self {
        let (basis, extrapolate) = (Basis::default(), Extrapolate::default());
        let without_corrector = Vec::new();
        Self { order: Order(2), basis, extrapolate, lower_order_final: true, without_corrector }
    }
}

impl<const D: usize> Sampler<D> for UniPc {
    type State = MultistepState<D>;

    fn step(
        &self,
        cx: &mut Context<'_, D>,
        x: Tensor<D>,
        from: NoiseLevel,
        to: NoiseLevel,
        state: &mut MultistepState<D>,
    ) -> Tensor<D> {
        let corrects = !self.without_corrector.contains(&cx.done());
        let scheme = Scheme {
            predictor: self.order.0,
            corrector: corrects.then_some(self.order.0),
            basis: Some(self.basis),
            extrapolate: self.extrapolate,
            lower_order_final: self.lower_order_final,
            eta: None,
        };
        scheme.step(cx, x, from, to, state)
    }

    fn order(&self) -> Option<usize> {
        // The corrector adds one. If the order falls to 1 in the last steps, the run's is 2 at
        // most.
        Some(if self.lower_order_final { 2.min(self.order.0 + 1) } else { self.order.0 + 1 })
    }
}

/// The state of [`UniPc`] and [`SaSolver`](crate::SaSolver): the last predictions, and the last
/// step, which the corrector repeats.
#[derive(Clone, Debug, Default)]
pub struct MultistepState<const D: usize> {
    history: History<D>,
    /// The last step and its result.
    last: Option<(Step<D>, Tensor<D>)>,
}

/// A step that can be repeated with another mean of predictions.
#[derive(Clone, Debug)]
struct Step<const D: usize> {
    x: Tensor<D>,
    from: NoiseLevel,
    to: NoiseLevel,
    extrapolate: Extrapolate,
    eta: f64,
    z: Option<Tensor<D>>,
    /// The number of predictions before its end that the corrector uses; `None` for no corrector.
    corrector: Option<usize>,
}

impl<const D: usize> Step<D> {
    fn h(&self) -> f64 {
        self.to.lambda() - self.from.lambda()
    }

    /// The factors of x, of the mean of the predictions, and of z.
    fn coefficients(&self) -> [f64; 3] {
        let &Self { from, to, eta, .. } = self;
        if self.extrapolate == Extrapolate::Noise && eta > 0.0 {
            return kernel::noise_sde(from, to, eta);
        }
        let reverse = kernel::reverse(from, to, kernel::sde_std(from, to, eta));
        let (a, b) = self.extrapolate.kind().x0_from(from);
        [reverse.x + reverse.x0 * a, reverse.x0 * b, reverse.noise]
    }

    /// The positions of the newest predictions: 0 is the start of the step, 1 its end.
    fn nodes(&self, history: &History<D>, count: usize) -> Vec<f64> {
        let node = |level: NoiseLevel| (level.lambda() - self.from.lambda()) / self.h();
        history.levels().take(count).map(node).collect()
    }
}

/// A predictor and a corrector with any number of predictions, and the noise of the reverse SDE.
pub(crate) struct Scheme {
    /// The largest number of predictions of the predictor.
    pub(crate) predictor: usize,
    /// The largest number of predictions of the corrector, beside the one at the end.
    pub(crate) corrector: Option<usize>,
    /// The weight of a single difference; `None` for its exact integral.
    pub(crate) basis: Option<Basis>,
    pub(crate) extrapolate: Extrapolate,
    pub(crate) lower_order_final: bool,
    /// η of the SDE. If it is given, every step draws noise, also at η = 0.
    pub(crate) eta: Option<f64>,
}

impl Scheme {
    pub(crate) fn step<const D: usize>(
        &self,
        cx: &mut Context<'_, D>,
        x: Tensor<D>,
        from: NoiseLevel,
        to: NoiseLevel,
        MultistepState { history, last }: &mut MultistepState<D>,
    ) -> Tensor<D> {
        let x0 = cx.denoise(x.clone(), from);
        // From pure noise, where ε̂ does not determine x̂₀, the step uses x̂₀.
        let extrapolate = if from.alpha > 0.0 { self.extrapolate } else { Extrapolate::Data };
        let prediction = prediction_of(extrapolate.kind(), x.clone(), x0.clone(), from);
        let x = match last.take().map(|(step, result)| (step.corrector, step, result)) {
            // Only the difference is added, which keeps later changes of x (RePaint, ...).
            Some((Some(order), step, result)) if step.to == from => {
                let corrected = self.take(&step, history, order, Some(prediction.clone()));
                linear_combination([(1.0, x), (-1.0, result)].into_iter().chain(corrected))
            }
            _ => x,
        };
        history.push(from, prediction, self.predictor.max(self.corrector.unwrap_or(1)));
        // Predictions at levels of infinite λ have no position on the axis.
        let mut most = history.levels().take_while(|at| at.lambda().is_finite()).count();
        if self.lower_order_final {
            most = most.min(cx.steps().saturating_sub(cx.done()));
        }
        let (eta, z) = (self.eta.unwrap_or(0.0), self.eta.map(|_| cx.noise_like(&x)));
        if to.sigma == 0.0 {
            return x0 * to.alpha;
        }
        let corrector = self.corrector.filter(|_| most > 0).map(|order| order.min(most));
        let step = Step { x, from, to, extrapolate, eta, z, corrector };
        let order = self.predictor.min(most).max(1);
        let next = linear_combination(self.take(&step, history, order, None));
        *last = Some((step, next.clone()));
        next
    }

    fn weights<const D: usize>(&self, nodes: &[f64], step: &Step<D>) -> Vec<f64> {
        let z = match step.extrapolate {
            Extrapolate::Data => -(1.0 + step.eta) * step.h(),
            Extrapolate::Noise => step.h(),
        };
        if nodes.len() < 2 {
            return vec![1.0];
        }
        let mut moments = moments(-z);
        if let (2, Some(basis)) = (nodes.len(), self.basis) {
            moments[1] = match basis {
                Basis::B1 => 0.5 * z / z.exp_m1(),
                Basis::B2 => 0.5,
            };
        }
        weights(nodes, moments)
    }

    /// Takes the step with the newest `order` predictions, and with that at its end if it is known:
    /// the terms of the result.
    fn take<const D: usize>(
        &self,
        step: &Step<D>,
        history: &History<D>,
        order: usize,
        end: Option<Tensor<D>>,
    ) -> Vec<(f64, Tensor<D>)> {
        let [of_x, of_predictions, of_z] = step.coefficients();
        let nodes: Vec<f64> =
            step.nodes(history, order).into_iter().chain(end.is_some().then_some(1.0)).collect();
        let weights = self.weights(&nodes, step);
        let mut terms = vec![(of_x, step.x.clone())];
        terms.extend(history.terms(&weights[..order], of_predictions));
        terms.extend(end.map(|end| (weights[order] * of_predictions, end)));
        terms.extend(step.z.as_ref().filter(|_| of_z > 0.0).map(|z| (of_z, z.clone())));
        terms
    }
}
