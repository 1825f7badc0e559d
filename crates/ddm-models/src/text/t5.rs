//! T5's encoder.

use std::path::Path;

use burn::module::Module;
use burn::nn::{Dropout, Embedding, RmsNorm};
use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use ddm_denoiser::ModelError;
use ddm_weights::LoadOptions;

use super::relative_position::Buckets;
use super::t5_block::T5Block;
use super::{T5EncoderConfig, check_ids, rows};
use crate::DiffusersError;
use crate::blocks::{AttentionOptions, Ops};
use crate::component::{Component, component};

/// T5's encoder: a transformer over token ids, with biases for relative positions in place of position
/// embeddings.
///
/// Sources: Raffel et al., *Exploring the Limits of Transfer Learning with a Unified Text-to-Text
/// Transformer*, sec. 2.1, arXiv 1910.10683; the gated form of v1.1: Shazeer, *GLU Variants Improve
/// Transformer*, arXiv 2002.05202. It is transformers' `T5EncoderModel`. It computes in the dtype of
/// its weights; those of the large models overflow in f16, but not in bf16.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use ddm_models::text::T5EncoderConfig;
/// let (d_model, d_ff, num_layers, num_heads) = (12, 20, 2, 3);
/// let sizes = T5EncoderConfig { vocab_size: 9, d_model, d_ff, ..Default::default() };
/// let device = Device::flex();
/// let encoder = T5EncoderConfig { num_layers, num_heads, d_kv: 4, ..sizes }.init(&device)?;
/// let states = encoder.forward(Tensor::from_ints([[3, 5, 1, 0]], &device), None)?;
/// assert_eq!(states.dims(), [1, 4, 12]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Module, Debug)]
pub struct T5Encoder {
    pub(super) shared: Embedding,
    pub(super) encoder: Encoder,
    #[module(skip)]
    pub(super) buckets: Buckets,
}

#[derive(Module, Debug)]
pub(super) struct Encoder {
    pub(super) block: Vec<T5Block>,
    pub(super) final_layer_norm: RmsNorm,
    pub(super) dropout: Dropout,
}

impl T5Encoder {
    /// Loads an encoder from a directory of transformers, which has `config.json` and
    /// `model.safetensors`. The table of the tokens may have the name `shared`, `encoder.embed_tokens`,
    /// or both; a decoder in the file is left out.
    ///
    /// # Errors
    ///
    /// Returns an error if a file cannot be read, the config has settings that
    /// [`T5EncoderConfig::from_json`] does not cover, or a tensor is missing, unknown or of another shape.
    pub fn from_transformers(
        directory: impl AsRef<Path>,
        device: &Device,
    ) -> Result<Self, DiffusersError> {
        Self::load_component(directory.as_ref(), &LoadOptions::new(), device)
    }

    /// Encodes token ids, `[batch, length]`, into states, `[batch, length, width]`. `mask`, `[batch,
    /// length]`, is 1 for the tokens that are seen, and 0 for those that are not; without it all are.
    ///
    /// # Errors
    ///
    /// Returns an error if there are no ids, an id is not in the vocabulary, or the mask has another
    /// shape.
    pub fn forward(
        &self,
        ids: Tensor<2, Int>,
        mask: Option<Tensor<2, Int>>,
    ) -> Result<Tensor<3>, ModelError> {
        self.forward_with(&Ops::default(), ids, mask)
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
        mask: Option<Tensor<2, Int>>,
    ) -> Result<Tensor<3>, ModelError> {
        let x = self.encode(ops, ids, mask, |_| {})?;
        Ok(self.encoder.dropout.forward(ops.rms_norm(&self.encoder.final_layer_norm, x)))
    }

    /// Returns the embedded tokens, then the states after each block, all without the final norm.
    ///
    /// # Errors
    ///
    /// As [`forward`](Self::forward).
    pub fn hidden_states(
        &self,
        ids: Tensor<2, Int>,
        mask: Option<Tensor<2, Int>>,
    ) -> Result<Vec<Tensor<3>>, ModelError> {
        let mut states = Vec::with_capacity(self.encoder.block.len() + 1);
        let last = self.encode(&Ops::default(), ids, mask, |state| states.push(state.clone()))?;
        states.push(last);
        Ok(states)
    }

    /// Returns the states after the last block, and shows those before each.
    fn encode(
        &self,
        ops: &Ops,
        ids: Tensor<2, Int>,
        mask: Option<Tensor<2, Int>>,
        mut show: impl FnMut(&Tensor<3>) + Send,
    ) -> Result<Tensor<3>, ModelError> {
        check_ids(&ids, self.shared.weight.dims()[0])?;
        if let Some(mask) = &mask
            && mask.dims() != ids.dims()
        {
            let (found, expected) = (format!("{:?}", mask.dims()), format!("{:?}", ids.dims()));
            return Err(ModelError::Shape { what: "the shape of the mask", found, expected });
        }
        let x = rows(&self.shared, ids);
        let dtype = ops.dtype(x.dtype().into(), &x);
        let mut x = self.encoder.dropout.forward(x.cast(dtype));
        let bias = self.bias(&x, mask);
        Ok(Ops::pass(&x.clone(), || {
            for block in &self.encoder.block {
                show(&x);
                x = block.forward(ops, x.clone(), bias.clone());
            }
            x
        }))
    }

    /// Returns the bias of all blocks' scores, `[1 or batch, heads, length, length]`.
    fn bias(&self, x: &Tensor<3>, mask: Option<Tensor<2, Int>>) -> Tensor<4> {
        let ([batch, length, _], dtype, device) = (x.dims(), x.dtype(), x.device());
        let pairs = TensorData::new(self.buckets.of_pairs(length), [length * length]);
        let pairs = Tensor::<1, Int>::from_data(pairs, &device);
        let table = self.encoder.block.first().and_then(T5Block::bias);
        let Some(table) = table else { return Tensor::zeros([1; 4], (&device, dtype)) };
        let [_, heads] = table.weight.dims();
        let bias = table.weight.val().select(0, pairs).swap_dims(0, 1).cast(dtype);
        let bias = bias.reshape([1, heads, length, length]);
        let Some(mask) = mask else { return bias };
        // Far below any score, and still a number in the dtype.
        let hidden = if dtype == DType::F16 { -6e4 } else { -1e30 };
        let shape = [batch, heads, length, length];
        (bias + AttentionOptions::hiding(mask.float().cast(dtype), hidden)).expand(shape)
    }
}

impl Component for T5Encoder {
    fn load_component(
        directory: &Path,
        options: &LoadOptions,
        device: &Device,
    ) -> Result<Self, DiffusersError> {
        let init = |json: &str| Ok(T5EncoderConfig::from_json(json)?.init(device)?);
        // Both names are for one table: it does not matter which is read.
        let tied = |name: &str| match name {
            "encoder.embed_tokens.weight" => "shared.weight".to_owned(),
            other => other.to_owned(),
        };
        component(directory, options, init, tied, &["decoder.*", "lm_head.weight"])
    }
}
