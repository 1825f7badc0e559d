//! The log-density of x, from the change of density along the flow.

use std::f64::consts::TAU;
use std::fmt;

use burn::tensor::{Device, Tensor, TensorData};
use ddm_denoiser::{Denoiser, full_precision, gradient, read_back, sum_each, wait_for};
use ddm_noise::{HostNoise, NoiseSource, Stream};
use ddm_schedule::{Invalid, NoiseLevel};
use serde::{Deserialize, Serialize};

use crate::path::{scaled, velocity};
use crate::{ProbabilityFlow, ScoreError};

/// The log-density of x under a model, by the instantaneous change of variables along its flow:
///
/// ```text
/// ln p(x) = ln p_T(x_T) + ∫ ∇·f dθ,      ∇·f ≈ 1/K Σ_k v_kᵀ (∂f/∂y) v_k
/// ```
///
/// with f the slope of the [`ProbabilityFlow`]. The traces are estimated with K random
/// [probes](Probe) (Hutchinson), which are drawn once and kept along the path, so that the flow
/// stays smooth and the estimate is unbiased. Each probe costs a model call and a gradient per
/// evaluation. The solver controls the error of its integral too, which is at most about
/// `tolerance (D + |ln p|)` nats per step, where D is the number of elements.
///
/// It is the density of x at the level `from` (σ > 0), that is of data with that noise, and not of
/// clean data. The prior p_T is the starting distribution of samplers, `N(0, (α_T² + σ_T²) I)`:
/// exact where no signal is left, N(0, I) if variance is preserved, and `N(0, (1 + σ_max²) I)` if
/// it explodes, where Song et al. use `N(0, σ_max² I)`. If the mean or variance of the noisiest
/// data differs from it (by about α_T), the log-density has an error of the same size.
///
/// Source: Chen et al., *Neural Ordinary Differential Equations*, eq. 8, arXiv 1806.07366;
/// Grathwohl et al., *FFJORD*, sec. 3.1, arXiv 1810.01367; Song et al., eq. 39 and app. D.2,
/// arXiv 2011.13456.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use ddm_schedule::Cosine;
/// use ddm_score::{Likelihood, Probe, ProbabilityFlow};
/// use ddm_testkit::Gaussian;
/// let (model, schedule) = (Gaussian::new([2.0], 0.5)?, Cosine::default());
/// let flow = ProbabilityFlow::new(&model, &schedule);
/// let [_, data] = flow.ends();
/// let x = Tensor::<2>::from_floats([[1.5, 2.0], [3.0, 1.0]], &Device::flex());
/// let found = Likelihood::new(flow).probe(Probe::Exact).log_density(x.clone(), data)?;
/// let known: Vec<f32> = model.log_density(x, data).into_data().to_vec()?;
/// assert!((found.log_density[1] - f64::from(known[1])).abs() < 1e-3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Likelihood<'a, M> {
    flow: ProbabilityFlow<'a, M>,
    probe: Probe,
    probes: usize,
    seed: u64,
}

/// The kind of random vectors v, `E v vᵀ = I`, that estimate a trace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Probe {
    /// Elements ±1: exact for a diagonal Jacobian. In two dimensions there are only two different
    /// probes, and a few equal ones have a standard error of 0: use exact traces there.
    #[default]
    Rademacher,
    /// Elements N(0, 1).
    Gaussian,
    /// The exact trace, from all D unit vectors: for few dimensions.
    Exact,
}

/// A log-density with its standard error.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Estimate {
    /// ln p(x) in nats, one per sample; NaN if the end of the flow was not reached.
    pub log_density: Vec<f64>,
    /// Its standard error over the probes, one per sample: 0 for exact traces, `None` for a single
    /// probe.
    pub standard_error: Option<Vec<f64>>,
    /// The number of model calls, each with a gradient, of each sample.
    pub evaluations: Vec<usize>,
    /// Whether each sample reached the end of the flow.
    pub reached: Vec<bool>,
    /// The number of evaluations of the whole batch, each [`Denoiser::predict_x0`] with a gradient.
    pub calls: usize,
}

impl<M> fmt::Debug for Likelihood<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { flow, probe, probes, seed } = self;
        f.debug_struct("Likelihood")
            .field("flow", flow)
            .field("probe", probe)
            .field("probes", probes)
            .field("seed", seed)
            .finish()
    }
}

impl<'a, M> Likelihood<'a, M> {
    /// Creates a likelihood with this flow and its tolerance, and one Rademacher probe.
    pub fn new(flow: ProbabilityFlow<'a, M>) -> Self {
        Self { flow, probe: Probe::default(), probes: 1, seed: 0 }
    }

    /// Sets the kind of probe.
    #[must_use]
    pub fn probe(self, probe: Probe) -> Self {
        Self { probe, ..self }
    }

    /// Sets the number K of probes, which exact traces ignore.
    ///
    /// # Errors
    /// Returns an error if K is 0.
    pub fn probes(self, probes: usize) -> Result<Self, ScoreError> {
        Invalid::require(probes > 0, "the number of probes", 0.0, "at least 1")?;
        Ok(Self { probes, ..self })
    }

    /// Sets the seed of the probes, which are keyed by sample like all [`HostNoise`].
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// Estimates ln p(x) of each sample of x `[batch, …]` at level `from`.
    ///
    /// # Errors
    /// Returns an error if the level has no noise or does not lie on the schedule, if the shape of
    /// x is empty or invalid for the model, if the model has no gradient, or if the device cannot
    /// be read.
    pub fn log_density<const D: usize>(
        &self,
        x: Tensor<D>,
        from: NoiseLevel,
    ) -> Result<Estimate, ScoreError>
    where
        M: Denoiser<D>,
    {
        wait_for(self.log_density_async(x, from))
    }

    /// Estimates ln p(x) without blocking, for platforms such as browsers.
    ///
    /// # Errors
    /// Returns the errors of [`log_density`](Self::log_density).
    pub async fn log_density_async<const D: usize>(
        &self,
        x: Tensor<D>,
        from: NoiseLevel,
    ) -> Result<Estimate, ScoreError>
    where
        M: Denoiser<D>,
    {
        let x = full_precision(x).inner();
        let [noise, _] = self.flow.ends();
        let path = self.flow.path(&x, from, noise)?;
        let dims = x.dims()[1..].iter().product::<usize>() as f64;
        let y = x / from.scale();
        let probes = self.draw(&y);
        let columns = if self.probe == Probe::Exact { 1 } else { probes.len() };
        let integrals = Tensor::zeros([y.dims()[0], columns], (&y.device(), y.dtype()));
        let slope = |(y, _): &(Tensor<D>, Tensor<2>), at: &[NoiseLevel]| {
            self.slope_and_divergences(y, at, &probes)
        };
        let arrival = path.follow((y, integrals), self.flow.solver(), slope).await?;

        let (y, integrals) = arrival.state;
        let prior = read_back("the prior", sum_each(y.square())).await?;
        let integrals = read_back("the integrals", integrals).await?;
        let base = -0.5 * dims * TAU.ln() - dims * from.scale().ln();
        let reached: Vec<bool> =
            arrival.controllers.iter().map(|controller| controller.reached()).collect();
        let (mut log_density, mut errors) = (Vec::new(), Vec::new());
        for (i, of_sample) in integrals.chunks(columns).enumerate() {
            let (mean, error) = mean_and_error(of_sample);
            let all = if reached[i] { base - 0.5 * prior[i] + mean } else { f64::NAN };
            log_density.push(all);
            errors.push(if self.probe == Probe::Exact { 0.0 } else { error });
        }
        Ok(Estimate {
            log_density,
            standard_error: (self.probe == Probe::Exact || self.probes > 1).then_some(errors),
            evaluations: arrival
                .controllers
                .iter()
                .map(|controller| controller.evaluations * probes.len())
                .collect(),
            reached,
            calls: arrival.calls * probes.len(),
        })
    }

    /// The probes, each of the shape of y.
    fn draw<const D: usize>(&self, y: &Tensor<D>) -> Vec<Tensor<D>> {
        // A separate stream, so that the probes are independent of x, even with the same seed.
        let mut noise = HostNoise::new(self.seed);
        noise.switch_to(Stream::Probe);
        let mut normal = || noise.draw(y.dims(), &y.device()).cast(y.dtype());
        let signs =
            |z: Tensor<D>| z.zeros_like().add_scalar(1.0).mask_fill(z.lower_elem(0.0), -1.0);
        match self.probe {
            Probe::Rademacher => (0..self.probes).map(|_| signs(normal())).collect(),
            Probe::Gaussian => (0..self.probes).map(|_| normal()).collect(),
            Probe::Exact => unit_vectors(y.dims(), &y.device())
                .map(|unit| unit.cast(y.dtype()).expand(y.dims()))
                .collect(),
        }
    }

    /// f, and `vᵀ (∂f/∂y) v` for each probe, `[batch, k]`; their sum if the trace is exact.
    fn slope_and_divergences<const D: usize>(
        &self,
        y: &Tensor<D>,
        at: &[NoiseLevel],
        probes: &[Tensor<D>],
    ) -> Result<(Tensor<D>, Tensor<2>), ScoreError>
    where
        M: Denoiser<D>,
    {
        let x = scaled(y, at);
        let mut denoised = None;
        let mut divergences = Vec::new();
        for v in probes {
            let along = |x| {
                let x0 = self.flow.model.predict_x0(x, at).x0;
                denoised = Some(x0.clone().inner());
                sum_each(x0 * v.clone())
            };
            let row = gradient(x.clone(), along).1.ok_or(ScoreError::NoGradient)?;
            // f is linear in (y, x̂₀): along v its slope is f of (v, √(α² + σ²) vᵀ ∂x̂₀/∂x).
            let along_v = velocity(v, scaled(&row, at), at);
            divergences.push(sum_each(along_v * v.clone()).reshape([at.len(), 1]));
        }
        let divergences = Tensor::cat(divergences, 1);
        let divergences =
            if self.probe == Probe::Exact { divergences.sum_dim(1) } else { divergences };
        let x0 = denoised.ok_or(ScoreError::NoGradient)?;
        Ok((velocity(y, x0, at), divergences))
    }
}

/// All unit vectors of a shape, `[1, …]` each.
fn unit_vectors<const D: usize>(
    mut shape: [usize; D],
    device: &Device,
) -> impl Iterator<Item = Tensor<D>> {
    shape[0] = 1;
    let elements: usize = shape.iter().product();
    (0..elements).map(move |i| {
        let unit: Vec<f32> = (0..elements).map(|j| if i == j { 1.0 } else { 0.0 }).collect();
        Tensor::from_data(TensorData::new(unit, shape), device)
    })
}

/// The mean of n values and the standard error of that mean; NaN for one value.
fn mean_and_error(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (mean, (squares / (n - 1.0) / n).sqrt())
}
