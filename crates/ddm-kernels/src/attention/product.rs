//! Products of a matrix, read where it lies, and a panel.

use pulp::{Simd, WithSimd};

use crate::gemm::Matrix;

/// What a product does with the numbers that are in its memory.
#[derive(Clone, Copy)]
pub(super) enum Store<'a> {
    /// `out = scale a b`
    Scaled(f32),
    /// `out += a b`
    Sum,
    /// `out = factor ∘ out + a b`, with a factor for each lane.
    ScaledSum(&'a [f32]),
}

/// Makes `out = a panel` or what `store` says: a row of the panel for each column of A.
#[inline(always)]
pub(super) fn multiply<S: Simd, const V: usize>(
    simd: S,
    a: Matrix<'_>,
    panel: &[f32],
    out: &mut [f32],
    store: Store<'_>,
) {
    simd.vectorize(Product::<V> { a, panel, out, store });
}

struct Product<'a, const V: usize> {
    a: Matrix<'a>,
    panel: &'a [f32],
    out: &'a mut [f32],
    store: Store<'a>,
}

impl<const V: usize> WithSimd for Product<'_, V> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Matrix { data, rows, cols, .. } = self.a;
        let width = V * S::F32_LANES;
        assert!(self.a.extent() <= data.len());
        assert!(cols * width <= self.panel.len() && rows * width <= self.out.len());
        let mut tiles = Tiles { product: self, row: 0 };
        // SAFETY: the lengths are checked.
        unsafe {
            if S::REGISTER_COUNT >= 32 {
                tiles.run::<S, 12>(simd);
                tiles.run::<S, 8>(simd);
            } else {
                tiles.run::<S, 6>(simd);
            }
            tiles.run::<S, 4>(simd);
            tiles.run::<S, 2>(simd);
            tiles.run::<S, 1>(simd);
        }
    }
}

struct Tiles<'a, const V: usize> {
    product: Product<'a, V>,
    /// The first row to be made.
    row: usize,
}

impl<const V: usize> Tiles<'_, V> {
    /// Makes tiles of R rows while there are so many.
    ///
    /// # Safety
    ///
    /// The matrix, the panel and the output lie in their memory.
    #[inline(always)]
    unsafe fn run<S: Simd, const R: usize>(&mut self, simd: S) {
        let Product { a, panel, out, store } = &mut self.product;
        let panel = S::as_simd_f32s(panel).0.as_chunks::<V>().0;
        while self.row + R <= a.rows {
            let first = self.row * a.row_stride;
            let mut sums = [[simd.splat_f32s(0.0); V]; R];
            // SAFETY: the caller's promise.
            for (p, b) in unsafe { panel.get_unchecked(..a.cols) }.iter().enumerate() {
                for (i, sum) in sums.iter_mut().enumerate() {
                    let at = first + i * a.row_stride + p * a.col_stride;
                    // SAFETY: the caller's promise.
                    let x = simd.splat_f32s(unsafe { *a.data.get_unchecked(at) });
                    for (sum, b) in sum.iter_mut().zip(b) {
                        *sum = simd.mul_add_e_f32s(x, *b, *sum);
                    }
                }
            }
            let (out, _) = S::as_mut_simd_f32s(out);
            let (out, _) = out[self.row * V..][..R * V].as_chunks_mut::<V>();
            match store {
                Store::Scaled(scale) => {
                    let scale = simd.splat_f32s(*scale);
                    for (out, sum) in out.iter_mut().zip(sums) {
                        for (out, sum) in out.iter_mut().zip(sum) {
                            *out = simd.mul_f32s(sum, scale);
                        }
                    }
                }
                Store::Sum => {
                    for (out, sum) in out.iter_mut().zip(sums) {
                        for (out, sum) in out.iter_mut().zip(sum) {
                            *out = simd.add_f32s(*out, sum);
                        }
                    }
                }
                Store::ScaledSum(factor) => {
                    let factor = S::as_simd_f32s(factor).0;
                    for (out, sum) in out.iter_mut().zip(sums) {
                        for ((out, sum), factor) in out.iter_mut().zip(sum).zip(factor) {
                            *out = simd.mul_add_e_f32s(*out, *factor, sum);
                        }
                    }
                }
            }
            self.row += R;
        }
    }
}
