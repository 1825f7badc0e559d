//! Sizes for images of several ratios.

use ddm_schedule::Invalid;

use crate::DataError;
use crate::transform::require_side;

/// Aspect buckets: the sizes in which images of several ratios are trained, so that little of
/// them is cut off. Each image goes to the size whose ratio is nearest to its own, that is, with
/// the least |log| of their quotient. The scheme is that of NovelAI (Anlatan, *NovelAI Improvements
/// on Stable Diffusion*, 2022).
///
/// ```
/// use ddm_data::Buckets;
/// let buckets = Buckets::of_area([512, 512], 64, [256, 1024])?;
/// assert_eq!(buckets.sizes()[buckets.nearest([600, 800])], [448, 576]);
/// # Ok::<(), ddm_data::DataError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Buckets {
    sizes: Vec<[usize; 2]>,
}

impl Buckets {
    /// Takes these sizes, each height and width.
    ///
    /// # Errors
    ///
    /// Returns an error if there are none, or a side is 0 or above 16384.
    pub fn new(sizes: impl Into<Vec<[usize; 2]>>) -> Result<Self, DataError> {
        let mut sizes = sizes.into();
        if sizes.is_empty() {
            let what = "the list of bucket sizes".into();
            return Err(DataError::Empty { what, hint: "give at least one size" });
        }
        for &side in sizes.iter().flatten() {
            require_side("side of a bucket", side)?;
        }
        sizes.sort();
        sizes.dedup();
        Ok(Self { sizes })
    }

    /// Takes all sizes whose sides are multiples of `step` within `sides`, each with the largest
    /// other side such that the area is at most that of `largest`.
    ///
    /// # Errors
    ///
    /// Returns an error if the step or the longest side is 0 or above 16384, the sides are not in order, or
    /// no size is possible.
    pub fn of_area(
        largest: [usize; 2],
        step: usize,
        [least, most]: [usize; 2],
    ) -> Result<Self, DataError> {
        require_side("step of the bucket sizes", step)?;
        require_side("longest side of a bucket", most)?;
        let good = least <= most;
        let allowed = "at least the shortest side";
        Invalid::require(good, "longest side of a bucket", most as f64, allowed)?;
        let area = largest[0].saturating_mul(largest[1]);
        let multiple = |side: usize| side / step * step;
        let mut sizes = Vec::new();
        for side in (multiple(least.max(1) + step - 1)..=most).step_by(step) {
            let other = multiple(area / side).min(multiple(most));
            if other >= least && other > 0 {
                sizes.extend([[side, other], [other, side]]);
            }
        }
        // The square: the first of the list may pass over it.
        let square = multiple(area.isqrt());
        if square >= least.max(1) && square <= most {
            sizes.push([square; 2]);
        }
        Self::new(sizes)
    }

    /// Returns height and width of each bucket, sorted.
    pub fn sizes(&self) -> &[[usize; 2]] {
        &self.sizes
    }

    /// Returns the index of the bucket for an image of this height and width: the one of the nearest
    /// ratio, and of those the largest.
    pub fn nearest(&self, [height, width]: [usize; 2]) -> usize {
        let log_ratio =
            |height: usize, width: usize| (height.max(1) as f64 / width.max(1) as f64).ln();
        let wanted = log_ratio(height, width);
        let distance = |size: [usize; 2]| (log_ratio(size[0], size[1]) - wanted).abs();
        let indices = 0..self.sizes.len();
        let nearest = indices.min_by(|&one, &other| {
            let [one, other] = [self.sizes[one], self.sizes[other]];
            let larger = (other[0] * other[1]).cmp(&(one[0] * one[1]));
            distance(one).total_cmp(&distance(other)).then(larger)
        });
        nearest.unwrap_or_default()
    }
}
