//! The small networks that make a U-Net's conditioning vector.

use burn::module::Module;
use burn::nn::{Embedding, EmbeddingConfig, Linear, LinearConfig};
use burn::tensor::{Device, FloatDType, Tensor};

use super::ClassLabels;
use crate::NetworkConfigError;
use crate::blocks::{Activation, Ops};

/// Two linear layers with an activation between: `W₂ f(W₁ (x + P c))`, with P for networks that take a
/// second vector c, the guidance scale of a distilled network.
#[derive(Module, Debug)]
pub(super) struct EmbeddingMlp {
    linear_1: Linear,
    cond_proj: Option<Linear>,
    linear_2: Linear,
    #[module(skip)]
    activation: Activation,
    #[module(skip)]
    activation_out: Option<Activation>,
}

impl EmbeddingMlp {
    pub(super) fn new(
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
    pub(super) fn activated(self, activation: Activation, out: Option<Activation>) -> Self {
        Self { activation, activation_out: out, ..self }
    }

    /// With a second vector of this size.
    pub(super) fn with_second(
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
    pub(super) fn sizes(&self) -> (usize, Option<usize>) {
        let size = |linear: &Linear| linear.weight.dims()[0];
        (size(&self.linear_1), self.cond_proj.as_ref().map(size))
    }

    pub(super) fn dtype(&self) -> FloatDType {
        self.linear_1.weight.val().dtype().into()
    }

    pub(super) fn forward(&self, ops: &Ops, x: Tensor<2>, second: Option<Tensor<2>>) -> Tensor<2> {
        let x = match (&self.cond_proj, second) {
            (Some(project), Some(second)) => ops.linear_add(project, second, x),
            _ => x,
        };
        let h = ops.activate(self.activation, ops.linear(&self.linear_1, x));
        let h = ops.linear(&self.linear_2, h);
        match self.activation_out {
            Some(activation) => ops.activate(activation, h),
            None => h,
        }
    }
}

/// What a network makes of class labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClassEmbed {
    /// A learned vector for each of this many labels.
    Table(usize),
    /// The sinusoids of a number, and two layers.
    Timestep,
    /// The vector as it is given, of the size of the conditioning vector.
    Identity,
    /// Two layers of a vector of this size.
    Projection(usize),
    /// One layer of a vector of this size.
    SimpleProjection(usize),
}

/// The layers of a [`ClassEmbed`].
#[derive(Module, Debug)]
#[expect(clippy::large_enum_variant, reason = "a box is no module of burn")]
pub(super) enum ClassEmbedding {
    Table(Embedding),
    Layers(EmbeddingMlp),
    Layer(Linear),
}

impl ClassEmbed {
    /// Creates the layers; `None` if there are none. `sinusoids` is the size of those of t, `size` that
    /// of the conditioning vector.
    pub(super) fn init(
        self,
        sinusoids: usize,
        size: usize,
        activation: Activation,
        device: &Device,
    ) -> Result<Option<ClassEmbedding>, NetworkConfigError> {
        Ok(Some(match self {
            Self::Identity => return Ok(None),
            Self::Table(classes) => {
                NetworkConfigError::require_some("num_class_embeds", classes)?;
                ClassEmbedding::Table(EmbeddingConfig::new(classes, size).init(device))
            }
            Self::Timestep => {
                let layers = EmbeddingMlp::new(sinusoids, size, device)?;
                ClassEmbedding::Layers(layers.activated(activation, None))
            }
            Self::Projection(from) => {
                ClassEmbedding::Layers(EmbeddingMlp::new(from, size, device)?)
            }
            Self::SimpleProjection(from) => {
                let what = "projection_class_embeddings_input_dim";
                NetworkConfigError::require_some(what, from)?;
                ClassEmbedding::Layer(LinearConfig::new(from, size).init(device))
            }
        }))
    }
}

/// Returns the class vector in this dtype; `None` for labels of another kind than the layers take.
/// `project` makes sinusoids of numbers.
pub(super) fn class_vector(
    ops: &Ops,
    layers: Option<&ClassEmbedding>,
    project: &dyn Fn(Tensor<1>) -> Tensor<2>,
    labels: ClassLabels,
    dtype: FloatDType,
) -> Option<Tensor<2>> {
    Some(match (layers, labels) {
        (Some(ClassEmbedding::Table(table)), ClassLabels::Class(labels)) => {
            table.weight.val().cast(dtype).select(0, labels)
        }
        (Some(ClassEmbedding::Layers(layers)), ClassLabels::Number(number)) => {
            layers.forward(ops, project(number).cast(dtype), None)
        }
        (Some(ClassEmbedding::Layers(layers)), ClassLabels::Vector(vector)) => {
            layers.forward(ops, vector.cast(dtype), None)
        }
        (Some(ClassEmbedding::Layer(layer)), ClassLabels::Vector(vector)) => {
            ops.linear(layer, vector.cast(dtype))
        }
        (None, ClassLabels::Vector(vector)) => vector.cast(dtype),
        _ => return None,
    })
}
