//! The ideal denoiser of a finite data set.

use burn::tensor::{Tensor, activation::softmax};
use ddm_denoiser::{Denoised, Denoiser, ModelError, column, full_precision};
use ddm_schedule::{Invalid, NoiseLevel};

/// The ideal denoiser of a finite data set y_1 … y_n, of any rank: the prediction of a network that
/// has memorized its training set.
///
/// ```text
/// E[x₀ | x] = Σ_k softmax_k( −|x − α y_k|²/(2σ²) ) y_k
/// ```
///
/// Every run ends at one of the y_k. Memory is batch times n times the size of one y. Source:
/// Karras et al., *Elucidating the Design Space of Diffusion-Based Generative Models*, eq. 57,
/// arXiv 2206.00364.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use ddm_denoiser::Denoiser;
/// use ddm_schedule::NoiseLevel;
/// use ddm_testkit::FiniteData;
/// let images = Tensor::<3>::from_floats([[[0.0, 1.0]], [[1.0, 0.0]]], &Device::flex());
/// let ideal = FiniteData::new(images.clone())?;
/// let at = NoiseLevel { timestep: 1.0, alpha: 1.0, sigma: 0.1 };
/// let x0 = ideal.denoise(images.clone() + 0.1, at);
/// assert!(x0.all_close(images, None, Some(1e-6)));
/// # Ok::<(), ddm_denoiser::ModelError>(())
/// ```
#[derive(Clone, Debug)]
pub struct FiniteData<const D: usize> {
    data: Tensor<D>,
}

impl<const D: usize> FiniteData<D> {
    /// Creates the denoiser of samples `[n, …]`, at least one.
    ///
    /// # Errors
    ///
    /// Returns an error if there are no samples.
    pub fn new(data: Tensor<D>) -> Result<Self, ModelError> {
        if data.dims()[0] > 0 {
            return Ok(Self { data });
        }
        Err(Invalid {
            name: "the number of samples in the data set",
            value: 0.0,
            allowed: "at least 1",
        }
        .into())
    }

    /// Returns x̂₀ at one level for all samples, or one level per sample.
    fn expected(&self, x: Tensor<D>, at: &[NoiseLevel]) -> Tensor<D> {
        let (shape, n) = (x.dims(), self.data.dims()[0]);
        let x: Tensor<3> = x.reshape([shape[0] as i64, 1, -1]);
        let y: Tensor<3> = self.data.clone().reshape([1, n as i64, -1]).cast(x.dtype());
        let away = x.clone() - y.clone() * column(&x, at.iter().map(|at| at.alpha));
        // At sigma = 0 the softmax selects the nearest sample: sigma is kept above 0.
        let precision = column(&x, at.iter().map(|at| 0.5 / at.sigma.powi(2).max(1e-20)));
        let weight = softmax(away.square().sum_dim(2) * -precision, 1);
        (y * weight).sum_dim(1).reshape(shape)
    }
}

impl<const D: usize> Denoiser<D> for FiniteData<D> {
    fn predict_x0(&self, x: Tensor<D>, at: &[NoiseLevel]) -> Denoised<D> {
        self.expected(full_precision(x), at).into()
    }

    fn check(&self, x: &Tensor<D>, _: NoiseLevel) -> Result<(), ModelError> {
        let shape = x.dims();
        let mut expected = self.data.dims();
        expected[0] = shape[0];
        if shape == expected {
            return Ok(());
        }
        let (found, expected) = (format!("{shape:?}"), format!("{expected:?}"));
        Err(ModelError::Shape { what: "the shape of x", found, expected })
    }
}
