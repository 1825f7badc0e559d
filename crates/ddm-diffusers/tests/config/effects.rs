//! Every key of every class changes the run, is noted as one without effect, or is refused.

use burn::tensor::{Device, Tensor};
use ddm_denoiser::from_fn;
use ddm_diffusers::{Class, ConfigError, Note, SchedulerConfig, SetTimesteps};
use ddm_samplers::Sampling;
use serde_json::{Map, Value, json};

/// Keys that only pipelines of diffusers read, to find mu and to resize.
const OF_PIPELINES: [&str; 5] =
    ["base_shift", "max_shift", "base_image_seq_len", "max_image_seq_len", "upscale_mode"];

/// Settings under which other keys count.
fn surroundings() -> Vec<Value> {
    let flow = json!({"use_flow_sigmas": true, "prediction_type": "flow_prediction"});
    let mut dynamic_flow = flow.clone();
    dynamic_flow["use_dynamic_shifting"] = true.into();
    vec![
        json!({}),
        flow,
        dynamic_flow,
        json!({"clip_sample": true}),
        json!({"clip_sample": false}),
        json!({"thresholding": true}),
        json!({"use_karras_sigmas": true}),
        json!({"use_dynamic_shifting": true}),
        json!({"timestep_spacing": "trailing"}),
        json!({"timestep_spacing": "leading"}),
        json!({"beta_schedule": "squaredcos_cap_v2"}),
        json!({"final_sigmas_type": "sigma_min"}),
        json!({"prediction_type": "v_prediction"}),
        json!({"sigma_schedule": "exponential"}),
        json!({"trained_betas": betas()}),
        json!({"solver_order": 1, "final_sigmas_type": "sigma_min"}),
        json!({"solver_order": 3}),
        json!({"predictor_order": 1, "corrector_order": 3}),
        json!({"predictor_order": 3, "corrector_order": 1}),
    ]
}

fn betas() -> Vec<f64> {
    (0..1000).map(|i| 2e-4 + 3e-5 * f64::from(i)).collect()
}

/// Other values of a key, valid for at least one class.
fn values(key: &str, default: &Value) -> Vec<Value> {
    let number = |list: &[f64]| list.iter().map(|value| json!(value)).collect();
    let words = |list: &str| list.split(' ').map(Value::from).collect();
    match key {
        _ if default.is_boolean() => vec![Value::Bool(default == false)],
        "beta_schedule" => words("linear scaled_linear squaredcos_cap_v2 sigmoid laplace exp"),
        "prediction_type" => words("epsilon sample v_prediction flow_prediction"),
        "timestep_spacing" => words("leading trailing linspace"),
        "variance_type" => words("fixed_small fixed_small_log fixed_large learned learned_range"),
        "algorithm_type" => words(
            "dpmsolver dpmsolver++ sde-dpmsolver sde-dpmsolver++ data_prediction noise_prediction",
        ),
        "solver_type" => words("midpoint heun bh1 bh2 logrho"),
        "final_sigmas_type" => words("zero sigma_min"),
        "interpolation_type" => words("linear log_linear"),
        "timestep_type" => words("discrete continuous"),
        "time_shift_type" => words("exponential linear"),
        "sigma_schedule" => words("karras exponential"),
        "solver_p" | "tau_func" | "scale_factors" => words("anything"),
        "trained_betas" => vec![json!(betas())],
        "disable_corrector" => vec![json!([1])],
        "num_train_timesteps" => number(&[600.0]),
        "beta_start" => number(&[0.003]),
        "beta_end" => number(&[0.03]),
        "steps_offset" => number(&[1.0]),
        "clip_sample_range" | "dynamic_thresholding_ratio" => number(&[0.3]),
        "sample_max_value" => number(&[1.5]),
        "solver_order" | "predictor_order" | "corrector_order" => number(&[1.0, 2.0, 3.0]),
        "lambda_min_clipped" => number(&[-3.0]),
        "sigma_min" | "shift_terminal" => number(&[0.05]),
        "sigma_max" => number(&[20.0]),
        "original_inference_steps" => number(&[100.0]),
        "s" => number(&[0.02]),
        "s_noise" | "eta" | "sigma_data" => number(&[0.7]),
        _ => number(&[2.5]),
    }
}

fn read(class: Class, keys: &Map<String, Value>) -> Result<SchedulerConfig, ConfigError> {
    let mut all = keys.clone();
    all.insert("_class_name".to_owned(), class.name().into());
    SchedulerConfig::from_value(&Value::Object(all))
}

/// Levels and samples of runs, bit by bit: short ones, and one that keeps its order at the end.
fn run(config: &SchedulerConfig) -> Result<Vec<u64>, ConfigError> {
    let runs: Result<Vec<_>, _> =
        [7, 10, 20].map(|steps| run_of(config, steps)).into_iter().collect();
    Ok(runs?.concat())
}

fn run_of(config: &SchedulerConfig, steps: usize) -> Result<Vec<u64>, ConfigError> {
    let set = SetTimesteps::steps(steps);
    let levels = config.levels(set.clone().mu(0.8)).or_else(|_| config.levels(set))?;
    let word = |key| config.get(key).and_then(Value::as_str).unwrap_or_default();
    let learned = word("variance_type").starts_with("learned");
    let name = config.class().name();
    let solver = name.starts_with("DPMSolver") || name == "SASolverScheduler";
    let twice = learned && (!solver || word("prediction_type") == "epsilon");
    let network = from_fn(move |x: Tensor<2>, t: Tensor<1>| {
        let f = (x.clone() * 1.3 + t.unsqueeze_dim(1) / 1000.0).sin() * 3.0 + x.clone() * 0.6;
        if twice { Tensor::cat(vec![f, x.tanh()], 1) } else { f }
    });
    let (model, schedule) = (config.denoiser(network)?, config.schedule()?);
    let start = Tensor::<2>::from_floats([[1.5, -0.4, 0.7], [0.1, -2.2, 0.3]], &Device::flex());
    let x = start.clone() * config.start_scale(levels[0]);
    let x = if config.inverts() {
        config.invert(&*model, &levels, x)?.last().unwrap().x
    } else {
        let sampler = match config.class() {
            Class::RePaint => config.repaint(start.clone(), start.equal_elem(0.1).float(), 2, 2)?,
            _ => config.sampler()?,
        };
        let run = Sampling::new(&*model, &schedule).sampler(sampler).levels(levels.clone());
        run.seed(3).start_from(x)?.finish()
    };
    let x: Vec<f64> = x.try_into_vec_as().unwrap();
    let levels = levels.iter().flat_map(|level| [level.timestep, level.alpha, level.sigma]);
    // Where the network has other channels, the key has changed that.
    Ok(levels.chain(x).chain([f64::from(u8::from(twice))]).map(f64::to_bits).collect())
}

fn noted(config: &SchedulerConfig, wanted: &str) -> bool {
    let named = |note: &Note| matches!(note, Note::WithoutEffect { key, .. } if key == wanted);
    config.notes().iter().any(named)
}

/// What is wrong with a key beside these other settings.
fn fault(class: Class, around: &Map<String, Value>, key: &str, default: &Value) -> Option<String> {
    let before = run(&read(class, around).ok()?).ok()?;
    let mut silent = None;
    let mut changed = false;
    for value in values(key, default).into_iter().filter(|value| value != default) {
        let mut keys = around.clone();
        keys.insert(key.to_owned(), value.clone());
        let config = match read(class, &keys) {
            Ok(config) => config,
            Err(error) => {
                changed |= matches!(error, ConfigError::Contradiction(_));
                continue;
            }
        };
        let noted = noted(&config, key);
        match run(&config) {
            Ok(after) if after == before && !noted => silent = Some(value),
            Ok(after) if after != before && noted => {
                return Some(format!("{value} is noted and has an effect"));
            }
            Ok(after) => changed |= after != before,
            Err(_) => changed = true,
        }
    }
    silent.filter(|_| !changed).map(|value| format!("{value} has no effect and no note"))
}

#[test]
fn every_key_counts_or_is_noted() {
    let mut faults = Vec::new();
    for class in Class::ALL {
        let config = SchedulerConfig::new(class).unwrap();
        let Value::Object(defaults) = Value::from(config) else { unreachable!() };
        for around in surroundings() {
            let Value::Object(mut around) = around else { unreachable!() };
            if defaults.contains_key("thresholding") {
                around.insert("sample_max_value".to_owned(), json!(2.5));
            }
            if !around.keys().all(|key| defaults.contains_key(key)) {
                continue;
            }
            let keys = defaults.iter().filter(|(key, _)| {
                !key.starts_with('_')
                    && !around.contains_key(*key)
                    && !OF_PIPELINES.contains(&key.as_str())
            });
            faults.extend(keys.filter_map(|(key, default)| {
                let fault = fault(class, &around, key, default)?;
                Some(format!("{class} {key} beside {:?}: {fault}", around.keys()))
            }));
        }
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}
