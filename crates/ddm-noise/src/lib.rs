//! Gaussian noise for diffusion models. All functions that need noise take a [`NoiseSource`].
//!
//! * [`HostNoise`] is keyed by (seed, [`Stream`], sample, draw): the numbers of sample i do not
//!   depend on the batch, the backend or other threads;
//! * [`BrownianNoise`] is a path over noise levels, so a stochastic run converges as its number of
//!   steps grows;
//! * [`TorchNoise`] draws the numbers of torch's CPU generator;
//! * [`RecordedNoise`] replays a record;
//! * [`DeviceNoise`] is drawn on the device.
//!
//! ```
//! use burn::tensor::Device;
//! use ddm_noise::{HostNoise, NoiseSource};
//! let z = HostNoise::new(7).draw([2, 3], &Device::flex());
//! assert_eq!(z.dims(), [2, 3]);
//! ```

mod brownian;
mod device;
mod error;
mod host;
mod recorded;
mod source;
mod torch;

pub use brownian::BrownianNoise;
pub use device::DeviceNoise;
pub use error::NoiseError;
pub use host::HostNoise;
pub use recorded::RecordedNoise;
pub use source::{NoiseSource, Stream};
pub use torch::TorchNoise;
