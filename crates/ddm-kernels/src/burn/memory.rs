//! Memory of tensors that is used again.

use std::collections::HashMap;
use std::mem::MaybeUninit;
use std::ops::{Deref, DerefMut};
use std::sync::{LazyLock, Mutex, PoisonError};

use burn_std::{AccessError, AccessPolicy, AllocationController, AllocationProperty, Bytes};

use crate::buffer::Buffer;

/// The least numbers of a buffer that is kept, and the most that are kept in all.
const LEAST: usize = 1 << 10;
const MOST: usize = 1 << 28;

/// Memory that tensors have left behind, by its length.
#[derive(Default)]
struct Free {
    buffers: HashMap<usize, Vec<Buffer>>,
    numbers: usize,
}

static FREE: LazyLock<Mutex<Free>> = LazyLock::new(Mutex::default);

/// Memory for the output of a kernel, which takes it all: what is in it is unspecified.
///
/// A pass through a network makes many tensors of few sizes. Fresh memory from the system is cleared
/// page by page, which takes as long as most operations; memory that was just in use is in the cache.
#[derive(Debug)]
pub(super) struct Memory(Buffer);

impl Memory {
    pub(super) fn new(len: usize) -> Self {
        if len >= LEAST {
            let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(buffer) = free.buffers.get_mut(&len).and_then(Vec::pop) {
                free.numbers -= len;
                return Self(buffer);
            }
        }
        Self(Buffer::zeroed(len))
    }

    /// Returns the memory as that of a tensor, which gives it back when the last one is dropped.
    pub(super) fn into_bytes(self) -> Bytes {
        let bytes = self.len() * size_of::<f32>();
        // SAFETY: all of the memory is initialized, and that many bytes are in it.
        unsafe { Bytes::from_controller(Box::new(self), bytes) }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        let (len, buffer) = (self.len(), std::mem::take(&mut self.0));
        if len >= LEAST {
            let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
            if free.numbers + len <= MOST {
                free.numbers += len;
                free.buffers.entry(len).or_default().push(buffer);
            }
        }
    }
}

impl Deref for Memory {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        &self.0
    }
}

impl DerefMut for Memory {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.0
    }
}

impl AllocationController for Memory {
    fn alloc_align(&self) -> usize {
        64
    }

    fn property(&self) -> AllocationProperty {
        AllocationProperty::Other
    }

    fn memory(&self, _: AccessPolicy) -> Result<&[MaybeUninit<u8>], AccessError> {
        let bytes: &[u8] = bytemuck::cast_slice(&self.0);
        // SAFETY: initialized bytes are bytes that may be uninitialized.
        Ok(unsafe { std::slice::from_raw_parts(bytes.as_ptr().cast(), bytes.len()) })
    }

    unsafe fn memory_mut(
        &mut self,
        _: AccessPolicy,
    ) -> Result<&mut [MaybeUninit<u8>], AccessError> {
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut self.0);
        // SAFETY: as above; the caller promises to write initialized bytes only.
        Ok(unsafe { std::slice::from_raw_parts_mut(bytes.as_mut_ptr().cast(), bytes.len()) })
    }
}
