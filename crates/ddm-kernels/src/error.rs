//! The error of shapes that do not fit.

/// Shapes that an operation cannot be applied to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShapeError {
    /// A size has to be at least 1.
    #[error("{what} is 0, but must be at least 1")]
    Zero {
        /// What the size is of.
        what: &'static str,
    },
    /// The groups of a convolution do not divide its channels.
    #[error("{channels} {what} cannot be divided into {groups} groups")]
    Groups {
        /// Which channels.
        what: &'static str,
        /// The number of channels.
        channels: usize,
        /// The number of groups.
        groups: usize,
    },
    /// The kernel does not fit in the padded image.
    #[error(
        "a kernel that spans {kernel} pixels does not fit in {padded}, the {axis} with padding"
    )]
    Kernel {
        /// Which side of the image.
        axis: &'static str,
        /// The pixels from the kernel's first to its last tap.
        kernel: usize,
        /// The size of the image with its padding.
        padded: usize,
    },
}
