//! What can be wrong with data.

use std::io;
use std::path::PathBuf;

use ddm_schedule::Invalid;
use thiserror::Error;

use crate::IdxFault;

/// Data that cannot be read, or cannot be trained on. Each message names the file or the item.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DataError {
    /// A setting out of range.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// A file or folder that cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A folder without the files of a data set.
    #[error("{} has none of the files {}; download one of them into it", folder.display(),
        looked_for.join(", "))]
    NoFile {
        /// The folder.
        folder: PathBuf,
        /// The names that were looked for.
        looked_for: Vec<String>,
    },
    /// A damaged IDX file.
    #[error("{}: {fault}", path.display())]
    Idx {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        fault: IdxFault,
    },
    /// Files of images and labels that do not belong together.
    #[error("{} has {images} images, but {} has {labels} labels; take both of one set",
        images_path.display(), labels_path.display())]
    Counts {
        /// The file of images.
        images_path: PathBuf,
        /// The number of images.
        images: usize,
        /// The file of labels.
        labels_path: PathBuf,
        /// The number of labels.
        labels: usize,
    },
    /// A label out of range.
    #[error("{item} has label {label}, but labels must be below {classes}, the number of classes")]
    Label {
        /// The item.
        item: String,
        /// The label.
        label: usize,
        /// The number of classes.
        classes: usize,
    },
    /// A set without items.
    #[error("{what} is empty; {hint}")]
    Empty {
        /// The set.
        what: String,
        /// What to do.
        hint: &'static str,
    },
    /// A corrupt item. A loader reads another in its place.
    #[error("{item} is corrupt: {reason}")]
    Corrupt {
        /// The item.
        item: String,
        /// What is wrong.
        reason: String,
    },
    /// So many corrupt items in a row that none is left.
    #[error(
        "no good item in place of {item}: all {tried} that were tried are corrupt; {item} is \
        because {reason}"
    )]
    NoGoodItem {
        /// The item.
        item: String,
        /// The number of items that were tried.
        tried: usize,
        /// What is wrong with the first.
        reason: String,
    },
    /// An item that its data set cannot give.
    #[error("{item} cannot be read: {reason}")]
    Item {
        /// The item.
        item: String,
        /// The data set's error.
        reason: String,
    },
    /// A panic while an item was read.
    #[error("reading {item} panicked: {message}")]
    Panicked {
        /// The item.
        item: String,
        /// The message of the panic.
        message: String,
    },
    /// An index past the end of a data set.
    #[error("there is no item {index}: the set has {items}; make the order for that many")]
    NoItem {
        /// The index.
        index: usize,
        /// The number of items.
        items: usize,
    },
    /// A number that is not finite.
    #[error("{item} has {value} at {at:?}, but all values must be finite; repair or remove it")]
    NotFinite {
        /// The item.
        item: String,
        /// The index of the value.
        at: Vec<usize>,
        /// The value.
        value: f32,
    },
    /// Items of different shapes in one batch.
    #[error(
        "{item} is of shape {found:?}, but {first} of the same batch is of shape {expected:?}; \
        bring all items to one shape"
    )]
    Shape {
        /// The item.
        item: String,
        /// Its shape.
        found: Vec<usize>,
        /// The first item of the batch.
        first: String,
        /// The shape of that.
        expected: Vec<usize>,
    },
    /// A tensor of another rank than the data have.
    #[error("data of shape {shape:?} make a tensor of rank {}, not {rank}", shape.len() + 1)]
    Rank {
        /// The shape of an item.
        shape: Vec<usize>,
        /// The requested rank.
        rank: usize,
    },
    /// As many values as the shape does not have.
    #[error("{values} values do not fill the shape {shape:?}")]
    Values {
        /// The shape.
        shape: Vec<usize>,
        /// The number of values.
        values: usize,
    },
    /// An image without a readable caption.
    #[error("{} has no caption: {} {reason}", image.display(), caption.display())]
    Caption {
        /// The image.
        image: PathBuf,
        /// The file of its caption.
        caption: PathBuf,
        /// What is wrong with that.
        reason: String,
    },
    /// A thread that the system did not start.
    #[error("cannot start a thread for reading: {source}; use fewer workers")]
    Thread {
        /// The system's error.
        source: io::Error,
    },
}

impl DataError {
    /// Returns an error unless there are as many values as the shape says.
    pub(crate) fn require_values(shape: &[usize], values: usize) -> Result<(), Self> {
        let wanted = shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size));
        match wanted == Some(values) {
            true => Ok(()),
            false => Err(Self::Values { shape: shape.to_vec(), values }),
        }
    }
}
