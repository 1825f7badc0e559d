//! Logarithm, sine and cosine in f32 by the polynomials of Cephes, with fused multiply-add, as in
//! torch's vectorized kernels. They differ from the platform's functions in the last bits.
//!
//! Source: Moshier, *Methods and Programs for Mathematical Functions* (1989), `logf`, `sinf`,
//! `cosf`.

use std::f32::consts::{FRAC_1_SQRT_2, FRAC_2_PI};

/// Horner's scheme, from the highest power.
fn horner(x: f32, coefficients: &[f32]) -> f32 {
    coefficients.iter().fold(0.0, |sum, &coefficient| sum.mul_add(x, coefficient))
}

/// Returns ln x of a positive normal number: `ln m + e ln 2` with m in [√½, √2).
pub(super) fn ln(x: f32) -> f32 {
    const COEFFICIENTS: [f32; 9] = [
        7.037_683_6e-2,
        -1.151_461e-1,
        1.167_699_84e-1,
        -1.242_014_1e-1,
        1.424_932_3e-1,
        -1.666_805_7e-1,
        2.000_071_4e-1,
        -2.499_999_4e-1,
        3.333_333e-1,
    ];
    // ln 2 in two parts.
    const LN_2: (f32, f32) = (355.0 / 512.0, -2.121_944_4e-4);
    let bits = x.to_bits();
    let mantissa = f32::from_bits((bits & 0x007f_ffff) | 0x3f00_0000);
    let exponent = (bits >> 23) as i32 - 126;
    let (m, exponent) = if mantissa < FRAC_1_SQRT_2 {
        (mantissa - 1.0 + mantissa, exponent - 1)
    } else {
        (mantissa - 1.0, exponent)
    };
    let (square, e) = (m * m, exponent as f32);
    let tail = (horner(m, &COEFFICIENTS) * m).mul_add(square, e * LN_2.1);
    e.mul_add(LN_2.0, m + square.mul_add(-0.5, tail))
}

/// Returns (sin x, cos x) for x in [0, 2π].
pub(super) fn sin_cos(x: f32) -> (f32, f32) {
    const SIN: [f32; 3] = [-1.951_529_6e-4, 8.332_161e-3, -1.666_665_5e-1];
    const COS: [f32; 3] = [2.443_315_7e-5, -1.388_731_6e-3, 4.166_664_6e-2];
    // π/4 in three parts.
    const PARTS: [f32; 3] = [0.785_156_25, 2.418_756_5e-4, 3.774_895e-8];
    // The even multiple of π/4 nearest to x.
    let octant = ((x * (2.0 * FRAC_2_PI)) as i32 + 1) & !1;
    let r = PARTS.iter().fold(x, |r, &part| (octant as f32).mul_add(-part, r));
    let square = r * r;
    let sin = (horner(square, &SIN) * square).mul_add(r, r);
    let cos = (horner(square, &COS) * square).mul_add(square, -(square * 0.5)) + 1.0;
    match octant % 8 {
        0 => (sin, cos),
        2 => (cos, -sin),
        4 => (-sin, -cos),
        _ => (-cos, sin),
    }
}
