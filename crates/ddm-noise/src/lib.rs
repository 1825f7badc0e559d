//! Gaussian noise for diffusion models, as an argument: every program that needs noise takes a
//! [`NoiseSource`].
//!
//! * [`HostNoise`] is keyed by (seed, sample, draw): sample i gets the same numbers whatever the
//!   batch, the backend and other threads do;
//! * [`RecordedNoise`] replays a record;
//! * [`DeviceNoise`] is drawn on the device.
//!
//! ```
//! use burn::tensor::Device;
//! use ddm_noise::{HostNoise, NoiseSource};
//! let z = HostNoise::new(7).draw([2, 3], &Device::flex());
//! assert_eq!(z.dims(), [2, 3]);
//! ```

mod device;
mod error;
mod host;
mod recorded;
mod source;

pub use device::DeviceNoise;
pub use error::NoiseError;
pub use host::HostNoise;
pub use recorded::RecordedNoise;
pub use source::{NoiseSource, Stream};
