//! Trajectories of other programs, to replay step by step.

use burn::tensor::{Device, Tensor, TensorData};
use ddm_samplers::{Frame, RecordedNoise};
use serde::{Deserialize, Serialize};

use crate::{Violation, compare};

/// A file of recorded runs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Recordings {
    /// The program that made them, and its version.
    pub source: String,
    /// The network that was sampled, as a formula.
    pub network: String,
    /// The runs.
    pub cases: Vec<Recording>,
}

/// One recorded run: its settings, its start, its noise, and x after every step.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Recording {
    /// What is special about it.
    pub name: String,
    /// The settings, as a diffusers `scheduler_config.json`.
    pub scheduler_config: serde_json::Value,
    /// Arguments of the choice of timesteps, beside their number.
    #[serde(default)]
    pub set_timesteps: serde_json::Value,
    /// Arguments of each step.
    #[serde(default)]
    pub step_args: serde_json::Value,
    /// Number of steps.
    pub steps: usize,
    /// Shape of x.
    pub shape: [usize; 4],
    /// What the network was told before each step.
    pub timesteps: Vec<f64>,
    /// The start, before scaling.
    #[serde(rename = "x_T")]
    pub start: Vec<f32>,
    /// Every Gaussian draw, in order.
    pub noise: Vec<Vec<f32>>,
    /// x after every step.
    pub x: Vec<Vec<f64>>,
}

impl Recording {
    /// The start as a tensor.
    pub fn start(&self, device: &Device) -> Tensor<4> {
        Tensor::from_data(TensorData::new(self.start.clone(), self.shape), device)
    }

    /// The draws, to hand to a run.
    pub fn noise(&self) -> RecordedNoise {
        RecordedNoise::new(self.noise.iter().cloned())
    }

    /// Demands that a run takes the recorded path: x after every step is the recorded one, up to
    /// `tolerance · max(1, max |x|)`.
    ///
    /// Where the other program keeps x in other coordinates, map the frames first.
    pub fn replay(
        &self,
        run: impl Iterator<Item = Frame<4>>,
        tolerance: f64,
    ) -> Result<(), Violation> {
        const LAW: &str = "a run takes the recorded path";
        let mut taken = 0;
        for (step, frame) in run.enumerate() {
            let demanded = self.x.get(step).map_or(&[][..], Vec::as_slice);
            compare::close(LAW, &compare::values(LAW, frame.x)?, demanded, tolerance).map_err(
                |Violation { law, found, demanded }| {
                    let found = format!("step {step} of \"{}\": {found}", self.name);
                    Violation { law, found, demanded }
                },
            )?;
            taken = step + 1;
        }
        let found = || format!("{taken} steps of \"{}\"", self.name);
        Violation::unless(taken == self.x.len(), LAW, found, &self.x.len().to_string())
    }
}
