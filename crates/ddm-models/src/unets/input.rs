//! What text-conditional U-Nets take beside x and t.

use burn::tensor::{DType, Device, Int, Tensor};

use super::{AdditionEmbed, ClassEmbed, UNet2dConditionConfig};

/// What a [`UNet2dCondition`](crate::UNet2dCondition) takes beside x and t. Each tensor has a row per
/// sample.
#[derive(Clone, Debug)]
pub struct UNetCondition {
    /// The encoded text, `[batch, length, channels]`.
    pub encoder_hidden_states: Tensor<3>,
    /// 1 for the vectors of the text that are seen, 0 for the others, `[batch, length]`; `None` for
    /// all of them.
    pub encoder_attention_mask: Option<Tensor<2>>,
    /// The class labels, for networks that have them.
    pub class_labels: Option<ClassLabels>,
    /// The embedded guidance scale, `[batch, size]`, for distilled networks.
    pub timestep_cond: Option<Tensor<2>>,
    /// The pooled text and the sizes of the image, for SDXL.
    pub added: Option<AddedConditions>,
    /// What a [`ControlNet`](crate::ControlNet) adds.
    pub residuals: Option<ControlResiduals>,
}

/// The class labels of a U-Net, of the kind that it was trained with.
#[derive(Clone, Debug)]
pub enum ClassLabels {
    /// A label for each sample, `[batch]`.
    Class(Tensor<1, Int>),
    /// A number for each sample, `[batch]`, embedded as t is.
    Number(Tensor<1>),
    /// A vector for each sample, `[batch, size]`.
    Vector(Tensor<2>),
}

/// The further conditions of SDXL.
///
/// Source: Podell et al., *SDXL*, sec. 2.2, arXiv 2307.01952.
#[derive(Clone, Debug)]
pub struct AddedConditions {
    /// The pooled text, `[batch, channels]`.
    pub text_embeds: Tensor<2>,
    /// The original height and width, the top and left of the crop, and the target's height and width,
    /// `[batch, 6]`.
    pub time_ids: Tensor<2>,
}

/// What a ControlNet adds to the skips and to the middle of a U-Net, `[batch, channels, height,
/// width]` each.
#[derive(Clone, Debug)]
pub struct ControlResiduals {
    /// For each skip, in the order of the way down.
    pub down: Vec<Tensor<4>>,
    /// For the middle.
    pub mid: Tensor<4>,
}

impl From<Tensor<1, Int>> for ClassLabels {
    fn from(labels: Tensor<1, Int>) -> Self {
        Self::Class(labels)
    }
}

impl UNetCondition {
    /// Returns a condition of zeros that a network with this configuration takes, for one sample: to
    /// find out which weights it uses.
    pub(super) fn blank(config: &UNet2dConditionConfig, device: &Device) -> Self {
        let zeros = |size| Tensor::<2>::zeros([1, size], (device, DType::F32));
        let channels = config.encoder_hid_dim.unwrap_or(config.text_size());
        let text = Tensor::zeros([1, 1, channels], (device, DType::F32));
        let class_labels = config.class_embed.map(|embed| match embed {
            ClassEmbed::Table(_) => ClassLabels::Class(Tensor::zeros([1], device)),
            ClassEmbed::Timestep => ClassLabels::Number(Tensor::zeros([1], (device, DType::F32))),
            ClassEmbed::Identity => ClassLabels::Vector(zeros(config.time_size())),
            ClassEmbed::Projection(size) | ClassEmbed::SimpleProjection(size) => {
                ClassLabels::Vector(zeros(size))
            }
        });
        let added = match config.addition_embed {
            Some(AdditionEmbed::TextTime { sinusoids, size }) => {
                // One number in place of six: the sizes and the pooled text are joined.
                let text_embeds = zeros(size.saturating_sub(sinusoids));
                Some(AddedConditions { text_embeds, time_ids: zeros(1) })
            }
            _ => None,
        };
        let timestep_cond = config.time_cond_proj_dim.map(zeros);
        Self { class_labels, added, timestep_cond, ..Self::new(text) }
    }

    /// Returns a condition of a text alone, `[batch, length, channels]`.
    #[must_use]
    pub fn new(encoder_hidden_states: Tensor<3>) -> Self {
        Self {
            encoder_hidden_states,
            encoder_attention_mask: None,
            class_labels: None,
            timestep_cond: None,
            added: None,
            residuals: None,
        }
    }
}
