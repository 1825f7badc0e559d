//! The settings of a LoRA to train.

use burn::module::Module;
use ddm_schedule::Invalid;

use super::Adapted;
use super::target::targets;
use crate::lora::LoraError;

/// The settings of a LoRA to train: the layers, the rank r, α, and the seed of its start.
///
/// Layers are named as PEFT's `target_modules`: by their path in diffusers or its end, `to_q` or
/// `mid_block.attentions.0.proj_in`. Linear layers and convolutions of one group can have a LoRA. For a
/// convolution A is one with r channels, and B one of 1×1.
///
/// | layers | targets |
/// |---|---|
/// | attention of U-Nets, PixArt | `to_q`, `to_k`, `to_v`, `to_out.0` |
/// | the same of SD 3 and Flux | `add_q_proj`, `add_k_proj`, `add_v_proj`, `to_add_out` as well |
/// | convolutions of U-Nets | `conv1`, `conv2`, `conv_shortcut`, `conv` |
///
/// A starts uniform in ±1/√n for n inputs, B at 0: so the first prediction is that of the network alone.
/// α/r is the factor of their product: 1 with α = r, the default.
#[derive(Clone, Debug, PartialEq)]
pub struct LoraConfig {
    pub(super) targets: Vec<String>,
    pub(super) rank: usize,
    pub(super) alpha: f64,
    pub(super) seed: u64,
}

impl LoraConfig {
    /// A LoRA of rank r for the layers of these names, with α = r and seed 0.
    pub fn new<N: Into<String>>(rank: usize, targets: impl IntoIterator<Item = N>) -> Self {
        let targets = targets.into_iter().map(Into::into).collect();
        Self { targets, rank, alpha: rank as f64, seed: 0 }
    }

    /// Sets α.
    #[must_use]
    pub fn with_alpha(mut self, alpha: f64) -> Self {
        self.alpha = alpha;
        self
    }

    /// Sets the seed of the first A. That of a layer depends on the seed and its path.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The rank r.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// The number α.
    pub fn alpha(&self) -> f64 {
        self.alpha
    }

    /// Freezes a network, and gives it this LoRA. To be trained, it must be on an autodiff device.
    ///
    /// # Errors
    ///
    /// Returns [`LoraError::Invalid`] if the rank is 0, α no finite number above 0, or there is no target;
    /// [`LoraError::Target`] if no layer has the name of a target; and [`LoraError::Rank`] if the rank is
    /// higher than that of any matrix of a layer's shape.
    pub fn adapt<M: Module>(&self, network: M) -> Result<Adapted<M>, LoraError> {
        let (rank, alpha, count) = (self.rank as f64, self.alpha, self.targets.len() as f64);
        Invalid::require(self.rank > 0, "the rank of the LoRA", rank, "at least 1")?;
        let positive = alpha.is_finite() && alpha > 0.0;
        Invalid::require(positive, "the alpha of the LoRA", alpha, "finite and above 0")?;
        Invalid::require(count > 0.0, "the number of target layers", count, "at least 1")?;
        let base = network.no_grad();
        let targets = targets(&base, &self.targets)?;
        let adapters = targets.iter().map(|target| target.adapter(self));
        let adapters = adapters.collect::<Result<_, _>>()?;
        Ok(Adapted { base, targets, adapters, config: self.clone() })
    }
}
