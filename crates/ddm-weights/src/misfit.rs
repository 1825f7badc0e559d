//! What a module and a file do not have in common.

use std::fmt;

/// The most names of a kind that a message shows.
const SHOWN: usize = 8;

/// All tensors in which a module and a file differ. Nothing was loaded then.
///
/// Its message names eight of each kind, and says how many there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Misfit {
    /// Tensors of the module that the file lacks.
    pub missing: Vec<String>,
    /// Tensors of the file that the module lacks.
    pub unused: Vec<String>,
    /// Tensors of both, of another shape or kind.
    pub different: Vec<Difference>,
}

/// A tensor that is one thing in the file, and another in the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The tensor.
    pub tensor: String,
    /// Its shape or type in the file.
    pub found: String,
    /// Its shape or kind in the module, in the layout of the file.
    pub expected: String,
}

impl Misfit {
    /// Whether there is no difference.
    pub fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.unused.is_empty() && self.different.is_empty()
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lists = [
            ("missing", &self.missing),
            ("unknown", &self.unused),
            ("different", &self.different.iter().map(Difference::to_string).collect()),
        ];
        let filled = lists.into_iter().filter(|(_, names)| !names.is_empty());
        for (index, (kind, names)) in filled.enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            let shown = names[..names.len().min(SHOWN)].join(", ");
            write!(f, "{separator}{} {kind}: {shown}", names.len())?;
            if names.len() > SHOWN {
                write!(f, ", …")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tensor, found, expected } = self;
        write!(f, "{tensor} is {found} and must be {expected}")
    }
}
