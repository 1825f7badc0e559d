//! A U-Net for images.

mod config;

pub use config::UNetConfig;

use burn::module::Module;
use burn::nn::GroupNorm;
use burn::nn::conv::Conv2d;
use burn::tensor::{Device, Int, Tensor};
use ddm_denoiser::{ConditionalPredictor, ModelError, NoisePredictor};

use crate::Conditioning;
use crate::blocks::{Downsample, Residual, SelfAttention, Upsample, ops};
use crate::error::require_image;

/// A U-Net `F(x, t)` for `[batch, channels, height, width]`, optionally with
/// classes.
///
/// It has residual blocks of decreasing resolution, a middle, and blocks of increasing resolution,
/// each of which also takes the skip features of the same resolution. The last convolution is
/// initialized to 0, so an untrained network predicts 0. It computes in the dtype of its weights;
/// the prediction has the dtype of x, and its channels, or twice as many for
/// [`Model::learned_variance`](ddm_denoiser::Model::learned_variance).
///
/// Sources: Ronneberger et al., *U-Net*, arXiv 1505.04597; in this form Ho et al., *Denoising
/// Diffusion Probabilistic Models*, appendix B, arXiv 2006.11239.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use ddm_denoiser::{ConditionalPredictor, NoisePredictor};
/// use ddm_models::UNetConfig;
/// let device = Device::flex();
/// let network = UNetConfig::new(1, 1).with_channels(vec![8, 16]).with_head_size(8);
/// let network = network.with_classes(Some(10)).init(&device)?;
/// let x = Tensor::<4>::zeros([2, 1, 8, 8], &device);
/// let t = Tensor::<1>::full([2], 500.0, &device);
/// let free = network.predict(x.clone(), t.clone());
/// let guided = network.predict_with(x, t, network.null_classes(2, &device));
/// assert_eq!(free.dims(), guided.dims());
/// # Ok::<(), ddm_models::NetworkConfigError>(())
/// ```
#[derive(Module, Debug)]
pub struct UNet {
    conditioning: Conditioning,
    input: Conv2d,
    down: Vec<Stage>,
    downsample: Vec<Downsample>,
    middle: Stage,
    middle_end: Residual,
    up: Vec<Stage>,
    upsample: Vec<Upsample>,
    norm: GroupNorm,
    output: Conv2d,
}

/// A residual block, followed by attention on some levels.
#[derive(Module, Debug)]
struct Stage {
    residual: Residual,
    attention: Option<SelfAttention>,
}

impl Stage {
    fn forward(&self, x: Tensor<4>, condition: &Tensor<2>) -> Tensor<4> {
        let h = self.residual.forward(x, Some(condition));
        match &self.attention {
            Some(attention) => attention.forward(h),
            None => h,
        }
    }
}

impl UNet {
    /// Returns `batch` labels of the null class, "no class".
    pub fn null_classes(&self, batch: usize, device: &Device) -> Tensor<1, Int> {
        self.conditioning.null_classes(batch, device)
    }

    /// Returns the number of levels; each but the first halves height and width.
    fn levels(&self) -> usize {
        self.downsample.len() + 1
    }

    fn forward(&self, x: Tensor<4>, t: Tensor<1>, labels: Option<Tensor<1, Int>>) -> Tensor<4> {
        let outside = x.dtype();
        let condition = self.conditioning.forward(t, labels);
        let mut h = ops::conv2d(&self.input, x.cast(self.conditioning.dtype()));
        let mut skips = vec![h.clone()];
        let mut downsample = self.downsample.iter();
        for level in self.down.chunks(self.down.len() / self.levels()) {
            for stage in level {
                h = stage.forward(h, &condition);
                skips.push(h.clone());
            }
            if let Some(downsample) = downsample.next() {
                h = downsample.forward(h);
                skips.push(h.clone());
            }
        }
        h = self.middle.forward(h, &condition);
        h = self.middle_end.forward(h, Some(&condition));
        let mut upsample = self.upsample.iter();
        for level in self.up.chunks(self.up.len() / self.levels()) {
            for stage in level {
                let seen = std::iter::once(h).chain(skips.pop()).collect();
                h = stage.forward(Tensor::cat(seen, 1), &condition);
            }
            if let Some(upsample) = upsample.next() {
                h = upsample.forward(h);
            }
        }
        ops::conv2d(&self.output, ops::group_norm_silu(&self.norm, h)).cast(outside)
    }

    fn predicted_shape(&self, [batch, _, height, width]: [usize; 4]) -> [usize; 4] {
        let [channels, ..] = self.output.weight.dims();
        [batch, channels, height, width]
    }

    fn check_shape(&self, shape: [usize; 4]) -> Result<(), ModelError> {
        let [_, channels, _, _] = self.input.weight.dims();
        require_image("x", shape, channels, 1 << (self.levels() - 1))?;
        let [predicted, ..] = self.output.weight.dims();
        if predicted == channels || predicted == 2 * channels {
            return Ok(());
        }
        let found = format!("of {predicted} channels");
        let expected = format!("the {channels} of x, or twice as many with a learned variance");
        Err(ModelError::Shape { what: "the U-Net's prediction", found, expected })
    }
}

impl NoisePredictor<4> for UNet {
    fn predict(&self, x: Tensor<4>, t: Tensor<1>) -> Tensor<4> {
        self.forward(x, t, None)
    }
    fn check(&self, shape: [usize; 4]) -> Result<(), ModelError> {
        self.check_shape(shape)
    }
    fn output_shape(&self, shape: [usize; 4]) -> Option<[usize; 4]> {
        Some(self.predicted_shape(shape))
    }
}

impl ConditionalPredictor<4> for UNet {
    type Condition = Tensor<1, Int>;
    fn predict_with(&self, x: Tensor<4>, t: Tensor<1>, labels: Self::Condition) -> Tensor<4> {
        self.forward(x, t, Some(labels))
    }
    fn check_with(&self, shape: [usize; 4], labels: &Self::Condition) -> Result<(), ModelError> {
        self.check_shape(shape)?;
        self.conditioning.check(labels, shape[0])
    }
    fn output_shape_with(&self, shape: [usize; 4]) -> Option<[usize; 4]> {
        Some(self.predicted_shape(shape))
    }
}
