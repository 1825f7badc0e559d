//! The variational bound of the chain.

use std::f64::consts::LN_2;
use std::fmt;
use std::sync::Arc;

use burn::tensor::Tensor;
use ddm_denoiser::{
    ChainRows, Denoised, Denoiser, ModelError, column, full_precision, read_back, sum_each,
    wait_for,
};
use ddm_noise::NoiseSource;
use ddm_samplers::Variance;
use ddm_schedule::{Invalid, NoiseSchedule};
use serde::{Deserialize, Serialize};

use crate::ScoreError;

/// The variational bound on the negative log-likelihood of data under a chain of T steps, with its
/// terms:
///
/// ```text
/// −ln p(x₀) ≤ E[ L_T + Σ_{t>1} L_{t−1} + L₀ ]
/// L_T     = KL(q(x_T | x₀) ‖ N(0, S² I)),   S² = α_T² + σ_T², 1 where variance is preserved
/// L_{t−1} = KL(q(x_{t−1} | x_t, x₀) ‖ p(x_{t−1} | x_t))
/// L₀      = −ln p(x₀ | x₁)
/// ```
///
/// where the steps of p are those of [`Ddpm`](ddm_samplers::Ddpm), of the same [`Variance`]. The
/// expectation is over the noise in x_t, estimated with one draw per term. As in the hybrid loss of
/// `ddm-train`, which has the same terms, the posterior's variance of the second row replaces that
/// of the first, which is 0. The large variance is β in every row, as in the papers; their code
/// uses the small one in the first row, which shifts L₀ a little.
///
/// Source: Ho et al., *Denoising Diffusion Probabilistic Models*, eq. 5, arXiv 2006.11239; Nichol &
/// Dhariwal, *Improved Denoising Diffusion Probabilistic Models*, sec. 2.1 and 3.1,
/// arXiv 2102.09672.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use ddm_noise::HostNoise;
/// use ddm_samplers::Variance;
/// use ddm_schedule::BetaTable;
/// use ddm_score::{DataTerm, VariationalBound};
/// use ddm_testkit::Gaussian;
/// let (model, table) = (Gaussian::new([0.0], 1.0)?, BetaTable::linear(100, 1e-3, 0.2)?);
/// let bound = VariationalBound::new(&model, &table)?
///     .variance(Variance::Large)
///     .data(DataTerm::Density);
/// let x0 = Tensor::<2>::zeros([4, 2], &Device::flex());
/// let found = bound.evaluate(x0, &mut HostNoise::new(0))?;
/// assert_eq!((found.terms.len(), found.prior.len()), (99, 4)); // rows 1 to 99, 4 samples
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct VariationalBound<'a, M> {
    model: M,
    schedule: Arc<dyn NoiseSchedule + 'a>,
    steps: usize,
    variance: Variance,
    data: DataTerm,
    rows: Option<usize>,
}

/// The definition of L₀.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum DataTerm {
    /// The probability of the bin of x₀, of 256 that are centred on `k/127.5 − 1`; the outermost
    /// bins extend to ±∞. For images in [−1, 1]: the bound is then a lossless code length.
    /// Source: Ho et al., eq. 13, arXiv 2006.11239.
    #[default]
    Bins,
    /// The density of x₀, for data that is not quantized.
    Density,
}

/// The terms of the bound in nats, one number per sample in each.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Bound {
    /// The terms L_T.
    pub prior: Vec<f64>,
    /// The evaluated rows of the table, from 1 (x₂ to x₁) to T − 1.
    pub rows: Vec<usize>,
    /// The terms L_{t−1} of these rows.
    pub terms: Vec<Vec<f64>>,
    /// The terms L₀.
    pub data: Vec<f64>,
    /// The number of all rows from 1 on, T − 1.
    pub all_rows: usize,
    /// The number of elements of a sample.
    pub dims: usize,
}

impl Bound {
    /// Returns the whole bound in nats, one per sample. If only some rows were evaluated, their
    /// mean is used for the others.
    pub fn nats(&self) -> Vec<f64> {
        let share = self.all_rows as f64 / self.rows.len() as f64;
        let chain = |i: usize| self.terms.iter().map(|term| term[i]).sum::<f64>() * share;
        let of = |i: usize| self.prior[i] + chain(i) + self.data[i];
        (0..self.prior.len()).map(of).collect()
    }

    /// Returns the whole bound in bits per dimension, one per sample.
    pub fn bits_per_dim(&self) -> Vec<f64> {
        self.nats().into_iter().map(|nats| nats / (self.dims as f64 * LN_2)).collect()
    }
}

impl<M> fmt::Debug for VariationalBound<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { steps, variance, data, rows, .. } = self;
        f.debug_struct("VariationalBound")
            .field("steps", steps)
            .field("variance", variance)
            .field("data", data)
            .field("rows", rows)
            .finish_non_exhaustive()
    }
}

impl<'a, M> VariationalBound<'a, M> {
    /// Creates the bound with all rows, the posterior's variance and binned data.
    ///
    /// # Errors
    /// Returns an error if the schedule is not a table of at least 2 steps.
    pub fn new(model: M, schedule: impl NoiseSchedule + 'a) -> Result<Self, ScoreError> {
        let steps = ModelError::require_table(&schedule)?;
        let schedule = Arc::new(schedule);
        let (variance, data) = (Variance::default(), DataTerm::default());
        Ok(Self { model, schedule, steps, variance, data, rows: None })
    }

    /// Sets the variance of the steps.
    #[must_use]
    pub fn variance(self, variance: Variance) -> Self {
        Self { variance, ..self }
    }

    /// Sets the definition of L₀.
    #[must_use]
    pub fn data(self, data: DataTerm) -> Self {
        Self { data, ..self }
    }

    /// Sets the number K of rows to evaluate in place of all, drawn uniformly for each evaluation.
    ///
    /// # Errors
    /// Returns an error if K is outside 1 to T − 1.
    pub fn rows(self, rows: usize) -> Result<Self, ScoreError> {
        let valid = (1..self.steps).contains(&rows);
        Invalid::require(valid, "the number of rows", rows as f64, "from 1 to T - 1")?;
        Ok(Self { rows: Some(rows), ..self })
    }

    /// Evaluates the bound for data x₀ `[batch, …]`. Draws noise once to choose the rows, if not
    /// all are evaluated, and once per row. Reads back from the device once, at the end.
    ///
    /// # Errors
    /// Returns an error if the shape of x₀ is empty or invalid for the model, or if the noise or
    /// the results cannot be read.
    pub fn evaluate<const D: usize>(
        &self,
        x0: Tensor<D>,
        noise: &mut impl NoiseSource,
    ) -> Result<Bound, ScoreError>
    where
        M: Denoiser<D>,
    {
        wait_for(self.evaluate_async(x0, noise))
    }

    /// Evaluates the bound without blocking, for platforms such as browsers.
    ///
    /// # Errors
    /// Returns the errors of [`evaluate`](Self::evaluate).
    pub async fn evaluate_async<const D: usize>(
        &self,
        x0: Tensor<D>,
        noise: &mut impl NoiseSource,
    ) -> Result<Bound, ScoreError>
    where
        M: Denoiser<D>,
    {
        ScoreError::require_some(&x0.dims())?;
        let last = self.schedule.level(1.0);
        let x0 = full_precision(x0).inner();
        self.model.check(&x0, last)?;
        let dims = x0.dims()[1..].iter().product::<usize>();

        let rows = self.chosen(noise)?;
        let terms = rows.iter().map(|&row| self.term(&x0, row, noise)).collect::<Result<_, _>>()?;
        let data = self.term(&x0, 0, noise)?;
        // KL(N(α x₀, σ²) ‖ N(0, S²)) = ½ (α² x₀²/S² + σ²/S² − 1 − ln σ²/S²)
        let (alpha, sigma) = (last.alpha / last.scale(), last.sigma / last.scale());
        let unit = dims as f64 * (sigma.powi(2) - 1.0 - 2.0 * sigma.ln());
        let prior = (sum_each(x0.square()) * alpha.powi(2) + unit) * 0.5;
        let terms: Vec<Tensor<1>> = terms;
        let mut read = Vec::new();
        for term in terms {
            read.push(read_back("a term of the bound", term).await?);
        }
        let prior = read_back("the prior's term", prior).await?;
        let (terms, data) = (read, read_back("the data's term", data).await?);
        Ok(Bound { prior, rows, terms, data, all_rows: self.steps - 1, dims })
    }

    fn chosen(&self, noise: &mut impl NoiseSource) -> Result<Vec<usize>, ScoreError> {
        let all = 1..self.steps;
        let Some(wanted) = self.rows else { return Ok(all.collect()) };
        let keys = noise.uniform(all.len())?;
        let mut rows: Vec<usize> = all.collect();
        rows.sort_by(|a, b| keys[a - 1].total_cmp(&keys[b - 1]));
        rows.truncate(wanted);
        rows.sort_unstable();
        Ok(rows)
    }

    /// The term of one row in nats, `[batch]`.
    fn term<const D: usize>(
        &self,
        x0: &Tensor<D>,
        row: usize,
        noise: &mut impl NoiseSource,
    ) -> Result<Tensor<1>, ScoreError>
    where
        M: Denoiser<D>,
    {
        let chain = ChainRows::new(&*self.schedule, &[row], x0)?;
        let at = self.schedule.level((row + 1) as f64 / self.steps as f64);
        let epsilon = noise.draw(x0.dims(), &x0.device()).cast(x0.dtype());
        let x = x0.clone() * at.alpha + epsilon * at.sigma;
        let Denoised { x0: prediction, variance: learned } = self.model.predict_x0(x, &[at]);
        let v = match (self.variance, learned) {
            (Variance::Large, _) => column(x0, [1.0]),
            (Variance::Learned, Some(v)) => v.inner(),
            (Variance::Small | Variance::Learned, _) => column(x0, [0.0]),
        };
        let log_variance = chain.log_variance(v);
        let (x0, prediction) = (x0.clone(), prediction.inner());
        Ok(sum_each(match (row, self.data) {
            (0, DataTerm::Density) => {
                let error = (x0 - prediction).square() * log_variance.clone().neg().exp();
                (error + log_variance + std::f64::consts::TAU.ln()) * 0.5
            }
            _ => chain.nats(x0, prediction, log_variance),
        }))
    }
}
