//! What of a request a pipeline takes; the rest is refused, since it would have no effect.

use crate::{PipelineError, Request, Sizes};

/// What a pipeline takes beside size, steps and scheduler.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Takes {
    pub(crate) name: &'static str,
    pub(crate) prompt: bool,
    pub(crate) negative: bool,
    pub(crate) classes: bool,
    pub(crate) size: bool,
    pub(crate) guidance: bool,
    pub(crate) image: bool,
    pub(crate) mask: bool,
    /// Whether a run may be a part of the schedule.
    pub(crate) part: bool,
    pub(crate) aesthetic_scores: bool,
    pub(crate) control: bool,
    pub(crate) sizes: bool,
    pub(crate) binning: bool,
    pub(crate) sequence_length: bool,
}

impl Request {
    /// Returns an error if the request has something that the pipeline would not use, or a setting
    /// out of range.
    pub(crate) fn check(&self, takes: Takes) -> Result<(), PipelineError> {
        let guided = self.guidance.is_some() || self.rescale != 0.0 || self.interval.is_some();
        let sized = self.height.is_some() || self.width.is_some();
        for (taken, given, what) in [
            (takes.prompt, !self.prompt.is_empty(), "prompt"),
            (takes.negative, self.negative.is_some(), "negative prompt"),
            (takes.classes, !self.classes.is_empty(), "classes"),
            (takes.size, sized, "size"),
            (takes.guidance, guided, "guidance"),
            (takes.image, self.image.is_some(), "image"),
            (takes.mask, self.mask.is_some(), "mask"),
            (takes.image, self.strength.is_some(), "strength"),
            (takes.part, self.latent.is_some(), "latent"),
            (takes.part, self.denoising_start.is_some(), "denoising_start"),
            (takes.part, self.denoising_end.is_some(), "denoising_end"),
            (takes.aesthetic_scores, self.aesthetic_scores.is_some(), "aesthetic scores"),
            (takes.control, self.control.is_some(), "control image"),
            (takes.sizes, self.sizes != Sizes::default(), "original size"),
            (takes.binning, self.binning, "binning of sizes"),
            (takes.sequence_length, self.max_sequence_length.is_some(), "sequence length"),
        ] {
            if given && !taken {
                return Err(PipelineError::NotTaken { pipeline: takes.name, what, hint: None });
            }
        }
        let needs = |what| Err(PipelineError::Needed { pipeline: takes.name, what });
        match (&self.image, &self.mask, self.strength) {
            (None, Some(_), _) => return needs("an image for its mask"),
            (None, _, Some(_)) => return needs("an image for its strength"),
            _ => {}
        }
        match (&self.latent, self.denoising_start) {
            (None, Some(_)) => return needs("a latent for its denoising_start"),
            (Some(_), None) => return needs("a denoising_start for its latent"),
            (Some(_), Some(_)) if self.image.is_some() => {
                let (pipeline, what) = (takes.name, "image beside a latent");
                return Err(PipelineError::NotTaken { pipeline, what, hint: None });
            }
            _ => {}
        }
        if takes.prompt && self.prompt.is_empty() && self.negative.is_some() {
            return needs("a prompt beside the negative one");
        }
        PipelineError::require(self.batch > 0, "the number of images", self.batch, "at least 1")
    }

    /// Returns what guidance of this scale leads away from: the encoded negative prompt, or none.
    pub(crate) fn null<T>(
        &self,
        scale: f64,
        encode: impl FnOnce(&str) -> Result<T, PipelineError>,
    ) -> Result<Option<T>, PipelineError> {
        let negative = self.negative.as_deref().unwrap_or_default();
        (scale > 1.0).then(|| encode(negative)).transpose()
    }

    /// Returns an error for a setting of guidance, which has no effect on a run of one branch.
    pub(crate) fn check_unguided(&self) -> Result<(), PipelineError> {
        for (given, what) in [
            (self.negative.is_some(), "negative prompt"),
            (self.rescale != 0.0, "rescale of guidance"),
            (self.interval.is_some(), "interval of guidance"),
        ] {
            if given {
                return Err(PipelineError::NotTaken {
                    pipeline: "a run without guidance by a second branch",
                    what,
                    hint: Some("give a network that is not distilled a guidance above 1"),
                });
            }
        }
        Ok(())
    }
}
