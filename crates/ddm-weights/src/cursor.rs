//! Reading a header piece by piece.

use crate::source::Source;
use crate::{Fault, WeightsError};

/// Bytes that are read ahead.
const AHEAD: u64 = 1 << 16;

/// A position in a source, which moves forward. It reads little ahead, whatever
/// lengths a file claims.
#[derive(Debug)]
pub(crate) struct Cursor<'a> {
    source: &'a Source,
    position: u64,
    end: u64,
    /// What was read ahead, and where it lies.
    buffer: Vec<u8>,
    begin: u64,
}

impl<'a> Cursor<'a> {
    /// A cursor from `begin` to `end`, which must lie within the source to be reached.
    pub(crate) fn new(source: &'a Source, begin: u64, end: u64) -> Self {
        Self { source, position: begin, end: end.min(source.len()), buffer: Vec::new(), begin }
    }

    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    pub(crate) fn source(&self) -> &'a Source {
        self.source
    }

    pub(crate) fn skip(&mut self, bytes: u64) -> Result<(), WeightsError> {
        self.position = self.within(bytes)?;
        Ok(())
    }

    pub(crate) fn bytes(&mut self, length: u64) -> Result<Vec<u8>, WeightsError> {
        let end = self.within(length)?;
        let mut bytes = vec![0; length as usize];
        self.fill(&mut bytes)?;
        self.position = end;
        Ok(bytes)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], WeightsError> {
        let end = self.within(N as u64)?;
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        self.position = end;
        Ok(bytes)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, WeightsError> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn u16(&mut self) -> Result<u16, WeightsError> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, WeightsError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, WeightsError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// The position after `length` more bytes.
    fn within(&self, length: u64) -> Result<u64, WeightsError> {
        let end = self.position.saturating_add(length);
        if end > self.end {
            return Err(self.source.fault(Fault::Truncated { length: self.end, needed: end }));
        }
        Ok(end)
    }

    /// Fills `out` from the position on, which was found to be within.
    fn fill(&mut self, out: &mut [u8]) -> Result<(), WeightsError> {
        let length = out.len() as u64;
        if length >= AHEAD {
            return self.source.read_at(self.position, out);
        }
        let buffered = self.begin + self.buffer.len() as u64;
        if self.position < self.begin || self.position + length > buffered {
            self.buffer.resize(AHEAD.min(self.end - self.position) as usize, 0);
            self.begin = self.position;
            self.source.read_at(self.position, &mut self.buffer)?;
        }
        let from = (self.position - self.begin) as usize;
        out.copy_from_slice(&self.buffer[from..][..out.len()]);
        Ok(())
    }
}
