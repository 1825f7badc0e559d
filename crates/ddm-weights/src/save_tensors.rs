//! Tensors into a file.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io;
use std::path::Path;

use burn::tensor::{DType, TensorData};
use safetensors::{Dtype, SafeTensorError, View, serialize_to_file};

use crate::{NewFile, WeightsError};

/// Saves tensors by name as a safetensors file, with entries of metadata beside `format: pt`, which
/// transformers asks for. The file is there whole, or not at all ([`NewFile`]).
///
/// ```
/// use burn::tensor::TensorData;
/// use ddm_weights::{Tensors, save_tensors};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("table.safetensors");
/// let table = TensorData::new(vec![1.0_f32, 2.0], [2, 1]);
/// save_tensors([("table".to_owned(), table)], &[("made by", "hand")], &path)?;
/// let tensors = Tensors::open(&path)?;
/// assert_eq!(tensors.get("table")?.shape(), [2, 1]);
/// assert_eq!(tensors.metadata()["made by"], "hand");
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// Returns [`WeightsError::Write`] if the file cannot be written, or a tensor is of a type that
/// safetensors lacks, such as a quantized one.
pub fn save_tensors(
    tensors: impl IntoIterator<Item = (String, TensorData)>,
    metadata: &[(&str, &str)],
    path: impl AsRef<Path>,
) -> Result<(), WeightsError> {
    let tensors = tensors.into_iter().map(|(name, data)| {
        let dtype = dtype(data.dtype()).ok_or_else(|| {
            let reason = format!("{name} is of type {:?}, which safetensors lacks", data.dtype());
            io::Error::new(io::ErrorKind::InvalidInput, reason)
        })?;
        Ok((name, Stored { dtype, shape: data.shape().to_vec(), data }))
    });
    let tensors = tensors.collect::<Result<Vec<_>, io::Error>>();
    let metadata = [("format", "pt")].iter().chain(metadata);
    let metadata: HashMap<_, _> =
        metadata.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let file = NewFile::write(path.as_ref(), |beside| {
        serialize_to_file(tensors?, Some(metadata), beside).map_err(|error| match error {
            SafeTensorError::IoError(error) => error,
            other => io::Error::other(other),
        })
    })?;
    file.commit()
}

/// A tensor as the writer takes it.
struct Stored {
    dtype: Dtype,
    shape: Vec<usize>,
    data: TensorData,
}

impl View for Stored {
    fn dtype(&self) -> Dtype {
        self.dtype
    }
    fn shape(&self) -> &[usize] {
        &self.shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(self.data.as_bytes())
    }
    fn data_len(&self) -> usize {
        self.data.as_bytes().len()
    }
}

fn dtype(dtype: DType) -> Option<Dtype> {
    Some(match dtype {
        DType::F64 => Dtype::F64,
        DType::F32 => Dtype::F32,
        DType::F16 => Dtype::F16,
        DType::BF16 => Dtype::BF16,
        DType::I64 => Dtype::I64,
        DType::I32 => Dtype::I32,
        DType::I16 => Dtype::I16,
        DType::I8 => Dtype::I8,
        DType::U64 => Dtype::U64,
        DType::U32 => Dtype::U32,
        DType::U16 => Dtype::U16,
        DType::U8 => Dtype::U8,
        _ => return None,
    })
}
