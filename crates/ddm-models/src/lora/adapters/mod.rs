//! A network with a LoRA that is trained.

mod config;
mod merge;
mod module;
mod save;
mod target;

use burn::module::{LoraAdapter, Module};

pub use config::LoraConfig;
use merge::Merge;
use target::Target;

/// A network whose weights are frozen, and a LoRA for it that is trained; [`LoraConfig`] makes it.
///
/// [`network`](Self::network) is the network with the weights `W + α/r · B A`, through which gradients
/// reach A and B. So any network of burn can be trained as it is, by any loop: `Adapted` is a module whose
/// only parameters are A and B. An optimizer, a moving average and a checkpoint have these alone.
///
/// ```
/// use burn::optim::{AdamConfig, GradientsParams};
/// use burn::tensor::{Device, Tensor};
/// use ddm_denoiser::NoisePredictor;
/// use ddm_models::MlpConfig;
/// use ddm_models::lora::LoraConfig;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let device = Device::flex().autodiff();
/// let network = MlpConfig::new().with_hidden(32).init(&device)?;
/// let mut adapted = LoraConfig::new(4, ["first", "second"]).adapt(network)?;
/// assert_eq!(adapted.layers().next(), Some("layers.0.first"));
/// let mut optimizer = AdamConfig::new().init();
/// for _ in 0..3 {
///     let (x, t) = (Tensor::<2>::ones([8, 2], &device), Tensor::ones([8], &device));
///     let loss = adapted.network().predict(x, t).square().mean();
///     let gradients = GradientsParams::from_grads(loss.backward(), &adapted);
///     adapted = optimizer.step(1e-3, adapted, gradients);
/// }
/// # Ok(())
/// # }
/// ```
///
/// Each call of `network` multiplies A and B of every layer, which is a hundredth of a step of training:
/// r multiplications for each weight, where a forward pass has one for each weight and each pixel. The
/// gradient of each such weight is formed too, so that a step needs memory for the weights of these layers
/// once more.
///
/// Source: Hu et al., *LoRA: Low-Rank Adaptation of Large Language Models*, sec. 4.1, arXiv 2106.09685.
#[derive(Clone, Debug)]
pub struct Adapted<M> {
    /// The network as it was, frozen.
    base: M,
    targets: Vec<Target>,
    /// For each target, the two factors in the layout of its weight. burn's `apply_lora` would attach
    /// such to all matrices, but to no convolutions, and would keep the network among the parameters.
    adapters: Vec<LoraAdapter>,
    config: LoraConfig,
}

impl<M: Module> Adapted<M> {
    /// The network with the LoRA: the weights of its layers are `W + α/r · B A`.
    ///
    /// The sum is computed in f32, or f64 if the weight is in f64, and rounded to the weight's type.
    /// Call it anew for each step: burn's `backward` uses up the sums. Of [`valid`](Module::valid), such
    /// as a moving average, it is a network to sample with.
    pub fn network(&self) -> M {
        self.base.clone().map(&mut Merge::new(&self.targets, &self.adapters))
    }

    /// The network without the LoRA, frozen.
    pub fn base(&self) -> &M {
        &self.base
    }

    /// The paths of the layers that have a LoRA, by the names of diffusers.
    pub fn layers(&self) -> impl ExactSizeIterator<Item = &str> {
        self.targets.iter().map(|target| target.path.as_str())
    }

    /// The settings that it was made with.
    pub fn config(&self) -> &LoraConfig {
        &self.config
    }
}
