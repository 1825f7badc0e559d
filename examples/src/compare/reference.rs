//! Recorded inputs and outputs.

use std::error::Error;
use std::path::Path;

use ddm_core::burn::tensor::DType;
use ddm_core::prelude::{Device, Int, Tensor};
use ddm_core::weights::{Tensors, WeightsError};

use crate::tensors::numbers;

/// The tensors of a `reference.safetensors`, and what was compared with them.
#[derive(Debug)]
pub struct Reference {
    tensors: Tensors,
    device: Device,
    lines: Vec<Line>,
}

/// An output beside the recorded one.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// The name of the output.
    pub name: String,
    /// The largest error relative to the largest recorded number; infinite for another shape.
    pub error: f64,
    /// Whether it was computed in f64, since in f32 an output was off.
    pub in_f64: bool,
}

impl Reference {
    pub(super) fn open(path: &Path, device: &Device) -> Result<Self, Box<dyn Error>> {
        let tensors = Tensors::open(path)?;
        Ok(Self { tensors, device: device.clone(), lines: Vec::new() })
    }

    pub(super) fn into_lines(self) -> Vec<Line> {
        self.lines
    }

    pub(super) fn device(&self) -> &Device {
        &self.device
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.tensors.contains(name)
    }

    /// Returns the names of all tensors.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.names()
    }

    /// Returns what the file says of itself by this name.
    pub(super) fn metadata(&self, name: &str) -> Option<&str> {
        self.tensors.metadata().get(name).map(String::as_str)
    }

    /// Returns whether a tensor holds integers.
    pub(super) fn is_int(&self, name: &str) -> Result<bool, WeightsError> {
        Ok(self.tensors.get(name)?.stored().is_int())
    }

    /// Returns the shape of a tensor.
    pub(super) fn shape(&self, name: &str) -> Result<&[usize], WeightsError> {
        Ok(self.tensors.get(name)?.shape())
    }

    /// Returns a tensor of floats, or of integers as floats.
    pub(super) fn floats<const D: usize>(&self, name: &str) -> Result<Tensor<D>, WeightsError> {
        if self.is_int(name)? {
            return Ok(self.ints(name)?.float());
        }
        Ok(Tensor::from_data(self.tensors.read_as(name, DType::F32)?, &self.device))
    }

    /// Returns a tensor of integers.
    pub(super) fn ints<const D: usize>(&self, name: &str) -> Result<Tensor<D, Int>, WeightsError> {
        Ok(Tensor::from_data(self.tensors.read(name)?.convert::<i64>(), &self.device))
    }

    /// Returns a tensor of floats, if it is recorded.
    pub(super) fn optional<const D: usize>(
        &self,
        name: &str,
    ) -> Result<Option<Tensor<D>>, WeightsError> {
        self.has(name).then(|| self.floats(name)).transpose()
    }

    /// Compares an output with the recorded one, if there is one.
    pub(super) fn check<const D: usize>(
        &mut self,
        name: &str,
        found: Tensor<D>,
    ) -> Result<(), WeightsError> {
        self.check_rows(name, 0, found)
    }

    /// Compares an output with the one that is recorded as `recorded`.
    pub(super) fn check_as<const D: usize>(
        &mut self,
        name: &str,
        recorded: &str,
        found: Tensor<D>,
    ) -> Result<(), WeightsError> {
        self.check(recorded, found)?;
        if let Some(line) = self.lines.last_mut() {
            name.clone_into(&mut line.name);
        }
        Ok(())
    }

    /// Compares numbers with those of a tensor of any shape.
    pub(super) fn check_flat(&mut self, name: &str, found: &[f32]) -> Result<(), Box<dyn Error>> {
        let recorded: Vec<f32> = self.tensors.read_as(name, DType::F32)?.try_into_vec()?;
        let fits = found.len() == recorded.len();
        let error = if fits { relative_error(found, &recorded) } else { f64::INFINITY };
        self.lines.push(Line { name: name.to_owned(), error, in_f64: false });
        Ok(())
    }

    /// Adds an output that is wrong, since it cannot be read.
    pub(super) fn unreadable(&mut self, name: &str) {
        let name = format!("{name}, which cannot be read");
        self.lines.push(Line { name, error: f64::INFINITY, in_f64: false });
    }

    /// Compares an output with the recorded one without its first `skipped` rows.
    pub(super) fn check_rows<const D: usize>(
        &mut self,
        name: &str,
        skipped: usize,
        found: Tensor<D>,
    ) -> Result<(), WeightsError> {
        if !self.has(name) {
            return Ok(());
        }
        let mut shape = self.shape(name)?.to_vec();
        shape[0] = shape[0].saturating_sub(skipped);
        let error = if found.dims().as_slice() == shape {
            let rows = self.floats::<D>(name)?.narrow(0, skipped, shape[0]);
            relative_error(&numbers(found), &numbers(rows))
        } else {
            f64::INFINITY
        };
        self.lines.push(Line { name: name.to_owned(), error, in_f64: false });
        Ok(())
    }
}

/// Returns the largest error relative to the largest expected number.
fn relative_error(found: &[f32], expected: &[f32]) -> f64 {
    let size = expected.iter().fold(0.0_f32, |size, x| size.max(x.abs()));
    let off = found.iter().zip(expected).fold(0.0_f32, |off, (a, b)| {
        let error = (a - b).abs();
        if error.is_nan() { f32::INFINITY } else { off.max(error) }
    });
    f64::from(off) / f64::from(size)
}
