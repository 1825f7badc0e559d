//! U-Nets with further inputs: channels beside x, and a ControlNet.

use std::ops::RangeInclusive;
use std::sync::Arc;

use burn::tensor::Tensor;
use ddm_denoiser::{Condition, ConditionalPredictor, ModelError};
use ddm_diffusers::{Class, SchedulerConfig};
use ddm_models::{Control, ControlNet, ControlResiduals, Prepared, UNetCondition};
use ddm_schedule::Levels;

use crate::geometry::repeated;
use crate::{ControlImage, PipelineError};

/// A network of the kind of Stable Diffusion's.
pub(crate) type UNet = Arc<dyn ConditionalPredictor<4, Condition = UNetCondition>>;

/// A U-Net that sees further channels beside x: the mask and the rest of an image.
pub(crate) struct Beside {
    pub(crate) unet: UNet,
    /// `[batch, channels, height, width]`.
    pub(crate) channels: Tensor<4>,
}

impl ConditionalPredictor<4> for Beside {
    type Condition = UNetCondition;

    fn predict_with(&self, x: Tensor<4>, t: Tensor<1>, condition: UNetCondition) -> Tensor<4> {
        let channels = for_batch(&self.channels, x.dims()[0]);
        self.unet.predict_with(Tensor::cat(vec![x, channels], 1), t, condition)
    }

    fn check_with(
        &self,
        mut shape: [usize; 4],
        condition: &UNetCondition,
    ) -> Result<(), ModelError> {
        shape[1] += self.channels.dims()[1];
        self.unet.check_with(shape, condition)
    }

    fn output_shape_with(&self, shape: [usize; 4]) -> Option<[usize; 4]> {
        self.unet.output_shape_with(shape)
    }
}

/// Returns the rows of a batch for both branches of guidance.
fn for_batch(x: &Tensor<4>, batch: usize) -> Tensor<4> {
    let rows = x.dims()[0];
    if rows == batch { x.clone() } else { x.clone().repeat_dim(0, batch / rows) }
}

/// The condition of a U-Net with a ControlNet.
#[derive(Clone, Debug)]
pub(crate) struct Steered {
    pub(crate) condition: UNetCondition,
    /// For each sample whether the ControlNet acts.
    pub(crate) acts: Vec<bool>,
}

impl Condition for Steered {
    fn batch(&self) -> usize {
        self.condition.batch()
    }

    fn followed_by(self, other: Self) -> Self {
        let acts = [self.acts, other.acts].concat();
        Self { condition: self.condition.followed_by(other.condition), acts }
    }

    fn joins(&self, other: &Self) -> Result<(), ModelError> {
        self.condition.joins(&other.condition)
    }

    fn replaced(self, by: Self, rows: &[bool]) -> Self {
        let pairs = self.acts.into_iter().zip(by.acts).zip(rows);
        let acts = pairs.map(|((mine, theirs), &row)| if row { theirs } else { mine }).collect();
        Self { condition: self.condition.replaced(by.condition, rows), acts }
    }
}

/// A U-Net that a ControlNet steers.
pub(crate) struct Controlled {
    pub(crate) unet: UNet,
    pub(crate) controlnet: Arc<Prepared<ControlNet>>,
    pub(crate) control: Control,
    /// The timesteps at which it acts; `None` for all of them.
    pub(crate) active: Option<RangeInclusive<f64>>,
}

impl Controlled {
    fn is_active(&self, t: &Tensor<1>) -> bool {
        let Some(active) = &self.active else { return true };
        // All samples are at one timestep. A read that fails is one that later reads report.
        let t = t.clone().narrow(0, 0, 1).try_into_scalar::<f32>();
        t.is_ok_and(|t| active.contains(&f64::from(t)))
    }

    /// Returns the residuals of the samples for which the ControlNet acts, and 0 for the others.
    fn residuals(&self, x: Tensor<4>, t: Tensor<1>, steered: &Steered) -> ControlResiduals {
        let batch = x.dims()[0];
        let image = for_batch(&self.control.image, batch);
        let control = Control { image, ..self.control.clone() };
        let residuals = self.controlnet.residuals(x, t, &steered.condition, &control);
        if steered.acts.iter().all(|&acts| acts) {
            return residuals;
        }
        let acts: Vec<f32> = steered.acts.iter().map(|&acts| f32::from(u8::from(acts))).collect();
        let acts = Tensor::<1>::from_floats(acts.as_slice(), &residuals.mid.device());
        let acts = acts.reshape([batch, 1, 1, 1]);
        let masked = |residual: Tensor<4>| {
            let dtype = residual.dtype();
            residual * acts.clone().cast(dtype)
        };
        ControlResiduals {
            down: residuals.down.into_iter().map(masked).collect(),
            mid: masked(residuals.mid),
        }
    }
}

impl ConditionalPredictor<4> for Controlled {
    type Condition = Steered;

    fn predict_with(&self, x: Tensor<4>, t: Tensor<1>, steered: Steered) -> Tensor<4> {
        let acts = steered.acts.iter().any(|&acts| acts) && self.is_active(&t);
        let residuals = acts.then(|| self.residuals(x.clone(), t.clone(), &steered));
        self.unet.predict_with(x, t, UNetCondition { residuals, ..steered.condition })
    }

    fn check_with(&self, shape: [usize; 4], steered: &Steered) -> Result<(), ModelError> {
        let image = repeated(self.control.image.clone(), shape[0]);
        let control = Control { image, ..self.control.clone() };
        self.controlnet.check(shape, &steered.condition, &control)?;
        self.unet.check_with(shape, &steered.condition)
    }

    fn output_shape_with(&self, shape: [usize; 4]) -> Option<[usize; 4]> {
        self.unet.output_shape_with(shape)
    }
}

/// Returns the timesteps at which a ControlNet acts: `None` for all of them.
pub(crate) fn active(
    control: &ControlImage,
    levels: &Levels,
    scheduler: &SchedulerConfig,
) -> Result<Option<RangeInclusive<f64>>, PipelineError> {
    let (&from, &to) = (control.active.start(), control.active.end());
    let valid = (0.0..=1.0).contains(&from) && (0.0..=1.0).contains(&to) && from < to;
    let found = format!("{from} to {to}");
    PipelineError::require(valid, "where the control acts", found, "a part of 0 to 1")?;
    if (from, to) == (0.0, 1.0) {
        return Ok(None);
    }
    let mut calls: Vec<f64> = levels[..levels.steps()].iter().map(|at| at.timestep).collect();
    if scheduler.class() == Class::Pndm && calls.len() > 1 {
        calls.insert(1, calls[1]); // the first step calls the network at both of its ends
    }
    let count = calls.len() as f64;
    let acting = calls.iter().enumerate().filter(|&(call, _)| {
        let call = call as f64;
        call / count >= from && (call + 1.0) / count <= to
    });
    let acting: Vec<f64> = acting.map(|(_, &timestep)| timestep).collect();
    // An empty range, where no step lies in that part of the run.
    let highest = acting.first().copied().unwrap_or(f64::NEG_INFINITY);
    let lowest = acting.last().copied().unwrap_or(f64::INFINITY);
    Ok(Some(lowest..=highest))
}
