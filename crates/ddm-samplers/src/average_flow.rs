//! Sampling with the average velocity of a flow.

use burn::tensor::Tensor;
use ddm_denoiser::{AverageVelocity, ModelError, full_precision};
use ddm_schedule::{Invalid, Levels, NoiseLevel};

/// Moves x through `levels` of the straight path with a network of average velocities:
/// `z_r = z_t − (t − r) u(z_t, r, t)`. One model call per step.
///
/// x is at the first level: noise N(0, I) at t = 1. One step from t = 1 to 0 is a sample, and each step is
/// exact if the network is, so more steps only divide what it has to learn. Deterministic. Source:
/// Geng et al., *Mean Flows for One-step Generative Modeling*, algorithm 2, arXiv 2505.13447.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use ddm_denoiser::from_fn;
/// use ddm_samplers::average_flow;
/// use ddm_schedule::{Grid, RectifiedFlow, Trailing};
/// // Data that is always 0: the velocity is z/t, the same at all times of a path.
/// let zero = from_fn(|z: Tensor<2>, _r: Tensor<1>, t: Tensor<1>| z / t.unsqueeze_dim(1));
/// let one = Trailing.levels(&RectifiedFlow, 1)?;
/// let x = average_flow(&zero, &one, Tensor::<2>::ones([3, 2], &Device::flex()))?;
/// assert_eq!(x.into_data().to_vec::<f32>()?, [0.0; 6]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Returns an error if a level is not one of [`RectifiedFlow`](ddm_schedule::RectifiedFlow)
/// (α + σ = 1), or the network returns another shape than that of x.
pub fn average_flow<const D: usize>(
    network: &impl AverageVelocity<D>,
    levels: &Levels,
    x: Tensor<D>,
) -> Result<Tensor<D>, ModelError> {
    for NoiseLevel { alpha, sigma, .. } in levels.iter() {
        let sum = alpha + sigma;
        let straight = (sum - 1.0).abs() < 1e-6;
        Invalid::require(straight, "alpha + sigma of a level", sum, "1, as of RectifiedFlow")?;
    }
    let mut z = full_precision(x);
    let (batch, device, dtype) = (z.dims()[0], z.device(), z.dtype());
    let time = |at: NoiseLevel| Tensor::full([batch], at.sigma, (&device, dtype));
    for pair in levels.windows(2) {
        let (from, to) = (pair[0], pair[1]);
        let u = network.average_velocity(z.clone(), time(to), time(from));
        ModelError::require_prediction(u.dims(), z.dims())?;
        z = z - u.cast(dtype) * (from.sigma - to.sigma);
    }
    Ok(z)
}
