//! A Brownian path computed on demand.

use rand_distr::{Distribution, StandardNormal};

use crate::HostNoise;

/// The number of halvings of an octave: levels are resolved to 2⁻³⁰ relative.
const DEPTH: u32 = 30;
/// The number of octaves summed below an end; those below have 2⁻⁶⁰ of the variance.
const OCTAVES: i32 = 60;

/// Returns the grid point nearest to v, so that a level computed twice is the same level in spite
/// of rounding; 0 if v is not a normal number.
pub(super) fn on_grid(v: f64) -> f64 {
    if v < f64::MIN_POSITIVE {
        return 0.0;
    }
    let half = 1 << (52 - DEPTH - 1);
    f64::from_bits((v.to_bits() + half) >> (52 - DEPTH) << (52 - DEPTH))
}

/// Brownian paths from B(0) = 0, one per sample and element.
///
/// Over the octaves [2ᵏ, 2ᵏ⁺¹) the increments are independent normal numbers, keyed by k. Inside an
/// octave a bridge is halved recursively, with one number per node: over an interval of
/// length h with increment w, the increment over the first half is `w/2 + √h/2 · z`.
pub(super) struct Path(HostNoise);

impl Path {
    pub(super) fn new(noise: HostNoise) -> Self {
        Self(noise)
    }

    /// Returns B(to) − B(from) per element of a sample. Both ends are on the grid, and from < to.
    pub(super) fn increment(&self, sample: usize, elements: usize, from: f64, to: f64) -> Vec<f64> {
        let (last, lowest) = (octave(to), octave(to) - OCTAVES);
        let first = if from == 0.0 { lowest } else { octave(from).max(lowest) };
        let mut sum = vec![0.0; elements];
        for k in first..last {
            add(&mut sum, 1.0, &self.whole(sample, elements, k));
        }
        add(&mut sum, 1.0, &self.part(sample, elements, to));
        if from > 0.0 && octave(from) >= lowest {
            add(&mut sum, -1.0, &self.part(sample, elements, from));
        }
        sum
    }

    /// Returns the increment over the octave [2ᵏ, 2ᵏ⁺¹).
    fn whole(&self, sample: usize, elements: usize, k: i32) -> Vec<f64> {
        let std = power_of_two(k).sqrt();
        self.normals(sample, k, 0).take(elements).map(|z| std * z).collect()
    }

    /// Returns the increment from the start of v's octave to v.
    fn part(&self, sample: usize, elements: usize, v: f64) -> Vec<f64> {
        let k = octave(v);
        let mut rest = (v.to_bits() >> (52 - DEPTH)) & ((1 << DEPTH) - 1);
        let mut left = vec![0.0; elements];
        if rest == 0 {
            return left;
        }
        let mut increment = self.whole(sample, elements, k);
        let (mut length, mut node) = (power_of_two(k), 1);
        while rest != 0 {
            let half = 1 << (DEPTH - 1);
            let (second, std) = (rest & half != 0, 0.5 * length.sqrt());
            let numbers = self.normals(sample, k, node);
            for ((left, increment), z) in left.iter_mut().zip(&mut increment).zip(numbers) {
                let first_half = 0.5 * *increment + std * z;
                if second {
                    *left += first_half;
                    *increment -= first_half;
                } else {
                    *increment = first_half;
                }
            }
            rest = (rest << 1) & ((1 << DEPTH) - 1);
            length *= 0.5;
            node = 2 * node + u64::from(second);
        }
        left
    }

    /// Returns the normal numbers of a node of an octave, one per element. Node 0 is the octave,
    /// node 1 its middle; node n has the halves 2n and 2n + 1.
    fn normals(&self, sample: usize, k: i32, node: u64) -> impl Iterator<Item = f64> {
        let address = (i64::from(k) + 2048) as u64;
        let draw = self.0.clone().at(address << 32 | node).next_draw();
        StandardNormal.sample_iter(draw.rng(sample))
    }
}

/// Returns k with 2ᵏ ≤ v < 2ᵏ⁺¹, for normal v > 0.
fn octave(v: f64) -> i32 {
    (v.to_bits() >> 52) as i32 - 1023
}

fn power_of_two(k: i32) -> f64 {
    2f64.powi(k)
}

fn add(sum: &mut [f64], sign: f64, terms: &[f64]) {
    sum.iter_mut().zip(terms).for_each(|(sum, term)| *sum += sign * term);
}
