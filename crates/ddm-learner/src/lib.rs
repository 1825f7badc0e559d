//! Training that can be resumed at any step, in burn's learner.
//!
//! * [`Steps`] is a data loader whose batches, and the noise for them, are addressed by the seed and the
//!   step;
//! * [`Resumable`] is a learning strategy with them: it saves [`Checkpoints`](ddm_train::Checkpoints), goes
//!   on from the last, and keeps a moving average;
//! * [`StepOutput`] is what a step returns, [`LossInTimes`] the loss by time, as a metric.
//!
//! Without burn's learner, [`Training::resume`](ddm_train::Training::resume) does the same.

mod loss_in_times;
mod output;
mod records;
mod resumable;
mod steps;
mod watch;

pub use loss_in_times::LossInTimes;
pub use output::StepOutput;
pub use resumable::Resumable;
pub use steps::Steps;
