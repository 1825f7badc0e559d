//! Elementary functions of vectors.

use pulp::Simd;

/// Returns eˣ, within 2e-7 of it.
///
/// Results below the least normal number are 0. eˣ = 2ⁿ eʳ with an integer n and |r| ≤ ln 2 / 2
/// (Cody & Waite, *Software Manual for the Elementary Functions*, 1980, chapter 6); eʳ is a minimax
/// polynomial.
#[inline(always)]
pub(crate) fn exp<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    /// 1.5 · 2²³: a number of size up to 2²² added to it is rounded to an integer, in the low bits.
    const ROUND: f32 = 12_582_912.0;
    /// ln 2 in two parts; the first has few bits, so its product with n is exact.
    const LN2: [f32; 2] = [355.0 / 512.0, -2.121_944_4e-4];
    const POLYNOMIAL: [f32; 5] =
        [1.381_446_7e-3, 8.368_781e-3, 4.166_839_3e-2, 0.166_665_2, 0.499_999_94];
    /// The logarithms of the least normal and the greatest number.
    const RANGE: [f32; 2] = [-87.336_54, 88.722_83];

    let shifted =
        simd.mul_add_e_f32s(x, simd.splat_f32s(std::f32::consts::LOG2_E), simd.splat_f32s(ROUND));
    let n = simd.sub_f32s(shifted, simd.splat_f32s(ROUND));
    let r = simd.mul_add_e_f32s(n, simd.splat_f32s(-LN2[0]), x);
    let r = simd.mul_add_e_f32s(n, simd.splat_f32s(-LN2[1]), r);
    let mut p = simd.splat_f32s(POLYNOMIAL[0]);
    for c in &POLYNOMIAL[1..] {
        p = simd.mul_add_e_f32s(p, r, simd.splat_f32s(*c));
    }
    let one_plus_r = simd.add_f32s(r, simd.splat_f32s(1.0));
    let p = simd.mul_add_e_f32s(p, simd.mul_f32s(r, r), one_plus_r);
    // Times 2ⁿ: n is added to the exponent.
    let n = simd.wrapping_dyn_shl_u32s(simd.transmute_u32s_f32s(shifted), simd.splat_u32s(23));
    let p = simd.transmute_f32s_u32s(simd.add_u32s(simd.transmute_u32s_f32s(p), n));
    let p = simd.select_f32s(
        simd.less_than_f32s(x, simd.splat_f32s(RANGE[0])),
        simd.splat_f32s(0.0),
        p,
    );
    let over = simd.greater_than_f32s(x, simd.splat_f32s(RANGE[1]));
    simd.select_f32s(over, simd.splat_f32s(f32::INFINITY), p)
}
