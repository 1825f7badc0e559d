//! The network as a predictor.

use burn::tensor::Tensor;
use ddm_denoiser::{ConditionalPredictor, ModelError, NoisePredictor};

use super::UNet2d;
use crate::Network;
use crate::blocks::Ops;
use crate::conditioning::check_labels;
use crate::unets::condition::check::require_labels;
use crate::unets::{ClassEmbed, ClassLabels};

impl UNet2d {
    fn check_inputs(
        &self,
        shape: [usize; 4],
        labels: Option<&ClassLabels>,
    ) -> Result<(), ModelError> {
        self.check_shape(shape)?;
        match (self.config.class_embed, labels) {
            (Some(ClassEmbed::Table(_)), None) if self.config.null_class => return Ok(()),
            (Some(ClassEmbed::Table(rows)), Some(ClassLabels::Class(labels))) => {
                let null = self.config.null_class;
                return check_labels(labels, shape[0], rows - usize::from(null), null);
            }
            (None, Some(_)) => return Err(ModelError::NoCondition),
            _ => {}
        }
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
