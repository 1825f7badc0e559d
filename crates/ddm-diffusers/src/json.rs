//! JSON as Python writes it: with bare `Infinity`, `-Infinity` and `NaN`.

use serde_json::Value;

const WORDS: [&str; 3] = ["-Infinity", "Infinity", "NaN"];

/// Parses JSON with bare infinities, which become strings.
pub(crate) fn parse(text: &str) -> Result<Value, serde_json::Error> {
    serde_json::from_str(&quoted(text))
}

/// Returns the text with its bare infinities in quotes.
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut rest, mut inside) = (text, false);
    while let Some(next) = rest.chars().next() {
        let word = WORDS.iter().find(|word| !inside && rest.starts_with(**word));
        let length = match (word, next) {
            (Some(word), _) => {
                out.push_str(&format!("\"{word}\""));
                word.len()
            }
            // An escaped character never ends a string.
            (None, '\\') if inside => {
                let length = 1 + rest[1..].chars().next().map_or(0, char::len_utf8);
                out.push_str(&rest[..length]);
                length
            }
            (None, _) => {
                inside ^= next == '"';
                out.push(next);
                next.len_utf8()
            }
        };
        rest = &rest[length..];
    }
    out
}

/// Writes JSON with bare infinities, as Python reads it.
pub(crate) fn write(value: &Value) -> String {
    let mut text = format!("{value:#}");
    for word in WORDS {
        text = text.replace(&format!(": \"{word}\""), &format!(": {word}"));
    }
    text
}

/// Returns the number, which may be one of the words.
pub(crate) fn number(value: &Value) -> Option<f64> {
    match value.as_str() {
        Some("-Infinity") => Some(f64::NEG_INFINITY),
        Some("Infinity") => Some(f64::INFINITY),
        Some("NaN") => Some(f64::NAN),
        Some(_) => None,
        None => value.as_f64(),
    }
}
