//! Single files against the directories of diffusers that have the same weights: equal bit for bit.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{DType, Device, Int, Tensor};
use ddm_models::single_file::{Layout, Part, SingleFile};
use ddm_models::text::{ClipText, ClipTextConfig, T5Encoder, T5EncoderConfig};
use ddm_models::transformer::{
    FluxConditions, FluxTransformerConfig, Sd3Transformer, Sd3TransformerConfig,
};
use ddm_models::{AutoencoderKl, AutoencoderKlConfig, UNet2dCondition, UNet2dConditionConfig};
use ddm_weights::{LoadOptions, Tensors};

use super::{parameters, pipelines};
use crate::Cast;
use crate::golden::{Recorded, directory};

/// Rounds to f16.
struct Rounded;
impl ModuleMapper for Rounded {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|tensor| tensor.cast(DType::F16).cast(DType::F32))
    }
}

fn config(component: &str) -> String {
    std::fs::read_to_string(pipelines(component).join("config.json")).unwrap()
}

fn clip_config(component: &str) -> ClipTextConfig {
    ClipTextConfig::from_json(&config(component)).unwrap()
}

fn assert_same<M: Module>(found: &M, expected: &M) {
    let (found, expected) = (parameters(found), parameters(expected));
    assert!(found.keys().eq(expected.keys()));
    for (name, (shape, numbers)) in &expected {
        assert!(numbers.iter().any(|number| *number != 0.0), "{name}");
        assert_eq!(&found[name], &(shape.clone(), numbers.clone()), "{name}");
    }
}

#[test]
fn stable_diffusion_1() {
    let device = Device::flex();
    let at = |part: &str| format!("stable-diffusion-small/{part}");
    for (name, half) in
        [("model.safetensors", false), ("model.ckpt", false), ("model-fp16.safetensors", true)]
    {
        let file = SingleFile::open(pipelines("single-file-sd").join(name)).unwrap();
        assert_eq!(file.layout(), Layout::StableDiffusion1);
        let parts = [Part::UNet, Part::Autoencoder, Part::TextEncoder];
        assert!(file.parts().eq(parts), "{name}");
        assert!(!file.says_v_prediction());
        let rounded = |found: DType| assert_eq!(found, if half { DType::F16 } else { DType::F32 });

        let settings = UNet2dConditionConfig::from_diffusers(&config(&at("unet"))).unwrap();
        let mut expected =
            UNet2dCondition::from_diffusers(pipelines(&at("unet")), &device).unwrap();
        if half {
            expected = expected.map(&mut Rounded);
        }
        assert_same(&file.unet(&settings, &device).unwrap(), &expected);

        let settings = AutoencoderKlConfig::from_diffusers(&config(&at("vae"))).unwrap();
        let mut expected = AutoencoderKl::from_diffusers(pipelines(&at("vae")), &device).unwrap();
        if half {
            expected = expected.map(&mut Rounded);
        }
        assert_same(&file.autoencoder(&settings, &device).unwrap(), &expected);
        // What shapes tell is what the config says, up to the groups of the norms.
        let told = file.autoencoder_config().unwrap();
        assert_eq!(told.with_norm_groups(settings.norm_groups), settings);

        let settings = clip_config(&at("text_encoder"));
        let directory = pipelines(&at("text_encoder"));
        let mut expected = ClipText::from_transformers(directory, &device).unwrap();
        if half {
            expected = expected.map(&mut Rounded);
        }
        let found = file.text_encoder(&settings, &device).unwrap();
        assert_same(&found, &expected);
        let ids = Tensor::<2, Int>::from_ints([[0, 3, 5, 8]], &device);
        rounded(found.forward(ids).unwrap().pooled.dtype());
        let options = LoadOptions::new().with_float(DType::F32);
        let wide = file.with_options(options).text_encoder(&settings, &device).unwrap();
        assert_same(&wide, &expected);
    }
}

#[test]
fn stable_diffusion_xl() {
    let device = Device::flex();
    let at = |part: &str| format!("stable-diffusion-xl/{part}");
    let file = SingleFile::open(pipelines("single-file-sdxl/model.safetensors")).unwrap();
    assert_eq!(file.layout(), Layout::Xl);

    let settings = UNet2dConditionConfig::from_diffusers(&config(&at("unet"))).unwrap();
    let expected = UNet2dCondition::from_diffusers(pipelines(&at("unet")), &device).unwrap();
    assert_same(&file.unet(&settings, &device).unwrap(), &expected);
    let settings = AutoencoderKlConfig::from_diffusers(&config(&at("vae"))).unwrap();
    let expected = AutoencoderKl::from_diffusers(pipelines(&at("vae")), &device).unwrap();
    assert_same(&file.autoencoder(&settings, &device).unwrap(), &expected);
    assert_eq!(file.autoencoder_config().unwrap().scaling_factor, 0.13025);
    let encoder = |part| ClipText::from_transformers(pipelines(&at(part)), &device).unwrap();
    let settings = clip_config(&at("text_encoder"));
    assert_same(&file.text_encoder(&settings, &device).unwrap(), &encoder("text_encoder"));
    let settings = clip_config(&at("text_encoder_2"));
    assert_same(&file.text_encoder_2(&settings, &device).unwrap(), &encoder("text_encoder_2"));
    let told = file.text_encoder_2_config().unwrap();
    assert_eq!((told.projection, told.hidden_act), (settings.projection, settings.hidden_act));
}

/// Its encoder has a layer in the file that is not used.
#[test]
fn stable_diffusion_2() {
    let device = Device::flex();
    let at = |part: &str| format!("single-file-sd2/{part}");
    let file = SingleFile::open(pipelines(&at("model.safetensors"))).unwrap();
    assert_eq!(file.layout(), Layout::StableDiffusion2);
    assert!(file.parts().eq([Part::UNet, Part::TextEncoder]));
    let settings = UNet2dConditionConfig::from_diffusers(&config(&at("unet"))).unwrap();
    let expected = UNet2dCondition::from_diffusers(pipelines(&at("unet")), &device).unwrap();
    assert_same(&file.unet(&settings, &device).unwrap(), &expected);
    let settings = clip_config(&at("text_encoder"));
    let expected = ClipText::from_transformers(pipelines(&at("text_encoder")), &device).unwrap();
    assert_same(&file.text_encoder(&settings, &device).unwrap(), &expected);
    let told = file.text_encoder_config().unwrap();
    let (heads, eos_token_id) = (settings.num_attention_heads, settings.eos_token_id);
    assert_eq!(ClipTextConfig { num_attention_heads: heads, ..told }, settings);
    assert_eq!(eos_token_id, 39);
}

#[test]
fn stable_diffusion_3() {
    let device = Device::flex();
    let at = |part: &str| format!("stable-diffusion-3/{part}");
    let file = SingleFile::open(pipelines("single-file-sd3/model.safetensors")).unwrap();
    assert_eq!(file.layout(), Layout::StableDiffusion3);

    let settings = Sd3TransformerConfig::from_json(&config(&at("transformer"))).unwrap();
    let expected = Sd3Transformer::from_diffusers(pipelines(&at("transformer")), &device).unwrap();
    assert_same(&file.sd3(&settings, &device).unwrap(), &expected);
    let settings = AutoencoderKlConfig::from_diffusers(&config(&at("vae"))).unwrap();
    let expected = AutoencoderKl::from_diffusers(pipelines(&at("vae")), &device).unwrap();
    assert_same(&file.autoencoder(&settings, &device).unwrap(), &expected);
    let told = file.autoencoder_config().unwrap();
    assert_eq!(told.with_norm_groups(settings.norm_groups), settings);

    let settings = clip_config(&at("text_encoder_2"));
    let expected = ClipText::from_transformers(pipelines(&at("text_encoder_2")), &device).unwrap();
    assert_same(&file.text_encoder_2(&settings, &device).unwrap(), &expected);
    let settings = T5EncoderConfig::from_json(&config(&at("text_encoder_3"))).unwrap();
    let directory = pipelines(&at("text_encoder_3"));
    let expected = T5Encoder::from_transformers(directory, &device).unwrap();
    assert_same(&file.t5(&settings, &device).unwrap(), &expected);
    let told = file.t5_config().unwrap();
    assert_eq!(T5EncoderConfig { max_distance: settings.max_distance, ..told }, settings);

    // The first encoder has no projection in the file, and gets the identity.
    let settings = clip_config(&at("text_encoder"));
    let found = file.text_encoder(&settings, &device).unwrap();
    let expected = ClipText::from_transformers(pipelines(&at("text_encoder")), &device).unwrap();
    let without = |encoder: &ClipText| {
        let mut all = parameters(encoder);
        all.remove("text_projection.weight").unwrap();
        all
    };
    assert_eq!(without(&found), without(&expected));
    let output = found.forward(Tensor::from_ints([[0, 3, 5, 8]], &device)).unwrap();
    let [pooled, projected] = [output.pooled, output.text_embeds.unwrap()];
    assert_eq!(pooled.into_data(), projected.into_data());
}

/// Old names of the first encoder, without `text_model.`; both names of T5's table of tokens; and an
/// encoder alone, with the projection of CLIP.
#[test]
fn other_names_of_encoders() {
    let device = Device::flex();
    let whole = Tensors::open(pipelines("single-file-sd/model.safetensors")).unwrap();
    let old = whole.rename(|name| Some(name.replace("transformer.text_model.", "transformer.")));
    let file = SingleFile::from_tensors(&old.unwrap()).unwrap();
    assert_eq!(file.layout(), Layout::StableDiffusion1);
    let settings = clip_config("stable-diffusion-small/text_encoder");
    let directory = pipelines("stable-diffusion-small/text_encoder");
    let expected = ClipText::from_transformers(&directory, &device).unwrap();
    assert_same(&file.text_encoder(&settings, &device).unwrap(), &expected);
    assert_eq!(file.text_encoder_config().unwrap().num_hidden_layers, 2);

    let mut alone = Tensors::open(directory.join("model.safetensors")).unwrap();
    let matrix = alone.iter().find(|(name, _)| name.ends_with("self_attn.q_proj.weight"));
    let matrix = matrix.unwrap().1.clone();
    alone.insert("text_projection.weight", matrix);
    let file = SingleFile::from_tensors(&alone).unwrap();
    assert_eq!(file.text_encoder_config().unwrap().projection, None);
    assert_same(&file.text_encoder(&settings, &device).unwrap(), &expected);

    let directory = pipelines("stable-diffusion-3/text_encoder_3");
    let expected = T5Encoder::from_transformers(&directory, &device).unwrap();
    let settings = config("stable-diffusion-3/text_encoder_3");
    let settings = T5EncoderConfig::from_json(&settings).unwrap();
    let mut both = Tensors::open(directory.join("model.safetensors")).unwrap();
    let table = both.get("shared.weight").unwrap().clone();
    both.insert("encoder.embed_tokens.weight", table);
    let found = SingleFile::from_tensors(&both).unwrap().t5(&settings, &device).unwrap();
    assert_same(&found, &expected);
    both.remove("shared.weight").unwrap();
    let found = SingleFile::from_tensors(&both).unwrap().t5(&settings, &device).unwrap();
    assert_same(&found, &expected);
}

/// With norms of queries and keys, and a second attention; the names have nothing before them.
#[test]
fn stable_diffusion_3_5() {
    let device = Device::flex();
    let file = SingleFile::open(pipelines("single-file-sd35/model.safetensors")).unwrap();
    assert_eq!(file.layout(), Layout::StableDiffusion3);
    let directory = directory("sd35-transformer");
    let json = std::fs::read_to_string(directory.join("config.json")).unwrap();
    let settings = Sd3TransformerConfig::from_json(&json).unwrap();
    let expected = Sd3Transformer::from_diffusers(directory, &device).unwrap();
    assert_same(&file.sd3(&settings, &device).unwrap(), &expected);
    // All is told by the shapes but the size of the images of the training.
    let told = file.sd3_config().unwrap();
    assert_eq!(Sd3TransformerConfig { sample_size: settings.sample_size, ..told }, settings);
}

/// In the layout of Black Forest Labs, with ComfyUI's prefix and in bf16, and in GGUF.
#[test]
fn flux() {
    let device = Device::flex();
    for (name, file, output) in [
        ("single-file-flux", "flux1-tiny.safetensors", "out"),
        ("single-file-flux", "flux1-tiny-prefixed-bf16.safetensors", "out_bf16_weights"),
        ("gguf-flux", "flux-F16.gguf", "F16.out"),
        ("gguf-flux", "flux-Q8_0.gguf", "Q8_0.out"),
        ("gguf-flux", "flux-Q5_1.gguf", "Q5_1.out"),
        ("gguf-flux", "flux-Q4_0.gguf", "Q4_0.out"),
    ] {
        let json = std::fs::read_to_string(directory(name).join("config.json")).unwrap();
        let config = FluxTransformerConfig::from_json(&json).unwrap();
        let file = SingleFile::open(directory(name).join(file)).unwrap();
        assert_eq!(file.layout(), Layout::Flux);
        let network = file.flux(&config, &device).unwrap().map(&mut Cast(DType::F32));
        let reference = Recorded::of(name);
        let conditions = FluxConditions {
            encoder_hidden_states: reference.tensor("encoder_hidden_states"),
            pooled_projections: reference.tensor("pooled_projections"),
            img_ids: reference.tensor("img_ids"),
            txt_ids: reference.tensor("txt_ids"),
            guidance: reference.get("guidance"),
        };
        let (x, t) = (reference.tensor::<3>("x"), reference.tensor::<1>("t"));
        reference.assert(output, network.forward(x, t, conditions));
    }
}
