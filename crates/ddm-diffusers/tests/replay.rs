//! Trajectories that diffusers recorded, step by step (`testdata/schedulers`).

#[path = "../examples/replay/recording.rs"]
mod recording;
#[path = "../examples/replay/replay.rs"]
mod replay;

use std::path::{Path, PathBuf};

use burn::tensor::Device;
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
        if path.extension().is_none_or(|end| end != "json") {
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
    assert!(count >= 127 + 70 + 32, "{count} cases");
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
fn a_file_without_runs_is_told_in_a_sentence() {
    assert!(matches!(read(&folder().join("none.json")), Err(ReplayError::Unreadable { .. })));
    assert!(matches!(read(&folder().join("README.md")), Err(ReplayError::Garbled { .. })));
}

#[test]
fn another_path_is_told_apart() {
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
