//! The prediction of a denoiser.

use burn::tensor::Tensor;
use ddm_schedule::NoiseLevel;

/// The prediction of a [`Denoiser`](crate::Denoiser).
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use ddm_denoiser::Denoised;
/// let denoised: Denoised<1> = Tensor::ones([1], &Device::flex()).into();
/// assert!(denoised.variance.is_none());
/// ```
#[derive(Clone, Debug)]
pub struct Denoised<const D: usize> {
    /// The prediction of the data, `x̂₀ ≈ E[x₀ | x_t]`.
    pub x0: Tensor<D>,
    /// The learned variance, if the model has one, as `v ∈ [0, 1]` for each element: the noise of a
    /// step has variance `β^v β̃^(1−v)`, between the posterior's (v = 0) and the chain's (v = 1).
    /// Source: Nichol & Dhariwal, eq. 15, arXiv 2102.09672.
    pub variance: Option<Tensor<D>>,
}

impl<const D: usize> From<Tensor<D>> for Denoised<D> {
    fn from(x0: Tensor<D>) -> Self {
        Self { x0, variance: None }
    }
}

impl<const D: usize> Denoised<D> {
    /// Returns the same prediction with x̂₀ replaced by `change(x̂₀)`.
    #[must_use]
    pub fn map_x0(self, change: impl FnOnce(Tensor<D>) -> Tensor<D>) -> Self {
        Self { x0: change(self.x0), ..self }
    }

    /// Returns the prediction without the autodiff graph.
    #[must_use]
    pub fn inner(self) -> Self {
        Self { x0: self.x0.inner(), variance: self.variance.map(Tensor::inner) }
    }

    /// Predicts at one level for the whole batch, or at one per sample, with a function that takes
    /// a single level. The function is called once for each distinct level, always with the whole
    /// batch, since conditions may be bound to it.
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use ddm_denoiser::Denoised;
    /// use ddm_schedule::NoiseLevel;
    /// let at = |alpha| NoiseLevel { timestep: 0.0, alpha, sigma: 1.0 };
    /// let x = Tensor::<2>::ones([3, 1], &Device::flex());
    /// let levels = [at(0.5), at(2.0), at(0.5)];
    /// let found = Denoised::per_level(x, &levels, |x, at| (x * at.alpha).into());
    /// assert_eq!(found.x0.into_data().to_vec::<f32>(), Ok(vec![0.5, 2.0, 0.5]));
    /// ```
    pub fn per_level(
        x: Tensor<D>,
        at: &[NoiseLevel],
        predict: impl Fn(Tensor<D>, NoiseLevel) -> Self,
    ) -> Self {
        let mut distinct: Vec<(NoiseLevel, Self)> = Vec::new();
        for &level in at {
            if distinct.iter().all(|(known, _)| *known != level) {
                distinct.push((level, predict(x.clone(), level)));
            }
        }
        if let [(_, whole)] = &mut distinct[..] {
            return whole.clone();
        }
        let of = |level: NoiseLevel| distinct.iter().find(|(known, _)| *known == level);
        let rows = at.iter().enumerate().filter_map(|(i, &level)| {
            let (_, whole) = of(level)?;
            let row = |tensor: &Tensor<D>| tensor.clone().narrow(0, i, 1);
            Some((row(&whole.x0), whole.variance.as_ref().map(row)))
        });
        let (x0, variance): (Vec<_>, Vec<Option<_>>) = rows.unzip();
        let variance: Option<Vec<_>> = variance.into_iter().collect();
        Self { x0: Tensor::cat(x0, 0), variance: variance.map(|rows| Tensor::cat(rows, 0)) }
    }
}
