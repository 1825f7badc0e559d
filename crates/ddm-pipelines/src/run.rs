//! A run of a pipeline: frames, then images.

use std::fmt;
use std::sync::Arc;

use burn::tensor::Tensor;
use ddm_denoiser::Denoiser;
use ddm_diffusers::{SchedulerConfig, StepArgs};
use ddm_latent::{Autoencoder, LatentSpace};
use ddm_noise::NoiseSource;
use ddm_samplers::{BoxedSampler, Frame, Run, Sampling};
use ddm_schedule::Levels;

use crate::image::{images, to_unit};
use crate::preview::Previewer;
use crate::start::Start;
use crate::{LinearPreview, Part, PipelineError};

/// An autoencoder with the scale of its latents.
pub type Latents = LatentSpace<Arc<dyn Autoencoder<4>>>;

type Steps = Run<'static, 4, Box<dyn Denoiser<4>>, BoxedSampler<4>, Box<dyn NoiseSource>>;

/// The sampling of images: an iterator of [`Frame`]s, one per step, and then the
/// [`images`](Self::images).
///
/// Progress, previews and cancellation are the caller's loop: a frame's x̂₀ has a cheap
/// [`preview`](Self::preview) and the exact [`decode`](Self::decode), and a run that is dropped does
/// nothing more.
pub struct Generation<'a> {
    steps: Steps,
    /// x; `None` only during a step.
    x: Option<Tensor<4>>,
    /// How many steps are left.
    left: usize,
    scheduler: SchedulerConfig,
    autoencoder: Option<&'a Part<Latents>>,
    previewer: Previewer<'a>,
    /// The height and width of the images, if they are to be scaled.
    size: Option<[usize; 2]>,
    dropped: Vec<usize>,
}

impl fmt::Debug for Generation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Generation")
            .field("steps", &self.steps)
            .field("dropped", &self.dropped)
            .finish_non_exhaustive()
    }
}

impl<'a> Generation<'a> {
    /// Starts to sample from x at the first level.
    pub(crate) fn start(
        scheduler: SchedulerConfig,
        denoiser: Box<dyn Denoiser<4>>,
        start: Start,
        noise: Box<dyn NoiseSource>,
    ) -> Result<Self, PipelineError> {
        let args = StepArgs { inference_steps: Some(start.steps), ..start.args };
        let sampler = start.wrap(scheduler.sampler_with(&args)?);
        let sampling = Sampling::new(denoiser, scheduler.schedule()?).sampler(sampler);
        let steps = sampling.noise(noise).levels(start.levels).start_from(start.x.clone())?;
        let previewer = Previewer::default();
        let (x, left, dropped) = (Some(start.x), start.until, Vec::new());
        Ok(Self { steps, x, left, scheduler, autoencoder: None, previewer, size: None, dropped })
    }

    /// Sets the autoencoder, and a small one for previews.
    pub(crate) fn decoded_by(
        self,
        autoencoder: &'a Part<Latents>,
        tiny: Option<&'a Part<Latents>>,
    ) -> Self {
        let previewer = Previewer { tiny, ..self.previewer };
        Self { autoencoder: Some(autoencoder), previewer, ..self }
    }

    /// Sets the linear map of [`preview`](Self::preview).
    #[must_use]
    pub fn with_linear_preview(self, linear: Arc<LinearPreview>) -> Self {
        let previewer = Previewer { linear: linear.into(), ..self.previewer };
        Self { previewer, ..self }
    }

    /// Sets the height and width to which images are scaled and cut.
    pub(crate) fn in_size(self, size: Option<[usize; 2]>) -> Self {
        Self { size, ..self }
    }

    pub(crate) fn with_dropped(self, dropped: Vec<usize>) -> Self {
        Self { dropped, ..self }
    }

    /// Returns for each tokenizer how many tokens of the prompt were cut off, since it was longer
    /// than the text encoder takes.
    #[must_use]
    pub fn dropped_tokens(&self) -> &[usize] {
        &self.dropped
    }

    /// Returns the levels of the run, of which a run to
    /// [`denoising_end`](crate::Request::denoising_end) does not reach the last.
    #[must_use]
    pub fn levels(&self) -> &Levels {
        self.steps.levels()
    }

    /// Returns the scheduler.
    #[must_use]
    pub fn scheduler(&self) -> &SchedulerConfig {
        &self.scheduler
    }

    /// Takes the remaining steps and returns the images, `[batch, channels, height, width]` in
    /// [0, 1].
    ///
    /// # Errors
    ///
    /// Returns an error if the autoencoder has to be loaded, and cannot.
    pub fn images(self) -> Result<Tensor<4>, PipelineError> {
        let (autoencoder, size) = (self.autoencoder, self.size);
        // The network is gone before the autoencoder comes.
        images(self.latents(), autoencoder, size)
    }

    /// Takes the remaining steps and returns the last x: the latents that
    /// [`images`](Self::images) would decode. After a run to
    /// [`denoising_end`](crate::Request::denoising_end), it is the
    /// [`latent`](crate::Request::latent) with which another pipeline goes on.
    #[must_use]
    pub fn latents(mut self) -> Tensor<4> {
        self.by_ref().for_each(drop);
        self.x.expect("x is None only during a step")
    }

    /// Returns the images of a frame's x, as [`images`](Self::images) does for the last one.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn decode(&self, x: Tensor<4>) -> Result<Tensor<4>, PipelineError> {
        images(x, self.autoencoder, self.size)
    }

    /// Returns cheap images of a frame's x or x̂₀, in [0, 1].
    ///
    /// They are those of the small autoencoder of [`Loading::preview`](crate::Loading::preview), if
    /// there is one. Else they are of the size of latents, by a [`LinearPreview`]; without
    /// [`with_linear_preview`](Self::with_linear_preview) the first call decodes its x once, and fits
    /// the map to it. Pipelines without an autoencoder show x itself.
    ///
    /// ```no_run
    /// use burn::tensor::Device;
    /// use ddm_noise::TorchNoise;
    /// use ddm_pipelines::{Loading, Request, open};
    /// let loading = Loading::new(&Device::flex()).preview("taesd");
    /// let pipeline = open("stable-diffusion-v1-5", &loading)?;
    /// let request = Request { prompt: "a photo of a cat".to_owned(), ..Request::default() };
    /// let mut run = pipeline.start(&request, Box::new(TorchNoise::new(1)))?;
    /// while let Some(frame) = run.next() {
    ///     let _shown = run.preview(frame.denoised)?;
    /// }
    /// # Ok::<(), ddm_pipelines::PipelineError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an error if an autoencoder has to be loaded and cannot, or x does not fit it.
    pub fn preview(&self, x: Tensor<4>) -> Result<Tensor<4>, PipelineError> {
        match self.autoencoder {
            Some(autoencoder) => self.previewer.image(x, autoencoder),
            None => Ok(to_unit(x)),
        }
    }
}

impl Iterator for Generation<'_> {
    type Item = Frame<4>;

    fn next(&mut self) -> Option<Frame<4>> {
        self.left = self.left.checked_sub(1)?;
        // The step may work in place.
        self.x = None;
        let frame = self.steps.next();
        self.x = frame.as_ref().map(|frame| frame.x.clone());
        frame
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Generation<'_> {}
