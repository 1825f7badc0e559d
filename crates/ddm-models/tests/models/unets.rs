//! U-Nets of diffusers, by its names, against recorded outputs (`testdata/models`).

use std::path::Path;

use super::golden::{Recorded, directory};
use super::*;

impl Recorded {
    /// What a text-conditional network takes.
    pub(super) fn condition(&self) -> UNetCondition {
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
        let (x, t) = (recorded.tensor::<4>("x"), recorded.tensor::<1>("t"));
        network.check_with(x.dims(), &condition).unwrap();
        let expected = recorded.tensor::<4>("out").dims();
        assert_eq!(network.output_shape_with(x.dims()), Some(expected));
        recorded.assert("out", network.predict_with(x.clone(), t.clone(), condition.clone()));
        // Its weights packed, for this size and for another.
        let [_, _, height, width] = x.dims();
        for size in [[height, width], [64, 64]] {
            let fast = network.clone().prepare_for(size, None).unwrap();
            assert!(fast.network().is_none() && fast.config() == network.config());
            let out = fast.predict_with(x.clone(), t.clone(), condition.clone());
            recorded.assert("out", out);
        }
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
        extras.assert("out_masked", network.predict_with(x, t.clone(), masked));
        let Some(x) = extras.get::<4>("x_odd") else {
            // Its levels double the image by residual blocks.
            assert!(network.check_with([2, 3, 7, 10], &plain).is_err());
            continue;
        };
        network.check_with(x.dims(), &plain).unwrap();
        extras.assert("out_odd", network.predict_with(x, t, plain));
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
        recorded.assert("out", out);
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
                recorded.assert(&tensor, down);
            }
        }
        recorded.assert(&format!("{prefix}mid{suffix}"), residuals.mid);
    }
    let [_, _, height, width] = x.dims();
    for fast in [
        network.clone().prepare(x.dims(), &condition, &full, None).unwrap(),
        network.prepare_for([height, width], None).unwrap(),
    ] {
        fast.check(x.dims(), &condition, &full).unwrap();
        let residuals = fast.residuals(x.clone(), t.clone(), &condition, &full);
        recorded.assert("mid", residuals.mid);
    }
}

#[test]
fn a_unet_takes_the_residuals_of_a_controlnet() {
    let (device, name) = (Device::flex(), "controlnet-unet");
    let network = UNet2dCondition::from_diffusers(directory(name), &device).unwrap();
    let recorded = Recorded::of(name);
    let (x, t) = (recorded.tensor::<4>("x"), recorded.tensor::<1>("t"));
    let without = recorded.condition();
    recorded.assert("out_without", network.predict_with(x.clone(), t.clone(), without.clone()));
    let down = ["down_0", "down_1", "down_2", "down_3"].map(|name| recorded.tensor(name));
    let residuals = ControlResiduals { down: down.into(), mid: recorded.tensor("mid") };
    // Those of two networks are added.
    let half = ControlResiduals {
        down: residuals.down.iter().map(|residual| residual.clone() * 0.5).collect(),
        mid: residuals.mid.clone() * 0.5,
    };
    let with = UNetCondition { residuals: Some(half.clone().plus(half)), ..without.clone() };
    network.check_with(x.dims(), &with).unwrap();
    recorded.assert("out", network.predict_with(x.clone(), t, with));

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
    recorded.assert("out", fast.predict_with(x, t, condition));

    let name = "unet2d-consistency";
    let (network, recorded) =
        (UNet2d::from_diffusers(directory(name), &device).unwrap(), Recorded::of(name));
    let (x, t) = (recorded.tensor::<4>("x"), recorded.tensor("t"));
    let fast = network.prepare(x.dims()).unwrap();
    recorded.assert("out", fast.predict_with(x, t, class(&recorded).unwrap()));
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
    recorded.assert("out", again.predict_with(x, t, recorded.condition()));

    // Every weight is reached: none is loaded for nothing.
    let device = device.autodiff();
    for name in ["unet2d-condition-sd15", "unet2d-condition-sdxl", name] {
        let network = UNet2dCondition::from_diffusers(directory(name), &device).unwrap();
        let recorded = Recorded::of(name).on(&device);
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
    recorded.assert("out", network.predict_with(x.clone(), t.clone(), joined));
    // Each row from another.
    let swapped = row(1).followed_by(row(0));
    let replaced = swapped.clone().replaced(all.clone(), &[true, true]);
    recorded.assert("out", network.predict_with(x, t, replaced));
    let without = UNetCondition { added: None, ..row(0) };
    let error = without.joins(&row(1)).unwrap_err().to_string();
    assert!(error.contains("added is given for one condition"), "{error}");
    let labelled = |labels| UNetCondition { class_labels: Some(labels), ..row(0) };
    let a = labelled(ClassLabels::Number(Tensor::ones([1], &device)));
    let b = labelled(ClassLabels::Vector(Tensor::ones([1, 3], &device)));
    assert!(a.joins(&b).unwrap_err().to_string().contains("of two kinds"));
    assert!(a.joins(&a.clone()).is_ok());
}
