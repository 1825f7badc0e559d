//! Means and variances that do not cancel.

use pulp::{Simd, WithSimd};

use crate::buffer::scratch;
use crate::columns::{Elements, Terms, sum_rows};
use crate::simd::{dispatch, load};

/// The mean of some numbers and the sum of their squared distances from it.
///
/// Source: Chan, Golub & LeVeque, *Algorithms for Computing the Sample Variance*, The American
/// Statistician 37 (1983).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Moments {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Moments {
    /// Returns the moments of the numbers of both.
    pub(super) fn with(self, other: Self) -> Self {
        let count = self.count + other.count;
        if count == 0.0 {
            return self;
        }
        let (distance, share) = (other.mean - self.mean, other.count / count);
        Self {
            count,
            mean: self.mean + distance * share,
            squares: self.squares + other.squares + distance * distance * self.count * share,
        }
    }

    pub(super) fn mean(&self) -> f64 {
        self.mean
    }

    /// Returns 1 / √(v + ε), with the variance v.
    pub(super) fn inverse_std(&self, eps: f64) -> f64 {
        (self.squares / self.count.max(1.0) + eps).sqrt().recip()
    }
}

/// Measures the groups of a chunk `[rows, channels]`, where there is one moment for each group.
pub(super) fn measure(x: &[f32], channels: usize, groups: &mut [Moments]) {
    // Outside of the vector code: closures that are not inlined lose its instruction set.
    scratch(3 * channels, |memory| dispatch(Measure { x, channels, groups, memory }));
}

struct Measure<'a> {
    x: &'a [f32],
    channels: usize,
    groups: &'a mut [Moments],
    /// Three numbers per channel.
    memory: &'a mut [f32],
}

impl WithSimd for Measure<'_> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        // A mean of each channel over every fourth row: near enough to the mean of all that the
        // squares of the distances from it do not cancel, whatever the first rows hold.
        const STEP: usize = 4;
        let Self { x, channels, groups, memory } = self;
        let rows = x.len() / channels;
        let (shift, sums) = memory.split_at_mut(channels);
        let (sums, squares) = sums.split_at_mut(channels);
        sum_rows(simd, (rows, STEP), &mut Elements(x, channels), [shift]);
        let share = 1.0 / rows.div_ceil(STEP) as f32;
        shift.iter_mut().for_each(|shift| *shift *= share);
        sum_rows(simd, (rows, 1), &mut Distances { x, shift }, [sums, squares]);

        let (per_group, rows) = (channels / groups.len(), rows as f64);
        let (of_row, of_channel) = (rows.recip(), (per_group as f64).recip());
        for (g, group) in groups.iter_mut().enumerate() {
            let channels = g * per_group..(g + 1) * per_group;
            let (shift, sums) = (&shift[channels.clone()], &sums[channels.clone()]);
            let mut mean = 0.0;
            for (&shift, &sum) in shift.iter().zip(sums) {
                mean += (f64::from(shift) + f64::from(sum) * of_row) * of_channel;
            }
            let mut total = 0.0;
            for ((&shift, &sum), &squares) in shift.iter().zip(sums).zip(&squares[channels]) {
                let sum = f64::from(sum);
                let distance = f64::from(shift) + sum * of_row - mean;
                // Rounding can make the difference of two equal squares negative.
                let within = (f64::from(squares) - sum * sum * of_row).max(0.0);
                total += within + distance * distance * rows;
            }
            *group = Moments { count: rows * per_group as f64, mean, squares: total };
        }
    }
}

/// The distances from a number per channel, and their squares.
struct Distances<'a> {
    x: &'a [f32],
    shift: &'a [f32],
}

impl Terms<2> for Distances<'_> {
    #[inline(always)]
    fn at<S: Simd>(&mut self, simd: S, row: usize, col: usize, len: usize) -> [S::f32s; 2] {
        let x = load(simd, self.x, row * self.shift.len() + col, len);
        let distance = simd.sub_f32s(x, load(simd, self.shift, col, len));
        [distance, simd.mul_f32s(distance, distance)]
    }
}
