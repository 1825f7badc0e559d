//! How good samples are: distances between two sets, and what a set covers, repeats or copies.
//!
//! * [`Features`] is a set: rows of finite numbers, from a tensor or from images through a network;
//! * [`frechet_distance`] and [`Gaussian`] compare the means and covariances (FID);
//! * [`kernel_distance`] and [`KernelDistance`] compare all moments up to the third (KID);
//! * [`Support`] is precision, recall, density and coverage;
//! * [`SlicedWasserstein`] and [`energy_distance`] compare points, without features;
//! * [`mean_distance`] and [`class_distances`] say how far apart samples are: diversity;
//! * [`nearest`] and [`Memorization`] say how close samples are to the training data.
//!
//! A number alone says little: all of them depend on the features and on the number of rows, and two
//! sets of real data are not at distance 0. So measure a *floor* as well, real data against other real
//! data, with as many rows.
//!
//! All numbers are computed in `f64` on the CPU, on all cores, and do not depend on the number of
//! threads. No measure holds a matrix of rows by rows: in most of them the time grows with the square of
//! the number of rows, but the memory does not.
//!
//! ```
//! use burn::tensor::{Device, Distribution, Tensor};
//! use ddm_quality::{Features, Support, frechet_distance};
//! let device = Device::flex();
//! device.seed(7);
//! let draw = |std| Tensor::<2>::random([500, 2], Distribution::Normal(0.0, std), &device);
//! let (real, other) = (Features::new(draw(1.0))?, Features::new(draw(1.0))?);
//! let narrow = Features::new(draw(0.3))?; // in expectation 2 · (1 − 0.3)² = 0.98
//! let floor = frechet_distance(&real, &other)?;
//! assert!(floor < 0.05);
//! assert!((frechet_distance(&real, &narrow)? - 0.98).abs() < 0.1);
//! let support = Support::of(&real, &narrow, 5)?;
//! assert!(support.precision > 0.9 && support.coverage < 0.6);
//! # Ok::<(), ddm_quality::QualityError>(())
//! ```

mod diversity;
mod energy;
mod error;
mod features;
mod frechet;
mod kernel;
mod memorization;
mod pairs;
mod support;
mod wasserstein;

pub use diversity::{ClassDistance, class_distances, mean_distance};
pub use energy::energy_distance;
pub use error::QualityError;
pub use features::Features;
pub use frechet::{Gaussian, frechet_distance};
pub use kernel::{KernelDistance, KernelEstimate, kernel_distance};
pub use memorization::{Memorization, Neighbour, nearest};
pub use support::Support;
pub use wasserstein::SlicedWasserstein;
