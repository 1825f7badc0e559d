//! The transformer of Stable Diffusion 3.

use std::path::Path;

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor};
use ddm_denoiser::{ConditionalPredictor, ModelError};
use ddm_weights::LoadOptions;

use super::conditions::require_dims;
use super::embeddings::TimeText;
use super::joint_block::JointBlock;
use super::modulation::{EPSILON, Modulation, modulated};
use super::patches::PatchEmbed;
use super::{Sd3Conditions, Sd3TransformerConfig, predicted_channels};
use crate::DiffusersError;
use crate::blocks::Ops;
use crate::component::{Component, component};

/// A transformer `F(x, t, text)` of image patches and text: `[batch, channels, height, width]`.
///
/// The sides of x are multiples of the patch size, and at most that of the table of positions, from
/// whose middle theirs are cut. Source: Esser et al., *Scaling Rectified Flow Transformers for
/// High-Resolution Image Synthesis*, arXiv 2403.03206. It is diffusers' `SD3Transformer2DModel`, of
/// Stable Diffusion 3 and 3.5.
#[derive(Module, Debug)]
pub struct Sd3Transformer {
    pub(super) pos_embed: PatchEmbed,
    pub(super) time_text_embed: TimeText,
    pub(super) context_embedder: Linear,
    pub(super) transformer_blocks: Vec<JointBlock>,
    pub(super) norm_out: Modulation,
    pub(super) proj_out: Linear,
    /// The width of the pooled texts.
    pub(super) pooled_width: usize,
}

impl Sd3Transformer {
    /// Loads an `SD3Transformer2DModel` of diffusers from its directory, which has `config.json` and
    /// `diffusion_pytorch_model.safetensors`.
    ///
    /// # Errors
    ///
    /// Returns an error if a file cannot be read, the config has settings that
    /// [`Sd3TransformerConfig::from_json`] does not cover, or a tensor is missing, unknown or of another
    /// shape.
    pub fn from_diffusers(
        directory: impl AsRef<Path>,
        device: &Device,
    ) -> Result<Self, DiffusersError> {
        Self::load_component(directory.as_ref(), &LoadOptions::new(), device)
    }

    /// Returns the prediction for x, `[batch, channels, height, width]`, at t, `[batch]` in 0 … 1000.
    #[must_use]
    pub fn forward(&self, x: Tensor<4>, t: Tensor<1>, conditions: Sd3Conditions) -> Tensor<4> {
        Ops::pass(&x.clone(), || self.forward_with(&Ops::default(), x, t, conditions))
    }

    /// As [`forward`](Self::forward), computed with `ops`.
    #[must_use]
    pub fn forward_with(
        &self,
        ops: &Ops,
        x: Tensor<4>,
        t: Tensor<1>,
        conditions: Sd3Conditions,
    ) -> Tensor<4> {
        let ([_, _, height, width], outside) = (x.dims(), x.dtype());
        let dtype = ops.dtype(self.pos_embed.dtype().into(), &x);
        let mut h = self.pos_embed.forward(ops, x.cast(dtype));
        let pooled = conditions.pooled_projections.cast(dtype);
        let condition = self.time_text_embed.forward(ops, t, None, pooled);
        let text = conditions.encoder_hidden_states.cast(dtype);
        let mut text = ops.linear(&self.context_embedder, text);
        for block in &self.transformer_blocks {
            (h, text) = block.forward(ops, h, text, &condition, None);
        }
        let [scale, shift] = self.norm_out.parts(ops, condition);
        let patches = ops.linear(&self.proj_out, modulated(ops, h, EPSILON, shift, scale));
        self.pos_embed.unpatch(patches, height, width).cast(outside)
    }
}

impl Component for Sd3Transformer {
    fn load_component(
        directory: &Path,
        options: &LoadOptions,
        device: &Device,
    ) -> Result<Self, DiffusersError> {
        let init = |json: &str| Ok(Sd3TransformerConfig::from_json(json)?.init(device)?);
        component(directory, options, init, str::to_owned, &[])
    }
}

impl ConditionalPredictor<4> for Sd3Transformer {
    type Condition = Sd3Conditions;
    fn predict_with(&self, x: Tensor<4>, t: Tensor<1>, conditions: Self::Condition) -> Tensor<4> {
        self.forward(x, t, conditions)
    }
    fn check_with(
        &self,
        shape: [usize; 4],
        conditions: &Self::Condition,
    ) -> Result<(), ModelError> {
        self.pos_embed.check(shape)?;
        let found @ [_, tokens, _] = conditions.encoder_hidden_states.dims();
        let expected = [shape[0], tokens, self.context_embedder.weight.dims()[0]];
        require_dims("the shape of the text's states", found, expected)?;
        let (found, expected) =
            (conditions.pooled_projections.dims(), [shape[0], self.pooled_width]);
        require_dims("the shape of the pooled texts", found, expected)
    }
    fn output_shape_with(&self, [batch, _, height, width]: [usize; 4]) -> Option<[usize; 4]> {
        Some([batch, predicted_channels(&self.proj_out, &self.pos_embed), height, width])
    }
}
