//! The networks, through their public API.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::{DType, Device, Distribution, Int, Tensor};
use ddm_denoiser::{ConditionalPredictor, ModelError, NoisePredictor};
use ddm_latent::Autoencoder;
use ddm_models::*;

fn floats<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().convert::<f32>().try_to_vec().unwrap()
}

/// Largest difference of two tensors.
fn distance<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> f32 {
    (a - b).abs().max().into_scalar()
}

/// Deterministic values in about [−1.7, 1.7], of unit variance; no global generator is touched.
fn waves<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    let n = shape.iter().product::<usize>() as i64;
    let index = Tensor::<1, Int>::arange(0..n, device).float();
    ((index * 12.9898).sin() * 43.7).sin().reshape(shape) * 2.0_f64.sqrt()
}

/// Every parameter set to small nonzero values, so that nothing is hidden by a zero start.
struct Fill;
impl ModuleMapper for Fill {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|tensor| {
            let device = tensor.device();
            let filled = waves(tensor.dims(), &device) * 0.15;
            if device.is_autodiff() { filled.detach().require_grad() } else { filled }
        })
    }
}

struct Cast(DType);
impl ModuleMapper for Cast {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|tensor| tensor.cast(self.0))
    }
}

/// Counts the parameters that have no gradient, or one that is 0 throughout.
struct WithoutGradient<'a> {
    gradients: &'a burn::tensor::Gradients,
    path: Vec<String>,
    found: Vec<String>,
    visited: usize,
}
impl ModuleVisitor for WithoutGradient<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.visited += 1;
        let gradient = param.val().grad(self.gradients);
        let reached = gradient.is_some_and(|g| g.abs().max().into_scalar::<f32>() > 0.0);
        if !reached {
            self.found.push(self.path.join("."));
        }
    }
}

fn assert_gradients_reach_all<M: Module>(network: &M, loss: Tensor<1>) {
    let gradients = loss.backward();
    let mut visitor =
        WithoutGradient { gradients: &gradients, path: vec![], found: vec![], visited: 0 };
    network.visit(&mut visitor);
    assert!(visitor.visited > 5);
    assert!(visitor.found.is_empty(), "no gradient: {:?}", visitor.found);
}

fn small_unet() -> UNetConfig {
    UNetConfig::new(1, 1).with_channels(vec![8, 16]).with_head_size(8).with_norm_groups(4)
}

fn times(batch: usize, device: &Device) -> Tensor<1> {
    Tensor::<1, Int>::arange(0..batch as i64, device).float() * 100.0 + 50.0
}

#[test]
fn time_embedding_is_the_papers() {
    let t = Tensor::<1>::from_floats([0.0, 2.0], &Device::flex());
    // Size 4: the frequencies are 1 and 10000^(−1/2) = 0.01.
    let plain = floats(TimestepEmbedding::new(4).forward(t.clone()));
    let expected = [0.0, 0.0, 1.0, 1.0, 0.909_297_4, 0.019_998_67, -0.416_146_84, 0.999_8];
    for (found, expected) in plain.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-6, "{plain:?}");
    }
    let flipped = TimestepEmbedding::new(4).with_flip_sin_to_cos(true).forward(t.clone());
    let flipped = floats(flipped);
    assert_eq!((&flipped[4..6], &flipped[6..]), (&plain[6..], &plain[4..6]));
    // With the shift 1, the exponent is −i/(n − 1): the lowest frequency is 1/10000.
    let shifted = floats(TimestepEmbedding::new(4).with_freq_shift(1.0).forward(t));
    assert!((shifted[5] - 2e-4).abs() < 1e-8, "{shifted:?}");
}

#[test]
fn senseless_embeddings_are_refused() {
    assert!(TimestepEmbedding::new(8).validate().is_ok());
    let wrong = [
        TimestepEmbedding::new(0),
        TimestepEmbedding::new(7),
        TimestepEmbedding::new(8).with_max_period(0.0),
        TimestepEmbedding::new(8).with_freq_shift(4.0),
        TimestepEmbedding::new(8).with_freq_shift(f64::NAN),
    ];
    for config in wrong {
        assert!(config.validate().is_err(), "{config:?}");
    }
}

#[test]
fn shapes_are_those_of_x() {
    let device = Device::flex();
    let configs = [
        small_unet(),
        small_unet().with_channels(vec![8]),
        small_unet().with_channels(vec![8, 8, 16]).with_blocks(2).with_attention(vec![1, 2]),
        small_unet().with_middle_attention(false).with_classes(Some(3)),
    ];
    for config in configs {
        let network = config.init(&device).unwrap();
        let x = waves([2, 1, 8, 12], &device);
        network.check(x.dims()).unwrap();
        let prediction = network.predict(x, times(2, &device));
        assert_eq!(prediction.dims(), [2, 1, 8, 12]);
        assert_eq!(floats(prediction), [0.0; 192], "an untrained U-Net predicts 0");
    }
    let wide = UNetConfig { in_channels: 3, out_channels: 6, ..small_unet() };
    let wide = wide.init(&device).unwrap();
    let prediction = wide.predict(waves([1, 3, 4, 4], &device), times(1, &device));
    assert_eq!(prediction.dims(), [1, 6, 4, 4]);
}

#[test]
fn samples_of_a_batch_do_not_mix() {
    let device = Device::flex();
    let network = small_unet().with_attention(vec![0]).init(&device).unwrap().map(&mut Fill);
    let (x, t) = (waves([3, 1, 8, 8], &device), times(3, &device));
    let together = network.predict(x.clone(), t.clone());
    let alone = network.predict(x.narrow(0, 1, 1), t.narrow(0, 1, 1));
    assert!(distance(together.narrow(0, 1, 1), alone) < 1e-4);
}

#[test]
fn attention_starts_as_the_identity_and_knows_no_places() {
    let device = Device::flex();
    let attention = blocks::SelfAttention::new(8, 4, 2, &device).unwrap();
    let x = waves([2, 8, 4, 4], &device);
    assert_eq!(distance(attention.forward(x.clone()), x.clone()), 0.0);
    let attention = attention.map(&mut Fill);
    let prediction = attention.forward(x.clone());
    assert!(distance(prediction.clone(), x.clone()) > 1e-2);
    let turned = attention.forward(x.clone().flip([2, 3]));
    assert!(distance(turned, prediction.clone().flip([2, 3])) < 1e-5);
    // One pixel changes what all others see.
    let spike = x.clone().slice_fill([0..2, 0..8, 0..1, 0..1], 5.0);
    let moved = attention.forward(spike).slice([0..2, 0..8, 3..4, 3..4]);
    assert!(distance(moved, prediction.slice([0..2, 0..8, 3..4, 3..4])) > 1e-4);
}

#[test]
fn time_and_input_change_the_prediction() {
    let device = Device::flex();
    let unet = small_unet().init(&device).unwrap().map(&mut Fill);
    let x = waves([1, 1, 8, 8], &device);
    let at = |t: f64| unet.predict(x.clone(), Tensor::full([1], t, &device));
    assert!(distance(at(10.0), at(900.0)) > 1e-3);
    let other = unet.predict(-x.clone(), Tensor::full([1], 10.0, &device));
    assert!(distance(at(10.0), other) > 1e-3);
}

#[test]
fn gradients_reach_every_parameter() {
    let device = Device::flex().autodiff();
    let labels = Tensor::<1, Int>::from_ints([0, 1, 2], &device);

    let config = small_unet().with_attention(vec![0]).with_classes(Some(2)).with_dropout(0.1);
    let unet = config.init(&device).unwrap().map(&mut Fill);
    let x = waves([3, 1, 8, 8], &device);
    let prediction = unet.predict_with(x.clone(), times(3, &device), labels.clone());
    assert_gradients_reach_all(&unet, (prediction - x).square().mean());

    let mlp = MlpConfig::new().with_hidden(16).with_classes(Some(2)).init(&device).unwrap();
    let x = waves([3, 2], &device);
    let prediction = mlp.predict_with(x.clone(), times(3, &device), labels);
    assert_gradients_reach_all(&mlp, (prediction - x).square().mean());

    let vae = VaeConfig::new(1, 2).with_channels(vec![8, 16]).init(&device).unwrap();
    let vae = vae.map(&mut Fill);
    let (images, noise) = (waves([2, 1, 8, 8], &device), waves([2, 2, 4, 4], &device));
    assert_gradients_reach_all(&vae, vae.loss(images, noise, 0.1).unwrap().total);
}

#[test]
fn a_few_steps_leave_the_zero_start() {
    let device = Device::flex().autodiff();
    let mut network = small_unet().init(&device).unwrap();
    let mut adam = AdamConfig::new().init();
    let (x, t) = (waves([4, 1, 8, 8], &device), times(4, &device));
    let mut losses = vec![];
    for _ in 0..30 {
        let prediction = network.predict(x.clone(), t.clone());
        let loss = (prediction - x.clone()).square().mean();
        losses.push(loss.clone().into_scalar::<f32>());
        let gradients = GradientsParams::from_grads(loss.backward(), &network);
        network = adam.step(2e-3, network, gradients);
    }
    assert!(losses[29] < 0.5 * losses[0], "{losses:?}");
}

#[test]
fn classes_change_the_prediction_and_the_null_class_is_the_default() {
    let device = Device::flex();
    let t = times(2, &device);
    let labels = |label: i64| Tensor::<1, Int>::full([2], label, &device);

    let unet = small_unet().with_classes(Some(4)).init(&device).unwrap().map(&mut Fill);
    let x = waves([2, 1, 8, 8], &device);
    let labelled = |label| unet.predict_with(x.clone(), t.clone(), labels(label));
    let unlabelled = unet.predict(x.clone(), t.clone());
    assert!(distance(labelled(0), labelled(3)) > 1e-4);
    assert!(distance(labelled(0), unlabelled.clone()) > 1e-4);
    assert_eq!(distance(labelled(4), unlabelled.clone()), 0.0);
    let null = unet.null_classes(2, &device);
    assert_eq!(null.clone().into_data().convert::<i64>().try_to_vec::<i64>().unwrap(), [4, 4]);
    let null = unet.predict_with(x.clone(), t.clone(), null);
    assert_eq!(distance(null, unlabelled), 0.0);

    let mlp = MlpConfig::new().with_hidden(16).with_classes(Some(4)).init(&device).unwrap();
    let x = waves([2, 2], &device);
    let labelled = |label| mlp.predict_with(x.clone(), t.clone(), labels(label));
    let unlabelled = mlp.predict(x.clone(), t.clone());
    assert!(distance(labelled(0), labelled(3)) > 1e-4);
    assert_eq!(distance(labelled(4), unlabelled), 0.0);
}

#[test]
fn runs_that_do_not_fit_are_refused() {
    let device = Device::flex();
    let unet = small_unet().init(&device).unwrap();
    let check = |shape| unet.check(shape);
    assert!(check([2, 1, 8, 8]).is_ok());
    let says = "x is of 3 channels, but the model needs 1 channels";
    assert_eq!(check([2, 3, 8, 8]).unwrap_err().to_string(), says);
    let says = "x is of height 8 and width 7, but the model needs multiples of 2, above 0";
    assert_eq!(check([2, 1, 8, 7]).unwrap_err().to_string(), says);
    assert!(check([2, 1, 0, 8]).is_err());

    let labels = |labels: [i64; 2]| Tensor::<1, Int>::from_data(labels, &device);
    let check = |network: &UNet, l| network.check_with([2, 1, 8, 8], &labels(l));
    assert_eq!(check(&unet, [0, 0]), Err(ModelError::NoCondition));
    let unet = small_unet().with_classes(Some(4)).init(&device).unwrap();
    assert_eq!(check(&unet, [0, 4]), Ok(()));
    let says = "a class label is 5, but the model needs 0 to 3, or 4 for no class";
    assert_eq!(check(&unet, [0, 5]).unwrap_err().to_string(), says);
    assert!(check(&unet, [-1, 0]).is_err());
    let error = unet.check_with([3, 1, 8, 8], &labels([0, 0])).unwrap_err();
    assert!(error.to_string().contains("2 samples"), "{error}");

    let mlp = MlpConfig::new().init(&device).unwrap();
    assert!(mlp.check([5, 2]).is_ok());
    assert!(mlp.check([5, 3]).is_err());
    let refused = mlp.check_with([2, 2], &labels([0, 0]));
    assert_eq!(refused, Err(ModelError::NoCondition));

    let vae = VaeConfig::new(1, 2).init(&device).unwrap();
    assert!(vae.check_image([1, 1, 8, 8]).is_ok() && vae.check_latent([1, 2, 3, 3]).is_ok());
    assert!(vae.check_image([1, 2, 8, 8]).is_err() && vae.check_image([1, 1, 8, 9]).is_err());
    assert!(vae.check_latent([1, 1, 4, 4]).is_err());
}

#[test]
fn senseless_configs_are_refused() {
    let device = Device::flex();
    let unets = [
        (UNetConfig::new(0, 1), "in_channels is 0, but must be at least 1"),
        (UNetConfig::new(1, 0), "out_channels is 0, but must be at least 1"),
        (
            small_unet().with_channels(vec![]),
            "channels is empty, but must have one entry per level",
        ),
        (small_unet().with_channels(vec![8, 0]), "channels is 0"),
        (small_unet().with_channels(vec![8, 10]), "channels is 10, but must be a multiple of 4"),
        (small_unet().with_norm_groups(0), "norm_groups is 0"),
        (small_unet().with_blocks(0), "blocks is 0"),
        (small_unet().with_head_size(0), "head_size is 0"),
        (small_unet().with_head_size(5), "is 16, but must be a multiple of 5, the size of an att"),
        (
            small_unet().with_attention(vec![2]),
            "attention contains level 2, but the levels are 0 to 1",
        ),
        (small_unet().with_dropout(1.0), "dropout is 1, but must be at least 0 and below 1"),
        (small_unet().with_dropout(f64::NAN), "dropout is NaN"),
        (small_unet().with_classes(Some(0)), "classes is 0"),
    ];
    for (config, says) in unets {
        let error = config.init(&device).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
    let config = MlpConfig::new();
    let mlps = [
        config.clone().with_dim(0),
        config.clone().with_hidden(0),
        config.clone().with_layers(0),
        config.clone().with_time_size(0),
        config.clone().with_time_size(3),
        config.with_classes(Some(0)),
    ];
    for config in mlps {
        assert!(config.init(&device).is_err(), "{config:?}");
    }
    let config = VaeConfig::new(1, 1);
    let vaes = [
        VaeConfig::new(0, 1),
        VaeConfig::new(1, 0),
        config.clone().with_channels(vec![]),
        config.clone().with_channels(vec![12]),
        config.with_norm_groups(0),
    ];
    for config in vaes {
        assert!(config.init(&device).is_err(), "{config:?}");
    }
}

#[test]
fn half_precision_stays_close() {
    let device = Device::flex();
    let config = small_unet().with_attention(vec![0]).with_classes(Some(4));
    let unet = config.init(&device).unwrap().map(&mut Fill);
    let mlp = MlpConfig::new().with_hidden(16).init(&device).unwrap();
    let vae = VaeConfig::new(1, 2).init(&device).unwrap().map(&mut Fill);
    let (x, points, t) = (waves([2, 1, 8, 8], &device), waves([2, 2], &device), times(2, &device));
    for (dtype, tolerance) in [(DType::F16, 0.02), (DType::BF16, 0.1)] {
        let predict = |network: &UNet| network.predict(x.clone(), t.clone());
        let (full, half) = (predict(&unet), predict(&unet.clone().map(&mut Cast(dtype))));
        assert_eq!(half.dtype(), DType::F32, "the prediction has the dtype of x");
        let scale: f32 = full.clone().abs().max().into_scalar();
        assert!(distance(full, half.clone()) < tolerance * scale, "{dtype:?}");

        let predict = |network: &Mlp| network.predict(points.clone(), t.clone());
        let (full, half) = (predict(&mlp), predict(&mlp.clone().map(&mut Cast(dtype))));
        assert!(distance(full, half) < tolerance, "{dtype:?}");

        let decode = |vae: &Vae| vae.decode(vae.encode(x.clone()).mode());
        let (full, half) = (decode(&vae), decode(&vae.clone().map(&mut Cast(dtype))));
        let scale: f32 = full.clone().abs().max().into_scalar();
        assert!(distance(full, half) < tolerance * scale, "{dtype:?}");
    }
}

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
    let prediction = loaded.predict_with(x.clone(), times(3, &device), labels);
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
    assert!(matches!(&wider, WeightsError::Mismatch { .. }), "{wider}");
    assert!(
        wider.to_string().contains("[64, 16]") && wider.to_string().contains("[64, 32]"),
        "{wider}"
    );
    let deeper = load(&config.clone().with_layers(4));
    assert!(matches!(&deeper, WeightsError::Missing { more: 7, .. }), "{deeper}");
    let shallower = load(&config.clone().with_layers(2));
    assert!(matches!(&shallower, WeightsError::Unknown { more: 7, .. }), "{shallower}");

    for bytes in [&whole[..whole.len() / 2], &whole[..4], &[], &[0xff; 4096]] {
        std::fs::write(&path, bytes).unwrap();
        let error = load(&config);
        assert!(matches!(error, WeightsError::Format { .. }), "{error}");
    }
    let nowhere = directory.path().join("missing/mlp.safetensors");
    let error = save_weights(&config.init(&device).unwrap(), &nowhere).unwrap_err();
    assert!(matches!(error, WeightsError::Write { .. }), "{error}");
    let error = save_weights(&config.init(&device).unwrap(), directory.path()).unwrap_err();
    assert!(matches!(error, WeightsError::Write { .. }), "{error}");
}

#[test]
fn a_vae_learns_to_reconstruct() {
    let device = Device::flex().autodiff();
    let mut vae = VaeConfig::new(1, 2).with_channels(vec![8, 16]).init(&device).unwrap();
    let mut adam = AdamConfig::new().init();
    let images = waves([4, 1, 8, 8], &device);
    let shape = vae.latent_shape(images.dims()).unwrap();
    assert_eq!(shape, [4, 2, 4, 4]);
    assert_eq!(vae.encode(images.clone()).mean().dims(), shape);
    let mut losses = vec![];
    for _ in 0..150 {
        let noise = Tensor::random(shape, Distribution::Normal(0.0, 1.0), &device);
        let loss = vae.loss(images.clone(), noise, 1e-3).unwrap();
        losses.push(loss.total.clone().into_scalar::<f32>());
        let gradients = GradientsParams::from_grads(loss.total.backward(), &vae);
        vae = adam.step(5e-3, vae, gradients);
    }
    assert!(losses[149] < 0.5 * losses[0], "{} to {}", losses[0], losses[149]);
    let decoded = vae.decode(vae.encode(images.clone()).mode());
    let error: f32 = (decoded - images.clone()).square().mean().into_scalar();
    assert!(error < 0.5, "mean squared error {error} of images with variance 1");

    let zero = images.zeros_like().narrow(0, 0, 1);
    let loss = vae.loss(zero.clone(), Tensor::zeros([1, 2, 4, 4], &device), 0.25).unwrap();
    let by_hand = vae.encode(zero).kl().into_scalar::<f32>() / 64.0;
    assert!((loss.kl.clone().into_scalar::<f32>() - by_hand).abs() < 1e-5);
    let total = loss.reconstruction + loss.kl * 0.25;
    assert!(distance(total, loss.total) < 1e-6);
}

#[test]
fn images_whose_latents_do_not_fit_are_refused() {
    let device = Device::flex();
    let vae = VaeConfig::new(1, 2).with_channels(vec![8, 8]).init(&device).unwrap();
    for shape in [[2, 1, 25, 31], [2, 1, 24, 31], [2, 3, 24, 32], [2, 1, 0, 32]] {
        assert_eq!(vae.latent_shape(shape).unwrap_err(), vae.check_image(shape).unwrap_err());
    }
    let error = vae.latent_shape([2, 1, 25, 31]).unwrap_err().to_string();
    assert!(
        error.contains("height 25 and width 31") && error.contains("multiples of 2"),
        "{error}"
    );
    // What latent_shape gives is what encode gives.
    let images = waves([2, 1, 24, 32], &device);
    assert_eq!(vae.encode(images.clone()).mean().dims(), vae.latent_shape(images.dims()).unwrap());

    let odd = waves([2, 1, 25, 31], &device);
    assert!(vae.loss(odd, waves([2, 2, 12, 15], &device), 1.0).is_err());
    // Noise that would broadcast.
    let error = vae.loss(images, waves([1, 2, 12, 16], &device), 1.0).unwrap_err().to_string();
    assert!(error.contains("[1, 2, 12, 16]") && error.contains("[2, 2, 12, 16]"), "{error}");
}

#[test]
fn a_prediction_has_the_channels_of_x_or_twice_as_many() {
    let device = Device::flex();
    for (inside, out, fits) in
        [(1, 1, true), (1, 2, true), (3, 6, true), (3, 3, true), (1, 3, false), (2, 1, false)]
    {
        let config = UNetConfig { in_channels: inside, out_channels: out, ..small_unet() };
        let unet = config.with_classes(Some(2)).init(&device).unwrap();
        let shape = [2, inside, 8, 8];
        assert_eq!(unet.check(shape).is_ok(), fits, "{inside} to {out}");
        assert_eq!(unet.check_with(shape, &unet.null_classes(2, &device)).is_ok(), fits);
    }
    let unet = UNetConfig { out_channels: 3, ..small_unet() }.init(&device).unwrap();
    let error = unet.check([2, 1, 8, 8]).unwrap_err().to_string();
    assert!(error.contains("of 3 channels") && error.contains("the 1 of x"), "{error}");
}

#[test]
fn labels_are_checked_from_both_ends() {
    let device = Device::flex();
    let shape = [3, 1, 8, 8];
    let unet = small_unet().with_classes(Some(4)).init(&device).unwrap();
    let check = |labels: [i64; 3]| unet.check_with(shape, &Tensor::from_data(labels, &device));
    assert!(check([0, 3, 4]).is_ok());
    for labels in [[0, -1, 4], [0, 1, 5], [i64::from(i32::MAX), 0, 0]] {
        let error = check(labels).unwrap_err().to_string();
        assert!(error.contains("a class label is") && error.contains("0 to 3"), "{error}");
    }
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
