//! Weights on disk: opened, read lazily, put into modules of burn, and saved again.
//!
//! * [`Tensors::open`]: a file of safetensors, GGUF or PyTorch (`.bin`, `.pt`, `.ckpt`);
//!   [`Tensors::component`]: a directory of diffusers or transformers, with variants and shards.
//! * [`TensorView`]: a tensor's shape and type, without reading it; parts, transposes and concatenations
//!   of such, for other layouts of the same network. [`Tensors::rename`]: other names.
//!   [`Tensors::dequantized`]: weights of 8 bits times their scales.
//! * [`load`]: tensors into a module, cast on request; [`save`]: back, in the same names and layouts, and
//!   [`save_shards`], in several files; [`NewFile`]: each whole or not at all.
//!   [`save_tensors`]: other tensors than those of a module. [`add_products`]: to the parameters that
//!   are there. [`Place`]: the name of a parameter while a module is walked through.
//!
//! **What a file says is not believed.** Offsets, shapes, counts and lengths are checked against the
//! file's length before anything is allocated. A pickle is read as data: it can name tensors and
//! dictionaries, and a name of anything else is refused. Each fault is an error of its own, [`Fault`].
//!
//! **Files are read, and not mapped into memory.** To read at a position is as fast from the system's
//! cache, needs no `unsafe`, keeps one tensor in memory and not the whole file, and makes an error of a
//! file that another process has cut, where a map would end this process.
//!
//! Nothing here knows of networks or pipelines.

mod add;
mod blocks;
mod buffer;
mod component;
mod cursor;
mod decode;
mod error;
mod fault;
mod gguf;
mod index;
mod json;
mod load;
mod misfit;
mod names;
mod new_file;
mod safetensors;
mod save;
mod save_tensors;
mod scales;
mod shards;
mod source;
mod storage;
mod stored;
mod strided;
mod tensors;
mod torch;
mod view;

pub use add::{add_products, float_parameters};
pub use component::Variant;
pub use error::WeightsError;
pub use fault::Fault;
pub use index::shards;
pub use load::{LoadOptions, load};
pub use misfit::{Difference, Misfit};
pub use names::Place;
pub use new_file::NewFile;
pub use save::save;
pub use save_tensors::save_tensors;
pub use scales::ScaleFault;
pub use shards::save_shards;
pub use stored::{Other, Stored};
pub use tensors::Tensors;
pub use view::TensorView;
