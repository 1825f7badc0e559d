//! Elementary functions of vectors.

use pulp::Simd;

/// From here on eˣ is beyond the range of `f32`, and e⁻ˣ rounds to 0: e⁻¹⁰⁴ < 2⁻¹⁵⁰.
const LIMIT: f32 = 104.0;

/// Returns eˣ: 0 and infinity where it is out of the range, NaN for NaN, and within 2e-7 relative.
#[inline(always)]
pub(crate) fn exp<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    exp_within(simd, at_most(simd, at_least(simd, x, -LIMIT), LIMIT))
}

/// Returns eˣ where |x| is at most [`LIMIT`].
///
/// With n the integer next to x / ln 2 and r = x - n ln 2, eˣ = 2ⁿ eʳ. The power of two is applied
/// in two halves, since 2ⁿ itself may be out of the range where eˣ is not.
#[inline(always)]
fn exp_within<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    // 1.5 · 2²³: what is added to it is rounded to an integer, in the lowest bits.
    const MAGIC: f32 = 12_582_912.0;
    // ln 2 = HIGH + LOW, where n HIGH is exact as HIGH has 9 bits.
    const HIGH: f32 = 355.0 / 512.0;
    const LOW: f32 = -2.121_944_4e-4;
    // eʳ = 1 + r + r² q(r), minimax on |r| ≤ ln 2 / 2: within 4.4e-9.
    const Q: [f32; 5] = [0.499_999_94, 0.166_665_2, 0.041_668_393, 0.008_368_781, 0.001_381_446_7];
    let splat = |value| simd.splat_f32s(value);
    let bits = |value| simd.splat_u32s(value);

    let n_in_bits = simd.mul_add_e_f32s(x, splat(std::f32::consts::LOG2_E), splat(MAGIC));
    let n = simd.sub_f32s(n_in_bits, splat(MAGIC));
    let r = simd.mul_add_e_f32s(n, splat(-HIGH), x);
    let r = simd.mul_add_e_f32s(n, splat(-LOW), r);
    let mut q = splat(Q[4]);
    for c in [Q[3], Q[2], Q[1], Q[0]] {
        q = simd.mul_add_e_f32s(q, r, splat(c));
    }
    let r_plus = simd.mul_add_e_f32s(simd.mul_f32s(r, r), q, r);
    let e = simd.add_f32s(r_plus, splat(1.0));

    // n + 2 · 127, positive, whose halves are the exponents of the two factors.
    let n_in_bits = simd.transmute_u32s_f32s(n_in_bits);
    let n = simd.sub_u32s(n_in_bits, bits(MAGIC.to_bits() - 254));
    let half = simd.wrapping_dyn_shr_u32s(n, bits(1));
    let other = simd.sub_u32s(n, half);
    let power =
        |n| simd.transmute_f32s_u32s(simd.wrapping_dyn_shl_u32s(n, bits(f32::MANTISSA_DIGITS - 1)));
    simd.mul_f32s(simd.mul_f32s(e, power(half)), power(other))
}

/// Returns x σ(x) = x / (1 + e⁻ˣ).
#[inline(always)]
pub(crate) fn silu<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    // The limit on the left is -0, not -∞ / ∞.
    let x = at_least(simd, x, -LIMIT);
    let e = exp_within(simd, at_least(simd, simd.neg_f32s(x), -LIMIT));
    simd.div_f32s(x, simd.add_f32s(simd.splat_f32s(1.0), e))
}

/// Returns the derivative of x σ(x): σ(x) (1 + x (1 - σ(x))).
#[inline(always)]
pub(crate) fn silu_derivative<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let one = simd.splat_f32s(1.0);
    let x = at_most(simd, at_least(simd, x, -LIMIT), LIMIT);
    // σ and 1 - σ from the one exponential that cannot overflow, neither by a difference.
    let e = exp_within(simd, simd.neg_f32s(simd.abs_f32s(x)));
    let near_one = simd.div_f32s(one, simd.add_f32s(one, e));
    let near_zero = simd.mul_f32s(e, near_one);
    let positive = simd.greater_than_f32s(x, simd.splat_f32s(0.0));
    let s = simd.select_f32s(positive, near_one, near_zero);
    let rest = simd.select_f32s(positive, near_zero, near_one);
    simd.mul_f32s(s, simd.mul_add_e_f32s(x, rest, one))
}

/// Returns x, or `low` where x is below it; NaN stays.
#[inline(always)]
fn at_least<S: Simd>(simd: S, x: S::f32s, low: f32) -> S::f32s {
    // A comparison, since the vector `max` of CPUs differ in what they make of NaN.
    let low = simd.splat_f32s(low);
    simd.select_f32s(simd.less_than_f32s(x, low), low, x)
}

/// Returns x, or `high` where x is above it; NaN stays.
#[inline(always)]
fn at_most<S: Simd>(simd: S, x: S::f32s, high: f32) -> S::f32s {
    let high = simd.splat_f32s(high);
    simd.select_f32s(simd.greater_than_f32s(x, high), high, x)
}

#[cfg(test)]
mod tests {
    use pulp::{Simd, WithSimd};

    use crate::simd::dispatch;

    /// eˣ of each number.
    struct Exp<'a>(&'a mut [f32]);
    impl WithSimd for Exp<'_> {
        type Output = ();
        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            for part in self.0.chunks_mut(S::F32_LANES) {
                let e = super::exp(simd, simd.partial_load_f32s(part));
                simd.partial_store_f32s(part, e);
            }
        }
    }

    fn exp(mut x: Vec<f32>) -> Vec<f32> {
        dispatch(Exp(&mut x));
        x
    }

    // The function is private, and silu hides relative errors of small exponentials.
    #[test]
    fn exp_is_within_two_rounding_errors_over_the_whole_range() {
        // Every 997th of all positive and negative numbers: 4.3 million.
        let x: Vec<f32> = (0..=u32::MAX).step_by(997).map(f32::from_bits).collect();
        for (x, e) in x.iter().zip(exp(x.clone())) {
            let exact = f64::from(*x).exp();
            if x.is_nan() {
                assert!(e.is_nan(), "{x}: {e}");
            } else if exact > f64::from(f32::MAX) {
                assert!(e >= f32::MAX, "{x}: {e}");
            } else {
                // Below the normal numbers the spacing is 2⁻¹⁴⁹.
                let allowed = (2e-7 * exact).max(2f64.powi(-149));
                assert!((f64::from(e) - exact).abs() <= allowed, "{x}: {e}, exact {exact}");
            }
        }
    }

    #[test]
    fn exp_has_the_right_limits() {
        let x = vec![f32::NEG_INFINITY, -1e30, -105.0, 0.0, -0.0, 88.73, 1e30, f32::INFINITY];
        let inf = f32::INFINITY;
        assert_eq!(exp(x), [0.0, 0.0, 0.0, 1.0, 1.0, inf, inf, inf]);
        assert!(exp(vec![f32::NAN])[0].is_nan());
    }
}
