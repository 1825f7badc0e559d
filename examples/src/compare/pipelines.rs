//! Pipelines on recorded requests and noise.

use std::error::Error;
use std::path::{Path, PathBuf};

use ddm_core::burn::tensor::Tensor;
use ddm_core::diffusers::{SchedulerConfig, SetTimesteps, StepArgs};
use ddm_core::noise::RecordedNoise;
use ddm_core::pipelines::{ControlImage, Generation, Loading, Pipeline, Request, Sizes, open};
use ddm_core::prelude::Device;
use ddm_core::samplers::Frame;
use serde_json::Value;

use super::{CompareError, Line, Reference};

/// Runs the pipeline of a directory for each of its references.
pub(super) fn run(directory: &Path, device: &Device) -> Result<Vec<Line>, CompareError> {
    let pipeline = open(directory, &Loading::new(device)).map_err(unsupported)?;
    let mut lines = Vec::new();
    for path in references(directory).map_err(|error| CompareError::Read(error.into()))? {
        let mut reference = Reference::open_file(&path, device)?;
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let prefix = stem.strip_prefix("reference").unwrap_or_default().trim_start_matches('_');
        images(&*pipeline, &mut reference)?;
        lines.extend(reference.into_lines().into_iter().map(|line| line.within(prefix)));
    }
    Ok(lines)
}

fn unsupported(error: ddm_core::pipelines::PipelineError) -> CompareError {
    use ddm_core::pipelines::PipelineError::UnknownClass;
    match error {
        UnknownClass { found, .. } => CompareError::Unsupported { what: found },
        other => CompareError::Read(other.into()),
    }
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

/// Runs a pipeline, and compares what is recorded.
pub(super) fn images(
    pipeline: &dyn Pipeline,
    reference: &mut Reference,
) -> Result<(), Box<dyn Error>> {
    let request = request(reference)?;
    let noise = RecordedNoise::new(draws(reference)?);
    let mut run = pipeline.start(&request, Box::new(noise))?;
    let levels = run.levels();
    let timesteps: Vec<f32> =
        levels[..levels.steps()].iter().map(|level| level.timestep as f32).collect();
    // Classes that call the network twice a step list a timestep for each call.
    if reference.has("timesteps") && reference.shape("timesteps")? == [timesteps.len()] {
        reference.check("timesteps", Tensor::<1>::from_floats(&*timesteps, reference.device()))?;
    }
    let mut frames = Vec::with_capacity(run.len());
    for frame in run.by_ref() {
        frames.push(theirs(&run_scale(&frame, pipeline, &request), frame, reference)?);
    }
    Ok(())
}
