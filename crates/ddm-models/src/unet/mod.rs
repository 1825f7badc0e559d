//! A U-Net for images.

mod config;
mod diffusers;

pub use config::UNetConfig;
pub use diffusers::DiffusersError;

use burn::module::Module;
use burn::nn::GroupNorm;
use burn::nn::conv::Conv2d;
use burn::tensor::{Device, Int, Tensor};
use ddm_denoiser::{ConditionalPredictor, ModelError, NoisePredictor};

use crate::Conditioning;
use crate::blocks::plain::{to_channels_first, to_channels_last};
use crate::blocks::{Downsample, Ops, Residual, SelfAttention, Upsample};
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
/// Diffusion Probabilistic Models*, appendix B, arXiv 2006.11239. The architecture is that of
/// diffusers' `UNet2DModel`, whose checkpoints [`UNet::from_diffusers`] loads.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use ddm_denoiser::{ConditionalPredictor, NoisePredictor};
/// use ddm_models::UNetConfig;
/// let device = Device::flex();
/// let network = UNetConfig::new(1, 1).with_channels(vec![8, 16]).with_head_size(Some(8));
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
    down: Vec<Down>,
    middle: Stage,
    middle_end: Residual,
    up: Vec<Up>,
    norm: GroupNorm,
    output: Conv2d,
}

/// A level on the way down; all but the coarsest end with half the resolution.
#[derive(Module, Debug)]
struct Down {
    stages: Vec<Stage>,
    downsample: Option<Downsample>,
}

/// A level on the way up; all but the finest end with twice the resolution.
#[derive(Module, Debug)]
struct Up {
    stages: Vec<Stage>,
    upsample: Option<Upsample>,
}

/// A residual block, followed by attention on some levels.
#[derive(Module, Debug)]
struct Stage {
    residual: Residual,
    attention: Option<SelfAttention>,
}

impl Stage {
    fn forward(&self, ops: &Ops, x: Tensor<4>, condition: &Tensor<2>) -> Tensor<4> {
        let h = self.residual.forward(ops, x, Some(condition));
        match &self.attention {
            Some(attention) => attention.forward(ops, h),
            None => h,
        }
    }
}

impl UNet {
    /// Returns `batch` labels of the null class, "no class".
    pub fn null_classes(&self, batch: usize, device: &Device) -> Tensor<1, Int> {
        self.conditioning.null_classes(batch, device)
    }

    /// Returns the prediction, computed with `ops`; without labels, that of the null class.
    pub fn forward_with(
        &self,
        ops: &Ops,
        x: Tensor<4>,
        t: Tensor<1>,
        labels: Option<Tensor<1, Int>>,
    ) -> Tensor<4> {
        let outside = x.dtype();
        let condition = self.conditioning.forward(ops, t, labels);
        let x = to_channels_last(x.cast(self.conditioning.dtype()));
        let mut h = ops.conv2d(&self.input, x);
        let mut skips = vec![h.clone()];
        for level in &self.down {
            for stage in &level.stages {
                h = stage.forward(ops, h, &condition);
                skips.push(h.clone());
            }
            if let Some(downsample) = &level.downsample {
                h = downsample.forward(ops, h);
                skips.push(h.clone());
            }
        }
        h = self.middle.forward(ops, h, &condition);
        h = self.middle_end.forward(ops, h, Some(&condition));
        for level in &self.up {
            for stage in &level.stages {
                if let Some(skip) = skips.pop() {
                    h = ops.concat(h, skip);
                }
                h = stage.forward(ops, h, &condition);
            }
            if let Some(upsample) = &level.upsample {
                h = upsample.forward(ops, h);
            }
        }
        let h = ops.conv2d(&self.output, ops.group_norm_silu(&self.norm, h));
        to_channels_first(h).cast(outside)
    }

    fn predicted_shape(&self, [batch, _, height, width]: [usize; 4]) -> [usize; 4] {
        let [channels, ..] = self.output.weight.dims();
        [batch, channels, height, width]
    }

    fn check_shape(&self, shape: [usize; 4]) -> Result<(), ModelError> {
        let [_, channels, _, _] = self.input.weight.dims();
        require_image("x", shape, channels, 1 << (self.down.len() - 1))?;
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
        self.forward_with(&Ops::default(), x, t, None)
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
        self.forward_with(&Ops::default(), x, t, Some(labels))
    }
    fn check_with(&self, shape: [usize; 4], labels: &Self::Condition) -> Result<(), ModelError> {
        self.check_shape(shape)?;
        self.conditioning.check(labels, shape[0])
    }
    fn output_shape_with(&self, shape: [usize; 4]) -> Option<[usize; 4]> {
        Some(self.predicted_shape(shape))
    }
}
