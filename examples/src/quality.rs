//! How good samples of labelled images are.

use ddm_core::prelude::*;
use ddm_core::quality::{
    ClassDistance, Features, QualityError, Support, class_distances, frechet_distance,
};

use crate::labelled::LabelledImages;

/// Neighbours of a real digit whose distance is the radius of its ball.
const NEIGHBOURS: usize = 5;
/// Images that the classifier sees at a time.
const BATCH: usize = 500;

/// A classifier of real images.
pub trait Reader {
    /// Returns what a layer says about the images, `[n, width]`: features to compare sets by.
    fn features(&self, images: Tensor<4>) -> Tensor<2>;

    /// Returns the label that each image is read as.
    fn read(&self, images: Tensor<4>) -> Tensor<1, Int>;

    /// Returns the share of images that are read as their label.
    fn share_right(&self, images: Tensor<4>, labels: Tensor<1, Int>) -> f64 {
        self.read(images).equal(labels).float().mean().into_scalar()
    }
}

/// How good images are, compared with real ones.
///
/// Real images are not perfect by these numbers, so compare them with those of as many others.
#[derive(Clone, Debug, PartialEq)]
pub struct Quality {
    /// The share that a classifier of real digits reads as their label.
    pub right: f64,
    /// The mean distance between two images of each label, in pixels from −1 to 1.
    pub spreads: Vec<ClassDistance<i64>>,
    /// The Fréchet distance from the real images, in the features of the classifier.
    pub frechet: f64,
    /// Density and coverage of the real images, in the features of the classifier.
    pub support: Support,
}

impl Quality {
    /// Compares images with real ones.
    ///
    /// # Errors
    ///
    /// Returns an error if pixels are not finite, a label has only one image, or there are no more than
    /// five of them.
    pub fn of(
        images: &LabelledImages,
        real: &LabelledImages,
        classifier: &impl Reader,
    ) -> Result<Self, QualityError> {
        let features = |images: &LabelledImages| {
            Features::of(images.images.clone(), BATCH, |images| classifier.features(images))
        };
        let (found, expected) = (features(images)?, features(real)?);
        let labels: Vec<i64> = images.labels.to_data().iter::<i64>().collect();
        Ok(Self {
            right: classifier.share_right(images.images.clone(), images.labels.clone()),
            spreads: class_distances(&images.pixels()?, &labels)?,
            frechet: frechet_distance(&expected, &found)?,
            support: Support::of(&expected, &found, NEIGHBOURS)?,
        })
    }

    /// Returns the mean of the spreads of the labels.
    pub fn spread(&self) -> f64 {
        let sum: f64 = self.spreads.iter().map(|class| class.distance).sum();
        sum / self.spreads.len() as f64
    }
}

impl LabelledImages {
    /// Returns the pixels as features.
    ///
    /// # Errors
    ///
    /// Returns an error if a pixel is not finite, or there are none.
    pub fn pixels(&self) -> Result<Features, QualityError> {
        Features::new(self.images.clone().flatten(1, 3))
    }
}
