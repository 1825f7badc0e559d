//! The pass up to the middle, which a U-Net and a ControlNet share.

use burn::nn::Linear;
use burn::nn::conv::Conv2d;
use burn::tensor::{FloatDType, Tensor};

use super::AddEmbedding;
use super::config::{AdditionEmbed, UNet2dConditionConfig};
use crate::blocks::plain::to_channels_last;
use crate::blocks::{Context, EmbeddingMlp, Ops};
use crate::unets::UNetCondition;
use crate::unets::class_embedding::{ClassEmbedding, class_vector};
use crate::unets::down::Down;
use crate::unets::layer::Pass;

/// The parts of a network up to its middle.
pub(in crate::unets) struct Encoder<'a> {
    pub(in crate::unets) config: &'a UNet2dConditionConfig,
    pub(in crate::unets) conv_in: &'a Conv2d,
    pub(in crate::unets) time_embedding: &'a EmbeddingMlp,
    pub(in crate::unets) class_embedding: Option<&'a ClassEmbedding>,
    pub(in crate::unets) add_embedding: Option<&'a AddEmbedding>,
    pub(in crate::unets) encoder_hid_proj: Option<&'a Linear>,
    pub(in crate::unets) down_blocks: &'a [Down],
}

/// What the pass gives: the image at the coarsest resolution, the skips, and the conditions of further
/// layers.
pub(in crate::unets) struct Encoded {
    pub(in crate::unets) h: Tensor<4>,
    pub(in crate::unets) skips: Vec<Tensor<4>>,
    pub(in crate::unets) time: Tensor<2>,
    pub(in crate::unets) text: Context,
}

impl Encoded {
    /// Returns what the layers of a pass share.
    pub(in crate::unets) fn pass<'a>(
        ops: &'a Ops,
        time: &'a Tensor<2>,
        text: &'a Context,
    ) -> Pass<'a> {
        Pass { ops, time, text: Some(text) }
    }
}

impl Encoder<'_> {
    /// Returns the dtype in which the network computes.
    pub(in crate::unets) fn dtype(&self, ops: &Ops, x: &Tensor<4>) -> FloatDType {
        ops.dtype(self.time_embedding.dtype(), x)
    }

    /// Runs the pass for x (`[batch, channels, height, width]`); `hint` is added behind the first
    /// convolution.
    pub(in crate::unets) fn forward(
        &self,
        ops: &Ops,
        x: Tensor<4>,
        t: Tensor<1>,
        condition: &UNetCondition,
        hint: Option<Tensor<4>>,
    ) -> Encoded {
        let dtype = self.dtype(ops, &x);
        let mut x = to_channels_last(x.cast(dtype));
        if self.config.center_input_sample {
            x = x * 2.0 - 1.0;
        }
        let text = condition.encoder_hidden_states.clone().cast(dtype);
        let time = self.time(ops, t, condition, &text, dtype);
        let text = match self.encoder_hid_proj {
            Some(project) => ops.linear(project, text),
            None => text,
        };
        let mask = condition.encoder_attention_mask.clone().map(|mask| mask.cast(dtype));
        let text = Context::new(text, mask);
        let mut h = ops.conv2d_add(self.conv_in, x, None, hint);
        let mut skips = vec![h.clone()];
        let pass = Encoded::pass(ops, &time, &text);
        for level in self.down_blocks {
            h = level.forward(&pass, h, &mut skips);
        }
        Encoded { h, skips, time, text }
    }

    /// Returns the conditioning vector of the residual blocks.
    fn time(
        &self,
        ops: &Ops,
        t: Tensor<1>,
        condition: &UNetCondition,
        text: &Tensor<3>,
        dtype: FloatDType,
    ) -> Tensor<2> {
        let sinusoids = self.config.sinusoids();
        let second = condition.timestep_cond.clone().map(|vector| vector.cast(dtype));
        let project = |t| sinusoids.forward(t);
        let t = project(t).cast(dtype);
        let mut time = self.time_embedding.forward(ops, t, second);
        let labels = self.config.class_embed.and(condition.class_labels.clone());
        let class = labels
            .and_then(|labels| class_vector(ops, self.class_embedding, &project, labels, dtype));
        if let Some(class) = class {
            time = match self.config.class_embeddings_concat {
                true => Tensor::cat(vec![time, class], 1),
                false => time + class,
            };
        }
        if let Some(added) = self.added(ops, condition, text, dtype) {
            time = time + added;
        }
        if let Some(activation) = self.config.time_embedding_act_fn {
            time = ops.activate(activation, time);
        }
        // Else every block would start with it.
        match self.config.resnet_skip_time_act {
            true => time,
            false => ops.activate(self.config.act_fn, time),
        }
    }

    fn added(
        &self,
        ops: &Ops,
        condition: &UNetCondition,
        text: &Tensor<3>,
        dtype: FloatDType,
    ) -> Option<Tensor<2>> {
        match (self.add_embedding?, &condition.added, self.config.addition_embed?) {
            (AddEmbedding::Text(layers), _, _) => Some(layers.forward(ops, text.clone())),
            (
                AddEmbedding::TextTime(layers),
                Some(added),
                AdditionEmbed::TextTime { sinusoids, .. },
            ) => {
                let [batch, numbers] = added.time_ids.dims();
                let sizes = self.config.sinusoids_of(sinusoids);
                let sizes = sizes.forward(added.time_ids.clone().reshape([batch * numbers]));
                let sizes = sizes.reshape([batch, numbers * sinusoids]).cast(dtype);
                let pooled = added.text_embeds.clone().cast(dtype);
                Some(layers.forward(ops, Tensor::cat(vec![pooled, sizes], 1), None))
            }
            _ => None,
        }
    }
}
