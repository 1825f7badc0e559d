//! Recorded runs of diffusers, run again by the sampler that their config means.
//!
//! The recorded network is `F(x, t) = 0.5 tanh(x + t/1000) + 0.3 x`. x is compared after every step,
//! in the coordinates of the recorded scheduler: the frame of a step is the x that was recorded at
//! its last model call.

use std::fs::File;
use std::path::Path;
use std::{fmt, io};

use burn::tensor::{Device, Tensor};
use ddm_denoiser::from_fn;
use ddm_diffusers::{ConfigError, SchedulerConfig, SetTimesteps, StepArgs, json};
use ddm_samplers::{Frame, Sampling, SamplingError};
use flate2::read::GzDecoder;
use thiserror::Error;

use super::recording::{Recording, Recordings};

/// A file of recorded runs that cannot be read.
#[derive(Debug, Error)]
pub(crate) enum ReplayError {
    /// The file cannot be opened.
    #[error("{file} cannot be read: {source}")]
    Unreadable {
        /// The file.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// It holds something else.
    #[error("{file} holds no recorded runs: {source}")]
    Garbled {
        /// The file.
        file: String,
        /// Where and why.
        source: serde_json::Error,
    },
}

/// What came of a recorded run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    /// It was run; the largest of all steps' `max |Δ|/max |x|`. NaN or infinite if x is.
    Ran {
        /// The largest relative error.
        error: f64,
    },
    /// The run calls the model another number of times, so its steps are others.
    OtherCalls {
        /// Calls that were made.
        made: usize,
        /// Calls that were recorded.
        recorded: usize,
    },
    /// Its settings cannot be mapped.
    Unsupported {
        /// Why.
        reason: String,
    },
}

impl Outcome {
    /// Whether the recorded path was taken, up to this relative error.
    pub(crate) fn is_ok(&self, tolerance: f64) -> bool {
        matches!(self, Self::Ran { error } if *error <= tolerance)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ran { error } => write!(f, "{error:9.2e}"),
            Self::OtherCalls { made, recorded } => {
                write!(f, "{made} model calls where {recorded} were recorded")
            }
            Self::Unsupported { reason } => write!(f, "unsupported: {reason}"),
        }
    }
}

/// Reads a file of recorded runs.
pub(crate) fn read(file: &Path) -> Result<Vec<Recording>, ReplayError> {
    let name = || file.display().to_string();
    let text = text(file).map_err(|source| ReplayError::Unreadable { file: name(), source })?;
    let recordings: Recordings = serde_json::from_str(&json::quoted(&text))
        .map_err(|source| ReplayError::Garbled { file: name(), source })?;
    Ok(recordings.cases)
}

/// The text of a file, which may be gzipped.
fn text(file: &Path) -> io::Result<String> {
    match file.extension() {
        Some(end) if end == "gz" => io::read_to_string(GzDecoder::new(File::open(file)?)),
        _ => std::fs::read_to_string(file),
    }
}

/// Runs a recorded run again on `device`.
pub(crate) fn replay(recording: &Recording, device: &Device) -> Outcome {
    let reason = match path_error(recording, device) {
        Ok(outcome) => return outcome,
        Err(error) => error.to_string(),
    };
    Outcome::Unsupported { reason }
}

fn path_error(recording: &Recording, device: &Device) -> Result<Outcome, ConfigError> {
    let config = SchedulerConfig::from_value(&recording.scheduler_config)?;
    let args = StepArgs::from_value(&recording.step_args)?;
    let set = SetTimesteps::from_value(&recording.set_timesteps, recording.steps)?;
    let levels = config.levels(set)?;
    let two_heads = recording.variance_network.is_some();
    let network = from_fn(move |x: Tensor<4>, t| match two_heads {
        false => network(x, t),
        true => Tensor::cat(vec![network(x.clone(), t), x.tanh()], 1),
    });
    let (schedule, model) = (config.schedule()?, config.denoiser(network)?);
    let x = recording.start(device) * config.start_scale(levels[0]);
    let theirs = |frame: Frame<4>| {
        let scale = config.scale_to_theirs(frame.level);
        (frame.evaluations, frame.x * scale)
    };
    if config.inverts() {
        return Ok(worst(recording, config.invert(&*model, &levels, x)?.map(theirs)));
    }
    let sampler = match &recording.repaint {
        Some(part) => {
            let tensor = |numbers| recording.tensor(numbers, device);
            let (known, mask) = (tensor(&part.known), tensor(&part.mask));
            config.repaint(known, mask, part.jump_length, part.jump_n_sample)?
        }
        None => config.sampler_with::<4>(&args)?,
    };
    let run = Sampling::new(&*model, &*schedule).sampler(sampler).levels(levels);
    let run = run.noise(recording.noise()).start_from(x);
    let run = run.map_err(|error: SamplingError| ConfigError::Sampling(error))?;
    Ok(worst(recording, run.map(theirs)))
}

/// The recorded network; its variance, where it has one, is tanh(x).
pub(crate) fn network(x: Tensor<4>, t: Tensor<1>) -> Tensor<4> {
    (x.clone() + t.reshape([-1, 1, 1, 1]) / 1000.0).tanh() * 0.5 + x * 0.3
}

/// The largest relative error of the frames, each given with the number of calls so far.
fn worst(recording: &Recording, frames: impl Iterator<Item = (usize, Tensor<4>)>) -> Outcome {
    let recorded = recording.x.len();
    let (mut error, mut made): (f64, usize) = (0.0, 0);
    for (calls, x) in frames {
        made = calls;
        let Some(demanded) = calls.checked_sub(1).and_then(|call| recording.x.get(call)) else {
            return Outcome::OtherCalls { made, recorded };
        };
        let found: Vec<f64> = x.try_into_vec_as().unwrap_or_default();
        let step = relative(&found, demanded);
        // NaN stays: it agrees with nothing.
        error = if step.is_nan() { step } else { error.max(step) };
        if error.is_nan() {
            break;
        }
    }
    if made == recorded || error.is_nan() {
        Outcome::Ran { error }
    } else {
        Outcome::OtherCalls { made, recorded }
    }
}

/// `max |Δ|/max |x|`; NaN where the sizes differ.
fn relative(found: &[f64], demanded: &[f64]) -> f64 {
    if found.len() != demanded.len() {
        return f64::NAN;
    }
    let size = demanded.iter().fold(0.0, |size: f64, value| size.max(value.abs()));
    let differences = found.iter().zip(demanded).map(|(found, demanded)| (found - demanded).abs());
    // f64::max drops NaN, so it is looked for by hand.
    let largest = differences.fold(0.0, |largest: f64, difference| {
        if difference.is_nan() || difference > largest { difference } else { largest }
    });
    if largest == 0.0 { 0.0 } else { largest / size }
}
