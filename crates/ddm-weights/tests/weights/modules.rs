//! Tensors into modules, and modules into files.

use burn::module::{Module, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig, ConvTranspose2d, ConvTranspose2dConfig};
use burn::nn::{
    BatchNorm, BatchNormConfig, Embedding, EmbeddingConfig, GroupNorm, GroupNormConfig, LayerNorm,
    LayerNormConfig, Linear, LinearConfig, RmsNorm, RmsNormConfig,
};
use burn::tensor::{Bool, DType, Device, Int, Tensor, TensorData};
use ddm_weights::{
    LoadOptions, Misfit, Stored, TensorView, Tensors, WeightsError, add_products, float_parameters,
    load, save,
};

use crate::bytes::{self, safetensors};
use crate::files::{assert_same, open};

/// Every layer whose layout could differ.
#[derive(Module, Debug)]
struct Layers {
    to_out: Vec<Linear>,
    conv: Conv2d,
    up: ConvTranspose2d,
    layer_norm: LayerNorm,
    group_norm: GroupNorm,
    batch_norm: BatchNorm,
    rms_norm: RmsNorm,
    embedding: Embedding,
    either: Either,
    absent: Option<Linear>,
    scale: Param<Tensor<2>>,
}

#[derive(Module, Debug)]
enum Either {
    Linear(Linear),
    Nothing(LayerNorm),
}

impl Layers {
    fn new(device: &Device) -> Self {
        Self {
            to_out: vec![
                LinearConfig::new(2, 3).init(device),
                LinearConfig::new(3, 1).init(device),
            ],
            conv: Conv2dConfig::new([2, 4], [3, 1]).init(device),
            up: ConvTranspose2dConfig::new([2, 4], [3, 1]).init(device),
            layer_norm: LayerNormConfig::new(5).init(device),
            group_norm: GroupNormConfig::new(2, 4).init(device),
            batch_norm: BatchNormConfig::new(3).init(device),
            rms_norm: RmsNormConfig::new(3).init(device),
            embedding: EmbeddingConfig::new(7, 3).init(device),
            either: Either::Linear(LinearConfig::new(4, 2).with_bias(false).init(device)),
            absent: None,
            scale: Param::from_data([[1.0, 2.0, 3.0]], device),
        }
    }
}

fn saved<M: Module>(module: &M) -> Tensors {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("model.safetensors");
    save(module, &path).unwrap();
    Tensors::from_bytes(std::fs::read(path).unwrap()).unwrap()
}

#[track_caller]
fn misfit<M: Module>(module: M, tensors: &Tensors) -> (Misfit, String) {
    match load(module, tensors, &LoadOptions::new()) {
        Err(error) => {
            let message = error.to_string();
            match error {
                WeightsError::Misfit { misfit, .. } => (misfit, message),
                other => panic!("{other}"),
            }
        }
        Ok(_) => panic!("no error"),
    }
}

#[test]
fn names_and_layouts_are_those_of_pytorch_and_come_back() {
    let device = Device::flex();
    let module = Layers::new(&device);
    let tensors = saved(&module);
    let shapes: Vec<_> = tensors.iter().map(|(name, view)| (name, view.shape().to_vec())).collect();
    assert_eq!(
        shapes,
        [
            ("batch_norm.bias", vec![3]),
            ("batch_norm.running_mean", vec![3]),
            ("batch_norm.running_var", vec![3]),
            ("batch_norm.weight", vec![3]),
            ("conv.bias", vec![4]),
            ("conv.weight", vec![4, 2, 3, 1]),
            ("either.weight", vec![2, 4]),
            ("embedding.weight", vec![7, 3]),
            ("group_norm.bias", vec![4]),
            ("group_norm.weight", vec![4]),
            ("layer_norm.bias", vec![5]),
            ("layer_norm.weight", vec![5]),
            ("rms_norm.weight", vec![3]),
            ("scale", vec![1, 3]),
            ("to_out.0.bias", vec![3]),
            ("to_out.0.weight", vec![3, 2]),
            ("to_out.1.bias", vec![1]),
            ("to_out.1.weight", vec![1, 3]),
            ("up.bias", vec![4]),
            ("up.weight", vec![2, 4, 3, 1]),
        ]
    );
    assert_eq!(tensors.metadata()["format"], "pt");
    let again = load(Layers::new(&device), &tensors, &LoadOptions::new()).unwrap();
    assert_same(&saved(&again), &tensors);
    assert_eq!(again.to_out[0].weight.val().into_data(), module.to_out[0].weight.val().into_data());
}

#[test]
fn a_linear_layer_of_torch_computes_the_same() {
    let device = Device::flex();
    let tensors = open("torch/linear.bin");
    let linear =
        load(LinearConfig::new(3, 2).init(&device), &tensors, &LoadOptions::new()).unwrap();
    let weight: Vec<f32> = tensors.read("weight").unwrap().iter().collect();
    let bias: Vec<f32> = tensors.read("bias").unwrap().iter().collect();
    let x = [0.5_f32, -1.0, 2.0];
    let y = linear.forward(Tensor::<1>::from_data(x, &device).unsqueeze::<2>()).into_data();
    for (row, y) in y.iter::<f32>().enumerate() {
        let expected: f32 = (0..3).map(|i| weight[row * 3 + i] * x[i]).sum::<f32>() + bias[row];
        assert!((y - expected).abs() < 1e-6);
    }
}

#[test]
fn one_error_lists_all_that_does_not_fit() {
    let device = Device::flex();
    let mut tensors = saved(&Layers::new(&device));
    tensors.remove("scale").unwrap();
    tensors.remove("conv.bias").unwrap();
    let other = TensorView::from(TensorData::from([1.0_f32, 2.0]));
    tensors.insert("to_out.0.bias", other.clone());
    tensors.insert("embedding.weight", TensorView::from(TensorData::zeros::<i64, _>([7, 3])));
    for index in 0..10 {
        tensors.insert(format!("extra.{index}"), other.clone());
    }
    let (misfit, message) = misfit(Layers::new(&device), &tensors);
    assert_eq!(misfit.missing, ["conv.bias", "scale"]);
    assert_eq!(misfit.unused.len(), 10);
    assert_eq!(misfit.different.len(), 2);
    assert!(
        message.ends_with(
            "does not fit the network: 2 missing: conv.bias, scale; 10 unknown: extra.0, extra.1, \
             extra.2, extra.3, extra.4, extra.5, extra.6, extra.7, …; 2 different: to_out.0.bias is \
             [2] and must be [3], embedding.weight is I64 and must be floats"
        ),
        "{message}"
    );
}

#[test]
fn a_transposed_weight_is_another_shape() {
    let device = Device::flex();
    let mut tensors = open("torch/linear.bin");
    let weight = tensors.remove("weight").unwrap();
    tensors.insert("weight", weight.transposed(0, 1).unwrap());
    let (misfit, _) = misfit(LinearConfig::new(3, 2).init(&device), &tensors);
    assert_eq!(misfit.different[0].found, "[3, 2]");
    assert_eq!(misfit.different[0].expected, "[2, 3]");
}

#[test]
fn only_what_the_module_lacks_can_be_ignored() {
    let device = Device::flex();
    let mut tensors = open("torch/linear.bin");
    let extra = tensors.get("bias").unwrap().clone();
    for name in ["text_model.position_ids", "a.num_batches_tracked", "position_ids"] {
        tensors.insert(name, extra.clone());
    }
    let linear = || LinearConfig::new(3, 2).init(&device);
    let ignoring = |patterns: &[&str]| {
        load(linear(), &tensors, &LoadOptions::new().ignoring(patterns.iter().copied()))
    };
    ignoring(&["*position_ids", "a.*_batches_*ed"]).unwrap();
    ignoring(&["*"]).unwrap();
    for patterns in [&["*position_ids"][..], &["*.position_ids", "a.*"], &["", "x*", "a*x*ed"]] {
        assert!(matches!(ignoring(patterns), Err(WeightsError::Misfit { .. })), "{patterns:?}");
    }
    tensors.remove("bias").unwrap();
    let everything = LoadOptions::new().ignoring(["*"]);
    assert!(matches!(load(linear(), &tensors, &everything), Err(WeightsError::Misfit { .. })));
}

#[test]
fn floats_stay_of_their_type_or_become_f32_or_are_cast() {
    let device = Device::flex();
    let as_type = |weight: DType, bias: DType| {
        let tensors = open("torch/linear.bin");
        let mut cast = tensors.clone();
        for (name, dtype) in [("weight", weight), ("bias", bias)] {
            cast.insert(name, TensorView::from(tensors.read_as(name, dtype).unwrap()));
        }
        cast
    };
    let loaded = |tensors: &Tensors, options: &LoadOptions| {
        let linear: Linear = load(LinearConfig::new(3, 2).init(&device), tensors, options).unwrap();
        (linear.weight.val().dtype(), linear.bias.unwrap().val().dtype())
    };
    let plain = LoadOptions::new();
    for (weight, bias, expected) in [
        (DType::F16, DType::F16, DType::F16),
        (DType::BF16, DType::BF16, DType::BF16),
        (DType::F64, DType::F64, DType::F64),
        (DType::F16, DType::F32, DType::F32),
        (DType::F16, DType::BF16, DType::F32),
        (DType::F64, DType::F16, DType::F32),
    ] {
        let tensors = as_type(weight, bias);
        assert_eq!(loaded(&tensors, &plain), (expected, expected));
        for dtype in [DType::F64, DType::F32, DType::F16, DType::BF16] {
            let options = LoadOptions::new().with_float(dtype);
            assert_eq!(loaded(&tensors, &options), (dtype, dtype));
        }
    }
    let eight = open("torch/types.pt");
    assert_eq!(eight.get("float8_e4m3fn").unwrap().stored(), Stored::F8E4M3);
    let linear = LinearConfig::new(5, 4).with_bias(false).init(&device);
    let eight =
        eight.rename(|name| (name == "float8_e4m3fn").then(|| "weight".to_owned())).unwrap();
    let linear: Linear = load(linear, &eight, &plain).unwrap();
    assert_eq!(linear.weight.val().dtype(), DType::F32);
    let wrong = LoadOptions::new().with_float(DType::I32);
    let linear = LinearConfig::new(5, 4).with_bias(false).init(&device);
    assert!(matches!(load(linear, &eight, &wrong), Err(WeightsError::Cast { .. })));
}

#[test]
fn a_type_that_cannot_be_read_is_named_before_anything_is_read() {
    let file = bytes::gguf(&[("weight", &[256, 2], 15, 0)], &[0; 2 * 292]);
    let tensors = Tensors::from_bytes(file).unwrap();
    let linear = LinearConfig::new(256, 2).with_bias(false).init(&Device::flex());
    let error = load(linear, &tensors, &LoadOptions::new()).unwrap_err();
    assert!(error.to_string().contains("Q8_K"), "{error}");
}

#[test]
fn weights_that_are_no_numbers_are_refused_on_request() {
    let device = Device::flex();
    for (value, dtype) in [(f32::NAN, DType::F32), (f32::INFINITY, DType::F16)] {
        let mut tensors = open("torch/linear.bin");
        let data = TensorData::from([1.0, value]).convert_dtype(dtype);
        tensors.insert("bias", TensorView::from(data));
        let load = |options| load(LinearConfig::new(3, 2).init(&device), &tensors, &options);
        load(LoadOptions::new()).unwrap();
        match load(LoadOptions::new().finite()) {
            Err(WeightsError::NotFinite { tensor, index: 1, .. }) => assert_eq!(tensor, "bias"),
            other => panic!("{other:?}"),
        }
    }
}

/// Parameters that are no floats.
#[derive(Module, Debug)]
struct Buffers {
    ids: Param<Tensor<1, Int>>,
    mask: Param<Tensor<1, Bool>>,
}

#[test]
fn integers_and_truth_values_are_loaded_as_such() {
    let device = Device::flex();
    let buffers = || Buffers {
        ids: Param::initialized(Default::default(), Tensor::from_data([0, 0], &device)),
        mask: Param::initialized(Default::default(), Tensor::from_data([false, false], &device)),
    };
    let header = r#"{"ids":{"dtype":"I64","shape":[2],"data_offsets":[0,16]},"mask":{"dtype":"BOOL","shape":[2],"data_offsets":[16,18]}}"#;
    let mut data: Vec<u8> = [7_i64, -1].iter().flat_map(|id| id.to_le_bytes()).collect();
    // Any byte but 0 is true.
    data.extend([0, 7]);
    let tensors = Tensors::from_bytes(safetensors(header, &data)).unwrap();
    let loaded: Buffers = load(buffers(), &tensors, &LoadOptions::new()).unwrap();
    assert_eq!(loaded.ids.val().into_data().iter::<i64>().collect::<Vec<_>>(), [7, -1]);
    assert_eq!(loaded.mask.val().into_data().iter::<bool>().collect::<Vec<_>>(), [false, true]);
    let swapped =
        tensors.rename(|name| Some(if name == "ids" { "mask" } else { "ids" }.to_owned()));
    let (misfit, _) = misfit(buffers(), &swapped.unwrap());
    assert_eq!(misfit.different.len(), 2);
}

#[test]
fn a_file_that_cannot_be_written_is_an_error_and_the_old_one_stays() {
    let module = Layers::new(&Device::flex());
    let error = save(&module, "missing/model.safetensors").unwrap_err();
    assert!(matches!(error, WeightsError::Write { .. }));
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("model.safetensors");
    save(&module, &path).unwrap();
    save(&module, &path).unwrap();
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn gradients_are_asked_for_as_before() {
    let device = Device::flex().autodiff();
    let linear: Linear =
        load(LinearConfig::new(3, 2).init(&device), &open("torch/linear.bin"), &LoadOptions::new())
            .unwrap();
    let x = Tensor::<2>::ones([1, 3], &device);
    let gradients = linear.forward(x).sum().backward();
    assert!(linear.weight.val().grad(&gradients).is_some());
}

#[test]
fn products_are_added_in_layouts_of_pytorch() {
    let device = Device::flex();
    let layers = Layers::new(&device);
    let parameters = float_parameters(&layers);
    let shape = |name: &str| {
        let found = parameters.iter().find(|(other, _)| other == name);
        found.unwrap_or_else(|| panic!("no {name}")).1.clone()
    };
    let (linear, conv) = (shape("to_out.0.weight"), shape("conv.weight"));
    let factors = |shape: &[usize], device: &Device| {
        let rest = shape[1..].iter().product::<usize>();
        let left = Tensor::<1, Int>::arange(0..shape[0] as i64, device).float();
        let right = Tensor::<1, Int>::arange(0..rest as i64, device).float();
        (left.reshape([shape[0], 1]) * 10.0, right.reshape([1, rest]))
    };
    let before = layers.clone();
    let after = add_products(layers, |name, device| {
        let shape = match name {
            "to_out.0.weight" => &linear,
            "conv.weight" => &conv,
            _ => return Ok::<_, WeightsError>(None),
        };
        Ok(Some(factors(shape, device)))
    })
    .unwrap();
    let difference = after.to_out[0].weight.val() - before.to_out[0].weight.val();
    let (left, right) = factors(&linear, &device);
    let expected = left.matmul(right).transpose();
    assert!((difference - expected).abs().max().into_scalar::<f32>() < 1e-5);
    let difference = after.conv.weight.val() - before.conv.weight.val();
    let (left, right) = factors(&conv, &device);
    let expected = left.matmul(right).reshape(difference.dims());
    assert!((difference - expected).abs().max().into_scalar::<f32>() < 1e-5);
    let same = after.up.weight.val().equal(before.up.weight.val()).all();
    assert!(same.into_scalar::<bool>());

    // Factors that do not fit, numbers that no type holds, and errors of the caller.
    let fails = |left: [usize; 2], right: [usize; 2], value: f64| {
        let result = add_products(before.clone(), |name, device| {
            let factors = (Tensor::full(left, value, device), Tensor::ones(right, device));
            Ok::<_, WeightsError>((name == "to_out.0.weight").then_some(factors))
        });
        result.map(drop).unwrap_err()
    };
    let (rows, columns) = (linear[0], linear[1]);
    for (left, right) in
        [([rows + 1, 2], [2, columns]), ([rows, 2], [2, columns + 1]), ([rows, 2], [3, columns])]
    {
        let error = fails(left, right, 1.0);
        assert!(matches!(error, WeightsError::View { .. }), "{error}");
        assert!(error.to_string().contains("to_out.0.weight"), "{error}");
    }
    for value in [f64::NAN, 1e39] {
        let error = fails([rows, 1], [1, columns], value);
        let WeightsError::Sum { tensor, dtype } = &error else { panic!("{error}") };
        assert_eq!((tensor.as_str(), *dtype), ("to_out.0.weight", DType::F32));
    }
}
