//! The text encoders of a pipeline's directory, each with its tokenizer.

use ddm_models::text::{ClipText, T5Encoder};

use crate::{Loading, ModelDirectory, Part, PipelineError, Tokenizer};

/// Returns CLIP, of a class of transformers, and its tokenizer.
pub(crate) fn clip(
    directory: &ModelDirectory,
    loading: &Loading,
    (tokenizer, encoder): (&str, &str),
    class: &str,
) -> Result<(Tokenizer, Part<ClipText>), PipelineError> {
    let path = directory.part(encoder, &[class])?;
    let tokenizer = directory.part(tokenizer, &["CLIPTokenizer", "CLIPTokenizerFast"])?;
    Ok((Tokenizer::open(tokenizer)?, loading.part(path)))
}

/// Returns T5 and its tokenizer, if the directory has them.
pub(crate) fn t5(
    directory: &ModelDirectory,
    loading: &Loading,
    (tokenizer, encoder): (&str, &str),
) -> Result<Option<(Tokenizer, Part<T5Encoder>)>, PipelineError> {
    if directory.class_of(encoder).is_none() {
        return Ok(None);
    }
    let path = directory.part(encoder, &["T5EncoderModel"])?;
    let tokenizer = directory.part(tokenizer, &["T5Tokenizer", "T5TokenizerFast"])?;
    Ok(Some((Tokenizer::open(tokenizer)?, loading.part(path))))
}
