//! A tensor in a file, and what is made of such tensors before they are read.

use std::ops::Range;
use std::sync::Arc;

use burn::tensor::{DType, TensorData};

use crate::buffer::Buffer;
use crate::source::Source;
use crate::storage::Storage;
use crate::{Stored, WeightsError, strided};

/// A tensor, or parts of tensors, that are read on request.
///
/// Parts, transposes and concatenations read nothing: layouts of single files are put into those of
/// networks by them, for example a fused projection of queries, keys and values into three.
///
/// ```
/// use burn::tensor::TensorData;
/// use ddm_weights::TensorView;
/// # fn main() -> Result<(), ddm_weights::WeightsError> {
/// let fused = TensorView::from(TensorData::from([[1.0_f32], [2.0], [3.0]]));
/// let [q, k, v] = fused.chunks(0)?;
/// assert_eq!(k.read()?, TensorData::from([[2.0_f32]]));
/// let again = TensorView::concatenated(0, vec![q, k, v])?.transposed(0, 1)?;
/// assert_eq!(again.read()?, TensorData::from([[1.0_f32, 2.0, 3.0]]));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct TensorView {
    shape: Vec<usize>,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    /// The elements at start + Σ iₖ stridesₖ.
    Strided { storage: Arc<Storage>, start: u64, strides: Vec<usize> },
    /// Views that follow each other along an axis. There is at least one.
    Concatenated { axis: usize, parts: Vec<TensorView> },
}

impl TensorView {
    /// All numbers of a storage, row by row; the shape has as many elements.
    pub(crate) fn whole(storage: Storage, shape: Vec<usize>) -> Self {
        let strides = row_major(&shape);
        Self { shape, kind: Kind::Strided { storage: Arc::new(storage), start: 0, strides } }
    }

    /// Numbers of a storage, which are at most as many as it has.
    ///
    /// Returns `None` if they are more, or lie outside of it.
    pub(crate) fn strided(
        storage: &Arc<Storage>,
        start: u64,
        shape: Vec<usize>,
        strides: Vec<usize>,
    ) -> Option<Self> {
        let elements = shape.iter().try_fold(1_u64, |n, axis| n.checked_mul(*axis as u64))?;
        let mut end = start;
        for (length, stride) in shape.iter().zip(&strides) {
            let last = length.saturating_sub(1) as u64;
            end = end.checked_add(last.checked_mul(*stride as u64)?)?;
        }
        if shape.len() != strides.len() {
            return None;
        }
        if elements == 0 {
            // Wherever it says to begin, nothing is read there.
            let kind =
                Kind::Strided { storage: storage.clone(), start: 0, strides: row_major(&shape) };
            return Some(Self { shape, kind });
        }
        let within = end < storage.elements && elements <= storage.elements;
        let kind = Kind::Strided { storage: storage.clone(), start, strides };
        within.then_some(Self { shape, kind })
    }

    /// The shape.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The type of its numbers in the file; of the first part, where several were put together.
    pub fn stored(&self) -> Stored {
        match &self.kind {
            Kind::Strided { storage, .. } => storage.stored,
            Kind::Concatenated { parts, .. } => parts[0].stored(),
        }
    }

    /// The type that [`read`](Self::read) gives: that in the file, or f32 where burn has no such type,
    /// or where parts of several float types were put together.
    pub fn dtype(&self) -> DType {
        match &self.kind {
            Kind::Strided { storage, .. } => storage.stored.dtype(),
            Kind::Concatenated { parts, .. } => {
                let first = parts[0].dtype();
                let same = parts.iter().all(|part| part.dtype() == first);
                if same { first } else { DType::F32 }
            }
        }
    }

    /// The number of elements.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// Reads the tensor, see [`dtype`](Self::dtype).
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be read any more, or its type cannot be read at all.
    pub fn read(&self) -> Result<TensorData, WeightsError> {
        self.read_as(self.dtype())
    }

    /// Reads the tensor as another type: floats and integers as floats, rounded to nearest; all others
    /// as what they are.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read), and [`WeightsError::Cast`] for any other type.
    pub fn read_as(&self, dtype: DType) -> Result<TensorData, WeightsError> {
        self.check(dtype)?;
        let mut buffer = Buffer::zeros(dtype, self.elements())?;
        self.fill(dtype, buffer.bytes())?;
        Ok(buffer.into_data(&self.shape, dtype))
    }

    /// Checks that the tensor can be read as this type, without reading it.
    pub(crate) fn check(&self, dtype: DType) -> Result<(), WeightsError> {
        match &self.kind {
            Kind::Strided { storage, .. } => storage.check(dtype),
            Kind::Concatenated { parts, .. } => parts.iter().try_for_each(|part| part.check(dtype)),
        }
    }

    fn fill(&self, dtype: DType, out: &mut [u8]) -> Result<(), WeightsError> {
        match &self.kind {
            Kind::Strided { storage, start, strides } => {
                strided::read(storage, *start, &self.shape, strides, dtype, out)
            }
            Kind::Concatenated { axis, parts } => {
                let inner = self.shape[axis + 1..].iter().product::<usize>() * dtype.size();
                let outer: usize = self.shape[..*axis].iter().product();
                let row = self.shape[*axis] * inner;
                let mut begin = 0;
                for part in parts {
                    let length = part.shape[*axis] * inner;
                    if outer == 1 {
                        part.fill(dtype, &mut out[begin..][..length])?;
                    } else {
                        let mut buffer = Buffer::zeros(dtype, part.elements())?;
                        part.fill(dtype, buffer.bytes())?;
                        let rows = buffer.bytes().chunks_exact(length.max(1));
                        for (rows, out) in rows.zip(out.chunks_exact_mut(row.max(1))) {
                            out[begin..][..length].copy_from_slice(rows);
                        }
                    }
                    begin += length;
                }
                Ok(())
            }
        }
    }

    /// The indices in `range` along an axis.
    ///
    /// # Errors
    ///
    /// Returns [`WeightsError::View`] if there is no such axis or range.
    pub fn part(&self, axis: usize, range: Range<usize>) -> Result<Self, WeightsError> {
        let length = self.axis(axis)?;
        if range.start > range.end || range.end > length {
            return Err(self.view(format!("has no indices {range:?} along axis {axis}")));
        }
        let mut shape = self.shape.clone();
        shape[axis] = range.len();
        let kind = match &self.kind {
            Kind::Strided { storage, start, strides } => Kind::Strided {
                storage: storage.clone(),
                // Without elements it may begin anywhere, and so begins where there are some.
                start: start
                    + if range.is_empty() { 0 } else { range.start * strides[axis] } as u64,
                strides: strides.clone(),
            },
            Kind::Concatenated { axis: along, parts } if axis == *along => {
                let mut begin = 0;
                let mut within = Vec::new();
                for part in parts {
                    let length = part.shape[axis];
                    let from = range.start.clamp(begin, begin + length) - begin;
                    let to = range.end.clamp(begin, begin + length) - begin;
                    if from < to {
                        within.push(part.part(axis, from..to)?);
                    }
                    begin += length;
                }
                if within.is_empty() {
                    within.push(parts[0].part(axis, 0..0)?);
                }
                Kind::Concatenated { axis, parts: within }
            }
            Kind::Concatenated { axis: along, parts } => {
                let parts = parts.iter().map(|part| part.part(axis, range.clone()));
                Kind::Concatenated { axis: *along, parts: parts.collect::<Result<_, _>>()? }
            }
        };
        Ok(Self { shape, kind })
    }

    /// Parts of the given lengths along an axis, which they fill.
    ///
    /// # Errors
    ///
    /// Returns [`WeightsError::View`] if there is no such axis, or the lengths do not add up to its own.
    pub fn split(&self, axis: usize, lengths: &[usize]) -> Result<Vec<Self>, WeightsError> {
        let length = self.axis(axis)?;
        if lengths.iter().try_fold(0_usize, |sum, part| sum.checked_add(*part)) != Some(length) {
            return Err(self.view(format!("has no parts {lengths:?} along axis {axis}")));
        }
        let mut begin = 0;
        let part = |length: &usize| {
            begin += length;
            self.part(axis, begin - length..begin)
        };
        lengths.iter().map(part).collect()
    }

    /// N parts of the same length along an axis.
    ///
    /// # Errors
    ///
    /// Returns [`WeightsError::View`] if there is no such axis, or its length is no multiple of N.
    pub fn chunks<const N: usize>(&self, axis: usize) -> Result<[Self; N], WeightsError> {
        let length = self.axis(axis)?;
        let parts = self.split(axis, &[length / N.max(1); N])?;
        parts.try_into().map_err(|_| self.view(format!("has no {N} parts")))
    }

    /// The second half along an axis, then the first: shift and scale for scale and shift.
    ///
    /// # Errors
    ///
    /// Returns [`WeightsError::View`] if there is no such axis, or its length is odd.
    pub fn halves_swapped(&self, axis: usize) -> Result<Self, WeightsError> {
        let [first, second] = self.chunks(axis)?;
        Self::concatenated(axis, vec![second, first])
    }

    /// Two axes exchanged.
    ///
    /// # Errors
    ///
    /// Returns [`WeightsError::View`] if there are no such axes.
    pub fn transposed(&self, a: usize, b: usize) -> Result<Self, WeightsError> {
        self.axis(a)?;
        self.axis(b)?;
        let mut shape = self.shape.clone();
        shape.swap(a, b);
        let mut kind = self.kind.clone();
        match &mut kind {
            Kind::Strided { strides, .. } => strides.swap(a, b),
            Kind::Concatenated { axis, parts } => {
                for part in parts {
                    *part = part.transposed(a, b)?;
                }
                *axis = match *axis {
                    axis if axis == a => b,
                    axis if axis == b => a,
                    axis => axis,
                };
            }
        }
        Ok(Self { shape, kind })
    }

    /// The same elements in another shape: a convolution of 1×1 as a linear layer.
    ///
    /// # Errors
    ///
    /// Returns [`WeightsError::View`] if the shape has another number of elements, or the elements do not
    /// lie row by row in the file.
    pub fn reshaped(&self, shape: impl Into<Vec<usize>>) -> Result<Self, WeightsError> {
        let shape = shape.into();
        let elements = shape.iter().try_fold(1_usize, |product, axis| product.checked_mul(*axis));
        let Kind::Strided { storage, start, strides } = &self.kind else {
            return Err(self.view("is put together of others, and has no other shape".to_owned()));
        };
        let mut step = 1;
        let in_rows = self.shape.iter().zip(strides).rev().all(|(length, stride)| {
            let in_row = *length == 1 || *stride == step;
            step *= length;
            in_row
        });
        if elements != Some(self.elements()) || !in_rows && self.elements() > 0 {
            return Err(self.view(format!("cannot be read in the shape {shape:?}")));
        }
        let (storage, start, strides) = (storage.clone(), *start, row_major(&shape));
        Ok(Self { shape, kind: Kind::Strided { storage, start, strides } })
    }

    /// Tensors after each other along an axis.
    ///
    /// # Errors
    ///
    /// Returns [`WeightsError::View`] if there are none, there is no such axis, or the shapes differ
    /// along another one; and [`WeightsError::Cast`] if not all are floats, and their types differ.
    pub fn concatenated(axis: usize, parts: Vec<Self>) -> Result<Self, WeightsError> {
        let Some(first) = parts.first() else {
            let reason = "cannot be put together of no parts".to_owned();
            return Err(WeightsError::View { shape: Vec::new(), reason });
        };
        first.axis(axis)?;
        let mut shape = first.shape.clone();
        for part in &parts[1..] {
            let like = |other: &[usize]| [&other[..axis], &other[axis + 1..]].concat();
            if part.shape.len() != shape.len() || like(&part.shape) != like(&shape) {
                let reason = format!("does not continue {:?} along axis {axis}", first.shape);
                return Err(part.view(reason));
            }
            if part.dtype() != first.dtype()
                && !(part.dtype().is_float() && first.dtype().is_float())
            {
                return Err(WeightsError::Cast { stored: part.stored(), wanted: first.dtype() });
            }
            shape[axis] = shape[axis].saturating_add(part.shape[axis]);
        }
        let elements = shape.iter().try_fold(1_usize, |product, axis| product.checked_mul(*axis));
        if elements.is_none_or(|elements| elements > isize::MAX as usize / 8) {
            return Err(first.view("cannot be continued for so long".to_owned()));
        }
        Ok(Self { shape, kind: Kind::Concatenated { axis, parts } })
    }

    /// The same floats, each times `scale` when it is read: computed in f32, or in f64 if they are of that
    /// type, and then rounded to the type that they are read as.
    ///
    /// # Errors
    ///
    /// Returns [`WeightsError::View`] if these are no floats.
    pub fn scaled(&self, scale: f32) -> Result<Self, WeightsError> {
        let kind = match &self.kind {
            Kind::Strided { storage, .. } if !storage.stored.is_float() => {
                return Err(self.view(format!("is in {}, which has no scale", storage.stored)));
            }
            Kind::Strided { storage, start, strides } => {
                let scale = storage.scale * scale;
                let storage = Arc::new(Storage { scale, ..(**storage).clone() });
                Kind::Strided { storage, start: *start, strides: strides.clone() }
            }
            Kind::Concatenated { axis, parts } => {
                let parts = parts.iter().map(|part| part.scaled(scale));
                Kind::Concatenated { axis: *axis, parts: parts.collect::<Result<_, _>>()? }
            }
        };
        Ok(Self { shape: self.shape.clone(), kind })
    }

    /// The length of an axis.
    fn axis(&self, axis: usize) -> Result<usize, WeightsError> {
        self.shape.get(axis).copied().ok_or_else(|| self.view(format!("has no axis {axis}")))
    }

    fn view(&self, reason: String) -> WeightsError {
        WeightsError::View { shape: self.shape.clone(), reason }
    }
}

/// Data in memory, to be mixed with those of files. Types that no file has (quantised ones, and bools of
/// other widths) are read as f32.
impl From<TensorData> for TensorView {
    fn from(data: TensorData) -> Self {
        let (data, stored) = match Stored::from_dtype(data.dtype()) {
            Some(stored) => (data, stored),
            None => (data.convert::<f32>(), Stored::F32),
        };
        let shape = data.shape().to_vec();
        let elements = data.num_elements() as u64;
        let mut bytes = data.as_bytes().to_vec();
        if cfg!(target_endian = "big") {
            bytes.chunks_exact_mut(stored.block().0 as usize).for_each(<[u8]>::reverse);
        }
        let source = Source::memory(bytes);
        Self::whole(Storage::new(source, 0, stored, elements), shape)
    }
}

/// The steps along each axis of a tensor that lies row by row.
fn row_major(shape: &[usize]) -> Vec<usize> {
    let mut step: usize = 1;
    let mut strides: Vec<usize> = shape
        .iter()
        .rev()
        .map(|length| {
            let stride = step;
            step = step.saturating_mul(*length);
            stride
        })
        .collect();
    strides.reverse();
    strides
}
