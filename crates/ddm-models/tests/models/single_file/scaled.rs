//! Flux in F8_E4M3 with a scale for each weight, as ComfyUI has it.

use std::collections::BTreeMap;

use burn::tensor::{DType, Device, Tensor};
use ddm_models::single_file::{Layout, SingleFile};
use ddm_models::transformer::{FluxConditions, FluxTransformer, FluxTransformerConfig};
use ddm_weights::Tensors;
use safetensors::tensor::{Dtype, View};

use crate::golden::{Recorded, directory};

/// Bytes with their type and shape.
#[derive(Clone)]
struct Data(Dtype, Vec<usize>, Vec<u8>);

impl View for Data {
    fn dtype(&self) -> Dtype {
        self.0
    }

    fn shape(&self) -> &[usize] {
        &self.1
    }

    fn data(&self) -> std::borrow::Cow<'_, [u8]> {
        self.2.as_slice().into()
    }

    fn data_len(&self) -> usize {
        self.2.len()
    }
}

fn floats(shape: &[usize], values: &[f32]) -> Data {
    Data(Dtype::F32, shape.to_vec(), values.iter().flat_map(|value| value.to_le_bytes()).collect())
}

/// The value of bits in F8_E4M3.
fn value(bits: u8) -> f32 {
    let (exponent, mantissa) = (i32::from(bits >> 3 & 15), f32::from(bits & 7));
    let size = match exponent {
        0 => mantissa * 2.0_f32.powi(-9),
        _ => (8.0 + mantissa) * 2.0_f32.powi(exponent - 10),
    };
    if bits < 128 { size } else { -size }
}

fn nearest(number: f32) -> u8 {
    let finite = (0..=255_u8).filter(|bits| bits & 127 != 127);
    let away = |bits: &u8| (value(*bits) - number).abs();
    finite.min_by(|a, b| away(a).total_cmp(&away(b))).unwrap()
}

fn network(tensors: &BTreeMap<String, Data>) -> FluxTransformer {
    let bytes = safetensors::serialize(tensors.clone(), None).unwrap();
    let file = SingleFile::from_tensors(&Tensors::from_bytes(bytes).unwrap()).unwrap();
    assert_eq!(file.layout(), Layout::Flux);
    let json = std::fs::read_to_string(directory("single-file-flux").join("config.json")).unwrap();
    let config = FluxTransformerConfig::from_json(&json).unwrap();
    file.flux(&config, &Device::flex()).unwrap()
}

fn output(network: &FluxTransformer) -> Tensor<3> {
    let reference = Recorded::of("single-file-flux");
    let conditions = FluxConditions {
        encoder_hidden_states: reference.tensor("encoder_hidden_states"),
        pooled_projections: reference.tensor("pooled_projections"),
        img_ids: reference.tensor("img_ids"),
        txt_ids: reference.tensor("txt_ids"),
        guidance: reference.get("guidance"),
    };
    network.forward(reference.tensor("x"), reference.tensor("t"), conditions)
}

#[test]
fn flux_of_8_bits_with_scales() {
    let path = directory("single-file-flux").join("flux1-tiny.safetensors");
    let file = Tensors::open(path).unwrap();
    for (prefix, scale_name) in [("", "scale_weight"), ("model.diffusion_model.", "weight_scale")] {
        let (mut scaled, mut wide) = (BTreeMap::new(), BTreeMap::new());
        for (name, view) in file.iter() {
            let name = format!("{prefix}{name}");
            let values: Vec<f32> = view.read_as(DType::F32).unwrap().iter().collect();
            let layer = name.strip_suffix(".weight").filter(|_| view.shape().len() == 2);
            let Some(layer) = layer else {
                scaled.insert(name.clone(), floats(view.shape(), &values));
                wide.insert(name, floats(view.shape(), &values));
                continue;
            };
            let scale = values.iter().fold(0.0_f32, |most, value| most.max(value.abs())) / 448.0;
            let bits: Vec<u8> = values.iter().map(|value| nearest(value / scale)).collect();
            let values: Vec<f32> = bits.iter().map(|bits| value(*bits) * scale).collect();
            scaled.insert(format!("{layer}.{scale_name}"), floats(&[], &[scale]));
            scaled.insert(name.clone(), Data(Dtype::F8_E4M3, view.shape().to_vec(), bits));
            wide.insert(name, floats(view.shape(), &values));
        }
        let mark = Data(Dtype::F8_E4M3, vec![0], Vec::new());
        scaled.insert(format!("{prefix}scaled_fp8"), mark);
        // The same numbers as the products that were written out.
        let found = output(&network(&scaled));
        assert_eq!(found.to_data(), output(&network(&wide)).to_data());
        // And not far from the network in f32: 3 bits of mantissa round by up to 1/16.
        let expected: Tensor<3> = Recorded::of("single-file-flux").tensor("out");
        let largest: f32 = expected.clone().abs().max().into_scalar();
        let error: f32 = (found - expected).abs().max().into_scalar();
        println!("error {}", error / largest);
        assert!(error / largest < 0.1, "{}", error / largest);
    }
}
