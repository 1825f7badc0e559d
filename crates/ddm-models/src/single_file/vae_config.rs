//! The config of an autoencoder, from the shapes of its weights.

use super::shapes::Shapes;
use super::{Layout, SingleFileError};
use crate::AutoencoderKlConfig;

/// Reads the config of the autoencoder for a layout's latents.
pub(super) fn read(
    shapes: &Shapes<'_>,
    layout: Layout,
) -> Result<AutoencoderKlConfig, SingleFileError> {
    let Some((scaling_factor, shift_factor)) = layout.latent_scale_and_shift() else {
        let reason = "its latents may be those of several networks (`autoencoder_config_of` takes \
                      the layout of one)";
        return Err(shapes.error(reason.to_owned()));
    };
    let levels = shapes.count("encoder.down.");
    let level = |level| format!("encoder.down.{level}.block.");
    let channels =
        (0..levels).map(|number| shapes.axis(&format!("{}0.conv1.weight", level(number)), 0));
    let attends = |way: &str| -> Vec<usize> {
        (0..levels).filter(|level| shapes.has(&format!("{way}.{level}.attn.0.q.weight"))).collect()
    };
    Ok(AutoencoderKlConfig {
        in_channels: shapes.axis("encoder.conv_in.weight", 1)?,
        out_channels: shapes.axis("decoder.conv_out.weight", 0)?,
        latent_channels: shapes.axis("decoder.conv_in.weight", 1)?,
        channels: channels.collect::<Result<_, _>>()?,
        blocks: shapes.count(&level(0)),
        attention_down: attends("encoder.down"),
        attention_up: attends("decoder.up"),
        middle_attention: shapes.has("encoder.mid.attn_1.q.weight"),
        quant_conv: shapes.has("quant_conv.weight"),
        post_quant_conv: shapes.has("post_quant_conv.weight"),
        scaling_factor,
        shift_factor,
        ..AutoencoderKlConfig::new()
    })
}
