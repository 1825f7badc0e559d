//! Samplers: from noise to data, level by level.
//!
//! * a [`Sampler`] moves x from one level to the next, asking the model through its [`Context`];
//! * [`Sampling`] is the short way to a [`Run`], which is an iterator of [`Frame`]s;
//! * noise is an argument: [`HostNoise`] is the same for sample i whatever the batch, the backend
//!   and other threads do; [`RecordedNoise`] replays; [`DeviceNoise`] is drawn on the device.
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

mod boxed;
mod context;
mod ddim;
mod ddpm;
mod error;
mod history;
mod noise;
mod run;
mod sampler;
mod sampling;

pub use boxed::{BoxedSampler, BoxedState};
pub use context::Context;
pub use ddim::Ddim;
pub use ddpm::{Ddpm, Variance};
pub use error::SamplingError;
pub use history::History;
pub use noise::{DeviceNoise, HostNoise, NoiseSource, RecordedNoise};
pub use run::{Frame, Run};
pub use sampler::Sampler;
pub use sampling::Sampling;
