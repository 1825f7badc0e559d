//! The values, the gradients and the independence of samples of the networks.

use super::*;

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
fn shapes_are_those_of_x() {
    let device = Device::flex();
    let configs = [
        small_unet(),
        small_unet().with_channels(vec![8]),
        small_unet().with_channels(vec![8, 8, 16]).with_blocks(2).with_attention(vec![1, 2]),
        small_unet().with_middle_attention(false).with_classes(Some(3)),
        small_unet().with_head_size(None).with_attention(vec![0]).with_downsample_padding(0),
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
    let config = blocks::SelfAttentionConfig::new(8).with_head_size(Some(4)).with_norm_groups(2);
    let (attention, ops) = (config.init(&device).unwrap(), blocks::Ops::default());
    let x = waves([2, 4, 4, 8], &device);
    assert_eq!(distance(attention.forward(&ops, x.clone()), x.clone()), 0.0);
    let attention = attention.map(&mut Fill);
    let prediction = attention.forward(&ops, x.clone());
    assert!(distance(prediction.clone(), x.clone()) > 1e-2);
    let turned = attention.forward(&ops, x.clone().flip([1, 2]));
    assert!(distance(turned, prediction.clone().flip([1, 2])) < 1e-5);
    // One pixel changes what all others see.
    let spike = x.clone().slice_fill([0..2, 0..1, 0..1, 0..8], 5.0);
    let moved = attention.forward(&ops, spike).slice([0..2, 3..4, 3..4, 0..8]);
    assert!(distance(moved, prediction.slice([0..2, 3..4, 3..4, 0..8])) > 1e-4);
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
    let prediction = unet.predict_with(x.clone(), times(3, &device), labels.clone().into());
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
    let labelled = |label| unet.predict_with(x.clone(), t.clone(), labels(label).into());
    let unlabelled = unet.predict(x.clone(), t.clone());
    assert!(distance(labelled(0), labelled(3)) > 1e-4);
    assert!(distance(labelled(0), unlabelled.clone()) > 1e-4);
    assert_eq!(distance(labelled(4), unlabelled.clone()), 0.0);
    let null = unet.null_classes(2, &device);
    let ClassLabels::Class(label) = &null else { panic!("{null:?}") };
    assert_eq!(label.clone().into_data().convert::<i64>().try_to_vec::<i64>().unwrap(), [4, 4]);
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
