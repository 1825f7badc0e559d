//! Noise drawn on the device.

use burn::tensor::{Device, Distribution, Tensor};

use crate::{NoiseError, NoiseSource};

/// Noise of the device's generator: fast on GPUs, without copies.
///
/// The numbers depend on the backend, the batch size and all other draws from the device. Seed it
/// with [`Device::seed`], which may affect the whole process. For samples that are the same
/// everywhere use [`HostNoise`](crate::HostNoise).
///
/// ```
/// use burn::tensor::Device;
/// use ddm_noise::{DeviceNoise, NoiseSource};
/// let device = Device::flex();
/// let mut noise = DeviceNoise::new(&device);
/// assert_eq!(noise.draw([2, 3], &device).dims(), [2, 3]);
/// assert!(noise.uniform(4)?.iter().all(|u| (0.0..1.0).contains(u)));
/// # Ok::<(), ddm_noise::NoiseError>(())
/// ```
#[derive(Clone, Debug)]
pub struct DeviceNoise {
    device: Device,
}

impl DeviceNoise {
    /// Creates the source. Uniform numbers are drawn on this device, normal ones on the device of
    /// their tensor.
    pub fn new(device: &Device) -> Self {
        Self { device: device.clone() }
    }
}

impl NoiseSource for DeviceNoise {
    fn normal(&mut self, shape: &[usize], device: &Device) -> Tensor<1> {
        Tensor::random([shape.iter().product::<usize>()], Distribution::Normal(0.0, 1.0), device)
    }

    fn uniform(&mut self, samples: usize) -> Result<Vec<f64>, NoiseError> {
        let numbers = Tensor::<1>::random([samples], Distribution::Uniform(0.0, 1.0), &self.device);
        let read = numbers.try_into_vec_as();
        read.map_err(|error| NoiseError::Read { reason: format!("{error:?}") })
    }
}
