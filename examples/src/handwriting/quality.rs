//! How good samples of digits are.

use ddm_core::quality::{
    ClassDistance, Features, QualityError, Support, class_distances, frechet_distance,
};

use super::{Classifier, LabelledImages};

/// Neighbours of a real digit whose distance is the radius of its ball.
const NEIGHBOURS: usize = 5;
/// Digits that the classifier sees at a time.
const BATCH: usize = 500;

/// How good digits are, compared with real ones that the network was not trained on.
///
/// Real digits are not perfect by these numbers, so compare them with those of as many others.
#[derive(Clone, Debug, PartialEq)]
pub struct Quality {
    /// The share that a classifier of real digits reads as their label.
    pub right: f64,
    /// The mean distance between two digits of each label, in pixels from −1 to 1.
    pub spreads: Vec<ClassDistance<i64>>,
    /// The Fréchet distance from the real digits, in the features of the classifier.
    pub frechet: f64,
    /// Density and coverage of the real digits, in the features of the classifier.
    pub support: Support,
}

impl Quality {
    /// Compares digits with real ones.
    ///
    /// # Errors
    ///
    /// Returns an error if pixels are not finite, a label has only one digit, or there are no more than
    /// five of them.
    pub fn of(
        digits: &LabelledImages,
        real: &LabelledImages,
        classifier: &Classifier,
    ) -> Result<Self, QualityError> {
        let features = |digits: &LabelledImages| {
            Features::of(digits.images.clone(), BATCH, |images| classifier.features(images))
        };
        let (found, expected) = (features(digits)?, features(real)?);
        let labels: Vec<i64> = digits.labels.to_data().iter::<i64>().collect();
        Ok(Self {
            right: classifier.share_right(digits.images.clone(), digits.labels.clone()),
            spreads: class_distances(&digits.pixels()?, &labels)?,
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
