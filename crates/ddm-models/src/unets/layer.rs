//! What follows a residual block: attention of one kind or another.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::NetworkConfigError;
use crate::blocks::{
    AddedAttention, AddedAttentionConfig, Context, Ops, Residual, SelfAttention,
    SelfAttentionConfig, SpatialTransformer, SpatialTransformerConfig, TransformerBlockConfig,
};

/// What all layers of a pass share.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pass<'a> {
    pub(super) ops: &'a Ops,
    /// The conditioning vector of the residual blocks, after its activation.
    pub(super) time: &'a Tensor<2>,
    /// The text, of networks that have one.
    pub(super) text: Option<&'a Context>,
}

impl Pass<'_> {
    pub(super) fn residual(&self, block: &Residual, x: Tensor<4>) -> Tensor<4> {
        block.forward(self.ops, x, Some(self.time))
    }
}

/// The attention after a residual block.
#[derive(Module, Debug)]
#[expect(clippy::large_enum_variant, reason = "a box is no module of burn")]
pub(super) enum LayerAttention {
    Pixels(SelfAttention),
    Transformer(SpatialTransformer),
    Added(AddedAttention),
}

impl LayerAttention {
    pub(super) fn forward(&self, pass: &Pass<'_>, x: Tensor<4>) -> Tensor<4> {
        match (self, pass.text) {
            (Self::Pixels(attention), _) => attention.forward(pass.ops, x),
            (Self::Transformer(transformer), Some(text)) => transformer.forward(pass.ops, x, text),
            (Self::Added(attention), Some(text)) => attention.forward(pass.ops, x, text),
            // A network with such layers takes no pass without a text.
            (_, None) => x,
        }
    }
}

/// The settings of the attention of a level; each layer of the level has its own number of
/// transformer blocks.
#[derive(Clone, Debug)]
pub(super) enum Attends {
    No,
    Pixels(SelfAttentionConfig),
    Transformer { config: SpatialTransformerConfig, layers: Vec<usize> },
    Added(AddedAttentionConfig),
}

impl Attends {
    /// The settings of a level's transformers.
    pub(super) fn transformer(
        block: TransformerBlockConfig,
        norm_groups: usize,
        linear_projection: bool,
        layers: Vec<usize>,
    ) -> Self {
        let config = SpatialTransformerConfig::new(block)
            .with_norm_groups(norm_groups)
            .with_linear_projection(linear_projection);
        Self::Transformer { config, layers }
    }

    /// Creates the attention of `count` layers.
    pub(super) fn init(
        &self,
        count: usize,
        device: &Device,
    ) -> Result<Vec<LayerAttention>, NetworkConfigError> {
        let one = |layer: usize| match self {
            Self::No => Ok(None),
            Self::Pixels(config) => config.init(device).map(LayerAttention::Pixels).map(Some),
            Self::Added(config) => config.init(device).map(LayerAttention::Added).map(Some),
            Self::Transformer { config, layers } => {
                let layers = layers.get(layer).copied().unwrap_or(1);
                let config = config.clone().with_layers(layers);
                config.init(device).map(LayerAttention::Transformer).map(Some)
            }
        };
        (0..count).filter_map(|layer| one(layer).transpose()).collect()
    }
}
