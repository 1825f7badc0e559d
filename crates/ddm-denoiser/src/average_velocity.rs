//! The average velocity between two times, for flow maps.

use burn::module::{Module, ModuleDisplay};
use burn::tensor::Tensor;

use crate::{ConditionalPredictor, FromFn, NoisePredictor};

/// A network `u(z, r, t)`: the average velocity of the straight path's flow between two times,
///
/// ```text
/// u(z_t, r, t) = 1/(t − r) ∫_r^t v(z_τ, τ) dτ,   so that   z_r = z_t − (t − r) u(z_t, r, t)
/// ```
///
/// on `z_t = (1 − t) x₀ + t ε`. At r = t it is the velocity `v(z, t)`. `z` is `[batch, …]`, `r ≤ t` are
/// `[batch]`, in [0, 1]. A module implements it, [`from_fn`](crate::from_fn) makes one of a closure
/// `|z, r, t| …`, and [`WithInterval`] of a network with one time. Training differentiates u along t, so u
/// should be a smooth function of time: the usual embeddings of 1000 t are not. Source: Geng et al.,
/// *Mean Flows for One-step Generative Modeling*, eq. 3, arXiv 2505.13447.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use ddm_denoiser::{AverageVelocity, from_fn};
/// // Data that is always 0: z_t = t ε, and every velocity is ε = z/t.
/// let zero = from_fn(|z: Tensor<2>, _r: Tensor<1>, t: Tensor<1>| z / t.unsqueeze_dim(1));
/// let z = Tensor::<2>::full([1, 1], 0.5, &Device::flex());
/// let (r, t) = (Tensor::zeros([1], &Device::flex()), Tensor::full([1], 0.25, &Device::flex()));
/// assert_eq!(zero.average_velocity(z, r, t).into_data().to_vec::<f32>(), Ok(vec![2.0]));
/// ```
#[auto_impl::auto_impl(&, Box, Arc)]
pub trait AverageVelocity<const D: usize>: Send + Sync {
    /// Returns `u(z, r, t)`, of the shape of z.
    fn average_velocity(&self, z: Tensor<D>, r: Tensor<1>, t: Tensor<1>) -> Tensor<D>;
}

impl<const D: usize, F> AverageVelocity<D> for FromFn<F>
where
    F: Fn(Tensor<D>, Tensor<1>, Tensor<1>) -> Tensor<D> + Send + Sync,
{
    fn average_velocity(&self, z: Tensor<D>, r: Tensor<1>, t: Tensor<1>) -> Tensor<D> {
        (self.0)(z, r, t)
    }
}

/// A network with one time as an [`AverageVelocity`]: the length `t − r` is one more channel of its
/// input (axis 1), and its time is 10 t.
///
/// Sinusoidal embeddings are made for times up to 1000, where they turn by 1000 radians. Here that would
/// be the factor of the derivative along t, and training would diverge, so time is a hundredth of that.
/// The network takes one channel more than z. If it returns more channels than z has, as an MLP does
/// whose output is as wide as its input, the first are u. It is a module, so it is trained as it is.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use ddm_denoiser::{AverageVelocity, WithInterval, from_fn};
/// # use burn::module::Module;
/// # #[derive(Module, Debug)]
/// # struct Network;
/// # impl ddm_denoiser::NoisePredictor<2> for Network {
/// #     fn predict(&self, x: Tensor<2>, _t: Tensor<1>) -> Tensor<2> { x }
/// # }
/// // A network for points of 3 coordinates: two of z, and the interval.
/// let network = WithInterval::new(Network);
/// let (z, at) = (Tensor::<2>::ones([4, 2], &Device::flex()), |t| Tensor::full([4], t, &Device::flex()));
/// assert_eq!(network.average_velocity(z, at(0.25), at(0.5)).dims(), [4, 2]);
/// ```
#[derive(Module, Debug)]
pub struct WithInterval<N: Module + ModuleDisplay> {
    network: N,
}

/// The network's time at t = 1.
const TIME: f64 = 10.0;

impl<N: Module + ModuleDisplay> WithInterval<N> {
    /// Wraps a network whose input has one channel more than z.
    pub fn new(network: N) -> Self {
        Self { network }
    }

    /// Returns the network.
    pub fn into_inner(self) -> N {
        self.network
    }

    /// Returns `u(z, r, t, c)` of a network with a condition. For training and sampling, bind it:
    /// `from_fn(|z, r, t| network.average_velocity_with(z, r, t, condition.clone()))`.
    pub fn average_velocity_with<const D: usize>(
        &self,
        z: Tensor<D>,
        r: Tensor<1>,
        t: Tensor<1>,
        condition: N::Condition,
    ) -> Tensor<D>
    where
        N: ConditionalPredictor<D>,
    {
        with_interval(z, r, t, |x, t| self.network.predict_with(x, t, condition))
    }
}

/// Calls a network of one time with t − r as one more channel.
fn with_interval<const D: usize>(
    z: Tensor<D>,
    r: Tensor<1>,
    t: Tensor<1>,
    predict: impl FnOnce(Tensor<D>, Tensor<1>) -> Tensor<D>,
) -> Tensor<D> {
    let (mut one, shape) = ([1; D], z.dims());
    one[0] = shape[0];
    let mut channel = shape;
    channel[1] = 1;
    let length = (t.clone() - r).cast(z.dtype()).reshape(one).expand(channel);
    let u = predict(Tensor::cat(vec![z, length], 1), t * TIME);
    if u.dims()[1] > shape[1] { u.narrow(1, 0, shape[1]) } else { u }
}

impl<const D: usize, N: NoisePredictor<D> + Module + ModuleDisplay> AverageVelocity<D>
    for WithInterval<N>
{
    fn average_velocity(&self, z: Tensor<D>, r: Tensor<1>, t: Tensor<1>) -> Tensor<D> {
        with_interval(z, r, t, |x, t| self.network.predict(x, t))
    }
}
