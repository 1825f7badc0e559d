//! The autoencoders of diffusers against recorded latents and images (`testdata/models`).

use super::golden::{Recorded, directory};
use super::*;

const OF_KL: [&str; 5] = [
    "autoencoder-kl-sd",
    "autoencoder-kl-flux",
    "autoencoder-kl-no-attention",
    "autoencoder-kl-force-upcast",
    "layout-legacy-attention-vae",
];

#[test]
fn autoencoders_with_a_posterior_are_those_of_diffusers() {
    let device = Device::flex();
    for model in OF_KL {
        let recorded = Recorded::of(model);
        let vae = AutoencoderKl::from_diffusers(directory(model), &device).unwrap();
        let (x, z) = (recorded.tensor::<4>("x"), recorded.tensor::<4>("z"));
        let fast = vae.clone().prepare(x.dims()).unwrap();
        let both: [&dyn Autoencoder<4>; 2] = [&vae, &fast];
        for vae in both {
            let posterior = vae.encode(x.clone());
            recorded.assert("mean", posterior.mean());
            recorded.assert("logvar", posterior.log_variance());
            recorded.assert("std", posterior.std());
            recorded.assert("decoded", vae.decode(z.clone()));
            recorded.assert("reconstruction", vae.decode(posterior.mode()));
        }
    }
}

#[test]
fn the_tiny_autoencoder_is_that_of_diffusers() {
    let (device, model) = (Device::flex(), "autoencoder-tiny");
    let recorded = Recorded::of(model);
    let vae = AutoencoderTiny::from_diffusers(directory(model), &device).unwrap();
    assert_eq!(vae.factor(), 8);
    let x = recorded.tensor::<4>("x");
    let fast = vae.clone().prepare(x.dims()).unwrap();
    let both: [&dyn Autoencoder<4>; 2] = [&vae, &fast];
    for vae in both {
        let posterior = vae.encode(x.clone());
        recorded.assert("latents", posterior.mode());
        recorded.assert("decoded", vae.decode(recorded.tensor::<4>("latents")));
        assert!(posterior.std().max().into_scalar::<f32>() < 1e-6);
    }
    let latent = waves([1, 4, 2, 2], &device) * 1.7;
    let unit = vae.to_unit(latent.clone());
    assert!(floats(unit.clone()).iter().all(|u| (0.0..=1.0).contains(u)));
    assert!(distance(vae.from_unit(unit), latent) < 1e-5);
    assert_eq!(floats(vae.to_unit(Tensor::full([1, 4, 1, 1], 9.0, &device))), [1.0; 4]);
}

#[test]
fn the_autoencoder_with_a_codebook_is_that_of_diffusers() {
    let (device, model) = (Device::flex(), "vq-model");
    let recorded = Recorded::of(model);
    let vae = VqModel::from_diffusers(directory(model), &device).unwrap();
    let (x, z) = (recorded.tensor::<4>("x"), recorded.tensor::<4>("z"));
    let quantized = vae.quantize(z.clone());
    recorded.assert("z_quantized", quantized.z);
    let indices = quantized.indices.clone().into_data().convert::<i64>();
    let expected = recorded.ints::<1>("indices").into_data().convert::<i64>();
    assert_eq!(indices.try_to_vec::<i64>().unwrap(), expected.try_to_vec::<i64>().unwrap());
    recorded.assert("decoded", vae.decode_codes(quantized.indices));
    recorded.assert("decoded_not_quantized", vae.decode_unquantized(z.clone()));
    let fast = vae.clone().prepare(x.dims()).unwrap();
    let both: [&dyn Autoencoder<4>; 2] = [&vae, &fast];
    for vae in both {
        recorded.assert("latents", vae.encode(x.clone()).mode());
        recorded.assert("decoded", vae.decode(z.clone()));
    }
}

#[test]
fn latents_are_scaled_as_the_config_says() {
    let device = Device::flex();
    let of = |model| AutoencoderKl::from_diffusers(directory(model), &device).unwrap();
    let scales = |vae: AutoencoderKl| {
        let space = vae.latent_space().unwrap();
        (space.scale(), space.shift())
    };
    assert_eq!(scales(of("autoencoder-kl-sd")), (0.18215, 0.0));
    assert_eq!(scales(of("autoencoder-kl-flux")), (0.3611, 0.1159));
    let vae = VqModel::from_diffusers(directory("vq-model"), &device).unwrap();
    assert_eq!(vae.latent_space().unwrap().scale(), 1.0);
    let vae = AutoencoderKlConfig::new().with_channels(vec![32]).with_scaling_factor(0.0);
    assert!(vae.init(&device).unwrap().latent_space().is_err());
}

/// Half-precision weights: features that f16 cannot hold are in f32 where the config says so.
#[test]
fn features_beyond_f16_need_force_upcast() {
    struct Enlarge;
    impl ModuleMapper for Enlarge {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            // Convolutions, so that the features between two norms grow.
            param.map(|tensor| if D == 4 { tensor * 2e3 } else { tensor })
        }
    }
    let device = Device::flex();
    let vae = AutoencoderKl::from_diffusers(directory("autoencoder-kl-sd"), &device).unwrap();
    let halved = vae.map(&mut Enlarge).map(&mut Cast(DType::F16));
    let wide = halved.clone().map(&mut Cast(DType::F32));
    let z = Recorded::of("autoencoder-kl-sd").tensor::<4>("z");
    let expected = wide.decode(z.clone());
    let size: f32 = expected.clone().abs().max().into_scalar();
    let error = distance(halved.decode(z.clone()), expected) / size;
    assert!(error < 1e-5, "{error:e}");

    let json = std::fs::read_to_string(directory("autoencoder-kl-sd").join("config.json")).unwrap();
    let config = AutoencoderKlConfig::from_diffusers(&json).unwrap();
    let without = config.with_force_upcast(false).init(&device).unwrap();
    let file = tempfile::tempdir().unwrap();
    let path = file.path().join("half.safetensors");
    save_weights(&halved, &path).unwrap();
    let without = load_weights(without, &path).unwrap();
    assert!(floats(without.decode(z)).iter().any(|value| !value.is_finite()));
}

/// In half precision and range, an autoencoder that computes in f16 stays close.
#[test]
fn half_precision_is_close() {
    let device = Device::flex();
    let tiny = AutoencoderTiny::from_diffusers(directory("autoencoder-tiny"), &device).unwrap();
    let json = std::fs::read_to_string(directory("autoencoder-kl-sd").join("config.json")).unwrap();
    let config = AutoencoderKlConfig::from_diffusers(&json).unwrap().with_force_upcast(false);
    let kl = config.init(&device).unwrap().map(&mut Fill);
    let z = waves([1, 4, 4, 4], &device);
    let close = |whole: Tensor<4>, half: Tensor<4>| {
        assert_eq!(half.dtype(), DType::F16);
        let size: f32 = whole.clone().abs().max().into_scalar();
        let error = distance(half.cast(DType::F32), whole) / size;
        assert!(error < 1e-2, "{error:e}");
    };
    let half = z.clone().cast(DType::F16);
    close(tiny.decode(z.clone()), tiny.map(&mut Cast(DType::F16)).decode(half.clone()));
    close(kl.decode(z), kl.map(&mut Cast(DType::F16)).decode(half));
}

#[test]
fn gradients_reach_every_weight() {
    let device = Device::flex().autodiff();
    let images = waves([2, 3, 8, 8], &device);
    let loss = |vae: &dyn Autoencoder<4>| {
        let posterior = vae.encode(images.clone());
        vae.decode(posterior.mode()).square().mean() + posterior.kl().mean() * 1e-3
    };
    let config = AutoencoderKlConfig::new().with_channels(vec![8, 12]).with_norm_groups(4);
    let config = config.with_attention_down(vec![1]).with_attention_up(vec![0]);
    let kl = config.init(&device).unwrap().map(&mut Fill);
    assert_gradients_reach_all(&kl, loss(&kl));
    let config = AutoencoderTinyConfig::new().with_encoder_channels(8).with_decoder_channels(8);
    let config = config.with_encoder_blocks(vec![1, 1]).with_decoder_blocks(vec![1, 1]);
    let tiny = config.init(&device).unwrap();
    assert_gradients_reach_all(&tiny, loss(&tiny));
}

/// The gradient passes the codebook: to the latent, as if it were not quantized.
#[test]
fn gradients_pass_the_codebook() {
    let device = Device::flex().autodiff();
    let vae = VqModel::from_diffusers(directory("vq-model"), &device).unwrap();
    let z = waves([1, 3, 4, 4], &device).require_grad();
    let gradients = vae.quantize(z.clone()).z.sum().backward();
    let ones = z.grad(&gradients).unwrap();
    assert_eq!(floats(ones), [1.0; 48]);
}

#[test]
fn configs_that_are_not_covered_are_refused() {
    let kl = |json: &str| AutoencoderKlConfig::from_diffusers(json).unwrap_err().to_string();
    let vq = |json: &str| VqModelConfig::from_diffusers(json).unwrap_err().to_string();
    let tiny = |json: &str| AutoencoderTinyConfig::from_diffusers(json).unwrap_err().to_string();
    for (found, words) in [
        (kl("[]"), ["not a JSON object", "map"]),
        (kl(r#"{"_class_name": "VQModel"}"#), ["`_class_name` = \"VQModel\"", "\"AutoencoderKL\""]),
        (kl(r#"{"act_fn": "gelu"}"#), ["`act_fn` = \"gelu\"", "\"silu\" or \"swish\""]),
        (kl(r#"{"latents_mean": [0.1]}"#), ["`latents_mean` = [0.1]", "null"]),
        (kl(r#"{"layers_per_block": -1}"#), ["`layers_per_block` = -1", "a size"]),
        (kl(r#"{"use_quant": true}"#), ["`use_quant` = true", "not known"]),
        (
            kl(r#"{"down_block_types": ["DownBlock2D"]}"#),
            ["`down_block_types` = [\"DownBlock2D\"]", "\"DownEncoderBlock2D\""],
        ),
        (kl(r#"{"block_out_channels": [32, 64]}"#), ["`down_block_types` = (absent)", "2 of"]),
        (vq(r#"{"norm_type": "spatial"}"#), ["`norm_type` = \"spatial\"", "\"group\""]),
        (tiny(r#"{"act_fn": "silu"}"#), ["`act_fn` = \"silu\"", "\"relu\""]),
        (
            tiny(r#"{"encoder_block_out_channels": [64, 64, 64, 32]}"#),
            ["`encoder_block_out_channels`", "4 times the same size"],
        ),
        (
            tiny(r#"{"num_decoder_blocks": [3, 1], "decoder_block_out_channels": [8, 8, 8]}"#),
            ["`decoder_block_out_channels`", "2 times"],
        ),
    ] {
        assert!(words.iter().all(|word| found.contains(word)), "{found} does not say {words:?}");
    }

    let device = Device::flex();
    let config = AutoencoderKlConfig::new();
    for wrong in [
        config.clone().with_latent_channels(0),
        config.clone().with_channels(vec![]),
        config.clone().with_channels(vec![32, 48]),
        config.clone().with_blocks(0),
        config.clone().with_channels(vec![32; 17]),
        config.clone().with_attention_up(vec![4]),
    ] {
        assert!(wrong.init(&device).is_err(), "{wrong:?}");
    }
    assert!(VqModelConfig::new().with_codes(0).init(&device).is_err());
    let tiny = AutoencoderTinyConfig::new();
    assert!(tiny.clone().with_encoder_blocks(vec![]).init(&device).is_err());
    assert!(tiny.clone().with_latent_magnitude(0.0).init(&device).is_err());
    let tiny = tiny.with_encoder_channels(4).with_decoder_channels(4).init(&device).unwrap();
    assert!(tiny.check_image([1, 3, 64, 64]).is_ok() && tiny.check_latent([1, 4, 3, 5]).is_ok());
    assert!(tiny.check_image([1, 3, 60, 64]).is_err() && tiny.check_latent([1, 3, 4, 4]).is_err());
    assert!(tiny.prepare([1, 3, 60, 64]).is_err());
    let missing = AutoencoderKl::from_diffusers(directory("no-such-model"), &device).unwrap_err();
    assert!(missing.to_string().contains("config.json"), "{missing}");
}
