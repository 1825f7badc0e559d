//! MNIST and its relatives.

use std::path::{Path, PathBuf};

use crate::idx_file::{Header, looked_for};
use crate::{DataError, Image, Sample, Source, Visit};

/// The folder of Debian's package `dataset-fashion-mnist`.
pub const FASHION_MNIST: &str = "/usr/share/datasets/fashion-mnist";

/// The classes of Fashion-MNIST (Xiao et al., *Fashion-MNIST: a Novel Image Dataset for
/// Benchmarking Machine Learning Algorithms*, arXiv 1708.07747), in the order of the labels.
pub const FASHION_MNIST_CLASSES: [&str; 10] = [
    "T-shirt",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
];

/// The part of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Split {
    /// The images to train on.
    Train,
    /// The images to test with.
    Test,
}

/// Grey images with labels, as in MNIST and Fashion-MNIST: two IDX files, gzipped or not, read
/// into memory. An item is an image of shape `[1, height, width]` with its label.
///
/// ```no_run
/// use ddm_data::{FASHION_MNIST, Idx, Loader, Order, Source, Split};
/// let clothes = Idx::open(FASHION_MNIST, Split::Train)?;
/// let order = Order::new(clothes.len(), 128, 7)?;
/// let loader = Loader::new(clothes, order)?;
/// let device = burn::tensor::Device::flex();
/// for batch in loader.start(0)?.take(1000) {
///     let batch = batch?;
///     let images = batch.data::<4>(&device)?; // [128, 1, 28, 28] in [−1, 1]
///     let labels = batch.labels(10, &device)?; // [128]
/// }
/// # Ok::<(), ddm_data::DataError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Idx {
    images_path: PathBuf,
    images: Vec<u8>,
    labels: Vec<u8>,
    size: [usize; 2],
    classes: usize,
}

impl Idx {
    /// Reads the files of MNIST's names in a folder (`train-images-idx3-ubyte` and so on, or with
    /// a dot before `idx3`, with or without `.gz`), of ten classes.
    ///
    /// # Errors
    ///
    /// Returns an error if a file is missing, and those of [`read`](Self::read).
    pub fn open(folder: impl AsRef<Path>, split: Split) -> Result<Self, DataError> {
        let folder = folder.as_ref();
        let stem = match split {
            Split::Train => "train",
            Split::Test => "t10k",
        };
        let images = looked_for(folder, &format!("{stem}-images"), "idx3-ubyte")?;
        let labels = looked_for(folder, &format!("{stem}-labels"), "idx1-ubyte")?;
        Self::read(images, labels, 10)
    }

    /// Reads a file of images and one of labels.
    ///
    /// # Errors
    ///
    /// Returns an error that names the file if it cannot be read, is not an IDX file of bytes of
    /// the right number of dimensions, is empty, cut off or too long; if the two have different
    /// numbers of items; and if a label is not below `classes`.
    pub fn read(
        images: impl AsRef<Path>,
        labels: impl AsRef<Path>,
        classes: usize,
    ) -> Result<Self, DataError> {
        let images = Header::<3>::read(images.as_ref())?;
        let labels = Header::<1>::read(labels.as_ref())?;
        let ([items, height, width], [labelled]) = (images.sizes, labels.sizes);
        if items != labelled {
            return Err(DataError::Counts {
                images_path: images.path,
                images: items,
                labels_path: labels.path,
                labels: labelled,
            });
        }
        let (labels_path, images_path) = (labels.path.clone(), images.path.clone());
        let labels = labels.bytes()?;
        if let Some(at) = labels.iter().position(|&label| usize::from(label) >= classes) {
            let item = format!("item {at} of {}", labels_path.display());
            return Err(DataError::Label { item, label: labels[at].into(), classes });
        }
        let images = images.bytes()?;
        Ok(Self { images_path, images, labels, size: [height, width], classes })
    }

    /// Returns height and width of the images.
    pub fn size(&self) -> [usize; 2] {
        self.size
    }

    /// Returns the number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Returns the label of each image.
    pub fn labels(&self) -> impl ExactSizeIterator<Item = usize> {
        self.labels.iter().map(|&label| label.into())
    }
}

impl Source for Idx {
    type Item = Sample<Image, usize>;

    fn len(&self) -> usize {
        self.labels.len()
    }

    fn read(&self, index: usize, _visit: &Visit) -> Result<Self::Item, DataError> {
        let [height, width] = self.size;
        let Some(&label) = self.labels.get(index) else {
            return Err(DataError::NoItem { index, items: self.labels.len() });
        };
        let pixels = height * width;
        let bytes = self.images[index * pixels..][..pixels].to_vec();
        Ok(Sample::new(Image::new([1, height, width], bytes)?, label.into()))
    }

    fn name(&self, index: usize) -> String {
        format!("item {index} of {}", self.images_path.display())
    }
}
