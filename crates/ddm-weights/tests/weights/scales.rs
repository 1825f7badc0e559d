//! Weights of 8 bits with scales, as ComfyUI writes them.

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{DType, Device, TensorData};
use ddm_weights::{Fault, LoadOptions, ScaleFault, TensorView, Tensors, WeightsError, load};

use crate::bytes::safetensors;

/// A tensor: its name, type, shape and bytes.
type Listed<'a> = (&'a str, &'a str, &'a [usize], &'a [u8]);

/// A file of tensors: name, type, shape, bytes; with metadata, or `{}`.
fn file(metadata: &str, tensors: &[Listed<'_>]) -> Tensors {
    let (mut entries, mut data) = (vec![format!(r#""__metadata__":{metadata}"#)], Vec::new());
    for (name, dtype, shape, bytes) in tensors {
        let (from, to) = (data.len(), data.len() + bytes.len());
        entries.push(format!(
            r#""{name}":{{"dtype":"{dtype}","shape":{shape:?},"data_offsets":[{from},{to}]}}"#
        ));
        data.extend(*bytes);
    }
    Tensors::from_bytes(safetensors(&format!("{{{}}}", entries.join(",")), &data)).unwrap()
}

/// 1, −2, 0.0625, 448, 2⁻⁹ and 0 in F8_E4M3.
const BITS: [u8; 6] = [0x38, 0xc0, 0x18, 0x7e, 0x01, 0x00];
const VALUES: [f32; 6] = [1.0, -2.0, 0.0625, 448.0, 0.001953125, 0.0];

fn float(value: f32) -> [u8; 4] {
    value.to_le_bytes()
}

/// A layer of two outputs and three inputs, with what is beside its weight.
fn layer(beside: &[Listed<'_>]) -> Tensors {
    let bias = [float(0.5), float(-1.0)].concat();
    let weight: [Listed<'_>; 2] =
        [("a.weight", "F8_E4M3", &[2, 3], &BITS), ("a.bias", "F32", &[2], &bias)];
    file("{}", &[&weight, beside].concat())
}

#[track_caller]
fn fault(tensors: &Tensors) -> (String, ScaleFault) {
    match tensors.dequantized().unwrap_err() {
        WeightsError::Scale { tensor, fault, .. } => (tensor, fault),
        other => panic!("{other}"),
    }
}

#[derive(Module, Debug)]
struct Network {
    a: Linear,
}

#[test]
fn a_weight_is_its_bits_times_its_scale() {
    let scale = float(0.3);
    let expected = VALUES.map(|value| value * 0.3);
    let json = br#"{"format": "float8_e4m3fn", "full_precision_matrix_mult": true}"#;
    let forms: [&[Listed<'_>]; 4] = [
        &[
            ("a.scale_weight", "F32", &[1], &scale),
            ("a.scale_input", "F32", &[], &scale),
            ("scaled_fp8", "F8_E4M3", &[0], &[]),
        ],
        &[("a.scale_weight", "F32", &[], &scale), ("scaled_fp8", "F8_E4M3", &[2], &[0, 0])],
        &[
            ("a.weight_scale", "F32", &[], &scale),
            ("a.input_scale", "F32", &[1, 1], &scale),
            ("a.comfy_quant", "U8", &[json.len()], json),
        ],
        &[("a.weight_scale", "F64", &[1], &f64::from(0.3_f32).to_le_bytes())],
    ];
    for form in forms {
        let tensors = layer(form).dequantized().unwrap();
        assert_eq!(tensors.names().collect::<Vec<_>>(), ["a.bias", "a.weight"]);
        let read = tensors.read("a.weight").unwrap();
        assert_eq!(read, TensorData::new(expected.to_vec(), [2, 3]));
        // A part, transposed and cast, has the scale too; each number is rounded to f16 once.
        let view = tensors.get("a.weight").unwrap();
        let part = view.part(1, 1..3).unwrap().transposed(0, 1).unwrap();
        let order = [1, 4, 2, 5].map(|i| expected[i]);
        let half = TensorData::new(order.to_vec(), [2, 2]).convert_dtype(DType::F16);
        assert_eq!(part.read_as(DType::F16).unwrap(), half);
        let both = TensorView::concatenated(0, vec![view.clone(), view.scaled(2.0).unwrap()]);
        let both: Vec<f32> = both.unwrap().read().unwrap().iter().collect();
        assert_eq!(both[6..], expected.map(|value| value * 2.0));

        let network = Network { a: LinearConfig::new(3, 2).init(&Device::flex()) };
        let network = load(network, &tensors, &LoadOptions::new()).unwrap();
        let weight: Vec<f32> = network.a.weight.val().into_data().iter().collect();
        assert_eq!(weight, [0, 3, 1, 4, 2, 5].map(|i| expected[i]), "transposed");
    }
}

#[test]
fn what_has_no_scales_is_as_it_was() {
    let tensors = layer(&[]);
    let same = tensors.dequantized().unwrap();
    assert_eq!(same.names().collect::<Vec<_>>(), ["a.bias", "a.weight"]);
    assert_eq!(same.read("a.weight").unwrap(), TensorData::new(VALUES.to_vec(), [2, 3]));
    // Other widths, which some files have beside f8.
    let half = file(
        "{}",
        &[
            ("a.weight", "BF16", &[2], &[0x80, 0x3f, 0x00, 0xc0]),
            ("a.scale_weight", "F32", &[], &float(0.5)),
        ],
    );
    let half = half.dequantized().unwrap();
    assert_eq!(half.get("a.weight").unwrap().dtype(), DType::BF16);
    let read: Vec<f32> = half.read("a.weight").unwrap().iter().collect();
    assert_eq!(read, [0.5, -1.0]);
}

#[test]
fn a_scale_that_does_not_fit_is_named() {
    let one = float(1.0);
    let two = [one, one].concat();
    let named = |name: &str, fault| (name.to_owned(), fault);

    let alone = file("{}", &[("b.scale_weight", "F32", &[], &one)]);
    let missing = || ScaleFault::NoWeight { weight: "b.weight".to_owned() };
    assert_eq!(fault(&alone), named("b.scale_weight", missing()));
    let message = alone.dequantized().unwrap_err().to_string();
    assert!(message.contains("b.scale_weight is the scale of b.weight, which is not there"));
    for name in ["b.scale_input", "b.input_scale"] {
        assert_eq!(fault(&layer(&[(name, "F32", &[], &one)])), named(name, missing()));
    }

    let sizes: [(&[usize], &[u8]); 4] =
        [(&[2], &two), (&[2, 1], &two), (&[0], &[]), (&[0, 1], &[])];
    for (shape, bytes) in sizes {
        for name in ["a.scale_weight", "a.weight_scale", "a.scale_input"] {
            let found = fault(&layer(&[(name, "F32", shape, bytes)]));
            assert_eq!(found, named(name, ScaleFault::Shape(shape.to_vec())));
        }
    }

    for value in [f32::NAN, f32::INFINITY] {
        let (name, found) = fault(&layer(&[("a.scale_weight", "F32", &[], &float(value))]));
        assert!(matches!(found, ScaleFault::NotFinite(_)) && name == "a.scale_weight", "{found}");
    }
    // Too large for f32.
    let found = fault(&layer(&[("a.weight_scale", "F64", &[], &1e300_f64.to_le_bytes())]));
    assert_eq!(found, named("a.weight_scale", ScaleFault::NotFinite(f32::INFINITY)));

    let found = fault(&layer(&[("a.weight_scale", "I32", &[], &one)]));
    assert_eq!(found, named("a.weight_scale", ScaleFault::Type("I32".to_owned())));
    let both: [Listed<'_>; 2] =
        [("a.scale_weight", "F32", &[], &one), ("a.weight_scale", "F32", &[], &one)];
    assert_eq!(fault(&layer(&both)), named("a.weight", ScaleFault::Scales(2)));
    let integers: [Listed<'_>; 2] =
        [("b.weight", "I8", &[2], &[1, 2]), ("b.weight_scale", "F32", &[], &one)];
    assert_eq!(fault(&file("{}", &integers)), named("b.weight", ScaleFault::Type("I8".to_owned())));
}

#[test]
fn formats_are_checked() {
    let one = float(1.0);
    let packed = br#"{"format": "nvfp4"}"#;
    let scaled = ("a.weight_scale", "F32", &[][..], &one[..]);
    let found = fault(&layer(&[scaled, ("a.comfy_quant", "U8", &[packed.len()], packed)]));
    assert_eq!(found, ("a.comfy_quant".to_owned(), ScaleFault::Format("nvfp4".to_owned())));

    let fp8 = br#"{"format": "float8_e4m3fn"}"#;
    let found = fault(&layer(&[("a.comfy_quant", "U8", &[fp8.len()], fp8)]));
    assert_eq!(found, ("a.weight".to_owned(), ScaleFault::Scales(0)));
    let (name, found) = fault(&layer(&[("b.comfy_quant", "U8", &[fp8.len()], fp8)]));
    assert!(matches!(found, ScaleFault::NoWeight { .. }) && name == "b.comfy_quant", "{found}");
    let (_, found) = fault(&layer(&[("a.comfy_quant", "F32", &[], &one)]));
    assert!(matches!(found, ScaleFault::Format(_)), "{found}");

    let invalid = layer(&[scaled, ("a.comfy_quant", "U8", &[2], b"{}")]).dequantized().unwrap_err();
    assert!(matches!(&invalid, WeightsError::File { fault: Fault::Metadata(_), .. }), "{invalid}");

    // In the metadata, as a text that is JSON.
    let metadata = |format: &str| {
        format!(
            r#"{{"_quantization_metadata":"{{\"layers\":{{\"a\":{{\"format\":\"{format}\"}}}}}}"}}"#
        )
    };
    let tensors = |metadata: &str| {
        file(
            metadata,
            &[("a.weight", "F8_E5M2", &[1], &[0x3c]), ("a.weight_scale", "F32", &[], &one)],
        )
    };
    assert!(tensors(&metadata("float8_e5m2")).dequantized().is_ok());
    let found = fault(&tensors(&metadata("mxfp8")));
    assert_eq!(found, ("a".to_owned(), ScaleFault::Format("mxfp8".to_owned())));
    let invalid = tensors(r#"{"_quantization_metadata":"[]"}"#).dequantized().unwrap_err();
    assert!(matches!(&invalid, WeightsError::File { fault: Fault::Metadata(_), .. }), "{invalid}");
}
