//! U-Nets as diffusers has them, by its names.

mod block_type;
mod choices;
mod class_embedding;
mod condition;
mod controlnet;
mod down;
mod image;
mod input;
mod join;
mod layer;
mod middle;
mod per_level;
mod text_embedding;
mod up;

pub use block_type::BlockType;
pub use class_embedding::ClassEmbed;
pub use condition::UNet2dCondition;
pub use condition::config::{AdditionEmbed, MidBlockType, UNet2dConditionConfig};
pub use controlnet::{Control, ControlNet, ControlNetConfig};
pub use image::UNet2d;
pub use image::config::{TimeEmbedding, UNet2dConfig};
pub use input::{AddedConditions, ClassLabels, ControlResiduals, UNetCondition};
pub use per_level::PerLevel;
