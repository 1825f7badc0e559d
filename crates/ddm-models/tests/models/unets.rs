//! U-Nets of diffusers, by its names, against recorded outputs (`testdata/models`).

use std::path::{Path, PathBuf};

use super::*;

fn directory(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/models").join(name)
}

/// The tensors that diffusers recorded.
struct Recorded {
    bytes: Vec<u8>,
    device: Device,
}

impl Recorded {
    fn of(name: &str) -> Self {
        Self::from(name, "reference.safetensors")
    }

    fn from(name: &str, file: &str) -> Self {
        let bytes = std::fs::read(directory(name).join(file)).unwrap();
        Self { bytes, device: Device::flex() }
    }

    fn get<const D: usize>(&self, name: &str) -> Option<Tensor<D>> {
        let file = safetensors::SafeTensors::deserialize(&self.bytes).unwrap();
        let view = file.tensor(name).ok()?;
        let numbers: Vec<f32> = match view.dtype() {
            safetensors::Dtype::F32 => {
                let bytes = view.data().chunks_exact(4);
                bytes.map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
            }
            safetensors::Dtype::I64 => {
                let bytes = view.data().chunks_exact(8);
                bytes.map(|b| i64::from_le_bytes(b.try_into().unwrap()) as f32).collect()
            }
            other => panic!("{name}: {other:?}"),
        };
        let shape: [usize; D] = view.shape().try_into().unwrap();
        Some(Tensor::<1>::from_floats(numbers.as_slice(), &self.device).reshape(shape))
    }

    fn tensor<const D: usize>(&self, name: &str) -> Tensor<D> {
        self.get(name).unwrap_or_else(|| panic!("no tensor {name}"))
    }

    /// What a text-conditional network takes.
    fn condition(&self) -> UNetCondition {
        let added = || {
            let (text_embeds, time_ids) = (self.get("text_embeds")?, self.get("time_ids")?);
            Some(AddedConditions { text_embeds, time_ids })
        };
        UNetCondition {
            timestep_cond: self.get("timestep_cond"),
            added: added(),
            ..UNetCondition::new(self.tensor("encoder_hidden_states"))
        }
    }

    /// Asserts that an output is the recorded one up to 1e-5 of its largest number.
    fn assert<const D: usize>(&self, case: &str, name: &str, output: Tensor<D>) {
        let expected = self.tensor::<D>(name);
        let size: f32 = expected.clone().abs().max().into_scalar();
        let error = distance(output, expected) / size;
        println!("{case} {name}: {error:.1e}");
        assert!(error < 1e-5, "{case} {name}: {error:e}");
    }
}

/// A recorded network, and how its labels are given.
type Labels = fn(&Recorded) -> Option<ClassLabels>;

fn none(_: &Recorded) -> Option<ClassLabels> {
    None
}

fn class(recorded: &Recorded) -> Option<ClassLabels> {
    Some(ClassLabels::Class(recorded.tensor("class_labels").int()))
}

fn number(recorded: &Recorded) -> Option<ClassLabels> {
    Some(ClassLabels::Number(recorded.tensor("class_labels")))
}

fn vector(recorded: &Recorded) -> Option<ClassLabels> {
    Some(ClassLabels::Vector(recorded.tensor("class_labels")))
}

const CONDITIONAL: [(&str, Labels); 9] = [
    ("unet2d-condition-sd15", none),
    ("unet2d-condition-sd21", none),
    ("unet2d-condition-sdxl", none),
    ("unet2d-condition-inpaint", none),
    ("unet2d-condition-lcm", none),
    ("unet2d-condition-x4-upscaler", class),
    ("unet2d-condition-unclip", vector),
    ("unet2d-condition-ssd1b", none),
    ("unet2d-condition-if", none),
];

#[test]
fn text_conditional_predictions_are_those_of_diffusers() {
    let device = Device::flex();
    for (name, labels) in CONDITIONAL {
        let network = UNet2dCondition::from_diffusers(directory(name), &device).unwrap();
        let recorded = Recorded::of(name);
        let condition = UNetCondition { class_labels: labels(&recorded), ..recorded.condition() };
        let (x, t) = (recorded.tensor::<4>("x"), recorded.tensor("t"));
        network.check_with(x.dims(), &condition).unwrap();
        let expected = recorded.tensor::<4>("out").dims();
        assert_eq!(network.output_shape_with(x.dims()), Some(expected));
        recorded.assert(name, "out", network.predict_with(x, t, condition));
    }
}

#[test]
fn masked_texts_and_odd_sizes_are_as_in_diffusers() {
    let device = Device::flex();
    for name in ["unet2d-condition-sd15", "unet2d-condition-if"] {
        let network = UNet2dCondition::from_diffusers(directory(name), &device).unwrap();
        let (recorded, extras) = (Recorded::of(name), Recorded::from(name, "extras.safetensors"));
        let plain = recorded.condition();
        let masked = UNetCondition { encoder_attention_mask: extras.get("mask"), ..plain.clone() };
        let (x, t) = (recorded.tensor::<4>("x"), recorded.tensor::<1>("t"));
        network.check_with(x.dims(), &masked).unwrap();
        extras.assert(name, "out_masked", network.predict_with(x, t.clone(), masked));
        let Some(x) = extras.get::<4>("x_odd") else {
            // Its levels double the image by residual blocks.
            assert!(network.check_with([2, 3, 7, 10], &plain).is_err());
            continue;
        };
        network.check_with(x.dims(), &plain).unwrap();
        extras.assert(name, "out_odd", network.predict_with(x, t, plain));
    }
}

const IMAGES: [(&str, Labels); 8] = [
    ("unet2d-default", none),
    ("unet2d-ddpm", none),
    ("unet2d-class", class),
    ("unet2d-resnet-blocks", number),
    ("unet2d-learned-time", vector),
    ("unet2d-no-mid", none),
    ("unet2d-consistency", class),
    ("unet2d-ncsnpp", none),
];

#[test]
fn predictions_without_a_text_are_those_of_diffusers() {
    let device = Device::flex();
    for (name, labels) in IMAGES {
        let network = UNet2d::from_diffusers(directory(name), &device).unwrap();
        let recorded = Recorded::of(name);
        let (x, t) = (recorded.tensor::<4>("x"), recorded.tensor("t"));
        let shape = x.dims();
        let expected = recorded.tensor::<4>("out").dims();
        assert_eq!(network.output_shape(shape), Some(expected));
        let out = match labels(&recorded) {
            Some(labels) => {
                network.check_with(shape, &labels).unwrap();
                assert!(network.check(shape).is_err(), "{name}");
                network.predict_with(x, t, labels)
            }
            None => {
                network.check(shape).unwrap();
                network.predict(x, t)
            }
        };
        recorded.assert(name, "out", out);
    }
}

#[test]
fn attention_of_old_checkpoints_is_read() {
    let device = Device::flex();
    let old = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/unets/old_names");
    let network = UNet2d::from_diffusers(&old, &device).unwrap();
    let same = UNet::from_diffusers(&old, &device).unwrap();
    let (x, t) = (waves([2, 3, 8, 12], &device), Tensor::from_floats([3.0, 700.0], &device));
    let expected = same.predict(x.clone(), t.clone());
    let size: f32 = expected.clone().abs().max().into_scalar();
    assert!(distance(network.predict(x, t), expected) < 1e-6 * size);
}

#[test]
fn residuals_of_a_controlnet_are_those_of_diffusers() {
    let (device, name) = (Device::flex(), "controlnet");
    let network = ControlNet::from_diffusers(directory(name), &device).unwrap();
    let recorded = Recorded::of(name);
    let (x, t) = (recorded.tensor::<4>("x"), recorded.tensor::<1>("t"));
    let condition = recorded.condition();
    let full = Control::new(recorded.tensor("controlnet_cond"));
    network.check(x.dims(), &condition, &full).unwrap();
    let weak = Control { conditioning_scale: 0.7, ..full.clone() };
    let guess = Control { guess_mode: true, ..full.clone() };
    for (control, prefix, suffix) in
        [(&full, "", ""), (&weak, "", "_scale_0.7"), (&guess, "guess_", "")]
    {
        let residuals = network.residuals(x.clone(), t.clone(), &condition, control);
        assert_eq!(residuals.down.len(), 4);
        for (index, down) in residuals.down.into_iter().enumerate() {
            let tensor = format!("{prefix}down_{index}{suffix}");
            if recorded.get::<4>(&tensor).is_some() {
                recorded.assert(name, &tensor, down);
            }
        }
        recorded.assert(name, &format!("{prefix}mid{suffix}"), residuals.mid);
    }
    let fast = network.prepare(x.dims(), &condition, &full, None).unwrap();
    let residuals = fast.residuals(x, t, &condition, &full);
    recorded.assert(name, "mid", residuals.mid);
}

#[test]
fn a_unet_takes_the_residuals_of_a_controlnet() {
    let (device, name) = (Device::flex(), "controlnet-unet");
    let network = UNet2dCondition::from_diffusers(directory(name), &device).unwrap();
    let recorded = Recorded::of(name);
    let (x, t) = (recorded.tensor::<4>("x"), recorded.tensor::<1>("t"));
    let without = recorded.condition();
    recorded.assert(
        name,
        "out_without",
        network.predict_with(x.clone(), t.clone(), without.clone()),
    );
    let down = ["down_0", "down_1", "down_2", "down_3"].map(|name| recorded.tensor(name));
    let residuals = ControlResiduals { down: down.into(), mid: recorded.tensor("mid") };
    // Those of two networks are added.
    let half = ControlResiduals {
        down: residuals.down.iter().map(|residual| residual.clone() * 0.5).collect(),
        mid: residuals.mid.clone() * 0.5,
    };
    let with = UNetCondition { residuals: Some(half.clone().plus(half)), ..without.clone() };
    network.check_with(x.dims(), &with).unwrap();
    recorded.assert(name, "out", network.predict_with(x.clone(), t, with));

    let mut short = residuals.clone();
    short.down.pop();
    let short = UNetCondition { residuals: Some(short), ..without.clone() };
    let error = network.check_with(x.dims(), &short).unwrap_err().to_string();
    assert_eq!(error, "the number of residuals is 3, but the model needs 4");
    let mid = residuals.mid.clone().narrow(1, 0, 8);
    let narrow = ControlResiduals { mid, ..residuals };
    let narrow = UNetCondition { residuals: Some(narrow), ..without };
    let error = network.check_with(x.dims(), &narrow).unwrap_err().to_string();
    assert!(error.contains("a residual is of shape [2, 8, 4, 5]"), "{error}");
}

#[test]
fn prepared_networks_predict_the_same() {
    let device = Device::flex();
    let name = "unet2d-condition-sdxl";
    let (network, recorded) =
        (UNet2dCondition::from_diffusers(directory(name), &device).unwrap(), Recorded::of(name));
    let (x, t, condition) = (recorded.tensor::<4>("x"), recorded.tensor("t"), recorded.condition());
    let fast = network.prepare(x.dims(), &condition, None).unwrap();
    fast.check_with(x.dims(), &condition).unwrap();
    recorded.assert(name, "out", fast.predict_with(x, t, condition));

    let name = "unet2d-consistency";
    let (network, recorded) =
        (UNet2d::from_diffusers(directory(name), &device).unwrap(), Recorded::of(name));
    let (x, t) = (recorded.tensor::<4>("x"), recorded.tensor("t"));
    let fast = network.prepare(x.dims(), None).unwrap();
    recorded.assert(name, "out", fast.predict_with(x, t, class(&recorded).unwrap()));
}

#[test]
fn a_loaded_network_is_saved_and_trained_as_others() {
    let (device, name) = (Device::flex(), "unet2d-condition-if");
    let network = UNet2dCondition::from_diffusers(directory(name), &device).unwrap();
    let file = tempfile::tempdir().unwrap();
    let path = file.path().join("unet.safetensors");
    save_weights(&network, &path).unwrap();
    let again = load_weights(network.config().init(&device).unwrap(), &path).unwrap();
    let recorded = Recorded::of(name);
    let (x, t) = (recorded.tensor::<4>("x"), recorded.tensor("t"));
    recorded.assert(name, "out", again.predict_with(x, t, recorded.condition()));

    // Every weight is reached: none is loaded for nothing.
    let device = device.autodiff();
    for name in ["unet2d-condition-sd15", "unet2d-condition-sdxl", name] {
        let network = UNet2dCondition::from_diffusers(directory(name), &device).unwrap();
        let recorded = Recorded { device: device.clone(), ..Recorded::of(name) };
        let (x, t) = (recorded.tensor::<4>("x"), recorded.tensor("t"));
        let out = network.predict_with(x, t, recorded.condition());
        let target = recorded.tensor::<4>("out") * 2.0;
        assert_gradients_reach_all(&network, (out - target).square().mean());
    }
}

/// Guidance joins the conditions of its branches.
#[test]
fn conditions_are_joined_row_by_row() {
    use ddm_denoiser::Condition;

    let (device, name) = (Device::flex(), "unet2d-condition-sdxl");
    let network = UNet2dCondition::from_diffusers(directory(name), &device).unwrap();
    let recorded = Recorded::of(name);
    let (x, t, all) = (recorded.tensor::<4>("x"), recorded.tensor::<1>("t"), recorded.condition());
    let row = |row: usize| UNetCondition {
        added: all.added.clone().map(|added| AddedConditions {
            text_embeds: added.text_embeds.narrow(0, row, 1),
            time_ids: added.time_ids.narrow(0, row, 1),
        }),
        ..UNetCondition::new(all.encoder_hidden_states.clone().narrow(0, row, 1))
    };
    row(0).joins(&row(1)).unwrap();
    let joined = row(0).followed_by(row(1));
    assert_eq!(joined.batch(), 2);
    recorded.assert(name, "out", network.predict_with(x.clone(), t.clone(), joined));
    // Each row from another.
    let swapped = row(1).followed_by(row(0));
    let replaced = swapped.clone().replaced(all.clone(), &[true, true]);
    recorded.assert(name, "out", network.predict_with(x, t, replaced));
    let without = UNetCondition { added: None, ..row(0) };
    let error = without.joins(&row(1)).unwrap_err().to_string();
    assert!(error.contains("added is given for one condition"), "{error}");
    let labelled = |labels| UNetCondition { class_labels: Some(labels), ..row(0) };
    let a = labelled(ClassLabels::Number(Tensor::ones([1], &device)));
    let b = labelled(ClassLabels::Vector(Tensor::ones([1, 3], &device)));
    assert!(a.joins(&b).unwrap_err().to_string().contains("of two kinds"));
    assert!(a.joins(&a.clone()).is_ok());
}

#[test]
fn inputs_that_do_not_fit_are_refused() {
    let device = Device::flex();
    let load = |name| UNet2dCondition::from_diffusers(directory(name), &device).unwrap();
    let network = load("unet2d-condition-sdxl");
    let good = Recorded::of("unet2d-condition-sdxl").condition();
    let shape = [2, 4, 16, 16];
    assert!(network.check_with(shape, &good).is_ok());
    let added = good.added.clone().unwrap();
    let wrong = [
        (
            UNetCondition {
                encoder_hidden_states: Tensor::ones([2, 7, 23], &device),
                ..good.clone()
            },
            "encoder_hidden_states is of shape [2, 7, 23], but the model needs shape [2, 7, 24]",
        ),
        (
            UNetCondition {
                encoder_hidden_states: Tensor::ones([1, 7, 24], &device),
                ..good.clone()
            },
            "encoder_hidden_states is of shape [1, 7, 24]",
        ),
        (
            UNetCondition {
                encoder_attention_mask: Some(Tensor::ones([2, 6], &device)),
                ..good.clone()
            },
            "encoder_attention_mask is of shape [2, 6]",
        ),
        (UNetCondition { added: None, ..good.clone() }, "added is absent"),
        (
            UNetCondition {
                added: Some(AddedConditions {
                    time_ids: Tensor::ones([2, 5], &device),
                    ..added.clone()
                }),
                ..good.clone()
            },
            "time_ids is of shape [2, 5], but the model needs shape [2, 6]",
        ),
        (
            UNetCondition {
                class_labels: Some(ClassLabels::Number(Tensor::ones([2], &device))),
                ..good.clone()
            },
            "class_labels is given, but the model needs none",
        ),
        (
            UNetCondition { timestep_cond: Some(Tensor::ones([2, 4], &device)), ..good.clone() },
            "timestep_cond is given, but the model needs none",
        ),
    ];
    for (condition, says) in wrong {
        let error = network.check_with(shape, &condition).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
    assert!(network.check_with([2, 3, 16, 16], &good).is_err());
    assert!(network.check_with([2, 4, 0, 16], &good).is_err());

    let upscaler = load("unet2d-condition-x4-upscaler");
    let text = UNetCondition::new(Tensor::ones([2, 7, 20], &device));
    let labels = |labels: [i64; 2]| UNetCondition {
        class_labels: Some(ClassLabels::Class(Tensor::from_data(labels, &device))),
        ..text.clone()
    };
    let check = |condition: &UNetCondition| upscaler.check_with([2, 7, 8, 10], condition);
    assert!(check(&labels([0, 29])).is_ok());
    let error = check(&labels([0, 30])).unwrap_err().to_string();
    assert_eq!(error, "a class label is 30, but the model needs 0 to 29");
    assert!(check(&labels([-1, 0])).is_err());
    let error = check(&text).unwrap_err().to_string();
    assert!(error.contains("class_labels is absent"), "{error}");
    let added = UNetCondition { added: Some(added), ..labels([0, 1]) };
    assert!(check(&added).unwrap_err().to_string().contains("added is given"));

    let network = ControlNet::from_diffusers(directory("controlnet"), &device).unwrap();
    let control = Control::new(Tensor::ones([2, 3, 16, 20], &device));
    let check = |control: &Control| network.check([2, 4, 8, 10], &text, control);
    assert!(check(&control).is_ok());
    let small = Control::new(Tensor::ones([2, 3, 8, 10], &device));
    let says =
        "the control image is of shape [2, 3, 8, 10], but the model needs shape [2, 3, 16, 20]";
    assert_eq!(check(&small).unwrap_err().to_string(), says);
    assert!(check(&Control { conditioning_scale: f64::NAN, ..control }).is_err());
}

/// A config of `testdata/models` with one setting replaced.
fn changed(name: &str, setting: &str, value: &str) -> String {
    let json = std::fs::read_to_string(directory(name).join("config.json")).unwrap();
    let mut json: serde_json::Map<_, _> = serde_json::from_str(&json).unwrap();
    json.insert(setting.to_owned(), serde_json::from_str(value).unwrap());
    serde_json::to_string(&json).unwrap()
}

#[test]
fn settings_that_are_not_covered_are_refused() {
    let conditional = [
        ("_class_name", r#""UNet2DModel""#, r#"must be "UNet2DConditionModel""#),
        ("act_fn", r#""geglu""#, r#"must be "silu" or"#),
        ("num_attention_heads", "8", "must be null"),
        ("dual_cross_attention", "true", "must be false"),
        ("attention_type", r#""gated""#, r#"must be "default""#),
        ("time_embedding_type", r#""fourier""#, r#"must be "positional""#),
        ("down_block_types", r#"["KDownBlock2D", "DownBlock2D"]"#, r#""CrossAttnDownBlock2D" or"#),
        ("up_block_types", r#"["UpBlock2D", "DownBlock2D"]"#, "a list of"),
        ("mid_block_type", r#""Middle""#, r#"must be "UNetMidBlock2DCrossAttn" or"#),
        ("addition_embed_type", r#""text_image""#, r#"must be "text" or "text_time""#),
        ("addition_embed_type", r#""text_time""#, "must be a size"),
        ("encoder_hid_dim_type", r#""image_proj""#, r#"must be "text_proj""#),
        ("encoder_hid_dim_type", r#""text_proj""#, "must be a size"),
        ("class_embed_type", r#""projection""#, "must be a size"),
        ("class_embed_type", r#""table""#, r#"must be "timestep" or"#),
        ("cross_attention_norm", r#""batch_norm""#, r#"must be "layer_norm" or "group_norm""#),
        ("resnet_time_scale_shift", r#""spatial""#, r#"must be "default" or "scale_shift""#),
        ("norm_num_groups", "null", "must be a size"),
        ("transformer_layers_per_block", r#"["one"]"#, "a size, or a list"),
        ("in_channels", "-1", "must be a size"),
        ("something_new", "true", "must be absent"),
    ];
    for (setting, value, says) in conditional {
        let json = changed("unet2d-condition-inpaint", setting, value);
        let error = UNet2dConditionConfig::from_diffusers(&json).unwrap_err();
        assert!(matches!(&error, DiffusersError::Setting { .. }), "{error}");
        assert!(error.to_string().contains(says), "{error}");
    }
    let images = [
        ("_class_name", r#""UNet2DConditionModel""#, r#"must be "UNet2DModel""#),
        ("down_block_types", r#"["CrossAttnDownBlock2D"]"#, "a list of"),
        ("time_embedding_type", r#""random""#, r#"must be "positional" or "fourier" or "learned""#),
        ("time_embedding_type", r#""learned""#, "must be a size"),
        ("downsample_type", r#""pool""#, r#"must be "conv" or "resnet""#),
        ("class_embed_type", r#""projection""#, r#"must be "timestep" or "identity""#),
        ("attn_norm_num_groups", "null", "a size where the time scales"),
        ("attention_type", r#""default""#, "must be absent"),
    ];
    for (setting, value, says) in images {
        let error = UNet2dConfig::from_diffusers(&changed("unet2d-consistency", setting, value));
        let error = error.unwrap_err();
        assert!(matches!(&error, DiffusersError::Setting { .. }), "{error}");
        assert!(error.to_string().contains(says), "{error}");
    }
    let controlnets = [
        ("_class_name", r#""UNet2DConditionModel""#, r#"must be "ControlNetModel""#),
        ("mid_block_type", "null", "the name of a middle"),
        ("encoder_hid_dim", "20", "must be null"),
        ("conditioning_embedding_out_channels", "16", "a list of sizes"),
    ];
    for (setting, value, says) in controlnets {
        let error = ControlNetConfig::from_diffusers(&changed("controlnet", setting, value));
        let error = error.unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
    assert!(matches!(UNet2dConfig::from_diffusers("[]"), Err(DiffusersError::NotJson { .. })));
    assert!(matches!(
        UNet2dConditionConfig::from_diffusers("1"),
        Err(DiffusersError::NotJson { .. })
    ));
}

#[test]
fn settings_that_no_network_can_have_are_refused() {
    let device = Device::flex();
    let conditional = [
        ("block_out_channels", "[]", "block_out_channels is empty"),
        ("block_out_channels", "[8, 12, 16]", "down_block_types has 2 entries, but must have 3"),
        ("block_out_channels", "[8, 10]", "channels is 10, but must be a multiple of 4"),
        ("up_block_types", r#"["UpBlock2D"]"#, "up_block_types has 1 entries, but must have 2"),
        ("attention_head_dim", "[2]", "attention_head_dim has 1 entries"),
        ("attention_head_dim", "5", "but must be a multiple of 5, the number of heads"),
        ("attention_head_dim", "0", "the number of attention heads is 0"),
        ("transformer_layers_per_block", "[[1], [1]]", "for a level of 2 blocks"),
        ("reverse_transformer_layers_per_block", "[1]", "has 1 entries, but must have 2"),
        ("layers_per_block", "0", "layers_per_block is 0"),
        ("cross_attention_dim", "0", "cross_attention_dim is 0"),
        ("norm_num_groups", "0", "norm_groups is 0"),
        ("norm_eps", "0", "norm_eps is 0"),
        ("downsample_padding", "2", "downsample_padding is 2, but must be 0 or 1"),
        ("conv_in_kernel", "2", "conv_in_kernel is 2, but must be odd"),
        ("mid_block_scale_factor", "0", "output_scale is 0"),
        ("resnet_skip_time_act", "true", "resnet_skip_time_act needs levels that resample"),
        ("in_channels", "0", "in_channels is 0"),
        ("out_channels", "0", "out_channels is 0"),
        ("num_class_embeds", "0", "num_class_embeds is 0"),
        ("time_cond_proj_dim", "0", "time_cond_proj_dim is 0"),
        ("dropout", "1", "dropout is 1"),
        ("freq_shift", "4", "freq_shift is 4"),
    ];
    for (setting, value, says) in conditional {
        let json = changed("unet2d-condition-inpaint", setting, value);
        let config = UNet2dConditionConfig::from_diffusers(&json).unwrap();
        let error = config.init(&device).unwrap_err().to_string();
        assert!(error.contains(says), "{setting}: {error}");
    }
    let images = [
        ("in_channels", "4", "a level beside a pyramid of images needs images of 3 channels"),
        ("down_block_types", r#"["DownBlock2D"]"#, "down_block_types has 1 entries"),
        ("attention_head_dim", "0", "head_size is 0"),
        ("layers_per_block", "0", "layers_per_block is 0"),
        ("downsample_padding", "3", "downsample_padding is 3"),
    ];
    for (setting, value, says) in images {
        let config =
            UNet2dConfig::from_diffusers(&changed("unet2d-ncsnpp", setting, value)).unwrap();
        let error = config.init(&device).unwrap_err().to_string();
        assert!(error.contains(says), "{setting}: {error}");
    }
    let kinds = vec![BlockType::CrossAttention, BlockType::Plain];
    let config = UNet2dConfig {
        block_out_channels: vec![8, 8],
        down_block_types: kinds.clone(),
        up_block_types: kinds,
        norm_num_groups: 4,
        ..Default::default()
    };
    let error = config.init(&device).unwrap_err().to_string();
    assert_eq!(error, "a level that attends to a text needs a `UNet2dCondition`");
}

#[test]
fn what_a_config_lacks_has_diffusers_default() {
    assert_eq!(UNet2dConfig::from_diffusers("{}").unwrap(), UNet2dConfig::default());
    let read = UNet2dConditionConfig::from_diffusers("{}").unwrap();
    assert_eq!(read, UNet2dConditionConfig::default());
    assert_eq!(ControlNetConfig::from_diffusers("{}").unwrap(), ControlNetConfig::default());
    // An old prefix of the same blocks.
    let old = r#"["UNetResDownBlock2D", "UNetResAttnDownBlock2D"]"#;
    let config = UNet2dConfig::from_diffusers(&changed("unet2d-default", "down_block_types", old));
    assert_eq!(config.unwrap().down_block_types, [BlockType::Plain, BlockType::Attention]);
}
