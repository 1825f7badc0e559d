//! DiT: a transformer for classes of images.

use std::path::Path;

use burn::module::Module;
use burn::nn::{Embedding, EmbeddingConfig, Linear};
use burn::tensor::{Device, Int, Tensor};
use ddm_denoiser::{ConditionalPredictor, ModelError, NoisePredictor};
use ddm_weights::LoadOptions;

use super::attention::{Attention, AttentionConfig};
use super::embeddings::{Projection, sinusoids};
use super::feed_forward::FeedForward;
use super::modulation::{EPSILON, modulated, split, zero_linear};
use super::patches::PatchEmbed;
use super::{DitConfig, predicted_channels};
use crate::blocks::Ops;
use crate::component::{Component, component};
use crate::conditioning::check_labels;
use crate::{DiffusersError, Network, Prepared};

/// A transformer `F(x, t)` of image patches, with classes: `[batch, channels, height, width]`.
///
/// The last of its class vectors is the null class, "no class". An untrained network predicts 0. The
/// sides of x are multiples of the patch size. Source: Peebles & Xie, *Scalable Diffusion Models with
/// Transformers*, arXiv 2212.09748. It is diffusers' `DiTTransformer2DModel`.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use ddm_denoiser::ConditionalPredictor;
/// use ddm_models::transformer::DitConfig;
/// let (num_attention_heads, attention_head_dim, num_layers) = (2, 8, 1);
/// let sizes = DitConfig { num_attention_heads, attention_head_dim, num_layers, ..Default::default() };
/// let device = Device::flex();
/// let network = DitConfig { sample_size: 8, ..sizes }.init(&device)?;
/// let x = Tensor::<4>::zeros([1, 4, 8, 8], &device);
/// let labels = network.null_classes(1, &device);
/// let prediction = network.predict_with(x, Tensor::zeros([1], &device), labels);
/// assert_eq!(prediction.dims(), [1, 8, 8, 8]); // with a learned variance
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Module, Debug)]
pub struct Dit {
    pub(super) pos_embed: PatchEmbed,
    pub(super) transformer_blocks: Vec<DitBlock>,
    pub(super) proj_out_1: Linear,
    pub(super) proj_out_2: Linear,
}

/// `h = x + gate attention(norm(x))`, then `h + gate ff(norm(h))`, with modulated norms.
#[derive(Module, Debug)]
pub(super) struct DitBlock {
    norm1: BlockNorm,
    attn1: Attention,
    ff: FeedForward,
    norm_eps: f64,
}

/// The modulation of a block, which embeds timestep and class by itself.
#[derive(Module, Debug)]
struct BlockNorm {
    emb: TimeClass,
    linear: Linear,
}

#[derive(Module, Debug)]
struct TimeClass {
    timestep_embedder: Projection,
    class_embedder: Classes,
}

#[derive(Module, Debug)]
struct Classes {
    embedding_table: Embedding,
}

impl DitBlock {
    pub(super) fn new(config: &DitConfig, device: &Device) -> Self {
        let (heads, head_size) = (config.num_attention_heads, config.attention_head_dim);
        let width = heads * head_size;
        let (bias, dropout) = (config.attention_bias, config.dropout);
        let attention = AttentionConfig { bias, dropout, ..AttentionConfig::new(heads, head_size) };
        let embedding_table = EmbeddingConfig::new(config.classes + 1, width).init(device);
        let emb = TimeClass {
            timestep_embedder: Projection::of_sinusoids(width, device),
            class_embedder: Classes { embedding_table },
        };
        Self {
            norm1: BlockNorm { emb, linear: zero_linear(width, 6 * width, device) },
            attn1: attention.init(device),
            ff: FeedForward::new(width, config.activation, dropout, device),
            norm_eps: config.norm_eps,
        }
    }

    /// Returns the embedded timestep and class, `[batch, width]`.
    fn condition(&self, ops: &Ops, sinusoids: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<2> {
        let TimeClass { timestep_embedder, class_embedder } = &self.norm1.emb;
        let dtype = sinusoids.dtype();
        let time = timestep_embedder.forward(ops, sinusoids);
        time + class_embedder.embedding_table.weight.val().select(0, labels).cast(dtype)
    }

    fn forward(&self, ops: &Ops, x: Tensor<3>, condition: Tensor<2>) -> Tensor<3> {
        let parts = ops.linear(&self.norm1.linear, ops.silu(condition));
        let [batch, width] = parts.dims();
        let [shift, scale, gate, ff_shift, ff_scale, ff_gate] =
            split(parts.reshape([batch, 6, width / 6]));
        let h = modulated(ops, x.clone(), EPSILON, shift, scale);
        let x = x + gate * self.attn1.of_itself(ops, h, None);
        let h = modulated(ops, x.clone(), self.norm_eps, ff_shift, ff_scale);
        x + ff_gate * self.ff.forward(ops, h)
    }
}

impl Dit {
    /// Loads a `DiTTransformer2DModel` of diffusers from its directory, which has `config.json` and
    /// `diffusion_pytorch_model.safetensors`.
    ///
    /// # Errors
    ///
    /// Returns an error if a file cannot be read, the config has settings that
    /// [`DitConfig::from_json`] does not cover, or a tensor is missing, unknown or of another shape.
    pub fn from_diffusers(
        directory: impl AsRef<Path>,
        device: &Device,
    ) -> Result<Self, DiffusersError> {
        Self::load_component(directory.as_ref(), &LoadOptions::new(), device)
    }

    /// Returns the number of classes without the null class.
    pub fn classes(&self) -> usize {
        let table = self.transformer_blocks.first().map(|block| &block.norm1.emb.class_embedder);
        table.map_or(0, |table| table.embedding_table.weight.dims()[0] - 1)
    }

    /// Returns `batch` labels of the null class, "no class".
    pub fn null_classes(&self, batch: usize, device: &Device) -> Tensor<1, Int> {
        Tensor::full([batch], self.classes() as i64, device)
    }

    /// Returns the number of channels of x and the height and width of a patch.
    #[must_use]
    pub fn patches(&self) -> [usize; 2] {
        let [_, channels, size, _] = self.pos_embed.one_patch();
        [channels, size]
    }

    fn predicted(&self, [batch, _, height, width]: [usize; 4]) -> [usize; 4] {
        [batch, predicted_channels(&self.proj_out_2, &self.pos_embed), height, width]
    }

    /// Returns the prediction for x, `[batch, channels, height, width]`, at t, `[batch]` in 0 … 1000,
    /// and the classes `labels`, `[batch]`.
    #[must_use]
    pub fn forward(&self, x: Tensor<4>, t: Tensor<1>, labels: Tensor<1, Int>) -> Tensor<4> {
        Ops::pass(&x.clone(), || self.forward_with(&Ops::default(), x, t, Some(labels)))
    }
}

impl Component for Dit {
    fn load_component(
        directory: &Path,
        options: &LoadOptions,
        device: &Device,
    ) -> Result<Self, DiffusersError> {
        let init = |json: &str| Ok(DitConfig::from_json(json)?.init(device)?);
        component(directory, options, init, str::to_owned, &[])
    }
}

impl Network<4> for Dit {
    fn forward_with(
        &self,
        ops: &Ops,
        x: Tensor<4>,
        t: Tensor<1>,
        labels: Option<Tensor<1, Int>>,
    ) -> Tensor<4> {
        let ([batch, _, height, width], outside) = (x.dims(), x.dtype());
        let labels = labels.unwrap_or_else(|| self.null_classes(batch, &x.device()));
        let dtype = ops.dtype(self.pos_embed.dtype().into(), &x);
        let mut h = self.pos_embed.forward(ops, x.cast(dtype));
        let sinusoids = sinusoids(t, 1.0, h.dtype());
        let mut first = None;
        for block in &self.transformer_blocks {
            let condition = block.condition(ops, sinusoids.clone(), labels.clone());
            h = block.forward(ops, h, condition.clone());
            first = first.or(Some(condition));
        }
        if let Some(condition) = first {
            let parts = ops.linear(&self.proj_out_1, ops.silu(condition));
            let [batch, both] = parts.dims();
            let [shift, scale] = split(parts.reshape([batch, 2, both / 2]));
            h = modulated(ops, h, EPSILON, shift, scale);
        }
        let patches = ops.linear(&self.proj_out_2, h);
        self.pos_embed.unpatch(patches, height, width).cast(outside)
    }
}

impl NoisePredictor<4> for Dit {
    fn predict(&self, x: Tensor<4>, t: Tensor<1>) -> Tensor<4> {
        Ops::pass(&x.clone(), || self.forward_with(&Ops::default(), x, t, None))
    }
    fn check(&self, shape: [usize; 4]) -> Result<(), ModelError> {
        self.pos_embed.check(shape)
    }
    fn output_shape(&self, shape: [usize; 4]) -> Option<[usize; 4]> {
        Some(self.predicted(shape))
    }
}

impl ConditionalPredictor<4> for Dit {
    type Condition = Tensor<1, Int>;
    fn predict_with(&self, x: Tensor<4>, t: Tensor<1>, labels: Self::Condition) -> Tensor<4> {
        self.forward(x, t, labels)
    }
    fn check_with(&self, shape: [usize; 4], labels: &Self::Condition) -> Result<(), ModelError> {
        self.pos_embed.check(shape)?;
        check_labels(labels, shape[0], self.classes(), true)
    }
    fn output_shape_with(&self, shape: [usize; 4]) -> Option<[usize; 4]> {
        Some(self.predicted(shape))
    }
}

impl Prepared<Dit> {
    /// As [`Dit::null_classes`].
    #[must_use]
    pub fn null_classes(&self, batch: usize, device: &Device) -> Tensor<1, Int> {
        self.parts().0.null_classes(batch, device)
    }
}
