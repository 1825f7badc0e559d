//! Trajectories of other programs, to replay step by step.

use burn::tensor::{Device, Tensor, TensorData};
use ddm_samplers::RecordedNoise;
use serde::{Deserialize, Serialize};

/// A file of recorded runs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Recordings {
    /// The program that made them, and its version.
    pub(crate) source: String,
    /// The network that was sampled, as a formula.
    pub(crate) network: String,
    /// The runs.
    pub(crate) cases: Vec<Recording>,
}

/// One recorded run: its settings, its start, its noise, and x after every step.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Recording {
    /// What is special about it.
    pub(crate) name: String,
    /// The settings, as a diffusers `scheduler_config.json`.
    pub(crate) scheduler_config: serde_json::Value,
    /// Arguments of the choice of timesteps, beside their number.
    #[serde(default)]
    pub(crate) set_timesteps: serde_json::Value,
    /// Arguments of each step.
    #[serde(default)]
    pub(crate) step_args: serde_json::Value,
    /// Number of steps.
    pub(crate) steps: usize,
    /// Shape of x.
    pub(crate) shape: [usize; 4],
    /// The timesteps that the network was given, one per call.
    pub(crate) timesteps: Vec<f64>,
    /// The start, before scaling.
    #[serde(rename = "x_T")]
    pub(crate) start: Vec<f32>,
    /// Every Gaussian draw, in order.
    pub(crate) noise: Vec<Vec<f32>>,
    /// What the second half of the channels is, of a network that predicts a variance, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) variance_network: Option<String>,
    /// What is known of x₀, of an inpainting run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) repaint: Option<Inpainting>,
    /// x after every step.
    pub(crate) x: Vec<Vec<f64>>,
}

/// The known part of a recorded inpainting run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Inpainting {
    /// The data.
    pub(crate) known: Vec<f32>,
    /// 1 where they are known.
    pub(crate) mask: Vec<f32>,
    /// Steps of a jump.
    pub(crate) jump_length: usize,
    /// How often each stretch is walked.
    pub(crate) jump_n_sample: usize,
}

impl Recording {
    /// The start as a tensor.
    pub(crate) fn start(&self, device: &Device) -> Tensor<4> {
        self.tensor(&self.start, device)
    }

    /// Recorded numbers in the shape of x.
    pub(crate) fn tensor(&self, numbers: &[f32], device: &Device) -> Tensor<4> {
        Tensor::from_data(TensorData::new(numbers.to_vec(), self.shape), device)
    }

    /// The draws, to hand to a run.
    pub(crate) fn noise(&self) -> RecordedNoise {
        RecordedNoise::new(self.noise.iter().cloned())
    }
}
