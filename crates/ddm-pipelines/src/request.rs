//! What a picture should be.

use std::ops::RangeInclusive;

use burn::tensor::Tensor;
use ddm_diffusers::{SchedulerConfig, SetTimesteps, StepArgs};

use crate::PipelineError;

/// A request for images. What is `None` has the pipeline's default.
///
/// ```
/// use ddm_pipelines::Request;
/// let request = Request {
///     prompt: "a photo of a cat".to_owned(),
///     negative: Some("blurred".to_owned()),
///     steps: Some(20.into()),
///     guidance: Some(7.0),
///     ..Request::default()
/// };
/// assert_eq!(request.batch, 1);
/// ```
#[derive(Clone, Debug)]
pub struct Request {
    /// The text.
    pub prompt: String,
    /// What the picture should not be: the other branch of guidance, where there is one.
    pub negative: Option<String>,
    /// The classes, one per image, for pipelines of classes.
    pub classes: Vec<i64>,
    /// The number of images.
    pub batch: usize,
    /// The height in pixels.
    pub height: Option<usize>,
    /// The width in pixels.
    pub width: Option<usize>,
    /// The number of steps, or the timesteps.
    pub steps: Option<SetTimesteps>,
    /// The scale of guidance, up to 1 for none; for distilled networks the scale that they are given.
    pub guidance: Option<f64>,
    /// How far guided predictions are rescaled, see
    /// [`ClassifierFree::rescale`](ddm_denoiser::ClassifierFree::rescale).
    pub rescale: f64,
    /// The σ/α at which guidance acts, see [`Interval`](ddm_denoiser::Interval).
    pub interval: Option<RangeInclusive<f64>>,
    /// The scheduler, in place of the saved one; see [`scheduler_named`](crate::scheduler_named).
    pub scheduler: Option<SchedulerConfig>,
    /// Arguments of the scheduler's steps, such as η.
    pub step: StepArgs,
    /// The image to start from, `[1 or batch, 3, height, width]` in [0, 1].
    pub image: Option<Tensor<4>>,
    /// What of the image is painted anew, `[1 or batch, 1, height, width]`: there it is at least ½.
    pub mask: Option<Tensor<4>>,
    /// How much of the image changes: the part of the steps that is taken. The default is that of
    /// diffusers' pipeline: 0.8 for Stable Diffusion and latent consistency models, 0.3 for
    /// Stable Diffusion XL, 0.6 for Stable Diffusion 3 and Flux; with a mask 1, for XL 0.9999, which
    /// leaves out the first step.
    pub strength: Option<f64>,
    /// The latents of another run, which ended at its [`denoising_end`](Self::denoising_end); here
    /// the run begins there, at [`denoising_start`](Self::denoising_start). See
    /// [`StableDiffusionXl`](crate::StableDiffusionXl).
    pub latent: Option<Tensor<4>>,
    /// The part of the schedule, above 0 and below 1, that is done already in the latent.
    pub denoising_start: Option<f64>,
    /// The part of the schedule, above 0 and below 1, after which the run ends.
    pub denoising_end: Option<f64>,
    /// How beautiful the picture should be, and how beautiful not, for the refiner of Stable
    /// Diffusion XL; by default 6 and 2.5.
    pub aesthetic_scores: Option<[f64; 2]>,
    /// The control image of a ControlNet.
    pub control: Option<ControlImage>,
    /// Sizes that SDXL is conditioned on.
    pub sizes: Sizes,
    /// Whether PixArt makes a picture of the nearest size that it was trained on, which is then scaled
    /// and cut to the size of the request; by default not.
    pub binning: bool,
    /// The number of tokens for T5.
    pub max_sequence_length: Option<usize>,
}

/// The image for a ControlNet, and where it acts.
#[derive(Clone, Debug)]
pub struct ControlImage {
    /// The image, `[1 or batch, 3, height, width]` in [0, 1].
    pub image: Tensor<4>,
    /// How strongly it acts.
    pub scale: f64,
    /// Whether only the conditional prediction sees it, more weakly on the finer levels.
    pub guess: bool,
    /// The part of the steps in which it acts, from 0 to 1.
    pub active: RangeInclusive<f64>,
}

impl ControlImage {
    /// Returns a control image that acts fully, in all steps.
    #[must_use]
    pub fn new(image: Tensor<4>) -> Self {
        Self { image, scale: 1.0, guess: false, active: 0.0..=1.0 }
    }
}

/// The sizes that SDXL is conditioned on, as (height, width) or (top, left).
///
/// Source: Podell et al., *SDXL*, sec. 2.2, arXiv 2307.01952.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// The size of the original photo; by default the size of the image.
    pub original: Option<[usize; 2]>,
    /// The corner of the crop.
    pub crop: [usize; 2],
    /// The size that is aimed at; by default the size of the image.
    pub target: Option<[usize; 2]>,
}

impl Default for Request {
    fn default() -> Self {
        Self {
            prompt: String::new(),
            negative: None,
            classes: Vec::new(),
            batch: 1,
            height: None,
            width: None,
            steps: None,
            guidance: None,
            rescale: 0.0,
            interval: None,
            scheduler: None,
            step: StepArgs::default(),
            image: None,
            mask: None,
            strength: None,
            latent: None,
            denoising_start: None,
            denoising_end: None,
            aesthetic_scores: None,
            control: None,
            sizes: Sizes::default(),
            binning: false,
            max_sequence_length: None,
        }
    }
}

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
