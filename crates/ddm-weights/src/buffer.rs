//! Memory for numbers, aligned as they want it.

use burn::tensor::{Bytes, DType, TensorData};

use crate::WeightsError;

/// Zeros for `elements` numbers of a type. The system gives them without writing them.
#[derive(Debug)]
pub(crate) enum Buffer {
    Eight(Vec<u64>),
    Four(Vec<u32>),
    Two(Vec<u16>),
    One(Vec<u8>),
}

impl Buffer {
    pub(crate) fn zeros(dtype: DType, elements: usize) -> Result<Self, WeightsError> {
        Ok(match dtype.size() {
            8 => Self::Eight(zeros(elements)?),
            4 => Self::Four(zeros(elements)?),
            2 => Self::Two(zeros(elements)?),
            _ => Self::One(zeros(elements)?),
        })
    }

    pub(crate) fn bytes(&mut self) -> &mut [u8] {
        match self {
            Self::Eight(numbers) => bytemuck::cast_slice_mut(numbers),
            Self::Four(numbers) => bytemuck::cast_slice_mut(numbers),
            Self::Two(numbers) => bytemuck::cast_slice_mut(numbers),
            Self::One(numbers) => numbers,
        }
    }

    /// The numbers as a tensor's; there are as many as the shape has.
    pub(crate) fn into_data(self, shape: &[usize], dtype: DType) -> TensorData {
        let bytes = match self {
            Self::Eight(numbers) => Bytes::from_elems(numbers),
            Self::Four(numbers) => Bytes::from_elems(numbers),
            Self::Two(numbers) => Bytes::from_elems(numbers),
            Self::One(numbers) => Bytes::from_elems(numbers),
        };
        TensorData::from_bytes(bytes, shape.to_vec(), dtype)
    }
}

fn zeros<T: Clone + bytemuck::Zeroable>(elements: usize) -> Result<Vec<T>, WeightsError> {
    // `vec!` would end the process where there is no memory; so that is asked for first, and given back.
    let reserved = Vec::<T>::new().try_reserve_exact(elements);
    let bytes = elements.saturating_mul(size_of::<T>());
    reserved.map_err(|_| WeightsError::Memory { bytes })?;
    Ok(vec![T::zeroed(); elements])
}
