//! Reading numbers back from the device.

use std::future::Future;

use burn::tensor::{Tensor, try_read_sync};

use crate::ModelError;

/// Reads the values of a tensor back from the device, row by row; `what` names them in the error.
///
/// # Errors
/// Returns [`ModelError::Read`] if the values cannot be read.
pub async fn read_back<const D: usize>(
    what: &'static str,
    values: Tensor<D>,
) -> Result<Vec<f64>, ModelError> {
    let data = values.into_data_async().await.map_err(ModelError::read(what))?;
    data.try_into_vec_as().map_err(ModelError::read(what))
}

/// Blocks until a computation that reads from the device has finished, and returns its result.
///
/// It turns an `async` function into a blocking one.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use ddm_denoiser::{ModelError, read_back, wait_for};
/// let ones = Tensor::<1>::ones([2], &Device::flex());
/// let read: Result<_, ModelError> = wait_for(read_back("the ones", ones));
/// assert_eq!(read?, [1.0, 1.0]);
/// # Ok::<(), ModelError>(())
/// ```
///
/// # Errors
/// Returns the errors of the computation, and [`ModelError::Read`] on platforms that cannot block
/// (a browser): call the `async` function there.
pub fn wait_for<T, E: From<ModelError>>(
    future: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let cannot_wait = || {
        let reason = "this platform cannot block; call the async function instead".to_owned();
        Err(ModelError::Read { what: "the result", reason }.into())
    };
    try_read_sync(future).unwrap_or_else(cannot_wait)
}
