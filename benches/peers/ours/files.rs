//! Tensors by name in safetensors files, and their error.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

use ddm_core::burn::tensor::{DType, TensorData};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors, serialize_to_file};

/// Tensors in f32, by name.
pub(crate) type Tensors = BTreeMap<String, TensorData>;

pub(crate) fn read(path: &Path) -> Result<Tensors, Box<dyn Error>> {
    let bytes = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let data = |view: TensorView<'_>| {
        TensorData::from_bytes_vec(view.data().to_vec(), view.shape(), DType::F32)
    };
    let file = SafeTensors::deserialize(&bytes)?;
    Ok(file.tensors().into_iter().map(|(name, view)| (name, data(view))).collect())
}

pub(crate) fn write(path: &Path, tensors: &Tensors) -> Result<(), Box<dyn Error>> {
    let mut views = Vec::new();
    for (name, data) in tensors {
        views.push((name, TensorView::new(Dtype::F32, data.shape().to_vec(), data.as_bytes())?));
    }
    Ok(serialize_to_file(views, None, path)?)
}

/// The largest difference from the reference, divided by its largest value; the worst of all
/// outputs. `run.py` computes it again from the file.
pub(crate) fn error(outputs: &Tensors, reference: &Tensors) -> f64 {
    let values = |data: &TensorData| data.iter::<f64>().collect::<Vec<_>>();
    let largest = |values: &[f64]| values.iter().fold(0.0, |a: f64, b| a.max(b.abs()));
    let one = |(name, output): (&String, &TensorData)| {
        let (found, expected) = (values(output), values(&reference[name]));
        let difference: Vec<_> = found.iter().zip(&expected).map(|(a, b)| a - b).collect();
        largest(&difference) / largest(&expected)
    };
    outputs.iter().map(one).fold(0.0, f64::max)
}
