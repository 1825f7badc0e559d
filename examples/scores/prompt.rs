//! A text encoder of four words.

use crate::sky::CLASSES;

/// The known words and their classes.
const VOCABULARY: [(&str, i32); 4] = [(CLASSES[0], 0), ("day", 0), (CLASSES[1], 1), ("night", 1)];

/// A text and its class, a row in the network's table of embeddings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Prompt {
    pub(crate) text: String,
    pub(crate) class: i32,
}

/// A text without a class.
#[derive(Debug, thiserror::Error)]
#[error("the prompt is {text:?}, but must be one of {}", words())]
pub(crate) struct UnknownPrompt {
    text: String,
}

impl Prompt {
    /// Encodes one word, without regard to case and surrounding space.
    pub(crate) fn encode(text: &str) -> Result<Self, UnknownPrompt> {
        let text = text.trim().to_lowercase();
        match VOCABULARY.iter().find(|(word, _)| *word == text) {
            Some(&(_, class)) => Ok(Self { text, class }),
            None => Err(UnknownPrompt { text }),
        }
    }
}

fn words() -> String {
    VOCABULARY.map(|(word, _)| word).join(", ")
}
