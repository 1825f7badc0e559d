//! T5's tokenizer from a SentencePiece model.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// What of a `spiece.model` a Unigram tokenizer needs.
///
/// The file is a protocol buffer, `ModelProto` of sentencepiece's `sentencepiece_model.proto`: pieces
/// (field 1) with text (1), score (2) and type (3); the trainer's id of the unknown piece (2, in it 40);
/// the normalizer's table of characters (3, in it 2).
#[derive(Debug, Default)]
pub(super) struct Model {
    pieces: Vec<(String, f32)>,
    unknown: u64,
    characters: Vec<u8>,
}

/// A value of a protocol buffer.
enum Wire<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    Float(f32),
}

impl Model {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let mut model = Self::default();
        for field in fields(bytes) {
            match field? {
                (1, Wire::Bytes(piece)) => model.pieces.push(parse_piece(piece)?),
                (2, Wire::Bytes(trainer)) => {
                    for field in fields(trainer) {
                        if let (40, Wire::Number(id)) = field? {
                            model.unknown = id;
                        }
                    }
                }
                (3, Wire::Bytes(normalizer)) => {
                    for field in fields(normalizer) {
                        if let (2, Wire::Bytes(characters)) = field? {
                            model.characters = characters.to_vec();
                        }
                    }
                }
                _ => {}
            }
        }
        let pieces = model.pieces.len();
        if model.unknown as usize >= pieces {
            return Err(format!("{pieces} pieces, but the unknown one is {}", model.unknown));
        }
        Ok(model)
    }

    /// Returns the tokenizer in the form of a `tokenizer.json`, with T5's extra tokens.
    pub(super) fn to_json(&self, extra: usize) -> Value {
        let extra = (0..extra).rev().map(|i| (format!("<extra_id_{i}>"), 0.0));
        let vocabulary: Vec<(String, f32)> = self.pieces.iter().cloned().chain(extra).collect();
        let special = |name: &str| name.starts_with("<extra_id_") || NAMES.contains(&name);
        let added = vocabulary.iter().enumerate().filter(|(_, (name, _))| special(name));
        let added: Vec<Value> = added
            .map(|(id, (name, _))| {
                json!({
                    "id": id, "content": name, "special": true, "normalized": false,
                    "single_word": false, "lstrip": false, "rstrip": false,
                })
            })
            .collect();
        let end = vocabulary.iter().position(|(name, _)| name == "</s>");
        let normalizer = (!self.characters.is_empty())
            .then(|| json!({"type": "Precompiled", "precompiled_charsmap": STANDARD.encode(&self.characters)}));
        let sequence = json!({"Sequence": {"id": "A", "type_id": 0}});
        let end_token = json!({"SpecialToken": {"id": "</s>", "type_id": 0}});
        json!({
            "version": "1.0",
            "added_tokens": added,
            "normalizer": normalizer,
            "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
                {"type": "WhitespaceSplit"},
                {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true},
            ]},
            "post_processor": {
                "type": "TemplateProcessing",
                "single": [sequence, end_token],
                "pair": [sequence, end_token],
                "special_tokens": {"</s>": {"id": "</s>", "ids": [end], "tokens": ["</s>"]}},
            },
            "model": {
                "type": "Unigram", "unk_id": self.unknown, "vocab": vocabulary,
                "byte_fallback": false,
            },
        })
    }
}

/// The pieces that stand for no text.
const NAMES: [&str; 3] = ["<pad>", "</s>", "<unk>"];

fn parse_piece(bytes: &[u8]) -> Result<(String, f32), String> {
    let (mut text, mut score) = (String::new(), 0.0);
    for field in fields(bytes) {
        match field? {
            (1, Wire::Bytes(name)) => {
                text = String::from_utf8(name.to_vec()).map_err(|error| error.to_string())?;
            }
            (2, Wire::Float(number)) => score = number,
            _ => {}
        }
    }
    Ok((text, score))
}

/// Returns the fields of a message, by their numbers.
fn fields(mut bytes: &[u8]) -> impl Iterator<Item = Result<(u64, Wire<'_>), String>> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let field = field(&mut bytes);
        if field.is_none() {
            bytes = &[];
        }
        Some(field.ok_or_else(|| "it is no SentencePiece model, or is cut off".to_owned()))
    })
}

fn field<'a>(bytes: &mut &'a [u8]) -> Option<(u64, Wire<'a>)> {
    let key = number(bytes)?;
    let value = match key & 7 {
        0 => Wire::Number(number(bytes)?),
        1 => Wire::Bytes(take(bytes, 8)?),
        2 => {
            let length = usize::try_from(number(bytes)?).ok()?;
            Wire::Bytes(take(bytes, length)?)
        }
        5 => Wire::Float(f32::from_le_bytes(take(bytes, 4)?.try_into().ok()?)),
        _ => return None,
    };
    Some((key >> 3, value))
}

/// Reads a number of seven bits a byte, the lowest first.
fn number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(bytes, 1)?[0];
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}
