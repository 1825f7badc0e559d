//! The sampler of each class.

use burn::tensor::Tensor;
use ddm_samplers::{
    Basis, BoxedSampler, Churn, Context, Ddim, Ddpm, Deis, DpmSolver, DpmSolverPp, DpmSolverSingle,
    Ending, Extrapolate, Heun, Ipndm, LaggingChurn, Lcm, Lms, Midpoint, SaSolver, Sampler, Slope,
    SolverType, Tcd, UniPc, Variance,
};
use ddm_schedule::{NoiseLevel, kernel};

use crate::cogvideox::CogVideoXDpm;
use crate::consistency::Renoise;
use crate::denoiser::Limit;
use crate::ltx::FlowAncestral;
use crate::pndm::RowPndm;
use crate::settings::Settings;
use crate::unclip::UnClip;
use crate::walk::{Walk, Walking};
use crate::words::{Algorithm, VarianceType, Variant};
use crate::wuerstchen::MeanAtEnd;
use crate::{Class, ConfigError, SchedulerConfig, StepArgs};

impl SchedulerConfig {
    /// Returns the sampler, with the defaults of diffusers' `step`.
    ///
    /// It also accepts runs of fewer steps than its order, and then uses lower orders, as diffusers
    /// does.
    ///
    /// # Errors
    ///
    /// Returns an error for `DDIMInverseScheduler`, see [`invert`](Self::invert), and for settings
    /// that the sampler does not accept.
    pub fn sampler<const D: usize>(&self) -> Result<BoxedSampler<D>, ConfigError> {
        self.sampler_with(&StepArgs::default())
    }

    /// Returns the sampler with the arguments of diffusers' `step`.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`sampler`](Self::sampler), and an error for an argument that the
    /// class does not take.
    pub fn sampler_with<const D: usize>(
        &self,
        args: &StepArgs,
    ) -> Result<BoxedSampler<D>, ConfigError> {
        let class = self.class();
        args.check(class)?;
        let s = self.settings();
        let walk = || Walk::new(s, args.inference_steps);
        let sampler = match class {
            Class::Ddpm | Class::DdpmParallel => BoxedSampler::new(Ddpm { variance: s.variance() }),
            Class::UnClip => BoxedSampler::new(UnClip::new(Ddpm { variance: s.variance() }, s)?),
            Class::DdpmWuerstchen => BoxedSampler::new(MeanAtEnd),
            Class::LtxEulerAncestralRf => {
                BoxedSampler::new(FlowAncestral { eta: s.eta, s_noise: s.s_noise })
            }
            Class::Ddim | Class::DdimParallel => {
                let sampler = LimitedDdim::new(args.eta.unwrap_or(0.0), s)?;
                BoxedSampler::new(Walking { sampler, walk: walk()? })
            }
            Class::CogVideoXDdim => {
                BoxedSampler::new(Walking { sampler: Ddim::default(), walk: walk()? })
            }
            Class::CogVideoXDpm => BoxedSampler::new(CogVideoXDpm(walk()?)),
            Class::CmStochasticIterative => {
                let (sigma_min, s_noise) = (s.sigma_min.unwrap_or(0.002), s.s_noise);
                BoxedSampler::new(Renoise { sigma_min, s_noise })
            }
            Class::Scm | Class::FlowMatchLcm => BoxedSampler::new(Lcm::default()),
            Class::DpmSolverMultistep
            | Class::CosineDpmSolverMultistep
            | Class::EdmDpmSolverMultistep => s.multistep()?,
            Class::DpmSolverSinglestep => BoxedSampler::new(s.singlestep()?),
            Class::DeisMultistep => BoxedSampler::new(Deis::new(s.order)?.ending(s.ending())),
            Class::UniPcMultistep => BoxedSampler::new(s.unipc()?),
            Class::SaSolver => BoxedSampler::new(s.sa_solver()?),
            Class::EulerDiscrete | Class::EdmEuler => self.euler(args)?,
            Class::EulerAncestralDiscrete => BoxedSampler::new(Ddim::new(1.0)?),
            Class::FlowMatchEulerDiscrete if s.stochastic => BoxedSampler::new(Lcm::default()),
            Class::FlowMatchEulerDiscrete => BoxedSampler::new(Ddim::default()),
            Class::FlowMatchHeunDiscrete => BoxedSampler::new(Heun { slope: Slope::Velocity }),
            Class::HeunDiscrete => BoxedSampler::new(Heun::default()),
            Class::Kdpm2Discrete => BoxedSampler::new(Midpoint::KDPM2),
            Class::Kdpm2AncestralDiscrete => BoxedSampler::new(Midpoint::KDPM2_ANCESTRAL),
            Class::LmsDiscrete => BoxedSampler::new(Lms::new(args.order.unwrap_or(4))?),
            Class::Pndm => {
                let (predicts, skip_prk) = (self.parameterization()?, s.skip_prk);
                BoxedSampler::new(RowPndm { walk: walk()?, predicts, skip_prk })
            }
            Class::Ipndm => BoxedSampler::new(Ipndm::default()),
            Class::Lcm => BoxedSampler::new(Lcm::default()),
            Class::Tcd if args.eta == Some(0.0) => BoxedSampler::new(Ddim::default()),
            Class::Tcd => BoxedSampler::new(Tcd::new(args.eta.unwrap_or(0.3))?),
            Class::RePaint => {
                let what = format!("a sampler for {class} without image and mask");
                let change = "give them to SchedulerConfig::repaint";
                return Err(ConfigError::Unsupported { what, change });
            }
            Class::DdimInverse => {
                let what = format!("a sampler for {class}");
                let change = "use SchedulerConfig::invert";
                return Err(ConfigError::Unsupported { what, change });
            }
        };
        Ok(BoxedSampler::new(AnySteps(sampler)))
    }

    fn euler<const D: usize>(&self, args: &StepArgs) -> Result<BoxedSampler<D>, ConfigError> {
        let churn = args.s_churn.unwrap_or(0.0);
        if churn == 0.0 {
            return Ok(BoxedSampler::new(Ddim::default()));
        }
        let (low, high) = (args.s_tmin.unwrap_or(0.0), args.s_tmax.unwrap_or(f64::INFINITY));
        let churn = Churn::new(Ddim::default(), churn)?.between(low, high)?;
        let churn = churn.s_noise(args.s_noise.unwrap_or(1.0))?;
        let parameterization = self.parameterization()?;
        Ok(BoxedSampler::new(LaggingChurn { churn, parameterization }))
    }
}

impl Settings {
    fn variance(&self) -> Variance {
        match self.variance {
            VarianceType::FixedLarge | VarianceType::FixedLargeLog => Variance::Large,
            VarianceType::Learned | VarianceType::LearnedRange => Variance::Learned,
            VarianceType::FixedSmall => Variance::Small,
        }
    }

    fn solver_type(&self) -> SolverType {
        if self.variant == Variant::Heun { SolverType::Heun } else { SolverType::Midpoint }
    }

    fn ending(&self) -> Ending {
        match (self.lower_order_final, self.euler_at_final) {
            (false, false) => Ending::Keep,
            (true, false) => Ending::Lower,
            (false, true) => Ending::Euler,
            (true, true) => Ending::LowerAndEuler,
        }
    }

    fn multistep<const D: usize>(&self) -> Result<BoxedSampler<D>, ConfigError> {
        let (solver_type, ending) = (self.solver_type(), self.ending());
        Ok(match self.algorithm {
            Algorithm::Dpm => BoxedSampler::new(
                DpmSolver::new(self.order)?.solver_type(solver_type).ending(ending),
            ),
            Algorithm::SdeDpm => BoxedSampler::new(
                DpmSolver::sde(self.order)?.solver_type(solver_type).ending(ending),
            ),
            Algorithm::SdeDpmPp => BoxedSampler::new(
                DpmSolverPp::sde(self.order, 1.0)?.solver_type(solver_type).ending(ending),
            ),
            _ => BoxedSampler::new(
                DpmSolverPp::new(self.order)?.solver_type(solver_type).ending(ending),
            ),
        })
    }

    fn singlestep(&self) -> Result<DpmSolverSingle, ConfigError> {
        let solver = match self.algorithm {
            Algorithm::Dpm => DpmSolverSingle::new(self.order)?.extrapolate(Extrapolate::Noise),
            Algorithm::SdeDpmPp => DpmSolverSingle::sde(self.order, 1.0)?,
            _ => DpmSolverSingle::new(self.order)?,
        };
        // diffusers always lowers the order at σ = 0.
        let keep = !self.lower_order_final && self.ends_at_sigma_min;
        let ending = if keep { Ending::Keep } else { Ending::Lower };
        Ok(solver.solver_type(self.solver_type()).ending(ending))
    }

    fn unipc(&self) -> Result<UniPc, ConfigError> {
        let basis = if self.variant == Variant::Bh1 { Basis::B1 } else { Basis::B2 };
        let quantity = if self.predict_x0 { Extrapolate::Data } else { Extrapolate::Noise };
        let solver = UniPc::new(self.order)?.basis(basis).extrapolate(quantity);
        let uncorrected = self.disable_corrector.iter().copied();
        Ok(solver.lower_order_final(self.lower_order_final).without_corrector(uncorrected))
    }

    fn sa_solver(&self) -> Result<SaSolver, ConfigError> {
        let noise = self.algorithm == Algorithm::NoisePrediction;
        let quantity = if noise { Extrapolate::Noise } else { Extrapolate::Data };
        // diffusers' order also counts the prediction at the end of the step.
        let solver = SaSolver::new(self.order, Some(self.corrector_order - 1))?;
        Ok(solver.extrapolate(quantity).lower_order_final(self.lower_order_final))
    }
}

/// A sampler without the check that a run has enough steps for its order.
///
/// diffusers starts every run with lower orders, and a short run never exceeds them. Our samplers
/// start in the same way; this wrapper only omits their error for such a run.
#[derive(Clone, Debug)]
struct AnySteps<S>(S);

impl<const D: usize, S: Sampler<D>> Sampler<D> for AnySteps<S> {
    type State = S::State;

    fn step(
        &self,
        cx: &mut Context<'_, D>,
        x: Tensor<D>,
        from: NoiseLevel,
        to: NoiseLevel,
        state: &mut S::State,
    ) -> Tensor<D> {
        self.0.step(cx, x, from, to, state)
    }
}

/// DDIM with a limited x̂₀ and the ε̂ of the network, whereas [`Clipped`] and [`DynamicThreshold`]
/// compute ε̂ from the limited x̂₀.
///
/// [`Clipped`]: ddm_denoiser::Clipped
/// [`DynamicThreshold`]: ddm_denoiser::DynamicThreshold
#[derive(Clone, Copy, Debug)]
pub(crate) struct LimitedDdim {
    pub(crate) eta: f64,
    limit: Limit,
}

impl LimitedDdim {
    pub(crate) fn new(eta: f64, settings: &Settings) -> Result<Self, ConfigError> {
        Ddim::new(eta)?;
        Ok(Self { eta, limit: Limit::of(settings) })
    }

    /// x̂₀ in its range, and the x that has it and the same noise in it.
    pub(crate) fn limited<const D: usize>(
        &self,
        cx: &mut Context<'_, D>,
        x: Tensor<D>,
        from: NoiseLevel,
    ) -> (Tensor<D>, Tensor<D>) {
        let free = cx.denoise(x.clone(), from);
        let x0 = self.limit.apply(free.clone(), from);
        let x = match self.limit {
            Limit::None => x,
            _ => x + (x0.clone() - free) * from.alpha,
        };
        (x, x0)
    }
}

impl<const D: usize> Sampler<D> for LimitedDdim {
    type State = ();

    fn step(
        &self,
        cx: &mut Context<'_, D>,
        x: Tensor<D>,
        from: NoiseLevel,
        to: NoiseLevel,
        _: &mut (),
    ) -> Tensor<D> {
        let (x, x0) = self.limited(cx, x, from);
        cx.reverse(x, x0, from, to, kernel::ddim_std(from, to, self.eta))
    }
}
