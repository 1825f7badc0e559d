//! Any size, by linear interpolation along both axes.
//!
//! Pixels are squares: output pixel i lies at `(i + ½) in / out - ½` of the input, at least 0, and
//! the last pixel goes on beyond the end. This is torch's
//! `interpolate(size=…, mode="bilinear", align_corners=False)`, which does not smooth before it
//! makes an image smaller either.

use pulp::{Simd, WithSimd};

use crate::chunks::{for_each, rows_of};
use crate::simd::{dispatch, load, store, vectors};

/// Writes images `[n, height, width, channels]` as `[n, size[0], size[1], channels]`.
///
/// # Panics
///
/// Panics if the lengths do not fit, or if images without pixels are to become images with pixels.
///
/// # Example
///
/// ```
/// let mut out = [0.0; 4];
/// ddm_kernels::upsample::bilinear::forward(&[0.0, 1.0], [1, 1, 2, 1], [1, 4], &mut out);
/// assert_eq!(out, [0.0, 0.25, 0.75, 1.0]);
/// ```
pub fn forward(x: &[f32], shape: [usize; 4], size: [usize; 2], out: &mut [f32]) {
    check(x.len(), shape, size, out.len());
    let [_, height, width, channels] = shape;
    let rows = Taps::of(height, size[0]);
    let columns = Taps::of(width, size[1]);
    apply(x, [height, width, channels], [&rows, &columns], out);
}

/// Writes the gradient of images `[n, height, width, channels]` from that of `[n, size[0], size[1],
/// channels]`: the adjoint of [`forward`].
///
/// # Panics
///
/// Panics if the lengths do not fit, as for [`forward`].
pub fn backward(dy: &[f32], shape: [usize; 4], size: [usize; 2], dx: &mut [f32]) {
    check(dx.len(), shape, size, dy.len());
    let [_, height, width, channels] = shape;
    let rows = Taps::of(height, size[0]).transposed(height);
    let columns = Taps::of(width, size[1]).transposed(width);
    apply(dy, [size[0], size[1], channels], [&rows, &columns], dx);
}

fn check(small: usize, shape: [usize; 4], size: [usize; 2], large: usize) {
    let [n, height, width, channels] = shape;
    assert_eq!(small, shape.iter().product::<usize>(), "numbers of images of shape {shape:?}");
    let resized = n * size[0] * size[1] * channels;
    assert_eq!(large, resized, "numbers of images of shape {shape:?} at size {size:?}");
    assert!(
        (height > 0 || size[0] == 0) && (width > 0 || size[1] == 0),
        "images without pixels, {height} × {width}, at size {size:?}"
    );
}

/// A linear map along an axis: for each output, what it takes of which inputs.
struct Taps {
    /// Where the taps of each output begin, and the end of all.
    starts: Vec<usize>,
    taps: Vec<(usize, f32)>,
}

impl Taps {
    /// Returns the interpolation from `from` pixels to `to`.
    fn of(from: usize, to: usize) -> Self {
        let scale = from as f64 / to as f64;
        Self::collect((0..to).map(|i| {
            let at = ((i as f64 + 0.5) * scale - 0.5).max(0.0);
            let first = (at as usize).min(from - 1);
            let second = at - first as f64;
            if first + 1 == from || second == 0.0 {
                vec![(first, 1.0)]
            } else {
                vec![(first, (1.0 - second) as f32), (first + 1, second as f32)]
            }
        }))
    }

    /// Returns the transposed map, to `from` pixels.
    fn transposed(&self, from: usize) -> Self {
        let mut lists = vec![Vec::new(); from];
        for output in 0..self.starts.len() - 1 {
            for &(input, weight) in self.get(output) {
                lists[input].push((output, weight));
            }
        }
        Self::collect(lists)
    }

    fn collect(lists: impl IntoIterator<Item = Vec<(usize, f32)>>) -> Self {
        let (mut starts, mut taps) = (vec![0], Vec::new());
        for list in lists {
            taps.extend(list);
            starts.push(taps.len());
        }
        Self { starts, taps }
    }

    fn get(&self, output: usize) -> &[(usize, f32)] {
        &self.taps[self.starts[output]..self.starts[output + 1]]
    }
}

/// Applies a map along each axis.
fn apply(x: &[f32], shape: [usize; 3], [rows, columns]: [&Taps; 2], out: &mut [f32]) {
    let [height, width, channels] = shape;
    let (out_height, row) = (rows.starts.len() - 1, (columns.starts.len() - 1) * channels);
    let work = out.len().max(x.len());
    if out.is_empty() {
        return;
    }
    let per_task = rows_of(row);
    for_each(out, per_task * row, work, |i, out| {
        for (y, out) in out.chunks_exact_mut(row).enumerate() {
            let y = i * per_task + y;
            let x = &x[y / out_height * height * width * channels..][..height * width * channels];
            let rows = rows.get(y % out_height);
            dispatch(Row { x, stride: width * channels, channels, rows, columns, out });
        }
    });
}

/// A row of the output.
struct Row<'a> {
    x: &'a [f32],
    /// The numbers of a row of the input.
    stride: usize,
    channels: usize,
    rows: &'a [(usize, f32)],
    columns: &'a Taps,
    out: &'a mut [f32],
}

impl WithSimd for Row<'_> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { x, stride, channels, rows, columns, out } = self;
        for (i, out) in out.chunks_exact_mut(channels).enumerate() {
            let columns = columns.get(i);
            for (at, len) in vectors(simd, channels) {
                let mut sum = simd.splat_f32s(0.0);
                for &(row, weight) in rows {
                    let mut in_row = simd.splat_f32s(0.0);
                    for &(column, weight) in columns {
                        let pixel = load(simd, x, row * stride + column * channels + at, len);
                        in_row = simd.mul_add_e_f32s(simd.splat_f32s(weight), pixel, in_row);
                    }
                    sum = simd.mul_add_e_f32s(simd.splat_f32s(weight), in_row, sum);
                }
                store(simd, out, at, len, sum);
            }
        }
    }
}
