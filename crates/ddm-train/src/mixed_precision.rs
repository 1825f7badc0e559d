//! Half-precision networks with weights in single precision.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, FloatDType, Tensor};
use ddm_schedule::Invalid;

/// Mixed precision: the network computes in bf16 or f16, and the optimizer has its weights in f32.
///
/// In half precision the nearest neighbor of 1 is 0.0005 (f16) or 0.004 (bf16) away, so small updates
/// of a weight would be lost. [`network`](Self::network) returns a copy whose weights are casts of the
/// f32 weights, as a part of the autodiff graph: the gradients arrive at the f32 weights, in f32, where
/// optimizer and average work as ever. This saves memory of activations and, on devices that are fast
/// in half precision, time. In f16, gradients below 3e-8 are lost; so the loss is multiplied by a scale,
/// and the gradients are divided by it where they reach f32, inside the graph. bf16 needs none. Source:
/// Micikevicius et al., *Mixed Precision Training*, sec. 3, arXiv 1710.03740.
///
/// ```
/// use burn::optim::AdamWConfig;
/// use burn::tensor::{Device, FloatDType, Tensor};
/// use ddm_denoiser::VPrediction;
/// use ddm_models::MlpConfig;
/// use ddm_schedule::Cosine;
/// use ddm_train::{MixedPrecision, Objective, Training};
/// let device = Device::flex().autodiff();
/// let mixed = MixedPrecision::bf16();
/// let objective = Objective::new(Cosine::default(), VPrediction)?.network_dtype(mixed.dtype());
/// let network = MlpConfig::new().with_hidden(16).init(&device)?;
/// let training = Training { steps: 10, ema_decay: 0.9, seed: 1 };
/// let trained = training.run(network, AdamWConfig::new().init(), 1e-3, |network, noise| {
///     let data = Tensor::<2>::ones([8, 2], &device);
///     Ok(mixed.loss(objective.loss(&mixed.network(network), data, noise)?))
/// })?;
/// # let _ = trained;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MixedPrecision {
    pub(crate) dtype: FloatDType,
    pub(crate) scale: f64,
}

impl MixedPrecision {
    /// bf16, without a scale.
    pub fn bf16() -> Self {
        Self { dtype: FloatDType::BF16, scale: 1.0 }
    }

    /// f16, with a constant scale of the loss: a power of 2 changes no digit. Usual: 128 to 65,536.
    /// [`LossScale`](crate::LossScale) chooses it.
    ///
    /// # Errors
    ///
    /// Returns an error if the scale is not finite and above 0.
    pub fn f16(scale: f64) -> Result<Self, Invalid> {
        let holds = scale.is_finite() && scale > 0.0;
        Invalid::require(holds, "loss scale", scale, "finite and above 0")?;
        Ok(Self { dtype: FloatDType::F16, scale })
    }

    /// Returns the float type of the network, for
    /// [`Objective::network_dtype`](crate::Objective::network_dtype).
    pub fn dtype(&self) -> FloatDType {
        self.dtype
    }

    /// Returns whether a device computes in this float type.
    pub fn is_supported(&self, device: &Device) -> bool {
        device.supports_dtype(self.dtype)
    }

    /// Returns a copy of the network in half precision, whose gradients arrive at `network`. Make one
    /// for each step.
    pub fn network<M: Module>(&self, network: &M) -> M {
        network.clone().map(&mut Cast(*self))
    }

    /// Returns the loss with the same value, whose gradients are multiplied by the scale.
    pub fn loss(&self, loss: Tensor<1>) -> Tensor<1> {
        with_gradient_times(loss, self.scale)
    }
}

/// Casts the float parameters of a network, with gradients divided by the scale.
struct Cast(MixedPrecision);

impl ModuleMapper for Cast {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Self(MixedPrecision { dtype, scale }) = *self;
        param.map(|weight| with_gradient_times(weight, 1.0 / scale).cast(dtype))
    }
}

/// Returns x, bit by bit, with its gradient multiplied by a factor: `(x − x̄) f + x̄`, where x̄ has no
/// gradient.
fn with_gradient_times<const D: usize>(x: Tensor<D>, factor: f64) -> Tensor<D> {
    if factor == 1.0 || !x.is_autodiff() {
        return x;
    }
    let constant = x.clone().detach();
    (x - constant.clone()) * factor + constant
}
