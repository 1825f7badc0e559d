//! Networks whose learned variance is not used.

use burn::tensor::Tensor;
use ddm_denoiser::{ConditionalPredictor, ModelError};

/// A network that predicts twice the channels of x, of which the first half is used: a variance that
/// it learned, but that the sampler does not take.
pub(crate) struct FirstChannels<N>(pub(crate) N);

impl<N: ConditionalPredictor<4>> ConditionalPredictor<4> for FirstChannels<N> {
    type Condition = N::Condition;

    fn predict_with(&self, x: Tensor<4>, t: Tensor<1>, condition: N::Condition) -> Tensor<4> {
        let channels = x.dims()[1];
        self.0.predict_with(x, t, condition).narrow(1, 0, channels)
    }

    fn check_with(&self, shape: [usize; 4], condition: &N::Condition) -> Result<(), ModelError> {
        self.0.check_with(shape, condition)
    }

    fn output_shape_with(&self, shape: [usize; 4]) -> Option<[usize; 4]> {
        self.0
            .output_shape_with(shape)
            .map(|[batch, _, height, width]| [batch, shape[1], height, width])
    }
}
