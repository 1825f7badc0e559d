//! Reading numbers back from the device.

use std::future::Future;

use burn::tensor::{Tensor, try_read_sync};

use crate::ModelError;

/// The numbers of a tensor, row by row, read back from the device; `what` names them in the error.
///
/// # Errors
/// [`ModelError::Read`] where the device does not give them back.
pub async fn read_back<const D: usize>(
    what: &'static str,
    values: Tensor<D>,
) -> Result<Vec<f64>, ModelError> {
    let data = values.into_data_async().await.map_err(ModelError::read(what))?;
    data.try_into_vec_as().map_err(ModelError::read(what))
}

/// The result of a computation that reads from the device, waited for: what turns an `async`
/// function into its blocking twin.
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
/// Those of the computation, and [`ModelError::Read`] where a platform cannot wait (a browser): call
/// the `async` twin there.
pub fn wait_for<T, E: From<ModelError>>(
    future: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let cannot_wait = || {
        let reason = "this platform cannot wait for it; call the async twin".to_owned();
        Err(ModelError::Read { what: "the result", reason }.into())
    };
    try_read_sync(future).unwrap_or_else(cannot_wait)
}
