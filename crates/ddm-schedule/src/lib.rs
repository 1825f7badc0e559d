//! Noise schedules, grids and the two transition kernels of diffusion models, in plain `f64`.
//!
//! The forward process is `x_t = α_t x₀ + σ_t ε` with `ε ~ N(0, I)`. This crate contains
//! everything about it that needs no tensor, so it compiles in seconds and works with any
//! framework:
//!
//! * [`NoiseLevel`]: one (α, σ), with λ and the signal-to-noise ratio;
//! * [`NoiseSchedule`]: (α, σ) as a function of time, and [the schedules](#structs) themselves;
//! * [`Grid`] and [`Levels`]: the levels of a sampling run; [`spacing`]: noise ratios for them;
//! * [`kernel`]: the coefficients of a step between two levels, used by every sampler.
//!
//! ```
//! use ddm_schedule::{Cosine, Grid, NoiseSchedule, Trailing, kernel};
//! let schedule = Cosine::default();
//! let levels = Trailing.levels(&schedule, 10)?;
//! // One DDIM step from the first level to the second: x' = a x + b x̂₀.
//! let step = kernel::reverse(levels[0], levels[1], 0.0);
//! assert!((step.x - levels[1].sigma / levels[0].sigma).abs() < 1e-12);
//! # Ok::<(), ddm_schedule::GridError>(())
//! ```

mod cosine;
mod derivative;
mod discrete;
mod edm;
mod ending;
mod error;
mod exploding;
mod flow;
mod geometric;
pub mod grid;
mod invalid;
pub mod kernel;
mod level;
mod levels;
mod linear;
mod resolution;
mod schedule;
mod shift;
mod spaced;
pub mod spacing;
mod start;
mod sub_vp;
mod tables;
mod terminal;

pub use cosine::Cosine;
pub use discrete::BetaTable;
pub use edm::Edm;
pub use ending::{FinalSigmaMin, Stretched};
pub use error::{GridError, ScheduleError};
pub use exploding::VarianceExploding;
pub use flow::RectifiedFlow;
pub use geometric::GeometricSigmas;
pub use grid::{Grid, Leading, Linspace, Trailing};
pub use invalid::Invalid;
pub use level::NoiseLevel;
pub use levels::Levels;
pub use linear::LinearVp;
pub use resolution::ResolutionShift;
pub use schedule::NoiseSchedule;
pub use shift::{Shift, Shifted};
pub use spaced::{BetaSpaced, Exponential, Karras};
pub use sub_vp::SubVp;
