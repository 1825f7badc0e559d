//! Reading and writing.

use burn::tensor::{Device, Tensor};
use ddm_diffusers::{Class, ConfigError, SchedulerConfig};
use serde_json::{Value, json};

use crate::cases;

#[test]
fn what_is_written_reads_the_same() {
    for case in cases() {
        let config = SchedulerConfig::from_value(&case["scheduler_config"]).unwrap();
        let again: SchedulerConfig = config.to_json().parse().unwrap();
        assert_eq!(config, again);
        for (key, value) in case["scheduler_config"].as_object().unwrap() {
            if !key.starts_with('_') {
                assert_eq!(config.get(key), Some(value), "{key}");
            }
        }
        let through_serde: SchedulerConfig =
            serde_json::from_str(&serde_json::to_string(&config).unwrap()).unwrap();
        assert_eq!(config, through_serde);
    }
}

#[test]
fn every_class_has_defaults() {
    for class in Class::ALL {
        let config = SchedulerConfig::new(class).map_err(|error| error.to_string());
        // DDIM's own defaults are good ones; so are all others.
        let config = config.unwrap();
        assert_eq!(config.class(), class);
        let written: Value = serde_json::to_value(&config).unwrap();
        assert_eq!(written["_class_name"], class.name());
        config.schedule().unwrap();
        config.parameterization().unwrap();
    }
}

#[test]
fn infinities_are_written_bare_as_python_reads_them() {
    let config = SchedulerConfig::new(Class::DpmSolverMultistep).unwrap();
    assert!(config.to_json().contains(r#""lambda_min_clipped": -Infinity"#));
}

#[test]
fn unknown_keys_are_reported() {
    let config = SchedulerConfig::from_value(&json!({
        "_class_name": "EulerDiscreteScheduler", "_diffusers_version": "0.42.1",
        "clip_sample": false, "skip_prk_steps": true, "beta_end": 0.012,
    }));
    let config = config.unwrap();
    assert_eq!(config.unknown(), ["clip_sample", "skip_prk_steps"]);
    assert_eq!(config.get("beta_end"), Some(&json!(0.012)));
    assert_eq!(config.get("clip_sample"), None);
}

#[test]
fn what_is_no_config_is_refused() {
    let read = |text: &str| text.parse::<SchedulerConfig>().unwrap_err();
    assert!(matches!(read("{"), ConfigError::NotJson { .. }));
    assert!(matches!(read("[1]"), ConfigError::NotJson { .. }));
    assert_eq!(read("{}"), ConfigError::NoClass);
    let error = read(r#"{"_class_name": "VQDiffusionScheduler"}"#).to_string();
    assert!(error.contains("VQDiffusionScheduler") && error.contains("TCDScheduler"), "{error}");
}

/// The guide lists every class that is not covered, with the reason that the error gives.
#[test]
fn classes_that_are_not_covered_say_why() {
    let guide = include_str!("../../../../docs/coming-from-diffusers.md");
    let (_, table) = guide.split_once("Not read, and named").unwrap();
    let (table, _) = table.split_once("\nThe other way round").unwrap();
    let rows: Vec<Vec<&str>> = table
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.split('|').map(str::trim).collect())
        .collect();
    assert_eq!(rows.len(), 17);
    for row in rows {
        let class = format!("{}Scheduler", row[1].trim_matches('`'));
        let error = SchedulerConfig::from_value(&json!({"_class_name": class})).unwrap_err();
        assert!(error.to_string().contains(&format!("{class} is not supported ({})", row[3])));
        assert_eq!(row[2] == "no", row[3].contains("discrete"), "{class}");
    }
    let error = SchedulerConfig::from_value(&json!({"_class_name": "Other"})).unwrap_err();
    assert!(error.to_string().contains("Other is not supported; the supported classes are"));
}

/// A network of learned variance has twice the channels, and the config names its two heads.
#[test]
fn learned_range_reads_both_heads() {
    let text = r#"{"_class_name": "DDPMScheduler", "variance_type": "learned_range"}"#;
    let config: SchedulerConfig = text.parse().unwrap();
    let network = ddm_denoiser::from_fn(|x: Tensor<2>, _: Tensor<1>| {
        Tensor::cat(vec![x.clone(), x.zeros_like() + 0.5], 1)
    });
    let denoiser = config.denoiser(network).unwrap();
    let at = ddm_schedule::NoiseLevel { timestep: 1.0, alpha: 0.6, sigma: 0.8 };
    let found = denoiser.predict_x0(Tensor::zeros([3, 2], &Device::flex()), &[at]);
    let (x0, v) = (found.x0, found.variance);
    assert_eq!((x0.dims(), v.as_ref().map(Tensor::dims)), ([3, 2], Some([3, 2])));
    assert_eq!(v.unwrap().mean().into_scalar::<f32>(), 0.75);
}
