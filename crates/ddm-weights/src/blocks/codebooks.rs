//! Blocks of indices into codebooks: the types IQ1, IQ2 and IQ3.
//!
//! A part of a block has a scale s of 3 or 4 bits, and 8 numbers (or 4, in IQ3) are a row g of a
//! codebook, with a sign each: ± d (s + ½) / 4 · g, or with other constants. Those of IQ1 have no signs
//! but a shift of ± ⅛ in common: d (2 s + 1) (g ± ⅛).

use half::f16;

use super::grids::{IQ1, IQ2_S, IQ2_XS, IQ2_XXS, IQ3_S, IQ3_XXS};
use super::half;

/// The word at a byte of a block.
fn word(block: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([block[at], block[at + 1]])
}

fn double_word(block: &[u8], at: usize) -> u32 {
    u32::from(word(block, at)) | u32::from(word(block, at + 2)) << 16
}

/// The lower or upper 4 bits: two numbers a byte.
fn nibble(bytes: &[u8], i: usize) -> u8 {
    (bytes[i / 2] >> (i % 2 * 4)) & 15
}

/// Eight signs of which seven are stored: the number of minuses is even.
fn even_signs(bits: u32) -> u8 {
    let seven = (bits & 127) as u8;
    seven | ((seven.count_ones() & 1) as u8) << 7
}

/// Writes numbers times a scale, with the sign of each in a bit.
fn signed<const N: usize>(out: &mut [f32], scale: f32, numbers: [f32; N], signs: u8) {
    for (i, (out, number)) in out.iter_mut().zip(numbers).enumerate() {
        let number = scale * number;
        *out = if (signs >> i) & 1 == 1 { -number } else { number };
    }
}

pub(super) fn iq2_xxs(block: &[u8; 66], out: &mut [f32; 256]) {
    let d = half(block, 0);
    for (part, out) in block[2..].as_chunks::<8>().0.iter().zip(out.as_chunks_mut::<32>().0) {
        let bits = double_word(part, 4);
        let scale = d * (0.5 + (bits >> 28) as f32) * 0.25;
        for (i, out) in out.chunks_exact_mut(8).enumerate() {
            let row: [f32; 8] = IQ2_XXS.row(part[i].into());
            signed(out, scale, row, even_signs(bits >> (7 * i)));
        }
    }
}

pub(super) fn iq2_xs(block: &[u8; 74], out: &mut [f32; 256]) {
    let (d, scales) = (half(block, 0), &block[66..]);
    for (i, out) in out.chunks_exact_mut(8).enumerate() {
        let bits = word(block, 2 + 2 * i);
        let scale = d * (0.5 + f32::from(nibble(scales, i / 2))) * 0.25;
        let row: [f32; 8] = IQ2_XS.row((bits & 511).into());
        signed(out, scale, row, even_signs((bits >> 9).into()));
    }
}

pub(super) fn iq2_s(block: &[u8; 82], out: &mut [f32; 256]) {
    let (low, signs) = (&block[2..34], &block[34..66]);
    let (d, high, scales) = (half(block, 0), &block[66..74], &block[74..]);
    for (i, out) in out.chunks_exact_mut(8).enumerate() {
        let upper = usize::from(high[i / 4] >> (i % 4 * 2)) & 3;
        let scale = d * (0.5 + f32::from(nibble(scales, i / 2))) * 0.25;
        let row: [f32; 8] = IQ2_S.row(usize::from(low[i]) | upper << 8);
        signed(out, scale, row, signs[i]);
    }
}

pub(super) fn iq3_xxs(block: &[u8; 98], out: &mut [f32; 256]) {
    let d = half(block, 0);
    for (i, out) in out.chunks_exact_mut(8).enumerate() {
        let bits = double_word(block, 66 + i / 4 * 4);
        let scale = d * (0.5 + (bits >> 28) as f32) * 0.5;
        let signs = even_signs(bits >> (7 * (i % 4)));
        for (j, out) in out.chunks_exact_mut(4).enumerate() {
            let row: [f32; 4] = IQ3_XXS.row(block[2 + 2 * i + j].into());
            signed(out, scale, row, signs >> (4 * j));
        }
    }
}

pub(super) fn iq3_s(block: &[u8; 110], out: &mut [f32; 256]) {
    let (low, high) = (&block[2..66], &block[66..74]);
    let (d, signs, scales) = (half(block, 0), &block[74..106], &block[106..]);
    for (i, out) in out.chunks_exact_mut(4).enumerate() {
        let upper = usize::from(high[i / 8] >> (i % 8)) & 1;
        let scale = d * f32::from(1 + 2 * nibble(scales, i / 8));
        let row: [f32; 4] = IQ3_S.row(usize::from(low[i]) | upper << 8);
        signed(out, scale, row, signs[i / 2] >> (i % 2 * 4));
    }
}

/// Writes a row with its shift, times a scale.
fn shifted(out: &mut [f32], scale: f32, index: usize, down: bool) {
    let shift = if down { -0.125 } else { 0.125 };
    let row: [f32; 8] = IQ1.row(index);
    for (out, number) in out.iter_mut().zip(row) {
        *out = scale * (number + shift);
    }
}

pub(super) fn iq1_s(block: &[u8; 50], out: &mut [f32; 256]) {
    let d = half(block, 0);
    for (i, out) in out.chunks_exact_mut(8).enumerate() {
        let bits = word(block, 34 + i / 4 * 2);
        let scale = d * f32::from(2 * ((bits >> 12) & 7) + 1);
        let upper = usize::from(bits >> (i % 4 * 3)) & 7;
        shifted(out, scale, usize::from(block[2 + i]) | upper << 8, bits >> 15 == 1);
    }
}

pub(super) fn iq1_m(block: &[u8; 56], out: &mut [f32; 256]) {
    let (low, high) = (&block[..32], &block[32..48]);
    let words: [u16; 4] = std::array::from_fn(|i| word(block, 48 + 2 * i));
    // Each word of scales has four bits of d above them.
    let bits = words.iter().rev().fold(0, |bits, word| bits << 4 | word >> 12);
    let d = f16::from_bits(bits).to_f32();
    for (i, out) in out.chunks_exact_mut(8).enumerate() {
        let scale = d * f32::from(2 * ((words[i / 8] >> (i / 2 % 4 * 3)) & 7) + 1);
        let upper = nibble(high, i);
        shifted(out, scale, usize::from(low[i]) | usize::from(upper & 7) << 8, upper & 8 != 0);
    }
}
