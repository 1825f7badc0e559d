//! The network as a predictor.

use burn::tensor::Tensor;
use ddm_denoiser::{ConditionalPredictor, ModelError, NoisePredictor};

use super::UNet2d;
use crate::Network;
use crate::blocks::Ops;
use crate::unets::ClassLabels;
use crate::unets::condition::check::require_labels;

impl UNet2d {
    fn check_inputs(
        &self,
        shape: [usize; 4],
        labels: Option<&ClassLabels>,
    ) -> Result<(), ModelError> {
        self.check_shape(shape)?;
        let config = &self.config;
        if config.class_embed.is_none() && labels.is_some() {
            return Err(ModelError::NoCondition);
        }
        let (embed, null) = (config.class_embed, config.null_class);
        require_labels(embed, null, labels, shape[0], config.time_size())
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
