//! What the networks refuse: settings, inputs and conditions.

use super::*;

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
    let check = |network: &UNet, l| network.check_with([2, 1, 8, 8], &labels(l).into());
    assert_eq!(check(&unet, [0, 0]), Err(ModelError::NoCondition));
    let unet = small_unet().with_classes(Some(4)).init(&device).unwrap();
    assert_eq!(check(&unet, [0, 4]), Ok(()));
    let says = "a class label is 5, but the model needs 0 to 3, or 4 for no class";
    assert_eq!(check(&unet, [0, 5]).unwrap_err().to_string(), says);
    assert!(check(&unet, [-1, 0]).is_err());
    let error = unet.check_with([3, 1, 8, 8], &labels([0, 0]).into()).unwrap_err();
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
        (small_unet().with_head_size(Some(0)), "head_size is 0"),
        (
            small_unet().with_head_size(Some(5)),
            "is 16, but must be a multiple of 5, the size of an att",
        ),
        (
            small_unet().with_attention(vec![2]),
            "attention contains level 2, but the levels are 0 to 1",
        ),
        (small_unet().with_dropout(1.0), "dropout is 1, but must be at least 0 and below 1"),
        (small_unet().with_dropout(f64::NAN), "dropout is NaN"),
        (small_unet().with_classes(Some(0)), "classes is 0"),
        (small_unet().with_norm_eps(0.0), "norm_eps is 0, but must be finite and above 0"),
        (small_unet().with_downsample_padding(2), "downsample_padding is 2, but must be 0 or 1"),
        (small_unet().with_freq_shift(4.0), "freq_shift is 4"),
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
    let check = |labels: [i64; 3]| {
        unet.check_with(shape, &Tensor::<1, Int>::from_data(labels, &device).into())
    };
    assert!(check([0, 3, 4]).is_ok());
    for labels in [[0, -1, 4], [0, 1, 5], [i64::from(i32::MAX), 0, 0]] {
        let error = check(labels).unwrap_err().to_string();
        assert!(error.contains("a class label is") && error.contains("0 to 3"), "{error}");
    }
}
