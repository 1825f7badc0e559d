//! The scheduler classes that this crate covers, and their families.

use std::fmt;

/// A diffusers scheduler class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each is diffusers' class of that name, less the word Scheduler")]
pub enum Class {
    CmStochasticIterative,
    CogVideoXDdim,
    CogVideoXDpm,
    CosineDpmSolverMultistep,
    Ddim,
    DdimInverse,
    DdimParallel,
    Ddpm,
    DdpmParallel,
    DeisMultistep,
    DpmSolverMultistep,
    DpmSolverSinglestep,
    EdmDpmSolverMultistep,
    EdmEuler,
    EulerAncestralDiscrete,
    EulerDiscrete,
    FlowMatchEulerDiscrete,
    FlowMatchHeunDiscrete,
    FlowMatchLcm,
    HeunDiscrete,
    Ipndm,
    Kdpm2AncestralDiscrete,
    Kdpm2Discrete,
    Lcm,
    LmsDiscrete,
    Pndm,
    SaSolver,
    Scm,
    Tcd,
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
    pub const ALL: [Self; 30] = [
        Self::CmStochasticIterative,
        Self::CogVideoXDdim,
        Self::CogVideoXDpm,
        Self::CosineDpmSolverMultistep,
        Self::Ddim,
        Self::DdimInverse,
        Self::DdimParallel,
        Self::Ddpm,
        Self::DdpmParallel,
        Self::DeisMultistep,
        Self::DpmSolverMultistep,
        Self::DpmSolverSinglestep,
        Self::EdmDpmSolverMultistep,
        Self::EdmEuler,
        Self::EulerAncestralDiscrete,
        Self::EulerDiscrete,
        Self::FlowMatchEulerDiscrete,
        Self::FlowMatchHeunDiscrete,
        Self::FlowMatchLcm,
        Self::HeunDiscrete,
        Self::Ipndm,
        Self::Kdpm2AncestralDiscrete,
        Self::Kdpm2Discrete,
        Self::Lcm,
        Self::LmsDiscrete,
        Self::Pndm,
        Self::SaSolver,
        Self::Scm,
        Self::Tcd,
        Self::UniPcMultistep,
    ];

    /// Returns its `_class_name`.
    pub fn name(self) -> &'static str {
        match self {
            Self::CmStochasticIterative => "CMStochasticIterativeScheduler",
            Self::CogVideoXDdim => "CogVideoXDDIMScheduler",
            Self::CogVideoXDpm => "CogVideoXDPMScheduler",
            Self::CosineDpmSolverMultistep => "CosineDPMSolverMultistepScheduler",
            Self::Ddim => "DDIMScheduler",
            Self::DdimInverse => "DDIMInverseScheduler",
            Self::DdimParallel => "DDIMParallelScheduler",
            Self::Ddpm => "DDPMScheduler",
            Self::DdpmParallel => "DDPMParallelScheduler",
            Self::DeisMultistep => "DEISMultistepScheduler",
            Self::DpmSolverMultistep => "DPMSolverMultistepScheduler",
            Self::DpmSolverSinglestep => "DPMSolverSinglestepScheduler",
            Self::EdmDpmSolverMultistep => "EDMDPMSolverMultistepScheduler",
            Self::EdmEuler => "EDMEulerScheduler",
            Self::EulerAncestralDiscrete => "EulerAncestralDiscreteScheduler",
            Self::EulerDiscrete => "EulerDiscreteScheduler",
            Self::FlowMatchEulerDiscrete => "FlowMatchEulerDiscreteScheduler",
            Self::FlowMatchHeunDiscrete => "FlowMatchHeunDiscreteScheduler",
            Self::FlowMatchLcm => "FlowMatchLCMScheduler",
            Self::HeunDiscrete => "HeunDiscreteScheduler",
            Self::Ipndm => "IPNDMScheduler",
            Self::Kdpm2AncestralDiscrete => "KDPM2AncestralDiscreteScheduler",
            Self::Kdpm2Discrete => "KDPM2DiscreteScheduler",
            Self::Lcm => "LCMScheduler",
            Self::LmsDiscrete => "LMSDiscreteScheduler",
            Self::Pndm => "PNDMScheduler",
            Self::SaSolver => "SASolverScheduler",
            Self::Scm => "SCMScheduler",
            Self::Tcd => "TCDScheduler",
            Self::UniPcMultistep => "UniPCMultistepScheduler",
        }
    }

    /// Returns the class with this `_class_name`, or `None` if it is not covered.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.name() == name)
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
            | Self::Pndm => Family::Chain,
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
            Self::FlowMatchEulerDiscrete | Self::FlowMatchHeunDiscrete | Self::FlowMatchLcm => {
                Family::FlowMatch
            }
            Self::Ipndm | Self::Scm => Family::Angle,
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
