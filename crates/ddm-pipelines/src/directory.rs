//! A directory as `DiffusionPipeline.save_pretrained` writes it.

use std::fs;
use std::path::{Path, PathBuf};

use ddm_diffusers::SchedulerConfig;
use serde_json::{Map, Value};

use crate::PipelineError;

/// A pipeline's directory: `model_index.json`, and a directory for each part.
///
/// Nothing but JSON is read.
#[derive(Clone, Debug)]
pub struct ModelDirectory {
    path: PathBuf,
    index: Map<String, Value>,
}

impl ModelDirectory {
    /// Reads `model_index.json`.
    ///
    /// # Errors
    ///
    /// Returns an error if it cannot be read, is not a JSON object, or names no class.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, PipelineError> {
        let path = path.as_ref().to_owned();
        let file = path.join("model_index.json");
        let index = match read_json(&file)? {
            Value::Object(index) if index.get("_class_name").is_some_and(Value::is_string) => index,
            _ => {
                let reason = "it must be an object with a _class_name".to_owned();
                return Err(PipelineError::File { path: file, reason });
            }
        };
        Ok(Self { path, index })
    }

    /// Returns the class of the pipeline.
    #[must_use]
    pub fn class(&self) -> &str {
        self.index.get("_class_name").and_then(Value::as_str).unwrap_or_default()
    }

    /// Returns the class of a part; `None` if the pipeline does not have it.
    #[must_use]
    pub fn class_of(&self, part: &str) -> Option<&str> {
        self.index.get(part)?.get(1)?.as_str()
    }

    /// Returns the parts that the pipeline has, and their classes.
    pub fn parts(&self) -> impl Iterator<Item = (&str, &str)> {
        let parts = self.index.iter().filter(|(name, _)| !name.starts_with('_'));
        parts.filter_map(|(name, value)| Some((&**name, value.get(1)?.as_str()?)))
    }

    /// Returns a flag of the pipeline; false if it is not given.
    #[must_use]
    pub fn flag(&self, name: &str) -> bool {
        self.index.get(name).and_then(Value::as_bool).unwrap_or_default()
    }

    /// Returns the directory of a part, which is of one of the classes `allowed`.
    ///
    /// # Errors
    ///
    /// Returns an error if the pipeline does not have the part, or it is of another class.
    pub fn part(&self, part: &str, allowed: &[&str]) -> Result<PathBuf, PipelineError> {
        let found = self.class_of(part);
        if found.is_some_and(|class| allowed.contains(&class)) {
            return Ok(self.path.join(part));
        }
        Err(self.lacks(part, &allowed.join(" or ")))
    }

    /// Returns the error for a part that is not there, or is another.
    pub(crate) fn lacks(&self, part: &str, allowed: &str) -> PipelineError {
        PipelineError::Component {
            path: self.path.clone(),
            part: part.to_owned(),
            found: self.class_of(part).unwrap_or("nothing").to_owned(),
            allowed: allowed.to_owned(),
        }
    }

    /// Returns a part's `config.json`.
    ///
    /// # Errors
    ///
    /// Returns an error if it cannot be read, or is not JSON.
    pub fn config(&self, part: &str) -> Result<Value, PipelineError> {
        read_json(&self.path.join(part).join("config.json"))
    }

    /// Returns the scheduler's config.
    ///
    /// # Errors
    ///
    /// Returns an error if it cannot be read, or [`SchedulerConfig`] does not cover it.
    pub fn scheduler(&self) -> Result<SchedulerConfig, PipelineError> {
        let path = self.path.join("scheduler").join("scheduler_config.json");
        let text = String::from_utf8(read(&path)?).map_err(|error| PipelineError::File {
            path: path.clone(),
            reason: error.to_string(),
        })?;
        Ok(text.parse()?)
    }
}

/// Returns the bytes of a file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, PipelineError> {
    fs::read(path).map_err(|source| PipelineError::Read { path: path.to_owned(), source })
}

/// Returns the text of a file.
pub(crate) fn read_text(path: &Path) -> Result<String, PipelineError> {
    String::from_utf8(read(path)?)
        .map_err(|error| PipelineError::File { path: path.to_owned(), reason: error.to_string() })
}

/// Returns the JSON in a file.
pub(crate) fn read_json(path: &Path) -> Result<Value, PipelineError> {
    serde_json::from_slice(&read(path)?).map_err(|error| {
        let reason = format!("it is not JSON: {error}");
        PipelineError::File { path: path.to_owned(), reason }
    })
}
