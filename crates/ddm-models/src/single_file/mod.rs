//! Checkpoints of one file, in the layouts of the networks' own repositories.
//!
//! Model sites have such files, and ComfyUI and A1111 read and write them. [`SingleFile::open`] tells the
//! [`Layout`] by the names and shapes of the tensors. The file's parts are then made one by one, each by a
//! config, which is either read from the shapes or given:
//!
//! ```no_run
//! use burn::tensor::Device;
//! use ddm_models::single_file::SingleFile;
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let device = Device::flex();
//! let file = SingleFile::open("v1-5-pruned-emaonly.safetensors")?;
//! println!("{}", file.layout()); // Stable Diffusion 1
//! let unet = file.unet(&file.unet_config()?, &device)?;
//! let autoencoder = file.autoencoder(&file.autoencoder_config()?, &device)?;
//! let encoder = file.text_encoder(&file.text_encoder_config()?, &device)?;
//! # Ok(())
//! # }
//! ```
//!
//! Nothing is skipped silently. What training leaves in files (`model_ema.*`, `betas`, …) is ignored by
//! lists of names; any other tensor that has no place is an error.
//!
//! # What no file tells
//!
//! * Whether a network predicts the noise or v. Of Stable Diffusion 2, the networks for 768 pixels predict
//!   v, and those for 512 the noise. Some files say it: [`SingleFile::says_v_prediction`].
//! * Of an autoencoder alone, for which latents it is: [`SingleFile::autoencoder_config_of`].
//! * The number of attention heads of a U-Net. Stable Diffusion 1 has 8, the others one for 64 channels.
//! * The tokenizer, and the scheduler.

mod clip_names;
mod encoders;
mod error;
mod flux_config;
mod flux_names;
mod known;
mod layers;
mod layout;
mod networks;
mod open;
mod part;
mod renamed;
mod sd3_config;
mod sd3_names;
mod shapes;
mod text_config;
mod unet_config;
mod unet_names;
mod vae_config;
mod vae_names;

pub use error::SingleFileError;
pub(crate) use layers::original_layers;
pub use layout::Layout;
pub use open::SingleFile;
pub use part::Part;
