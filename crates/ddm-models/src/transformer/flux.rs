//! The transformer of Flux.

use std::path::Path;

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor};
use ddm_denoiser::{ConditionalPredictor, ModelError};
use ddm_weights::LoadOptions;

use super::conditions::{require_dims, require_part};
use super::embeddings::TimeText;
use super::joint_block::JointBlock;
use super::modulation::{EPSILON, Modulation, modulated};
use super::rope::Rope;
use super::single_block::SingleBlock;
use super::{FluxConditions, FluxTransformerConfig};
use crate::DiffusersError;
use crate::blocks::Ops;
use crate::component::{Component, component};

/// A transformer `F(x, t, text)` of image patches and text: `[batch, patches, channels]`.
///
/// Its patches are made outside: 2×2 pixels of an image, row by row. Blocks of two sequences come
/// first, then blocks of both as one; rotations of queries and keys say where a patch lies. Source:
/// Black Forest Labs' Flux.1; the blocks have theirs. It is diffusers' `FluxTransformer2DModel`, of
/// Flux.1 \[dev\], which takes the scale of its guidance, and \[schnell\].
#[derive(Module, Debug)]
pub struct FluxTransformer {
    pub(super) time_text_embed: TimeText,
    pub(super) context_embedder: Linear,
    pub(super) x_embedder: Linear,
    pub(super) transformer_blocks: Vec<JointBlock>,
    pub(super) single_transformer_blocks: Vec<SingleBlock>,
    pub(super) norm_out: Modulation,
    pub(super) proj_out: Linear,
    /// The channels of a head that each axis of the positions turns.
    #[module(skip)]
    pub(super) axes: Vec<usize>,
    /// The width of the pooled texts.
    pub(super) pooled_width: usize,
}

impl FluxTransformer {
    /// Loads a `FluxTransformer2DModel` of diffusers from its directory, which has `config.json` and
    /// `diffusion_pytorch_model.safetensors`.
    ///
    /// # Errors
    ///
    /// Returns an error if a file cannot be read, the config has settings that
    /// [`FluxTransformerConfig::from_json`] does not cover, or a tensor is missing, unknown or of
    /// another shape.
    pub fn from_diffusers(
        directory: impl AsRef<Path>,
        device: &Device,
    ) -> Result<Self, DiffusersError> {
        Self::load_component(directory.as_ref(), &LoadOptions::new(), device)
    }

    /// Whether the scale of the guidance is part of the condition.
    pub fn takes_guidance(&self) -> bool {
        self.time_text_embed.has_guidance()
    }

    /// Returns the prediction for x, `[batch, patches, channels]`, at t, `[batch]` **in 0 … 1**, as
    /// diffusers' network has it. ([`predict_with`](ConditionalPredictor::predict_with) takes t in
    /// 0 … 1000, as all networks do.)
    #[must_use]
    pub fn forward(&self, x: Tensor<3>, t: Tensor<1>, conditions: FluxConditions) -> Tensor<3> {
        Ops::pass(&x.clone(), || self.forward_with(&Ops::default(), x, t, conditions))
    }

    /// As [`forward`](Self::forward), computed with `ops`.
    #[must_use]
    pub fn forward_with(
        &self,
        ops: &Ops,
        x: Tensor<3>,
        t: Tensor<1>,
        conditions: FluxConditions,
    ) -> Tensor<3> {
        let outside = x.dtype();
        let dtype = ops.dtype(self.x_embedder.weight.val().dtype().into(), &x);
        let [_, patches, _] = x.dims();
        let mut h = ops.linear(&self.x_embedder, x.cast(dtype));
        let guidance = conditions.guidance.map(|scale| scale * 1000.0);
        let pooled = conditions.pooled_projections.cast(dtype);
        let condition = self.time_text_embed.forward(ops, t * 1000.0, guidance, pooled);
        let text = conditions.encoder_hidden_states.cast(dtype);
        let mut text = ops.linear(&self.context_embedder, text);
        let positions = Tensor::cat(vec![conditions.txt_ids, conditions.img_ids], 0);
        let rope = Rope::new(&positions, &self.axes, h.dtype());
        for block in &self.transformer_blocks {
            (h, text) = block.forward(ops, h, text, &condition, Some(&rope));
        }
        let [_, tokens, _] = text.dims();
        let mut both = Tensor::cat(vec![text, h], 1);
        for block in &self.single_transformer_blocks {
            both = block.forward(ops, both, &condition, &rope);
        }
        let h = both.narrow(1, tokens, patches);
        let [scale, shift] = self.norm_out.parts(ops, condition);
        ops.linear(&self.proj_out, modulated(ops, h, EPSILON, shift, scale)).cast(outside)
    }
}

impl Component for FluxTransformer {
    fn load_component(
        directory: &Path,
        options: &LoadOptions,
        device: &Device,
    ) -> Result<Self, DiffusersError> {
        let init = |json: &str| Ok(FluxTransformerConfig::from_json(json)?.init(device)?);
        component(directory, options, init, str::to_owned, &[])
    }
}

impl ConditionalPredictor<3> for FluxTransformer {
    type Condition = FluxConditions;
    fn predict_with(&self, x: Tensor<3>, t: Tensor<1>, conditions: Self::Condition) -> Tensor<3> {
        self.forward(x, t / 1000.0, conditions)
    }
    fn check_with(
        &self,
        shape @ [batch, patches, _]: [usize; 3],
        conditions: &Self::Condition,
    ) -> Result<(), ModelError> {
        let [channels, _] = self.x_embedder.weight.dims();
        require_dims("the shape of x", shape, [batch, patches, channels])?;
        let found @ [_, tokens, _] = conditions.encoder_hidden_states.dims();
        let expected = [batch, tokens, self.context_embedder.weight.dims()[0]];
        require_dims("the shape of the text's states", found, expected)?;
        let (found, expected) = (conditions.pooled_projections.dims(), [batch, self.pooled_width]);
        require_dims("the shape of the pooled texts", found, expected)?;
        let axes = self.axes.len();
        require_dims("the positions of patches", conditions.img_ids.dims(), [patches, axes])?;
        require_dims("the positions of tokens", conditions.txt_ids.dims(), [tokens, axes])?;
        let guidance = conditions.guidance.as_ref().map(Tensor::dims);
        require_part("the guidance", guidance, self.takes_guidance().then_some([batch]))
    }
    fn output_shape_with(&self, [batch, patches, _]: [usize; 3]) -> Option<[usize; 3]> {
        Some([batch, patches, self.proj_out.weight.dims()[1]])
    }
}
