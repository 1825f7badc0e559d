//! An autoencoder as a directory of diffusers.

use std::path::Path;

use serde_json::json;

use super::kl::{AutoencoderKl, AutoencoderKlConfig};
use crate::DiffusersError;
use crate::component::save_component;

impl AutoencoderKl {
    /// Saves the autoencoder as a directory of an `AutoencoderKL` of diffusers: `config.json` and
    /// `diffusion_pytorch_model.safetensors`. [`from_diffusers`](Self::from_diffusers) loads it, and so
    /// does `AutoencoderKL.from_pretrained` in Python.
    ///
    /// The directory is created if it is not there. Each file is complete or as it was.
    ///
    /// # Errors
    ///
    /// Returns an error if a file cannot be written.
    pub fn to_diffusers(&self, directory: impl AsRef<Path>) -> Result<(), DiffusersError> {
        save_component(self, &self.config().to_diffusers(), directory.as_ref())
    }
}

impl AutoencoderKlConfig {
    /// Returns the `config.json` of an `AutoencoderKL` of diffusers.
    #[must_use]
    pub fn to_diffusers(&self) -> String {
        let levels = 0..self.channels.len();
        let down = levels.clone().map(|level| match self.attention_down.contains(&level) {
            true => "AttnDownEncoderBlock2D",
            false => "DownEncoderBlock2D",
        });
        // The decoder names its coarsest level first.
        let up = levels.rev().map(|level| match self.attention_up.contains(&level) {
            true => "AttnUpDecoderBlock2D",
            false => "UpDecoderBlock2D",
        });
        let config = json!({
            "_class_name": "AutoencoderKL",
            "act_fn": "silu",
            "block_out_channels": self.channels,
            "down_block_types": down.collect::<Vec<_>>(),
            "force_upcast": self.force_upcast,
            "in_channels": self.in_channels,
            "latent_channels": self.latent_channels,
            "layers_per_block": self.blocks,
            "mid_block_add_attention": self.middle_attention,
            "norm_num_groups": self.norm_groups,
            "out_channels": self.out_channels,
            "scaling_factor": self.scaling_factor,
            "shift_factor": self.shift_factor,
            "up_block_types": up.collect::<Vec<_>>(),
            "use_post_quant_conv": self.post_quant_conv,
            "use_quant_conv": self.quant_conv,
        });
        format!("{config:#}\n")
    }
}
