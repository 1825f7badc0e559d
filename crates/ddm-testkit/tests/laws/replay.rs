//! Trajectories that diffusers recorded, step by step (`testdata/schedulers`).

use std::path::Path;

use burn::tensor::{Device, Tensor};
use ddm_denoiser::{
    Clipped, Denoiser, DynamicThreshold, EpsilonPrediction, Model, Parameterization, VPrediction,
    X0Prediction, from_fn,
};
use ddm_samplers::{Ddim, Ddpm, Sampler, Sampling, Variance};
use ddm_schedule::{BetaTable, Grid, Leading, Linspace, Trailing};
use ddm_testkit::{Recording, Recordings};
use serde_json::Value;

use crate::holds;

fn recordings(file: &str) -> Vec<Recording> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/schedulers");
    let text = std::fs::read_to_string(folder.join(file)).unwrap();
    serde_json::from_str::<Recordings>(&text).unwrap().cases
}

fn number(config: &Value, key: &str) -> f64 {
    config[key].as_f64().unwrap()
}

fn table(config: &Value) -> BetaTable {
    let steps = number(config, "num_train_timesteps") as usize;
    let (start, end) = (number(config, "beta_start"), number(config, "beta_end"));
    let table = match config["beta_schedule"].as_str().unwrap() {
        "linear" => BetaTable::linear(steps, start, end),
        "scaled_linear" => BetaTable::scaled_linear(steps, start, end),
        "squaredcos_cap_v2" => BetaTable::cosine(steps),
        other => panic!("beta schedule {other}"),
    };
    table.unwrap()
}

fn grid(config: &Value) -> Box<dyn Grid> {
    match config["timestep_spacing"].as_str().unwrap() {
        "leading" => Box::new(Leading { offset: number(config, "steps_offset") as usize }),
        "trailing" => Box::new(Trailing),
        "linspace" => Box::new(Linspace),
        other => panic!("spacing {other}"),
    }
}

/// The recorded network and what it predicts, clipped or thresholded as the settings say.
fn model(config: &Value) -> Box<dyn Denoiser<4>> {
    let network = from_fn(|x: Tensor<4>, t: Tensor<1>| {
        (x.clone() + t.reshape([-1, 1, 1, 1]) / 1000.0).tanh() * 0.5 + x * 0.3
    });
    let parameterization: Box<dyn Parameterization> =
        match config["prediction_type"].as_str().unwrap() {
            "epsilon" => Box::new(EpsilonPrediction),
            "v_prediction" => Box::new(VPrediction),
            "sample" => Box::new(X0Prediction),
            other => panic!("prediction {other}"),
        };
    let model = Model::new(network, Boxed(parameterization));
    if config["thresholding"] == true {
        let quantile = number(config, "dynamic_thresholding_ratio");
        Box::new(
            DynamicThreshold::new(model, quantile, number(config, "sample_max_value")).unwrap(),
        )
    } else if config["clip_sample"] == true {
        let range = number(config, "clip_sample_range");
        Box::new(Clipped::new(model, -range, range).unwrap())
    } else {
        Box::new(model)
    }
}

struct Boxed(Box<dyn Parameterization>);

impl Parameterization for Boxed {
    fn target(&self, at: ddm_schedule::NoiseLevel) -> (f64, f64) {
        self.0.target(at)
    }
}

fn replay(recording: &Recording, sampler: impl Sampler<4>) {
    let config = &recording.scheduler_config;
    let (table, model) = (table(config), model(config));
    let run = Sampling::new(&*model, &table).sampler(sampler).grid(grid(config));
    let run = run.steps(recording.steps).noise(recording.noise());
    let run = run.start_from(recording.start(&Device::flex())).unwrap();
    let timesteps: Vec<f64> = run.levels()[..recording.steps].iter().map(|at| at.t).collect();
    assert_eq!(timesteps, recording.timesteps, "{}", recording.name);
    holds(recording.replay(run, 1e-4));
}

#[test]
fn ddim_takes_the_path_of_diffusers() {
    for recording in recordings("DDIMScheduler.json") {
        let eta = recording.step_args["eta"].as_f64().unwrap_or(0.0);
        replay(&recording, Ddim::new(eta).unwrap());
    }
}

#[test]
fn ddpm_takes_the_path_of_diffusers() {
    for recording in recordings("DDPMScheduler.json") {
        let variance = match recording.scheduler_config["variance_type"].as_str().unwrap() {
            "fixed_small" => Variance::Small,
            "fixed_large" => Variance::Large,
            other => panic!("variance {other}"),
        };
        replay(&recording, Ddpm { variance });
    }
}

#[test]
fn another_path_is_told_apart() {
    let recording = &recordings("DDPMScheduler.json")[0];
    let config = &recording.scheduler_config;
    let (table, model) = (table(config), model(config));
    let run = |steps| {
        let run = Sampling::new(&*model, &table).sampler(Ddim::default()).steps(steps);
        run.start_from(recording.start(&Device::flex())).unwrap()
    };
    let violation = recording.replay(run(10), 1e-4).unwrap_err();
    assert!(violation.found.contains("step 0"), "{violation}");
    assert!(recording.replay(run(10).take(0), 1e-4).unwrap_err().found.contains("0 steps"));
    let short = Recording { x: vec![], ..recording.clone() };
    assert!(short.replay(run(10), 1e-4).is_err());
}
