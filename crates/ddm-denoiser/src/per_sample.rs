//! Numbers that differ from sample to sample.

use burn::tensor::{Tensor, TensorData};

/// Returns one number per sample as `[batch, 1, …]`, with the device and float type of x: a factor
/// to broadcast.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use ddm_denoiser::{column, sum_each};
/// let x = Tensor::<3>::ones([2, 4, 5], &Device::flex());
/// let scaled = x.clone() * column(&x, [0.5, 2.0]);
/// assert_eq!(sum_each(scaled).into_data().to_vec::<f32>()?, [10.0, 40.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn column<const D: usize>(x: &Tensor<D>, values: impl IntoIterator<Item = f64>) -> Tensor<D> {
    let values: Vec<f64> = values.into_iter().collect();
    let mut shape = [1; D];
    shape[0] = values.len();
    Tensor::from_data(TensorData::new(values, shape), (&x.device(), x.dtype()))
}

/// Returns the sum over all but the first axis, `[batch]`.
pub fn sum_each<const D: usize>(x: Tensor<D>) -> Tensor<1> {
    let batch = x.dims()[0];
    let rows: Tensor<2> = x.reshape([batch as i64, -1]);
    rows.sum_dim(1).squeeze_dim(1)
}

/// Returns `‖x‖²` per sample, `[batch, 1, …]`: a factor to broadcast.
pub fn norm_square<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let mut shape = [1; D];
    shape[0] = x.dims()[0];
    sum_each(x.square()).reshape(shape)
}

/// One number per sample, `[batch]`; a single value is repeated for all samples of x.
pub(crate) fn per_sample<const D: usize>(
    x: &Tensor<D>,
    values: impl IntoIterator<Item = f64>,
) -> Tensor<1> {
    let values: Vec<f64> = values.into_iter().collect();
    match values[..] {
        [value] => Tensor::full([x.dims()[0]], value, (&x.device(), x.dtype())),
        _ => column(x, values.iter().copied()).reshape([values.len()]),
    }
}

/// x times one factor for all samples, or one per sample.
pub(crate) fn times<const D: usize>(x: Tensor<D>, factors: &[f64]) -> Tensor<D> {
    match factors {
        [first, others @ ..] if others.iter().all(|other| other == first) => match *first {
            1.0 => x,
            factor => x * factor,
        },
        factors => {
            let factors = column(&x, factors.iter().copied());
            x * factors
        }
    }
}
