//! A network of each class that we know.

use std::error::Error;
use std::path::{Path, PathBuf};

use ddm_core::burn::tensor::DType;
use ddm_core::denoiser::{ConditionalPredictor, NoisePredictor};
use ddm_core::latent::Autoencoder;
use ddm_core::models::single_file::SingleFile;
use ddm_core::models::text::{ClipText, T5Encoder};
use ddm_core::models::transformer::{
    Dit, FluxConditions, FluxTransformer, FluxTransformerConfig, PixArt, PixArtConditions,
    Sd3Conditions, Sd3Transformer,
};
use ddm_core::models::{
    AddedConditions, AutoencoderKl, AutoencoderTiny, ClassEmbed, ClassLabels, Component, Control,
    ControlNet, ControlResiduals, UNet2d, UNet2dCondition, UNetCondition, VqModel,
};
use ddm_core::weights::LoadOptions;

use super::{CompareError, Reference};

/// Runs a network on the recorded inputs.
type Run = fn(&Path, &mut Reference) -> Result<(), Box<dyn Error>>;

/// Runs the network of a directory, and compares all outputs that are recorded.
pub(super) fn run(
    class: &str,
    directory: &Path,
    reference: &mut Reference,
) -> Result<(), CompareError> {
    let run: Run = match class {
        "CLIPTextModel" | "CLIPTextModelWithProjection" => clip,
        "T5EncoderModel" => t5,
        "DiTTransformer2DModel" => dit,
        "PixArtTransformer2DModel" => pixart,
        "SD3Transformer2DModel" => sd3,
        "FluxTransformer2DModel" => flux,
        "UNet2DModel" => unet,
        "UNet2DConditionModel" => conditional_unet,
        "ControlNetModel" => controlnet,
        "AutoencoderKL" => kl,
        "AutoencoderTiny" => tiny,
        "VQModel" => vq,
        _ => return Err(CompareError::Unsupported { what: class.to_owned() }),
    };
    Ok(run(directory, reference)?)
}

/// The type in which the outputs were recorded, as which each tensor is read.
fn options() -> LoadOptions {
    LoadOptions::new().with_float(DType::F32)
}

/// Loads the network of a directory.
fn component<M: Component>(directory: &Path, reference: &Reference) -> Result<M, Box<dyn Error>> {
    Ok(M::load_component(directory, &options(), reference.device())?)
}

fn clip(directory: &Path, reference: &mut Reference) -> Result<(), Box<dyn Error>> {
    let encoder: ClipText = component(directory, reference)?;
    let output = encoder.forward(reference.ints("input_ids")?)?;
    if let Some(penultimate) = output.hidden_states.iter().rev().nth(1) {
        reference.check("penultimate", penultimate.clone())?;
    }
    reference.check("last_hidden_state", output.last_hidden_state)?;
    reference.check("pooler_output", output.pooled)?;
    if let Some(embeds) = output.text_embeds {
        reference.check("text_embeds", embeds)?;
    }
    Ok(())
}

fn t5(directory: &Path, reference: &mut Reference) -> Result<(), Box<dyn Error>> {
    let encoder: T5Encoder = component(directory, reference)?;
    let ids = reference.ints("input_ids")?;
    for (i, state) in encoder.hidden_states(ids.clone(), None)?.into_iter().enumerate() {
        reference.check(&format!("hidden_state_{i}"), state)?;
    }
    reference.check("last_hidden_state", encoder.forward(ids.clone(), None)?)?;
    if reference.has("attention_mask") {
        let mask = reference.ints("attention_mask")?;
        reference.check("last_hidden_state_masked", encoder.forward(ids, Some(mask))?)?;
    }
    Ok(())
}

fn dit(directory: &Path, reference: &mut Reference) -> Result<(), Box<dyn Error>> {
    let network: Dit = component(directory, reference)?;
    let labels = reference.ints("class_labels")?;
    let out = network.forward(reference.floats("x")?, reference.floats("t")?, labels);
    Ok(reference.check("out", out)?)
}

fn pixart(directory: &Path, reference: &mut Reference) -> Result<(), Box<dyn Error>> {
    let network: PixArt = component(directory, reference)?;
    let mask = reference.has("encoder_attention_mask");
    let conditions = PixArtConditions {
        encoder_hidden_states: reference.floats("encoder_hidden_states")?,
        encoder_attention_mask: mask
            .then(|| reference.ints("encoder_attention_mask"))
            .transpose()?,
        resolution: reference.optional("resolution")?,
        aspect_ratio: reference.optional("aspect_ratio")?,
    };
    let out = network.forward(reference.floats("x")?, reference.floats("t")?, conditions);
    Ok(reference.check("out", out)?)
}

fn sd3(directory: &Path, reference: &mut Reference) -> Result<(), Box<dyn Error>> {
    let network: Sd3Transformer = component(directory, reference)?;
    let conditions = Sd3Conditions {
        encoder_hidden_states: reference.floats("encoder_hidden_states")?,
        pooled_projections: reference.floats("pooled_projections")?,
    };
    let out = network.forward(reference.floats("x")?, reference.floats("t")?, conditions);
    Ok(reference.check("out", out)?)
}

fn flux(directory: &Path, reference: &mut Reference) -> Result<(), Box<dyn Error>> {
    let files = single_files(directory)?;
    if files.is_empty() {
        let network = component(directory, reference)?;
        return flux_output(network, "out", reference);
    }
    let json = std::fs::read_to_string(directory.join("config.json"))?;
    let config = FluxTransformerConfig::from_json(&json)?;
    for file in files {
        let single = SingleFile::open(&file)?.with_options(options());
        let network = single.flux(&config, reference.device())?;
        // `flux-Q8_0.gguf` has the output `Q8_0.out`, and bf16 weights one of their own.
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let quantized = name.rsplit_once('-').map(|(_, kind)| format!("{kind}.out"));
        let output = match quantized.filter(|output| reference.has(output)) {
            Some(output) => output,
            None if name.contains("bf16") => "out_bf16_weights".to_owned(),
            None => "out".to_owned(),
        };
        flux_output(network, &output, reference)?;
    }
    Ok(())
}

/// Returns the files of weights that are no component of diffusers.
fn single_files(directory: &Path) -> Result<Vec<PathBuf>, std::io::Error> {
    let entries = std::fs::read_dir(directory)?.collect::<Result<Vec<_>, _>>()?;
    let mut files: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).collect();
    files.retain(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let ours = name == "reference.safetensors" || name.starts_with("diffusion_pytorch_model");
        !ours && (name.ends_with(".safetensors") || name.ends_with(".gguf"))
    });
    files.sort();
    Ok(files)
}

fn flux_output(
    network: FluxTransformer,
    output: &str,
    reference: &mut Reference,
) -> Result<(), Box<dyn Error>> {
    let conditions = FluxConditions {
        encoder_hidden_states: reference.floats("encoder_hidden_states")?,
        pooled_projections: reference.floats("pooled_projections")?,
        img_ids: reference.floats("img_ids")?,
        txt_ids: reference.floats("txt_ids")?,
        guidance: reference.optional("guidance")?,
    };
    let out = network.forward(reference.floats("x")?, reference.floats("t")?, conditions);
    Ok(reference.check(output, out)?)
}

/// Returns whether labels are embedded as numbers, as the timestep is.
fn embeds_numbers(class: &Option<ClassEmbed>) -> bool {
    matches!(class, Some(ClassEmbed::Timestep))
}

/// Returns the recorded labels: vectors, classes, or numbers, as the network takes them.
fn labels(reference: &Reference, numbers: bool) -> Result<Option<ClassLabels>, Box<dyn Error>> {
    if !reference.has("class_labels") {
        return Ok(None);
    }
    Ok(Some(if reference.shape("class_labels")?.len() == 2 {
        ClassLabels::Vector(reference.floats("class_labels")?)
    } else if numbers || !reference.is_int("class_labels")? {
        ClassLabels::Number(reference.floats("class_labels")?)
    } else {
        ClassLabels::Class(reference.ints("class_labels")?)
    }))
}

fn unet(directory: &Path, reference: &mut Reference) -> Result<(), Box<dyn Error>> {
    let network: UNet2d = component(directory, reference)?;
    let (x, t) = (reference.floats("x")?, reference.floats("t")?);
    let out = match labels(reference, embeds_numbers(&network.config().class_embed))? {
        Some(labels) => network.predict_with(x, t, labels),
        None => network.predict(x, t),
    };
    Ok(reference.check("out", out)?)
}

fn condition(reference: &Reference, numbers: bool) -> Result<UNetCondition, Box<dyn Error>> {
    let added = reference.optional("text_embeds")?.zip(reference.optional("time_ids")?);
    Ok(UNetCondition {
        class_labels: labels(reference, numbers)?,
        timestep_cond: reference.optional("timestep_cond")?,
        added: added.map(|(text_embeds, time_ids)| AddedConditions { text_embeds, time_ids }),
        ..UNetCondition::new(reference.floats("encoder_hidden_states")?)
    })
}

fn conditional_unet(directory: &Path, reference: &mut Reference) -> Result<(), Box<dyn Error>> {
    let network: UNet2dCondition = component(directory, reference)?;
    let condition = condition(reference, embeds_numbers(&network.config().class_embed))?;
    let (x, t) = (reference.floats::<4>("x")?, reference.floats::<1>("t")?);
    let mut down = Vec::new();
    while let Some(residual) = reference.optional(&format!("down_{}", down.len()))? {
        down.push(residual);
    }
    let out = network.predict_with(x.clone(), t.clone(), condition.clone());
    let Some(mid) = reference.optional("mid")? else {
        return Ok(reference.check("out", out)?);
    };
    reference.check("out_without", out)?;
    let residuals = Some(ControlResiduals { down, mid });
    let out = network.predict_with(x, t, UNetCondition { residuals, ..condition });
    Ok(reference.check("out", out)?)
}

fn controlnet(directory: &Path, reference: &mut Reference) -> Result<(), Box<dyn Error>> {
    let network: ControlNet = component(directory, reference)?;
    let condition = condition(reference, false)?;
    let full = Control::new(reference.floats("controlnet_cond")?);
    let weak = Control { conditioning_scale: 0.7, ..full.clone() };
    let guess = Control { guess_mode: true, ..full.clone() };
    for (control, prefix, suffix) in
        [(full, "", ""), (weak, "", "_scale_0.7"), (guess, "guess_", "")]
    {
        let (x, t) = (reference.floats("x")?, reference.floats("t")?);
        let residuals = network.residuals(x, t, &condition, &control);
        for (i, down) in residuals.down.into_iter().enumerate() {
            reference.check(&format!("{prefix}down_{i}{suffix}"), down)?;
        }
        reference.check(&format!("{prefix}mid{suffix}"), residuals.mid)?;
    }
    Ok(())
}

fn kl(directory: &Path, reference: &mut Reference) -> Result<(), Box<dyn Error>> {
    let vae: AutoencoderKl = component(directory, reference)?;
    let posterior = vae.encode(reference.floats("x")?);
    reference.check("mean", posterior.mean())?;
    reference.check("logvar", posterior.log_variance())?;
    reference.check("std", posterior.std())?;
    reference.check("reconstruction", vae.decode(posterior.mode()))?;
    let decoded = vae.decode(reference.floats("z")?);
    Ok(reference.check("decoded", decoded)?)
}

fn tiny(directory: &Path, reference: &mut Reference) -> Result<(), Box<dyn Error>> {
    let vae: AutoencoderTiny = component(directory, reference)?;
    let latents = vae.encode(reference.floats("x")?).mode();
    reference.check("latents", latents)?;
    let decoded = vae.decode(reference.floats("latents")?);
    Ok(reference.check("decoded", decoded)?)
}

fn vq(directory: &Path, reference: &mut Reference) -> Result<(), Box<dyn Error>> {
    let vae: VqModel = component(directory, reference)?;
    let latents = vae.encode(reference.floats("x")?).mode();
    reference.check("latents", latents)?;
    let z = reference.floats::<4>("z")?;
    let quantized = vae.quantize(z.clone());
    reference.check("z_quantized", quantized.z)?;
    reference.check("indices", quantized.indices.float().flatten::<1>(0, 2))?;
    reference.check("decoded", vae.decode(z.clone()))?;
    Ok(reference.check("decoded_not_quantized", vae.decode_unquantized(z))?)
}
