//! Numbers in a row, in a file or in memory.

use std::sync::Arc;

use burn::tensor::DType;

use crate::buffer::Buffer;
use crate::decode;
use crate::source::Source;
use crate::{Stored, WeightsError};

/// Elements that are converted at once: whole blocks, and few enough for a processor's cache.
const CHUNK: u64 = 1 << 14;

/// `elements` numbers of one type, which lie one after the other.
#[derive(Clone, Debug)]
pub(crate) struct Storage {
    pub(crate) source: Arc<Source>,
    /// Where the first of them lies. All of them lie within the source.
    pub(crate) offset: u64,
    pub(crate) stored: Stored,
    pub(crate) elements: u64,
    /// What each float is multiplied by when it is read; 1 for integers and truth values.
    pub(crate) scale: f32,
}

impl Storage {
    /// Numbers in a source, in which they lie.
    pub(crate) fn new(source: Arc<Source>, offset: u64, stored: Stored, elements: u64) -> Self {
        Self { source, offset, stored, elements, scale: 1.0 }
    }

    /// Checks that these numbers can be read as `wanted`.
    pub(crate) fn check(&self, wanted: DType) -> Result<(), WeightsError> {
        let stored = self.stored;
        if !stored.is_readable() {
            return Err(WeightsError::Type { path: self.source.path().to_owned(), stored });
        }
        let float = matches!(wanted, DType::F64 | DType::F32 | DType::F16 | DType::BF16);
        if wanted == stored.dtype() || float && stored != Stored::Bool {
            return Ok(());
        }
        Err(WeightsError::Cast { stored, wanted })
    }

    /// Reads the numbers from `start` on as `wanted`, which must pass [`check`](Self::check), into
    /// `out`, which is aligned for them.
    pub(crate) fn read(
        &self,
        start: u64,
        wanted: DType,
        out: &mut [u8],
    ) -> Result<(), WeightsError> {
        let (bytes, block) = self.stored.block();
        let same = wanted == self.stored.dtype() && Stored::from_dtype(wanted) == Some(self.stored);
        if same && self.scale == 1.0 {
            self.source.read_at(self.offset + start * bytes, out)?;
            native(self.stored, out);
            return Ok(());
        }
        let end = start + (out.len() / wanted.size()) as u64;
        // What was allocated for the first chunk serves all of them.
        let mut raw = vec![0; (CHUNK / block * bytes) as usize];
        let mut rest = out;
        let mut at = start;
        while at < end {
            let first = at / block;
            let last = end.min((first + CHUNK / block) * block).div_ceil(block);
            let raw = &mut raw[..((last - first) * bytes) as usize];
            self.source.read_at(self.offset + first * bytes, raw)?;
            let next = end.min(last * block);
            let (now, later) = rest.split_at_mut((next - at) as usize * wanted.size());
            if at == first * block && next == last * block {
                decode::floats(self.stored, self.scale, raw, wanted, now);
            } else {
                // A part that begins or ends within a block.
                let elements = ((last - first) * block) as usize;
                let mut whole = Buffer::zeros(wanted, elements)?;
                decode::floats(self.stored, self.scale, raw, wanted, whole.bytes());
                let skipped = (at - first * block) as usize * wanted.size();
                now.copy_from_slice(&whole.bytes()[skipped..][..now.len()]);
            }
            (rest, at) = (later, next);
        }
        Ok(())
    }
}

/// Brings numbers as they lie in files, the lowest byte first, into this machine's order; and what is
/// true, to 1.
fn native(stored: Stored, bytes: &mut [u8]) {
    if stored == Stored::Bool {
        bytes.iter_mut().for_each(|byte| *byte = u8::from(*byte != 0));
    }
    if cfg!(target_endian = "big") {
        let (size, _) = stored.block();
        bytes.chunks_exact_mut(size as usize).for_each(<[u8]>::reverse);
    }
}
