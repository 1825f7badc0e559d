//! The mean and covariance of multivariate samples of any distribution.

use burn::tensor::Tensor;

use crate::{Violation, compare};

const LAW: &str = "samples have the mean and the covariance";

/// Checks that samples `[N, dim]` have this mean and covariance, each entry within `bound` standard
/// errors of [`standard_errors_off`].
///
/// ```
/// use burn::tensor::Device;
/// use ddm_samplers::HostNoise;
/// use ddm_testkit::{GaussianMixture, moments};
/// let mixture = GaussianMixture::new([vec![-1.0, 0.5], vec![1.0, 0.0]], [0.2, 0.4], [1.0, 2.0])?;
/// let samples = mixture.sample(10_000, &mut HostNoise::new(1), &Device::flex());
/// let covariance = mixture.covariance();
/// moments::samples_have(samples.clone(), &mixture.mean(), &covariance, 3.0)?;
/// let uncorrelated = [vec![covariance[0][0], 0.0], vec![0.0, covariance[1][1]]];
/// assert!(moments::samples_have(samples, &mixture.mean(), &uncorrelated, 3.0).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// Returns the first violation.
pub fn samples_have(
    samples: Tensor<2>,
    mean: &[f64],
    covariance: &[Vec<f64>],
    bound: f64,
) -> Result<(), Violation> {
    let off = standard_errors_off(samples, mean, covariance)?;
    Violation::unless(
        off.iter().all(|off| off.abs() <= bound),
        LAW,
        || format!("deviations of means, then covariances, of {off:.1?} standard errors"),
        &format!("at most {bound}"),
    )
}

/// Returns the deviation of each entry in standard errors: the means m_i, then the covariances
/// C_ij, i ≤ j, row by row. The standard errors are
///
/// ```text
/// of the mean:        √(C_ii/N)
/// of the covariance:  √(Var[y_ij]/N),   y_ij = (x_i − m_i)(x_j − m_j)
/// ```
///
/// with the exact m and C and, since it takes fourth moments, the variance of y among the samples.
/// For a Gaussian that is `√((C_ii C_jj + C_ij²)/N)` up to chance.
///
/// # Errors
///
/// Returns the first violation.
pub fn standard_errors_off(
    samples: Tensor<2>,
    mean: &[f64],
    covariance: &[Vec<f64>],
) -> Result<Vec<f64>, Violation> {
    let [_, dim] = samples.dims();
    if mean.len() != dim || covariance.len() != dim || covariance.iter().any(|row| row.len() != dim)
    {
        let demanded = format!("a mean of {dim} and a covariance of {dim} × {dim} values");
        return Err(Violation::new(LAW, format!("samples of {dim} elements"), demanded));
    }
    let values = compare::values(LAW, samples)?;
    let off = |expected: f64, variance: Option<f64>, of: &dyn Fn(&[f64]) -> f64| {
        let y: Vec<f64> = values.chunks(dim).map(of).collect();
        let found = super::of(&y);
        let error = (variance.unwrap_or(found.variance) / y.len() as f64).sqrt();
        let apart = found.mean - expected;
        // An exact value has deviation 0, even without variance.
        if apart == 0.0 { 0.0 } else { apart / error }
    };
    let means = (0..dim).map(|i| off(mean[i], Some(covariance[i][i]), &|x| x[i]));
    let pairs = (0..dim).flat_map(|i| (i..dim).map(move |j| (i, j)));
    let covariances = pairs.map(|(i, j)| {
        off(covariance[i][j], None, &|x: &[f64]| (x[i] - mean[i]) * (x[j] - mean[j]))
    });
    Ok(means.chain(covariances).collect())
}
