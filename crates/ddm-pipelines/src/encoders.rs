//! The text encoders of a pipeline's directory, each with its tokenizer.

use burn::tensor::{Device, Tensor};
use ddm_models::Prepared;
use ddm_models::text::{ClipText, T5Encoder};

use crate::{Loading, ModelDirectory, Part, PipelineError, Tokenizer};

/// A text encoder and its tokenizer.
pub(crate) type WithTokenizer<N> = (Tokenizer, Part<Prepared<N>>);

/// Returns CLIP, of a class of transformers, and its tokenizer.
pub(crate) fn clip(
    directory: &ModelDirectory,
    loading: &Loading,
    (tokenizer, encoder): (&str, &str),
    class: &str,
) -> Result<WithTokenizer<ClipText>, PipelineError> {
    let path = directory.part(encoder, &[class])?;
    let tokenizer = directory.part(tokenizer, &["CLIPTokenizer", "CLIPTokenizerFast"])?;
    Ok((Tokenizer::open(tokenizer)?, loading.part(path)))
}

/// Returns T5 and its tokenizer, if the directory has them.
pub(crate) fn t5(
    directory: &ModelDirectory,
    loading: &Loading,
    (tokenizer, encoder): (&str, &str),
) -> Result<Option<WithTokenizer<T5Encoder>>, PipelineError> {
    if directory.class_of(encoder).is_none() {
        return Ok(None);
    }
    let path = directory.part(encoder, &["T5EncoderModel"])?;
    let tokenizer = directory.part(tokenizer, &["T5Tokenizer", "T5TokenizerFast"])?;
    Ok(Some((Tokenizer::open(tokenizer)?, loading.part(path))))
}

/// What a CLIP text encoder gives the larger models.
pub(crate) struct Penultimate {
    /// The states before the last layer, without the final norm, `[1, length, width]`.
    pub(crate) states: Tensor<3>,
    /// The projected state at the end of the text, if there is a projection, `[1, width]`.
    pub(crate) projected: Option<Tensor<2>>,
    /// How many tokens were cut off.
    pub(crate) dropped: usize,
}

/// Encodes a prompt with a CLIP text encoder.
pub(crate) fn penultimate(
    tokenizer: &Tokenizer,
    encoder: &Part<Prepared<ClipText>>,
    prompt: &str,
    device: &Device,
) -> Result<Penultimate, PipelineError> {
    let tokens = tokenizer.encode(prompt, None)?;
    let mut output = encoder.get()?.forward(tokens.ids(device))?;
    output.hidden_states.pop();
    let states = output.hidden_states.pop().unwrap_or(output.last_hidden_state);
    Ok(Penultimate { states, projected: output.text_embeds, dropped: tokens.dropped })
}
