//! Data for training: batches addressed by (seed, step).
//!
//! *A source reads items; a plan says which of them a step takes; a loader reads ahead.*
//!
//! Batch n is a function of the source, the seed and n: no history, no state, and no influence of
//! the number of threads. A run that resumes at step n goes on with the batches that it would have
//! had.
//!
//! * [`Source`] is a data set: [`Idx`] (MNIST, Fashion-MNIST), [`Folder`] (images, with classes or
//!   captions), [`FromBurn`] (any data set of burn), or a `Vec`; [`Map`] converts its items;
//! * [`Plan`] is the order: [`Order`], or [`BucketOrder`] for images of several ratios;
//! * [`Loader`] reads one batch, or [`Batches`] ahead on several threads;
//! * [`Batch`] gives tensors: data in [−1, 1], labels, captions. Data that are not finite and
//!   labels out of range are errors that name the item;
//! * corrupt items are replaced by the next good one, and listed in a [`Report`].

mod batch;
mod batches;
mod bucket_order;
mod buckets;
mod decode;
mod error;
mod folder;
mod from_burn;
mod idx;
mod idx_file;
mod image;
mod jpeg;
mod listing;
mod loader;
mod map;
mod order;
mod permutation;
mod plan;
mod queue;
mod read;
mod report;
mod sample;
mod source;
mod transform;
mod values;
mod visit;

pub use batch::Batch;
pub use batches::Batches;
pub use bucket_order::BucketOrder;
pub use buckets::Buckets;
pub use error::DataError;
pub use folder::{Folder, Sizes};
pub use from_burn::FromBurn;
pub use idx::{FASHION_MNIST, FASHION_MNIST_CLASSES, Idx, Split};
pub use idx_file::IdxFault;
pub use image::Image;
pub use loader::Loader;
pub use map::Map;
pub use order::Order;
pub use plan::{Last, Plan};
pub use report::{Report, Skipped};
pub use sample::Sample;
pub use source::Source;
pub use transform::Transform;
pub use values::{Array, Values};
pub use visit::Visit;
