//! An exponential moving average of a module's weights.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::Tensor;
use burn::tensor::container::TensorContainer;
use ddm_schedule::Invalid;

use crate::TrainError;

/// The moving average `θ̄ ← d θ̄ + (1 − d) θ` of the weights of any burn module.
///
/// Samples drawn with θ̄ are better than with the last θ. While training is young the average
/// follows quickly, `d = min(decay, (1 + n)/(10 + n))` after n updates, so that the random start is
/// forgotten. Source: Ho et al., app. B (decay 0.9999), arXiv 2006.11239; the warm-up is that of
/// TensorFlow's `ExponentialMovingAverage`.
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::tensor::Device;
/// use ddm_train::Ema;
/// let network = LinearConfig::new(2, 2).init(&Device::flex());
/// let mut ema = Ema::new(&network, 0.999)?;
/// ema.update(&network); // after every optimizer step
/// let smooth = ema.average(); // for sampling
/// # assert_eq!(smooth.weight.val().dims(), [2, 2]);
/// # Ok::<(), ddm_train::TrainError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Ema<M> {
    average: M,
    decay: f64,
    updates: usize,
}

impl<M: Module> Ema<M> {
    /// Starts at the weights of `module`, with decay in [0, 1).
    pub fn new(module: &M, decay: f64) -> Result<Self, TrainError> {
        Invalid::require((0.0..1.0).contains(&decay), "EMA decay", decay, "in [0, 1)")?;
        Ok(Self { average: module.valid(), decay, updates: 0 })
    }

    /// Takes the weights of `module` into the average.
    pub fn update(&mut self, module: &M) {
        let n = self.updates as f64;
        let decay = self.decay.min((1.0 + n) / (10.0 + n));
        let mut weights = Weights::default();
        module.valid().visit(&mut weights);
        self.average = self.average.clone().map(&mut Blend { weights, decay });
        self.updates += 1;
    }

    /// The averaged module, without autodiff: ready to sample with.
    pub fn average(&self) -> &M {
        &self.average
    }

    /// The averaged module itself.
    pub fn into_average(self) -> M {
        self.average
    }
}

/// The float weights of a module by their ids.
#[derive(Default)]
struct Weights(TensorContainer<ParamId>);

impl ModuleVisitor for Weights {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.register(param.id, param.val());
    }
}

struct Blend {
    weights: Weights,
    decay: f64,
}

impl ModuleMapper for Blend {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let latest: Option<Tensor<D>> = self.weights.0.remove(&param.id);
        match latest {
            Some(latest) => param.map(|mean| mean * self.decay + latest * (1.0 - self.decay)),
            None => param,
        }
    }
}
