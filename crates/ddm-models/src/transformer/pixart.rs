//! PixArt: a transformer for images from texts.

use std::path::Path;

use burn::module::{Module, Param};
use burn::nn::{Initializer, Linear};
use burn::tensor::{Device, FloatDType, Tensor};
use ddm_denoiser::{ConditionalPredictor, ModelError};
use ddm_weights::LoadOptions;

use super::attention::{Attention, AttentionConfig};
use super::conditions::{require_dims, require_part};
use super::embeddings::{Projection, sinusoids};
use super::feed_forward::FeedForward;
use super::modulation::{EPSILON, modulated, split, zero_linear};
use super::patches::PatchEmbed;
use super::{PixArtConditions, PixArtConfig, predicted_channels};
use crate::DiffusersError;
use crate::blocks::{AttentionOptions, Ops};
use crate::component::{Component, component};

/// A transformer `F(x, t, text)` of image patches: `[batch, channels, height, width]`.
///
/// One modulation of the timestep serves all blocks, each of which adds a table of its own; the text
/// comes in by cross-attention. The sides of x are multiples of the patch size. Sources: Chen et al.,
/// *PixArt-α*, sec. 2.3, arXiv 2310.00426; *PixArt-Σ*, arXiv 2403.04692. It is diffusers'
/// `PixArtTransformer2DModel`.
#[derive(Module, Debug)]
pub struct PixArt {
    pub(super) pos_embed: PatchEmbed,
    pub(super) adaln_single: TimeModulation,
    pub(super) caption_projection: Option<Projection>,
    pub(super) transformer_blocks: Vec<PixArtBlock>,
    pub(super) scale_shift_table: Param<Tensor<2>>,
    pub(super) proj_out: Linear,
    /// The width of the states of the text encoder.
    pub(super) text_width: usize,
}

/// The modulation that all blocks share.
#[derive(Module, Debug)]
pub(super) struct TimeModulation {
    emb: TimeSize,
    linear: Linear,
}

#[derive(Module, Debug)]
struct TimeSize {
    timestep_embedder: Projection,
    resolution_embedder: Option<Projection>,
    aspect_ratio_embedder: Option<Projection>,
}

impl TimeModulation {
    pub(super) fn new(width: usize, with_size: bool, device: &Device) -> Self {
        let third = || Projection::of_sinusoids(width / 3, device);
        let emb = TimeSize {
            timestep_embedder: Projection::of_sinusoids(width, device),
            resolution_embedder: with_size.then(third),
            aspect_ratio_embedder: with_size.then(third),
        };
        Self { emb, linear: zero_linear(width, 6 * width, device) }
    }

    /// Returns the embedded timestep and size, `[batch, width]`, and the six parts of the blocks'
    /// modulation, `[batch, 6, width]`.
    fn forward(
        &self,
        ops: &Ops,
        t: Tensor<1>,
        conditions: &PixArtConditions,
        dtype: FloatDType,
    ) -> (Tensor<2>, Tensor<3>) {
        let embed = |embedder: &Projection, numbers| {
            embedder.forward(ops, sinusoids(numbers, 0.0, dtype.into()))
        };
        let mut sum = embed(&self.emb.timestep_embedder, t);
        let [batch, width] = sum.dims();
        let of_size = |embedder: &Option<Projection>, numbers: &Option<Tensor<2>>| {
            let (embedder, numbers) = embedder.as_ref().zip(numbers.clone())?;
            let [_, count] = numbers.dims();
            let third = embed(embedder, numbers.reshape([batch * count]));
            Some(third.reshape([batch, count * (width / 3)]))
        };
        let resolution = of_size(&self.emb.resolution_embedder, &conditions.resolution);
        let ratio = of_size(&self.emb.aspect_ratio_embedder, &conditions.aspect_ratio);
        if let Some((resolution, ratio)) = resolution.zip(ratio) {
            sum = sum + Tensor::cat(vec![resolution, ratio], 1);
        }
        let parts = ops.linear(&self.linear, ops.silu(sum.clone()));
        (sum, parts.reshape([batch, 6, width]))
    }
}

/// Self-attention, attention to the text, and a feed-forward network, each added to its input.
#[derive(Module, Debug)]
pub(super) struct PixArtBlock {
    attn1: Attention,
    attn2: Attention,
    ff: FeedForward,
    scale_shift_table: Param<Tensor<2>>,
    norm_eps: f64,
}

/// Creates a table of `rows` vectors that are added to a modulation.
pub(super) fn table(rows: usize, width: usize, device: &Device) -> Param<Tensor<2>> {
    let std = (width as f64).powf(-0.5);
    Initializer::Normal { mean: 0.0, std }.init([rows, width], device)
}

impl PixArtBlock {
    pub(super) fn new(config: &PixArtConfig, device: &Device) -> Self {
        let (heads, head_size) = (config.num_attention_heads, config.attention_head_dim);
        let width = heads * head_size;
        let (bias, dropout) = (config.attention_bias, config.dropout);
        let own = AttentionConfig { bias, dropout, ..AttentionConfig::new(heads, head_size) };
        let text = AttentionConfig { context: config.cross_attention_dim, ..own };
        Self {
            attn1: own.init(device),
            attn2: text.init(device),
            ff: FeedForward::new(width, config.activation, dropout, device),
            scale_shift_table: table(6, width, device),
            norm_eps: config.norm_eps,
        }
    }

    fn forward(
        &self,
        ops: &Ops,
        x: Tensor<3>,
        text: Tensor<3>,
        bias: Option<Tensor<4>>,
        parts: Tensor<3>,
    ) -> Tensor<3> {
        let table = self.scale_shift_table.val().cast(x.dtype()).unsqueeze::<3>();
        let [shift, scale, gate, ff_shift, ff_scale, ff_gate] = split(parts + table);
        let h = modulated(ops, x.clone(), self.norm_eps, shift, scale);
        let x = x + gate * self.attn1.of_itself(ops, h, None);
        let x = x.clone() + self.attn2.of_context(ops, x, text, bias);
        let h = modulated(ops, x.clone(), self.norm_eps, ff_shift, ff_scale);
        x + ff_gate * self.ff.forward(ops, h)
    }
}

impl PixArt {
    /// Loads a `PixArtTransformer2DModel` of diffusers from its directory, which has `config.json` and
    /// `diffusion_pytorch_model.safetensors`.
    ///
    /// # Errors
    ///
    /// Returns an error if a file cannot be read, the config has settings that
    /// [`PixArtConfig::from_json`] does not cover, or a tensor is missing, unknown or of another shape.
    pub fn from_diffusers(
        directory: impl AsRef<Path>,
        device: &Device,
    ) -> Result<Self, DiffusersError> {
        Self::load_component(directory.as_ref(), &LoadOptions::new(), device)
    }

    /// Whether the height and width of the image are part of the condition.
    pub(super) fn takes_size(&self) -> bool {
        self.adaln_single.emb.resolution_embedder.is_some()
    }

    /// Returns the prediction for x, `[batch, channels, height, width]`, at t, `[batch]` in 0 … 1000.
    #[must_use]
    pub fn forward(&self, x: Tensor<4>, t: Tensor<1>, conditions: PixArtConditions) -> Tensor<4> {
        Ops::pass(&x.clone(), || self.forward_with(&Ops::default(), x, t, conditions))
    }

    /// As [`forward`](Self::forward), computed with `ops`.
    #[must_use]
    pub fn forward_with(
        &self,
        ops: &Ops,
        x: Tensor<4>,
        t: Tensor<1>,
        conditions: PixArtConditions,
    ) -> Tensor<4> {
        let ([batch, _, height, width], outside) = (x.dims(), x.dtype());
        let dtype = ops.dtype(self.pos_embed.dtype().into(), &x);
        let mut h = self.pos_embed.forward(ops, x.cast(dtype));
        let (time, parts) = self.adaln_single.forward(ops, t, &conditions, dtype);
        let mut text = conditions.encoder_hidden_states.cast(dtype);
        if let Some(projection) = &self.caption_projection {
            text = projection.forward(ops, text);
        }
        let hiding = |mask: Tensor<2>| AttentionOptions::hiding(mask.cast(dtype), -10000.0);
        let bias = conditions.encoder_attention_mask.map(|mask| hiding(mask.float()));
        for block in &self.transformer_blocks {
            h = block.forward(ops, h, text.clone(), bias.clone(), parts.clone());
        }
        let [_, channels] = time.dims();
        let table = self.scale_shift_table.val().cast(dtype).unsqueeze::<3>();
        let [shift, scale] = split(table + time.reshape([batch, 1, channels]));
        let patches = ops.linear(&self.proj_out, modulated(ops, h, EPSILON, shift, scale));
        self.pos_embed.unpatch(patches, height, width).cast(outside)
    }
}

impl Component for PixArt {
    fn load_component(
        directory: &Path,
        options: &LoadOptions,
        device: &Device,
    ) -> Result<Self, DiffusersError> {
        let init = |json: &str| Ok(PixArtConfig::from_json(json)?.init(device)?);
        component(directory, options, init, str::to_owned, &[])
    }
}

impl ConditionalPredictor<4> for PixArt {
    type Condition = PixArtConditions;
    fn predict_with(&self, x: Tensor<4>, t: Tensor<1>, conditions: Self::Condition) -> Tensor<4> {
        self.forward(x, t, conditions)
    }
    fn check_with(
        &self,
        shape: [usize; 4],
        conditions: &Self::Condition,
    ) -> Result<(), ModelError> {
        self.pos_embed.check(shape)?;
        let batch = shape[0];
        let found @ [_, tokens, _] = conditions.encoder_hidden_states.dims();
        require_dims("the shape of the text's states", found, [batch, tokens, self.text_width])?;
        let mask = conditions.encoder_attention_mask.as_ref().map(Tensor::dims);
        require_part("the shape of the text's mask", mask, mask.map(|_| [batch, tokens]))?;
        let sized = self.takes_size();
        let dims = |part: &Option<Tensor<2>>| part.as_ref().map(Tensor::dims);
        let of_size = |numbers| sized.then_some([batch, numbers]);
        require_part("the shape of the resolution", dims(&conditions.resolution), of_size(2))?;
        require_part("the shape of the aspect ratio", dims(&conditions.aspect_ratio), of_size(1))
    }
    fn output_shape_with(&self, [batch, _, height, width]: [usize; 4]) -> Option<[usize; 4]> {
        Some([batch, predicted_channels(&self.proj_out, &self.pos_embed), height, width])
    }
}
