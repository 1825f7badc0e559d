//! Files of `torch.save`, beside the same tensors as safetensors.

use burn::tensor::DType;
use ddm_weights::{Fault, Tensors, WeightsError};

use crate::files::{assert_same, open, testdata};

#[test]
fn all_types_and_strides_are_read() {
    let expected = open("torch/types.safetensors");
    assert_same(&open("torch/types.pt"), &expected);
    let old = expected.rename(|name| (!name.starts_with("float8")).then(|| name.to_owned()));
    assert_same(&open("torch/types_legacy.pt"), &old.unwrap());
}

#[test]
fn floats_of_eight_bits_are_those_of_torch() {
    let tensors = open("torch/eight_bits.safetensors");
    for name in ["e4m3", "e5m2"] {
        let found = tensors.read(name).unwrap();
        let expected = tensors.read(&format!("{name}.f32")).unwrap();
        for (found, expected) in found.iter::<f32>().zip(expected.iter::<f32>()) {
            assert!(found == expected || found.is_nan() && expected.is_nan(), "{found} {expected}");
        }
        // f16 holds each of them.
        let half = tensors.read_as(name, DType::F16).unwrap();
        assert!(half.iter::<f32>().zip(found.iter::<f32>()).all(|(a, b)| a == b || b.is_nan()));
    }
}

#[test]
fn a_state_dict_is_read_from_all_that_may_be_around_it() {
    let expected = open("torch/linear.safetensors");
    assert_same(&open("torch/linear.bin"), &expected);
    // What lies beside it is no part of the network.
    assert_same(&open("torch/linear.ckpt"), &expected);
    let nested = open("torch/nested.pt");
    assert_eq!(nested.names().collect::<Vec<_>>(), ["model.inner.bias", "model.inner.weight"]);
    let nested = nested.rename(|name| name.strip_prefix("model.inner.").map(str::to_owned));
    assert_same(&nested.unwrap(), &expected);
}

#[test]
fn a_pickle_that_would_run_code_is_refused_by_name() {
    for (file, name) in [
        ("code.pt", "commands.getoutput"),
        ("code_legacy.pt", "commands.getoutput"),
        ("object.pt", "torch.nn.modules.linear.Linear"),
    ] {
        let error = Tensors::open(testdata("torch").join(file)).unwrap_err();
        assert!(
            matches!(&error, WeightsError::Refused { name: found, .. } if found == name),
            "{error}"
        );
    }
    assert!(!std::path::Path::new("ran").exists());
}

#[test]
fn a_tensor_larger_than_its_storage_is_refused() {
    let error = Tensors::open(testdata("torch/expanded.pt")).unwrap_err();
    let WeightsError::File { fault: Fault::Shape { tensor, .. }, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(tensor, "expanded");
}
