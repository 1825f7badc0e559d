//! The scheduler classes of diffusers 0.42.1 that are not covered, and why.

const TOKENS: &str = "it is discrete: it samples tokens, with no Gaussian noise";
const STAGES: &str = "its run changes the resolution between stages; take `RectifiedFlow` for each";

/// Class names, less the word Scheduler, with the reason and what to take instead.
const NOT_READ: [(&str, &str); 17] = [
    ("Amused", TOKENS),
    ("BlockRefinement", TOKENS),
    (
        "ConsistencyDecoder",
        "it has two fixed steps, within a decoder of latents; take `Lcm` on two levels",
    ),
    (
        "DPMSolverMultistepInverse",
        "its multistep solver goes up; take `DDIMInverseScheduler`, its order 1",
    ),
    (
        "DPMSolverSDE",
        "its noise is that of a Brownian tree at midpoints, too; take \
         `Midpoint::DPM_PP_2S_ANCESTRAL`, or `BrownianNoise` with `DpmSolverPp::sde`",
    ),
    ("DiscreteDDIM", TOKENS),
    ("EntropyBound", TOKENS),
    (
        "FlowMapEulerDiscrete",
        "its network is given the end of the step, too; take a `Denoiser` that knows the levels",
    ),
    ("Helios", STAGES),
    ("HeliosDMD", STAGES),
    ("KarrasVe", "it is deprecated; take `Churn` around `Heun`"),
    (
        "MiniMaxH3",
        "its network predicts −v at 1 − σ; take `Ddim::EULER` on `Shifted::flow`, with \
         `Levels::with_timesteps`",
    ),
    ("Piflow", "its network predicts a policy, integrated without model calls"),
    (
        "RFD4Proteina",
        "it is an SDE of flow with rescaled scores for proteins; take a `Sampler` of your own",
    ),
    (
        "ScoreSdeVe",
        "it corrects by Langevin steps; take `PredictorCorrector` on `VarianceExploding`",
    ),
    ("ScoreSdeVp", "it is deprecated; take `EulerMaruyama` on `LinearVp`"),
    ("VQDiffusion", TOKENS),
];

/// Why a class is not covered, in brackets; empty for names that diffusers does not have.
pub(crate) fn reason(class_name: &str) -> String {
    let name = class_name.strip_suffix("Scheduler").unwrap_or(class_name);
    let found = NOT_READ.iter().find(|(known, _)| *known == name);
    found.map(|(_, reason)| format!(" ({reason})")).unwrap_or_default()
}
