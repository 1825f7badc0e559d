//! The dynamic loss scale of half-precision training.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{DType, FloatDType, Tensor};
use ddm_denoiser::{read_back, wait_for};
use serde::{Deserialize, Serialize};

use crate::{MixedPrecision, TrainError};

/// The dynamic loss scale of f16: it halves when a gradient overflows, and doubles after 2000 steps
/// without. It starts at 65,536.
///
/// For a loop of your own, since a step that overflows must be skipped. Source: Micikevicius et al.,
/// sec. 3.2, arXiv 1710.03740, with the constants of PyTorch's `GradScaler`.
///
/// ```
/// use burn::module::Module;
/// use burn::nn::LinearConfig;
/// use burn::optim::{AdamWConfig, GradientsParams};
/// use burn::tensor::{Device, Tensor};
/// use ddm_train::LossScale;
/// let device = Device::flex().autodiff();
/// let (mut network, mut adam) = (LinearConfig::new(1, 1).init(&device), AdamWConfig::new().init());
/// let mut scale = LossScale::default();
/// for _ in 0..10 {
///     let mixed = scale.mixed_precision();
///     let x = Tensor::<2>::ones([4, 1], &device).cast(mixed.dtype());
///     let loss = (mixed.network(&network).forward(x) - 3.0).square().mean();
///     let gradients = GradientsParams::from_grads(mixed.loss(loss).backward(), &network);
///     if scale.accepts(&network, &gradients)? {
///         network = adam.step(0.1, network, gradients);
///     }
/// }
/// # Ok::<(), ddm_train::TrainError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LossScale {
    /// The base-2 logarithm of the scale.
    exponent: u8,
    /// Steps without an overflow since the last change.
    good: u16,
}

impl Default for LossScale {
    fn default() -> Self {
        Self { exponent: 16, good: 0 }
    }
}

impl LossScale {
    const GROW_AFTER: u16 = 2000;
    const LARGEST_EXPONENT: u8 = 24;

    /// Returns the scale of the next step, 1 to 2²⁴.
    pub fn scale(&self) -> f64 {
        f64::from(self.exponent.min(Self::LARGEST_EXPONENT)).exp2()
    }

    /// Returns f16 with this scale.
    pub fn mixed_precision(&self) -> MixedPrecision {
        MixedPrecision { dtype: FloatDType::F16, scale: self.scale() }
    }

    /// Returns whether all gradients of the network are finite, that is, whether to take the step, and
    /// adapts the scale. Waits for the device.
    ///
    /// # Errors
    ///
    /// Returns an error if the device cannot be read.
    pub fn accepts<M: Module>(
        &mut self,
        network: &M,
        gradients: &GradientsParams,
    ) -> Result<bool, TrainError> {
        let mut zeros = Zeros { gradients, zeros: Vec::new() };
        network.visit(&mut zeros);
        let finite = match zeros.zeros {
            none if none.is_empty() => true,
            zeros => {
                let sum: Result<_, TrainError> = wait_for(async {
                    Ok(read_back("the gradients", Tensor::cat(zeros, 0)).await?)
                });
                sum?.iter().all(|zero| *zero == 0.0)
            }
        };
        let exponent = self.exponent.min(Self::LARGEST_EXPONENT);
        *self = match (finite, self.good.saturating_add(1)) {
            (false, _) => Self { exponent: exponent.saturating_sub(1), good: 0 },
            (true, good) if good >= Self::GROW_AFTER => {
                Self { exponent: (exponent + 1).min(Self::LARGEST_EXPONENT), good: 0 }
            }
            (true, good) => Self { exponent, good },
        };
        Ok(finite)
    }
}

/// For each gradient its sum times 0, which is NaN if an element is not finite.
struct Zeros<'a> {
    gradients: &'a GradientsParams,
    zeros: Vec<Tensor<1>>,
}

impl ModuleVisitor for Zeros<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.get::<D>(param.id) {
            self.zeros.push((gradient.cast(DType::F32) * 0.0).sum());
        }
    }
}
