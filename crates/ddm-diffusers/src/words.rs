//! The settings that are words: their choices, and the words that each class has for them.

use crate::Class;

/// The formula of the βs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Betas {
    Linear,
    ScaledLinear,
    Cosine,
    Sigmoid,
    Laplace,
    Exponential,
}

pub(crate) fn beta_words(class: Class) -> &'static [(&'static str, Betas)] {
    const WORDS: [(&str, Betas); 6] = [
        ("linear", Betas::Linear),
        ("scaled_linear", Betas::ScaledLinear),
        ("squaredcos_cap_v2", Betas::Cosine),
        ("sigmoid", Betas::Sigmoid),
        ("laplace", Betas::Laplace),
        ("exp", Betas::Exponential),
    ];
    match class {
        Class::Ddpm | Class::DdpmParallel => &WORDS[..5],
        Class::HeunDiscrete => &WORDS,
        Class::RePaint => &WORDS[..4],
        Class::UnClip => &WORDS[2..3],
        _ => &WORDS[..3],
    }
}

/// The spacing of the timesteps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rows {
    Leading,
    Trailing,
    Linspace,
}

/// The spacing of σ/α.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sigmas {
    Table,
    Karras,
    Exponential,
    Beta,
    Lu,
}

/// The `prediction_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Predicts {
    Epsilon,
    Sample,
    V,
    Flow,
    TrigFlow,
}

pub(crate) fn prediction_words(class: Class) -> &'static [(&'static str, Predicts)] {
    const WORDS: [(&str, Predicts); 4] = [
        ("epsilon", Predicts::Epsilon),
        ("v_prediction", Predicts::V),
        ("sample", Predicts::Sample),
        ("flow_prediction", Predicts::Flow),
    ];
    match class {
        Class::DeisMultistep
        | Class::DpmSolverMultistep
        | Class::DpmSolverSinglestep
        | Class::SaSolver
        | Class::UniPcMultistep => &WORDS,
        Class::Pndm
        | Class::EulerAncestralDiscrete
        | Class::Kdpm2Discrete
        | Class::Kdpm2AncestralDiscrete
        | Class::EdmEuler
        | Class::EdmDpmSolverMultistep => &WORDS[..2],
        Class::CosineDpmSolverMultistep => &WORDS[..2],
        Class::UnClip => &[("epsilon", Predicts::Epsilon), ("sample", Predicts::Sample)],
        Class::Scm => &[("trigflow", Predicts::TrigFlow)],
        _ => &WORDS[..3],
    }
}

/// Returns the prediction of a class that lacks `prediction_type`.
pub(crate) fn predicted(class: Class) -> Predicts {
    match class {
        Class::Ipndm => Predicts::V,
        Class::DdpmWuerstchen | Class::RePaint => Predicts::Epsilon,
        _ => Predicts::Flow,
    }
}

/// The `algorithm_type` of a solver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Dpm,
    DpmPp,
    SdeDpm,
    SdeDpmPp,
    Deis,
    DataPrediction,
    NoisePrediction,
}

impl Algorithm {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Dpm => "dpmsolver",
            Self::DpmPp => "dpmsolver++",
            Self::SdeDpm => "sde-dpmsolver",
            Self::SdeDpmPp => "sde-dpmsolver++",
            Self::Deis => "deis",
            Self::DataPrediction => "data_prediction",
            Self::NoisePrediction => "noise_prediction",
        }
    }
}

pub(crate) fn algorithm_words(class: Class) -> &'static [(&'static str, Algorithm)] {
    match class {
        // diffusers also accepts the names of other solvers for the only algorithm of this class.
        Class::DeisMultistep => &[
            ("deis", Algorithm::Deis),
            ("dpmsolver", Algorithm::Deis),
            ("dpmsolver++", Algorithm::Deis),
        ],
        Class::SaSolver => &[
            ("data_prediction", Algorithm::DataPrediction),
            ("noise_prediction", Algorithm::NoisePrediction),
        ],
        Class::DpmSolverSinglestep => &[
            ("dpmsolver++", Algorithm::DpmPp),
            ("dpmsolver", Algorithm::Dpm),
            ("sde-dpmsolver++", Algorithm::SdeDpmPp),
            ("deis", Algorithm::DpmPp),
        ],
        Class::EdmDpmSolverMultistep => &[
            ("dpmsolver++", Algorithm::DpmPp),
            ("sde-dpmsolver++", Algorithm::SdeDpmPp),
            ("deis", Algorithm::DpmPp),
        ],
        _ => &[
            ("dpmsolver++", Algorithm::DpmPp),
            ("dpmsolver", Algorithm::Dpm),
            ("sde-dpmsolver++", Algorithm::SdeDpmPp),
            ("sde-dpmsolver", Algorithm::SdeDpm),
            ("deis", Algorithm::DpmPp),
        ],
    }
}

/// The `solver_type` of a solver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Variant {
    Midpoint,
    Heun,
    LogRho,
    Bh1,
    Bh2,
}

pub(crate) fn variant_words(class: Class) -> &'static [(&'static str, Variant)] {
    match class {
        Class::UniPcMultistep => &[
            ("bh2", Variant::Bh2),
            ("bh1", Variant::Bh1),
            ("midpoint", Variant::Bh2),
            ("heun", Variant::Bh2),
            ("logrho", Variant::Bh2),
        ],
        Class::DeisMultistep => &[
            ("logrho", Variant::LogRho),
            ("midpoint", Variant::LogRho),
            ("heun", Variant::LogRho),
            ("bh1", Variant::LogRho),
            ("bh2", Variant::LogRho),
        ],
        _ => &[
            ("midpoint", Variant::Midpoint),
            ("heun", Variant::Heun),
            ("logrho", Variant::Midpoint),
            ("bh1", Variant::Midpoint),
            ("bh2", Variant::Midpoint),
        ],
    }
}

/// The `variance_type` of an ancestral step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VarianceType {
    FixedSmall,
    FixedLarge,
    FixedLargeLog,
    Learned,
    LearnedRange,
}

pub(crate) fn variance_words(class: Class) -> &'static [(&'static str, VarianceType)] {
    match class {
        Class::UnClip => &[
            ("fixed_small_log", VarianceType::FixedSmall),
            ("learned_range", VarianceType::LearnedRange),
        ],
        _ => &[
            ("fixed_small", VarianceType::FixedSmall),
            ("fixed_small_log", VarianceType::FixedSmall),
            ("fixed_large", VarianceType::FixedLarge),
            ("fixed_large_log", VarianceType::FixedLargeLog),
            ("learned", VarianceType::Learned),
            ("learned_range", VarianceType::LearnedRange),
        ],
    }
}
