//! Recorded inputs and outputs of networks.

use std::path::PathBuf;

use burn::tensor::{Device, Int, Tensor, TensorData};
use safetensors::{Dtype, SafeTensors};

use super::distance;

/// Returns the directory of a recorded network.
pub(super) fn directory(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../testdata/models").join(name)
}

/// The tensors of a `reference.safetensors`.
pub(super) struct Reference {
    bytes: Vec<u8>,
    device: Device,
}

impl Reference {
    pub(super) fn of(name: &str, device: &Device) -> Self {
        let bytes = std::fs::read(directory(name).join("reference.safetensors")).unwrap();
        Self { bytes, device: device.clone() }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        SafeTensors::deserialize(&self.bytes).unwrap().tensor(name).is_ok()
    }

    pub(super) fn floats<const D: usize>(&self, name: &str) -> Tensor<D> {
        let file = SafeTensors::deserialize(&self.bytes).unwrap();
        let view = file.tensor(name).unwrap();
        let numbers: Vec<f32> = match view.dtype() {
            Dtype::F32 => {
                let bytes = view.data().chunks_exact(4);
                bytes.map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
            }
            Dtype::I64 => {
                let bytes = view.data().chunks_exact(8);
                bytes.map(|b| i64::from_le_bytes(b.try_into().unwrap()) as f32).collect()
            }
            other => panic!("{name}: {other:?}"),
        };
        let data = TensorData::new(numbers, view.shape().to_vec());
        Tensor::from_data(data, &self.device)
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

    /// Checks an output: its largest error, relative to the largest recorded number, is at most 1e-5.
    pub(super) fn check<const D: usize>(&self, name: &str, found: Tensor<D>) {
        let expected = self.floats::<D>(name);
        assert_eq!(found.dims(), expected.dims(), "{name}");
        let size: f32 = expected.clone().abs().max().into_scalar();
        let error = distance(found, expected) / size;
        println!("{name}: {error:.1e}");
        assert!(error <= 1e-5, "{name}: {error:e}"); // a NaN fails too
    }
}
