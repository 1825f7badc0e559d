//! A torch generator: a Mersenne Twister and the spare normal number.

use std::f64::consts::TAU;

use burn::tensor::{FloatDType, bf16, f16};
use rand_mt::Mt;
use serde::{Deserialize, Serialize};

use super::fill::fill;

/// The size below which torch draws numbers one by one.
const BLOCK: usize = 16;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Place", into = "Place")]
pub(super) struct Generator {
    seed: u32,
    twister: Mt,
    /// The number of words drawn from the twister.
    words: u64,
    /// The second number of the last pair drawn one by one.
    spare: Option<f64>,
}

impl Generator {
    pub(super) fn new(seed: u64) -> Self {
        let seed = seed as u32;
        Self { seed, twister: Mt::new(seed), words: 0, spare: None }
    }

    /// Returns the next `size` normal numbers of a tensor of this type, exact in f64.
    pub(super) fn normal(&mut self, size: usize, dtype: FloatDType) -> Vec<f64> {
        let half = |z: f32| match dtype {
            FloatDType::F16 => f16::from_f32(z).to_f32(),
            FloatDType::BF16 => bf16::from_f32(z).to_f32(),
            FloatDType::F64 | FloatDType::F32 | FloatDType::Flex32 => z,
        };
        let whole = size - size % BLOCK;
        match dtype {
            FloatDType::F64 if size < BLOCK => (0..size).map(|_| self.next_normal()).collect(),
            FloatDType::F64 => fill(size, size, || self.uniform_f64()),
            _ if size < BLOCK => {
                (0..size).map(|_| half(self.next_normal() as f32).into()).collect()
            }
            // Torch does not draw the incomplete block of a half tensor, which is replaced anyway.
            FloatDType::F16 | FloatDType::BF16 => self.fill_f32(size, whole, half),
            FloatDType::F32 | FloatDType::Flex32 => self.fill_f32(size, size, half),
        }
    }

    /// Returns a uniform number on [0, 1), from 24 bits of a word.
    pub(super) fn uniform_f32(&mut self) -> f32 {
        (self.word() & 0xff_ffff) as f32 * 2f32.powi(-24)
    }

    /// Returns a uniform number on [0, 1), from 53 bits of two words, the high one first.
    fn uniform_f64(&mut self) -> f64 {
        let (high, low) = (u64::from(self.word()), u64::from(self.word()));
        ((high << 32 | low) & ((1 << 53) - 1)) as f64 * 2f64.powi(-53)
    }

    fn fill_f32(&mut self, size: usize, drawn: usize, round: impl Fn(f32) -> f32) -> Vec<f64> {
        let values: Vec<f32> = fill(size, drawn, || self.uniform_f32());
        values.into_iter().map(|z| round(z).into()).collect()
    }

    /// Returns a number of a Box–Muller pair in f64: the cosine first, the sine next time.
    fn next_normal(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        let (angle, u) = (TAU * self.uniform_f64(), self.uniform_f64());
        let radius = (-2.0 * (-u).ln_1p()).sqrt();
        self.spare = Some(radius * angle.sin());
        radius * angle.cos()
    }

    fn word(&mut self) -> u32 {
        self.words += 1;
        self.twister.next_u32()
    }
}

/// The saved state of a generator. The spare number is saved as bits, because decimal text may lose
/// the last bit.
#[derive(Serialize, Deserialize)]
struct Place {
    seed: u32,
    words: u64,
    spare: Option<u64>,
}

impl From<Generator> for Place {
    fn from(Generator { seed, words, spare, .. }: Generator) -> Self {
        Self { seed, words, spare: spare.map(f64::to_bits) }
    }
}

impl From<Place> for Generator {
    fn from(Place { seed, words, spare }: Place) -> Self {
        let mut twister = Mt::new(seed);
        for _ in 0..words {
            twister.next_u32();
        }
        Self { seed, twister, words, spare: spare.map(f64::from_bits) }
    }
}
