//! Spherical interpolation between latents.

use burn::tensor::Tensor;
use ddm_denoiser::{
    ModelError, column, full_precision, norm_square, read_back, sum_each, wait_for,
};
use ddm_schedule::Invalid;

use crate::ScoreError;

/// Interpolates spherically, per sample, from `a` (u = 0) to `b` (u = 1): along the great circle
/// through both directions, with a norm between theirs.
///
/// ```text
/// x(u) = ((1 − u)|a| + u |b|) · ( sin((1 − u)Ω) â + sin(uΩ) b̂ )/sin Ω,   Ω = ∠(a, b)
/// ```
///
/// If `|a| = |b|` this is the formula of DDIM. The straight line between two latents passes through
/// points whose norm is much too small for noise, and its decoded samples look washed out.
///
/// Nearly parallel latents are interpolated along the straight line, which is then the same. Reads
/// two numbers per sample back from the device.
///
/// Source: Shoemake, *Animating Rotation with Quaternion Curves*, SIGGRAPH 1985; Song et al.,
/// *Denoising Diffusion Implicit Models*, sec. 5.3 and app. D.5, arXiv 2010.02502.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use ddm_score::slerp;
/// let a = Tensor::<2>::from_floats([[2.0, 0.0]], &Device::flex());
/// let b = Tensor::<2>::from_floats([[0.0, 2.0]], &Device::flex());
/// let middle = slerp(a, b, 0.5)?;
/// let half = 2_f32.sqrt();
/// assert!(middle.all_close(Tensor::from([[half, half]]), None, None));
/// # Ok::<(), ddm_score::ScoreError>(())
/// ```
///
/// # Errors
/// Returns an error if u is outside [0, 1], if the latents have different or empty shapes, if two
/// latents point in opposite directions, or if the device cannot be read.
pub fn slerp<const D: usize>(a: Tensor<D>, b: Tensor<D>, u: f64) -> Result<Tensor<D>, ScoreError> {
    wait_for(slerp_async(a, b, u))
}

/// Interpolates as [`slerp`] without blocking, for platforms such as browsers.
///
/// # Errors
/// Returns the errors of [`slerp`].
pub async fn slerp_async<const D: usize>(
    a: Tensor<D>,
    b: Tensor<D>,
    u: f64,
) -> Result<Tensor<D>, ScoreError> {
    Invalid::require((0.0..=1.0).contains(&u), "u", u, "in [0, 1]")?;
    ScoreError::require_some(&a.dims())?;
    if a.dims() != b.dims() {
        let (what, found) = ("the second latent", format!("of shape {:?}", b.dims()));
        let expected = format!("{:?}, the shape of the first", a.dims());
        return Err(ModelError::Shape { what, found, expected }.into());
    }
    let (a, b) = (full_precision(a), full_precision(b));
    let (norm_a, norm_b) = (norm_square(a.clone()).sqrt(), norm_square(b.clone()).sqrt());
    // A latent of norm 0 has no direction: it stays 0.
    let direction = |x: Tensor<D>, norm: &Tensor<D>| x / norm.clone().clamp_min(1e-30);
    let (a, b) = (direction(a, &norm_a), direction(b, &norm_b));
    // Ω = 2 atan2(|â − b̂|, |â + b̂|), which is accurate also near 0 and π.
    let (apart, along) = (a.clone() - b.clone(), a.clone() + b.clone());
    let apart = read_back("the distance of the latents", sum_each(apart.square())).await?;
    let along = read_back("the sum of the latents", sum_each(along.square())).await?;
    let angles: Vec<f64> = apart
        .iter()
        .zip(&along)
        .map(|(apart, along)| 2.0 * apart.sqrt().atan2(along.sqrt()))
        .collect();
    if let Some(sample) = angles.iter().position(|angle| angle.sin() < 1e-6 && *angle > 3.0) {
        return Err(ScoreError::Opposite { sample });
    }
    let part = |of: f64| move |&angle: &f64| share(of, angle);
    let direction = a.clone() * column(&a, angles.iter().map(part(1.0 - u)))
        + b.clone() * column(&b, angles.iter().map(part(u)));
    Ok(direction * (norm_a * (1.0 - u) + norm_b * u))
}

/// sin(u Ω)/sin Ω, and its limit u where Ω is 0.
fn share(u: f64, angle: f64) -> f64 {
    if angle < 1e-4 { u } else { (u * angle).sin() / angle.sin() }
}
