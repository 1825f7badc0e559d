//! The laws of the two [kernels](ddm_schedule::kernel) between the levels of a schedule.
//!
//! A kernel is a linear map of x, x₀ and fresh noise, so each law is about coefficients: a factor
//! of x₀ and a variance, both known exactly.

use ddm_schedule::{NoiseLevel, NoiseSchedule, kernel};

use crate::Violation;

const TOLERANCE: f64 = 1e-9;

/// Checks every law of the kernels.
///
/// # Errors
///
/// Returns the first violation.
pub fn all(schedule: &dyn NoiseSchedule) -> Result<(), Violation> {
    forward_composes(schedule)?;
    forward_reaches_the_level(schedule)?;
    reverse_keeps_the_marginal(schedule)?;
    reverse_is_the_posterior(schedule)
}

fn demand(
    law: &'static str,
    what: &str,
    [found, demanded]: [f64; 2],
    levels: &[NoiseLevel],
) -> Result<(), Violation> {
    Violation::unless(
        (found - demanded).abs() <= TOLERANCE * (1.0 + demanded.abs()),
        law,
        || format!("{what} is {found} over {levels:?}"),
        &format!("{demanded}"),
    )
}

/// Returns levels of the schedule with rising noise: the rows of a table, or else 100 levels.
fn rising(schedule: &dyn NoiseSchedule) -> Vec<NoiseLevel> {
    let count = schedule.steps().unwrap_or(100).min(1000);
    (1..=count).map(|i| schedule.level(i as f64 / count as f64)).collect()
}

/// Checks that two consecutive forward steps are one forward step: for s < t < u,
/// `a_su = a_tu a_st` and `n_su² = a_tu² n_st² + n_tu²`.
///
/// # Errors
///
/// Returns the first violation.
pub fn forward_composes(schedule: &dyn NoiseSchedule) -> Result<(), Violation> {
    const LAW: &str = "forward steps compose";
    let levels = rising(schedule);
    let start = schedule.level(0.0);
    levels.windows(2).try_for_each(|pair| {
        let (first, second) = (kernel::forward(start, pair[0]), kernel::forward(pair[0], pair[1]));
        let both = kernel::forward(start, pair[1]);
        demand(LAW, "the factor of x", [second.x * first.x, both.x], pair)?;
        let variance = (second.x * first.noise).powi(2) + second.noise.powi(2);
        demand(LAW, "the variance", [variance, both.noise.powi(2)], pair)
    })
}

/// Checks that the whole chain of steps from x₀ equals the closed form: `x = α x₀ + σ ε` at every
/// level.
///
/// # Errors
///
/// Returns the first violation.
pub fn forward_reaches_the_level(schedule: &dyn NoiseSchedule) -> Result<(), Violation> {
    const LAW: &str = "the chain equals the closed form";
    let mut last = schedule.level(0.0);
    let (mut signal, mut variance) = (last.alpha, last.sigma.powi(2));
    rising(schedule).into_iter().try_for_each(|level| {
        let step = kernel::forward(last, level);
        signal *= step.x;
        variance = step.x.powi(2) * variance + step.noise.powi(2);
        demand(LAW, "the factor of x0", [signal, level.alpha], &[last, level])?;
        demand(LAW, "the variance", [variance, level.sigma.powi(2)], &[last, level])?;
        last = level;
        Ok(())
    })
}

/// Checks that a reverse step with the exact x₀ keeps the exact marginal for every c: from
/// `x = α x₀ + σ ε` it goes to `α_to x₀ + σ_to ε`.
///
/// # Errors
///
/// Returns the first violation.
pub fn reverse_keeps_the_marginal(schedule: &dyn NoiseSchedule) -> Result<(), Violation> {
    const LAW: &str = "the reverse step keeps the marginal";
    let mut levels = rising(schedule);
    levels.insert(0, NoiseLevel { sigma: 0.0, ..schedule.level(0.0) });
    for stride in [1, 7] {
        for (to, from) in levels.iter().zip(levels.iter().skip(stride)) {
            let (to, from) = (*to, *from);
            let ancestral = kernel::ddim_std(from, to, 1.0);
            for c in [0.0, 0.5 * ancestral, ancestral, kernel::sde_std(from, to, 0.5), to.sigma] {
                let step = kernel::reverse(from, to, c);
                let signal = step.x * from.alpha + step.x0;
                demand(LAW, "the factor of x0", [signal, to.alpha], &[from, to])?;
                let variance = (step.x * from.sigma).powi(2) + step.noise.powi(2);
                demand(LAW, "the variance", [variance, to.sigma.powi(2)], &[from, to])?;
            }
        }
    }
    Ok(())
}

/// Checks that with η = 1 the reverse step is Bayes' posterior of the forward step, `q(x_to |
/// x_from, x₀)`: with the forward step `x_from = a x_to + n z`, the variance is `β̃ = σ_to²
/// n²/σ_from²` and the mean `(a σ_to² x + α_to n² x₀)/σ_from²`. Source: Ho et al., eq. 6–7, arXiv
/// 2006.11239.
///
/// # Errors
///
/// Returns the first violation.
pub fn reverse_is_the_posterior(schedule: &dyn NoiseSchedule) -> Result<(), Violation> {
    const LAW: &str = "eta = 1 is the posterior";
    let levels = rising(schedule);
    levels.windows(2).try_for_each(|pair| {
        let (to, from) = (pair[0], pair[1]);
        let forward = kernel::forward(to, from);
        let reverse = kernel::reverse(from, to, kernel::ddim_std(from, to, 1.0));
        let share = |part: f64| part / from.sigma.powi(2);
        let variance = share((to.sigma * forward.noise).powi(2));
        demand(LAW, "the variance", [reverse.noise.powi(2), variance], pair)?;
        let of_x = share(forward.x * to.sigma.powi(2));
        demand(LAW, "the factor of x", [reverse.x, of_x], pair)?;
        let of_x0 = share(to.alpha * forward.noise.powi(2));
        demand(LAW, "the factor of x0", [reverse.x0, of_x0], pair)
    })
}
