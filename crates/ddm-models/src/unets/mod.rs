//! U-Nets as diffusers has them, by its names.

mod block_type;
mod condition;
mod down;
mod embedding;
mod input;
mod layer;
mod middle;
mod per_level;
mod up;

pub use block_type::BlockType;
pub use condition::UNet2dCondition;
pub use condition::config::{AdditionEmbed, MidBlockType, UNet2dConditionConfig};
pub use embedding::ClassEmbed;
pub use input::{AddedConditions, ClassLabels, ControlResiduals, UNetCondition};
pub use per_level::PerLevel;
