//! The conditions of the transformers: several tensors, one row per sample.

use burn::tensor::{Int, Tensor};
use ddm_denoiser::{Condition, ModelError};

/// The condition of a [`PixArt`](super::PixArt).
#[derive(Clone, Debug)]
pub struct PixArtConditions {
    /// The states of the text encoder, `[batch, tokens, size]`.
    pub encoder_hidden_states: Tensor<3>,
    /// 1 for the tokens that are seen and 0 for the others, `[batch, tokens]`; without it all are.
    pub encoder_attention_mask: Option<Tensor<2, Int>>,
    /// The height and width of the image in pixels, `[batch, 2]`; for networks that take them.
    pub resolution: Option<Tensor<2>>,
    /// The height over the width, `[batch, 1]`; for networks that take it.
    pub aspect_ratio: Option<Tensor<2>>,
}

/// The condition of an [`Sd3Transformer`](super::Sd3Transformer).
#[derive(Clone, Debug)]
pub struct Sd3Conditions {
    /// The states of the text encoders, `[batch, tokens, size]`.
    pub encoder_hidden_states: Tensor<3>,
    /// The pooled texts, `[batch, size]`.
    pub pooled_projections: Tensor<2>,
}

/// The condition of a [`FluxTransformer`](super::FluxTransformer).
#[derive(Clone, Debug)]
pub struct FluxConditions {
    /// The states of the text encoder, `[batch, tokens, size]`.
    pub encoder_hidden_states: Tensor<3>,
    /// The pooled texts, `[batch, size]`.
    pub pooled_projections: Tensor<2>,
    /// The positions of the patches, `[patches, axes]`: 0, row, column. All samples share them.
    pub img_ids: Tensor<2>,
    /// The positions of the tokens, `[tokens, axes]`: zeros. All samples share them.
    pub txt_ids: Tensor<2>,
    /// The scale of the guidance, `[batch]`; for networks that were distilled with one.
    pub guidance: Option<Tensor<1>>,
}

impl Condition for PixArtConditions {
    fn batch(&self) -> usize {
        self.encoder_hidden_states.batch()
    }
    fn joins(&self, other: &Self) -> Result<(), ModelError> {
        self.encoder_hidden_states.joins(&other.encoder_hidden_states)?;
        join_both(&self.encoder_attention_mask, &other.encoder_attention_mask)?;
        join_both(&self.resolution, &other.resolution)?;
        join_both(&self.aspect_ratio, &other.aspect_ratio)
    }
    fn followed_by(self, other: Self) -> Self {
        Self {
            encoder_hidden_states: self
                .encoder_hidden_states
                .followed_by(other.encoder_hidden_states),
            encoder_attention_mask: followed(
                self.encoder_attention_mask,
                other.encoder_attention_mask,
            ),
            resolution: followed(self.resolution, other.resolution),
            aspect_ratio: followed(self.aspect_ratio, other.aspect_ratio),
        }
    }
    fn replaced(self, by: Self, rows: &[bool]) -> Self {
        Self {
            encoder_hidden_states: self
                .encoder_hidden_states
                .replaced(by.encoder_hidden_states, rows),
            encoder_attention_mask: replaced(
                self.encoder_attention_mask,
                by.encoder_attention_mask,
                rows,
            ),
            resolution: replaced(self.resolution, by.resolution, rows),
            aspect_ratio: replaced(self.aspect_ratio, by.aspect_ratio, rows),
        }
    }
}

impl Condition for Sd3Conditions {
    fn batch(&self) -> usize {
        self.encoder_hidden_states.batch()
    }
    fn joins(&self, other: &Self) -> Result<(), ModelError> {
        self.encoder_hidden_states.joins(&other.encoder_hidden_states)?;
        self.pooled_projections.joins(&other.pooled_projections)
    }
    fn followed_by(self, other: Self) -> Self {
        Self {
            encoder_hidden_states: self
                .encoder_hidden_states
                .followed_by(other.encoder_hidden_states),
            pooled_projections: self.pooled_projections.followed_by(other.pooled_projections),
        }
    }
    fn replaced(self, by: Self, rows: &[bool]) -> Self {
        Self {
            encoder_hidden_states: self
                .encoder_hidden_states
                .replaced(by.encoder_hidden_states, rows),
            pooled_projections: self.pooled_projections.replaced(by.pooled_projections, rows),
        }
    }
}

impl Condition for FluxConditions {
    fn batch(&self) -> usize {
        self.encoder_hidden_states.batch()
    }
    fn joins(&self, other: &Self) -> Result<(), ModelError> {
        self.encoder_hidden_states.joins(&other.encoder_hidden_states)?;
        self.pooled_projections.joins(&other.pooled_projections)?;
        join_both(&self.guidance, &other.guidance)?;
        require_dims("the positions of patches", other.img_ids.dims(), self.img_ids.dims())?;
        require_dims("the positions of tokens", other.txt_ids.dims(), self.txt_ids.dims())
    }
    fn followed_by(self, other: Self) -> Self {
        Self {
            encoder_hidden_states: self
                .encoder_hidden_states
                .followed_by(other.encoder_hidden_states),
            pooled_projections: self.pooled_projections.followed_by(other.pooled_projections),
            guidance: followed(self.guidance, other.guidance),
            ..self
        }
    }
    fn replaced(self, by: Self, rows: &[bool]) -> Self {
        Self {
            encoder_hidden_states: self
                .encoder_hidden_states
                .replaced(by.encoder_hidden_states, rows),
            pooled_projections: self.pooled_projections.replaced(by.pooled_projections, rows),
            guidance: replaced(self.guidance, by.guidance, rows),
            ..self
        }
    }
}

fn followed<C: Condition>(first: Option<C>, second: Option<C>) -> Option<C> {
    first.zip(second).map(|(first, second)| first.followed_by(second))
}

fn replaced<C: Condition>(old: Option<C>, by: Option<C>, rows: &[bool]) -> Option<C> {
    old.zip(by).map(|(old, by)| old.replaced(by, rows))
}

fn join_both<C: Condition>(a: &Option<C>, b: &Option<C>) -> Result<(), ModelError> {
    match (a, b) {
        (Some(a), Some(b)) => a.joins(b),
        (None, None) => Ok(()),
        _ => {
            let found = "in one of two conditions".to_owned();
            let expected = "it in both or in none".to_owned();
            Err(ModelError::Shape { what: "an optional part", found, expected })
        }
    }
}

/// Checks the shape of a part of a condition.
pub(super) fn require_dims<const D: usize>(
    what: &'static str,
    found: [usize; D],
    expected: [usize; D],
) -> Result<(), ModelError> {
    if found == expected {
        return Ok(());
    }
    let (found, expected) = (format!("{found:?}"), format!("{expected:?}"));
    Err(ModelError::Shape { what, found, expected })
}

/// Checks that an optional part of a condition is there if the network takes it, and has this shape.
pub(super) fn require_part<const D: usize>(
    what: &'static str,
    found: Option<[usize; D]>,
    expected: Option<[usize; D]>,
) -> Result<(), ModelError> {
    match (found, expected) {
        (Some(found), Some(expected)) => require_dims(what, found, expected),
        (None, Some(expected)) => {
            let (found, expected) = ("absent".to_owned(), format!("{expected:?}"));
            Err(ModelError::Shape { what, found, expected })
        }
        // A network that does not take the part ignores it, as diffusers does.
        (_, None) => Ok(()),
    }
}
