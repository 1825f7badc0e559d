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
        let bytes = std::fs::read(directory(name).join("reference.safetensors")).unwrap();
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
