//! What a picture should be.

use std::ops::RangeInclusive;

use burn::tensor::Tensor;
use ddm_diffusers::{SchedulerConfig, SetTimesteps, StepArgs};

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
