//! The settings by the names of `huggingface_hub`.

use std::path::PathBuf;

use super::{Hub, HubError};

/// The address of the hub.
pub(super) const ENDPOINT: &str = "https://huggingface.co";

impl Hub {
    /// Returns the hub with this folder for its cache: `https://huggingface.co`, online, without a
    /// token, the revision `main`.
    pub fn new(cache: impl Into<PathBuf>) -> Self {
        Self {
            cache: cache.into(),
            endpoint: ENDPOINT.to_owned(),
            token: None,
            offline: false,
            revision: "main".to_owned(),
            fp16: false,
        }
    }

    /// Returns the hub as `huggingface_hub` is set: by `HF_HOME` (or `XDG_CACHE_HOME`), `HF_HUB_CACHE`,
    /// `HF_HUB_OFFLINE`, `HF_ENDPOINT`, `HF_TOKEN`, `HF_TOKEN_PATH`, and the token of a login.
    ///
    /// # Errors
    ///
    /// Returns [`HubError::NoHome`] if none of these says where the cache is, and the user has no home
    /// directory.
    pub fn from_env() -> Result<Self, HubError> {
        Self::from_variables(|name| std::env::var(name).ok())
    }

    /// Returns the hub with the variables of [`from_env`](Self::from_env) given by `variable`.
    ///
    /// ```
    /// use ddm_pipelines::Hub;
    /// let hub = Hub::from_variables(|name| match name {
    ///     "HF_HOME" => Some("/data/huggingface".to_owned()),
    ///     "HF_HUB_OFFLINE" => Some("1".to_owned()),
    ///     _ => None,
    /// })?;
    /// assert!(hub.offline && hub.cache.ends_with("huggingface/hub"));
    /// # Ok::<(), ddm_pipelines::HubError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As there.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Self, HubError> {
        let set = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let home = || std::env::home_dir().filter(|home| !home.as_os_str().is_empty());
        let path = |name: &str| {
            let value = set(name)?;
            match (value.strip_prefix("~/"), home()) {
                (Some(rest), Some(home)) => Some(home.join(rest)),
                _ => Some(PathBuf::from(value)),
            }
        };
        let base = path("HF_HOME").or_else(|| {
            let caches = path("XDG_CACHE_HOME").or_else(|| Some(home()?.join(".cache")));
            Some(caches?.join("huggingface"))
        });
        // The second name is an old one.
        let cache = path("HF_HUB_CACHE").or_else(|| path("HUGGINGFACE_HUB_CACHE"));
        let cache = cache.or_else(|| Some(base.as_ref()?.join("hub"))).ok_or(HubError::NoHome)?;
        let kept = path("HF_TOKEN_PATH").or_else(|| Some(base?.join("token")));
        let token = set("HF_TOKEN").or_else(|| std::fs::read_to_string(kept?).ok());
        let token = token.map(|token| token.trim().to_owned()).filter(|token| !token.is_empty());
        let is_true = |value: String| ["1", "ON", "YES", "TRUE"].contains(&&*value.to_uppercase());
        let mut hub = Self { token, ..Self::new(cache) };
        hub.offline =
            set("HF_HUB_OFFLINE").or_else(|| set("TRANSFORMERS_OFFLINE")).is_some_and(is_true);
        if let Some(endpoint) = set("HF_ENDPOINT") {
            hub.endpoint = endpoint.trim_end_matches('/').to_owned();
        }
        Ok(hub)
    }
}
