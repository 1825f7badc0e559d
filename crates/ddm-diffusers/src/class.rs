//! The scheduler classes that this crate covers, and their families.

use strum::{Display, EnumCount, EnumString, IntoStaticStr, VariantArray};

/// A diffusers scheduler class.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    Display,
    EnumCount,
    EnumString,
    IntoStaticStr,
    VariantArray,
)]
#[allow(missing_docs, reason = "each is diffusers' class of that name, less the word Scheduler")]
pub enum Class {
    #[strum(serialize = "CMStochasticIterativeScheduler")]
    CmStochasticIterative,
    #[strum(serialize = "CogVideoXDDIMScheduler")]
    CogVideoXDdim,
    #[strum(serialize = "CogVideoXDPMScheduler")]
    CogVideoXDpm,
    #[strum(serialize = "CosineDPMSolverMultistepScheduler")]
    CosineDpmSolverMultistep,
    #[strum(serialize = "DDIMScheduler")]
    Ddim,
    #[strum(serialize = "DDIMInverseScheduler")]
    DdimInverse,
    #[strum(serialize = "DDIMParallelScheduler")]
    DdimParallel,
    #[strum(serialize = "DDPMScheduler")]
    Ddpm,
    #[strum(serialize = "DDPMParallelScheduler")]
    DdpmParallel,
    #[strum(serialize = "DDPMWuerstchenScheduler")]
    DdpmWuerstchen,
    #[strum(serialize = "DEISMultistepScheduler")]
    DeisMultistep,
    #[strum(serialize = "DPMSolverMultistepScheduler")]
    DpmSolverMultistep,
    #[strum(serialize = "DPMSolverSinglestepScheduler")]
    DpmSolverSinglestep,
    #[strum(serialize = "EDMDPMSolverMultistepScheduler")]
    EdmDpmSolverMultistep,
    #[strum(serialize = "EDMEulerScheduler")]
    EdmEuler,
    #[strum(serialize = "EulerAncestralDiscreteScheduler")]
    EulerAncestralDiscrete,
    #[strum(serialize = "EulerDiscreteScheduler")]
    EulerDiscrete,
    #[strum(serialize = "FlowMatchEulerDiscreteScheduler")]
    FlowMatchEulerDiscrete,
    #[strum(serialize = "FlowMatchHeunDiscreteScheduler")]
    FlowMatchHeunDiscrete,
    #[strum(serialize = "FlowMatchLCMScheduler")]
    FlowMatchLcm,
    #[strum(serialize = "HeunDiscreteScheduler")]
    HeunDiscrete,
    #[strum(serialize = "IPNDMScheduler")]
    Ipndm,
    #[strum(serialize = "KDPM2AncestralDiscreteScheduler")]
    Kdpm2AncestralDiscrete,
    #[strum(serialize = "KDPM2DiscreteScheduler")]
    Kdpm2Discrete,
    #[strum(serialize = "LCMScheduler")]
    Lcm,
    #[strum(serialize = "LMSDiscreteScheduler")]
    LmsDiscrete,
    #[strum(serialize = "LTXEulerAncestralRFScheduler")]
    LtxEulerAncestralRf,
    #[strum(serialize = "PNDMScheduler")]
    Pndm,
    #[strum(serialize = "RePaintScheduler")]
    RePaint,
    #[strum(serialize = "SASolverScheduler")]
    SaSolver,
    #[strum(serialize = "SCMScheduler")]
    Scm,
    #[strum(serialize = "TCDScheduler")]
    Tcd,
    #[strum(serialize = "UnCLIPScheduler")]
    UnClip,
    #[strum(serialize = "UniPCMultistepScheduler")]
    UniPcMultistep,
}

/// A group of classes that choose their levels and scale x in the same way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// Rows of the table; each step ends T/n rows below its start.
    Chain,
    /// Rows of the schedule that the model was distilled on.
    Consistency,
    /// n of n + 1 rows; σ/α by table or by spacing; x variance preserving.
    Solver,
    /// Points between rows; σ/α by table or by spacing; x as x₀ + σ ε.
    KDiffusion,
    /// σ of EDM, α = 1.
    Edm,
    /// σ of rectified flow.
    FlowMatch,
    /// Angles.
    Angle,
}

impl Class {
    /// Every class that is covered.
    pub const ALL: [Self; Self::COUNT] =
        *Self::VARIANTS.first_chunk().expect("there are as many variants as are counted");

    /// Returns its `_class_name`.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// Returns the class with this `_class_name`, or `None` if it is not covered.
    pub fn named(name: &str) -> Option<Self> {
        name.parse().ok()
    }

    /// Whether each step of the chain ends at the next row visited, and the run at the data.
    pub(crate) fn ends_at_data(self) -> bool {
        matches!(self, Self::Ddpm | Self::DdpmParallel | Self::RePaint | Self::UnClip)
    }

    pub(crate) fn family(self) -> Family {
        match self {
            Self::CogVideoXDdim
            | Self::CogVideoXDpm
            | Self::Ddim
            | Self::DdimInverse
            | Self::DdimParallel
            | Self::Ddpm
            | Self::DdpmParallel
            | Self::Pndm
            | Self::RePaint
            | Self::UnClip => Family::Chain,
            Self::Lcm | Self::Tcd => Family::Consistency,
            Self::DeisMultistep
            | Self::DpmSolverMultistep
            | Self::DpmSolverSinglestep
            | Self::SaSolver
            | Self::UniPcMultistep => Family::Solver,
            Self::EulerAncestralDiscrete
            | Self::EulerDiscrete
            | Self::HeunDiscrete
            | Self::Kdpm2AncestralDiscrete
            | Self::Kdpm2Discrete
            | Self::LmsDiscrete => Family::KDiffusion,
            Self::CmStochasticIterative
            | Self::CosineDpmSolverMultistep
            | Self::EdmDpmSolverMultistep
            | Self::EdmEuler => Family::Edm,
            Self::FlowMatchEulerDiscrete
            | Self::FlowMatchHeunDiscrete
            | Self::FlowMatchLcm
            | Self::LtxEulerAncestralRf => Family::FlowMatch,
            Self::DdpmWuerstchen | Self::Ipndm | Self::Scm => Family::Angle,
        }
    }
}
