//! Data for training, read from small generated files.

mod buckets;
mod folder;
mod idx;
mod loader;
mod order;
mod tensors;

use burn::tensor::Device;

fn device() -> Device {
    Device::flex()
}
