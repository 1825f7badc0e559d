//! Folders of images.

use std::fs;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::listing::Listing;
use crate::{DataError, Image, Report, Sample, Skipped, Source, Transform, Visit, decode};

/// Images of a folder, in PNG, JPEG or WebP, sorted by name; read and transformed when they are
/// needed. The condition `C` is `()`, the class (`usize`) or the caption (`String`).
///
/// A file that does not decode is [`DataError::Corrupt`], which a loader replaces by the next
/// image; a file that cannot be read, say because a disk is gone, ends the run.
///
/// ```no_run
/// use ddm_data::{Folder, Loader, Order, Source, Transform};
/// let transform = Transform::new([64, 64])?.random_crop().flip(0.5)?;
/// let pets = Folder::classes("pets", transform)?; // pets/cat/*.jpg, pets/dog/*.png, …
/// assert_eq!(pets.class_names(), ["cat", "dog"]);
/// let order = Order::new(pets.len(), 32, 7)?;
/// let mut batches = Loader::new(pets, order)?.start(0)?;
/// let device = burn::tensor::Device::flex();
/// for batch in batches.by_ref().take(1000) {
///     let batch = batch?;
///     let (images, labels) = (batch.data::<4>(&device)?, batch.labels(2, &device)?);
/// }
/// println!("{}", batches.report());
/// # Ok::<(), ddm_data::DataError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Folder<C = ()> {
    images: Vec<(PathBuf, C)>,
    class_names: Vec<String>,
    transform: Transform,
}

impl Folder {
    /// Takes the images of a folder.
    ///
    /// # Errors
    ///
    /// Returns an error if the folder cannot be read or holds no images.
    pub fn images(folder: impl AsRef<Path>, transform: Transform) -> Result<Self, DataError> {
        let images = Listing::of(folder.as_ref())?.images(folder.as_ref())?;
        let images = images.into_iter().map(|path| (path, ())).collect();
        Ok(Self { images, class_names: Vec::new(), transform })
    }
}

impl Folder<usize> {
    /// Takes the images of the sub-folders of a folder. Each sub-folder is a class, numbered from 0
    /// in the order of the names.
    ///
    /// # Errors
    ///
    /// Returns an error if a folder cannot be read, has no sub-folders, or one without images.
    pub fn classes(folder: impl AsRef<Path>, transform: Transform) -> Result<Self, DataError> {
        let folders = Listing::of(folder.as_ref())?.folders;
        if folders.is_empty() {
            let what = folder.as_ref().display().to_string();
            let hint = "make a sub-folder in it for each class";
            return Err(DataError::Empty { what, hint });
        }
        let (mut images, mut class_names) = (Vec::new(), Vec::new());
        for (class, folder) in folders.iter().enumerate() {
            let of_class = Listing::of(folder)?.images(folder)?;
            images.extend(of_class.into_iter().map(|path| (path, class)));
            let name = folder.file_name().unwrap_or_default();
            class_names.push(name.to_string_lossy().into_owned());
        }
        Ok(Self { images, class_names, transform })
    }

    /// Returns the name of each class.
    pub fn class_names(&self) -> &[String] {
        &self.class_names
    }
}

impl Folder<String> {
    /// Takes the images of a folder, each with the caption in the `.txt` file of its name:
    /// `cat.jpg` and `cat.txt`. The captions are read now, without white space at their ends.
    ///
    /// # Errors
    ///
    /// Returns an error if the folder cannot be read or holds no images, and one that names the
    /// image if its caption is missing or is not UTF-8.
    pub fn captions(folder: impl AsRef<Path>, transform: Transform) -> Result<Self, DataError> {
        let images = Listing::of(folder.as_ref())?.images(folder.as_ref())?;
        let with_caption = |image: PathBuf| {
            let caption = image.with_extension("txt");
            match fs::read_to_string(&caption) {
                Ok(text) => Ok((image, text.trim().to_owned())),
                Err(error) => {
                    let reason = format!("cannot be read: {error}");
                    Err(DataError::Caption { image, caption, reason })
                }
            }
        };
        let images = images.into_iter().map(with_caption).collect::<Result<_, _>>()?;
        Ok(Self { images, class_names: Vec::new(), transform })
    }
}

/// The sizes of the images of a [`Folder`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sizes {
    /// Height and width of each image, upright; none of corrupt ones.
    pub images: Vec<Option<[usize; 2]>>,
    /// The corrupt images.
    pub report: Report,
}

impl<C: Sync> Folder<C> {
    /// Reads the sizes of the images, from the heads of the files, on all threads; for
    /// [`BucketOrder`](crate::BucketOrder).
    ///
    /// # Errors
    ///
    /// Returns an error if a file cannot be read.
    pub fn sizes(&self) -> Result<Sizes, DataError> {
        let read: Vec<_> = self.images.par_iter().map(|(path, _)| decode::size(path)).collect();
        let mut report = Report::default();
        let known = read.into_iter().map(|size| match size {
            Err(DataError::Corrupt { item, reason }) => {
                report.add(Skipped { item, reason });
                Ok(None)
            }
            size => size.map(Some),
        });
        let images = known.collect::<Result<_, _>>()?;
        Ok(Sizes { images, report })
    }
}

impl<C: Clone + Send + Sync + 'static> Source for Folder<C> {
    type Item = Sample<Image, C>;

    fn len(&self) -> usize {
        self.images.len()
    }

    fn read(&self, index: usize, visit: &Visit) -> Result<Self::Item, DataError> {
        let Some((path, condition)) = self.images.get(index) else {
            return Err(DataError::NoItem { index, items: self.images.len() });
        };
        let image = self.transform.apply(decode::decode(path)?, visit)?;
        Ok(Sample::new(image, condition.clone()))
    }

    fn name(&self, index: usize) -> String {
        let image = self.images.get(index);
        image.map_or_else(|| format!("item {index}"), |(path, _)| path.display().to_string())
    }
}
