//! Guidance: towards a condition, a class or an observation, or away from a worse model.

mod autoguidance;
mod branches;
mod classifier;
mod classifier_free;
mod composed;
mod likelihood;
mod reconstruction;
mod scale;
mod tweedie;

pub use autoguidance::Autoguidance;
pub use classifier::{Classifier, ClassifierGuided};
pub use classifier_free::ClassifierFree;
pub use composed::Composed;
pub use likelihood::{GaussianLikelihood, NormalizedLikelihood, ObservationLikelihood};
pub use reconstruction::{Operator, Reconstruction};
pub use scale::{Interval, Scale};
