//! Devices by name, for `--device`.

use ddm_core::burn::tensor::Device;
#[cfg(any(feature = "wgpu", feature = "vulkan", feature = "metal", feature = "webgpu"))]
use ddm_core::burn::tensor::DeviceKind;

/// The names of [`parse_device`], which are also the cargo features of the backends.
pub const KNOWN_DEVICES: [&str; 9] =
    ["flex", "ndarray", "wgpu", "vulkan", "metal", "webgpu", "cuda", "rocm", "cpu"];

/// An unavailable device.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// A device whose backend is not compiled in.
    #[error(
        "this program was not compiled for the device {name:?}: it has {}; \
         add `--features {name}` to the cargo command",
        available.join(", ")
    )]
    NotCompiled {
        /// The requested name.
        name: String,
        /// The available names.
        available: Vec<&'static str>,
    },
    /// An unknown name.
    #[error("there is no device {name:?}: this program has {}", available.join(", "))]
    Unknown {
        /// The requested name.
        name: String,
        /// The available names.
        available: Vec<&'static str>,
    },
}

/// Returns the names that [`parse_device`] accepts in this build.
pub fn available_devices() -> Vec<&'static str> {
    KNOWN_DEVICES.into_iter().filter(|name| open(name).is_some()).collect()
}

/// Returns the device of that name, with burn's default settings; fits clap's `value_parser`.
///
/// # Errors
///
/// Returns an error that says what was requested, what is available, and what to do.
///
/// ```
/// let device = ddm_examples::device::parse_device("flex").unwrap();
/// ```
pub fn parse_device(name: &str) -> Result<Device, DeviceError> {
    open(name).ok_or_else(|| {
        let (name, available) = (name.to_owned(), available_devices());
        if KNOWN_DEVICES.contains(&name.as_str()) {
            DeviceError::NotCompiled { name, available }
        } else {
            DeviceError::Unknown { name, available }
        }
    })
}

/// Returns the device of that name, if it is compiled in. Nothing runs on it before its first tensor.
// burn deprecates ndarray in favour of flex; ddm supports both.
#[allow(deprecated)]
fn open(name: &str) -> Option<Device> {
    match name {
        #[cfg(feature = "flex")]
        "flex" => Some(Device::flex()),
        #[cfg(feature = "ndarray")]
        "ndarray" => Some(Device::ndarray()),
        #[cfg(feature = "wgpu")]
        "wgpu" => Some(Device::wgpu(DeviceKind::DefaultDevice)),
        #[cfg(feature = "vulkan")]
        "vulkan" => Some(Device::vulkan(DeviceKind::DefaultDevice)),
        #[cfg(feature = "metal")]
        "metal" => Some(Device::metal(DeviceKind::DefaultDevice)),
        #[cfg(feature = "webgpu")]
        "webgpu" => Some(Device::webgpu(DeviceKind::DefaultDevice)),
        #[cfg(feature = "cuda")]
        "cuda" => Some(Device::cuda(0)),
        #[cfg(feature = "rocm")]
        "rocm" => Some(Device::rocm(0)),
        #[cfg(feature = "cpu")]
        "cpu" => Some(Device::cpu()),
        _ => None,
    }
}
