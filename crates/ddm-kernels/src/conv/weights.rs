//! The weights of a convolution, packed for its method.

use super::Conv2d;
use crate::conv::direct;
use crate::gemm::Panels;
use crate::winograd::{F2, F4, Tile, Transformed};

/// The weights of a convolution, transformed and packed for the method that suits its shape.
#[derive(Clone, Debug)]
pub struct ConvWeights(pub(super) Packing);

/// The weights as each method takes them.
#[derive(Clone, Debug)]
pub(super) enum Packing {
    /// A matrix `[taps · c_in, c_out]` for each group.
    Direct(Vec<Panels>),
    Two(Transformed<F2>),
    Four(Transformed<F4>),
}

/// How a convolution is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConvMethod {
    /// A matrix product of all taps.
    Direct,
    /// Winograd's F(2×2, 3×3): 16/9 of the weights' memory, 1/2.25 of the multiplications.
    Two,
    /// Winograd's F(4×4, 3×3): 4 times the memory, a quarter of the multiplications.
    Four,
}

impl ConvMethod {
    /// Returns the method that is fastest with packed weights. It depends on the image and the
    /// channels alone, not on the batch, so that a sample does not depend on its batch.
    #[must_use]
    pub fn fastest(conv: &Conv2d) -> Self {
        let tiles = |side: usize| conv.out_h.div_ceil(side) * conv.out_w.div_ceil(side);
        // With many channels reading the weights takes as long as the products, so on few pixels the
        // methods with fewer weights win.
        let many = conv.c_in * conv.c_out > 128 * 128;
        match tiles(4) {
            _ if !conv.is_winograd() || conv.c_in < 8 => Self::Direct,
            1 if many => Self::Direct,
            1..=3 => Self::Two,
            4..=8 if many => Self::Two,
            _ => Self::Four,
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

    /// Packs weights `[c_out, c_in/groups, kh, kw]` for a given method. Where Winograd's is not
    /// possible (another kernel or stride, groups), it is [`ConvMethod::Direct`].
    ///
    /// # Panics
    ///
    /// Panics if the number of weights does not fit the plan.
    #[must_use]
    pub fn with_method(conv: &Conv2d, weights: &[f32], method: ConvMethod) -> Self {
        assert_eq!(weights.len(), conv.weights_len(), "weights");
        let taps = Taps { weights, out_stride: conv.c_in * 9, in_stride: 9, turned: false };
        Self(match method {
            ConvMethod::Two if conv.is_winograd() => Packing::Two(Transformed::new(conv, taps)),
            ConvMethod::Four if conv.is_winograd() => Packing::Four(Transformed::new(conv, taps)),
            _ => Packing::Direct(direct::pack(conv, weights)),
        })
    }

    /// Packs weights `[c_in, c_out, 3, 3]`, those of the convolution of which `conv` is the
    /// gradient: turned by 180°, with input and output exchanged.
    pub(crate) fn turned(conv: &Conv2d, weights: &[f32]) -> Self {
        let taps = Taps { weights, out_stride: 9, in_stride: conv.c_out * 9, turned: true };
        Self(match ConvMethod::fastest(conv) {
            ConvMethod::Two => Packing::Two(Transformed::new(conv, taps)),
            ConvMethod::Four => Packing::Four(Transformed::new(conv, taps)),
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
        let groups = conv.options.groups;
        let pixel = Panels::packed_len(conv.c_in / groups, conv.c_out / groups) * groups;
        let points = match method {
            ConvMethod::Two if conv.is_winograd() => F2::POINTS,
            ConvMethod::Four if conv.is_winograd() => F4::POINTS,
            _ => conv.taps(),
        };
        points * pixel * size_of::<f32>()
    }

    /// Returns the weights `[c_out, c_in/groups, kh, kw]` again, up to rounding.
    pub(crate) fn unpack(&self, conv: &Conv2d) -> Vec<f32> {
        match &self.0 {
            Packing::Direct(groups) => direct::unpack(conv, groups),
            Packing::Two(weights) => weights.unpack(),
            Packing::Four(weights) => weights.unpack(),
        }
    }

    /// Returns the bytes in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match &self.0 {
            Packing::Direct(groups) => groups.iter().map(Panels::bytes).sum(),
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
