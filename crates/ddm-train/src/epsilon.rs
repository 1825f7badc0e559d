//! The noise of an example: plain, with an offset per channel, or paired with the data.

use burn::tensor::Tensor;
use ddm_noise::NoiseSource;

use crate::TrainError;
use crate::pairing::pair;

/// How the ε of a batch is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Epsilon {
    /// The std of the offset per sample and channel; 0 is none.
    pub(crate) offset: f64,
    /// Whether samples and noise are assigned to each other.
    pub(crate) paired: bool,
}

impl Epsilon {
    /// Draws ε for a batch x₀: one draw, and one more with an offset.
    pub(crate) fn draw<const D: usize>(
        self,
        x0: &Tensor<D>,
        noise: &mut impl NoiseSource,
    ) -> Result<Tensor<D>, TrainError> {
        let mut epsilon = noise.draw(x0.dims(), &x0.device());
        if self.offset > 0.0 {
            let mut of_channels = [1; D];
            for (size, of_x0) in of_channels.iter_mut().zip(x0.dims()).take(2) {
                *size = of_x0;
            }
            let offset: Tensor<D> = noise.draw(of_channels, &x0.device());
            epsilon = epsilon + offset * self.offset;
        }
        if self.paired { Ok(pair(x0, epsilon)?) } else { Ok(epsilon) }
    }
}
