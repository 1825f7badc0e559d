//! Two channels-last tensors side by side.

use crate::chunks::{for_each, for_each_pair, rows_of};

/// Writes the channels of `b` behind those of `a`, where each has a row of channels per pixel.
///
/// # Panics
///
/// Panics if a number of channels is 0 or the lengths do not fit: `[pixels, channels[0]]`,
/// `[pixels, channels[1]]` and `[pixels, channels[0] + channels[1]]`.
///
/// # Example
///
/// ```
/// let mut out = [0.0; 6];
/// ddm_kernels::concat::join(&[1.0, 2.0, 3.0, 4.0], &[5.0, 6.0], [2, 1], &mut out);
/// assert_eq!(out, [1.0, 2.0, 5.0, 3.0, 4.0, 6.0]);
/// ```
pub fn join(a: &[f32], b: &[f32], channels: [usize; 2], out: &mut [f32]) {
    check(a.len(), b.len(), channels, out.len());
    let [of_a, of_b] = channels;
    let (width, work) = (of_a + of_b, out.len());
    let rows = rows_of(width);
    for_each(out, rows * width, work, |i, out| {
        for (row, out) in out.chunks_exact_mut(width).enumerate() {
            let row = i * rows + row;
            let (to_a, to_b) = out.split_at_mut(of_a);
            to_a.copy_from_slice(&a[row * of_a..][..of_a]);
            to_b.copy_from_slice(&b[row * of_b..][..of_b]);
        }
    });
}

/// Writes the two parts of the channels of `x` to `a` and `b`: the gradient of [`join`].
///
/// # Panics
///
/// Panics if a number of channels is 0 or the lengths do not fit, as for [`join`].
pub fn split(x: &[f32], channels: [usize; 2], a: &mut [f32], b: &mut [f32]) {
    check(a.len(), b.len(), channels, x.len());
    let [of_a, of_b] = channels;
    let width = of_a + of_b;
    let rows = rows_of(width);
    for_each_pair((a, rows * of_a), (b, rows * of_b), x.len(), |i, a, b| {
        let x = x[i * rows * width..].chunks_exact(width);
        for ((x, a), b) in x.zip(a.chunks_exact_mut(of_a)).zip(b.chunks_exact_mut(of_b)) {
            a.copy_from_slice(&x[..of_a]);
            b.copy_from_slice(&x[of_a..]);
        }
    });
}

fn check(a: usize, b: usize, channels: [usize; 2], both: usize) {
    let [of_a, of_b] = channels;
    assert!(of_a > 0 && of_b > 0, "{of_a} and {of_b} channels: neither may be 0");
    assert!(a.is_multiple_of(of_a), "pixels of {of_a} channels in {a}");
    assert_eq!(b, a / of_a * of_b, "numbers of {} pixels of {of_b} channels", a / of_a);
    assert_eq!(both, a + b, "numbers of both tensors together");
}
