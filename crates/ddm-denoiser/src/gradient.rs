//! The gradient with respect to x.

use burn::tensor::Tensor;

/// Returns f(x) and `∇ₓ f` per sample, for an f that returns one number per sample (`[batch]`).
///
/// The gradient is `None` if f(x) does not depend on x differentiably. Only first order: gradients
/// computed inside f are constants, and so are its weights. Both results are detached from the
/// graph.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use ddm_denoiser::{gradient, sum_each};
/// let x = Tensor::<2>::from_floats([[1.0, 2.0], [3.0, 4.0]], &Device::flex());
/// let (value, slope) = gradient(x.clone(), |x| sum_each(x.square()));
/// assert_eq!(value.into_data().to_vec::<f32>()?, [5.0, 25.0]);
/// assert_eq!(slope.map(Tensor::into_data), Some((x.clone() * 2.0).into_data()));
/// assert!(gradient(x, |x| sum_each(x.detach())).1.is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn gradient<const D: usize>(
    x: Tensor<D>,
    f: impl FnOnce(Tensor<D>) -> Tensor<1>,
) -> (Tensor<1>, Option<Tensor<D>>) {
    let x = x.inner().autodiff().require_grad();
    let value = f(x.clone());
    if !value.is_tracked() {
        return (value.inner(), None);
    }
    let mut gradients = value.clone().sum().backward();
    (value.inner(), x.grad_remove(&mut gradients))
}
