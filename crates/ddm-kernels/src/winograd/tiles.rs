//! The transformations of the two sizes of tiles, along one axis.
//!
//! For a point p, row p of Bᵀ holds the coefficients of `M(x)/(x − p)` with `M(x) = Π (x − q)` over
//! all finite points q, row p of A is `(1, p, p², …)`, and row p of G is `(1, p, p²)/M′(p)`. At ∞ they
//! are those of M, `(0, …, 0, 1)` and `(0, 0, 1)`.

use std::f32::consts::{FRAC_1_SQRT_2, SQRT_2};
use std::fmt::Debug;

use pulp::Simd;

/// The vectors along one axis of a tile; of the smaller tile the last two are not used.
pub(crate) type Six<V> = [V; 6];

/// The transformations of a size of tiles along one axis.
pub(crate) trait Tile: Copy + Debug + Send + Sync + 'static {
    /// The outputs of a tile along an axis.
    const SIDE: usize;
    /// The inputs, and the points: SIDE + 2.
    const REACH: usize = Self::SIDE + 2;
    /// The points in both axes.
    const POINTS: usize = Self::REACH * Self::REACH;

    /// Returns `Bᵀ d`.
    fn input<S: Simd>(simd: S, d: Six<S::f32s>) -> Six<S::f32s>;
    /// Returns `Aᵀ m`.
    fn output<S: Simd>(simd: S, m: Six<S::f32s>) -> Six<S::f32s>;
    /// Returns `A y`, the adjoint of [`output`](Self::output).
    fn spread<S: Simd>(simd: S, y: Six<S::f32s>) -> Six<S::f32s>;
    /// Returns `G g`.
    fn kernel<S: Simd>(simd: S, g: [S::f32s; 3]) -> Six<S::f32s>;
    /// The first entry of G, at the point 0, and what `(G g)₁ − (G g)₂` is as a multiple of g₁.
    const G: [f32; 2];
    /// Returns `Gᵀ u`, the adjoint of [`kernel`](Self::kernel), and zeros.
    fn gather<S: Simd>(simd: S, u: Six<S::f32s>) -> Six<S::f32s>;
}

/// F(2×2, 3×3), with the points 0, ±1 and ∞: M = x³ − x.
#[derive(Clone, Copy, Debug)]
pub(crate) struct F2;

/// F(4×4, 3×3), with the points 0, ±1/√2, ±√2 and ∞: M = x⁵ − 5/2 x³ + x.
#[derive(Clone, Copy, Debug)]
pub(crate) struct F4;

impl Tile for F2 {
    const SIDE: usize = 2;
    const G: [f32; 2] = [-1.0, 1.0];

    #[inline(always)]
    fn input<S: Simd>(simd: S, [d0, d1, d2, d3, ..]: Six<S::f32s>) -> Six<S::f32s> {
        let zero = simd.splat_f32s(0.0);
        let (sum, difference) = (simd.add_f32s(d2, d1), simd.sub_f32s(d2, d1));
        [simd.sub_f32s(d2, d0), sum, difference, simd.sub_f32s(d3, d1), zero, zero]
    }

    #[inline(always)]
    fn output<S: Simd>(simd: S, [m0, m1, m2, m3, ..]: Six<S::f32s>) -> Six<S::f32s> {
        let zero = simd.splat_f32s(0.0);
        let y0 = simd.add_f32s(m0, simd.add_f32s(m1, m2));
        let y1 = simd.add_f32s(simd.sub_f32s(m1, m2), m3);
        [y0, y1, zero, zero, zero, zero]
    }

    #[inline(always)]
    fn spread<S: Simd>(simd: S, [y0, y1, ..]: Six<S::f32s>) -> Six<S::f32s> {
        let zero = simd.splat_f32s(0.0);
        [y0, simd.add_f32s(y0, y1), simd.sub_f32s(y0, y1), y1, zero, zero]
    }

    #[inline(always)]
    fn kernel<S: Simd>(simd: S, [g0, g1, g2]: [S::f32s; 3]) -> Six<S::f32s> {
        let (zero, half) = (simd.splat_f32s(0.0), simd.splat_f32s(0.5));
        let even = simd.mul_f32s(half, simd.add_f32s(g0, g2));
        let odd = simd.mul_f32s(half, g1);
        let (plus, minus) = (simd.add_f32s(even, odd), simd.sub_f32s(even, odd));
        [simd.neg_f32s(g0), plus, minus, g2, zero, zero]
    }

    #[inline(always)]
    fn gather<S: Simd>(simd: S, [u0, u1, u2, u3, ..]: Six<S::f32s>) -> Six<S::f32s> {
        let (zero, half) = (simd.splat_f32s(0.0), simd.splat_f32s(0.5));
        let even = simd.mul_f32s(half, simd.add_f32s(u1, u2));
        let odd = simd.mul_f32s(half, simd.sub_f32s(u1, u2));
        [simd.sub_f32s(even, u0), odd, simd.add_f32s(even, u3), zero, zero, zero]
    }
}

impl Tile for F4 {
    const SIDE: usize = 4;
    const G: [f32; 2] = [1.0, -SQRT_2 / 1.5];

    #[inline(always)]
    fn input<S: Simd>(simd: S, [d0, d1, d2, d3, d4, d5]: Six<S::f32s>) -> Six<S::f32s> {
        let number = |x| simd.splat_f32s(x);
        let fma = |a, b, c| simd.mul_add_e_f32s(a, b, c);
        let outer = number(-2.5);
        // M/(x ∓ 1/√2) = (x⁴ − 2 x²) ± (x³ − 2 x)/√2, and so on.
        let even1 = fma(number(-2.0), d2, d4);
        let odd1 = simd.mul_f32s(number(FRAC_1_SQRT_2), fma(number(-2.0), d1, d3));
        let even2 = fma(number(-0.5), d2, d4);
        let odd2 = simd.mul_f32s(number(SQRT_2), fma(number(-0.5), d1, d3));
        [
            simd.add_f32s(d0, fma(outer, d2, d4)),
            simd.add_f32s(even1, odd1),
            simd.sub_f32s(even1, odd1),
            simd.add_f32s(even2, odd2),
            simd.sub_f32s(even2, odd2),
            simd.add_f32s(d1, fma(outer, d3, d5)),
        ]
    }

    #[inline(always)]
    fn output<S: Simd>(simd: S, [m0, m1, m2, m3, m4, m5]: Six<S::f32s>) -> Six<S::f32s> {
        let number = |x| simd.splat_f32s(x);
        let fma = |a, b, c| simd.mul_add_e_f32s(a, b, c);
        let (even1, odd1) = (simd.add_f32s(m1, m2), simd.sub_f32s(m1, m2));
        let (even2, odd2) = (simd.add_f32s(m3, m4), simd.sub_f32s(m3, m4));
        let (odd1, odd2) =
            (simd.mul_f32s(number(FRAC_1_SQRT_2), odd1), simd.mul_f32s(number(SQRT_2), odd2));
        let zero = number(0.0);
        [
            simd.add_f32s(m0, simd.add_f32s(even1, even2)),
            simd.add_f32s(odd1, odd2),
            fma(number(2.0), even2, simd.mul_f32s(number(0.5), even1)),
            fma(number(2.0), odd2, fma(number(0.5), odd1, m5)),
            zero,
            zero,
        ]
    }

    #[inline(always)]
    fn spread<S: Simd>(simd: S, [y0, y1, y2, y3, ..]: Six<S::f32s>) -> Six<S::f32s> {
        let number = |x| simd.splat_f32s(x);
        let fma = |a, b, c| simd.mul_add_e_f32s(a, b, c);
        let even1 = fma(number(0.5), y2, y0);
        let odd1 = simd.mul_f32s(number(FRAC_1_SQRT_2), fma(number(0.5), y3, y1));
        let even2 = fma(number(2.0), y2, y0);
        let odd2 = simd.mul_f32s(number(SQRT_2), fma(number(2.0), y3, y1));
        [
            y0,
            simd.add_f32s(even1, odd1),
            simd.sub_f32s(even1, odd1),
            simd.add_f32s(even2, odd2),
            simd.sub_f32s(even2, odd2),
            y3,
        ]
    }

    #[inline(always)]
    fn kernel<S: Simd>(simd: S, [g0, g1, g2]: [S::f32s; 3]) -> Six<S::f32s> {
        let number = |x| simd.splat_f32s(x);
        let fma = |a, b, c| simd.mul_add_e_f32s(a, b, c);
        // M′(±1/√2) = −3/2 and M′(±√2) = 6.
        let even1 = simd.mul_f32s(number(-1.0 / 1.5), fma(number(0.5), g2, g0));
        let odd1 = simd.mul_f32s(number(-FRAC_1_SQRT_2 / 1.5), g1);
        let even2 = simd.mul_f32s(number(1.0 / 6.0), fma(number(2.0), g2, g0));
        let odd2 = simd.mul_f32s(number(SQRT_2 / 6.0), g1);
        [
            g0,
            simd.add_f32s(even1, odd1),
            simd.sub_f32s(even1, odd1),
            simd.add_f32s(even2, odd2),
            simd.sub_f32s(even2, odd2),
            g2,
        ]
    }

    #[inline(always)]
    fn gather<S: Simd>(simd: S, [u0, u1, u2, u3, u4, u5]: Six<S::f32s>) -> Six<S::f32s> {
        let number = |x| simd.splat_f32s(x);
        let fma = |a, b, c| simd.mul_add_e_f32s(a, b, c);
        let even1 = simd.mul_f32s(number(-1.0 / 1.5), simd.add_f32s(u1, u2));
        let odd1 = simd.mul_f32s(number(-FRAC_1_SQRT_2 / 1.5), simd.sub_f32s(u1, u2));
        let even2 = simd.mul_f32s(number(1.0 / 6.0), simd.add_f32s(u3, u4));
        let odd2 = simd.mul_f32s(number(SQRT_2 / 6.0), simd.sub_f32s(u3, u4));
        let zero = number(0.0);
        [
            simd.add_f32s(u0, simd.add_f32s(even1, even2)),
            simd.add_f32s(odd1, odd2),
            fma(number(2.0), even2, fma(number(0.5), even1, u5)),
            zero,
            zero,
            zero,
        ]
    }
}

/// Returns `f` of 0 to 5, written out: vectors in a loop would be in memory instead of registers.
#[inline(always)]
pub(crate) fn six<V>(mut f: impl FnMut(usize) -> V) -> Six<V> {
    [f(0), f(1), f(2), f(3), f(4), f(5)]
}

/// Applies a transformation along both axes of a tile of vectors: to the columns, each of which
/// `column` gives transformed, then to the rows, each of which is given to `row`.
#[inline(always)]
pub(crate) fn both_axes<V: Copy>(
    columns: usize,
    mut column: impl FnMut(usize) -> Six<V>,
    rows: usize,
    mut row: impl FnMut(usize, Six<V>),
    zero: V,
) {
    let half = six(
        #[inline(always)]
        |j| if j < columns { column(j) } else { [zero; 6] },
    );
    six(
        #[inline(always)]
        |i| {
            if i < rows {
                let [c0, c1, c2, c3, c4, c5] = &half;
                row(i, [c0[i], c1[i], c2[i], c3[i], c4[i], c5[i]]);
            }
        },
    );
}
