//! What is refused, each with what to change.

use ddm_diffusers::{Class, ConfigError, Contradiction, SchedulerConfig, SetTimesteps, StepArgs};
use ddm_samplers::Sampler;
use ddm_schedule::Levels;
use serde_json::{Value, json};

fn error(class: &str, keys: Value) -> ConfigError {
    let mut config = keys;
    config["_class_name"] = format!("{class}Scheduler").into();
    SchedulerConfig::from_value(&config).expect_err(&config.to_string())
}

fn contradiction(class: &str, keys: Value) -> Contradiction {
    match error(class, keys) {
        ConfigError::Contradiction(contradiction) => contradiction,
        other => panic!("{other}"),
    }
}

/// That the message names each of the words.
fn says(error: impl ToString, words: &[&str]) {
    let message = error.to_string();
    for word in words {
        assert!(message.contains(word), "\"{message}\" says nothing of {word}");
    }
}

#[test]
fn invalid_configs_are_refused_and_say_what_to_change() {
    let log = contradiction("DDPM", json!({"variance_type": "fixed_large_log"}));
    says(log, &["fixed_large_log", "set variance_type to \"fixed_large\""]);
    let bh1 = contradiction("UniPCMultistep", json!({"solver_type": "bh1"}));
    says(bh1, &["bh1", "set solver_type to \"bh2\"", "sigma_min"]);
    let inverse = contradiction("DDIMInverse", json!({"timestep_spacing": "linspace"}));
    says(inverse, &["linspace", "\"trailing\""]);
}

#[test]
fn settings_that_a_solver_lacks_are_refused() {
    let noise = contradiction("DPMSolverMultistep", json!({"algorithm_type": "dpmsolver"}));
    says(noise, &["dpmsolver", "sigma_min"]);
    says(
        contradiction("UniPCMultistep", json!({"predict_x0": false})),
        &["predict_x0", "sigma_min"],
    );
    let sde = json!({
        "algorithm_type": "sde-dpmsolver", "final_sigmas_type": "sigma_min", "solver_order": 3,
    });
    says(contradiction("DPMSolverMultistep", sde), &["sde-dpmsolver", "order 3"]);
    let spaced = json!({
        "use_flow_sigmas": true, "prediction_type": "flow_prediction", "use_beta_sigmas": true,
    });
    says(contradiction("DPMSolverMultistep", spaced), &["use_flow_sigmas", "false"]);
    for class in ["DPMSolverMultistep", "DPMSolverSinglestep", "DEISMultistep", "UniPCMultistep"] {
        for order in [0, 4] {
            let refused = error(class, json!({"solver_order": order}));
            says(refused, &["solver_order", &order.to_string(), "1 to 3"]);
        }
    }
    for (key, value) in
        [("prediction_type", json!("flow_prediction")), ("thresholding", true.into())]
    {
        let mut keys = json!({"algorithm_type": "noise_prediction", key: value});
        keys["use_flow_sigmas"] = (key == "prediction_type").into();
        says(contradiction("SASolver", keys), &["noise_prediction", key, "data_prediction"]);
    }
    // SDE options on ODE solvers.
    for class in ["DEISMultistep", "SASolver", "EDMDPMSolverMultistep"] {
        let refused = error(class, json!({"algorithm_type": "sde-dpmsolver"}));
        says(refused, &["algorithm_type", "sde-dpmsolver", "one of"]);
    }
    let config: SchedulerConfig = r#"{"_class_name": "HeunDiscreteScheduler"}"#.parse().unwrap();
    for args in [
        StepArgs { eta: Some(1.0), ..StepArgs::default() },
        StepArgs { s_churn: Some(5.0), ..StepArgs::default() },
    ] {
        says(config.sampler_with::<4>(&args).unwrap_err(), &["HeunDiscreteScheduler", "left out"]);
    }
}

#[test]
fn values_out_of_range_are_named() {
    says(error("DDIM", json!({"beta_schedule": "cubic"})), &["beta_schedule", "cubic", "linear"]);
    says(error("DDIM", json!({"beta_start": "low"})), &["beta_start", "low", "a number"]);
    says(error("DDIM", json!({"clip_sample": 1})), &["clip_sample", "true or false"]);
    says(error("DDIM", json!({"num_train_timesteps": 0})), &["num_train_timesteps", "at least 1"]);
    says(error("DDIM", json!({"num_train_timesteps": 1.5})), &["num_train_timesteps", "1.5"]);
    says(error("DDIM", json!({"steps_offset": -1})), &["steps_offset", "-1"]);
    says(error("DDIM", json!({"clip_sample_range": 0.0})), &["clip_sample_range", "0"]);
    let both = json!({"use_karras_sigmas": true, "use_beta_sigmas": true});
    says(error("EulerDiscrete", both), &["use_karras_sigmas", "use_beta_sigmas"]);
    let threshold = json!({"thresholding": true, "dynamic_thresholding_ratio": 2.0});
    says(error("DDPM", threshold), &["dynamic_thresholding_ratio", "2"]);
    let flow = json!({"prediction_type": "flow_prediction"});
    says(error("DDIM", flow), &["prediction_type", "flow_prediction", "v_prediction"]);
    says(error("SASolver", json!({"corrector_order": 5})), &["corrector_order", "5"]);
    says(error("LCM", json!({"original_inference_steps": 2000})), &["original_inference_steps"]);
}

#[test]
fn steps_beyond_the_table_are_refused() {
    let read = |keys: &str| format!("{{{keys}}}").parse::<SchedulerConfig>().unwrap();
    let ddim = read(r#""_class_name": "DDIMScheduler", "steps_offset": 1"#);
    says(ddim.levels(1000).unwrap_err(), &["steps_offset = 1", "1000", "999", "fewer steps"]);
    says(ddim.levels(1001).unwrap_err(), &["1001", "1000"]);
    says(ddim.levels(0).unwrap_err(), &["0 steps"]);
    let lcm = read(r#""_class_name": "LCMScheduler""#);
    says(lcm.levels(51).unwrap_err(), &["51", "50"]);
    let flow =
        read(r#""_class_name": "FlowMatchEulerDiscreteScheduler", "use_dynamic_shifting": true"#);
    says(flow.levels(4).unwrap_err(), &["mu", "use_dynamic_shifting"]);
    says(
        ddim.levels(SetTimesteps::steps(4).mu(1.0)).unwrap_err(),
        &["mu", "DDIMScheduler", "left out"],
    );
    let betas = read(r#""_class_name": "DDIMScheduler", "trained_betas": [0.1, 0.2]"#);
    says(betas.levels(1).unwrap_err(), &["trained_betas", "2 numbers"]);
    let betas = read(r#""_class_name": "DDIMScheduler", "beta_end": 1.5"#);
    says(betas.schedule().err().unwrap(), &["1.5"]);
}

#[test]
fn repaint_needs_its_own_class_and_a_whole_run() {
    let device = burn::tensor::Device::flex();
    let ones = burn::tensor::Tensor::<2>::ones([1, 2], &device);
    let config = |class| SchedulerConfig::new(class).unwrap();
    let part = |class, j| config(class).repaint(ones.clone(), ones.clone(), j, 2).map(drop);
    says(part(Class::Ddpm, 2).unwrap_err(), &["DDPMScheduler", "RePaintScheduler"]);
    says(part(Class::RePaint, 0).unwrap_err(), &["jump"]);
    let outside = config(Class::RePaint).repaint(ones.clone(), ones.clone() * 2.0, 2, 2);
    says(outside.unwrap_err(), &["mask", "[0, 1]"]);
    says(config(Class::RePaint).sampler::<2>().unwrap_err(), &["SchedulerConfig::repaint"]);
    // A part of a run, and x of another shape.
    let repaint = config(Class::RePaint);
    let sampler = repaint.repaint(ones.clone(), ones.clone(), 2, 2).unwrap();
    let levels = repaint.levels(6).unwrap();
    let schedule = repaint.schedule().unwrap();
    let part = Levels::new(levels[2..].to_vec()).unwrap();
    says(sampler.check([4, 2], &part, &*schedule).unwrap_err(), &["first timestep", "498"]);
    says(sampler.check([4, 3], &levels, &*schedule).unwrap_err(), &["known data", "[4, 3]"]);
    assert!(sampler.check([4, 2], &levels, &*schedule).is_ok());
}

#[test]
fn ranges_of_the_chains_of_checkpoints() {
    says(config_levels("UnCLIP", 1), &["num_inference_steps", "at least 2"]);
    says(error("RePaint", json!({"eta": 1.5})), &["eta", "[0, 1]"]);
    says(error("DDPMWuerstchen", json!({"scaler": 0.0})), &["scaler", "above 0"]);
    says(error("UnCLIP", json!({"variance_type": "fixed_large"})), &["variance_type", "one of"]);
}

fn config_levels(class: &str, steps: usize) -> ConfigError {
    let text = format!(r#"{{"_class_name": "{class}Scheduler"}}"#);
    text.parse::<SchedulerConfig>().unwrap().levels(steps).unwrap_err()
}
