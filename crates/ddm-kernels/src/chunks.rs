//! Work shared among threads, in chunks whose bounds never depend on the number of threads.

use rayon::prelude::*;

/// The numbers of a chunk: 64 KB, to stay in a core's cache between two passes.
pub(crate) const CHUNK: usize = 1 << 14;

/// Work on fewer numbers stays on the calling thread: to wake another takes microseconds.
const SMALL: usize = 1 << 15;

/// Returns how many rows of `len` numbers make a chunk.
pub(crate) fn rows_of(len: usize) -> usize {
    (CHUNK / len.max(1)).max(1)
}

/// Calls `task` with the index and the memory of each chunk of `len` numbers. `work` is how many
/// numbers all tasks go through.
pub(crate) fn for_each<T: Send>(
    data: &mut [T],
    len: usize,
    work: usize,
    task: impl Fn(usize, &mut [T]) + Sync,
) {
    if work < SMALL || data.len() <= len {
        data.chunks_mut(len).enumerate().for_each(|(i, chunk)| task(i, chunk));
    } else {
        data.par_chunks_mut(len).enumerate().for_each(|(i, chunk)| task(i, chunk));
    }
}

/// As [`for_each`], with a chunk of each of two memories.
pub(crate) fn for_each_pair<T: Send, U: Send>(
    (data, len): (&mut [T], usize),
    (other, other_len): (&mut [U], usize),
    work: usize,
    task: impl Fn(usize, &mut [T], &mut [U]) + Sync,
) {
    if work < SMALL || data.len() <= len {
        let pairs = data.chunks_mut(len).zip(other.chunks_mut(other_len));
        pairs.enumerate().for_each(|(i, (chunk, other))| task(i, chunk, other));
    } else {
        let pairs = data.par_chunks_mut(len).zip(other.par_chunks_mut(other_len));
        pairs.enumerate().for_each(|(i, (chunk, other))| task(i, chunk, other));
    }
}
