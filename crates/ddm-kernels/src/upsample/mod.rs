//! Images of another size, channels-last.

pub mod bilinear;
pub mod nearest;
