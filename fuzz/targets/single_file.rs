//! The layout of a single file, and the configs of its parts, by names and shapes.
#![no_main]

use ddm_models::single_file::{Layout, SingleFile};

libfuzzer_sys::fuzz_target!(|text: &str| {
    let Ok(file) = SingleFile::from_tensors(&ddm_fuzz::listed(text)) else { return };
    assert!(file.parts().next().is_some());
    drop(file.unet_config());
    drop(file.sd3_config());
    drop(file.flux_config());
    drop(file.t5_config());
    drop(file.text_encoder_config());
    drop(file.text_encoder_2_config());
    drop(file.autoencoder_config_of(Layout::Xl));
});
