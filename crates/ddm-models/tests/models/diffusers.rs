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
        Some(labels) => network.predict_with(x, t, labels.into()),
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
fn a_loaded_network_is_saved_and_trained_as_others() {
    let device = Device::flex();
    let network = UNet::from_diffusers(directory("classes"), &device).unwrap();
    let copy = tempfile::tempdir().unwrap();
    network.to_diffusers(copy.path()).unwrap();
    let again = UNet::from_diffusers(copy.path(), &device).unwrap();
    assert_eq!(again.config(), network.config());
    let error = error_of(&again, recorded(&directory("classes"), &device));
    assert!(error < 1e-5, "{error:e}");

    let device = device.autodiff();
    let network = UNet::from_diffusers(directory("old_names"), &device).unwrap();
    let Recorded { x, t, out, .. } = recorded(&directory("old_names"), &device);
    assert_gradients_reach_all(&network, (network.predict(x, t) - out * 2.0).square().mean());
}

/// Each setting of a network is in its directory, the null class included.
#[test]
fn a_network_is_saved_with_its_settings() {
    let device = Device::flex();
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path().join("not/yet/there");
    let config = small_unet().with_classes(Some(3)).with_attention(vec![1]).with_dropout(0.1);
    let settings = config.with_downsample_padding(0).with_freq_shift(1.0).settings().unwrap();
    let settings = UNet2dConfig { sample_size: Some([8, 12]), ..settings };
    let network = settings.init(&device).unwrap().map(&mut Fill);
    // Over an earlier save in shards, whose index Python would read first.
    let stem = "diffusion_pytorch_model";
    std::fs::create_dir_all(&directory).unwrap();
    ddm_weights::save_shards(&settings.init(&device).unwrap(), &directory, stem, 10_000).unwrap();
    assert!(directory.join(format!("{stem}.safetensors.index.json")).exists());
    network.to_diffusers(&directory).unwrap();
    let again = UNet::from_diffusers(&directory, &device).unwrap();
    assert_eq!(again.config(), &settings);
    let (x, t) = (waves([2, 1, 8, 12], &device), times(2, &device));
    assert_eq!(distance(again.predict(x.clone(), t.clone()), network.predict(x, t)), 0.0);
    assert!(std::fs::read_dir(&directory).unwrap().count() == 2, "nothing is left beside");

    let gelu = UNet2dConfig { act_fn: blocks::Activation::GeluTanh, ..settings.clone() };
    let error = gelu.to_diffusers().unwrap_err().to_string();
    assert!(error.contains("`act_fn` = GeluTanh, but it must be silu"), "{error}");
    let error = network.to_diffusers(directory.join("config.json")).unwrap_err();
    assert!(matches!(&error, DiffusersError::Write { .. }), "{error}");
    let lonely = UNet2dConfig { class_embed: Some(ClassEmbed::Table(1)), ..settings };
    let error = lonely.init(&device).unwrap_err().to_string();
    assert_eq!(error, "a null class needs a table of it and at least one class");
}

#[test]
fn all_settings_of_recorded_networks_are_saved() {
    for name in [
        "unet2d-default",
        "unet2d-class",
        "unet2d-resnet-blocks",
        "unet2d-learned-time",
        "unet2d-no-mid",
        "unet2d-consistency",
        "unet2d-ncsnpp",
    ] {
        let path = super::golden::directory(name).join("config.json");
        let read = UNet2dConfig::from_diffusers(&std::fs::read_to_string(path).unwrap()).unwrap();
        let saved = read.to_diffusers().unwrap();
        assert_eq!(UNet2dConfig::from_diffusers(&saved).unwrap(), read, "{name}");
    }
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
    assert!(matches!(&error, DiffusersError::Weights(WeightsError::NoWeights { .. })), "{error}");
    assert!(error.to_string().contains(says), "{error}");
    std::fs::copy(directory("classes").join(says), copy.path().join(says)).unwrap();
    let error = load();
    assert!(matches!(&error, DiffusersError::Weights(WeightsError::Misfit { .. })), "{error}");
    let json = r#"{"block_out_channels": [32, 30], "down_block_types": ["DownBlock2D", "DownBlock2D"],
        "up_block_types": ["UpBlock2D", "UpBlock2D"]}"#;
    std::fs::write(copy.path().join("config.json"), json).unwrap();
    let error = load();
    assert!(matches!(&error, DiffusersError::Network(_)), "{error}");
}

#[test]
fn a_table_of_other_classes_is_refused() {
    use safetensors::{SafeTensors, tensor::TensorView};

    let (device, copy) = (Device::flex(), tempfile::tempdir().unwrap());
    let weights = "diffusion_pytorch_model.safetensors";
    let bytes = std::fs::read(directory("classes").join(weights)).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let config = directory("classes").join("config.json");
    std::fs::copy(config, copy.path().join("config.json")).unwrap();
    for rows in [0, 3] {
        let part = |(name, view): (_, TensorView<'_>)| match name {
            "class_embedding.weight" => {
                let data = &file.tensor(name).unwrap().data()[..rows * 24 * 4];
                (name, TensorView::new(view.dtype(), vec![rows, 24], data).unwrap())
            }
            _ => (name, file.tensor(name).unwrap()),
        };
        let parts: Vec<_> = file.iter().map(part).collect();
        std::fs::write(copy.path().join(weights), safetensors::serialize(parts, None).unwrap())
            .unwrap();
        let error = UNet::from_diffusers(copy.path(), &device).unwrap_err();
        let mismatch = matches!(&error, DiffusersError::Weights(WeightsError::Misfit { .. }));
        assert!(mismatch && error.to_string().contains("class_embedding.weight"), "{error}");
    }
}
