//! Memory aligned to cache lines, and scratch memory that each thread keeps.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};

use bytemuck::{Pod, Zeroable};

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; 16]);

// SAFETY: all bits 0 is sixteen zeros.
unsafe impl Zeroable for Line {}
// SAFETY: sixteen `f32` fill the 64 bytes, so there is no padding, and every bit pattern is valid.
unsafe impl Pod for Line {}

/// Numbers that begin at a cache line, so that no vector of a packed matrix crosses one.
#[derive(Clone, Default)]
pub(crate) struct Buffer {
    lines: Vec<Line>,
    len: usize,
}

impl Buffer {
    pub(crate) fn zeroed(len: usize) -> Self {
        Self { lines: vec![Line([0.0; 16]); len.div_ceil(16)], len }
    }

    /// Makes the length `len`; what is in the buffer is unspecified.
    fn set_len(&mut self, len: usize) {
        if self.lines.len() < len.div_ceil(16) {
            *self = Self::zeroed(len);
        }
        self.len = len;
    }
}

impl std::fmt::Debug for Buffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Buffer of {} numbers", self.len)
    }
}

impl Deref for Buffer {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        &bytemuck::cast_slice(&self.lines)[..self.len]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut bytemuck::cast_slice_mut(&mut self.lines)[..self.len]
    }
}

/// Calls `f` with `len` numbers of scratch memory, whose contents are unspecified.
///
/// The memory belongs to the thread and is kept for its next call: fresh memory from the system
/// costs more than most kernels.
pub(crate) fn scratch<R>(len: usize, f: impl FnOnce(&mut [f32]) -> R) -> R {
    thread_local! {
        static FREE: RefCell<Vec<Buffer>> = const { RefCell::new(Vec::new()) };
    }
    let mut buffer = FREE.with_borrow_mut(Vec::pop).unwrap_or_default();
    buffer.set_len(len);
    let result = f(&mut buffer);
    FREE.with_borrow_mut(|free| free.push(buffer));
    result
}
