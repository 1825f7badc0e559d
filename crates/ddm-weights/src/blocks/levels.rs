//! Blocks of levels that are not evenly spaced (IQ4), of floats in 4 bits (MXFP4, NVFP4), and of three
//! values (TQ1_0, TQ2_0).

use super::{half, two};

/// The levels of IQ4, from ggml (MIT licence), `ggml-common.h`.
const IQ4: [i8; 16] = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];
/// Twice the floats with 2 bits of exponent and 1 of mantissa (the OCP Microscaling Formats).
const E2M1: [i8; 16] = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12];

/// Writes the levels of the lower 4 bits of each byte, then those of the upper ones.
fn levels(bytes: &[u8], table: &[i8; 16], scale: f32, out: &mut [f32]) {
    let (low, high) = out.split_at_mut(bytes.len());
    for ((byte, low), high) in bytes.iter().zip(low).zip(high) {
        *low = scale * f32::from(table[usize::from(byte & 15)]);
        *high = scale * f32::from(table[usize::from(byte >> 4)]);
    }
}

pub(super) fn iq4_nl(block: &[u8; 18], out: &mut [f32; 32]) {
    levels(&block[2..], &IQ4, half(block, 0), out);
}

pub(super) fn iq4_xs(block: &[u8; 136], out: &mut [f32; 256]) {
    let (d, high) = (half(block, 0), u16::from_le_bytes([block[2], block[3]]));
    for (i, out) in out.chunks_exact_mut(32).enumerate() {
        let low = (block[4 + i / 2] >> (i % 2 * 4)) & 15;
        let scale = f32::from(u16::from(low) | (high >> (2 * i) & 3) << 4) - 32.0;
        levels(&block[8 + 16 * i..][..16], &IQ4, d * scale, out);
    }
}

pub(super) fn mxfp4(block: &[u8; 17], out: &mut [f32; 32]) {
    // Half of 2ᵉ⁻¹²⁷, since the levels are twice the floats; below 2⁻¹²⁶ in f32's subnormal numbers.
    let exponent = u32::from(block[0]);
    let bits = if exponent < 2 { 0x0020_0000 << exponent } else { (exponent - 1) << 23 };
    levels(&block[1..], &E2M1, f32::from_bits(bits), out);
}

pub(super) fn nvfp4(block: &[u8; 36], out: &mut [f32; 64]) {
    for (i, out) in out.chunks_exact_mut(16).enumerate() {
        levels(&block[4 + 8 * i..][..8], &E2M1, half_of_e4m3(block[i]), out);
    }
}

/// Half of a float with 4 bits of exponent and 3 of mantissa, whose sign is not looked at. What is not
/// a number is taken for 0, as ggml does.
fn half_of_e4m3(bits: u8) -> f32 {
    let (exponent, mantissa) = (bits >> 3 & 15, f32::from(bits & 7));
    match exponent {
        _ if bits == 0x7f => 0.0,
        0 => mantissa / 1024.0,
        _ => (1.0 + mantissa / 8.0) * 2.0_f32.powi(i32::from(exponent) - 8),
    }
}

pub(super) fn tq1_0(block: &[u8; 54], out: &mut [f32; 256]) {
    let d = half(block, 52);
    let mut rest = out.as_mut_slice();
    // Five digits of base 3 in a byte, but four in each of the last four.
    for (bytes, digits) in [(&block[..32], 5), (&block[32..48], 5), (&block[48..52], 4)] {
        let mut power = 1_u8;
        for _ in 0..digits {
            let (now, later) = rest.split_at_mut(bytes.len());
            for (out, byte) in now.iter_mut().zip(bytes) {
                // A byte is a fraction of 256, whose upper digits fall off as it overflows.
                let digit = (u16::from(byte.wrapping_mul(power)) * 3) >> 8;
                *out = d * (f32::from(digit) - 1.0);
            }
            (rest, power) = (later, power.wrapping_mul(3));
        }
    }
}

pub(super) fn tq2_0(block: &[u8; 66], out: &mut [f32; 256]) {
    let d = half(block, 64);
    for (i, out) in out.iter_mut().enumerate() {
        *out = d * (f32::from(two(&block[..64], i)) - 1.0);
    }
}
