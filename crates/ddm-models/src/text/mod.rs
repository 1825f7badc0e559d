//! Text encoders: token ids in, the states that condition a network out.
//!
//! [`ClipText`] and [`T5Encoder`] are those of Stable Diffusion, PixArt and Flux. Their parameters have
//! the names of transformers' checkpoints. A tokenizer makes the ids; none is here.

mod clip;
mod clip_config;
mod clip_layer;
mod prepared;
mod relative_position;
mod t5;
mod t5_block;
mod t5_config;

pub(crate) use clip::prefixed;
pub use clip::{ClipText, ClipTextOutput};
pub use clip_config::ClipTextConfig;
pub use t5::T5Encoder;
pub use t5_config::T5EncoderConfig;

use burn::nn::Embedding;
use burn::tensor::{Int, Tensor};
use ddm_denoiser::ModelError;

/// Checks that there are ids, and that each is a row of a table of `vocabulary` rows. Reads the least
/// and the greatest id from the device.
fn check_ids(ids: &Tensor<2, Int>, vocabulary: usize) -> Result<(), ModelError> {
    let [batch, length] = ids.dims();
    if batch == 0 || length == 0 {
        let (found, expected) = (format!("[{batch}, {length}]"), "at least one id".to_owned());
        return Err(ModelError::Shape { what: "the shape of the token ids", found, expected });
    }
    // In a browser a read must not block, so ids are not checked.
    if cfg!(target_family = "wasm") {
        return Ok(());
    }
    for end in [ids.clone().min(), ids.clone().max()] {
        let id = end.try_into_scalar::<i64>().map_err(ModelError::read("the token ids"))?;
        if usize::try_from(id).is_ok_and(|id| id < vocabulary) {
            continue;
        }
        let (found, expected) = (id.to_string(), format!("0 to {}", vocabulary.saturating_sub(1)));
        return Err(ModelError::Shape { what: "a token id", found, expected });
    }
    Ok(())
}

/// Returns the rows of a table at the given ids: `[batch, length]` → `[batch, length, width]`.
fn rows(table: &Embedding, ids: Tensor<2, Int>) -> Tensor<3> {
    let [batch, length] = ids.dims();
    let [_, width] = table.weight.dims();
    table.weight.val().select(0, ids.reshape([batch * length])).reshape([batch, length, width])
}
