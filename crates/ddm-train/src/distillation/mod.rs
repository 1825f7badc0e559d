//! Training of networks that sample in a few steps: from a teacher, or from data alone.

mod consistency;
mod consistency_example;
mod discretization;
mod distance;
mod doubling;
mod mean_flow;
mod progressive;
mod shrinking;
mod teacher;

pub use consistency::Consistency;
pub use consistency_example::ConsistencyExample;
pub use discretization::{Discretization, FixedSteps, LevelPair};
pub use doubling::DoublingSteps;
pub use mean_flow::{MeanFlow, MeanFlowExample};
pub use progressive::ProgressiveDistillation;
pub use shrinking::ShrinkingGap;
