//! A network as a directory of diffusers.

use std::path::Path;

use serde_json::{Value, json};

use super::UNet2d;
use super::config::{TimeEmbedding, UNet2dConfig};
use crate::DiffusersError;
use crate::component::save_component;
use crate::unets::choices::activation_name;
use crate::unets::{BlockType, ClassEmbed};

impl UNet2d {
    /// Saves the network as a directory of a `UNet2DModel` of diffusers: `config.json` and
    /// `diffusion_pytorch_model.safetensors`. [`from_diffusers`](Self::from_diffusers) loads it, and so
    /// does `UNet2DModel.from_pretrained` in Python.
    ///
    /// The directory is created if it is not there. Each file is complete or as it was.
    ///
    /// # Errors
    ///
    /// Returns an error if a file cannot be written, or diffusers has no name for a setting.
    ///
    /// ```
    /// use burn::tensor::Device;
    /// use ddm_models::{UNet2d, UNetConfig};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = tempfile::tempdir()?;
    /// # let directory = directory.path().join("unet");
    /// let network = UNetConfig::new(1, 1).with_channels(vec![8]).with_head_size(None);
    /// network.init(&Device::flex())?.to_diffusers(&directory)?;
    /// let network = UNet2d::from_diffusers(&directory, &Device::flex())?;
    /// assert_eq!(network.config().block_out_channels, [8]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn to_diffusers(&self, directory: impl AsRef<Path>) -> Result<(), DiffusersError> {
        save_component(self, &self.config.to_diffusers()?, directory.as_ref())
    }
}

impl UNet2dConfig {
    /// Returns the `config.json` of a `UNet2DModel` of diffusers.
    ///
    /// # Errors
    ///
    /// Returns an error if diffusers has no name for a setting.
    pub fn to_diffusers(&self) -> Result<String, DiffusersError> {
        let names = |kinds: &[BlockType], name: fn(BlockType) -> &'static str| -> Vec<_> {
            kinds.iter().map(|&kind| name(kind)).collect()
        };
        let resample = |resnet| if resnet { "resnet" } else { "conv" };
        let (embedding, timesteps) = match self.time_embedding_type {
            TimeEmbedding::Positional => ("positional", None),
            TimeEmbedding::Fourier => ("fourier", None),
            TimeEmbedding::Learned(timesteps) => ("learned", Some(timesteps)),
        };
        let (class_type, classes) = match self.class_embed {
            None => (None, None),
            Some(ClassEmbed::Table(classes)) => (None, Some(classes)),
            Some(ClassEmbed::Timestep) => (Some("timestep"), None),
            Some(ClassEmbed::Identity) => (Some("identity"), None),
            Some(other) => {
                return Err(DiffusersError::Setting {
                    setting: "class_embed_type".to_owned(),
                    found: format!("{other:?}"),
                    allowed: "null, timestep or identity".to_owned(),
                });
            }
        };
        let mut config = json!({
            "_class_name": "UNet2DModel",
            "act_fn": activation_name(self.act_fn)?,
            "add_attention": self.add_attention,
            "attention_head_dim": self.attention_head_dim,
            "attn_norm_num_groups": self.attn_norm_num_groups,
            "block_out_channels": self.block_out_channels,
            "center_input_sample": self.center_input_sample,
            "class_embed_type": class_type,
            "down_block_types": names(&self.down_block_types, BlockType::down_name),
            "downsample_padding": self.downsample_padding,
            "downsample_type": resample(self.resnet_downsample),
            "dropout": self.dropout,
            "flip_sin_to_cos": self.flip_sin_to_cos,
            "freq_shift": self.freq_shift,
            "in_channels": self.in_channels,
            "layers_per_block": self.layers_per_block,
            "mid_block_scale_factor": self.mid_block_scale_factor,
            "mid_block_type": self.mid_block.then_some("UNetMidBlock2D"),
            "norm_eps": self.norm_eps,
            "norm_num_groups": self.norm_num_groups,
            "num_class_embeds": classes,
            "num_train_timesteps": timesteps,
            "out_channels": self.out_channels,
            "resnet_time_scale_shift":
                if self.resnet_time_scale_shift { "scale_shift" } else { "default" },
            "sample_size": self.sample_size,
            "time_embedding_dim": self.time_embedding_dim,
            "time_embedding_type": embedding,
            "up_block_types": names(&self.up_block_types, BlockType::up_name),
            "upsample_type": resample(self.resnet_upsample),
        });
        if self.null_class {
            config["null_class"] = Value::Bool(true);
        }
        Ok(format!("{config:#}\n"))
    }
}
