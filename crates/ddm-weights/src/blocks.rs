//! The quantised blocks of GGUF.
//!
//! A block has a scale d, and in some types a smallest value m, for 32 numbers; those of the K types
//! have 256 in 8 or 16 parts, each with a scale of its own in 4 or 6 bits. With q the bits of a number,
//! it is d q, d (q − q₀) or d q − m. Those types are here; of the others, see the modules below.

mod codebooks;
mod grids;
mod levels;

use codebooks::{iq1_m, iq1_s, iq2_s, iq2_xs, iq2_xxs, iq3_s, iq3_xxs};
use half::f16;
use levels::{iq4_nl, iq4_xs, mxfp4, nvfp4, tq1_0, tq2_0};

use crate::Stored;

/// Widens whole blocks to f32.
pub(crate) fn decode(stored: Stored, raw: &[u8], out: &mut [f32]) {
    match stored {
        Stored::Q4_0 => each(raw, out, q4_0),
        Stored::Q4_1 => each(raw, out, q4_1),
        Stored::Q5_0 => each(raw, out, q5_0),
        Stored::Q5_1 => each(raw, out, q5_1),
        Stored::Q8_0 => each(raw, out, q8_0),
        Stored::Q2K => each(raw, out, q2_k),
        Stored::Q3K => each(raw, out, q3_k),
        Stored::Q4K => each(raw, out, q4_k),
        Stored::Q5K => each(raw, out, q5_k),
        Stored::Q6K => each(raw, out, q6_k),
        Stored::IQ1S => each(raw, out, iq1_s),
        Stored::IQ1M => each(raw, out, iq1_m),
        Stored::IQ2XXS => each(raw, out, iq2_xxs),
        Stored::IQ2XS => each(raw, out, iq2_xs),
        Stored::IQ2S => each(raw, out, iq2_s),
        Stored::IQ3XXS => each(raw, out, iq3_xxs),
        Stored::IQ3S => each(raw, out, iq3_s),
        Stored::IQ4NL => each(raw, out, iq4_nl),
        Stored::IQ4XS => each(raw, out, iq4_xs),
        Stored::TQ1_0 => each(raw, out, tq1_0),
        Stored::TQ2_0 => each(raw, out, tq2_0),
        Stored::MXFP4 => each(raw, out, mxfp4),
        Stored::NVFP4 => each(raw, out, nvfp4),
        // All others are no blocks, or are refused before they are read.
        _ => out.fill(f32::NAN),
    }
}

fn each<const BYTES: usize, const N: usize>(
    raw: &[u8],
    out: &mut [f32],
    block: impl Fn(&[u8; BYTES], &mut [f32; N]),
) {
    for (raw, out) in raw.as_chunks().0.iter().zip(out.as_chunks_mut().0) {
        block(raw, out);
    }
}

/// The f16 at a byte of a block.
fn half(block: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([block[at], block[at + 1]]).to_f32()
}

fn q4_0(block: &[u8; 18], out: &mut [f32; 32]) {
    let d = half(block, 0);
    for (i, byte) in block[2..].iter().enumerate() {
        out[i] = d * (f32::from(byte & 15) - 8.0);
        out[i + 16] = d * (f32::from(byte >> 4) - 8.0);
    }
}

fn q4_1(block: &[u8; 20], out: &mut [f32; 32]) {
    let (d, m) = (half(block, 0), half(block, 2));
    for (i, byte) in block[4..].iter().enumerate() {
        out[i] = d * f32::from(byte & 15) + m;
        out[i + 16] = d * f32::from(byte >> 4) + m;
    }
}

/// The 32 numbers of 5 bits whose upper bits are at `high`, and the others after those.
fn fives(block: &[u8], high: usize) -> [f32; 32] {
    let bit = |i: usize| ((block[high + i / 8] >> (i % 8)) & 1) << 4;
    std::array::from_fn(|i| {
        let byte = block[high + 4 + i % 16];
        f32::from(if i < 16 { byte & 15 } else { byte >> 4 } | bit(i))
    })
}

fn q5_0(block: &[u8; 22], out: &mut [f32; 32]) {
    let d = half(block, 0);
    *out = fives(block, 2).map(|q| d * (q - 16.0));
}

fn q5_1(block: &[u8; 24], out: &mut [f32; 32]) {
    let (d, m) = (half(block, 0), half(block, 2));
    *out = fives(block, 4).map(|q| d * q + m);
}

fn q8_0(block: &[u8; 34], out: &mut [f32; 32]) {
    let d = half(block, 0);
    for (out, byte) in out.iter_mut().zip(&block[2..]) {
        *out = d * f32::from(*byte as i8);
    }
}

/// The number of 2 bits, i of 256, from 64 bytes: 128 numbers from 32 bytes, 2 bits of each at a time.
fn two(bytes: &[u8], i: usize) -> u8 {
    (bytes[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2)) & 3
}

fn q2_k(block: &[u8; 84], out: &mut [f32; 256]) {
    let (scales, numbers) = (&block[..16], &block[16..80]);
    let (d, m) = (half(block, 80), half(block, 82));
    for (i, out) in out.iter_mut().enumerate() {
        let scale = scales[i / 16];
        let (d, m) = (d * f32::from(scale & 15), m * f32::from(scale >> 4));
        *out = d * f32::from(two(numbers, i)) - m;
    }
}

fn q3_k(block: &[u8; 110], out: &mut [f32; 256]) {
    let (high, numbers, scales) = (&block[..32], &block[32..96], &block[96..108]);
    let d = half(block, 108);
    for (i, out) in out.iter_mut().enumerate() {
        let part = i / 16;
        // 4 bits from the first 8 bytes, 2 more from the last 4.
        let low = if part < 8 { scales[part] & 15 } else { scales[part - 8] >> 4 };
        let scale = low | ((scales[8 + part % 4] >> (part / 4 * 2)) & 3) << 4;
        let upper = (high[i % 32] >> (i / 32)) & 1;
        let q = f32::from(two(numbers, i)) - if upper == 1 { 0.0 } else { 4.0 };
        *out = d * (f32::from(scale) - 32.0) * q;
    }
}

/// The scale and the smallest value, of 6 bits each, of part i of 8, from 12 bytes.
fn sixes(scales: &[u8], i: usize) -> (f32, f32) {
    let (scale, least) = if i < 4 {
        (scales[i] & 63, scales[i + 4] & 63)
    } else {
        let low = scales[i + 4];
        ((low & 15) | (scales[i - 4] >> 6) << 4, (low >> 4) | (scales[i] >> 6) << 4)
    };
    (scale.into(), least.into())
}

/// The lower or upper 4 bits, for 64 numbers 32 bytes.
fn four(bytes: &[u8], i: usize) -> u8 {
    let byte = bytes[i / 64 * 32 + i % 32];
    if i % 64 < 32 { byte & 15 } else { byte >> 4 }
}

fn q4_k(block: &[u8; 144], out: &mut [f32; 256]) {
    let (d, m) = (half(block, 0), half(block, 2));
    let (scales, numbers) = (&block[4..16], &block[16..]);
    for part in 0..8 {
        let (scale, least) = sixes(scales, part);
        let (d, m) = (d * scale, m * least);
        for (i, out) in (part * 32..).zip(&mut out[part * 32..][..32]) {
            *out = d * f32::from(four(numbers, i)) - m;
        }
    }
}

fn q5_k(block: &[u8; 176], out: &mut [f32; 256]) {
    let (d, m) = (half(block, 0), half(block, 2));
    let (scales, high, numbers) = (&block[4..16], &block[16..48], &block[48..]);
    for part in 0..8 {
        let (scale, least) = sixes(scales, part);
        let (d, m) = (d * scale, m * least);
        for (i, out) in (part * 32..).zip(&mut out[part * 32..][..32]) {
            let upper = ((high[i % 32] >> part) & 1) << 4;
            *out = d * f32::from(four(numbers, i) | upper) - m;
        }
    }
}

fn q6_k(block: &[u8; 210], out: &mut [f32; 256]) {
    let (low, high, scales) = (&block[..128], &block[128..192], &block[192..208]);
    let d = half(block, 208);
    for (i, out) in out.iter_mut().enumerate() {
        // 128 numbers from 64 bytes: their lower bits first, for 64 numbers, then the upper ones.
        let (group, within) = (i / 128, i % 128);
        let byte = low[group * 64 + within % 64];
        let lower = if within < 64 { byte & 15 } else { byte >> 4 };
        let q = f32::from(lower | two(high, i) << 4) - 32.0;
        *out = d * f32::from(scales[i / 16] as i8) * q;
    }
}
