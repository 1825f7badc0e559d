//! The levels are diffusers' timesteps and sigmas.

use ddm_diffusers::{Class, SchedulerConfig, SetTimesteps};
use serde_json::Value;

use crate::cases;

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().map(|list| list.iter().filter_map(Value::as_f64).collect()).unwrap_or_default()
}

/// The timesteps at which steps begin, of all at which the network was called.
fn beginnings(class: Class, called: &[f64], skip_prk: bool) -> Vec<f64> {
    let every_other = |list: &[f64]| list.iter().step_by(2).copied().collect::<Vec<_>>();
    match class {
        Class::HeunDiscrete | Class::FlowMatchHeunDiscrete => every_other(called),
        Class::Kdpm2Discrete | Class::Kdpm2AncestralDiscrete => every_other(called),
        Class::Pndm if skip_prk => [&called[..1], &called[2..]].concat(),
        Class::Pndm => [&called[0..1], &called[4..5], &called[8..9], &called[12..]].concat(),
        _ => called.to_vec(),
    }
}

fn close(found: f64, recorded: f64, what: &str) {
    let bound = 1e-5 * recorded.abs().max(1e-6);
    assert!((found - recorded).abs() <= bound, "{what}: {found}, recorded {recorded}");
}

#[test]
fn levels_are_the_recorded_timesteps_and_sigmas() {
    let cases = cases();
    assert!(cases.len() >= 127);
    for case in cases {
        let name = case["name"].as_str().unwrap();
        let config = SchedulerConfig::from_value(&case["scheduler_config"]).unwrap();
        assert!(config.unknown().is_empty(), "{name}: {:?}", config.unknown());
        let steps = case["steps"].as_u64().unwrap() as usize;
        let set = SetTimesteps::from_value(&case["set_timesteps"], steps).unwrap();
        let levels = config.levels(set).unwrap_or_else(|error| panic!("{name}: {error}"));
        let skips = config.get("skip_prk_steps") == Some(&Value::Bool(true));
        let mut timesteps = beginnings(config.class(), &numbers(&case["timesteps"]), skips);
        if config.inverts() {
            timesteps.reverse();
        }
        assert_eq!(levels.steps(), timesteps.len(), "{name}");
        let calls = numbers(&case["timesteps"]).len();
        for (level, recorded) in levels.iter().zip(timesteps) {
            close(level.timestep, recorded, &format!("{name}: t"));
        }
        let flow = config.get("use_flow_sigmas") == Some(&Value::Bool(true))
            || config.class().name().starts_with("FlowMatch");
        let mut sigmas = numbers(&case["sigmas"]);
        if levels.steps() < calls && !sigmas.is_empty() {
            // Where a step has two calls, its sigma is there twice.
            sigmas = sigmas[..1].iter().chain(sigmas[1..].iter().step_by(2)).copied().collect();
        }
        for (level, recorded) in levels.iter().zip(sigmas) {
            let sigma = if flow { level.sigma } else { level.sigma / level.alpha };
            close(sigma, recorded, &format!("{name}: sigma at {}", level.timestep));
        }
        let start = config.start_scale(levels[0]) * config.scale_to_theirs(levels[0]);
        close(start, case["init_noise_sigma"].as_f64().unwrap(), &format!("{name}: start"));
    }
}
