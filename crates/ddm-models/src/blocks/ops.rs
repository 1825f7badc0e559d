//! The operations of the networks. All networks of this crate compute through them, so that a
//! kernel can be replaced in one place.

use burn::nn::conv::Conv2d;
use burn::nn::{GroupNorm, LayerNorm, Linear, RmsNorm};
use burn::tensor::{FloatDType, Tensor};

#[cfg(feature = "kernels")]
use super::fast;
use super::{Activation, AttentionOptions, plain};

/// Returns from the method with the kernel's result, if there are kernels for the tensor.
macro_rules! kernel {
    ($x:ident, $result:expr) => {
        #[cfg(feature = "kernels")]
        if ddm_kernels::burn::supports(&$x) {
            return $result;
        }
    };
}

/// Returns x from the method if the pass is a trial, whose numbers do not matter.
macro_rules! trial {
    ($ops:ident, $x:ident) => {
        #[cfg(feature = "kernels")]
        if $ops.weights.is_trial() {
            return $x;
        }
    };
}

/// The operations of the networks, a method each.
///
/// Images are `[batch, height, width, channels]` inside a network. Each method takes the burn layer
/// with its parameters, and an input of their dtype. On burn's flex and in f32 the kernels of
/// `ddm-kernels` compute them (feature `kernels`), elsewhere the operations of [`plain`].
#[derive(Clone, Debug, Default)]
pub struct Ops {
    #[cfg(feature = "kernels")]
    pub(super) weights: super::packing::Weights,
}

/// Returns the network as it is: there are no kernels to pack weights for.
#[cfg(not(feature = "kernels"))]
pub(crate) fn pack<N>(network: N, _: impl FnOnce(&N, &Ops), _: Option<usize>) -> (N, Ops) {
    (network, Ops::default())
}

impl Ops {
    /// Returns whether there are packed weights.
    pub(crate) fn has_weights(&self) -> bool {
        #[cfg(feature = "kernels")]
        return matches!(self.weights, super::packing::Weights::Packed(_));
        #[cfg(not(feature = "kernels"))]
        false
    }

    /// Runs a pass through a network that starts from x.
    ///
    /// Kernels start faster within one pass than each from outside; on other devices this is a plain
    /// call.
    pub fn pass<const D: usize, R: Send>(x: &Tensor<D>, pass: impl FnOnce() -> R + Send) -> R {
        #[cfg(feature = "kernels")]
        if ddm_kernels::burn::supports(x) {
            return ddm_kernels::pass(pass);
        }
        let _ = x;
        pass()
    }

    /// Returns the dtype in which a network with weights of this dtype computes: theirs, but f32 if
    /// the weights were in half precision and are packed in f32.
    pub(crate) fn dtype<const D: usize>(&self, weights: FloatDType, x: &Tensor<D>) -> FloatDType {
        #[cfg(feature = "kernels")]
        if matches!(weights, FloatDType::F16 | FloatDType::BF16)
            && !matches!(self.weights, super::packing::Weights::Layers)
            && ddm_kernels::burn::is_on_flex(x)
        {
            return FloatDType::F32;
        }
        let _ = x;
        weights
    }

    /// Applies a convolution with the stride, padding, dilation and groups of its layer.
    #[must_use]
    pub fn conv2d(&self, layer: &Conv2d, x: Tensor<4>) -> Tensor<4> {
        self.conv2d_add(layer, x, None, None)
    }

    /// Returns the [`conv2d`](Self::conv2d) of x, plus `per_sample` (`[batch or 1, channels out]`)
    /// at every pixel, plus `residual`: one operation, since a kernel can add them as it stores.
    #[must_use]
    pub fn conv2d_add(
        &self,
        layer: &Conv2d,
        x: Tensor<4>,
        per_sample: Option<Tensor<2>>,
        residual: Option<Tensor<4>>,
    ) -> Tensor<4> {
        kernel!(x, fast::conv2d_add(&self.weights, layer, x, per_sample, residual));
        plain::conv2d_add(layer, x, per_sample, residual)
    }

    /// Halves the height and width, by a convolution of stride 2.
    #[must_use]
    pub fn downsample(&self, layer: &Conv2d, x: Tensor<4>) -> Tensor<4> {
        self.conv2d(layer, x)
    }

    /// Doubles the height and width by repeating every pixel four times, then applies a
    /// convolution: one operation, since a kernel can repeat the pixels as it reads.
    #[must_use]
    pub fn upsample_conv2d(&self, layer: &Conv2d, x: Tensor<4>) -> Tensor<4> {
        self.conv2d(layer, self.upsample_nearest(x))
    }

    /// Doubles the height and width, by repeating every pixel four times.
    #[must_use]
    pub fn upsample_nearest(&self, x: Tensor<4>) -> Tensor<4> {
        kernel!(x, ddm_kernels::burn::upsample_nearest(x));
        plain::upsample_nearest(x)
    }

    /// Returns `x W + b` along the last axis.
    #[must_use]
    pub fn linear<const D: usize>(&self, layer: &Linear, x: Tensor<D>) -> Tensor<D> {
        kernel!(x, fast::linear_add(&self.weights, layer, x, None));
        plain::linear(layer, x)
    }

    /// Returns `residual + x W + b`.
    #[must_use]
    pub fn linear_add<const D: usize>(
        &self,
        layer: &Linear,
        x: Tensor<D>,
        residual: Tensor<D>,
    ) -> Tensor<D> {
        kernel!(x, fast::linear_add(&self.weights, layer, x, Some(residual)));
        residual + plain::linear(layer, x)
    }

    /// As [`linear`](Self::linear), for rows that come again from sample to sample and from run to run:
    /// those that depend on the timestep and the class alone. Of a network that is prepared for sampling
    /// the results of the last hundred rows are kept.
    #[must_use]
    pub fn linear_remembered(&self, layer: &Linear, x: Tensor<2>) -> Tensor<2> {
        kernel!(x, fast::linear_remembered(&self.weights, layer, x));
        plain::linear(layer, x)
    }

    /// Normalizes each group of channels of each sample to mean 0 and variance 1, then applies a
    /// gain and a bias per channel.
    ///
    /// Source: Wu & He, *Group Normalization*, eq. 1–7, arXiv 1803.08494.
    #[must_use]
    pub fn group_norm(&self, layer: &GroupNorm, x: Tensor<4>) -> Tensor<4> {
        trial!(self, x);
        kernel!(x, fast::group_norm(layer, x, false));
        plain::group_norm(layer, x)
    }

    /// Returns the [`silu`](Self::silu) of the [`group_norm`](Self::group_norm): one operation,
    /// since a kernel can fuse them.
    #[must_use]
    pub fn group_norm_silu(&self, layer: &GroupNorm, x: Tensor<4>) -> Tensor<4> {
        trial!(self, x);
        kernel!(x, fast::group_norm(layer, x, true));
        plain::silu(plain::group_norm(layer, x))
    }

    /// Normalizes the last axis to mean 0 and variance 1, then applies a gain and a bias per
    /// element.
    ///
    /// Source: Ba et al., *Layer Normalization*, eq. 4, arXiv 1607.06450.
    #[must_use]
    pub fn layer_norm<const D: usize>(&self, layer: &LayerNorm, x: Tensor<D>) -> Tensor<D> {
        trial!(self, x);
        // burn's own on every device: its layer does not show its epsilon.
        plain::layer_norm(layer, x)
    }

    /// Returns `x/(1 + e^(−x))`.
    ///
    /// Source: Hendrycks & Gimpel, *Gaussian Error Linear Units*, arXiv 1606.08415.
    #[must_use]
    pub fn silu<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        trial!(self, x);
        kernel!(x, ddm_kernels::burn::silu(x));
        plain::silu(x)
    }

    /// Returns `softmax(q kᵀ/√d) v` for each head: `[batch, queries, heads · d]` from q
    /// `[batch, queries, heads · d]`, k and v `[batch, keys, heads · d]`. The channels of a head lie
    /// beside each other.
    ///
    /// Source: Vaswani et al., *Attention Is All You Need*, eq. 1, arXiv 1706.03762.
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use ddm_models::blocks::Ops;
    /// // Equal keys weigh all values equally.
    /// let device = Device::flex();
    /// let queries = Tensor::<3>::ones([1, 1, 2], &device);
    /// let keys = Tensor::<3>::ones([1, 2, 2], &device);
    /// let values = Tensor::<3>::from_floats([[[1.0, 0.0], [5.0, 4.0]]], &device);
    /// let mixed = Ops::default().attention(queries, keys, values, 2);
    /// assert_eq!(mixed.into_data().try_to_vec::<f32>().unwrap(), [3.0, 2.0]);
    /// ```
    #[must_use]
    pub fn attention(&self, q: Tensor<3>, k: Tensor<3>, v: Tensor<3>, heads: usize) -> Tensor<3> {
        trial!(self, q);
        kernel!(q, fast::attention(q, k, v, heads));
        plain::attention(q, k, v, heads)
    }

    /// Joins two images of the same size along their channels.
    #[must_use]
    pub fn concat(&self, a: Tensor<4>, b: Tensor<4>) -> Tensor<4> {
        kernel!(a, ddm_kernels::burn::concat(a, b));
        plain::concat(a, b)
    }

    /// Returns `max(x, 0)`.
    #[must_use]
    pub fn relu<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        plain::relu(x)
    }

    /// Returns `softmax(s q kᵀ + bias) v` for each head, with the scale s, the bias and the causal mask
    /// of the options; shapes as in [`attention`](Self::attention).
    ///
    /// With a bias and with gradients burn's own operations compute it on every device, so that the
    /// bias gets a gradient too.
    #[must_use]
    pub fn attention_with(
        &self,
        q: Tensor<3>,
        k: Tensor<3>,
        v: Tensor<3>,
        heads: usize,
        options: AttentionOptions,
    ) -> Tensor<3> {
        trial!(self, q);
        #[cfg(feature = "kernels")]
        if ddm_kernels::burn::supports(&q) && (options.bias.is_none() || !q.device().is_autodiff())
        {
            return fast::attention_with(q, k, v, heads, options);
        }
        plain::attention_with(q, k, v, heads, options)
    }

    /// Normalizes the last axis to mean 0 and variance 1: a layer norm without gain and bias.
    ///
    /// Source: Ba et al., *Layer Normalization*, eq. 4, arXiv 1607.06450.
    #[must_use]
    pub fn normalize<const D: usize>(&self, x: Tensor<D>, epsilon: f64) -> Tensor<D> {
        trial!(self, x);
        kernel!(x, fast::normalize(x, epsilon));
        plain::normalize(x, epsilon)
    }

    /// Divides the last axis by its root mean square, then applies a gain per element. The mean is in
    /// f32 if x is in half precision.
    ///
    /// Source: Zhang & Sennrich, *Root Mean Square Layer Normalization*, eq. 4, arXiv 1910.07467.
    #[must_use]
    pub fn rms_norm<const D: usize>(&self, layer: &RmsNorm, x: Tensor<D>) -> Tensor<D> {
        trial!(self, x);
        plain::rms_norm(layer, x)
    }

    /// Returns the activation of each element.
    #[must_use]
    pub fn activate<const D: usize>(&self, activation: Activation, x: Tensor<D>) -> Tensor<D> {
        trial!(self, x);
        match activation {
            Activation::Silu => self.silu(x),
            other => other.forward(x),
        }
    }

    /// Returns the activation of the [`group_norm`](Self::group_norm).
    #[must_use]
    pub fn group_norm_activate(
        &self,
        activation: Activation,
        layer: &GroupNorm,
        x: Tensor<4>,
    ) -> Tensor<4> {
        match activation {
            Activation::Silu => self.group_norm_silu(layer, x),
            other => other.forward(self.group_norm(layer, x)),
        }
    }
}
