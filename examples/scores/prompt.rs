//! A text encoder of four words.

use crate::sky::CLASSES;

/// The words that the model understands, and the class that each of them means.
const VOCABULARY: [(&str, i32); 4] = [(CLASSES[0], 0), ("day", 0), (CLASSES[1], 1), ("night", 1)];

/// A text and what it means: a row in the network's table of embeddings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Prompt {
    pub(crate) text: String,
    pub(crate) class: i32,
}

/// A text that means nothing to the model.
#[derive(Debug, thiserror::Error)]
#[error("the model does not know the prompt {text:?}: the words it knows are {}", words())]
pub(crate) struct UnknownPrompt {
    text: String,
}

impl Prompt {
    /// Encodes one word; capitals and space around it do not matter.
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
