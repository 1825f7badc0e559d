//! U-Nets of diffusers against recorded predictions (`testdata/unets`).

use std::path::{Path, PathBuf};

use super::*;

fn directory(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/unets").join(name)
}

/// The inputs and the prediction that diffusers recorded.
struct Recorded {
    x: Tensor<4>,
    t: Tensor<1>,
    labels: Option<Tensor<1, Int>>,
    out: Tensor<4>,
}

fn recorded(directory: &Path, device: &Device) -> Recorded {
    let bytes = std::fs::read(directory.join("reference.safetensors")).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let shape = |name| file.tensor(name).unwrap().shape().to_vec();
    let numbers = |name: &str| {
        let view = file.tensor(name).unwrap();
        let bytes = view.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()));
        Tensor::<1>::from_floats(bytes.collect::<Vec<f32>>().as_slice(), device)
    };
    let image = |name| numbers(name).reshape::<4, _>(<[usize; 4]>::try_from(shape(name)).unwrap());
    let labels = file.tensor("labels").ok().map(|view| {
        let labels = view.data().chunks_exact(8).map(|b| i64::from_le_bytes(b.try_into().unwrap()));
        Tensor::<1, Int>::from_ints(labels.collect::<Vec<i64>>().as_slice(), device)
    });
    Recorded { x: image("x"), t: numbers("t"), labels, out: image("out") }
}

/// Largest error relative to the largest prediction.
fn error_of(network: &UNet, recorded: Recorded) -> f32 {
    let Recorded { x, t, labels, out } = recorded;
    let prediction = match labels {
        Some(labels) => network.predict_with(x, t, labels),
        None => network.predict(x, t),
    };
    let size: f32 = out.clone().abs().max().into_scalar();
    distance(prediction, out) / size
}

#[test]
fn predictions_are_those_of_diffusers() {
    let device = Device::flex();
    for name in ["ddpm", "classes", "old_names"] {
        let network = UNet::from_diffusers(directory(name), &device).unwrap();
        let error = error_of(&network, recorded(&directory(name), &device));
        assert!(error < 1e-5, "{name}: {error:e}");
    }
}

#[test]
fn a_model_with_classes_gets_a_null_class() {
    let device = Device::flex();
    let network = UNet::from_diffusers(directory("classes"), &device).unwrap();
    let Recorded { x, t, labels, .. } = recorded(&directory("classes"), &device);
    let shape = x.dims();
    network.check_with(shape, &labels.clone().unwrap()).unwrap();
    let null = network.null_classes(2, &device);
    assert_eq!(null.clone().into_data().convert::<i64>().try_to_vec::<i64>().unwrap(), [7, 7]);
    let without = network.predict(x.clone(), t.clone());
    assert_eq!(distance(network.predict_with(x.clone(), t.clone(), null), without.clone()), 0.0);
    let with = network.predict_with(x, t, labels.unwrap());
    assert!(distance(with, without.clone()) > 1e-3);
    assert!(floats(without).iter().all(|value| value.is_finite()));
}

#[test]
fn a_loaded_network_is_saved_and_trained_as_others() {
    let device = Device::flex();
    let network = UNet::from_diffusers(directory("classes"), &device).unwrap();
    let file = tempfile::tempdir().unwrap();
    let path = file.path().join("unet.safetensors");
    save_weights(&network, &path).unwrap();
    let json = std::fs::read_to_string(directory("classes").join("config.json")).unwrap();
    let config = UNetConfig::from_diffusers(&json).unwrap();
    let again = load_weights(config.init(&device).unwrap(), &path).unwrap();
    let error = error_of(&again, recorded(&directory("classes"), &device));
    assert!(error < 1e-5, "{error:e}");

    let device = device.autodiff();
    let network = UNet::from_diffusers(directory("old_names"), &device).unwrap();
    let Recorded { x, t, out, .. } = recorded(&directory("old_names"), &device);
    assert_gradients_reach_all(&network, (network.predict(x, t) - out * 2.0).square().mean());
}

/// The config of `ddpm` with one setting replaced.
fn with(setting: &str, value: &str) -> Result<UNetConfig, DiffusersError> {
    let json = std::fs::read_to_string(directory("ddpm").join("config.json")).unwrap();
    let mut json: serde_json::Map<_, _> = serde_json::from_str(&json).unwrap();
    json.insert(setting.to_owned(), serde_json::from_str(value).unwrap());
    UNetConfig::from_diffusers(&serde_json::to_string(&json).unwrap())
}

#[test]
fn settings_that_are_not_covered_are_refused() {
    let refused = [
        ("_class_name", r#""UNet2DConditionModel""#, r#"must be "UNet2DModel""#),
        ("act_fn", r#""gelu""#, r#"must be "silu" or "swish""#),
        ("center_input_sample", "true", "must be false"),
        ("time_embedding_type", r#""fourier""#, r#"must be "positional""#),
        ("mid_block_type", "null", r#"must be "UNetMidBlock2D""#),
        ("mid_block_scale_factor", "2", "must be 1"),
        ("downsample_type", r#""resnet""#, r#"must be "conv""#),
        ("upsample_type", r#""resnet""#, r#"must be "conv""#),
        ("resnet_time_scale_shift", r#""scale_shift""#, r#"must be "default""#),
        ("class_embed_type", r#""timestep""#, "must be null"),
        ("attn_norm_num_groups", "4", "must be null or 2"),
        ("time_embedding_dim", "20", "must be null or 16"),
        ("block_out_channels", "[5, 6, 8]", "whose first entry is even"),
        ("down_block_types", r#"["DownBlock2D"]"#, "must be 3 of"),
        ("down_block_types", r#"["DownBlock2D", "SkipDownBlock2D", "DownBlock2D"]"#, "must be 3"),
        ("up_block_types", r#"["UpBlock2D", "UpBlock2D", "UpBlock2D"]"#, "AttnUpBlock2D"),
        ("norm_num_groups", "null", "must be a size"),
        ("freq_shift", r#""one""#, "must be a number"),
        ("attention_bias", "false", "must be absent"),
    ];
    for (setting, value, says) in refused {
        let error = with(setting, value).unwrap_err();
        assert!(
            matches!(&error, DiffusersError::Setting { setting: found, .. } if found == setting)
        );
        let error = error.to_string();
        assert!(error.contains(says) && error.contains(&format!("`{setting}` = ")), "{error}");
    }
    let accepted = [
        ("act_fn", r#""swish""#),
        ("mid_block_scale_factor", "1.0"),
        ("attn_norm_num_groups", "2"),
        ("time_embedding_dim", "16"),
        ("sample_size", "[8, 12]"),
        ("decay", "0.9999"),
        ("_name_or_path", r#""somewhere""#),
    ];
    for (setting, value) in accepted {
        assert!(with(setting, value).is_ok(), "{setting}");
    }
    assert!(matches!(UNetConfig::from_diffusers("[]"), Err(DiffusersError::NotJson { .. })));
}

#[test]
fn what_a_config_lacks_has_diffusers_default() {
    let config = UNetConfig::from_diffusers("{}").unwrap();
    assert_eq!((config.in_channels, config.out_channels, config.blocks), (3, 3, 2));
    assert_eq!(config.channels, [224, 448, 672, 896]);
    assert_eq!((config.attention, config.middle_attention), (vec![1, 2, 3], true));
    assert_eq!((config.head_size, config.norm_groups, config.norm_eps), (Some(8), 32, 1e-5));
    assert_eq!((config.downsample_padding, config.flip_sin_to_cos), (1, true));
    assert_eq!((config.freq_shift, config.dropout, config.classes), (0.0, 0.0, None));
    assert_eq!(with("attention_head_dim", "null").unwrap().head_size, None);
}

#[test]
fn incomplete_directories_have_different_errors() {
    let device = Device::flex();
    let copy = tempfile::tempdir().unwrap();
    let load = || UNet::from_diffusers(copy.path(), &device).unwrap_err();
    let error = load();
    assert!(matches!(&error, DiffusersError::Read { .. }), "{error}");
    assert!(error.to_string().contains("config.json"), "{error}");
    std::fs::copy(directory("ddpm").join("config.json"), copy.path().join("config.json")).unwrap();
    let error = load();
    let says = "diffusion_pytorch_model.safetensors";
    assert!(matches!(&error, DiffusersError::Weights(WeightsError::Read { .. })), "{error}");
    assert!(error.to_string().contains(says), "{error}");
    std::fs::copy(directory("classes").join(says), copy.path().join(says)).unwrap();
    let error = load();
    assert!(matches!(&error, DiffusersError::Weights(WeightsError::Mismatch { .. })), "{error}");
    let json = r#"{"block_out_channels": [32, 30], "down_block_types": ["DownBlock2D", "DownBlock2D"],
        "up_block_types": ["UpBlock2D", "UpBlock2D"]}"#;
    std::fs::write(copy.path().join("config.json"), json).unwrap();
    let error = load();
    assert!(matches!(&error, DiffusersError::Network(_)), "{error}");
}
