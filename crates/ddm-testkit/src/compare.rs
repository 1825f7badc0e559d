//! Comparisons of numbers within a tolerance.

use burn::tensor::{Device, FloatDType, Tensor};

use crate::Violation;

/// Returns the values of a tensor as f64, row by row.
///
/// # Errors
///
/// Returns the first violation.
pub fn values<const D: usize>(law: &'static str, tensor: Tensor<D>) -> Result<Vec<f64>, Violation> {
    tensor
        .try_into_vec_as()
        .map_err(|error| Violation::new(law, format!("the error \"{error}\""), "readable values"))
}

/// Checks that `|found − demanded| ≤ tolerance · max(1, max |demanded|)` for every element.
///
/// Tolerance 0 requires equal numbers. NaN is close to no number.
///
/// # Errors
///
/// Returns the first violation.
pub fn close(
    law: &'static str,
    found: &[f64],
    demanded: &[f64],
    tolerance: f64,
) -> Result<(), Violation> {
    if found.len() != demanded.len() {
        let (found, demanded) = (found.len(), demanded.len());
        return Err(Violation::new(law, format!("{found} values"), format!("{demanded}")));
    }
    let largest = demanded.iter().fold(1.0, |largest: f64, value| largest.max(value.abs()));
    let bound = tolerance * largest;
    for (i, (&found, &demanded)) in found.iter().zip(demanded).enumerate() {
        let difference = (found - demanded).abs();
        if difference > bound || difference.is_nan() {
            let found = format!("{found} at {i} (off by {difference:.1e})");
            return Err(Violation::new(law, found, format!("{demanded} ± {bound:.1e}")));
        }
    }
    Ok(())
}

/// Checks that tensors have the same shape and are [`close`].
///
/// # Errors
///
/// Returns the first violation.
pub fn close_tensors<const D: usize>(
    law: &'static str,
    found: Tensor<D>,
    demanded: Tensor<D>,
    tolerance: f64,
) -> Result<(), Violation> {
    if found.dims() != demanded.dims() {
        let (found, demanded) = (found.dims(), demanded.dims());
        return Err(Violation::new(law, format!("shape {found:?}"), format!("{demanded:?}")));
    }
    close(law, &values(law, found)?, &values(law, demanded)?, tolerance)
}

/// Returns f64 if the device computes in it, else f32.
pub fn finest_dtype(device: &Device) -> FloatDType {
    if device.supports_dtype(FloatDType::F64) { FloatDType::F64 } else { FloatDType::F32 }
}
