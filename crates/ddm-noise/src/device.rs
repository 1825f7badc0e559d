//! Noise drawn on the device.

use burn::tensor::{Device, Distribution, Tensor};

use crate::NoiseSource;

/// Noise from the device's own generator: fast on GPUs, and nothing is copied.
///
/// The numbers depend on the backend, the batch size and whatever else draws from the device:
/// seed it with [`Device::seed`], which may act on the whole process. Where a sample must be the
/// same everywhere, take [`HostNoise`](crate::HostNoise).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeviceNoise;

impl<const D: usize> NoiseSource<D> for DeviceNoise {
    fn draw(&mut self, shape: [usize; D], device: &Device) -> Tensor<D> {
        Tensor::random(shape, Distribution::Normal(0.0, 1.0), device)
    }
}
