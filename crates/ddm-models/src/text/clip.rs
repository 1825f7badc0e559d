//! CLIP's text encoder.

use std::path::Path;

use burn::module::Module;
use burn::nn::{Embedding, LayerNorm, Linear};
use burn::tensor::{Device, Int, Tensor};
use ddm_denoiser::ModelError;
use ddm_weights::LoadOptions;

use super::clip_layer::ClipLayer;
use super::{ClipTextConfig, check_ids, rows};
use crate::DiffusersError;
use crate::blocks::Ops;
use crate::component::{Component, component};

/// CLIP's text encoder: a causal transformer over token ids, and the state at the end of the text.
///
/// Source: Radford et al., *Learning Transferable Visual Models From Natural Language Supervision*,
/// sec. 2.4, arXiv 2103.00020. It is transformers' `CLIPTextModel`, or with a projection
/// `CLIPTextModelWithProjection`. It computes in the dtype of its weights.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use ddm_models::text::ClipTextConfig;
/// let (hidden_size, num_hidden_layers) = (24, 2);
/// let config = ClipTextConfig { vocab_size: 9, hidden_size, num_hidden_layers, ..Default::default() };
/// let device = Device::flex();
/// let encoder = ClipTextConfig { eos_token_id: 8, ..config }.init(&device)?;
/// let output = encoder.forward(Tensor::from_ints([[0, 3, 5, 8]], &device))?;
/// assert_eq!(output.last_hidden_state.dims(), [1, 4, 24]);
/// assert_eq!(output.hidden_states.len(), 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Module, Debug)]
pub struct ClipText {
    pub(super) text_model: TextModel,
    pub(super) text_projection: Option<Linear>,
    pub(super) eos_token_id: i64,
}

#[derive(Module, Debug)]
pub(super) struct TextModel {
    pub(super) embeddings: Embeddings,
    pub(super) encoder: Encoder,
    pub(super) final_layer_norm: LayerNorm,
}

#[derive(Module, Debug)]
pub(super) struct Embeddings {
    pub(super) token_embedding: Embedding,
    pub(super) position_embedding: Embedding,
}

#[derive(Module, Debug)]
pub(super) struct Encoder {
    pub(super) layers: Vec<ClipLayer>,
}

/// Returns a parameter's name with the prefix that newer versions of transformers leave out.
pub(crate) fn prefixed(name: &str) -> String {
    match name.split('.').next() {
        Some("embeddings" | "encoder" | "final_layer_norm") => format!("text_model.{name}"),
        _ => name.to_owned(),
    }
}

/// What a [`ClipText`] makes of token ids.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClipTextOutput {
    /// The states after the last layer and the final norm, `[batch, length, width]`.
    pub last_hidden_state: Tensor<3>,
    /// The embedded tokens, then the states after each layer, all without the final norm,
    /// `[batch, length, width]`. Stable Diffusion XL takes the last but one.
    pub hidden_states: Vec<Tensor<3>>,
    /// The row of `last_hidden_state` at the end of the text, `[batch, width]`.
    pub pooled: Tensor<2>,
    /// The projection of `pooled`, if the encoder has one, `[batch, projected width]`.
    pub text_embeds: Option<Tensor<2>>,
}

impl ClipText {
    /// Loads an encoder from a directory of transformers, which has `config.json` and
    /// `model.safetensors`. Its names may have the prefix `text_model.` or not.
    ///
    /// # Errors
    ///
    /// Returns an error if a file cannot be read, the config has settings that
    /// [`ClipTextConfig::from_json`] does not cover, or a tensor is missing, unknown or of another shape.
    pub fn from_transformers(
        directory: impl AsRef<Path>,
        device: &Device,
    ) -> Result<Self, DiffusersError> {
        Self::load_component(directory.as_ref(), &LoadOptions::new(), device)
    }

    /// Encodes token ids, `[batch, length]`.
    ///
    /// # Errors
    ///
    /// Returns an error if there are no ids, more than the encoder has positions, or an id is not in
    /// its vocabulary.
    pub fn forward(&self, ids: Tensor<2, Int>) -> Result<ClipTextOutput, ModelError> {
        self.forward_with(&Ops::default(), ids)
    }

    /// As [`forward`](Self::forward), computed with `ops`.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn forward_with(
        &self,
        ops: &Ops,
        ids: Tensor<2, Int>,
    ) -> Result<ClipTextOutput, ModelError> {
        let Embeddings { token_embedding, position_embedding } = &self.text_model.embeddings;
        let ([_, length], [positions, _]) = (ids.dims(), position_embedding.weight.dims());
        check_ids(&ids, token_embedding.weight.dims()[0])?;
        if length > positions {
            let (found, expected) = (length.to_string(), format!("at most {positions}"));
            return Err(ModelError::Shape { what: "the number of tokens", found, expected });
        }
        let positions = position_embedding.weight.val().narrow(0, 0, length).unsqueeze();
        let x = rows(token_embedding, ids.clone()) + positions;
        let dtype = ops.dtype(x.dtype().into(), &x);
        let x = x.cast(dtype);
        Ok(Ops::pass(&x.clone(), || self.encode(ops, x, ids)))
    }

    fn encode(&self, ops: &Ops, mut x: Tensor<3>, ids: Tensor<2, Int>) -> ClipTextOutput {
        let mut hidden_states = vec![x.clone()];
        for layer in &self.text_model.encoder.layers {
            x = layer.forward(ops, x);
            hidden_states.push(x.clone());
        }
        let last_hidden_state = self.final_norm(ops, x);
        let [batch, _, width] = last_hidden_state.dims();
        let end = self.end(ids).reshape([batch, 1, 1]).expand([batch, 1, width]);
        let pooled = last_hidden_state.clone().gather(1, end).reshape([batch, width]);
        let project = |layer| ops.linear(layer, pooled.clone());
        let text_embeds = self.text_projection.as_ref().map(project);
        ClipTextOutput { last_hidden_state, hidden_states, pooled, text_embeds }
    }

    /// Applies the final norm to the states of any layer, which some pipelines do ("CLIP skip").
    #[must_use]
    pub fn final_norm(&self, ops: &Ops, hidden_state: Tensor<3>) -> Tensor<3> {
        ops.layer_norm(&self.text_model.final_layer_norm, hidden_state)
    }

    /// Returns the width of the projected state; `None` for an encoder without projection.
    pub fn projection(&self) -> Option<usize> {
        self.text_projection.as_ref().map(|layer| layer.weight.dims()[1])
    }

    /// Returns the position of the end of each text, `[batch]`; 0 where there is none.
    fn end(&self, ids: Tensor<2, Int>) -> Tensor<1, Int> {
        let [batch, length] = ids.dims();
        let rank = match self.eos_token_id {
            2 => ids.clone(),
            eos => ids.clone().equal_elem(eos).int(),
        };
        // Of equal ranks the first wins; an argmax alone may take any.
        let before = Tensor::arange(0..length as i64, &ids.device()).unsqueeze::<2>();
        let before = before.expand([batch, length]);
        (rank * length as i64 - before).argmax(1).reshape([batch])
    }
}

impl Component for ClipText {
    fn load_component(
        directory: &Path,
        options: &LoadOptions,
        device: &Device,
    ) -> Result<Self, DiffusersError> {
        let init = |json: &str| Ok(ClipTextConfig::from_json(json)?.init(device)?);
        // Old files hold the numbers 0, 1, 2, …
        component(directory, options, init, prefixed, &["text_model.embeddings.position_ids"])
    }
}
