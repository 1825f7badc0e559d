//! The trait of noise sources.

use burn::tensor::{Device, Tensor};
use ddm_schedule::NoiseLevel;
use serde::{Deserialize, Serialize};

use crate::NoiseError;

/// What noise is drawn for. Sources that are keyed by address give each purpose numbers of its own,
/// so that noise that a user has added to data is never added again by a sampler of the same seed.
/// The numbers of the variants are part of the key, so they never change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Stream {
    /// Whatever a program draws itself.
    #[default]
    User = 0,
    /// The noise that a sampling run starts from.
    Start = 1,
    /// The noise that a sampler adds in its steps.
    Sampler = 2,
    /// Times, noise and dropout of training.
    Training = 3,
    /// Random vectors that measure something: the probes of a trace.
    Probe = 4,
}

/// A source of random numbers, draw after draw.
///
/// [`normal`](Self::normal) is all that a source must have beside [`uniform`](Self::uniform).
/// Programs call [`draw`](Self::draw), which gives the numbers their shape.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use ddm_noise::{HostNoise, NoiseError, NoiseSource};
/// /// Noise of twice the standard deviation.
/// struct Louder(HostNoise);
/// impl NoiseSource for Louder {
///     fn normal(&mut self, shape: &[usize], device: &Device) -> Tensor<1> {
///         self.0.normal(shape, device) * 2.0
///     }
///     fn uniform(&mut self, samples: usize) -> Result<Vec<f64>, NoiseError> {
///         Ok(self.0.uniform(samples))
///     }
/// }
/// let device = Device::flex();
/// let loud = Louder(HostNoise::new(7)).draw([2, 3], &device);
/// assert_eq!(loud.into_data(), (HostNoise::new(7).draw([2, 3], &device) * 2.0).into_data());
/// ```
pub trait NoiseSource: Send {
    /// The next draw: `z ~ N(0, I)` for a tensor of this shape, `[batch, …]`, as its elements row by
    /// row.
    fn normal(&mut self, shape: &[usize], device: &Device) -> Tensor<1>;

    /// The next draw, uniform on [0, 1): one number per sample, on the host. For training times,
    /// dropout and other choices.
    ///
    /// # Errors
    /// [`NoiseError::Read`] where the numbers are drawn on a device and cannot be read back;
    /// [`NoiseError::Record`] and [`NoiseError::Batch`] where a source has no such draw.
    fn uniform(&mut self, samples: usize) -> Result<Vec<f64>, NoiseError>;

    /// The next draw of a step from level `from` to level `to`.
    ///
    /// By default a draw like any other. [`BrownianNoise`](crate::BrownianNoise) gives the
    /// increment of one Brownian path between the two levels, so that the noise of a run does not
    /// depend on the number of its steps.
    fn between(
        &mut self,
        shape: &[usize],
        from: NoiseLevel,
        to: NoiseLevel,
        device: &Device,
    ) -> Tensor<1> {
        let _ = (from, to);
        self.normal(shape, device)
    }

    /// Sets what the next draws are for. By default this changes nothing.
    fn switch_to(&mut self, stream: Stream) {
        let _ = stream;
    }

    /// The next draw of [`normal`](Self::normal) as a tensor of this shape.
    fn draw<const D: usize>(&mut self, shape: [usize; D], device: &Device) -> Tensor<D>
    where
        Self: Sized,
    {
        let values = self.normal(&shape, device);
        // To `reshape` a 0 means "as before".
        if shape.contains(&0) { Tensor::empty(shape, device) } else { values.reshape(shape) }
    }
}

macro_rules! delegate {
    ($($pointer:ty),*) => {$(
        impl<N: NoiseSource + ?Sized> NoiseSource for $pointer {
            fn normal(&mut self, shape: &[usize], device: &Device) -> Tensor<1> {
                (**self).normal(shape, device)
            }
            fn uniform(&mut self, samples: usize) -> Result<Vec<f64>, NoiseError> {
                (**self).uniform(samples)
            }
            fn between(
                &mut self,
                shape: &[usize],
                from: NoiseLevel,
                to: NoiseLevel,
                device: &Device,
            ) -> Tensor<1> {
                (**self).between(shape, from, to, device)
            }
            fn switch_to(&mut self, stream: Stream) {
                (**self).switch_to(stream);
            }
        }
    )*};
}
delegate!(&mut N, Box<N>);
