//! The weights of a convolution, packed for its method.

use super::Conv2d;
use crate::conv::direct;
use crate::conv::dots::Dots;
use crate::gemm::Panels;
use crate::winograd::{F2, F4, Transformed, values};

/// The weights of a convolution, transformed and packed for the method that suits its shape.
#[derive(Clone, Debug)]
pub struct ConvWeights(pub(super) Packing);

/// The weights as each method takes them.
#[derive(Clone, Debug)]
pub(super) enum Packing {
    /// A matrix `[taps · c_in, c_out]` for each group.
    Direct(Vec<Panels>),
    Dots(Dots),
    Two(Transformed<F2>),
    Four(Transformed<F4>),
}

/// How a convolution is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConvMethod {
    /// A matrix product of all taps.
    Direct,
    /// A dot product for each output, of 3×3 convolutions to at most four channels.
    Dots,
    /// Winograd's F(2×2, 3×3): 1/2.25 of the multiplications.
    Two(Transform),
    /// Winograd's F(4×4, 3×3): a quarter of the multiplications.
    Four(Transform),
}

/// When the weights of Winograd's method are transformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transform {
    /// Once. They take 16/9 of their memory in F(2×2), and 4 times as much in F(4×4).
    Once,
    /// In each call, a part at a time. They take no more memory than they have, and the layer takes
    /// up to half as long again.
    InCall,
}

impl ConvMethod {
    /// Returns the method that is fastest with packed weights. It depends on the image and the
    /// channels alone, not on the batch, so that a sample does not depend on its batch.
    #[must_use]
    pub fn fastest(conv: &Conv2d) -> Self {
        let tiles = conv.out_h.div_ceil(4) * conv.out_w.div_ceil(4);
        // With many channels reading the weights takes as long as the products, so on few pixels the
        // methods with fewer weights win.
        let many = conv.c_in * conv.c_out > 128 * 128;
        match tiles {
            _ if Dots::suits(conv) => Self::Dots,
            _ if !conv.is_winograd() || conv.c_in < 8 => Self::Direct,
            1 if many => Self::Direct,
            1..=3 => Self::Two(Transform::Once),
            4..=8 if many => Self::Two(Transform::Once),
            _ => Self::Four(Transform::Once),
        }
    }
}

impl ConvWeights {
    /// Packs weights `[c_out, c_in/groups, kh, kw]` for the fastest method.
    ///
    /// # Panics
    ///
    /// Panics if the number of weights does not fit the plan.
    #[must_use]
    pub fn new(conv: &Conv2d, weights: &[f32]) -> Self {
        Self::with_method(conv, weights, ConvMethod::fastest(conv))
    }

    /// Packs weights `[c_out, c_in/groups, kh, kw]` for a given method. Where it is
    /// not possible (another kernel or stride, groups), it is [`ConvMethod::Direct`].
    ///
    /// # Panics
    ///
    /// Panics if the number of weights does not fit the plan.
    #[must_use]
    pub fn with_method(conv: &Conv2d, weights: &[f32], method: ConvMethod) -> Self {
        assert_eq!(weights.len(), conv.weights_len(), "weights");
        let taps = Taps { weights, out_stride: conv.c_in * 9, in_stride: 9, turned: false };
        Self(match method {
            ConvMethod::Dots if Dots::suits(conv) => Packing::Dots(Dots::pack(conv, taps)),
            ConvMethod::Two(when) if conv.is_winograd() => {
                Packing::Two(Transformed::new(conv, taps, when))
            }
            ConvMethod::Four(when) if conv.is_winograd() => {
                Packing::Four(Transformed::new(conv, taps, when))
            }
            _ => Packing::Direct(direct::pack(conv, weights)),
        })
    }

    /// Packs weights `[c_in, c_out, 3, 3]`, those of the convolution of which `conv` is the
    /// gradient: turned by 180°, with input and output exchanged.
    pub(crate) fn turned(conv: &Conv2d, weights: &[f32]) -> Self {
        let taps = Taps { weights, out_stride: 9, in_stride: conv.c_out * 9, turned: true };
        Self(match ConvMethod::fastest(conv) {
            ConvMethod::Dots => Packing::Dots(Dots::pack(conv, taps)),
            ConvMethod::Two(when) => Packing::Two(Transformed::new(conv, taps, when)),
            ConvMethod::Four(when) => Packing::Four(Transformed::new(conv, taps, when)),
            ConvMethod::Direct => {
                let mut turned = vec![0.0; weights.len()];
                for (i, turned) in turned.chunks_exact_mut(9).enumerate() {
                    turned.copy_from_slice(&taps.of(i / conv.c_in, i % conv.c_in));
                }
                Packing::Direct(direct::pack(conv, &turned))
            }
        })
    }

    /// Returns the bytes in memory of weights packed for a method.
    #[must_use]
    pub fn bytes_of(conv: &Conv2d, method: ConvMethod) -> usize {
        if method == ConvMethod::Dots && Dots::suits(conv) {
            return conv.weights_len() * size_of::<f32>();
        }
        let groups = conv.options.groups;
        let pixel = Panels::packed_len(conv.c_in / groups, conv.c_out / groups) * groups;
        let points = match method {
            ConvMethod::Two(when) if conv.is_winograd() => values::<F2>(when),
            ConvMethod::Four(when) if conv.is_winograd() => values::<F4>(when),
            _ => conv.taps(),
        };
        points * pixel * size_of::<f32>()
    }

    /// Returns the weights `[c_out, c_in/groups, kh, kw]` again, up to rounding.
    pub(crate) fn unpack(&self, conv: &Conv2d) -> Vec<f32> {
        match &self.0 {
            Packing::Direct(groups) => direct::unpack(conv, groups),
            Packing::Dots(weights) => weights.unpack(),
            Packing::Two(weights) => weights.unpack(),
            Packing::Four(weights) => weights.unpack(),
        }
    }

    /// Returns the bytes in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match &self.0 {
            Packing::Direct(groups) => groups.iter().map(Panels::bytes).sum(),
            Packing::Dots(weights) => weights.bytes(),
            Packing::Two(weights) => weights.bytes(),
            Packing::Four(weights) => weights.bytes(),
        }
    }

    /// Checks that the weights are those of a convolution like `conv`.
    pub(super) fn check(&self, conv: &Conv2d) {
        let (c_in, c_out) = (conv.c_in, conv.c_out);
        let fits = match &self.0 {
            Packing::Direct(groups) => {
                let count = conv.options.groups;
                let rows = conv.taps() * c_in / count;
                groups.len() == count
                    && groups.iter().all(|g| g.rows() == rows && g.cols() == c_out / count)
            }
            Packing::Dots(weights) => Dots::suits(conv) && weights.channels() == [c_in, c_out],
            Packing::Two(weights) => conv.is_winograd() && weights.channels() == [c_in, c_out],
            Packing::Four(weights) => conv.is_winograd() && weights.channels() == [c_in, c_out],
        };
        assert!(fits, "the weights are those of another convolution");
    }
}

/// 3×3 kernels in memory, in one of the two orders of channels.
#[derive(Clone, Copy)]
pub(crate) struct Taps<'a> {
    weights: &'a [f32],
    out_stride: usize,
    in_stride: usize,
    turned: bool,
}

impl Taps<'_> {
    /// Returns the kernel from an input to an output channel, row by row.
    #[inline(always)]
    pub(crate) fn of(&self, output: usize, input: usize) -> [f32; 9] {
        let start = output * self.out_stride + input * self.in_stride;
        let mut taps: [f32; 9] = self.weights[start..start + 9].try_into().expect("nine taps");
        if self.turned {
            taps.reverse();
        }
        taps
    }
}
