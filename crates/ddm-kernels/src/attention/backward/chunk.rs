//! A chunk of queries with all keys.

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::super::BLOCK;
use super::super::panel::Panel;
use super::super::product::{Store, multiply};
use super::super::scores::Scores;
use super::weights::{Block, State, Weights};
use crate::buffer::scratch;
use crate::gemm::{Matrix, Out};

/// A chunk of the queries of a head.
pub(super) struct Chunk<'a> {
    pub(super) scores: Scores<'a>,
    pub(super) v: Matrix<'a>,
    pub(super) q: Matrix<'a>,
    pub(super) dout: Matrix<'a>,
    /// The logarithm of the denominator of each query of the head.
    pub(super) lse: &'a [f32],
    /// D of each query of the head.
    pub(super) sums: &'a [f32],
    pub(super) queries: Range<usize>,
    pub(super) dq: Out<'a>,
    pub(super) dk: Out<'a>,
    pub(super) dv: Out<'a>,
    /// The rows of the first query and the first key of the sample.
    pub(super) first_rows: (usize, usize),
    /// The column of the head.
    pub(super) col: usize,
    /// Whether dk and dv are added to what is there.
    pub(super) add: bool,
}

impl WithSimd for Chunk<'_> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (lk, d) = (self.v.rows, self.v.cols);
        let full = 2 * S::F32_LANES;
        let columns = d.next_multiple_of(S::F32_LANES);
        let state_len = (3 * d + 2 * columns + 2) * full;
        let panels = self.queries.len().div_ceil(full);
        let block = BLOCK.min(lk);
        scratch(panels * state_len + 2 * block * (full + columns), |memory| {
            let (states, memory) = memory.split_at_mut(panels * state_len);
            let (p, memory) = memory.split_at_mut(block * full);
            let (ds, memory) = memory.split_at_mut(block * full);
            let (dk, dv) = memory.split_at_mut(block * columns);
            let panels = || {
                let firsts = self.queries.clone().step_by(full);
                firsts.map(|first| Panel::new(first, self.queries.end, S::F32_LANES))
            };
            for (panel, memory) in panels().zip(states.chunks_exact_mut(state_len)) {
                self.start(&panel, State::new(memory, panel.width, d, columns), S::F32_LANES);
            }
            for first in (0..lk).step_by(BLOCK) {
                let keys = first..lk.min(first + BLOCK);
                dk.fill(0.0);
                dv.fill(0.0);
                for (panel, memory) in panels().zip(states.chunks_exact_mut(state_len)) {
                    if self.scores.masked(&keys, &panel) {
                        continue;
                    }
                    let state = State::new(memory, panel.width, d, columns);
                    let len = keys.len() * panel.width;
                    let block =
                        Block { p: &mut p[..len], ds: &mut ds[..len], dk: &mut *dk, dv: &mut *dv };
                    if panel.width == full {
                        self.meet::<S, 2>(simd, keys.clone(), &panel, state, block);
                    } else {
                        self.meet::<S, 1>(simd, keys.clone(), &panel, state, block);
                    }
                }
                // SAFETY: tasks have different heads or memory; `backward` checks the lengths.
                unsafe {
                    self.write(&keys, dk, self.dk, S::F32_LANES);
                    self.write(&keys, dv, self.dv, S::F32_LANES);
                }
            }
            for (panel, memory) in panels().zip(states.chunks_exact_mut(state_len)) {
                let state = State::new(memory, panel.width, d, columns);
                // SAFETY: tasks have different queries or heads; `backward` checks the lengths.
                unsafe { panel.unpack(state.dq, self.dq, self.first_rows.0, self.col) };
            }
        });
    }
}

impl Chunk<'_> {
    #[inline(always)]
    fn start(&self, panel: &Panel, state: State<'_>, lanes: usize) {
        panel.pack(self.q, state.q);
        panel.pack(self.dout, state.dout);
        let tokens = panel.first..panel.first + panel.len;
        pack_channels(self.q.rows(tokens.clone()), state.q_channels, lanes);
        pack_channels(self.dout.rows(tokens.clone()), state.dout_channels, lanes);
        state.dq.fill(0.0);
        for (to, from) in [(state.lse, self.lse), (state.sums, self.sums)] {
            to[..panel.len].copy_from_slice(&from[tokens.clone()]);
            to[panel.len..].fill(0.0);
        }
    }

    /// Adds what a block of keys and a panel of queries give to the gradients of both.
    #[inline(always)]
    fn meet<S: Simd, const V: usize>(
        &self,
        simd: S,
        keys: Range<usize>,
        panel: &Panel,
        state: State<'_>,
        Block { p, ds, dk, dv }: Block<'_>,
    ) {
        self.scores.make::<S, V>(simd, keys.clone(), panel, state.q, p);
        let v = self.v.rows(keys.clone());
        multiply::<S, V>(simd, v, state.dout, ds, Store::Scaled(1.0));
        let (lse, sums, scale) = (&*state.lse, &*state.sums, self.scores.scale);
        simd.vectorize(Weights::<V> { p, ds, lse, sums, scale });
        let k = self.scores.k.rows(keys.clone());
        multiply::<S, V>(simd, k.transposed(), ds, state.dq, Store::Sum);
        let products = [(&*ds, &*state.q_channels, dk), (&*p, &*state.dout_channels, dv)];
        for (a, b, out) in products {
            // Not the lanes without a query.
            let a = Matrix {
                data: a,
                rows: keys.len(),
                cols: panel.len,
                row_stride: panel.width,
                col_stride: 1,
            };
            for channels in channel_panels(self.v.cols, S::F32_LANES) {
                let b = &b[channels.first * panel.len..];
                let out = &mut out[channels.first * keys.len()..];
                if channels.width == S::F32_LANES {
                    multiply::<S, 1>(simd, a, b, out, Store::Sum);
                } else {
                    multiply::<S, 2>(simd, a, b, out, Store::Sum);
                }
            }
        }
    }

    /// Writes the gradients of a block of keys, or adds them.
    ///
    /// # Safety
    ///
    /// Nothing else uses the head's columns of the keys' rows.
    #[inline(always)]
    unsafe fn write(&self, keys: &Range<usize>, from: &[f32], out: Out<'_>, lanes: usize) {
        for channels in channel_panels(self.v.cols, lanes) {
            let from = from[channels.first * keys.len()..].chunks_exact(channels.width);
            for (key, from) in keys.clone().zip(from) {
                let (row, col) = (self.first_rows.1 + key, self.col + channels.first);
                // SAFETY: the caller's promise.
                let to = unsafe { out.row(row, col, channels.len) };
                if self.add {
                    to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
                } else {
                    to.copy_from_slice(&from[..channels.len]);
                }
            }
        }
    }
}

/// Returns the channels of a head as panels.
fn channel_panels(d: usize, lanes: usize) -> impl Iterator<Item = Panel> {
    (0..d).step_by(2 * lanes).map(move |first| Panel::new(first, d, lanes))
}

/// Packs tokens with their channels side by side: panel after panel, each token by token.
#[inline(always)]
fn pack_channels(tokens: Matrix<'_>, to: &mut [f32], lanes: usize) {
    for Panel { first, len, width } in channel_panels(tokens.cols, lanes) {
        let to = to[first * tokens.rows..].chunks_exact_mut(width).take(tokens.rows);
        for (i, to) in to.enumerate() {
            to[..len].copy_from_slice(&tokens.data[i * tokens.row_stride + first..][..len]);
            to[len..].fill(0.0);
        }
    }
}
