//! Tokenizers on recorded texts.

use std::error::Error;
use std::path::Path;

use ddm_core::pipelines::Tokenizer;
use serde_json::Value;

use super::Line;

/// Returns whether a directory holds recorded texts with their tokenizers.
pub(super) fn are_in(directory: &Path) -> bool {
    let is_case = |path: &Path| {
        path.extension().is_some_and(|ending| ending == "json")
            && path.with_extension("").join("tokenizer_config.json").exists()
    };
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).any(|path| is_case(&path))
}

/// Encodes the texts of each `NAME.json` with the tokenizer in the directory `NAME`. An error is the
/// part of texts whose ids differ.
pub(super) fn run(directory: &Path) -> Result<Vec<Line>, Box<dyn Error>> {
    let mut lines = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let tokenizer = path.with_extension("");
        // A vocabulary that is too large to lie there has its texts alone.
        if path.extension().is_none_or(|ending| ending != "json") || !tokenizer.is_dir() {
            continue;
        }
        let tokenizer = Tokenizer::open(tokenizer)?;
        let recorded: Value = serde_json::from_str(&std::fs::read_to_string(&path)?)?;
        let cases = recorded["cases"].as_array().cloned().unwrap_or_default();
        let mut off = 0;
        for case in &cases {
            let text = case["text"].as_str().unwrap_or_default();
            let found = Value::from(tokenizer.encode(text, None)?.ids);
            off += usize::from(found != case["ids_padded"]);
        }
        let error = if cases.is_empty() { f64::INFINITY } else { off as f64 / cases.len() as f64 };
        lines.push(Line { name: format!("{name}: ids"), error, in_f64: false });
    }
    lines.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(lines)
}
