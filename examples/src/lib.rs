//! The shared parts of the examples: small real data, devices by name, and pictures.
//!
//! Only [`handwriting`], [`clothes`], [`quality`] and [`progress`] depend on diffusion, and no library crate depends on this one.
//! An example reads its data with [`data`], opens a device with [`device`], and draws its results with
//! [`pictures`], [`plots`] and [`animation`]; [`output`] writes files whole or not at all. [`photo`] reads
//! pictures, [`weights`] describes networks on disk, [`model`] finds them, and [`compare`] runs models on recorded inputs.

pub mod animation;
pub mod cli;
pub mod clothes;
pub mod compare;
pub mod data;
pub mod device;
pub mod handwriting;
pub mod labelled;
pub mod model;
pub mod output;
pub mod photo;
pub mod pictures;
pub mod plots;
pub mod progress;
pub mod quality;
pub mod tensors;

/// The code of the guides, as tests.
#[cfg(doctest)]
mod guides {
    #[doc = include_str!("../../README.md")]
    struct Readme;
    #[doc = include_str!("../../docs/getting-started.md")]
    struct GettingStarted;
    #[doc = include_str!("../../docs/choosing-a-sampler.md")]
    struct ChoosingASampler;
    #[doc = include_str!("../../docs/coming-from-diffusers.md")]
    struct ComingFromDiffusers;
    #[doc = include_str!("../../docs/training.md")]
    struct Training;
    #[doc = include_str!("../../docs/fine-tuning.md")]
    struct FineTuning;
    #[doc = include_str!("../../docs/few-steps.md")]
    struct FewSteps;
    #[cfg(feature = "remote")]
    #[doc = include_str!("../../docs/several-devices.md")]
    struct SeveralDevices;
    #[doc = include_str!("../../docs/pretrained-models.md")]
    struct PretrainedModels;
    #[doc = include_str!("../../docs/writing-your-own-scheduler.md")]
    struct WritingYourOwnScheduler;
    #[doc = include_str!("../../docs/devices.md")]
    struct Devices;
    #[doc = include_str!("../../docs/theory.md")]
    struct Theory;
    #[doc = include_str!("../../docs/design.md")]
    struct Design;
}
pub mod weights;
