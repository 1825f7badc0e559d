//! What U-Nets make of class labels.

use burn::module::Module;
use burn::nn::{Embedding, EmbeddingConfig, Linear, LinearConfig};
use burn::tensor::{Device, FloatDType, Tensor};

use super::ClassLabels;
use crate::NetworkConfigError;
use crate::blocks::{Activation, EmbeddingMlp, Ops};

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
