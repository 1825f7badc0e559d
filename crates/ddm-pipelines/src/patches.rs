//! Flux's transformer as a network of images.

use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use ddm_denoiser::{ConditionalPredictor, ModelError};
use ddm_models::Prepared;
use ddm_models::transformer::{FluxConditions, FluxTransformer};

use crate::pack::{pack, unpack};

/// Returns the positions of patches, `[patches, 3]`: 0, row, column.
pub(crate) fn positions(rows: usize, columns: usize, device: &Device) -> Tensor<2> {
    let each =
        (0..rows).flat_map(|row| (0..columns).map(move |column| [0.0, row as f32, column as f32]));
    let numbers: Vec<f32> = each.flatten().collect();
    Tensor::from_data(TensorData::new(numbers, [rows * columns, 3]), device)
}

/// Flux's transformer with x as an image: it takes patches of 2×2.
pub(crate) struct Unpacked(pub(crate) Arc<Prepared<FluxTransformer>>);

impl ConditionalPredictor<4> for Unpacked {
    type Condition = FluxConditions;

    fn predict_with(&self, x: Tensor<4>, t: Tensor<1>, condition: FluxConditions) -> Tensor<4> {
        let [_, _, height, width] = x.dims();
        unpack(self.0.predict_with(pack(x), t, condition), height, width)
    }

    fn check_with(
        &self,
        [batch, channels, height, width]: [usize; 4],
        condition: &FluxConditions,
    ) -> Result<(), ModelError> {
        self.0.check_with([batch, height / 2 * (width / 2), 4 * channels], condition)
    }

    fn output_shape_with(&self, shape: [usize; 4]) -> Option<[usize; 4]> {
        Some(shape)
    }
}
