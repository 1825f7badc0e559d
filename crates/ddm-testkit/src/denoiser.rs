//! The laws of [`Denoiser`] and its wrappers.

use burn::tensor::{Device, Tensor};
use ddm_denoiser::Denoiser;
use ddm_samplers::{HostNoise, NoiseSource};
use ddm_schedule::{NoiseLevel, NoiseSchedule};

use crate::{Violation, compare};

/// Checks every law of a denoiser, for x of the given shape (`[batch, …]`, batch at least 2).
///
/// # Errors
///
/// Returns the first violation.
pub fn all<const D: usize>(
    denoiser: &dyn Denoiser<D>,
    schedule: &dyn NoiseSchedule,
    shape: [usize; D],
    device: &Device,
) -> Result<(), Violation> {
    keeps_shape(denoiser, schedule, shape, device)?;
    repeats(denoiser, schedule, shape, device)?;
    samples_are_apart(denoiser, schedule, shape, device)?;
    levels_are_apart(denoiser, schedule, shape, device)
}

/// Returns a few levels and an x of each, as in a run.
fn examples<const D: usize>(
    schedule: &dyn NoiseSchedule,
    shape: [usize; D],
    device: &Device,
) -> impl Iterator<Item = (NoiseLevel, Tensor<D>)> {
    let mut noise = HostNoise::new(2);
    [0.9, 0.7, 0.5, 0.3, 0.1].map(|t| schedule.level(t)).into_iter().map(move |at| {
        let x: Tensor<D> = noise.draw(shape, device);
        (at, x * at.scale())
    })
}

/// Checks that x̂₀ has the shape and float type of x, and finite values.
///
/// # Errors
///
/// Returns the first violation.
pub fn keeps_shape<const D: usize>(
    denoiser: &dyn Denoiser<D>,
    schedule: &dyn NoiseSchedule,
    shape: [usize; D],
    device: &Device,
) -> Result<(), Violation> {
    const LAW: &str = "x0 has the shape of x";
    for (at, x) in examples(schedule, shape, device) {
        denoiser.check(&x, at).map_err(|error| Violation::from_error(LAW, error))?;
        let dtype = x.dtype();
        let x0 = denoiser.denoise(x, at);
        let (found, found_dtype) = (x0.dims(), x0.dtype());
        let finite = compare::values(LAW, x0)?.iter().all(|value| value.is_finite());
        Violation::unless(
            found == shape && found_dtype == dtype && finite,
            LAW,
            || format!("shape {found:?}, {found_dtype:?}, all finite: {finite}, at {at:?}"),
            &format!("shape {shape:?}, {dtype:?}, all finite"),
        )?;
    }
    Ok(())
}

/// Checks that the same x has the same x̂₀: dropout and the like are off.
///
/// # Errors
///
/// Returns the first violation.
pub fn repeats<const D: usize>(
    denoiser: &dyn Denoiser<D>,
    schedule: &dyn NoiseSchedule,
    shape: [usize; D],
    device: &Device,
) -> Result<(), Violation> {
    examples(schedule, shape, device).try_for_each(|(at, x)| {
        let (first, second) = (denoiser.denoise(x.clone(), at), denoiser.denoise(x, at));
        compare::close_tensors("a denoiser repeats its prediction", second, first, 0.0)
    })
}

/// Checks that x̂₀ of a sample does not depend on the values or the order of the other samples of
/// the batch. It does not apply to a denoiser with a condition per sample.
///
/// # Errors
///
/// Returns the first violation.
pub fn samples_are_apart<const D: usize>(
    denoiser: &dyn Denoiser<D>,
    schedule: &dyn NoiseSchedule,
    shape: [usize; D],
    device: &Device,
) -> Result<(), Violation> {
    examples(schedule, shape, device).try_for_each(|(at, x)| {
        let first = x.clone().narrow(0, 0, 1);
        let mates = x.clone().narrow(0, 1, shape[0] - 1) * 2.0 + 1.0;
        let others = Tensor::cat(vec![first, mates], 0);
        let beside_others = denoiser.denoise(others, at).narrow(0, 0, 1);
        let alike = denoiser.denoise(x.clone(), at).narrow(0, 0, 1);
        compare::close_tensors("samples do not depend on the batch", beside_others, alike, 1e-5)?;
        let there = denoiser.denoise(x.clone().flip([0]), at).flip([0]);
        let here = denoiser.denoise(x, at);
        compare::close_tensors("samples do not depend on the batch", there, here, 1e-5)
    })
}

/// Checks that with one level per sample ([`Denoiser::predict_x0`]) each sample has the same x̂₀ as
/// if all samples were at its level.
///
/// # Errors
///
/// Returns the first violation.
pub fn levels_are_apart<const D: usize>(
    denoiser: &dyn Denoiser<D>,
    schedule: &dyn NoiseSchedule,
    shape: [usize; D],
    device: &Device,
) -> Result<(), Violation> {
    const LAW: &str = "a sample's x0 depends on its own level only";
    let (levels, xs): (Vec<_>, Vec<_>) = examples(schedule, shape, device).take(shape[0]).unzip();
    let rows = |of: &dyn Fn(usize) -> Tensor<D>| {
        let row = |i: usize| of(i).narrow(0, i % shape[0], 1);
        Tensor::cat((0..shape[0]).map(row).collect(), 0)
    };
    let at: Vec<NoiseLevel> = (0..shape[0]).map(|i| levels[i % levels.len()]).collect();
    let x = rows(&|i| xs[i % xs.len()].clone());
    let demanded = rows(&|i| denoiser.denoise(x.clone(), at[i]));
    let found = denoiser.predict_x0(x.clone(), &at).x0;
    compare::close_tensors(LAW, found, demanded, 1e-5)
}

/// Checks that two denoisers predict the same x̂₀ and learned variance for the same x in f32, such
/// as a model and a wrapper without effect, or two forms of one model.
///
/// # Errors
///
/// Returns the first violation.
pub fn agree<const D: usize>(
    found: &dyn Denoiser<D>,
    demanded: &dyn Denoiser<D>,
    schedule: &dyn NoiseSchedule,
    shape: [usize; D],
    device: &Device,
) -> Result<(), Violation> {
    const LAW: &str = "two denoisers agree";
    examples(schedule, shape, device).try_for_each(|(at, x)| {
        let found = found.predict_x0(x.clone(), &[at]);
        let demanded = demanded.predict_x0(x, &[at]);
        compare::close_tensors(LAW, found.x0, demanded.x0, 1e-5)?;
        match (found.variance, demanded.variance) {
            (Some(found), Some(demanded)) => compare::close_tensors(LAW, found, demanded, 1e-5),
            (None, None) => Ok(()),
            (found, _) => {
                let has =
                    |has: bool| if has { "a learned variance" } else { "no learned variance" };
                Err(Violation::new(LAW, has(found.is_some()), has(found.is_none())))
            }
        }
    })
}
