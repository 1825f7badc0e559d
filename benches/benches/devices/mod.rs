//! What the benches share: the devices to measure on.

use ddm_core::burn::tensor::Device;
use ddm_examples::device::{available_devices, parse_device};
use mimalloc::MiMalloc;

/// An allocator that keeps freed memory. glibc's returns large tensors to the system and requests them
/// again in every step, which costs several times as much as the arithmetic on them.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Returns every compiled device (see the cargo features) with its name, or only those named in the
/// environment variable `DDM_DEVICES`, separated by commas.
///
/// # Errors
/// Returns an error if a name is unknown or its backend is not compiled in.
pub(crate) fn devices() -> Result<Vec<(String, Device)>, Box<dyn std::error::Error>> {
    let names = match std::env::var("DDM_DEVICES") {
        Ok(names) => names.split(',').map(str::to_owned).collect(),
        Err(_) => available_devices().into_iter().map(str::to_owned).collect::<Vec<_>>(),
    };
    names.into_iter().map(|name| Ok((name.clone(), parse_device(&name)?))).collect()
}
