//! The configuration of a ControlNet.

use burn::nn::Initializer;
use burn::nn::conv::Conv2dConfig;
use burn::tensor::Device;
use serde_json::{Value, json};

use super::ControlNet;
use super::hint::Hint;
use crate::settings::{OF_TRAINING, Settings};
use crate::unets::condition::config::UNet2dConditionConfig;
use crate::unets::condition::read::UNREAD;
use crate::{DiffusersError, NetworkConfigError};

/// The configuration of a [`ControlNet`], by diffusers' names.
#[derive(Clone, Debug, PartialEq)]
pub struct ControlNetConfig {
    /// The U-Net whose way down and middle this network copies. Its way up, its output and the
    /// projection of its text do not matter.
    pub unet: UNet2dConditionConfig,
    /// The number of channels of the control image.
    pub conditioning_channels: usize,
    /// The channels of the control image's own layers. Each but the first halves its sides.
    pub conditioning_embedding_out_channels: Vec<usize>,
    /// Whether the network takes the channels of the control image in reversed order, blue first. (It
    /// is always given red first.)
    pub bgr: bool,
    /// Whether the residuals are means over all pixels.
    pub global_pool_conditions: bool,
}

impl Default for ControlNetConfig {
    fn default() -> Self {
        Self {
            unet: UNet2dConditionConfig::default(),
            conditioning_channels: 3,
            conditioning_embedding_out_channels: vec![16, 32, 96, 256],
            bgr: false,
            global_pool_conditions: false,
        }
    }
}

impl ControlNetConfig {
    /// Reads the `config.json` of a `ControlNetModel` of diffusers. What it lacks has diffusers'
    /// default.
    ///
    /// # Errors
    ///
    /// Returns an error if `json` is not a JSON object, or a setting is not covered.
    ///
    /// ```
    /// use ddm_models::ControlNetConfig;
    /// let order = "controlnet_conditioning_channel_order";
    /// let error = ControlNetConfig::from_diffusers(&format!(r#"{{"{order}": "gbr"}}"#)).unwrap_err();
    /// assert!(error.to_string().ends_with(r#"= "gbr", but it must be "rgb" or "bgr""#));
    /// ```
    pub fn from_diffusers(json: &str) -> Result<Self, DiffusersError> {
        let settings = Settings::parse(json)?;
        let fixed = [
            ("_class_name", json!("ControlNetModel")),
            ("encoder_hid_dim", Value::Null),
            ("encoder_hid_dim_type", Value::Null),
        ];
        for (setting, value) in &fixed {
            settings.require(setting, std::slice::from_ref(value))?;
        }
        let default = Self::default();
        let mut unet = UNet2dConditionConfig::read(&settings)?;
        if unet.mid_block_type.is_none() {
            return Err(settings.error("mid_block_type", "the name of a middle"));
        }
        let heads = "num_attention_heads";
        if let Some(heads) = settings.get(heads, "null, a size, or a list of sizes", None)? {
            unet.attention_head_dim = heads;
        }
        let config = Self {
            unet,
            conditioning_channels: settings.get(
                "conditioning_channels",
                "a size",
                default.conditioning_channels,
            )?,
            conditioning_embedding_out_channels: settings.get(
                "conditioning_embedding_out_channels",
                "a list of sizes",
                default.conditioning_embedding_out_channels,
            )?,
            bgr: settings.choose(
                "controlnet_conditioning_channel_order",
                &[("rgb", false), ("bgr", true)],
            )?,
            global_pool_conditions: settings.get(
                "global_pool_conditions",
                "true or false",
                default.global_pool_conditions,
            )?,
        };
        settings.finish(&[&UNREAD, &OF_TRAINING[..]].concat())?;
        Ok(config)
    }

    /// Creates the network on `device`.
    ///
    /// # Errors
    ///
    /// As [`UNet2dConditionConfig::init`]; and if the network has no middle, or the control image no
    /// channels.
    pub fn init(&self, device: &Device) -> Result<ControlNet, NetworkConfigError> {
        let parts = self.unet.parts(device)?;
        let Some(mid_block) = parts.mid_block else {
            return Err(NetworkConfigError::Needs { what: "a ControlNet", allowed: "a middle" });
        };
        let zero = |channels: usize| {
            let conv = Conv2dConfig::new([channels, channels], [1, 1]);
            conv.with_initializer(Initializer::Zeros).init(device)
        };
        let channels = self.unet.block_out_channels.last().copied().unwrap_or_default();
        Ok(ControlNet {
            conv_in: parts.conv_in,
            time_embedding: parts.time_embedding,
            class_embedding: parts.class_embedding,
            add_embedding: parts.add_embedding,
            controlnet_cond_embedding: Hint::new(
                self.conditioning_channels,
                &self.conditioning_embedding_out_channels,
                parts.skips[0],
                device,
            )?,
            down_blocks: parts.down_blocks,
            controlnet_down_blocks: parts.skips.into_iter().map(zero).collect(),
            mid_block,
            controlnet_mid_block: zero(channels),
            config: self.clone(),
        })
    }

    /// Returns the ratio of the sides of the control image and of x.
    pub(super) fn factor(&self) -> usize {
        1 << self.conditioning_embedding_out_channels.len().saturating_sub(1)
    }
}
