//! The steps of a teacher, each sample at its own levels.

use burn::tensor::Tensor;
use ddm_denoiser::{Denoiser, ModelError, linear_combination_each};
use ddm_schedule::{NoiseLevel, kernel};

/// Returns x at the levels `from`, one per sample: `α x₀ + σ ε`.
pub(super) fn noisy<const D: usize>(
    x0: &Tensor<D>,
    epsilon: &Tensor<D>,
    from: &[NoiseLevel],
) -> Tensor<D> {
    let (alpha, sigma) = from.iter().map(|at| (at.alpha, at.sigma)).unzip();
    linear_combination_each([(alpha, x0.clone()), (sigma, epsilon.clone())])
}

/// Takes a step of DDIM with a teacher, without gradients: the reverse kernel with c = 0.
pub(super) fn ddim<const D: usize>(
    teacher: &impl Denoiser<D>,
    x: Tensor<D>,
    from: &[NoiseLevel],
    to: &[NoiseLevel],
) -> Result<Tensor<D>, ModelError> {
    let x0 = predicted(teacher, &x, from)?;
    let step = |(&from, &to): (&NoiseLevel, &NoiseLevel)| kernel::reverse(from, to, 0.0);
    let (of_x, of_x0) = from.iter().zip(to).map(step).map(|step| (step.x, step.x0)).unzip();
    Ok(linear_combination_each([(of_x, x), (of_x0, x0)]))
}

/// Takes a step of Heun's method in σ/α: along the mean of the slopes, which are ε̂, at both ends of a
/// step of DDIM. Steps from α = 0 or to σ = 0, where a slope is not defined, are those of DDIM.
pub(super) fn heun<const D: usize>(
    teacher: &impl Denoiser<D>,
    x: Tensor<D>,
    from: &[NoiseLevel],
    to: &[NoiseLevel],
) -> Result<Tensor<D>, ModelError> {
    let euler = ddim(teacher, x.clone(), from, to)?;
    let inside = |from: &NoiseLevel, to: &NoiseLevel| from.alpha > 0.0 && to.sigma > 0.0;
    // Where the slope at the end is not defined, the teacher is called at the begin, to no effect.
    let seen: Vec<NoiseLevel> =
        from.iter().zip(to).map(|(from, to)| if inside(from, to) { *to } else { *from }).collect();
    let x0 = predicted(teacher, &euler, &seen)?;
    // x' = (α'/α) x + (σ' − α' σ/α) (ε̂ + ε̂')/2, where DDIM has ε̂ alone: half of DDIM's x', and half of
    // the same with ε̂' = (x_euler − α' x̂₀')/σ'.
    let factors = |(from, to): (&NoiseLevel, &NoiseLevel)| {
        if !inside(from, to) {
            return [1.0, 0.0, 0.0];
        }
        let kept = to.alpha / from.alpha;
        let slope = 0.5 * (to.sigma - kept * from.sigma) / to.sigma;
        [0.5 + slope, 0.5 * kept, -slope * to.alpha]
    };
    let factors: Vec<[f64; 3]> = from.iter().zip(to).map(factors).collect();
    let of = |term: usize| factors.iter().map(|factors| factors[term]).collect();
    Ok(linear_combination_each([(of(0), euler), (of(1), x), (of(2), x0)]))
}

/// Returns the teacher's x̂₀ without gradients.
fn predicted<const D: usize>(
    teacher: &impl Denoiser<D>,
    x: &Tensor<D>,
    at: &[NoiseLevel],
) -> Result<Tensor<D>, ModelError> {
    let x0 = teacher.predict_x0(x.clone(), at).x0.inner();
    ModelError::require_prediction(x0.dims(), x.dims())?;
    Ok(x0.cast(x.dtype()))
}
