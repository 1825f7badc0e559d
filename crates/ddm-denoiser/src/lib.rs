//! The models of diffusion: networks that predict noise, and the denoisers that samplers call.
//!
//! * [`NoisePredictor`] is the trait to implement on a burn module;
//! * a [`Parameterization`] is the quantity it predicts: ε, x₀, v, the score or a velocity;
//! * [`Model`] joins the two into a [`Denoiser`], which returns x̂₀ whatever the network predicts;
//! * [`ClassifierFree`] and [`Composed`] guide a network; [`ClassifierGuided`], [`Reconstruction`]
//!   and [`Autoguidance`] guide a denoiser, at a [`Scale`] that may depend on the level;
//! * [`Clipped`] and [`DynamicThreshold`] keep x̂₀ in range.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use ddm_denoiser::{Denoiser, EpsilonPrediction, Model, from_fn};
//! use ddm_schedule::NoiseLevel;
//! // For data N(0, 1) the best prediction of ε is σ x.
//! let at = NoiseLevel { timestep: 500.0, alpha: 0.6, sigma: 0.8 };
//! let network = from_fn(move |x: Tensor<2>, _t: Tensor<1>| x * at.sigma);
//! let model = Model::new(network, EpsilonPrediction);
//! let x0 = model.denoise(Tensor::ones([4, 2], &Device::flex()), at);
//! let expected = Tensor::full([4, 2], 0.6, &Device::flex()); // E[x₀ | x] = α x
//! assert!(x0.all_close(expected, Some(1e-5), None));
//! ```

mod average_velocity;
mod chain;
mod clip;
mod condition;
mod consistency;
mod consistent;
mod denoised;
mod denoiser;
mod edm;
mod error;
mod from_fn;
mod gradient;
mod guidance;
mod linear_combination;
mod model;
mod parameterization;
mod per_sample;
mod precision;
mod predictor;
mod read;
mod threshold;

pub use average_velocity::{AverageVelocity, WithInterval};
pub use chain::ChainRows;
pub use clip::Clipped;
pub use condition::{Condition, Conditioned};
pub use consistency::ConsistencyPrediction;
pub use consistent::Consistent;
pub use denoised::Denoised;
pub use denoiser::Denoiser;
pub use edm::EdmPrediction;
pub use error::ModelError;
pub use from_fn::{FromFn, from_fn};
pub use gradient::gradient;
pub use guidance::{
    Autoguidance, Classifier, ClassifierFree, ClassifierGuided, Composed, GaussianLikelihood,
    Interval, NormalizedLikelihood, ObservationLikelihood, Operator, Reconstruction, Scale,
};
pub use linear_combination::{linear_combination, linear_combination_each};
pub use model::{Model, split_variance};
pub use parameterization::{
    EpsilonPrediction, FlowPrediction, Parameterization, ScaledInput, ScorePrediction, VPrediction,
    X0Prediction,
};
pub use per_sample::{column, norm_square, sum_each};
pub use precision::full_precision;
pub use predictor::{ConditionalPredictor, NoisePredictor};
pub use read::{read_back, wait_for};
pub use threshold::DynamicThreshold;
