//! The kinds of levels.

use serde_json::Value;

use crate::DiffusersError;
use crate::settings::Settings;

/// The kind of a level of a U-Net, on the way down or up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BlockType {
    /// Residual blocks: `DownBlock2D`, `UpBlock2D`.
    Plain,
    /// Residual blocks, each with self-attention after it: `AttnDownBlock2D`, `AttnUpBlock2D`.
    Attention,
    /// Residual blocks, each with a transformer that sees the text after it: `CrossAttnDownBlock2D`,
    /// `CrossAttnUpBlock2D`.
    CrossAttention,
    /// Residual blocks, each with one attention to pixels and text after it:
    /// `SimpleCrossAttnDownBlock2D`, `SimpleCrossAttnUpBlock2D`. It resamples by residual blocks.
    SimpleCrossAttention,
    /// As [`Plain`](Self::Plain), but resamples by residual blocks: `ResnetDownsampleBlock2D`,
    /// `ResnetUpsampleBlock2D`.
    Resnet,
    /// Residual blocks beside a pyramid of images, as NCSN++ has them: `SkipDownBlock2D`,
    /// `SkipUpBlock2D`.
    Skip,
    /// As [`Skip`](Self::Skip), with self-attention: `AttnSkipDownBlock2D`, `AttnSkipUpBlock2D`.
    AttentionSkip,
}

impl BlockType {
    /// Returns diffusers' name on the way down.
    #[must_use]
    pub fn down_name(self) -> &'static str {
        match self {
            Self::Plain => "DownBlock2D",
            Self::Attention => "AttnDownBlock2D",
            Self::CrossAttention => "CrossAttnDownBlock2D",
            Self::SimpleCrossAttention => "SimpleCrossAttnDownBlock2D",
            Self::Resnet => "ResnetDownsampleBlock2D",
            Self::Skip => "SkipDownBlock2D",
            Self::AttentionSkip => "AttnSkipDownBlock2D",
        }
    }

    /// Returns diffusers' name on the way up.
    #[must_use]
    pub fn up_name(self) -> &'static str {
        match self {
            Self::Plain => "UpBlock2D",
            Self::Attention => "AttnUpBlock2D",
            Self::CrossAttention => "CrossAttnUpBlock2D",
            Self::SimpleCrossAttention => "SimpleCrossAttnUpBlock2D",
            Self::Resnet => "ResnetUpsampleBlock2D",
            Self::Skip => "SkipUpBlock2D",
            Self::AttentionSkip => "AttnSkipUpBlock2D",
        }
    }

    /// Whether the level resamples by residual blocks, whatever the network's own setting.
    pub(super) fn resamples_by_residuals(self) -> bool {
        matches!(self, Self::Resnet | Self::SimpleCrossAttention)
    }

    /// Whether the level takes or gives images of its resolution.
    pub(super) fn is_beside_pyramid(self) -> bool {
        matches!(self, Self::Skip | Self::AttentionSkip)
    }

    /// Reads a list of names, one a level, each of `known`; `name` gives their names.
    pub(super) fn read(
        settings: &Settings,
        setting: &str,
        known: &[Self],
        name: fn(Self) -> &'static str,
        default: Vec<Self>,
    ) -> Result<Vec<Self>, DiffusersError> {
        let Some(found) = settings.get::<Option<Vec<Value>>>(setting, "a list of names", None)?
        else {
            return Ok(default);
        };
        let kind = |value: &Value| {
            let found = value.as_str()?;
            // An old prefix of the same blocks.
            let found = found.strip_prefix("UNetRes").unwrap_or(found);
            known.iter().copied().find(|&kind| name(kind) == found)
        };
        found.iter().map(kind).collect::<Option<_>>().ok_or_else(|| {
            let names: Vec<_> = known.iter().map(|&kind| format!("{:?}", name(kind))).collect();
            settings.error(setting, &format!("a list of {}, one a level", names.join(" or ")))
        })
    }
}
