//! The small network that makes a conditioning vector of a number.

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, FloatDType, Tensor};

use super::{Activation, Ops};
use crate::NetworkConfigError;

/// Two linear layers with an activation between: `W₂ f(W₁ (x + P c))`, with P for networks that take a
/// second vector c, the guidance scale of a distilled network.
#[derive(Module, Debug)]
pub(crate) struct EmbeddingMlp {
    linear_1: Linear,
    cond_proj: Option<Linear>,
    linear_2: Linear,
    #[module(skip)]
    activation: Activation,
    #[module(skip)]
    activation_out: Option<Activation>,
}

impl EmbeddingMlp {
    pub(crate) fn new(
        channels_in: usize,
        channels_out: usize,
        device: &Device,
    ) -> Result<Self, NetworkConfigError> {
        NetworkConfigError::require_some("the size of an embedded vector", channels_in)?;
        NetworkConfigError::require_some("the size of the conditioning vector", channels_out)?;
        Ok(Self {
            linear_1: LinearConfig::new(channels_in, channels_out).init(device),
            cond_proj: None,
            linear_2: LinearConfig::new(channels_out, channels_out).init(device),
            activation: Activation::Silu,
            activation_out: None,
        })
    }

    /// With another activation between the layers, and one at the end.
    pub(crate) fn activated(self, activation: Activation, out: Option<Activation>) -> Self {
        Self { activation, activation_out: out, ..self }
    }

    /// With a second vector of this size.
    pub(crate) fn with_second(
        self,
        size: Option<usize>,
        device: &Device,
    ) -> Result<Self, NetworkConfigError> {
        let [channels_in, _] = self.linear_1.weight.dims();
        if let Some(size) = size {
            NetworkConfigError::require_some("time_cond_proj_dim", size)?;
        }
        let project = |size| LinearConfig::new(size, channels_in).with_bias(false).init(device);
        Ok(Self { cond_proj: size.map(project), ..self })
    }

    /// Returns the size of x, and that of the second vector.
    pub(crate) fn sizes(&self) -> (usize, Option<usize>) {
        let size = |linear: &Linear| linear.weight.dims()[0];
        (size(&self.linear_1), self.cond_proj.as_ref().map(size))
    }

    pub(crate) fn dtype(&self) -> FloatDType {
        self.linear_1.weight.val().dtype().into()
    }

    pub(crate) fn forward(&self, ops: &Ops, x: Tensor<2>, second: Option<Tensor<2>>) -> Tensor<2> {
        let x = match (&self.cond_proj, second) {
            (Some(project), Some(second)) => ops.linear_add(project, second, x),
            _ => x,
        };
        let h = ops.activate(self.activation, ops.linear_remembered(&self.linear_1, x));
        let h = ops.linear_remembered(&self.linear_2, h);
        match self.activation_out {
            Some(activation) => ops.activate(activation, h),
            None => h,
        }
    }
}
