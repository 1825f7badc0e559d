//! GGUF: every type as llama.cpp's Python package widens it.

use burn::tensor::{DType, TensorData};
use ddm_weights::{Tensors, WeightsError};

use crate::bytes;
use crate::files::open;

fn floats(data: TensorData) -> Vec<f32> {
    data.iter::<f32>().collect()
}

/// The largest error relative to the largest value.
fn error(found: &[f32], reference: &[f32]) -> f32 {
    assert_eq!(found.len(), reference.len());
    let difference = |(a, b): (&f32, &f32)| (a - b).abs();
    let largest = reference.iter().fold(0.0_f32, |largest, x| largest.max(x.abs()));
    found.iter().zip(reference).map(difference).fold(0.0, f32::max) / largest
}

#[test]
fn every_type_is_widened_as_the_reference_does() {
    let (tensors, reference) = (
        open("models/gguf-tensors/tensors.gguf"),
        open("models/gguf-tensors/reference.safetensors"),
    );
    for (name, view) in tensors.iter() {
        let expected = reference.get(name).unwrap();
        assert_eq!(view.shape(), expected.shape(), "{name}");
        let found = floats(view.read_as(DType::F32).unwrap());
        let expected = floats(expected.read_as(DType::F32).unwrap());
        assert!(error(&found, &expected) <= 2e-7, "{name}");
    }
    assert_eq!(tensors.get("rank4").unwrap().shape(), [2, 3, 4, 5]);
}

#[test]
fn random_blocks_are_widened_to_the_same_bits() {
    let (tensors, reference) = (open("gguf/random.gguf"), open("gguf/random.safetensors"));
    assert_eq!((tensors.len(), reference.len()), (23, 23));
    for (name, view) in tensors.iter() {
        assert_eq!(view.stored().to_string(), name);
        let bits = |data| floats(data).into_iter().map(f32::to_bits).collect::<Vec<_>>();
        let expected = bits(reference.read(name).unwrap());
        assert_eq!(bits(view.read().unwrap()), expected, "{name}");
    }
}

#[test]
fn types_that_no_weights_have_are_named() {
    for (kind, name, bytes, elements) in [(9, "Q8_1", 36, 32), (15, "Q8_K", 292, 256)] {
        let file = bytes::gguf(&[("w", &[elements], kind, 0)], &vec![0; bytes]);
        let tensors = Tensors::from_bytes(file).unwrap();
        match tensors.read("w") {
            Err(WeightsError::Type { stored, .. }) => assert_eq!(stored.to_string(), name),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn parts_of_blocks_are_parts_of_the_whole() {
    let tensors = open("models/gguf-tensors/tensors.gguf");
    for name in ["Q4_0", "Q8_0", "Q3_K", "Q6_K", "IQ1_S", "IQ4_XS", "TQ1_0"] {
        let view = tensors.get(name).unwrap();
        let [rows, columns] = view.shape() else { panic!("{name}") };
        let whole = floats(view.read().unwrap());
        // Begins and ends within blocks, and in the middle of rows.
        let part = floats(view.part(1, 5..columns - 3).unwrap().read().unwrap());
        let expected: Vec<f32> =
            whole.chunks(*columns).flat_map(|row| row[5..columns - 3].to_vec()).collect();
        assert_eq!(part, expected, "{name}");
        let turned = floats(view.transposed(0, 1).unwrap().read().unwrap());
        let expected: Vec<f32> =
            (0..rows * columns).map(|i| whole[i % rows * columns + i / rows]).collect();
        assert_eq!(turned, expected, "{name}");
    }
}

#[test]
fn a_network_in_blocks_has_the_weights_of_the_reference() {
    let reference = open("models/gguf-flux/reference.safetensors");
    for kind in ["F16", "Q8_0", "Q4_0", "Q5_1"] {
        let tensors = open(&format!("models/gguf-flux/flux-{kind}.gguf"));
        assert_eq!(tensors.metadata()["general.architecture"], "flux");
        let mut compared = 0;
        for (name, expected) in reference.iter() {
            let Some(name) = name.strip_prefix(&format!("{kind}.")) else { continue };
            if name == "out" {
                continue;
            }
            let (found, expected) =
                (tensors.read_as(name, DType::F32).unwrap(), expected.read_as(DType::F32).unwrap());
            assert_eq!(found.shape(), expected.shape(), "{kind} {name}");
            assert!(error(&floats(found), &floats(expected)) <= 2e-7, "{kind} {name}");
            compared += 1;
        }
        assert_eq!(compared, 5, "{kind}");
    }
}

#[test]
fn a_shape_that_a_converter_changed_is_restored() {
    let mut file = b"GGUF\x03\0\0\0".to_vec();
    file.extend([1_u64, 1].iter().flat_map(|count| count.to_le_bytes()));
    let key = "comfy.gguf.orig_shape.w";
    file.extend((key.len() as u64).to_le_bytes());
    file.extend(key.as_bytes());
    file.extend([9_u32, 5].iter().flat_map(|kind| kind.to_le_bytes()));
    file.extend(2_u64.to_le_bytes());
    file.extend([2_i32, 3].iter().flat_map(|axis| axis.to_le_bytes()));
    file.extend(1_u64.to_le_bytes());
    file.push(b'w');
    file.extend(1_u32.to_le_bytes());
    file.extend(6_u64.to_le_bytes());
    file.extend(0_u32.to_le_bytes());
    file.extend(0_u64.to_le_bytes());
    file.resize(file.len().next_multiple_of(32), 0);
    file.extend([0; 24]);
    let tensors = Tensors::from_bytes(file).unwrap();
    assert_eq!(tensors.get("w").unwrap().shape(), [2, 3]);
    let plain = Tensors::from_bytes(bytes::gguf(&[("w", &[6], 0, 0)], &[0; 24])).unwrap();
    assert_eq!(plain.get("w").unwrap().shape(), [6]);
}
