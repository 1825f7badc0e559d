//! The released checkpoints, by names and shapes: their layouts, their configs, and that each tensor has
//! its place. The numbers of parameters are those of diffusers' and transformers' networks.

use burn::tensor::Device;
use ddm_models::single_file::{Layout, Part, SingleFile, SingleFileError};
use ddm_models::text::{ClipTextConfig, T5EncoderConfig};
use ddm_models::transformer::{FluxTransformerConfig, Sd3TransformerConfig};
use ddm_models::{AutoencoderKlConfig, UNet2dConditionConfig};
use ddm_weights::{LoadOptions, WeightsError};

use super::original::{Original, UNet};

const SD1: UNet = UNet {
    input: 4,
    width: 320,
    multiples: &[1, 2, 4, 4],
    depths: &[1, 1, 1, 0],
    middle: 1,
    context: 768,
    linear: false,
    vector: None,
    only_text: &[],
};
const SD2: UNet = UNet { context: 1024, linear: true, ..SD1 };
const XL: UNet = UNet {
    multiples: &[1, 2, 4],
    depths: &[0, 2, 10],
    middle: 10,
    context: 2048,
    vector: Some(2816),
    ..SD2
};
const REFINER: UNet = UNet {
    width: 384,
    multiples: &[1, 2, 4, 4],
    depths: &[0, 4, 4, 0],
    middle: 4,
    context: 1280,
    vector: Some(2560),
    ..SD2
};
const UPSCALER: UNet = UNet {
    input: 7,
    width: 256,
    multiples: &[1, 2, 2, 4],
    depths: &[0, 1, 1, 1],
    only_text: &[0, 1, 2],
    ..SD2
};

const NETWORK: &str = "model.diffusion_model.";
const VAE: &str = "first_stage_model.";

fn with(tensors: &Original, others: &[(&str, &[usize])]) -> Original {
    let mut all = tensors.clone();
    all.0.extend(others.iter().map(|(name, shape)| ((*name).to_owned(), shape.to_vec())));
    all
}

/// Opens a file, and asserts its layout and the number of parameters of its parts.
fn open(tensors: &Original, layout: Layout, parameters: &[(Part, usize)]) -> SingleFile {
    let (_directory, path) = tensors.written(None);
    let file = SingleFile::open(path).unwrap();
    assert_eq!(file.layout(), layout);
    assert!(file.parts().eq(parameters.iter().map(|(part, _)| *part)), "{layout}");
    for (part, expected) in parameters {
        assert_eq!(file.tensors(*part).unwrap().elements(), *expected, "{layout}: {part}");
    }
    file
}

/// Asserts that all tensors fit a part: then the first is read, and found to be NaN.
fn assert_fits<M>(
    tensors: &Original,
    first: &str,
    make: impl FnOnce(&SingleFile) -> Result<M, SingleFileError>,
) {
    let (_directory, path) = tensors.written(Some(first));
    let file = SingleFile::open(path).unwrap().with_options(LoadOptions::new().finite());
    match make(&file).err() {
        Some(SingleFileError::Weights(WeightsError::NotFinite { index: 0, .. })) => {}
        Some(error) => panic!("{error}"),
        None => panic!("{first} was not read first"),
    }
}

/// The config of a U-Net as diffusers has it.
fn unet(json: &str) -> UNet2dConditionConfig {
    UNet2dConditionConfig::from_diffusers(json).unwrap()
}

/// What old checkpoints have beside the weights.
const OF_TRAINING: [(&str, &[usize]); 4] = [
    ("betas", &[1000]),
    ("alphas_cumprod", &[1000]),
    ("model_ema.decay", &[]),
    ("cond_stage_model.transformer.text_model.embeddings.position_ids", &[1, 77]),
];

#[test]
fn stable_diffusion_1_and_inpainting() {
    let device = Device::flex();
    for (input, parameters) in [(4, 859_520_964), (9, 859_535_364)] {
        let tensors = Original::default()
            .with(NETWORK, Original::unet(&UNet { input, ..SD1 }))
            .with(VAE, Original::autoencoder(4, true, &[1, 2, 4, 4]))
            .with("cond_stage_model.transformer.", Original::clip(768, 12));
        let expected = [
            (Part::UNet, parameters),
            (Part::Autoencoder, 83_653_863),
            (Part::TextEncoder, 123_060_480),
        ];
        let file = open(&tensors, Layout::StableDiffusion1, &expected);
        let config = unet(&format!(r#"{{"in_channels": {input}, "cross_attention_dim": 768}}"#));
        assert_eq!(file.unet_config().unwrap(), config);
        assert_eq!(file.autoencoder_config().unwrap(), AutoencoderKlConfig::new());
        assert_eq!(file.text_encoder_config().unwrap(), ClipTextConfig::default());
        let tensors = with(&tensors, &OF_TRAINING);
        let first = format!("{NETWORK}input_blocks.0.0.weight");
        assert_fits(&tensors, &first, |file| file.unet(&file.unet_config()?, &device));
        let first = "first_stage_model.encoder.conv_in.weight";
        assert_fits(&tensors, first, |file| file.autoencoder(&file.autoencoder_config()?, &device));
        let first = "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight";
        assert_fits(&tensors, first, |file| {
            file.text_encoder(&file.text_encoder_config()?, &device)
        });
    }
}

#[test]
fn stable_diffusion_2() {
    let device = Device::flex();
    let tensors = Original::default()
        .with(NETWORK, Original::unet(&SD2))
        .with("cond_stage_model.model.", Original::open_clip(1024, 24));
    // A layer and the projection are not used.
    let text = 340_387_840 + 12_596_224 + 1024 * 1024;
    let expected = [(Part::UNet, 865_910_724), (Part::TextEncoder, text)];
    let file = open(&tensors, Layout::StableDiffusion2, &expected);
    let config = r#"{"cross_attention_dim": 1024, "attention_head_dim": [5, 10, 20, 20],
                     "use_linear_projection": true, "upcast_attention": true}"#;
    assert_eq!(file.unet_config().unwrap(), unet(config));
    let config = ClipTextConfig {
        hidden_size: 1024,
        intermediate_size: 4096,
        num_hidden_layers: 23,
        num_attention_heads: 16,
        hidden_act: ddm_models::blocks::Activation::Gelu,
        ..Default::default()
    };
    assert_eq!(file.text_encoder_config().unwrap(), config);
    let first = "model.diffusion_model.input_blocks.0.0.weight";
    assert_fits(&tensors, first, |file| file.unet(&file.unet_config()?, &device));
    let first = "cond_stage_model.model.token_embedding.weight";
    assert_fits(&tensors, first, |file| file.text_encoder(&config, &device));
}

/// Its kin for variations of images has a vector of an image.
#[test]
fn stable_diffusion_2_with_a_vector() {
    let device = Device::flex();
    for (prefix, encoder) in [("", None), (NETWORK, Some(Original::open_clip(1024, 24)))] {
        let network = Original::unet(&UNet { vector: Some(2048), ..SD2 });
        let mut tensors = Original::default().with(prefix, network);
        if let Some(encoder) = encoder {
            tensors = tensors.with("cond_stage_model.model.", encoder);
        }
        let (_directory, path) = tensors.written(None);
        let file = SingleFile::open(path).unwrap();
        assert_eq!(file.layout(), Layout::StableDiffusion2);
        let class = file.unet_config().unwrap().class_embed;
        assert_eq!(class, Some(ddm_models::ClassEmbed::Projection(2048)));
        let first = format!("{prefix}input_blocks.0.0.weight");
        assert_fits(&tensors, &first, |file| file.unet(&file.unet_config()?, &device));
    }
}

#[test]
fn the_upscaler() {
    let device = Device::flex();
    let mut network = Original::unet(&UPSCALER);
    network.0.insert("label_emb.weight".to_owned(), vec![1000, 1024]);
    let tensors = Original::default()
        .with(NETWORK, network)
        .with(VAE, Original::autoencoder(4, true, &[1, 2, 4]));
    let expected = [(Part::UNet, 473_398_020), (Part::Autoencoder, 55_325_927)];
    let file = open(&tensors, Layout::Upscaler, &expected);
    // On the first level, which has no attention, nothing is to the text.
    let config = r#"{"in_channels": 7, "block_out_channels": [256, 512, 512, 1024],
        "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D",
                             "CrossAttnDownBlock2D"],
        "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D",
                           "UpBlock2D"],
        "only_cross_attention": [false, true, true, false], "cross_attention_dim": 1024,
        "use_linear_projection": true, "num_class_embeds": 1000}"#;
    assert_eq!(file.unet_config().unwrap(), unet(config));
    let config = file.autoencoder_config().unwrap();
    assert_eq!((config.channels, config.scaling_factor), (vec![128, 256, 512], 0.08333));
    let first = "model.diffusion_model.input_blocks.0.0.weight";
    assert_fits(&tensors, first, |file| file.unet(&file.unet_config()?, &device));
}

#[test]
fn stable_diffusion_xl_and_the_refiner() {
    let device = Device::flex();
    let large = || Original::open_clip(1280, 32);
    let tensors = Original::default()
        .with(NETWORK, Original::unet(&XL))
        .with(VAE, Original::autoencoder(4, true, &[1, 2, 4, 4]))
        .with("conditioner.embedders.0.transformer.", Original::clip(768, 12))
        .with("conditioner.embedders.1.model.", large());
    let tensors = with(&tensors, &[("conditioner.embedders.1.model.logit_scale", &[])]);
    let expected = [
        (Part::UNet, 2_567_463_684),
        (Part::Autoencoder, 83_653_863),
        (Part::TextEncoder, 123_060_480),
        (Part::TextEncoder2, 694_659_840 + 1),
    ];
    let file = open(&tensors, Layout::Xl, &expected);
    let config = r#"{"block_out_channels": [320, 640, 1280], "attention_head_dim": [5, 10, 20],
        "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
        "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
        "transformer_layers_per_block": [1, 2, 10], "cross_attention_dim": 2048,
        "use_linear_projection": true, "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256, "projection_class_embeddings_input_dim": 2816}"#;
    assert_eq!(file.unet_config().unwrap(), unet(config));
    assert_eq!(file.autoencoder_config().unwrap().scaling_factor, 0.13025);
    assert_eq!(file.text_encoder_config().unwrap(), ClipTextConfig::default());
    let config = file.text_encoder_2_config().unwrap();
    assert_eq!((config.num_attention_heads, config.projection), (20, Some(1280)));
    let first = "model.diffusion_model.input_blocks.0.0.weight";
    assert_fits(&tensors, first, |file| file.unet(&file.unet_config()?, &device));
    let first = "conditioner.embedders.1.model.token_embedding.weight";
    assert_fits(&tensors, first, |file| file.text_encoder_2(&config, &device));

    let tensors = Original::default()
        .with(NETWORK, Original::unet(&REFINER))
        .with("conditioner.embedders.0.model.", large());
    let expected = [(Part::UNet, 2_259_526_660), (Part::TextEncoder2, 694_659_840)];
    let file = open(&tensors, Layout::XlRefiner, &expected);
    // The first level has no transformers: 1 is as good as any number.
    let config = r#"{"block_out_channels": [384, 768, 1536, 1536],
        "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D",
                             "DownBlock2D"],
        "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
        "attention_head_dim": [6, 12, 24, 24], "transformer_layers_per_block": [1, 4, 4, 4],
        "cross_attention_dim": 1280, "use_linear_projection": true,
        "addition_embed_type": "text_time", "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": 2560}"#;
    assert_eq!(file.unet_config().unwrap(), unet(config));
    let first = "model.diffusion_model.input_blocks.0.0.weight";
    assert_fits(&tensors, first, |file| file.unet(&file.unet_config()?, &device));
}

/// Networks alone, with ComfyUI's prefixes or without.
#[test]
fn networks_alone() {
    let layouts = [
        (SD1, Layout::StableDiffusion1, 859_520_964),
        (SD2, Layout::StableDiffusion2, 865_910_724),
        (XL, Layout::Xl, 2_567_463_684),
        (REFINER, Layout::XlRefiner, 2_259_526_660),
    ];
    for (unet, layout, parameters) in layouts {
        for prefix in ["", "diffusion_model.", NETWORK] {
            let tensors = Original::default().with(prefix, Original::unet(&unet));
            open(&tensors, layout, &[(Part::UNet, parameters)]);
        }
    }
    let tensors = with(&Original::unet(&XL), &[("v_pred", &[0]), ("ztsnr", &[0])]);
    assert!(open(&tensors, Layout::Xl, &[(Part::UNet, 2_567_463_684)]).says_v_prediction());
}

#[test]
fn stable_diffusion_3_and_3_5() {
    let device = Device::flex();
    let tensors = Original::default()
        .with(NETWORK, Original::sd3(24, 0, false, 192))
        .with(VAE, Original::autoencoder(16, false, &[1, 2, 4, 4]))
        .with("text_encoders.clip_l.transformer.", Original::clip(768, 12))
        .with("text_encoders.clip_g.transformer.", Original::clip(1280, 32))
        .with("text_encoders.t5xxl.transformer.", Original::t5());
    let projection = "text_encoders.clip_g.transformer.text_projection.weight";
    let tensors =
        with(&tensors, &[(projection, &[1280, 1280]), ("text_encoders.clip_l.logit_scale", &[])]);
    let expected = [
        (Part::Sd3Transformer, 2_084_951_104),
        (Part::Autoencoder, 83_819_683),
        (Part::TextEncoder, 123_060_480 + 1),
        (Part::TextEncoder2, 694_659_840),
        (Part::T5, 4_762_310_656),
    ];
    let file = open(&tensors, Layout::StableDiffusion3, &expected);
    assert_eq!(file.sd3_config().unwrap(), Sd3TransformerConfig::default());
    let config = file.autoencoder_config().unwrap();
    let expected = AutoencoderKlConfig::new()
        .with_latent_channels(16)
        .with_quant_conv(false)
        .with_post_quant_conv(false)
        .with_scaling_factor(1.5305)
        .with_shift_factor(0.0609);
    assert_eq!(config, expected);
    let config = ClipTextConfig { projection: Some(768), ..Default::default() };
    assert_eq!(file.text_encoder_config().unwrap(), config);
    let config = file.text_encoder_2_config().unwrap();
    assert_eq!((config.hidden_size, config.projection), (1280, Some(1280)));
    assert_eq!(config.hidden_act, ddm_models::blocks::Activation::Gelu);
    assert_eq!(file.t5_config().unwrap(), T5EncoderConfig::default());
    let first = "text_encoders.clip_g.transformer.text_model.embeddings.token_embedding.weight";
    assert_fits(&tensors, first, |file| file.text_encoder_2(&config, &device));
    let first = "text_encoders.clip_l.transformer.text_model.embeddings.token_embedding.weight";
    assert_fits(&tensors, first, |file| file.text_encoder(&file.text_encoder_config()?, &device));
    let first = "text_encoders.t5xxl.transformer.shared.weight";
    assert_fits(&tensors, first, |file| file.t5(&file.t5_config()?, &device));
    let first = "model.diffusion_model.x_embedder.proj.weight";
    assert_fits(&tensors, first, |file| file.sd3(&file.sd3_config()?, &device));

    let tensors = Original::sd3(24, 13, true, 384);
    let expected = [(Part::Sd3Transformer, 2_469_663_936)];
    let medium = Sd3TransformerConfig {
        qk_norm: true,
        dual_attention_layers: (0..13).collect(),
        pos_embed_max_size: 384,
        ..Default::default()
    };
    let file = open(&tensors, Layout::StableDiffusion3, &expected);
    assert_eq!(file.sd3_config().unwrap(), medium);

    let tensors = Original::sd3(38, 0, true, 192);
    let expected = [(Part::Sd3Transformer, 8_146_280_768)];
    let large = Sd3TransformerConfig {
        num_layers: 38,
        num_attention_heads: 38,
        qk_norm: true,
        ..Default::default()
    };
    let file = open(&tensors, Layout::StableDiffusion3, &expected);
    assert_eq!(file.sd3_config().unwrap(), large);
}

#[test]
fn flux() {
    let device = Device::flex();
    for (guidance_embeds, parameters) in [(true, 11_901_408_320), (false, 11_891_178_560)] {
        let network = Original::flux(guidance_embeds);
        open(&network, Layout::Flux, &[(Part::FluxTransformer, parameters)]);
        let tensors = Original::default()
            .with(NETWORK, network)
            .with("vae.", Original::autoencoder(16, false, &[1, 2, 4, 4]))
            .with("text_encoders.clip_l.transformer.", Original::clip(768, 12))
            .with("text_encoders.t5xxl.transformer.", Original::t5());
        let expected = [
            (Part::FluxTransformer, parameters),
            (Part::Autoencoder, 83_819_683),
            (Part::TextEncoder, 123_060_480),
            (Part::T5, 4_762_310_656),
        ];
        let file = open(&tensors, Layout::Flux, &expected);
        let config = FluxTransformerConfig { guidance_embeds, ..Default::default() };
        assert_eq!(file.flux_config().unwrap(), config);
        assert_eq!(file.text_encoder_config().unwrap(), ClipTextConfig::default());
        let config = file.autoencoder_config().unwrap();
        assert_eq!((config.scaling_factor, config.shift_factor), (0.3611, 0.1159));
        let first = "model.diffusion_model.time_in.in_layer.weight";
        assert_fits(&tensors, first, |file| file.flux(&file.flux_config()?, &device));
    }
}

#[test]
fn parts_alone() {
    let device = Device::flex();
    let vae = Original::autoencoder(4, true, &[1, 2, 4, 4]);
    for prefix in ["", "vae.", VAE] {
        let tensors = Original::default().with(prefix, vae.clone());
        let file = open(&tensors, Layout::Autoencoder, &[(Part::Autoencoder, 83_653_863)]);
        let error = file.autoencoder_config().unwrap_err();
        assert!(error.to_string().contains("its latents may be those of several"), "{error}");
        let config = file.autoencoder_config_of(Layout::Xl).unwrap();
        assert_eq!(config, AutoencoderKlConfig::new().with_scaling_factor(0.13025));
        let first = format!("{prefix}encoder.conv_in.weight");
        assert_fits(&tensors, &first, |file| file.autoencoder(&config, &device));
    }
    // What its training leaves.
    let tensors = with(&vae, &[("loss.logvar", &[]), ("model_ema.num_updates", &[])]);
    open(&tensors, Layout::Autoencoder, &[(Part::Autoencoder, 83_653_863)]);

    let file =
        open(&Original::clip(768, 12), Layout::TextEncoder, &[(Part::TextEncoder, 123_060_480)]);
    assert_eq!(file.text_encoder_config().unwrap(), ClipTextConfig::default());
    let encoder = Original::open_clip(1280, 32);
    let file = open(&encoder, Layout::TextEncoder, &[(Part::TextEncoder, 694_659_840)]);
    let config = file.text_encoder_config().unwrap();
    assert_eq!((config.num_hidden_layers, config.projection), (32, Some(1280)));
    assert_fits(&encoder, "token_embedding.weight", |file| file.text_encoder(&config, &device));
    let file = open(&Original::t5(), Layout::TextEncoder, &[(Part::T5, 4_762_310_656)]);
    assert_eq!(file.t5_config().unwrap(), T5EncoderConfig::default());
}
