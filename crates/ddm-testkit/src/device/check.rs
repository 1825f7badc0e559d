//! One comparison and its outcome.

use std::fmt;

use crate::Violation;

/// The law that every check is an instance of.
pub(super) const LAW: &str = "the device computes what the reference computes";

/// What of an operation is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Pass {
    /// Its values, in f32.
    Forward,
    /// The gradients of a random combination of its values, with respect to every input, in f32.
    Gradient,
    /// Its values in f16, against the reference's in f32 for the same inputs.
    Half,
}

impl fmt::Display for Pass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Forward => "forward",
            Self::Gradient => "gradient",
            Self::Half => "f16",
        })
    }
}

/// The outcome of one comparison of a device with the reference.
///
/// It displays as operation, shapes and pass.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Check {
    /// The operation.
    pub operation: String,
    /// The shapes of its inputs.
    pub shapes: Vec<Vec<usize>>,
    /// What was compared.
    pub pass: Pass,
    /// The largest difference, relative to the largest absolute value of the reference; infinite if
    /// there is no finite number to compare.
    pub error: f64,
    /// The largest error that counts as right.
    pub tolerance: f64,
    /// What kind of fault it is, if the result is wrong: how many values, zeros, a panic, ….
    pub fault: Option<String>,
    /// The time of the second of two runs on the device, in seconds.
    pub seconds: f64,
    /// The same on the reference.
    pub reference_seconds: f64,
}

impl Check {
    /// Returns whether the device is right.
    pub fn is_right(&self) -> bool {
        self.error <= self.tolerance && self.fault.is_none()
    }

    /// Returns what was found, in a few words: the error, and the fault if there is one.
    pub fn finding(&self) -> String {
        let fault = self.fault.iter().map(|fault| format!(" ({fault})")).collect::<String>();
        format!("off by {:.1e}{fault}", self.error)
    }

    /// Returns the check as a law.
    ///
    /// # Errors
    ///
    /// Returns a violation if the device is wrong.
    pub fn law(&self) -> Result<(), Violation> {
        Violation::unless(
            self.is_right(),
            LAW,
            || format!("{self}: {}", self.finding()),
            &format!("at most {:.1e} of the largest value", self.tolerance),
        )
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}, {}", self.operation, shapes(&self.shapes), self.pass)
    }
}

/// Returns shapes as text: `7×33 33×65`.
pub(super) fn shapes(shapes: &[Vec<usize>]) -> String {
    let one =
        |shape: &Vec<usize>| shape.iter().map(ToString::to_string).collect::<Vec<_>>().join("×");
    shapes.iter().map(one).collect::<Vec<_>>().join(" ")
}
