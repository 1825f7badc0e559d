//! The network as a predictor.

use burn::tensor::Tensor;
use ddm_denoiser::{ConditionalPredictor, ModelError, NoisePredictor};

use super::UNet2d;
use crate::Prepared;
use crate::blocks::Ops;
use crate::error::require_image;
use crate::unets::ClassLabels;
use crate::unets::condition::check::require_labels;

impl UNet2d {
    pub(super) fn check_shape(&self, shape: [usize; 4]) -> Result<(), ModelError> {
        require_image("x", shape, self.config.in_channels, 1 << (self.down_blocks.len() - 1))
    }

    fn check_inputs(
        &self,
        shape: [usize; 4],
        labels: Option<&ClassLabels>,
    ) -> Result<(), ModelError> {
        self.check_shape(shape)?;
        require_labels(self.config.class_embed, labels, shape[0], self.config.time_size())
    }

    fn predicted(&self, [batch, _, height, width]: [usize; 4]) -> [usize; 4] {
        [batch, self.config.out_channels, height, width]
    }
}

impl NoisePredictor<4> for UNet2d {
    fn predict(&self, x: Tensor<4>, t: Tensor<1>) -> Tensor<4> {
        Ops::pass(&x.clone(), || self.forward_with(&Ops::default(), x, t, None))
    }
    fn check(&self, shape: [usize; 4]) -> Result<(), ModelError> {
        self.check_inputs(shape, None)
    }
    fn output_shape(&self, shape: [usize; 4]) -> Option<[usize; 4]> {
        Some(self.predicted(shape))
    }
}

impl ConditionalPredictor<4> for UNet2d {
    type Condition = ClassLabels;
    fn predict_with(&self, x: Tensor<4>, t: Tensor<1>, labels: ClassLabels) -> Tensor<4> {
        Ops::pass(&x.clone(), || self.forward_with(&Ops::default(), x, t, Some(labels)))
    }
    fn check_with(&self, shape: [usize; 4], labels: &ClassLabels) -> Result<(), ModelError> {
        self.check_inputs(shape, Some(labels))
    }
    fn output_shape_with(&self, shape: [usize; 4]) -> Option<[usize; 4]> {
        Some(self.predicted(shape))
    }
}

impl NoisePredictor<4> for Prepared<UNet2d> {
    fn predict(&self, x: Tensor<4>, t: Tensor<1>) -> Tensor<4> {
        let (network, ops) = self.parts();
        Ops::pass(&x.clone(), || network.forward_with(ops, x, t, None))
    }
    fn check(&self, shape: [usize; 4]) -> Result<(), ModelError> {
        self.parts().0.check(shape)
    }
    fn output_shape(&self, shape: [usize; 4]) -> Option<[usize; 4]> {
        self.parts().0.output_shape(shape)
    }
}

impl ConditionalPredictor<4> for Prepared<UNet2d> {
    type Condition = ClassLabels;
    fn predict_with(&self, x: Tensor<4>, t: Tensor<1>, labels: ClassLabels) -> Tensor<4> {
        let (network, ops) = self.parts();
        Ops::pass(&x.clone(), || network.forward_with(ops, x, t, Some(labels)))
    }
    fn check_with(&self, shape: [usize; 4], labels: &ClassLabels) -> Result<(), ModelError> {
        self.parts().0.check_with(shape, labels)
    }
    fn output_shape_with(&self, shape: [usize; 4]) -> Option<[usize; 4]> {
        self.parts().0.output_shape_with(shape)
    }
}
