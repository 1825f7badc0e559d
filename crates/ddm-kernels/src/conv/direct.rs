//! Convolutions as matrix products of all taps of a pixel: any kernel, stride, padding, dilation and
//! groups.
//!
//! Source: Chellapilla et al., *High Performance Convolutional Neural Networks for Document
//! Processing* (2006).

use rayon::prelude::*;

use super::Conv2d;
use crate::buffer::scratch;
use crate::gemm::{Block, Matrix, Out, Packed, Panels, Plus, matmul, pack_into};

/// The memory of a block of gathered pixels, in numbers: what stays in a core's own cache.
const BLOCK: usize = 1 << 17;
/// The pixels of a chunk of the weights' gradient. Chunks are fixed, so sums do not depend on threads.
const CHUNK: usize = 2048;
/// The pixels up to which each weight is read once.
const FEW: usize = 192;

/// Packs the weights of each group as a matrix `[taps · c_in, c_out]`.
pub(super) fn pack(conv: &Conv2d, weights: &[f32]) -> Vec<Panels> {
    let (taps, groups) = (conv.taps(), conv.options.groups);
    let (c_in, c_out) = (conv.c_in / groups, conv.c_out / groups);
    let group = |weights: &[f32]| {
        let mut matrix = vec![0.0; weights.len()];
        for (tap, rows) in matrix.chunks_exact_mut(c_in * c_out).enumerate() {
            for (input, row) in rows.chunks_exact_mut(c_out).enumerate() {
                let source = weights[input * taps + tap..].iter().step_by(c_in * taps);
                row.iter_mut().zip(source).for_each(|(to, &from)| *to = from);
            }
        }
        Panels::pack(Matrix::new(&matrix, c_out))
    };
    weights.chunks_exact(c_out * c_in * taps).map(group).collect()
}

/// Returns the weights `[c_out, c_in, kh, kw]` of packed matrices.
pub(super) fn unpack(conv: &Conv2d, groups: &[Panels]) -> Vec<f32> {
    let (taps, c_in) = (conv.taps(), conv.c_in / conv.options.groups);
    let group = |panels: &Panels| {
        let matrix = panels.unpack();
        let cols = panels.cols();
        (0..matrix.len())
            .map(|i| {
                let (output, input, tap) = (i / (c_in * taps), i / taps % c_in, i % taps);
                matrix[(tap * c_in + input) * cols + output]
            })
            .collect::<Vec<f32>>()
    };
    groups.iter().flat_map(group).collect()
}

pub(super) fn forward(
    conv: &Conv2d,
    x: &[f32],
    groups: &[Panels],
    plus: Plus<'_>,
    out: &mut [f32],
) {
    if conv.is_pointwise() {
        return matmul(Matrix::new(x, conv.c_in), &groups[0], out, plus);
    }
    let pixels = conv.n * conv.out_h * conv.out_w;
    let depth = conv.taps() * conv.c_in / conv.options.groups;
    if let ([panels], 0..FEW) = (groups, pixels) {
        // Few pixels: the weights are most of the memory, so tasks share the output channels.
        return scratch(pixels * depth, |gathered| {
            gather(conv, x, 0, 0, gathered);
            matmul(Matrix::new(gathered, depth), panels, out, plus);
        });
    }
    // Enough blocks for all threads; an element does not depend on its block.
    let rows = block_rows(depth).min(pixels.div_ceil(2 * rayon::current_num_threads())).max(1);
    let out_group = conv.c_out / conv.options.groups;
    let out = Out::new(out, conv.c_out);
    (0..pixels.div_ceil(rows)).into_par_iter().for_each(|i| {
        let first = i * rows;
        let count = rows.min(pixels - first);
        scratch(count * depth, |gathered| {
            for (group, panels) in groups.iter().enumerate() {
                gather(conv, x, group, first, gathered);
                let (a, origin) = (Matrix::new(gathered, depth), [first, group * out_group]);
                let block = Block { a, b: panels, out, origin, plus, accumulate: false };
                // SAFETY: the rows of a task are its own.
                unsafe { block.run(0..count, 0..out_group) };
            }
        });
    });
}

/// Returns how many pixels a task gathers at once.
fn block_rows(depth: usize) -> usize {
    (BLOCK / depth).clamp(12, 512)
}

/// Writes all taps of the pixels from `first` on, `[pixels, taps · c_in/groups]`; 0 outside of the
/// image.
fn gather(conv: &Conv2d, x: &[f32], group: usize, first: usize, gathered: &mut [f32]) {
    let channels = conv.c_in / conv.options.groups;
    for (i, row) in gathered.chunks_exact_mut(conv.taps() * channels).enumerate() {
        if conv.c_in == 1 {
            // Copying a slice costs more than a number.
            let taps = row.iter_mut().zip(conv.sources(first + i));
            taps.for_each(|(to, pixel)| *to = pixel.map_or(0.0, |pixel| x[pixel]));
            continue;
        }
        for (to, pixel) in row.chunks_exact_mut(channels).zip(conv.sources(first + i)) {
            match pixel {
                Some(pixel) => {
                    to.copy_from_slice(&x[pixel * conv.c_in + group * channels..][..channels]);
                }
                None => to.fill(0.0),
            }
        }
    }
}

pub(super) fn backward_input(conv: &Conv2d, dy: &[f32], weights: &[f32], dx: &mut [f32]) {
    let (taps, groups) = (conv.taps(), conv.options.groups);
    let (c_in, c_out) = (conv.c_in / groups, conv.c_out / groups);
    // Of each group the matrix `[c_out, taps · c_in]`: what each output's gradient adds to its taps.
    let packed: Vec<Panels> = weights
        .chunks_exact(c_out * c_in * taps)
        .map(|weights| {
            let mut matrix = vec![0.0; weights.len()];
            for (row, weights) in
                matrix.chunks_exact_mut(taps * c_in).zip(weights.chunks_exact(taps * c_in))
            {
                for (tap, to) in row.chunks_exact_mut(c_in).enumerate() {
                    let source = weights[tap..].iter().step_by(taps);
                    to.iter_mut().zip(source).for_each(|(to, &from)| *to = from);
                }
            }
            Panels::pack(Matrix::new(&matrix, taps * c_in))
        })
        .collect();
    let (pixels, depth) = (conv.out_h * conv.out_w, taps * c_in);
    let rows = block_rows(depth).min(pixels);
    dx.par_chunks_mut(conv.h * conv.w * conv.c_in).enumerate().for_each(|(sample, dx)| {
        dx.fill(0.0);
        scratch(rows * depth, |spread| {
            for first in (0..pixels).step_by(rows) {
                let count = rows.min(pixels - first);
                let spread = &mut spread[..count * depth];
                for (group, panels) in packed.iter().enumerate() {
                    let dy = &dy[(sample * pixels + first) * conv.c_out + group * c_out..];
                    let a = Matrix {
                        data: dy,
                        rows: count,
                        cols: c_out,
                        row_stride: conv.c_out,
                        col_stride: 1,
                    };
                    let (out, plus) = (Out::new(spread, depth), Plus::default());
                    let block =
                        Block { a, b: panels, out, origin: [0, 0], plus, accumulate: false };
                    // SAFETY: `spread` is this task's alone.
                    unsafe { block.run(0..count, 0..depth) };
                    scatter(conv, spread, group, first, dx);
                }
            }
        });
    });
}

/// Adds all taps of the pixels of one sample from `first` on to the pixels that they read.
fn scatter(conv: &Conv2d, spread: &[f32], group: usize, first: usize, dx: &mut [f32]) {
    let channels = conv.c_in / conv.options.groups;
    for (i, row) in spread.chunks_exact(conv.taps() * channels).enumerate() {
        for (from, pixel) in row.chunks_exact(channels).zip(conv.sources(first + i)) {
            if let Some(pixel) = pixel {
                let to = &mut dx[pixel * conv.c_in + group * channels..][..channels];
                to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
            }
        }
    }
}

pub(super) fn backward_weights(conv: &Conv2d, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    let (taps, groups) = (conv.taps(), conv.options.groups);
    let (c_in, c_out) = (conv.c_in / groups, conv.c_out / groups);
    let (depth, pixels) = (taps * c_in, conv.n * conv.out_h * conv.out_w);
    for (group, dw) in dw.chunks_exact_mut(c_out * depth).enumerate() {
        // The gradient of each chunk of pixels, `[taps · c_in, c_out]`.
        let chunk = |first: usize| {
            let count = CHUNK.min(pixels - first);
            let mut sum = vec![0.0; depth * c_out];
            let rows = block_rows(depth);
            for start in (first..first + count).step_by(rows) {
                let rows = rows.min(first + count - start);
                let dy = &dy[start * conv.c_out + group * c_out..];
                add_product(conv, x, group, start, rows, dy, &mut sum);
            }
            sum
        };
        let starts: Vec<usize> = (0..pixels).step_by(CHUNK).collect();
        let sums: Vec<Vec<f32>> = starts.into_par_iter().map(chunk).collect();
        for (i, dw) in dw.iter_mut().enumerate() {
            let (output, input, tap) = (i / depth, i % depth / taps, i % taps);
            *dw = sums.iter().map(|sum| sum[(tap * c_in + input) * c_out + output]).sum();
        }
    }
}

/// Adds the product of the taps of some pixels and their gradients to `sum`, `[taps · c_in, c_out]`.
fn add_product(
    conv: &Conv2d,
    x: &[f32],
    group: usize,
    first: usize,
    rows: usize,
    dy: &[f32],
    sum: &mut [f32],
) {
    let c_out = conv.c_out / conv.options.groups;
    let depth = sum.len() / c_out;
    let dy = Matrix { data: dy, rows, cols: c_out, row_stride: conv.c_out, col_stride: 1 };
    scratch(rows * depth, |gathered| {
        gather(conv, x, group, first, gathered);
        scratch(Panels::packed_len(rows, c_out), |packed| {
            pack_into(dy, packed);
            let block = Block {
                a: Matrix::new(gathered, depth).transposed(),
                b: Packed::new(packed, rows, c_out),
                out: Out::new(sum, c_out),
                origin: [0, 0],
                plus: Plus::default(),
                accumulate: true,
            };
            // SAFETY: `sum` is this task's alone.
            unsafe { block.run_packed(0..depth, 0..c_out) };
        });
    });
}
