//! CLIP's tokenizer from its vocabulary and merges.

use serde_json::{Value, json};

/// Returns the tokenizer in the form of a `tokenizer.json`.
///
/// Text is composed (NFC), white space becomes one space, letters become small. Words, digits one by
/// one, and runs of other signs are split, and their bytes are merged pair by pair. Source: Radford et
/// al., *Learning Transferable Visual Models From Natural Language Supervision*, arXiv 2103.00020; the
/// rules are those of transformers' `CLIPTokenizer`.
pub(super) fn json(vocabulary: &Value, merges: &[u8]) -> Result<Value, String> {
    let merges = std::str::from_utf8(merges).map_err(|error| error.to_string())?;
    let lines = merges.lines().filter(|line| !line.starts_with("#version") && !line.is_empty());
    let merges: Vec<&str> = lines.collect();
    let (begin, end) = ("<|startoftext|>", "<|endoftext|>");
    let id = |name: &str| {
        vocabulary[name].as_u64().ok_or_else(|| format!("the vocabulary lacks the token {name}"))
    };
    let added = |content: &str, id: u64| {
        json!({
            "id": id, "content": content, "special": true, "normalized": false,
            "single_word": false, "lstrip": false, "rstrip": false,
        })
    };
    let words = format!(
        r"{}|{}|'s|'t|'re|'ve|'m|'ll|'d|[\p{{L}}]+|[\p{{N}}]|[^\s\p{{L}}\p{{N}}]+",
        r"<\|startoftext\|>", r"<\|endoftext\|>"
    );
    Ok(json!({
        "version": "1.0",
        "added_tokens": [added(begin, id(begin)?), added(end, id(end)?)],
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "NFC"},
            {"type": "Replace", "pattern": {"Regex": r"\s+"}, "content": " "},
            {"type": "Lowercase"},
        ]},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": words}, "behavior": "Removed", "invert": true},
            {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
        ]},
        "post_processor": {
            "type": "RobertaProcessing", "sep": [end, id(end)?], "cls": [begin, id(begin)?],
            "trim_offsets": false, "add_prefix_space": false,
        },
        "model": {
            "type": "BPE", "vocab": vocabulary, "merges": merges, "unk_token": end,
            "continuing_subword_prefix": "", "end_of_word_suffix": "</w>", "fuse_unk": false,
        },
    }))
}
