//! The index of shards, beside two of them.
#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use ddm_weights::{Tensors, Variant};

static DIRECTORY: LazyLock<PathBuf> = LazyLock::new(|| {
    let directory = ddm_fuzz::directory("index");
    for name in ["a", "b"] {
        let header = format!(r#"{{"{name}":{{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}}}"#);
        let length = (header.len() as u64).to_le_bytes();
        ddm_fuzz::write(&directory.join(name), &[&length, header.as_bytes(), &[1]].concat());
    }
    directory
});

libfuzzer_sys::fuzz_target!(|index: &[u8]| {
    ddm_fuzz::write(&DIRECTORY.join("model.safetensors.index.json"), index);
    drop(Tensors::component(&*DIRECTORY, &Variant::PLAIN));
});
