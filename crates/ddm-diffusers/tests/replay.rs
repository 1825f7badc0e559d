//! Trajectories that diffusers recorded, step by step (`testdata/schedulers`).

#[path = "../examples/replay/recording.rs"]
mod recording;
#[path = "../examples/replay/replay.rs"]
mod replay;

use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor};
use ddm_denoiser::from_fn;
use ddm_diffusers::{SchedulerConfig, StepArgs};
use ddm_samplers::{Pndm, PndmStart, Sampling};
use ddm_schedule::Levels;
use recording::Recording;
use replay::{Outcome, ReplayError, read, replay};
use serde_json::json;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/schedulers")
}

fn recordings(file: &str) -> Vec<Recording> {
    read(&folder().join(file)).unwrap()
}

#[test]
fn every_recorded_run_is_taken_again() {
    let mut off = Vec::new();
    let mut count = 0;
    let files = |folder: PathBuf| std::fs::read_dir(folder).unwrap();
    for entry in files(folder())
        .chain(files(folder().join("edges")))
        .chain(files(folder().join("published")))
    {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|end| end != "json" && end != "gz") {
            continue;
        }
        for recording in read(&path).unwrap() {
            count += 1;
            let outcome = replay(&recording, &Device::flex());
            if !outcome.is_ok(1e-4) {
                off.push(format!("{}: {outcome}", recording.name));
            }
        }
    }
    assert!(count >= 127 + 70 + 107, "{count} cases");
    assert!(off.is_empty(), "{} of {count} are off:\n{}", off.len(), off.join("\n"));
}

#[test]
fn what_cannot_be_mapped_says_why() {
    let recording = &recordings("DDIMScheduler.json")[0];
    let why = |recording: Recording| match replay(&recording, &Device::flex()) {
        Outcome::Unsupported { reason } => reason,
        other => panic!("{other}"),
    };
    let class = json!({"_class_name": "ScoreSdeVeScheduler"});
    let reason = why(Recording { scheduler_config: class, ..recording.clone() });
    assert!(reason.contains("ScoreSdeVeScheduler"), "{reason}");
    let reason = why(Recording { set_timesteps: json!({"sigmas": [1.0]}), ..recording.clone() });
    assert!(reason.contains("sigmas"), "{reason}");
    let reason = why(Recording { step_args: json!({"s_churn": 1.0}), ..recording.clone() });
    assert!(reason.contains("s_churn"), "{reason}");
}

#[test]
fn a_file_without_runs_is_one_sentence() {
    assert!(matches!(read(&folder().join("none.json")), Err(ReplayError::Unreadable { .. })));
    assert!(matches!(read(&folder().join("README.md")), Err(ReplayError::Garbled { .. })));
}

#[test]
fn another_path_fails() {
    let recording = &recordings("DDIMScheduler.json")[0];
    let moved = |by: f64| {
        let mut recording = recording.clone();
        recording.x[3][0] += by;
        replay(&recording, &Device::flex())
    };
    assert!(moved(0.0).is_ok(1e-4));
    assert!(!moved(0.01).is_ok(1e-4) && !moved(f64::NAN).is_ok(1e-4));
    let short = Recording { x: recording.x[..5].to_vec(), ..recording.clone() };
    let outcome = replay(&short, &Device::flex());
    assert!(matches!(outcome, Outcome::OtherCalls { recorded: 5, .. }), "{outcome}");
}

/// Where n divides T, the rows of PNDM are those of `ddm_samplers::Pndm`, whose coefficients are
/// exact: the two take one path.
#[test]
fn pndm_of_the_samplers_takes_the_path_of_diffusers() {
    for recording in recordings("PNDMScheduler.json") {
        let config = SchedulerConfig::from_value(&recording.scheduler_config).unwrap();
        let skips = config.get("skip_prk_steps") == Some(&json!(true));
        let start = if skips { PndmStart::Heun } else { PndmStart::RungeKutta };
        let model = config.denoiser(from_fn(replay::network)).unwrap();
        let (schedule, levels) = (config.schedule().unwrap(), config.levels(10).unwrap());
        let run = Sampling::new(&*model, &*schedule).levels(levels);
        let run = run.sampler(Pndm { start, parameterization: config.parameterization().unwrap() });
        let x = run.start_from(recording.start(&Device::flex())).unwrap().finish();
        let last: Vec<f64> = recording.x.last().unwrap().clone();
        let found: Vec<f64> = x.try_into_vec_as().unwrap();
        let off = found.iter().zip(&last).fold(0.0, |m: f64, (a, b)| m.max((a - b).abs()));
        assert!(off <= 1e-4, "{}: {off}", recording.name);
    }
}

/// A part of a run steps as far down as the whole one.
#[test]
fn a_walk_knows_the_steps_of_the_whole_run() {
    let text = r#"{"_class_name": "DDIMScheduler", "timestep_spacing": "trailing"}"#;
    let config: SchedulerConfig = text.parse().unwrap();
    let model = config.denoiser(from_fn(replay::network)).unwrap();
    let (schedule, all) = (config.schedule().unwrap(), config.levels(7).unwrap());
    let args = StepArgs { inference_steps: Some(7), ..StepArgs::default() };
    let sampler = config.sampler_with::<4>(&args).unwrap();
    let x = Tensor::<4>::ones([1, 1, 2, 2], &Device::flex());
    let run = |levels: Levels, sampler| {
        Sampling::new(&*model, &*schedule).sampler(sampler).levels(levels)
    };
    let mut whole = run(all.clone(), config.sampler::<4>().unwrap()).start_from(x).unwrap();
    let middle = whole.nth(2).unwrap().x;
    let rest = Levels::new(all[3..].to_vec()).unwrap();
    let part = run(rest, sampler).start_from(middle).unwrap().finish();
    assert!(part.all_close(whole.finish(), None, Some(1e-6)));
}
