//! The names and shapes of a LoRA.
#![no_main]

use ddm_models::lora::Lora;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let Ok(lora) = Lora::from_tensors(&ddm_fuzz::listed(text)) else { return };
    assert!(lora.parts().all(|part| !lora.layers(part).is_empty()));
});
