//! Weights of every format: those that other libraries wrote, damaged ones, and modules.

mod bytes;
mod files;
mod gguf;
mod layouts;
mod modules;
mod mutated;
mod new_file;
mod refusals;
mod scales;
mod shards;
mod torch;
mod views;
