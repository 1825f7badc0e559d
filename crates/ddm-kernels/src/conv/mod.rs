//! Convolutions of channels-last images.

mod direct;
mod dots;
mod weights;

use weights::Packing;
pub(crate) use weights::Taps;
pub use weights::{ConvMethod, ConvWeights, Transform};

use crate::error::ShapeError;
use crate::gemm::{Matrix, Panels, Plus, matmul, matmul_transposed};
use crate::winograd;

/// The settings of a convolution; each pair is (height, width).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvOptions {
    /// The distance of two outputs in the input.
    pub stride: [usize; 2],
    /// The zeros above and left of the image.
    pub padding_begin: [usize; 2],
    /// The zeros below and right of the image.
    pub padding_end: [usize; 2],
    /// The distance of two taps of the kernel in the input.
    pub dilation: [usize; 2],
    /// The number of groups of channels that do not mix.
    pub groups: usize,
}

impl Default for ConvOptions {
    fn default() -> Self {
        Self {
            stride: [1, 1],
            padding_begin: [0, 0],
            padding_end: [0, 0],
            dilation: [1, 1],
            groups: 1,
        }
    }
}

/// A convolution of given shapes: `[n, h, w, c_in] → [n, out_h, out_w, c_out]`, with weights
/// `[c_out, c_in/groups, kh, kw]`.
///
/// ```
/// use ddm_kernels::conv::{Conv2d, ConvOptions, ConvWeights};
/// use ddm_kernels::gemm::Plus;
/// let conv = Conv2d::new([1, 1, 3, 1], [1, 1, 1, 2], ConvOptions::default())?;
/// let mut out = vec![0.0; conv.output_len()];
/// let weights = ConvWeights::new(&conv, &[1.0, -1.0]);
/// conv.forward(&[1.0, 4.0, 9.0], &weights, Plus::default(), &mut out);
/// assert_eq!(out, [-3.0, -5.0]);
/// # Ok::<(), ddm_kernels::ShapeError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv2d {
    pub(crate) n: usize,
    pub(crate) h: usize,
    pub(crate) w: usize,
    pub(crate) c_in: usize,
    pub(crate) c_out: usize,
    pub(crate) kernel: [usize; 2],
    pub(crate) options: ConvOptions,
    pub(crate) out_h: usize,
    pub(crate) out_w: usize,
}

impl Conv2d {
    /// Plans a convolution of an input `[n, h, w, c_in]` with weights
    /// `[c_out, c_in/groups, kh, kw]`.
    ///
    /// # Errors
    ///
    /// Returns an error if a size other than n is 0, the groups do not divide the channels, the
    /// weights have another number of channels, or the kernel does not fit in the padded image.
    pub fn new(
        [n, h, w, c_in]: [usize; 4],
        [c_out, c_group, kh, kw]: [usize; 4],
        options: ConvOptions,
    ) -> Result<Self, ShapeError> {
        let ConvOptions { stride, padding_begin, padding_end, dilation, groups } = options;
        for (what, size) in [
            ("the image's height", h),
            ("the image's width", w),
            ("the number of input channels", c_in),
            ("the number of output channels", c_out),
            ("the kernel's height", kh),
            ("the kernel's width", kw),
            ("the stride", stride[0].min(stride[1])),
            ("the dilation", dilation[0].min(dilation[1])),
            ("the number of groups", groups),
        ] {
            if size == 0 {
                return Err(ShapeError::Zero { what });
            }
        }
        if !c_out.is_multiple_of(groups) {
            return Err(ShapeError::Groups { what: "output channels", channels: c_out, groups });
        }
        if c_group * groups != c_in {
            return Err(ShapeError::Groups { what: "input channels", channels: c_in, groups });
        }
        let size = |axis: usize, name, size: usize, taps: usize| {
            let kernel = (taps - 1) * dilation[axis] + 1;
            let padded = padding_begin[axis] + size + padding_end[axis];
            if kernel > padded {
                return Err(ShapeError::Kernel { axis: name, kernel, padded });
            }
            Ok((padded - kernel) / stride[axis] + 1)
        };
        let (out_h, out_w) = (size(0, "height", h, kh)?, size(1, "width", w, kw)?);
        Ok(Self { n, h, w, c_in, c_out, kernel: [kh, kw], options, out_h, out_w })
    }

    /// Returns the shape of the output, `[n, out_h, out_w, c_out]`.
    #[must_use]
    pub fn output_shape(&self) -> [usize; 4] {
        [self.n, self.out_h, self.out_w, self.c_out]
    }

    /// Returns the shape of the input, `[n, h, w, c_in]`.
    #[must_use]
    pub fn input_shape(&self) -> [usize; 4] {
        [self.n, self.h, self.w, self.c_in]
    }

    /// Returns the shape of the weights, `[c_out, c_in/groups, kh, kw]`.
    #[must_use]
    pub fn weights_shape(&self) -> [usize; 4] {
        [self.c_out, self.c_in / self.options.groups, self.kernel[0], self.kernel[1]]
    }

    /// Returns the number of elements of the output.
    #[must_use]
    pub fn output_len(&self) -> usize {
        self.output_shape().iter().product()
    }

    /// Returns the number of elements of the input.
    #[must_use]
    pub fn input_len(&self) -> usize {
        self.input_shape().iter().product()
    }

    /// Returns the number of weights.
    #[must_use]
    pub fn weights_len(&self) -> usize {
        self.weights_shape().iter().product()
    }

    /// Returns the row (axis 0) or column (axis 1) of the input that a tap of an output's row or
    /// column reads, if it lies in the image.
    #[inline(always)]
    fn source(&self, axis: usize, place: usize, tap: usize) -> Option<usize> {
        let ConvOptions { stride, dilation, padding_begin, .. } = self.options;
        (place * stride[axis] + tap * dilation[axis])
            .checked_sub(padding_begin[axis])
            .filter(|&at| at < [self.h, self.w][axis])
    }

    /// Returns the input pixels that the taps of an output pixel read, row by row; none outside of
    /// the image.
    #[inline(always)]
    fn sources(&self, pixel: usize) -> impl Iterator<Item = Option<usize>> + use<'_> {
        let (row, x) = (pixel / self.out_w, pixel % self.out_w);
        let (image, y) = (row / self.out_h, row % self.out_h);
        (0..self.kernel[0]).flat_map(move |i| {
            let row = self.source(0, y, i).map(|y| (image * self.h + y) * self.w);
            (0..self.kernel[1]).map(move |j| Some(row? + self.source(1, x, j)?))
        })
    }

    pub(crate) fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// Whether the kernel is 1×1 and each output reads the pixel of the same place.
    pub(crate) fn is_pointwise(&self) -> bool {
        let ConvOptions { stride, padding_begin, padding_end, groups, .. } = self.options;
        self.kernel == [1, 1]
            && stride == [1, 1]
            && padding_begin == [0, 0]
            && padding_end == [0, 0]
            && groups == 1
    }

    /// Whether this is a 3×3 convolution with stride 1, the kind that Winograd's method is for.
    pub(crate) fn is_winograd(&self) -> bool {
        let ConvOptions { stride, dilation, groups, .. } = self.options;
        self.kernel == [3, 3] && stride == [1, 1] && dilation == [1, 1] && groups == 1
    }

    /// Writes `x * weights + plus`, `[n, out_h, out_w, c_out]`.
    ///
    /// `plus.per_group` is counted in pixels of the output, `out_h · out_w` for one row per sample.
    ///
    /// # Panics
    ///
    /// Panics if a length does not fit the plan, or the weights are those of another convolution.
    pub fn forward(&self, x: &[f32], weights: &ConvWeights, plus: Plus<'_>, out: &mut [f32]) {
        assert_eq!(x.len(), self.input_len(), "elements of the input");
        assert_eq!(out.len(), self.output_len(), "elements of the output");
        weights.check(self);
        match &weights.0 {
            Packing::Direct(panels) => direct::forward(self, x, panels, plus, out),
            Packing::Dots(weights) => weights.forward(self, x, plus, out),
            Packing::Four(weights) => winograd::forward(self, x, weights, plus, out),
            Packing::Two(weights) => winograd::forward(self, x, weights, plus, out),
        }
    }

    /// Returns the convolution whose forward pass is this one's gradient with respect to the input,
    /// if it is one: that of stride 1, with the kernel turned by 180°.
    fn data_gradient(&self) -> Option<Self> {
        let pad = |end: [usize; 2]| {
            let [y, x] = [0, 1].map(|axis| (self.kernel[axis] - 1).checked_sub(end[axis]));
            Some([y?, x?])
        };
        if !self.is_winograd() {
            return None;
        }
        let options = ConvOptions {
            padding_begin: pad(self.options.padding_begin)?,
            padding_end: pad(self.options.padding_end)?,
            ..self.options
        };
        let weights = [self.c_in, self.c_out, self.kernel[0], self.kernel[1]];
        Self::new(self.output_shape(), weights, options).ok()
    }

    /// Writes the gradient with respect to the input: `dx` from `dy`, the gradient with respect to
    /// the output, and the weights `[c_out, c_in/groups, kh, kw]`.
    ///
    /// # Panics
    ///
    /// Panics if a length does not fit the plan.
    pub fn backward_input(&self, dy: &[f32], weights: &[f32], dx: &mut [f32]) {
        assert_eq!(dy.len(), self.output_len(), "elements of the output's gradient");
        assert_eq!(dx.len(), self.input_len(), "elements of the input's gradient");
        assert_eq!(weights.len(), self.weights_len(), "weights");
        if self.is_pointwise() {
            let weights = Panels::pack(Matrix::new(weights, self.c_in));
            return matmul(Matrix::new(dy, self.c_out), &weights, dx, Plus::default());
        }
        match self.data_gradient() {
            Some(conv) => {
                let weights = ConvWeights::turned(&conv, weights);
                conv.forward(dy, &weights, Plus::default(), dx);
            }
            None => direct::backward_input(self, dy, weights, dx),
        }
    }

    /// As [`backward_input`](Self::backward_input), with packed weights: slower, as they are unpacked
    /// first.
    ///
    /// # Panics
    ///
    /// Panics if a length does not fit the plan, or the weights are those of another convolution.
    pub fn backward_input_packed(&self, dy: &[f32], weights: &ConvWeights, dx: &mut [f32]) {
        weights.check(self);
        self.backward_input(dy, &weights.unpack(self), dx);
    }

    /// Writes the gradient with respect to the weights, `[c_out, c_in/groups, kh, kw]`, from the
    /// input and `dy`, the gradient with respect to the output.
    ///
    /// # Panics
    ///
    /// Panics if a length does not fit the plan.
    pub fn backward_weights(&self, x: &[f32], dy: &[f32], dw: &mut [f32]) {
        assert_eq!(x.len(), self.input_len(), "elements of the input");
        assert_eq!(dy.len(), self.output_len(), "elements of the output's gradient");
        assert_eq!(dw.len(), self.weights_len(), "weights");
        if self.is_pointwise() {
            matmul_transposed(Matrix::new(dy, self.c_out), Matrix::new(x, self.c_in), dw);
        } else if self.is_winograd() && winograd::pays_for_weights(self) {
            winograd::backward_weights(self, x, dy, dw);
        } else {
            direct::backward_weights(self, x, dy, dw);
        }
    }
}
