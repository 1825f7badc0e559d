//! RePaint on the rows that diffusers visits.

use burn::tensor::Tensor;
use ddm_samplers::{BoxedSampler, Context, Ddim, RePaint, Sampler, SamplingError};
use ddm_schedule::{Invalid, Levels, NoiseLevel, NoiseSchedule, kernel};

use crate::sampler::LimitedDdim;
use crate::walk::Walk;
use crate::{Class, ConfigError, SchedulerConfig};

impl SchedulerConfig {
    /// The sampler of `RePaintScheduler` for the data `known` where `mask` is 1; where it is 0, the
    /// run paints.
    ///
    /// `jump_length` and `jump_n_sample` are arguments of diffusers' `set_timesteps`, 10 and 10 by
    /// default there. The config's `eta` counts: the pipeline of diffusers replaces it by 0.
    ///
    /// Its numbers are those of diffusers, where [`RePaint`] has the paper's law: on the way up
    /// diffusers takes the βs of rows T/n − 1 above the ones that it came down, and the known and
    /// the painted region share their noise.
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use ddm_denoiser::from_fn;
    /// use ddm_diffusers::{Class, SchedulerConfig};
    /// use ddm_samplers::Sampling;
    /// let config = SchedulerConfig::new(Class::RePaint)?;
    /// let model = config.denoiser(from_fn(|x: Tensor<2>, _t: Tensor<1>| x))?;
    /// let mask = Tensor::<2>::from_floats([[1.0, 0.0]], &Device::flex());
    /// let sampler = config.repaint(mask.ones_like(), mask, 2, 3)?;
    /// let schedule = config.schedule()?;
    /// let run = Sampling::new(&*model, &schedule).sampler(sampler).levels(config.levels(6)?);
    /// let x = run.sample([4, 2], &Device::flex())?;
    /// assert!(x.narrow(1, 0, 1).all_close(Tensor::ones([4, 1], &Device::flex()), None, None));
    /// # Ok::<(), ddm_diffusers::ConfigError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an error for other classes, for shapes that do not broadcast against each other, for
    /// a mask outside [0, 1], and if `jump_length` or `jump_n_sample` is 0.
    pub fn repaint<const D: usize>(
        &self,
        known: Tensor<D>,
        mask: Tensor<D>,
        jump_length: usize,
        jump_n_sample: usize,
    ) -> Result<BoxedSampler<D>, ConfigError> {
        if self.class() != Class::RePaint {
            let what = format!("inpainting by {}", self.class());
            let change = "take RePaintScheduler, or ddm_samplers::RePaint around the sampler";
            return Err(ConfigError::Unsupported { what, change });
        }
        let settings = self.settings();
        let checked = RePaint::new(Ddim::default(), known.clone(), mask.clone(), jump_n_sample)?;
        Ok(BoxedSampler::new(RowRePaint {
            walk: Walk::new(settings, None)?,
            betas: settings.beta_table()?.betas().to_vec(),
            down: LimitedDdim::new(settings.eta, settings)?,
            checked: checked.jump(jump_length)?,
            known,
            mask,
            jump: jump_length,
            times: jump_n_sample,
        }))
    }
}

/// [`RePaint`] whose jumps up take one draw a row.
#[derive(Clone, Debug)]
struct RowRePaint<const D: usize> {
    walk: Walk,
    betas: Vec<f64>,
    down: LimitedDdim,
    /// Checks shapes, mask and jumps.
    checked: RePaint<Ddim, D>,
    known: Tensor<D>,
    mask: Tensor<D>,
    jump: usize,
    times: usize,
}

impl<const D: usize> RowRePaint<D> {
    /// One step down, with one draw for the two regions.
    fn step_down(&self, cx: &mut Context<'_, D>, x: Tensor<D>, from: NoiseLevel) -> Tensor<D> {
        let to = self.walk.below(from.timestep, self.walk.stride(cx.steps()));
        let (x, x0) = self.down.limited(cx, x, from);
        let z = cx.noise_like(&x);
        let step = kernel::reverse(from, to, kernel::ddim_std(from, to, self.down.eta));
        let painted = x * step.x + x0 * step.x0 + z.clone() * step.noise;
        let of_x = |tensor: &Tensor<D>| tensor.clone().cast(z.dtype()).expand(z.dims());
        let (known, mask) = (of_x(&self.known), of_x(&self.mask));
        let known = known * to.alpha + z * to.sigma;
        let blend = known * mask.clone() + painted.clone() * (-mask.clone() + 1.0);
        // Not by multiplication alone, which keeps what is NaN in the part that does not count.
        blend.mask_where(mask.equal_elem(0.0), painted)
    }
}

impl<const D: usize> Sampler<D> for RowRePaint<D> {
    type State = ();

    fn step(
        &self,
        cx: &mut Context<'_, D>,
        x: Tensor<D>,
        from: NoiseLevel,
        _: NoiseLevel,
        (): &mut (),
    ) -> Tensor<D> {
        let mut x = self.step_down(cx, x, from);
        let (steps, stride) = (cx.steps(), self.walk.stride(cx.steps()));
        let left = steps - 1 - cx.done();
        if left % self.jump != 0 || left + self.jump >= steps {
            return x;
        }
        for _ in 1..self.times {
            for beta in &self.betas[left * stride..(left + self.jump) * stride] {
                let z = cx.fresh_noise(&x);
                x = x * (1.0 - beta).sqrt() + z * beta.sqrt();
            }
            for above in (0..self.jump).rev() {
                let from = self.walk.above(from.timestep, above * stride);
                x = self.step_down(cx, x, from);
            }
        }
        x
    }

    fn order(&self) -> Option<usize> {
        None
    }

    fn is_stochastic(&self) -> bool {
        true
    }

    fn calls(&self) -> usize {
        self.times
    }

    fn check(
        &self,
        shape: [usize; D],
        levels: &Levels,
        schedule: &dyn NoiseSchedule,
    ) -> Result<(), SamplingError> {
        let (steps, first) = (levels.steps(), levels[0].timestep);
        let whole =
            steps <= self.betas.len() && first == ((steps - 1) * self.walk.stride(steps)) as f64;
        let allowed = "that of SchedulerConfig::levels, since jumps are counted over a whole run";
        Invalid::require(whole, "the first timestep", first, allowed)?;
        self.checked.check(shape, levels, schedule)
    }
}
