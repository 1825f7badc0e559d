//! What text-conditional networks refuse.

use ddm_denoiser::ModelError;

use super::UNet2dCondition;
use super::config::{AdditionEmbed, UNet2dConditionConfig};
use super::encoder::Encoder;
use crate::conditioning::check_labels;
use crate::error::require_image;
use crate::unets::{BlockType, ClassEmbed, ClassLabels, UNetCondition};

/// Returns an error for a shape that is not the expected one.
pub(in crate::unets) fn require_shape(
    what: &'static str,
    found: &[usize],
    expected: &[usize],
) -> Result<(), ModelError> {
    if found == expected {
        return Ok(());
    }
    let (found, expected) = (format!("of shape {found:?}"), format!("shape {expected:?}"));
    Err(ModelError::Shape { what, found, expected })
}

/// Returns the error of an input that is there but not needed, or the other way round.
fn other(what: &'static str, found: &str, expected: &str) -> ModelError {
    ModelError::Shape { what, found: found.to_owned(), expected: expected.to_owned() }
}

/// Checks the labels of `batch` samples; `size` is that of the conditioning vector. With `null`, the last
/// class of a table is the null class, and labels may be absent.
pub(in crate::unets) fn require_labels(
    embed: Option<ClassEmbed>,
    null: bool,
    labels: Option<&ClassLabels>,
    batch: usize,
    size: usize,
) -> Result<(), ModelError> {
    let what = "class_labels";
    match (embed, labels) {
        (None, None) => Ok(()),
        (None, Some(_)) => Err(other(what, "given", "none")),
        (Some(ClassEmbed::Table(_)), None) if null => Ok(()),
        (Some(ClassEmbed::Table(rows)), Some(ClassLabels::Class(labels))) => {
            check_labels(labels, batch, rows - usize::from(null), null)
        }
        (Some(ClassEmbed::Timestep), Some(ClassLabels::Number(numbers))) => {
            require_shape(what, &numbers.dims(), &[batch])
        }
        (Some(ClassEmbed::Identity), Some(ClassLabels::Vector(vectors))) => {
            require_shape(what, &vectors.dims(), &[batch, size])
        }
        (
            Some(ClassEmbed::Projection(size) | ClassEmbed::SimpleProjection(size)),
            Some(ClassLabels::Vector(vectors)),
        ) => require_shape(what, &vectors.dims(), &[batch, size]),
        (Some(embed), labels) => {
            let found = if labels.is_some() { "of another kind" } else { "absent" };
            let expected = match embed {
                ClassEmbed::Table(_) => "labels, `ClassLabels::Class`",
                ClassEmbed::Timestep => "numbers, `ClassLabels::Number`",
                _ => "vectors, `ClassLabels::Vector`",
            };
            Err(other(what, found, expected))
        }
    }
}

impl Encoder<'_> {
    /// Checks x and what comes with it, but for residuals.
    pub(in crate::unets) fn check(
        &self,
        shape @ [batch, ..]: [usize; 4],
        condition: &UNetCondition,
    ) -> Result<(), ModelError> {
        require_image("x", shape, self.config.in_channels, self.config.factor())?;
        let [samples, length, channels] = condition.encoder_hidden_states.dims();
        let text = self.config.encoder_hid_dim.unwrap_or(self.config.text_size());
        let what = "encoder_hidden_states";
        require_shape(what, &[samples, length, channels], &[batch, length.max(1), text])?;
        if let Some(mask) = &condition.encoder_attention_mask {
            require_shape("encoder_attention_mask", &mask.dims(), &[batch, length])?;
        }
        let size = self.config.time_size();
        let labels = condition.class_labels.as_ref();
        require_labels(self.config.class_embed, false, labels, batch, size)?;
        // As in diffusers, a network for distillation runs without the guidance scale, too.
        let what = "timestep_cond";
        match (&condition.timestep_cond, self.time_embedding.sizes()) {
            (None, _) => {}
            (Some(second), (_, Some(size))) => {
                require_shape(what, &second.dims(), &[batch, size])?;
            }
            (Some(_), (_, None)) => return Err(other(what, "given", "none")),
        }
        match (&condition.added, self.config.addition_embed) {
            (Some(added), Some(AdditionEmbed::TextTime { sinusoids, size })) => {
                let [_, pooled] = added.text_embeds.dims();
                let numbers = size.saturating_sub(pooled) / sinusoids;
                let what = "time_ids";
                require_shape(what, &added.time_ids.dims(), &[batch, numbers])?;
                let pooled = size - numbers * sinusoids;
                require_shape("text_embeds", &added.text_embeds.dims(), &[batch, pooled])
            }
            (None, Some(AdditionEmbed::TextTime { .. })) => {
                Err(other("added", "absent", "the pooled text and the sizes of the image"))
            }
            (Some(_), _) => Err(other("added", "given", "none")),
            (None, _) => Ok(()),
        }
    }
}

impl UNet2dConditionConfig {
    /// Returns what divides the sides of an image. Levels that resample by convolutions take any.
    fn factor(&self) -> usize {
        let plain = |kind: &BlockType| !kind.resamples_by_residuals();
        if self.up_block_types.iter().all(plain) {
            return 1;
        }
        1 << (self.block_out_channels.len() - 1)
    }
}

impl UNet2dCondition {
    pub(super) fn check_inputs(
        &self,
        shape @ [batch, ..]: [usize; 4],
        condition: &UNetCondition,
    ) -> Result<(), ModelError> {
        self.encoder().check(shape, condition)?;
        let Some(residuals) = &condition.residuals else { return Ok(()) };
        let skips = self.config.skip_channels();
        let (found, expected) = (residuals.down.len(), skips.len());
        if found != expected {
            let (found, expected) = (found.to_string(), expected.to_string());
            return Err(ModelError::Shape { what: "the number of residuals", found, expected });
        }
        let last = *skips.last().unwrap_or(&0);
        let all = residuals.down.iter().zip(skips).chain([(&residuals.mid, last)]);
        for (residual, channels) in all {
            let [_, _, height, width] = residual.dims();
            require_shape("a residual", &residual.dims(), &[batch, channels, height, width])?;
        }
        Ok(())
    }
}
