//! Samplers of diffusion models, which move x from noise to data, level by level.
//!
//! * a [`Sampler`] moves x from one level to the next, and calls the model through its [`Context`];
//! * [`Sampling`] is a builder that starts a [`Run`], an iterator of [`Frame`]s;
//! * noise is an argument: [`HostNoise`] gives sample i the same noise whatever the batch, the
//!   backend and other threads; [`RecordedNoise`] replays; [`DeviceNoise`] is drawn on the device.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use ddm_denoiser::from_fn;
//! use ddm_samplers::{Ddim, Sampling};
//! use ddm_schedule::{Cosine, NoiseLevel};
//! // The exact denoiser of data that is always 3.
//! let model = from_fn(|x: Tensor<2>, _: NoiseLevel| x * 0.0 + 3.0);
//! let schedule = Cosine::default();
//! let run = Sampling::new(&model, &schedule).sampler(Ddim::default()).steps(5).seed(7);
//! let x = run.sample([2, 1], &Device::flex())?;
//! assert!(x.all_close(Tensor::full([2, 1], 3.0, &Device::flex()), None, Some(1e-5)));
//! # Ok::<(), ddm_samplers::SamplingError>(())
//! ```

mod average_flow;
mod boxed;
mod churn;
mod consistency;
mod context;
mod ddim;
mod ddpm;
mod deis;
mod dpm_solver;
mod dpm_solver_pp;
mod dpm_solver_single;
mod error;
mod heun;
mod history;
mod integral;
mod inversion;
mod ipndm;
mod lms;
mod midpoint;
mod multistep;
mod pndm;
mod prediction;
mod prior;
mod repaint;
mod run;
mod sa_solver;
mod sampler;
mod sampling;
mod settings;
mod unipc;

pub use average_flow::average_flow;
pub use boxed::{BoxedSampler, BoxedState};
pub use churn::{Churn, LaggingChurn};
pub use consistency::{Lcm, Tcd};
pub use context::Context;
pub use ddim::Ddim;
pub use ddm_denoiser::Consistent;
pub use ddm_noise::{
    BrownianNoise, DeviceNoise, HostNoise, NoiseError, NoiseSource, RecordedNoise, Stream,
    TorchNoise,
};
pub use ddpm::{Ddpm, Variance};
pub use deis::Deis;
pub use dpm_solver::DpmSolver;
pub use dpm_solver_pp::DpmSolverPp;
pub use dpm_solver_single::{Block, DpmSolverSingle};
pub use error::SamplingError;
pub use heun::{Heun, Slope};
pub use history::History;
pub use inversion::{Inversion, invert};
pub use ipndm::Ipndm;
pub use lms::Lms;
pub use midpoint::Midpoint;
pub use multistep::{Ending, Extrapolate, SolverType};
pub use pndm::{Pndm, PndmStart};
pub use prior::Prior;
pub use repaint::{Jump, RePaint};
pub use run::{Frame, Run};
pub use sa_solver::SaSolver;
pub use sampler::Sampler;
pub use sampling::Sampling;
pub use unipc::{Basis, MultistepState, UniPc};
