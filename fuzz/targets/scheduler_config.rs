//! `scheduler_config.json`.
#![no_main]

use ddm_diffusers::SchedulerConfig;

libfuzzer_sys::fuzz_target!(|json: &str| {
    let Ok(config) = json.parse::<SchedulerConfig>() else { return };
    assert!(!format!("{config:?}").is_empty());
});
