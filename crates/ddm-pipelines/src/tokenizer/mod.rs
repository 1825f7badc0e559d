//! Prompts as token ids.

mod clip;
mod sentencepiece;

use std::fmt;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Int, Tensor, TensorData};
use serde_json::Value;

use crate::PipelineError;
use crate::directory::{read, read_json};

/// A tokenizer of CLIP or T5, with the length to which it pads and cuts.
///
/// ```no_run
/// use ddm_pipelines::Tokenizer;
/// let tokenizer = Tokenizer::open("stable-diffusion-v1-5/tokenizer")?;
/// let tokens = tokenizer.encode("a photo of a cat", None)?;
/// assert_eq!(tokens.ids.len(), 77);
/// # Ok::<(), ddm_pipelines::PipelineError>(())
/// ```
#[derive(Clone)]
pub struct Tokenizer {
    path: PathBuf,
    inner: tokenizers::Tokenizer,
    length: Option<usize>,
    pad: u32,
}

/// A prompt as ids of tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokens {
    /// The ids, with those of the begin and the end, and the padding.
    pub ids: Vec<i64>,
    /// 1 for a token of the text, 0 for padding.
    pub mask: Vec<i64>,
    /// The number of tokens that were cut off.
    pub dropped: usize,
}

impl Tokens {
    /// Returns the ids as a batch of one, `[1, length]`.
    #[must_use]
    pub fn ids(&self, device: &Device) -> Tensor<2, Int> {
        row(&self.ids, device)
    }

    /// Returns the mask as a batch of one, `[1, length]`.
    #[must_use]
    pub fn mask(&self, device: &Device) -> Tensor<2, Int> {
        row(&self.mask, device)
    }
}

fn row(numbers: &[i64], device: &Device) -> Tensor<2, Int> {
    Tensor::from_data(TensorData::new(numbers.to_vec(), [1, numbers.len()]), device)
}

impl fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, length, pad, .. } = self;
        f.debug_struct("Tokenizer")
            .field("path", path)
            .field("length", length)
            .field("pad", pad)
            .finish_non_exhaustive()
    }
}

impl Tokenizer {
    /// Reads a tokenizer's directory: `tokenizer.json`, or CLIP's `vocab.json` and `merges.txt`, or
    /// T5's `spiece.model`; and `tokenizer_config.json`.
    ///
    /// # Errors
    ///
    /// Returns an error if a file cannot be read or is invalid.
    pub fn open(directory: impl AsRef<Path>) -> Result<Self, PipelineError> {
        let directory = directory.as_ref();
        let file = |name| directory.join(name);
        let config = read_json(&file("tokenizer_config.json"))?;
        let (path, json) = if file("tokenizer.json").exists() {
            (file("tokenizer.json"), read(&file("tokenizer.json"))?)
        } else if file("spiece.model").exists() {
            let path = file("spiece.model");
            let model = sentencepiece::Model::parse(&read(&path)?);
            let model =
                model.map_err(|reason| PipelineError::File { path: path.clone(), reason })?;
            let extra = config["extra_ids"].as_u64().unwrap_or(100).min(10_000) as usize;
            (path, model.to_json(extra).to_string().into_bytes())
        } else {
            let (vocabulary, merges) = (file("vocab.json"), file("merges.txt"));
            let json = clip::json(&read_json(&vocabulary)?, &read(&merges)?);
            let json =
                json.map_err(|reason| PipelineError::File { path: merges.clone(), reason })?;
            (vocabulary, json.to_string().into_bytes())
        };
        let invalid = |reason: String| PipelineError::File { path: path.clone(), reason };
        let mut inner =
            tokenizers::Tokenizer::from_bytes(json).map_err(|error| invalid(error.to_string()))?;
        // This crate pads and cuts, whatever the file says.
        inner.with_padding(None);
        inner.with_truncation(None).map_err(|error| invalid(error.to_string()))?;
        let name = token(&config["pad_token"]).unwrap_or("<|endoftext|>");
        let pad = inner.token_to_id(name);
        let pad = pad.ok_or_else(|| invalid(format!("it lacks the token for padding, {name}")))?;
        // Without a limit, transformers writes 1e30.
        let length = config["model_max_length"].as_u64().filter(|&length| length < 1 << 20);
        Ok(Self { path, inner, length: length.map(|length| length as usize), pad })
    }

    /// Returns the length to which prompts are padded and cut, if the tokenizer has one.
    #[must_use]
    pub fn length(&self) -> Option<usize> {
        self.length
    }

    /// Returns the ids of a prompt, padded or cut to `length`, or else to the tokenizer's own.
    ///
    /// A prompt that is cut keeps the token of its end.
    ///
    /// # Errors
    ///
    /// Returns an error if neither length is there, or it has no room for begin and end.
    pub fn encode(&self, text: &str, length: Option<usize>) -> Result<Tokens, PipelineError> {
        let invalid = |reason: String| PipelineError::File { path: self.path.clone(), reason };
        let length = length.or(self.length);
        let length = length.ok_or_else(|| invalid("it has no model_max_length".to_owned()))?;
        let plain = self.inner.encode(text, false).map_err(|error| invalid(error.to_string()))?;
        let whole = self.inner.encode(text, true).map_err(|error| invalid(error.to_string()))?;
        let added = whole.get_ids().len().saturating_sub(plain.get_ids().len());
        let allowed = format!("more than {added}, the tokens of begin and end");
        PipelineError::require(length > added, "the length of a prompt", length, allowed)?;
        let mut ids: Vec<i64> = whole.get_ids().iter().map(|&id| i64::from(id)).collect();
        let dropped = ids.len().saturating_sub(length);
        if dropped > 0 {
            // The end is one token, for CLIP and for T5.
            let end = ids.pop();
            ids.truncate(length - 1);
            ids.extend(end);
        }
        let mut mask = vec![1; ids.len()];
        ids.resize(length, i64::from(self.pad));
        mask.resize(length, 0);
        Ok(Tokens { ids, mask, dropped })
    }
}

/// Returns a token, which configs write as a string or as an object.
fn token(value: &Value) -> Option<&str> {
    value.as_str().or_else(|| value["content"].as_str())
}
