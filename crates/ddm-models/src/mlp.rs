//! An MLP for points.

use burn::config::Config;
use burn::module::Module;
use burn::nn::{LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::tensor::{Device, Int, Tensor};
use ddm_denoiser::{ConditionalPredictor, ModelError, NoisePredictor};

use crate::blocks::Ops;
use crate::{Conditioning, ConditioningConfig, NetworkConfigError, TimestepEmbedding};

/// The configuration of an [`Mlp`].
#[derive(Config, Debug)]
pub struct MlpConfig {
    /// The number of coordinates of a point.
    #[config(default = 2)]
    pub dim: usize,
    /// The width of the network.
    #[config(default = 128)]
    pub hidden: usize,
    /// The number of residual layers.
    #[config(default = 3)]
    pub layers: usize,
    /// The length of the sinusoidal embedding of t; even.
    #[config(default = 64)]
    pub time_size: usize,
    /// The number of octaves of Fourier features per coordinate, in addition to its value: `sin(2ᵏ
    /// x)` and `cos(2ᵏ x)`, k = 0 … frequencies − 1. They let the network represent details of size
    /// 2^−frequencies. Source: Tancik et al., *Fourier Features Let Networks Learn High Frequency
    /// Functions in Low Dimensional Domains*, arXiv 2006.10739.
    #[config(default = 0)]
    pub frequencies: usize,
    /// The number of classes; `None` for a network without a condition.
    pub classes: Option<usize>,
}

/// A residual MLP `F(x, t)` for points `[batch, dim]`, optionally with classes.
///
/// Each layer adds `W₂ SiLU(W₁ LayerNorm(h) + V c)` to h, where c is the [`Conditioning`].
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use ddm_denoiser::NoisePredictor;
/// use ddm_models::MlpConfig;
/// let device = Device::flex();
/// let network = MlpConfig::new().with_hidden(32).init(&device)?;
/// let (x, t) = (Tensor::<2>::zeros([5, 2], &device), Tensor::full([5], 500.0, &device));
/// assert_eq!(network.predict(x, t).dims(), [5, 2]);
/// # Ok::<(), ddm_models::NetworkConfigError>(())
/// ```
#[derive(Module, Debug)]
pub struct Mlp {
    conditioning: Conditioning,
    frequencies: usize,
    input: Linear,
    layers: Vec<Layer>,
    output: Linear,
}

#[derive(Module, Debug)]
struct Layer {
    norm: LayerNorm,
    first: Linear,
    condition: Linear,
    second: Linear,
}

impl Default for MlpConfig {
    fn default() -> Self {
        Self::new()
    }
}

impl MlpConfig {
    /// Creates the network on `device`.
    ///
    /// # Errors
    ///
    /// Returns an error if a size or the number of classes is 0, or `time_size` is odd.
    pub fn init(&self, device: &Device) -> Result<Mlp, NetworkConfigError> {
        NetworkConfigError::require_some("dim", self.dim)?;
        NetworkConfigError::require_some("hidden", self.hidden)?;
        NetworkConfigError::require_some("layers", self.layers)?;
        let hidden = self.hidden;
        let square = || LinearConfig::new(hidden, hidden).init(device);
        let layer = |_| Layer {
            norm: LayerNormConfig::new(hidden).init(device),
            first: square(),
            condition: square(),
            second: square(),
        };
        let time = TimestepEmbedding::new(self.time_size);
        Ok(Mlp {
            conditioning: ConditioningConfig::new(time, hidden)
                .with_classes(self.classes)
                .init(device)?,
            frequencies: self.frequencies,
            input: LinearConfig::new(self.dim * (1 + 2 * self.frequencies), hidden).init(device),
            layers: (0..self.layers).map(layer).collect(),
            output: LinearConfig::new(hidden, self.dim).init(device),
        })
    }
}

impl Mlp {
    /// Returns `batch` labels of the null class, "no class".
    pub fn null_classes(&self, batch: usize, device: &Device) -> Tensor<1, Int> {
        self.conditioning.null_classes(batch, device)
    }

    /// Returns the prediction, computed with `ops`; without labels, that of the null class.
    pub fn forward_with(
        &self,
        ops: &Ops,
        x: Tensor<2>,
        t: Tensor<1>,
        labels: Option<Tensor<1, Int>>,
    ) -> Tensor<2> {
        let outside = x.dtype();
        let condition = self.conditioning.forward(ops, t, labels);
        let mut h = ops.linear(&self.input, self.features(x).cast(self.conditioning.dtype()));
        for layer in &self.layers {
            let inner = ops.linear(&layer.first, ops.layer_norm(&layer.norm, h.clone()));
            let inner = ops.silu(ops.linear_add(&layer.condition, condition.clone(), inner));
            h = ops.linear_add(&layer.second, inner, h);
        }
        ops.linear(&self.output, ops.silu(h)).cast(outside)
    }

    /// Returns the coordinates, and their sines and cosines per octave.
    fn features(&self, x: Tensor<2>) -> Tensor<2> {
        let mut features = vec![x.clone()];
        for octave in 0..self.frequencies {
            let phase = x.clone() * f64::powi(2.0, octave as i32);
            features.extend([phase.clone().sin(), phase.cos()]);
        }
        Tensor::cat(features, 1)
    }

    fn check_shape(&self, [_, dim]: [usize; 2]) -> Result<(), ModelError> {
        let [_, expected] = self.output.weight.dims();
        if dim == expected {
            return Ok(());
        }
        Err(ModelError::Shape {
            what: "the length of a point",
            found: dim.to_string(),
            expected: expected.to_string(),
        })
    }
}

impl NoisePredictor<2> for Mlp {
    fn predict(&self, x: Tensor<2>, t: Tensor<1>) -> Tensor<2> {
        self.forward_with(&Ops::default(), x, t, None)
    }
    fn check(&self, shape: [usize; 2]) -> Result<(), ModelError> {
        self.check_shape(shape)
    }
    fn output_shape(&self, shape: [usize; 2]) -> Option<[usize; 2]> {
        Some(shape)
    }
}

impl ConditionalPredictor<2> for Mlp {
    type Condition = Tensor<1, Int>;
    fn predict_with(&self, x: Tensor<2>, t: Tensor<1>, labels: Self::Condition) -> Tensor<2> {
        self.forward_with(&Ops::default(), x, t, Some(labels))
    }
    fn check_with(&self, shape: [usize; 2], labels: &Self::Condition) -> Result<(), ModelError> {
        self.check_shape(shape)?;
        self.conditioning.check(labels, shape[0])
    }
    fn output_shape_with(&self, shape: [usize; 2]) -> Option<[usize; 2]> {
        Some(shape)
    }
}
