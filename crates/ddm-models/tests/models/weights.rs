//! Weights in safetensors files.

use super::*;

#[test]
fn weights_come_back_from_a_file() {
    let device = Device::flex();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("unet.safetensors");
    let config = small_unet().with_classes(Some(2));
    let saved = config.init(&device).unwrap().map(&mut Fill);
    save_weights(&config.init(&device).unwrap(), &path).unwrap();
    save_weights(&saved, &path).unwrap(); // in place of the file that is there
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1, "nothing is left beside");

    let (x, t) = (waves([2, 1, 8, 8], &device), times(2, &device));
    let expected = saved.predict(x.clone(), t.clone());
    let loaded = load_weights(config.init(&device).unwrap(), &path).unwrap();
    assert_eq!(distance(loaded.predict(x, t), expected), 0.0);

    // A network loaded for training still trains.
    let device = device.autodiff();
    let loaded = load_weights(config.init(&device).unwrap(), &path).unwrap();
    let x = waves([3, 1, 8, 8], &device);
    let labels = Tensor::<1, Int>::from_ints([0, 1, 2], &device);
    let prediction = loaded.predict_with(x.clone(), times(3, &device), labels.into());
    assert_gradients_reach_all(&loaded, (prediction - x).square().mean());
}

#[test]
fn invalid_files_have_different_errors() {
    let device = Device::flex();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("mlp.safetensors");
    let config = MlpConfig::new().with_hidden(16);
    let load = |config: &MlpConfig| {
        let error = load_weights(config.init(&device).unwrap(), &path).unwrap_err();
        assert!(error.to_string().contains("mlp.safetensors"), "{error}");
        error
    };
    assert!(matches!(load(&config), WeightsError::Read { .. }), "there is no file");

    save_weights(&config.init(&device).unwrap(), &path).unwrap();
    let whole = std::fs::read(&path).unwrap();
    let wider = load(&config.clone().with_hidden(32));
    assert!(matches!(&wider, WeightsError::Misfit { .. }), "{wider}");
    assert!(
        wider.to_string().contains("[16, 64]") && wider.to_string().contains("[32, 64]"),
        "{wider}"
    );
    let deeper = load(&config.clone().with_layers(4));
    assert!(
        matches!(&deeper, WeightsError::Misfit { misfit, .. } if misfit.missing.len() == 8),
        "{deeper}"
    );
    let shallower = load(&config.clone().with_layers(2));
    assert!(
        matches!(&shallower, WeightsError::Misfit { misfit, .. } if misfit.unused.len() == 8),
        "{shallower}"
    );

    for bytes in [&whole[..whole.len() / 2], &whole[..4], &[], &[0xff; 4096]] {
        std::fs::write(&path, bytes).unwrap();
        let error = load(&config);
        assert!(matches!(error, WeightsError::File { .. }), "{error}");
    }
    let nowhere = directory.path().join("missing/mlp.safetensors");
    let error = save_weights(&config.init(&device).unwrap(), &nowhere).unwrap_err();
    assert!(matches!(error, WeightsError::Write { .. }), "{error}");
    let error = save_weights(&config.init(&device).unwrap(), directory.path()).unwrap_err();
    assert!(matches!(error, WeightsError::Write { .. }), "{error}");
}

/// A safetensors file whose matrices are in f16 and whose vectors are in f32, as published
/// half-precision checkpoints are.
#[test]
fn a_file_of_mixed_float_types_makes_a_network_of_one() {
    use safetensors::{Dtype, SafeTensors, tensor::TensorView};

    let device = Device::flex();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("mixed.safetensors");
    let config = small_unet().with_attention(vec![0]);
    let network = config.init(&device).unwrap().map(&mut Fill);
    save_weights(&network, &path).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let whole = SafeTensors::deserialize(&bytes).unwrap();
    let halved = |data: &[u8]| {
        let floats = data.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()));
        let tensor = Tensor::<1>::from_floats(floats.collect::<Vec<f32>>().as_slice(), &device);
        tensor.cast(DType::F16).into_data().as_bytes().to_vec()
    };
    let write = |half: &dyn Fn(&[usize]) -> bool| {
        let parts: Vec<_> = whole
            .iter()
            .map(|(name, view)| match half(view.shape()) {
                true => (name, Dtype::F16, view.shape().to_vec(), halved(view.data())),
                false => (name, Dtype::F32, view.shape().to_vec(), view.data().to_vec()),
            })
            .collect();
        let views = parts.iter().map(|(name, dtype, shape, data)| {
            (*name, TensorView::new(*dtype, shape.clone(), data).unwrap())
        });
        std::fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
    };
    let (x, t) = (waves([2, 1, 8, 8], &device), times(2, &device));
    let expected = network.predict(x.clone(), t.clone());
    let scale: f32 = expected.clone().abs().max().into_scalar();

    write(&|shape| shape.len() > 1);
    let loaded = load_weights(config.init(&device).unwrap(), &path).unwrap();
    assert_eq!(float_types(&loaded), [DType::F32]);
    let found = loaded.predict(x.clone(), t.clone());
    assert!(distance(found, expected.clone()) < 0.01 * scale);

    // One type throughout is kept.
    write(&|_| true);
    let loaded = load_weights(config.init(&device).unwrap(), &path).unwrap();
    assert_eq!(float_types(&loaded), [DType::F16]);
    assert!(distance(loaded.predict(x, t), expected) < 0.02 * scale);
}

/// The float types of a module's parameters, each once.
fn float_types<M: Module>(module: &M) -> Vec<DType> {
    struct Types(Vec<DType>);
    impl ModuleVisitor for Types {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let dtype = param.val().dtype();
            if !self.0.contains(&dtype) {
                self.0.push(dtype);
            }
        }
    }
    let mut types = Types(vec![]);
    module.visit(&mut types);
    types.0
}
