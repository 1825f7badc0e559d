//! The distance of two predictions of a sample.

use burn::tensor::Tensor;
use ddm_denoiser::sum_each;
use ddm_schedule::Invalid;

/// A distance of two predictions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Distance {
    /// The mean squared error.
    Squared,
    /// `√(‖x − y‖² + c²) − c` with `c = factor √d`, d the number of elements of a sample.
    PseudoHuber { factor: f64 },
}

impl Distance {
    /// The pseudo-Huber distance of iCT.
    pub(super) const ICT: Self = Self::PseudoHuber { factor: 0.00054 };

    pub(super) fn pseudo_huber(factor: f64) -> Result<Self, Invalid> {
        let holds = factor > 0.0 && factor.is_finite();
        Invalid::require(holds, "c of the pseudo-Huber distance", factor, "finite and above 0")?;
        Ok(Self::PseudoHuber { factor })
    }

    /// Returns the distance of each sample, `[batch]`, from the difference.
    pub(super) fn each<const D: usize>(self, difference: Tensor<D>) -> Tensor<1> {
        let elements = difference.dims()[1..].iter().product::<usize>() as f64;
        let square = sum_each(difference.square());
        match self {
            Self::Squared => square / elements,
            Self::PseudoHuber { factor } => {
                let c = factor * elements.sqrt();
                (square + c * c).sqrt() - c
            }
        }
    }
}
