//! What the examples share: small real data, a device by name, and pictures worth looking at.
//!
//! Nothing here but [`handwriting`] knows about diffusion, and nothing in the library crates knows
//! about this. An example reads its data with [`data`], opens a device with [`device`], and hands what it made
//! to [`pictures`], [`plots`] and [`animation`]; [`output`] writes files whole or not at all.

pub mod animation;
pub mod cli;
pub mod data;
pub mod device;
pub mod handwriting;
pub mod output;
pub mod pictures;
pub mod plots;
pub mod progress;
pub mod tensors;
