//! Conversions between tensors and plain numbers.

use ddm_core::burn::tensor::{Device, Tensor, TensorData};

use crate::pictures::Images;

/// Returns the values of a tensor of any rank, in row-major order. Waits for the device.
pub fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().convert::<f32>().try_into_vec().expect("converted to f32 just now")
}

/// Returns points `[n, 2]` as pairs. Waits for the device.
///
/// # Panics
///
/// Panics if the tensor does not have two columns.
pub fn points(tensor: Tensor<2>) -> Vec<[f32; 2]> {
    assert_eq!(tensor.dims()[1], 2, "points have two coordinates");
    numbers(tensor).chunks_exact(2).map(|pair| [pair[0], pair[1]]).collect()
}

/// Returns each image followed by the other of its number, `[2n, channels, height, width]`, for a grid
/// of an even number of columns.
///
/// # Panics
///
/// Panics if the shapes differ.
pub fn beside(images: Tensor<4>, others: Tensor<4>) -> Tensor<4> {
    let [count, channels, height, width] = images.dims();
    Tensor::stack::<5>(vec![images, others], 1).reshape([2 * count, channels, height, width])
}

/// Returns pairs as a tensor `[n, 2]`.
pub fn from_points(points: &[[f32; 2]], device: &Device) -> Tensor<2> {
    Tensor::from_data(TensorData::new(points.as_flattened().to_vec(), [points.len(), 2]), device)
}

impl From<Tensor<4>> for Images {
    /// Converts images `[n, channels, height, width]` in [−1, 1]. Waits for the device.
    fn from(tensor: Tensor<4>) -> Self {
        let shape = tensor.dims();
        Self::new(numbers(tensor), shape)
    }
}
