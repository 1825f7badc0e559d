//! The keys of each class and their defaults.

use serde_json::{Map, Value, json};

use crate::Class;

/// Returns every key of the class with its default.
pub(crate) fn defaults(class: Class) -> Map<String, Value> {
    let groups = match class {
        Class::Ddpm | Class::DdpmParallel => vec![
            chain("linear", 1e-4, 0.02),
            json!({"variance_type": "fixed_small"}),
            clip(true),
            threshold(),
            spacing("leading"),
            zero_snr(),
        ],
        Class::RePaint => vec![
            json!({"num_train_timesteps": 1000, "beta_start": 1e-4, "beta_end": 0.02}),
            json!({"beta_schedule": "linear", "trained_betas": null}),
            json!({"eta": 0.0, "clip_sample": true}),
        ],
        Class::UnClip => vec![
            json!({"num_train_timesteps": 1000, "beta_schedule": "squaredcos_cap_v2"}),
            json!({"variance_type": "fixed_small_log", "prediction_type": "epsilon"}),
            clip(true),
        ],
        Class::DdpmWuerstchen => vec![json!({"scaler": 1.0, "s": 0.008})],
        Class::LtxEulerAncestralRf => {
            vec![json!({"num_train_timesteps": 1000, "eta": 1.0, "s_noise": 1.0})]
        }
        Class::Ddim | Class::DdimParallel => vec![
            chain("linear", 1e-4, 0.02),
            json!({"set_alpha_to_one": true}),
            clip(true),
            threshold(),
            spacing("leading"),
            zero_snr(),
        ],
        Class::CogVideoXDdim | Class::CogVideoXDpm => vec![
            chain("scaled_linear", 0.00085, 0.012),
            json!({"set_alpha_to_one": true, "sample_max_value": 1.0, "snr_shift_scale": 3.0}),
            clip(true),
            spacing("leading"),
            zero_snr(),
        ],
        Class::CmStochasticIterative => vec![
            json!({"num_train_timesteps": 40, "sigma_min": 0.002, "sigma_max": 80.0}),
            json!({"sigma_data": 0.5, "s_noise": 1.0, "rho": 7.0, "clip_denoised": true}),
        ],
        Class::Scm => vec![
            json!({"num_train_timesteps": 1000, "prediction_type": "trigflow", "sigma_data": 0.5}),
        ],
        Class::CosineDpmSolverMultistep => vec![
            edm(),
            json!({"sigma_min": 0.3, "sigma_max": 500.0, "sigma_data": 1.0}),
            json!({"sigma_schedule": "exponential", "prediction_type": "v_prediction"}),
            json!({"solver_order": 2, "solver_type": "midpoint"}),
            json!({"lower_order_final": true, "euler_at_final": false}),
        ],
        Class::DdimInverse => vec![
            chain("linear", 1e-4, 0.02),
            json!({"set_alpha_to_one": true}),
            clip(true),
            spacing("leading"),
            zero_snr(),
        ],
        Class::Pndm => vec![
            chain("linear", 1e-4, 0.02),
            json!({"skip_prk_steps": false, "set_alpha_to_one": false}),
            spacing("leading"),
        ],
        Class::Lcm | Class::Tcd => vec![
            chain("scaled_linear", 0.00085, 0.012),
            json!({"original_inference_steps": 50, "timestep_scaling": 10.0}),
            json!({"set_alpha_to_one": true}),
            clip(false),
            threshold(),
            spacing("leading"),
            zero_snr(),
        ],
        Class::DpmSolverMultistep => vec![
            chain("linear", 1e-4, 0.02),
            solver("dpmsolver++", "midpoint"),
            json!({"euler_at_final": false, "use_lu_lambdas": false}),
            lambda_clip(),
            json!({"final_sigmas_type": "zero"}),
            threshold(),
            spaced_sigmas(),
            flow_sigmas(),
            dynamic(),
            spacing("linspace"),
            zero_snr(),
        ],
        Class::DpmSolverSinglestep => vec![
            chain("linear", 1e-4, 0.02),
            solver("dpmsolver++", "midpoint"),
            json!({"lower_order_final": false, "final_sigmas_type": "zero"}),
            lambda_clip(),
            threshold(),
            spaced_sigmas(),
            flow_sigmas(),
            dynamic(),
        ],
        Class::DeisMultistep => vec![
            chain("linear", 1e-4, 0.02),
            solver("deis", "logrho"),
            threshold(),
            spaced_sigmas(),
            flow_sigmas(),
            dynamic(),
            spacing("linspace"),
        ],
        Class::UniPcMultistep => vec![
            chain("linear", 1e-4, 0.02),
            json!({"solver_order": 2, "solver_type": "bh2", "lower_order_final": true}),
            json!({"predict_x0": true, "disable_corrector": [], "solver_p": null}),
            json!({"final_sigmas_type": "zero", "shift_terminal": null}),
            json!({"sigma_min": null, "sigma_max": null}),
            threshold(),
            spaced_sigmas(),
            flow_sigmas(),
            dynamic(),
            spacing("linspace"),
            zero_snr(),
        ],
        Class::SaSolver => vec![
            chain("linear", 1e-4, 0.02),
            json!({"predictor_order": 2, "corrector_order": 2, "tau_func": null}),
            json!({"algorithm_type": "data_prediction", "lower_order_final": true}),
            lambda_clip(),
            threshold(),
            spaced_sigmas(),
            flow_sigmas(),
            spacing("linspace"),
        ],
        Class::EulerDiscrete => vec![
            chain("linear", 1e-4, 0.02),
            json!({"interpolation_type": "linear", "timestep_type": "discrete"}),
            json!({"sigma_min": null, "sigma_max": null, "final_sigmas_type": "zero"}),
            spaced_sigmas(),
            spacing("linspace"),
            zero_snr(),
        ],
        Class::EulerAncestralDiscrete => {
            vec![chain("linear", 1e-4, 0.02), spacing("linspace"), zero_snr()]
        }
        Class::HeunDiscrete => {
            vec![chain("linear", 0.00085, 0.012), clip(false), spaced_sigmas(), spacing("linspace")]
        }
        Class::Kdpm2Discrete | Class::Kdpm2AncestralDiscrete => {
            vec![chain("linear", 0.00085, 0.012), spaced_sigmas(), spacing("linspace")]
        }
        Class::LmsDiscrete => {
            vec![chain("linear", 1e-4, 0.02), spaced_sigmas(), spacing("linspace")]
        }
        Class::EdmEuler => vec![edm()],
        Class::EdmDpmSolverMultistep => vec![
            edm(),
            solver("dpmsolver++", "midpoint"),
            json!({"euler_at_final": false}),
            threshold(),
        ],
        Class::FlowMatchEulerDiscrete => vec![
            json!({"num_train_timesteps": 1000, "shift": 1.0, "shift_terminal": null}),
            json!({"base_shift": 0.5, "max_shift": 1.15}),
            json!({"base_image_seq_len": 256, "max_image_seq_len": 4096}),
            json!({"invert_sigmas": false, "stochastic_sampling": false}),
            spaced_sigmas(),
            dynamic(),
        ],
        Class::FlowMatchLcm => vec![
            json!({"num_train_timesteps": 1000, "shift": 1.0, "shift_terminal": null}),
            json!({"base_shift": 0.5, "max_shift": 1.15}),
            json!({"base_image_seq_len": 256, "max_image_seq_len": 4096}),
            json!({"invert_sigmas": false, "scale_factors": null, "upscale_mode": "bicubic"}),
            spaced_sigmas(),
            dynamic(),
        ],
        Class::FlowMatchHeunDiscrete => vec![json!({"num_train_timesteps": 1000, "shift": 1.0})],
        Class::Ipndm => vec![json!({"num_train_timesteps": 1000, "trained_betas": null})],
    };
    let mut all = Map::new();
    for group in groups {
        if let Value::Object(keys) = group {
            all.extend(keys);
        }
    }
    all
}

fn chain(schedule: &str, start: f64, end: f64) -> Value {
    json!({
        "num_train_timesteps": 1000, "beta_start": start, "beta_end": end,
        "beta_schedule": schedule, "trained_betas": null, "prediction_type": "epsilon",
    })
}

fn spacing(rule: &str) -> Value {
    json!({"timestep_spacing": rule, "steps_offset": 0})
}

fn zero_snr() -> Value {
    json!({"rescale_betas_zero_snr": false})
}

fn clip(on: bool) -> Value {
    json!({"clip_sample": on, "clip_sample_range": 1.0})
}

fn threshold() -> Value {
    json!({"thresholding": false, "dynamic_thresholding_ratio": 0.995, "sample_max_value": 1.0})
}

fn solver(algorithm: &str, kind: &str) -> Value {
    json!({
        "solver_order": 2, "algorithm_type": algorithm, "solver_type": kind,
        "lower_order_final": true,
    })
}

fn lambda_clip() -> Value {
    json!({"lambda_min_clipped": "-Infinity", "variance_type": null})
}

fn spaced_sigmas() -> Value {
    json!({
        "use_karras_sigmas": false, "use_exponential_sigmas": false, "use_beta_sigmas": false,
    })
}

fn flow_sigmas() -> Value {
    json!({"use_flow_sigmas": false, "flow_shift": 1.0})
}

fn dynamic() -> Value {
    json!({"use_dynamic_shifting": false, "time_shift_type": "exponential"})
}

fn edm() -> Value {
    json!({
        "num_train_timesteps": 1000, "sigma_min": 0.002, "sigma_max": 80.0, "sigma_data": 0.5,
        "sigma_schedule": "karras", "rho": 7.0, "prediction_type": "epsilon",
        "final_sigmas_type": "zero",
    })
}
