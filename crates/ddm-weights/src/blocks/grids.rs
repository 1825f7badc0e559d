//! The codebooks of the IQ types: rows of 8 or 4 numbers that stand behind an index.
//!
//! They are facts of the format, found by its authors by a search, and no rule gives them.

mod iq1;
mod iq2;
mod iq3;

/// A codebook of N rows, each with its numbers' codes in 16 bits, the first lowest.
pub(super) struct Grid<const N: usize, const CODES: usize> {
    rows: [u16; N],
    /// What the codes stand for.
    values: [f32; CODES],
}

pub(super) static IQ1: Grid<2048, 3> = Grid::new(iq1::IQ1, [-1.0, 0.0, 1.0]);
pub(super) static IQ2_XXS: Grid<256, 3> = Grid::new(iq2::IQ2_XXS, TWOS);
pub(super) static IQ2_XS: Grid<512, 3> = Grid::new(iq2::IQ2_XS, TWOS);
pub(super) static IQ2_S: Grid<1024, 3> = Grid::new(iq2::IQ2_S, TWOS);
pub(super) static IQ3_XXS: Grid<256, 8> =
    Grid::new(iq3::IQ3_XXS, [4.0, 12.0, 20.0, 28.0, 36.0, 44.0, 52.0, 62.0]);
pub(super) static IQ3_S: Grid<512, 8> =
    Grid::new(iq3::IQ3_S, [1.0, 3.0, 5.0, 7.0, 9.0, 11.0, 13.0, 15.0]);

const TWOS: [f32; 3] = [8.0, 25.0, 43.0];

impl<const N: usize, const CODES: usize> Grid<N, CODES> {
    /// The bits of a code: 8 numbers a row for three values, 4 for eight.
    const BITS: usize = if CODES == 3 { 2 } else { 4 };

    /// Reads the digits as the crate is compiled, which fails if there are too few, too many, or any
    /// that are no codes.
    const fn new(digits: &str, values: [f32; CODES]) -> Self {
        let digits = digits.as_bytes();
        assert!(digits.len() == 4 * N);
        let mut rows = [0; N];
        let mut i = 0;
        while i < N {
            let low = digit(digits[4 * i]) << 4 | digit(digits[4 * i + 1]);
            let high = digit(digits[4 * i + 2]) << 4 | digit(digits[4 * i + 3]);
            rows[i] = low | high << 8;
            let mut at = 0;
            while at < 16 {
                assert!(((rows[i] >> at) as usize & ((1 << Self::BITS) - 1)) < CODES);
                at += Self::BITS;
            }
            i += 1;
        }
        Self { rows, values }
    }

    /// The numbers of a row, of which there are 8 or 4. Indices have no more bits than there are rows.
    pub(super) fn row<const WIDTH: usize>(&self, index: usize) -> [f32; WIDTH] {
        let row = self.rows[index % N];
        let code = |i| usize::from(row >> (i * Self::BITS)) & ((1 << Self::BITS) - 1);
        std::array::from_fn(|i| self.values[code(i)])
    }
}

const fn digit(digit: u8) -> u16 {
    match digit {
        b'0'..=b'9' => (digit - b'0') as u16,
        b'a'..=b'f' => (digit - b'a') as u16 + 10,
        _ => panic!("no digit"),
    }
}
