//! Notes, nulls and keys without effect.

use burn::tensor::Tensor;
use ddm_denoiser::from_fn;
use ddm_diffusers::{ConfigError, Note, SchedulerConfig, SetTimesteps};
use serde_json::{Value, json};

fn read(class: &str, mut keys: Value) -> Result<SchedulerConfig, ConfigError> {
    keys["_class_name"] = format!("{class}Scheduler").into();
    SchedulerConfig::from_value(&keys)
}

fn notes(class: &str, keys: Value) -> Vec<Note> {
    read(class, keys).unwrap().notes()
}

#[test]
fn what_is_doubtful_is_a_note_and_strictly_an_error() {
    let linspace = notes("DDIM", json!({"timestep_spacing": "linspace"}));
    assert!(matches!(linspace[..], [Note::LinspaceChain { .. }]), "{linspace:?}");
    let zero = notes("DDIM", json!({"rescale_betas_zero_snr": true}));
    assert_eq!(zero, [Note::ZeroSnrEpsilon]);
    let cosine = json!({"beta_schedule": "squaredcos_cap_v2", "use_karras_sigmas": true});
    assert_eq!(notes("UniPCMultistep", cosine), [Note::CosineKarras]);
    assert_eq!(notes("UniPCMultistep", json!({"use_flow_sigmas": true})), [Note::FlowWithoutFlow]);
    let shift = read("FlowMatchHeunDiscrete", json!({"shift": 3.0})).unwrap();
    assert_eq!(shift.clone().strict(), Err(ConfigError::Note(Note::ShiftTwice { shift: 3.0 })));
    assert!(shift.notes()[0].to_string().contains("1.09861"));
    assert!(read("DDIM", json!({})).unwrap().strict().is_ok());
}

#[test]
fn keys_without_effect_are_named() {
    let idle = |class, keys| {
        let found = notes(class, keys);
        found
            .into_iter()
            .filter_map(|note| match note {
                Note::WithoutEffect { key, .. } | Note::Unknown { key, .. } => Some(key),
                _ => None,
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(idle("TCD", json!({"clip_sample": true, "eta": 1})), ["clip_sample", "eta"]);
    let trailing = json!({"timestep_spacing": "trailing", "steps_offset": 1});
    assert_eq!(idle("EulerDiscrete", trailing), ["steps_offset"]);
    let dynamic = json!({"use_dynamic_shifting": true, "shift": 3.0});
    assert_eq!(idle("FlowMatchEulerDiscrete", dynamic), ["shift"]);
    assert_eq!(idle("DDPM", json!({"sample_max_value": 1.5})), ["sample_max_value"]);
}

/// null is Python's None: false for a flag; no default.
#[test]
fn null_is_none() {
    let clip = read("DDPM", json!({"clip_sample": null})).unwrap();
    assert_eq!(clip.get("clip_sample"), Some(&json!(false)));
    let bound = json!({"thresholding": true, "sample_max_value": null});
    assert_eq!(read("DDPM", bound).unwrap().get("sample_max_value"), Some(&json!("Infinity")));
    // Unused, so that None does no harm.
    assert!(
        read("DDIM", json!({"beta_start": null, "beta_schedule": "squaredcos_cap_v2"})).is_ok()
    );
    for (class, key) in
        [("DDIM", "beta_start"), ("DDIM", "steps_offset"), ("LCM", "timestep_scaling")]
    {
        let error = read(class, json!({key: null})).unwrap_err().to_string();
        assert!(error.contains(key) && error.contains("default"), "{error}");
    }
}

#[test]
fn arguments_that_a_class_does_not_take_are_refused() {
    let ddim = read("DDIM", json!({})).unwrap();
    assert!(ddim.levels(SetTimesteps::timesteps([900.0, 1.0])).is_err());
    let flow = read("FlowMatchEulerDiscrete", json!({"shift_terminal": 0.02})).unwrap();
    let error = flow.levels(1).unwrap_err().to_string();
    assert!(error.contains("shift_terminal") && error.contains("2 steps"), "{error}");
    // Pipelines pass mu in any case.
    assert_eq!(flow.levels(SetTimesteps::steps(4).mu(1.0)), flow.levels(4));
    let rising = SetTimesteps::sigmas([0.5, 1.0]);
    assert!(flow.levels(rising).unwrap_err().to_string().contains("falling"));
}

/// diffusers has one step more there.
#[test]
fn trailing_has_no_extra_step_at_minus_one() {
    let euler = read("EulerDiscrete", json!({"timestep_spacing": "trailing"})).unwrap();
    for steps in [61, 103, 121] {
        let levels = euler.levels(steps).unwrap();
        assert_eq!(levels.steps(), steps);
        assert!(levels[steps - 1].timestep >= 0.0);
    }
}

#[test]
fn a_denoiser_is_shared_between_threads() {
    fn shared(_: &(impl Sync + Send + ?Sized)) {}
    let config = read("DDIM", json!({})).unwrap();
    shared(&*config.denoiser(from_fn(|x: Tensor<2>, _: Tensor<1>| x)).unwrap());
}
