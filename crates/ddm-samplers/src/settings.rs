//! Numbers whose range is checked on creation, including deserialization.

use serde::{Deserialize, Serialize};

use ddm_schedule::Invalid;

use crate::SamplingError;

macro_rules! checked {
    ($(#[$doc:meta])* $name:ident, $allowed:literal, $good:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
        #[serde(try_from = "f64")]
        pub(crate) struct $name(pub(crate) f64);

        impl $name {
            pub(crate) fn new(name: &'static str, value: f64) -> Result<Self, SamplingError> {
                let good: fn(f64) -> bool = $good;
                if good(value) {
                    return Ok(Self(value));
                }
                Err(Invalid { name, value, allowed: $allowed }.into())
            }
        }

        impl TryFrom<f64> for $name {
            type Error = SamplingError;
            fn try_from(value: f64) -> Result<Self, SamplingError> {
                Self::new("the setting", value)
            }
        }
    };
}

checked!(
    /// A number in [0, 1].
    Fraction, "in [0, 1]", |value| (0.0..=1.0).contains(&value)
);
checked!(
    /// A finite number of at least 0.
    NonNegative, "finite and at least 0", |value| value >= 0.0 && value.is_finite()
);

/// The order of a method, from 1 to `MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "usize")]
pub(crate) struct Order<const MAX: usize = 3>(pub(crate) usize);

/// A number of at least 1.
pub(crate) type Count = Order<{ usize::MAX }>;

impl<const MAX: usize> Order<MAX> {
    pub(crate) fn new(name: &'static str, order: usize) -> Result<Self, SamplingError> {
        if (1..=MAX).contains(&order) {
            return Ok(Self(order));
        }
        let allowed = match MAX {
            3 => "1, 2 or 3",
            4 => "1, 2, 3 or 4",
            _ => "at least 1",
        };
        Err(Invalid { name, value: order as f64, allowed }.into())
    }
}

impl<const MAX: usize> TryFrom<usize> for Order<MAX> {
    type Error = SamplingError;
    fn try_from(order: usize) -> Result<Self, SamplingError> {
        Self::new("order", order)
    }
}
