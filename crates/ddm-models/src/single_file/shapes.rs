//! What the shapes of tensors tell of a network.

use std::collections::BTreeSet;

use ddm_weights::Tensors;

use super::{Part, SingleFile, SingleFileError};

/// The tensors of a part.
pub(super) struct Shapes<'a> {
    file: &'a SingleFile,
    part: Part,
    tensors: &'a Tensors,
    /// What may be before each name.
    prefix: &'static str,
}

impl<'a> Shapes<'a> {
    /// Looks at a part that the file has.
    pub(super) fn of(file: &'a SingleFile, part: Part) -> Result<Self, SingleFileError> {
        Ok(Self { file, part, tensors: file.tensors(part)?, prefix: "" })
    }

    /// Adds the first of these prefixes to all names that some tensor has before one of `markers`.
    pub(super) fn behind(self, prefixes: &[&'static str], markers: &[&str]) -> Self {
        let is_there =
            |prefix: &str, marker: &str| self.tensors.contains(&format!("{prefix}{marker}"));
        let has = |prefix: &&&str| markers.iter().any(|marker| is_there(prefix, marker));
        let prefix = prefixes.iter().find(has).copied().unwrap_or("");
        Self { prefix, ..self }
    }

    /// Whether there is a tensor with this end of its name, behind any prefix.
    pub(super) fn has_end(&self, end: &str) -> bool {
        self.tensors.names().any(|name| name.ends_with(end))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.tensors.contains(&format!("{}{name}", self.prefix))
    }

    /// Returns the length of an axis of a tensor that has numbers: it is at most the file's length.
    pub(super) fn axis(&self, name: &str, axis: usize) -> Result<usize, SingleFileError> {
        let shape = self.shape(name)?;
        let length = shape.get(axis).copied().filter(|_| !shape.contains(&0));
        length.ok_or_else(|| self.error(format!("{name} is of shape {shape:?}")))
    }

    /// Returns the number of axes of a tensor.
    pub(super) fn rank(&self, name: &str) -> Result<usize, SingleFileError> {
        Ok(self.shape(name)?.len())
    }

    /// Returns how many of the names `start0.…`, `start1.…`, `start2.…` there are without a gap.
    pub(super) fn count(&self, start: &str) -> usize {
        let start = format!("{}{start}", self.prefix);
        let number = |name: &str| name.strip_prefix(&start)?.split('.').next()?.parse().ok();
        let numbers: BTreeSet<usize> = self.tensors.names().filter_map(number).collect();
        numbers.iter().enumerate().take_while(|(index, number)| index == *number).count()
    }

    /// Returns the error that shapes do not give a config.
    pub(super) fn error(&self, reason: String) -> SingleFileError {
        let (path, part) = (self.file.path.clone(), self.part);
        SingleFileError::Config { path, part, reason }
    }

    fn shape(&self, name: &str) -> Result<&[usize], SingleFileError> {
        let view = self.tensors.get(&format!("{}{name}", self.prefix));
        Ok(view.map_err(|_| self.error(format!("it has no {name}")))?.shape())
    }
}
