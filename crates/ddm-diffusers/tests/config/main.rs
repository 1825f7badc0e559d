//! Scheduler configs against recorded runs of diffusers (`testdata/schedulers`).

mod effects;
mod levels;
mod notes;
mod reading;
mod refused;

use std::path::Path;

use ddm_diffusers::json::quoted;
use serde_json::Value;

/// Every recorded case.
fn cases() -> Vec<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/schedulers");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    let mut cases = Vec::new();
    for file in files.iter().filter(|file| file.extension().is_some_and(|end| end == "json")) {
        let text = quoted(&std::fs::read_to_string(file).unwrap());
        let recorded: Value = serde_json::from_str(&text).unwrap();
        cases.extend(recorded["cases"].as_array().unwrap().iter().cloned());
    }
    cases
}
