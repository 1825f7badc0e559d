//! Pipelines on recorded requests and noise.

use std::error::Error;
use std::path::{Path, PathBuf};

use ddm_core::burn::tensor::{FloatDType, Tensor};
use ddm_core::diffusers::{SchedulerConfig, SetTimesteps, StepArgs};
use ddm_core::noise::{NoiseSource, RecordedNoise};
use ddm_core::pipelines::PipelineError::UnknownClass;
use ddm_core::pipelines::{
    ControlImage, Loading, Pipeline, Request, Sizes, StableDiffusion3, open, pack, scheduler_named,
};
use ddm_core::prelude::Device;
use serde_json::Value;

use super::{CompareError, Line, Reference};
use crate::tensors::numbers;

/// Runs the pipeline of a directory for each of its references.
pub(super) fn run(
    directory: &Path,
    device: &Device,
    tolerance: f64,
) -> Result<Vec<Line>, CompareError> {
    let mut lines = Vec::new();
    for path in references(directory).map_err(|error| CompareError::Read(error.into()))? {
        let mut found = Vec::new();
        // What is off in f32 is computed once more in f64, which tells a mistake from the rounding
        // of a network that is sensitive to it.
        for dtype in [FloatDType::F32, FloatDType::F64] {
            let mut reference = Reference::open(&path, device)?;
            let pipeline = opened(directory, &reference, dtype)?;
            compare(&*pipeline, &mut reference, dtype == FloatDType::F64)?;
            let in_f64 = dtype == FloatDType::F64;
            found = reference.into_lines();
            found.iter_mut().for_each(|line| line.in_f64 = in_f64);
            if found.iter().all(|line| line.error <= tolerance) {
                break;
            }
        }
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let suffix = stem.strip_prefix("reference").unwrap_or_default().to_owned();
        lines.extend(found.into_iter().map(|line| Line { name: line.name + &suffix, ..line }));
    }
    Ok(lines)
}

/// Returns the files `reference*.safetensors`.
fn references(directory: &Path) -> Result<Vec<PathBuf>, std::io::Error> {
    let entries = std::fs::read_dir(directory)?.collect::<Result<Vec<_>, _>>()?;
    let mut found: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).collect();
    found.retain(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("reference") && name.ends_with(".safetensors")
    });
    found.sort();
    Ok(found)
}

/// Opens the pipeline for a recorded request.
fn opened(
    directory: &Path,
    reference: &Reference,
    dtype: FloatDType,
) -> Result<Box<dyn Pipeline>, CompareError> {
    let loading = Loading::new(reference.device()).dtype(Some(dtype));
    // Recorded without the third text encoder, which the directory has.
    let without_t5 = reference.metadata("note").is_some_and(|note| note.contains("_3 dropped"));
    let pipeline = if without_t5 {
        StableDiffusion3::open(directory, &loading).map(|mut pipeline| {
            pipeline.t5 = None;
            Box::new(pipeline) as Box<dyn Pipeline>
        })
    } else {
        open(directory, &loading)
    };
    pipeline.map_err(|error| match error {
        UnknownClass { found, .. } => CompareError::Unsupported { what: found },
        other => CompareError::Read(other.into()),
    })
}

/// The noise of a record in f64, for networks in f64.
struct Wide(RecordedNoise);

impl NoiseSource for Wide {
    fn normal(&mut self, shape: &[usize], device: &Device) -> Tensor<1> {
        self.0.normal(shape, device).cast(FloatDType::F64)
    }
}

/// Runs a pipeline on a recorded request, and compares the images and the latents on their way.
pub(super) fn compare(
    pipeline: &dyn Pipeline,
    reference: &mut Reference,
    wide: bool,
) -> Result<(), Box<dyn Error>> {
    let request = request(reference)?;
    let noise = RecordedNoise::new(draws(reference)?);
    let noise: Box<dyn NoiseSource> = if wide { Box::new(Wide(noise)) } else { Box::new(noise) };
    let mut run = pipeline.start(&request, noise)?;
    let levels = run.levels().clone();
    let steps = levels.steps();
    if reference.has("timesteps") && reference.shape("timesteps")? == [steps] {
        let timesteps: Vec<f32> = levels[..steps].iter().map(|at| at.timestep as f32).collect();
        reference.check("timesteps", Tensor::<1>::from_floats(&*timesteps, reference.device()))?;
    }
    let mut latents = Vec::with_capacity(steps);
    while let Some(frame) = run.next() {
        latents.push(frame.x * run.scheduler().scale_to_theirs(frame.level));
    }
    // The trajectory is what the scheduler returned, before inpainting puts the image back.
    if reference.has("trajectory") && request.mask.is_none() {
        trajectory(&latents, reference)?;
    }
    if let Some(last) = latents.pop().filter(|_| reference.has("final_latents")) {
        match reference.shape("final_latents")?.len() {
            3 => reference.check("final_latents", pack(last))?,
            _ => reference.check("final_latents", last)?,
        }
    }
    let images = run.images()?;
    reference.check("images", images.clone())?;
    reference.check("image", images)?;
    // An older record has the image of a second sampler, under its name.
    if reference.has("image_dpmpp2m_karras") {
        let scheduler = Some(scheduler_named("dpmpp-2m-karras", pipeline.scheduler())?);
        let noise = RecordedNoise::new(draws(reference)?);
        let run = pipeline.start(&Request { scheduler, ..request }, Box::new(noise))?;
        reference.check("image_dpmpp2m_karras", run.images()?)?;
    }
    Ok(())
}

/// Compares x after each step with the last entries of the trajectory.
///
/// Classes that call the network twice in a step record what they return for both calls.
fn trajectory(latents: &[Tensor<4>], reference: &mut Reference) -> Result<(), Box<dyn Error>> {
    let recorded = reference.shape("trajectory")?.to_vec();
    let latents = if recorded[0] == latents.len() || recorded[0] == latents.len() + 1 {
        latents
    } else {
        &latents[latents.len().saturating_sub(1)..]
    };
    let skipped = recorded[0].saturating_sub(latents.len());
    if recorded.len() == 4 {
        let packed = latents.iter().cloned().map(pack).collect();
        return Ok(reference.check_rows("trajectory", skipped, Tensor::stack::<4>(packed, 0))?);
    }
    Ok(reference.check_rows("trajectory", skipped, Tensor::stack::<5>(latents.to_vec(), 0))?)
}

/// Returns the draws of noise, in order.
pub(super) fn draws(reference: &Reference) -> Result<Vec<Vec<f32>>, Box<dyn Error>> {
    let names = (0..).map(|draw| format!("noise.{draw}"));
    let mut names: Vec<String> = names.take_while(|name| reference.has(name)).collect();
    if names.is_empty() {
        // Older records have the noise of the start alone.
        names.extend(
            ["x_T", "latents"].map(str::to_owned).into_iter().filter(|it| reference.has(it)),
        );
    }
    let draw = |name: &String| Ok(numbers(reference.floats::<4>(name)?));
    names.iter().map(draw).collect()
}

/// Reads the request from the metadata, which has the names of diffusers' arguments.
pub(super) fn request(reference: &Reference) -> Result<Request, Box<dyn Error>> {
    let json = |name: &str| {
        let text = reference.metadata(name)?;
        Some(serde_json::from_str(text).unwrap_or_else(|_| Value::from(text)))
    };
    let number = |name: &str| json(name)?.as_f64();
    let size = |name: &str| number(name).map(|number| number as usize);
    let text = |name: &str| reference.metadata(name).map(str::to_owned);
    let pair = |name: &str| {
        let list = json(name)?;
        Some([list[0].as_u64()? as usize, list[1].as_u64()? as usize])
    };
    let numbers =
        |list: Value| list.as_array()?.iter().map(Value::as_f64).collect::<Option<Vec<_>>>();
    let classes = json("class_labels").and_then(numbers).unwrap_or_default();
    let mut classes: Vec<i64> = classes.into_iter().map(|class| class as i64).collect();
    if classes.is_empty() && reference.has("class_labels") {
        let labels = reference.ints::<1>("class_labels")?.into_data();
        classes = labels.convert::<i64>().try_to_vec()?;
    }
    let start = ["noise.0", "x_T", "latents"].into_iter().find(|name| reference.has(name));
    let drawn = start.map(|name| reference.shape(name)).transpose()?;
    let steps = size("num_inference_steps").or(size("steps"));
    let timesteps = json("timesteps").and_then(numbers).map(SetTimesteps::timesteps);
    let scheduler = text("scheduler_config").map(|json| json.parse::<SchedulerConfig>());
    let control = number("controlnet_conditioning_scale");
    let image = reference.optional("input.image")?;
    let (image, control) = match control {
        None => (image, None),
        Some(scale) => {
            let edge = |name, default| number(name).unwrap_or(default);
            let active = edge("control_guidance_start", 0.0)..=edge("control_guidance_end", 1.0);
            let guess = json("guess_mode") == Some(Value::Bool(true));
            (None, image.map(|image| ControlImage { image, scale, guess, active }))
        }
    };
    Ok(Request {
        prompt: text("prompt").unwrap_or_default(),
        negative: text("negative_prompt"),
        classes,
        batch: size("batch_size").or(drawn.map(|shape| shape[0])).unwrap_or(1),
        height: size("height"),
        width: size("width"),
        // Records without a number were made with ten steps.
        steps: Some(timesteps.unwrap_or_else(|| steps.unwrap_or(10).into())),
        guidance: number("guidance_scale"),
        rescale: number("guidance_rescale").unwrap_or(0.0),
        scheduler: scheduler.transpose()?,
        step: StepArgs { eta: number("eta"), ..StepArgs::default() },
        image,
        mask: reference.optional("input.mask_image")?,
        strength: number("strength"),
        aesthetic_scores: number("aesthetic_score")
            .zip(number("negative_aesthetic_score"))
            .map(Into::into),
        control,
        sizes: Sizes {
            original: pair("original_size"),
            crop: pair("crops_coords_top_left").unwrap_or_default(),
            target: pair("target_size"),
        },
        binning: json("use_resolution_binning") == Some(Value::Bool(true)),
        max_sequence_length: size("max_sequence_length"),
        ..Request::default()
    })
}
