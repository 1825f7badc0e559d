//! Recorded inputs and outputs of networks (`testdata/models`).

use std::path::{Path, PathBuf};

use burn::tensor::{Device, Int, Tensor, TensorData};
use safetensors::{Dtype, SafeTensors};

use super::distance;

/// Returns the directory of a recorded network.
pub(super) fn directory(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/models").join(name)
}

/// The tensors of a `reference.safetensors`, or of another file beside it.
pub(super) struct Recorded {
    name: String,
    bytes: Vec<u8>,
    device: Device,
}

impl Recorded {
    pub(super) fn of(name: &str) -> Self {
        Self::from(name, "reference.safetensors")
    }

    pub(super) fn from(name: &str, file: &str) -> Self {
        let bytes = std::fs::read(directory(name).join(file)).unwrap();
        Self { name: name.to_owned(), bytes, device: Device::flex() }
    }

    /// Returns the same, with its tensors on another device.
    pub(super) fn on(self, device: &Device) -> Self {
        Self { device: device.clone(), ..self }
    }

    /// Returns a tensor of floats, or of integers as floats, if it is recorded.
    pub(super) fn get<const D: usize>(&self, name: &str) -> Option<Tensor<D>> {
        let file = SafeTensors::deserialize(&self.bytes).unwrap();
        let view = file.tensor(name).ok()?;
        let numbers: Vec<f32> = match view.dtype() {
            Dtype::F32 => {
                let bytes = view.data().chunks_exact(4);
                bytes.map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
            }
            _ => return Some(self.ints(name).float()),
        };
        let data = TensorData::new(numbers, view.shape().to_vec());
        Some(Tensor::from_data(data, &self.device))
    }

    pub(super) fn tensor<const D: usize>(&self, name: &str) -> Tensor<D> {
        self.get(name).unwrap_or_else(|| panic!("no tensor {name}"))
    }

    pub(super) fn ints<const D: usize>(&self, name: &str) -> Tensor<D, Int> {
        let file = SafeTensors::deserialize(&self.bytes).unwrap();
        let view = file.tensor(name).unwrap();
        assert_eq!(view.dtype(), Dtype::I64, "{name}");
        let numbers =
            view.data().chunks_exact(8).map(|b| i64::from_le_bytes(b.try_into().unwrap()));
        let data = TensorData::new(numbers.collect::<Vec<_>>(), view.shape().to_vec());
        Tensor::from_data(data, &self.device)
    }

    /// Asserts that an output is the recorded one up to 1e-5 of its largest number.
    pub(super) fn assert<const D: usize>(&self, name: &str, output: Tensor<D>) {
        let expected = self.tensor::<D>(name);
        assert_eq!(output.dims(), expected.dims(), "{} {name}", self.name);
        let size: f32 = expected.clone().abs().max().into_scalar();
        let error = distance(output, expected) / size;
        println!("{} {name}: {error:.1e}", self.name);
        assert!(error < 1e-5, "{} {name}: {error:e}", self.name); // a NaN fails too
    }
}
