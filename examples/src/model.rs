//! Models by a path, or by a name on the Hugging Face Hub.

use std::error::Error;
use std::path::{Path, PathBuf};

use ddm_core::pipelines::{Hub, HubError};

use crate::progress::TransferBars;

/// Returns where a model is: `model` itself if there is such a path, or else what `hub` fetches by this
/// name.
///
/// ```
/// use ddm_core::pipelines::Hub;
/// use ddm_examples::model::located;
/// let hub = || Ok(Hub::new("cache"));
/// assert_eq!(located("src", hub)?, std::path::Path::new("src"));
/// let said = located("no-such-model", hub).unwrap_err().to_string();
/// assert!(said.contains("no file or directory no-such-model") && said.contains("organization/name"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// Returns an error if there is neither such a path nor such a model.
pub fn located(
    model: &str,
    hub: impl FnOnce() -> Result<Hub, HubError>,
) -> Result<PathBuf, Box<dyn Error>> {
    if Path::new(model).exists() {
        return Ok(PathBuf::from(model));
    }
    let mut bars = TransferBars::default();
    let hub = hub()?;
    match hub.fetch(model, &mut |at| bars.show(at)) {
        Ok(path) => Ok(path),
        Err(
            error @ (HubError::Name { .. }
            | HubError::NoRepository { .. }
            | HubError::NeedsToken { .. }
            | HubError::NotCached { .. }
            | HubError::Unreachable { .. }),
        ) => Err(format!("there is no file or directory {model}, and {error}").into()),
        Err(error) => Err(error.into()),
    }
}
