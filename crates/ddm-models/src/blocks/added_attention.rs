//! Attention to the pixels and a text at once.

use burn::config::Config;
use burn::module::Module;
use burn::nn::{GroupNorm, Initializer, LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::{AttentionOptions, Context, Ops, group_norm};
use crate::NetworkConfigError;

/// How a text is normalized before it is attended to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ContextNorm {
    /// A layer norm of each vector.
    Layer,
    /// A group norm of 32 groups of channels, over all vectors.
    Group,
}

/// The configuration of [`AddedAttention`].
#[derive(Config, Debug)]
pub struct AddedAttentionConfig {
    /// The number of channels.
    pub channels: usize,
    /// The number of channels of the context.
    pub context: usize,
    /// The number of channels of a head; it divides the channels.
    pub head_size: usize,
    /// The number of groups of the group norm; it divides the channels.
    #[config(default = 32)]
    pub norm_groups: usize,
    /// How the context is normalized; `None` for not at all.
    pub context_norm: Option<ContextNorm>,
    /// Whether the pixels attend to the context alone.
    #[config(default = false)]
    pub only_context: bool,
}

/// Residual attention of all pixels to a context and to all pixels, `x + W_o softmax(q kᵀ/√d) v`: q is
/// linear in `norm(x)`, k and v are those of the context, followed by those of `norm(x)`.
///
/// The last matrix is initialized to 0. Source: Nichol et al., *GLIDE*, sec. 2.3, arXiv 2112.10741.
#[derive(Module, Debug)]
pub struct AddedAttention {
    group_norm: GroupNorm,
    norm_cross: Option<NormCross>,
    to_q: Linear,
    to_k: Option<Linear>,
    to_v: Option<Linear>,
    add_k_proj: Linear,
    add_v_proj: Linear,
    to_out: [Linear; 1],
    heads: usize,
}

#[derive(Module, Debug)]
enum NormCross {
    Layer(LayerNorm),
    Group(GroupNorm),
}

impl AddedAttentionConfig {
    /// Creates the layer on `device`.
    ///
    /// # Errors
    ///
    /// Returns an error if a number is 0, the channels are not a multiple of the head size and of the
    /// norm groups, or the context's channels are not a multiple of the 32 groups of its group norm.
    pub fn init(&self, device: &Device) -> Result<AddedAttention, NetworkConfigError> {
        let (what, channels) = ("channels with attention", self.channels);
        NetworkConfigError::require_channels(what, &[channels], self.norm_groups)?;
        NetworkConfigError::require_some("head_size", self.head_size)?;
        let of = "size of an attention head";
        NetworkConfigError::require_multiple(what, channels, self.head_size, of)?;
        let (what, context) = ("the channels of the context", self.context);
        NetworkConfigError::require_some(what, context)?;
        let norm_cross = match self.context_norm {
            None => None,
            Some(ContextNorm::Layer) => {
                Some(NormCross::Layer(LayerNormConfig::new(context).init(device)))
            }
            Some(ContextNorm::Group) => {
                NetworkConfigError::require_channels(what, &[context], 32)?;
                Some(NormCross::Group(group_norm(32, context, 1e-5, device)?))
            }
        };
        let matrix = |from| LinearConfig::new(from, channels).init(device);
        let own = || (!self.only_context).then(|| matrix(channels));
        let output = LinearConfig::new(channels, channels).with_initializer(Initializer::Zeros);
        Ok(AddedAttention {
            group_norm: group_norm(self.norm_groups, channels, 1e-5, device)?,
            norm_cross,
            to_q: matrix(channels),
            to_k: own(),
            to_v: own(),
            add_k_proj: matrix(context),
            add_v_proj: matrix(context),
            to_out: [output.init(device)],
            heads: channels / self.head_size,
        })
    }
}

impl AddedAttention {
    /// Applies the layer to `[batch, h, w, channels]`; the shape does not change.
    pub fn forward(&self, ops: &Ops, x: Tensor<4>, context: &Context) -> Tensor<4> {
        let shape @ [batch, height, width, channels] = x.dims();
        let pixels = [batch, height * width, channels];
        let states = self.normalized(ops, context.states.clone());
        let rows = ops.group_norm(&self.group_norm, x.clone()).reshape(pixels);
        let q = ops.linear(&self.to_q, rows.clone());
        let both = |added: &Linear, own: &Option<Linear>| {
            let added = ops.linear(added, states.clone());
            match own {
                Some(own) => Tensor::cat(vec![added, ops.linear(own, rows.clone())], 1),
                None => added,
            }
        };
        let (k, v) = (both(&self.add_k_proj, &self.to_k), both(&self.add_v_proj, &self.to_v));
        let bias = context.bias.clone().map(|bias| match &self.to_k {
            Some(_) => {
                // The pixels are not masked.
                let [samples, _, _, _] = bias.dims();
                let none = [samples, 1, 1, height * width];
                let none = Tensor::zeros(none, (&bias.device(), bias.dtype()));
                Tensor::cat(vec![bias, none], 3)
            }
            None => bias,
        });
        let options = AttentionOptions { bias, ..Default::default() };
        let mixed = ops.attention_with(q, k, v, self.heads, options);
        ops.linear_add(&self.to_out[0], mixed, x.reshape(pixels)).reshape(shape)
    }

    fn normalized(&self, ops: &Ops, states: Tensor<3>) -> Tensor<3> {
        match &self.norm_cross {
            None => states,
            Some(NormCross::Layer(norm)) => ops.layer_norm(norm, states),
            Some(NormCross::Group(norm)) => {
                let [batch, length, channels] = states.dims();
                let image = states.reshape([batch, length, 1, channels]);
                ops.group_norm(norm, image).reshape([batch, length, channels])
            }
        }
    }
}
