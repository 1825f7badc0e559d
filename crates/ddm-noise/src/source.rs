//! Where the Gaussian noise of a run comes from.

use burn::tensor::{Device, Tensor};

/// A source of standard normal noise, draw after draw.
///
/// The first draw of a run makes its start; samplers take the others as they need them.
pub trait NoiseSource<const D: usize> {
    /// The next draw: `z ~ N(0, I)` of the given shape, f32.
    fn draw(&mut self, shape: [usize; D], device: &Device) -> Tensor<D>;
}

impl<const D: usize, N: NoiseSource<D> + ?Sized> NoiseSource<D> for &mut N {
    fn draw(&mut self, shape: [usize; D], device: &Device) -> Tensor<D> {
        (**self).draw(shape, device)
    }
}
