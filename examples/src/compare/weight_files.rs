//! Single files and LoRAs, with the pipeline whose configs they go with.

use std::error::Error;
use std::path::{Path, PathBuf};

use ddm_core::burn::module::Module;
use ddm_core::burn::tensor::DType;
use ddm_core::models::lora::Lora;
use ddm_core::models::single_file::SingleFile;
use ddm_core::noise::RecordedNoise;
use ddm_core::pipelines::{Loading, Pipeline, StableDiffusion, open};
use ddm_core::prelude::{Device, Tensor};
use ddm_core::weights::{Tensors, save};

use super::pipelines::{draws, request};
use super::{Line, Reference};

/// Runs the pipeline that the reference names, beside the directory, with each file of weights in it.
pub(super) fn run(directory: &Path, device: &Device) -> Result<Vec<Line>, Box<dyn Error>> {
    let mut reference = Reference::open(&directory.join("reference.safetensors"), device)?;
    let name = reference.metadata("pipeline").unwrap_or_default().to_owned();
    let base = directory.parent().unwrap_or(Path::new(".")).join(name);
    for path in files(directory)? {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        match Lora::open(&path) {
            Ok(_) => {
                let kind = if stem == "pytorch_lora_weights" { "peft" } else { &stem };
                lora(&path, &base, kind, &mut reference)?;
            }
            Err(no_lora) => {
                let file = SingleFile::open(&path).map_err(|no_single_file| {
                    let path = path.display();
                    format!("{path} is no LoRA ({no_lora}), and no single file ({no_single_file})")
                })?;
                let pipeline = open(&base, &Loading::new(device).single_file(file))?;
                let halved = stem.contains("fp16") && reference.has("image_fp16_weights");
                let output = if halved { "image_fp16_weights" } else { "image" };
                let image = image(&*pipeline, &reference)?;
                reference.check_as(&format!("{output} of {stem}"), output, image)?;
            }
        }
    }
    if reference.has("image_base") {
        let image = image(&*open(&base, &Loading::new(device))?, &reference)?;
        reference.check("image_base", image)?;
    }
    Ok(reference.into_lines())
}

/// Returns the files of weights in a directory.
fn files(directory: &Path) -> Result<Vec<PathBuf>, std::io::Error> {
    let entries = std::fs::read_dir(directory)?.collect::<Result<Vec<_>, _>>()?;
    let mut found: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).collect();
    found.retain(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let weights = [".safetensors", ".ckpt", ".bin", ".gguf"];
        !name.starts_with("reference") && weights.iter().any(|ending| name.ends_with(ending))
    });
    found.sort();
    Ok(found)
}

fn image(pipeline: &dyn Pipeline, reference: &Reference) -> Result<Tensor<4>, Box<dyn Error>> {
    let noise = RecordedNoise::new(draws(reference)?);
    Ok(pipeline.start(&request(reference)?, Box::new(noise))?.images()?)
}

/// Compares images and merged weights, each at the weight of the LoRA that its name ends with.
fn lora(
    path: &Path,
    base: &Path,
    kind: &str,
    reference: &mut Reference,
) -> Result<(), Box<dyn Error>> {
    let names: Vec<String> = reference.names().map(str::to_owned).collect();
    for name in names {
        let Some(output) = name.strip_prefix(&format!("{kind}.")) else { continue };
        let with = |weight: &str| -> Result<Loading, Box<dyn Error>> {
            Ok(Loading::new(reference.device()).lora(Lora::open(path)?, weight.parse()?))
        };
        let weight = ["image_scale_", "image_fused_"].iter().find_map(|it| output.strip_prefix(it));
        if let Some(weight) = weight {
            let image = image(&*open(base, &with(weight)?)?, reference)?;
            reference.check(&name, image)?;
        } else if let Some((weight, key)) = merged(output) {
            let pipeline = StableDiffusion::open(base, &with(weight)?.prepare(false))?;
            let (unet, encoder) = (pipeline.diffusion.unet.get()?, pipeline.text_encoder.get()?);
            let found = match (key.split_once('.'), unet.network(), encoder.network()) {
                (Some(("unet", key)), Some(unet), _) => weights(unet, key)?,
                (Some(("text_encoder", key)), _, Some(encoder)) => {
                    weights(encoder, &format!("text_model.{key}"))?
                }
                _ => return Err(format!("{name} is of an unknown part").into()),
            };
            reference.check_flat(&name, &found)?;
        }
    }
    Ok(())
}

/// Splits `fused_0.8.unet.key` into the weight and the rest.
fn merged(output: &str) -> Option<(&str, &str)> {
    let rest = output.strip_prefix("fused_")?;
    let part = rest.find("unet.").or_else(|| rest.find("text_encoder."))?;
    Some((rest[..part].trim_end_matches('.'), &rest[part..]))
}

/// Returns a parameter of a network, as PyTorch has it.
fn weights<M: Module>(network: &M, key: &str) -> Result<Vec<f32>, Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("weights.safetensors");
    save(network, &path)?;
    Ok(Tensors::open(&path)?.read_as(key, DType::F32)?.try_into_vec()?)
}
