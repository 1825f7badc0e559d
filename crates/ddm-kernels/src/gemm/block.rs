//! The part of a product that one thread makes.

use std::marker::PhantomData;
use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::{Matrix, Panels, Plus};
use crate::simd::{dispatch, lanes, load, store};

/// The depth of a pass over k: this much of a panel of B stays in the nearest cache.
const DEPTH: usize = 256;

/// How many vectors ahead B is fetched: far enough for memory beyond the caches, where the weights of
/// a large network are.
const AHEAD: usize = 64;

/// Fetches a line of the cache. The address may be anything.
#[inline(always)]
fn prefetch<T>(address: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a hint, which does not fault; every x86-64 CPU has it.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(address.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

/// The memory of a product, which tasks write side by side.
#[derive(Clone, Copy)]
pub(crate) struct Out<'a> {
    data: *mut f32,
    len: usize,
    row_stride: usize,
    memory: PhantomData<&'a mut [f32]>,
}

// SAFETY: who writes through it promises that tasks write different elements (`Block::run`).
unsafe impl Send for Out<'_> {}
// SAFETY: as above.
unsafe impl Sync for Out<'_> {}

impl<'a> Out<'a> {
    pub(crate) fn new(data: &'a mut [f32], row_stride: usize) -> Self {
        Self { data: data.as_mut_ptr(), len: data.len(), row_stride, memory: PhantomData }
    }

    /// Returns `len` elements of a row from a column on.
    ///
    /// # Safety
    ///
    /// No other reference to these elements is alive.
    #[inline(always)]
    pub(crate) unsafe fn row(&self, row: usize, col: usize, len: usize) -> &'a mut [f32] {
        let start = row * self.row_stride + col;
        assert!(start + len <= self.len);
        // SAFETY: the elements lie in the memory, and the caller excludes other references.
        unsafe { std::slice::from_raw_parts_mut(self.data.add(start), len) }
    }
}

/// A product `out = a b + plus`, or `out += a b`, of which [`run`](Self::run) makes a part.
#[derive(Clone, Copy)]
pub(crate) struct Block<'a, B = &'a Panels> {
    pub(crate) a: Matrix<'a>,
    pub(crate) b: B,
    pub(crate) out: Out<'a>,
    /// The row and the column of `out` and `plus` where the product begins.
    pub(crate) origin: [usize; 2],
    pub(crate) plus: Plus<'a>,
    /// Whether the product is added to what is in the memory.
    pub(crate) accumulate: bool,
}

impl<'a> Block<'a> {
    /// Makes the given rows and columns; the first column is the first of a panel.
    ///
    /// # Safety
    ///
    /// Nothing else reads or writes these elements of `out` meanwhile.
    pub(crate) unsafe fn run(self, rows: Range<usize>, cols: Range<usize>) {
        let Self { a, b, out, origin, plus, accumulate } = self;
        let packed = Packed::new(b.data(), b.rows(), b.cols());
        // SAFETY: the caller's promise.
        unsafe { Block { a, b: packed, out, origin, plus, accumulate }.run_packed(rows, cols) };
    }
}

/// A packed matrix in borrowed memory.
#[derive(Clone, Copy)]
pub(crate) struct Packed<'a> {
    pub(crate) data: &'a [f32],
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    /// The distance of two panels in memory.
    pub(crate) panel_stride: usize,
}

impl<'a> Packed<'a> {
    /// Returns a matrix whose panels follow each other.
    pub(crate) fn new(data: &'a [f32], rows: usize, cols: usize) -> Self {
        Self { data, rows, cols, panel_stride: rows * 2 * lanes() }
    }
}

impl<'a> Block<'a, Packed<'a>> {
    /// As [`Block::run`].
    ///
    /// # Safety
    ///
    /// As there.
    pub(crate) unsafe fn run_packed(self, rows: Range<usize>, cols: Range<usize>) {
        struct Op<'a>(Block<'a, Packed<'a>>, Range<usize>, Range<usize>);
        impl WithSimd for Op<'_> {
            type Output = ();
            #[inline(always)]
            fn with_simd<S: Simd>(self, simd: S) {
                // SAFETY: `run_packed` has checked the bounds, and its caller excludes others.
                unsafe { self.0.run_simd(simd, self.1, self.2) }
            }
        }
        let Self { a, b, out, origin: [top, left], plus, .. } = self;
        assert!(rows.end <= a.rows && cols.end <= b.cols && a.cols == b.rows);
        assert!(a.extent() <= a.data.len());
        if rows.is_empty() || cols.is_empty() {
            return;
        }
        let (width, last) = (2 * lanes(), (cols.end - 1) / (2 * lanes()));
        assert!(cols.start.is_multiple_of(width));
        assert!(b.data.len() >= last * b.panel_stride + b.rows * width);
        let (last_row, right) = (top + rows.end - 1, left + cols.end);
        assert!(right <= out.row_stride && last_row * out.row_stride + right <= out.len);
        assert!(plus.bias.is_none_or(|bias| bias.len() >= right));
        assert!(plus.residual.is_none_or(|residual| residual.len() == out.len));
        assert!(plus.per_group.is_none_or(|(added, group)| {
            added.len() >= last_row / group * out.row_stride + right
        }));
        dispatch(Op(self, rows, cols));
    }

    /// Makes a part with one instruction set.
    ///
    /// # Safety
    ///
    /// The ranges lie in the matrices, and nothing else uses these elements of `out`.
    #[inline(always)]
    pub(crate) unsafe fn run_simd<S: Simd>(self, simd: S, rows: Range<usize>, cols: Range<usize>) {
        let width = 2 * S::F32_LANES;
        debug_assert!(cols.start.is_multiple_of(width));
        let mut start = 0;
        loop {
            let depth = DEPTH.min(self.b.rows - start);
            let pass = Pass {
                depth: start..start + depth,
                add: self.accumulate || start > 0,
                last: start + depth == self.b.rows,
            };
            for col in cols.clone().step_by(width) {
                let used = width.min(cols.end - col);
                let mut row = rows.start;
                // SAFETY: the caller's promise.
                unsafe {
                    if S::REGISTER_COUNT >= 32 {
                        while row + 12 <= rows.end {
                            self.tile::<S, 12>(simd, &pass, row, col, used);
                            row += 12;
                        }
                        while row + 8 <= rows.end {
                            self.tile::<S, 8>(simd, &pass, row, col, used);
                            row += 8;
                        }
                    } else {
                        while row + 6 <= rows.end {
                            self.tile::<S, 6>(simd, &pass, row, col, used);
                            row += 6;
                        }
                    }
                    while row + 4 <= rows.end {
                        self.tile::<S, 4>(simd, &pass, row, col, used);
                        row += 4;
                    }
                    while row + 2 <= rows.end {
                        self.tile::<S, 2>(simd, &pass, row, col, used);
                        row += 2;
                    }
                    if row < rows.end {
                        self.tile::<S, 1>(simd, &pass, row, col, used);
                    }
                }
            }
            start += depth;
            if start >= self.b.rows {
                return;
            }
        }
    }

    /// Makes a tile of R rows and two vectors of columns, of which `used` are stored.
    ///
    /// # Safety
    ///
    /// As for [`run_simd`](Self::run_simd).
    #[inline(always)]
    unsafe fn tile<S: Simd, const R: usize>(
        &self,
        simd: S,
        pass: &Pass,
        row: usize,
        col: usize,
        used: usize,
    ) {
        let (a, b) = (&self.a, &self.b);
        let width = 2 * S::F32_LANES;
        let panel = col / width * b.panel_stride + pass.depth.start * width;
        let panel = &b.data[panel..][..pass.depth.len() * width];
        let (panel, _) = S::as_simd_f32s(panel);
        let a_from = row * a.row_stride + pass.depth.start * a.col_stride;
        let mut sums = [[simd.splat_f32s(0.0); 2]; R];
        for p in 0..pass.depth.len() {
            prefetch(panel.as_ptr().wrapping_add(2 * p + AHEAD));
            prefetch(panel.as_ptr().wrapping_add(2 * p + 1 + AHEAD));
            // SAFETY: the panel holds two vectors for each p.
            let (b0, b1) =
                unsafe { (*panel.get_unchecked(2 * p), *panel.get_unchecked(2 * p + 1)) };
            for (i, sum) in sums.iter_mut().enumerate() {
                let at = a_from + i * a.row_stride + p * a.col_stride;
                // SAFETY: the row is one of A's, whose extent lies in its memory.
                let x = simd.splat_f32s(unsafe { *a.data.get_unchecked(at) });
                sum[0] = simd.mul_add_e_f32s(x, b0, sum[0]);
                sum[1] = simd.mul_add_e_f32s(x, b1, sum[1]);
            }
        }
        if used == width && !pass.add && (!pass.last || self.plus.is_nothing()) {
            for (i, sum) in sums.iter().enumerate() {
                // SAFETY: nothing else uses these elements.
                let out =
                    unsafe { self.out.row(self.origin[0] + row + i, self.origin[1] + col, width) };
                S::as_mut_simd_f32s(out).0.copy_from_slice(sum);
            }
            return;
        }
        for (i, sum) in sums.into_iter().enumerate() {
            let (row, col) = (self.origin[0] + row + i, self.origin[1] + col);
            // SAFETY: nothing else uses these elements.
            let out = unsafe { self.out.row(row, col, used) };
            let lanes = S::F32_LANES.min(used);
            let (left, right) = out.split_at_mut(lanes);
            self.store(simd, pass, row, col, left, sum[0]);
            if !right.is_empty() {
                self.store(simd, pass, row, col + lanes, right, sum[1]);
            }
        }
    }

    /// Stores a vector, with what is to be added.
    #[inline(always)]
    fn store<S: Simd>(
        &self,
        simd: S,
        pass: &Pass,
        row: usize,
        col: usize,
        out: &mut [f32],
        mut sum: S::f32s,
    ) {
        let len = out.len();
        if pass.add {
            sum = simd.add_f32s(sum, load(simd, out, 0, len));
        }
        if pass.last {
            sum = self.plus.add(simd, sum, row, col, self.out.row_stride, len);
        }
        store(simd, out, 0, len, sum);
    }
}

/// A range of k.
struct Pass {
    depth: Range<usize>,
    /// Whether there are sums in the memory already.
    add: bool,
    /// Whether these are the last.
    last: bool,
}
