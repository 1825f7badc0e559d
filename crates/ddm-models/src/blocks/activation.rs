//! Activation functions.

use burn::tensor::{Tensor, activation};
use serde::{Deserialize, Serialize};

/// An activation function, applied to each element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Activation {
    /// max(x, 0).
    Relu,
    /// x/(1 + e^(−x)).
    Silu,
    /// x Φ(x), with the normal distribution function Φ.
    ///
    /// Source: Hendrycks & Gimpel, *Gaussian Error Linear Units*, arXiv 1606.08415.
    Gelu,
    /// [`Gelu`](Self::Gelu) with Φ(x) ≈ (1 + tanh(√(2/π) (x + 0.044715 x³)))/2; the same source.
    ///
    /// Also called `gelu_new`, `gelu_pytorch_tanh` and `gelu-approximate`.
    GeluTanh,
    /// [`Gelu`](Self::Gelu) with Φ(x) ≈ 1/(1 + e^(−1.702 x)); the same source. CLIP has it.
    QuickGelu,
    /// x tanh(ln(1 + e^x)).
    ///
    /// Source: Misra, *Mish: A Self Regularized Non-Monotonic Activation Function*, arXiv 1908.08681.
    Mish,
}

impl Activation {
    /// Returns the activation of each element.
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use ddm_models::blocks::Activation;
    /// let x = Tensor::<1>::from_floats([-1.0, 0.0, 2.0], &Device::flex());
    /// let y = Activation::Relu.forward(x).into_data().try_to_vec::<f32>();
    /// assert_eq!(y.unwrap(), [0.0, 0.0, 2.0]);
    /// ```
    #[must_use]
    pub fn forward<const D: usize>(self, x: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Relu => activation::relu(x),
            Self::Silu => activation::silu(x),
            Self::Gelu => activation::gelu(x),
            Self::GeluTanh => {
                // (1 + tanh u)/2 is the logistic function of 2u: one pass less.
                let scale = 2.0 * (2.0 / std::f64::consts::PI).sqrt();
                let cubic = x.clone().square() * (0.044715 * scale) + scale;
                activation::sigmoid(cubic * x.clone()) * x
            }
            Self::QuickGelu => activation::sigmoid(x.clone() * 1.702) * x,
            Self::Mish => activation::mish(x),
        }
    }
}
