//! `model_index.json`.
#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use ddm_pipelines::ModelDirectory;

static DIRECTORY: LazyLock<PathBuf> = LazyLock::new(|| ddm_fuzz::directory("model_index"));

libfuzzer_sys::fuzz_target!(|json: &[u8]| {
    ddm_fuzz::write(&DIRECTORY.join("model_index.json"), json);
    let Ok(directory) = ModelDirectory::open(&*DIRECTORY) else { return };
    for part in ["unet", "vae", "scheduler", "text_encoder", "requires_safety_checker", ""] {
        let class = directory.class_of(part).unwrap_or_default();
        assert_eq!(directory.part(part, &[class]).is_ok(), directory.class_of(part).is_some());
        let _ = directory.flag(part);
    }
});
