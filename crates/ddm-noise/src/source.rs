//! The trait of noise sources.

use auto_impl::auto_impl;
use burn::tensor::{Device, Tensor};
use ddm_schedule::NoiseLevel;
use serde::{Deserialize, Serialize};

use crate::NoiseError;

/// The purpose of a draw. Counter-based sources give each purpose different numbers, so that a
/// sampler never adds the noise that a user of the same seed has added to data. The values of the
/// variants are part of the key and never change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Stream {
    /// Draws by the program.
    #[default]
    User = 0,
    /// The start of a sampling run.
    Start = 1,
    /// The noise that a sampler adds per step.
    Sampler = 2,
    /// Times, noise and dropout of training.
    Training = 3,
    /// Random probe vectors, such as those of a trace estimate.
    Probe = 4,
}

/// A source of random numbers.
///
/// Only [`normal`](Self::normal) is required. Programs call [`draw`](Self::draw), which returns a
/// tensor of the given shape.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use ddm_noise::{HostNoise, NoiseSource};
/// /// Noise of twice the standard deviation.
/// struct Louder(HostNoise);
/// impl NoiseSource for Louder {
///     fn normal(&mut self, shape: &[usize], device: &Device) -> Tensor<1> {
///         self.0.normal(shape, device) * 2.0
///     }
/// }
/// let device = Device::flex();
/// let loud = Louder(HostNoise::new(7)).draw([2, 3], &device);
/// assert_eq!(loud.into_data(), (HostNoise::new(7).draw([2, 3], &device) * 2.0).into_data());
/// ```
#[auto_impl(&mut, Box)]
pub trait NoiseSource: Send {
    /// Returns the next draw: the elements, row by row, of `z ~ N(0, I)` of this shape, `[batch,
    /// …]`.
    fn normal(&mut self, shape: &[usize], device: &Device) -> Tensor<1>;

    /// Returns the next draw, uniform on [0, 1): one number per sample, on the host. It serves
    /// training times, dropout and other choices.
    ///
    /// Sampling does not use it; the default implementation returns an error.
    ///
    /// # Errors
    ///
    /// Returns [`NoiseError::Read`] if the numbers cannot be read from a device,
    /// [`NoiseError::Record`] or [`NoiseError::Batch`] if the source does not have this draw, and
    /// [`NoiseError::NotUniform`] if it draws only normal numbers.
    fn uniform(&mut self, samples: usize) -> Result<Vec<f64>, NoiseError> {
        let _ = samples;
        Err(NoiseError::NotUniform)
    }

    /// Returns the next draw, for a step from level `from` to level `to`.
    ///
    /// By default it is an ordinary draw. [`BrownianNoise`](crate::BrownianNoise) returns the
    /// increment of one Brownian path between the two levels, so that the noise of a run does not
    /// depend on its number of steps.
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

    /// Sets the purpose of the next draws. By default this has no effect.
    fn switch_to(&mut self, stream: Stream) {
        let _ = stream;
    }

    /// Returns the next draw of [`normal`](Self::normal) as a tensor of this shape.
    #[auto_impl(keep_default_for(&mut, Box))]
    fn draw<const D: usize>(&mut self, shape: [usize; D], device: &Device) -> Tensor<D>
    where
        Self: Sized,
    {
        let values = self.normal(&shape, device);
        // `reshape` interprets a 0 as "unchanged".
        if shape.contains(&0) { Tensor::empty(shape, device) } else { values.reshape(shape) }
    }
}
