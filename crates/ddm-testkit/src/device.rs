//! "Is this device right?": every operation of our networks, compared with a second device.
//!
//! A kernel that is wrong gives no error: samples look odd, or training goes astray. The checks here
//! give the device and a reference (burn's `flex`, say) the same seeded numbers, made on the host,
//! and compare the results: values, gradients, and values in half precision where the device has it.
//!
//! ```
//! use burn::tensor::Device;
//! use ddm_testkit::device::{self, Inputs, Operation, Pass};
//! // One operation of your own. `device::all(&device, &reference)?` checks those of our networks.
//! let shapes: [&[usize]; 2] = [&[7, 33], &[33, 65]];
//! let product = Operation::new("a product", &shapes, device::PRODUCT_TOLERANCE, |x: &Inputs| {
//!     x.get::<2>(0).matmul(x.get(1))
//! });
//! let check = product.check(&Device::flex(), &Device::flex(), Pass::Gradient);
//! assert!(check.is_right());
//! println!("{check}: off by {:.0e}, {:.1e} s", check.error, check.seconds);
//! # Ok::<(), ddm_testkit::Violation>(())
//! ```
//!
//! A panic of the device is caught and reported, so that one faulty kernel does not hide the others.
//! That needs a program that unwinds, as by default: with `panic = "abort"` the first one ends it, as
//! does a driver that crashes.

mod check;
mod inputs;
mod operation;
mod operations;
mod outcome;

use burn::tensor::{Device, FloatDType};

use crate::Violation;

pub use check::{Check, Pass};
pub use inputs::Inputs;
pub use operation::Operation;
pub use operations::{POINTWISE_TOLERANCE, PRODUCT_TOLERANCE, operations};

/// Checks that a device computes what the reference computes, for all [`operations`] of our networks.
///
/// It takes seconds on a CPU, and minutes on a GPU whose kernels have yet to be compiled and tuned.
/// [`report`] shows the checks as they come.
///
/// # Errors
///
/// Returns one violation that names all that is wrong, and by how much.
pub fn all(device: &Device, reference: &Device) -> Result<(), Violation> {
    let mut count = 0;
    let wrong: Vec<_> = report(operations(0), device, reference)
        .inspect(|_| count += 1)
        .filter(|check| !check.is_right())
        .map(|check| format!("{check}: {}", check.finding()))
        .collect();
    Violation::unless(
        wrong.is_empty(),
        check::LAW,
        || format!("{} of {count} checks wrong: {}", wrong.len(), wrong.join("; ")),
        "every operation within its tolerance",
    )
}

/// Returns the checks of these [`operations`], each computed when the iterator comes to it.
///
/// Each operation is compared in its own passes: by default forward, its gradients too, and in half
/// precision. The last is left out if the device does not support it.
pub fn report<O: IntoIterator<Item = Operation>>(
    operations: O,
    device: &Device,
    reference: &Device,
) -> impl Iterator<Item = Check> + use<O> {
    let (device, reference) = (device.clone(), reference.clone());
    let half = device.supports_dtype(FloatDType::F16);
    operations.into_iter().flat_map(move |operation| {
        let passes = operation.passes().iter().copied();
        let passes: Vec<_> = passes.filter(|&pass| half || pass != Pass::Half).collect();
        let (device, reference) = (device.clone(), reference.clone());
        passes.into_iter().map(move |pass| operation.check(&device, &reference, pass))
    })
}
