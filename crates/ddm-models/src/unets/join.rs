//! Conditions of two batches as one.

use ddm_denoiser::{Condition, ModelError};

use super::{AddedConditions, ClassLabels, ControlResiduals, UNetCondition};

/// Checks two conditions that both exist, or neither.
fn both<T>(
    what: &'static str,
    [a, b]: [&Option<T>; 2],
    check: impl FnOnce(&T, &T) -> Result<(), ModelError>,
) -> Result<(), ModelError> {
    match (a, b) {
        (Some(a), Some(b)) => check(a, b),
        (None, None) => Ok(()),
        _ => {
            let (found, expected) = ("given for one condition".into(), "both, or neither".into());
            Err(ModelError::Shape { what, found, expected })
        }
    }
}

fn zip<T>(a: Option<T>, b: Option<T>, join: impl FnOnce(T, T) -> T) -> Option<T> {
    a.zip(b).map(|(a, b)| join(a, b))
}

impl Condition for UNetCondition {
    fn batch(&self) -> usize {
        self.encoder_hidden_states.batch()
    }

    fn joins(&self, other: &Self) -> Result<(), ModelError> {
        self.encoder_hidden_states.joins(&other.encoder_hidden_states)?;
        let masks = [&self.encoder_attention_mask, &other.encoder_attention_mask];
        both("the mask of the text", masks, Condition::joins)?;
        both("class_labels", [&self.class_labels, &other.class_labels], Condition::joins)?;
        both("timestep_cond", [&self.timestep_cond, &other.timestep_cond], Condition::joins)?;
        both("added", [&self.added, &other.added], Condition::joins)?;
        both("residuals", [&self.residuals, &other.residuals], Condition::joins)
    }

    fn followed_by(self, other: Self) -> Self {
        self.merged(other, &Follow)
    }

    fn replaced(self, by: Self, rows: &[bool]) -> Self {
        self.merged(by, &Replace(rows))
    }
}

/// How two conditions become one.
trait Merge {
    fn merge<C: Condition>(&self, a: C, b: C) -> C;
}

struct Follow;
struct Replace<'a>(&'a [bool]);

impl Merge for Follow {
    fn merge<C: Condition>(&self, a: C, b: C) -> C {
        a.followed_by(b)
    }
}

impl Merge for Replace<'_> {
    fn merge<C: Condition>(&self, a: C, b: C) -> C {
        a.replaced(b, self.0)
    }
}

impl UNetCondition {
    fn merged(self, other: Self, by: &impl Merge) -> Self {
        Self {
            encoder_hidden_states: by
                .merge(self.encoder_hidden_states, other.encoder_hidden_states),
            encoder_attention_mask: zip(
                self.encoder_attention_mask,
                other.encoder_attention_mask,
                |a, b| by.merge(a, b),
            ),
            class_labels: zip(self.class_labels, other.class_labels, |a, b| by.merge(a, b)),
            timestep_cond: zip(self.timestep_cond, other.timestep_cond, |a, b| by.merge(a, b)),
            added: zip(self.added, other.added, |a, b| by.merge(a, b)),
            residuals: zip(self.residuals, other.residuals, |a, b| by.merge(a, b)),
        }
    }
}

impl Condition for ClassLabels {
    fn batch(&self) -> usize {
        match self {
            Self::Class(labels) => labels.batch(),
            Self::Number(numbers) => numbers.batch(),
            Self::Vector(vectors) => vectors.batch(),
        }
    }

    fn joins(&self, other: &Self) -> Result<(), ModelError> {
        match (self, other) {
            (Self::Class(a), Self::Class(b)) => a.joins(b),
            (Self::Number(a), Self::Number(b)) => a.joins(b),
            (Self::Vector(a), Self::Vector(b)) => a.joins(b),
            _ => {
                let (found, expected) = ("of two kinds".into(), "one kind".into());
                Err(ModelError::Shape { what: "class_labels", found, expected })
            }
        }
    }

    fn followed_by(self, other: Self) -> Self {
        self.merged(other, &Follow)
    }

    fn replaced(self, by: Self, rows: &[bool]) -> Self {
        self.merged(by, &Replace(rows))
    }
}

impl ClassLabels {
    /// Labels of two kinds do not join; then the first stay.
    fn merged(self, other: Self, by: &impl Merge) -> Self {
        match (self, other) {
            (Self::Class(a), Self::Class(b)) => Self::Class(by.merge(a, b)),
            (Self::Number(a), Self::Number(b)) => Self::Number(by.merge(a, b)),
            (Self::Vector(a), Self::Vector(b)) => Self::Vector(by.merge(a, b)),
            (first, _) => first,
        }
    }
}

impl Condition for AddedConditions {
    fn batch(&self) -> usize {
        self.text_embeds.batch()
    }

    fn joins(&self, other: &Self) -> Result<(), ModelError> {
        self.text_embeds.joins(&other.text_embeds)?;
        self.time_ids.joins(&other.time_ids)
    }

    fn followed_by(self, other: Self) -> Self {
        Self {
            text_embeds: self.text_embeds.followed_by(other.text_embeds),
            time_ids: self.time_ids.followed_by(other.time_ids),
        }
    }

    fn replaced(self, by: Self, rows: &[bool]) -> Self {
        Self {
            text_embeds: self.text_embeds.replaced(by.text_embeds, rows),
            time_ids: self.time_ids.replaced(by.time_ids, rows),
        }
    }
}

impl Condition for ControlResiduals {
    fn batch(&self) -> usize {
        self.mid.batch()
    }

    fn joins(&self, other: &Self) -> Result<(), ModelError> {
        if self.down.len() != other.down.len() {
            let (found, expected) = (other.down.len().to_string(), self.down.len().to_string());
            return Err(ModelError::Shape { what: "the number of residuals", found, expected });
        }
        self.down.iter().zip(&other.down).try_for_each(|(a, b)| a.joins(b))?;
        self.mid.joins(&other.mid)
    }

    fn followed_by(self, other: Self) -> Self {
        let down = self.down.into_iter().zip(other.down);
        Self {
            down: down.map(|(a, b)| a.followed_by(b)).collect(),
            mid: self.mid.followed_by(other.mid),
        }
    }

    fn replaced(self, by: Self, rows: &[bool]) -> Self {
        let down = self.down.into_iter().zip(by.down);
        Self {
            down: down.map(|(a, b)| a.replaced(b, rows)).collect(),
            mid: self.mid.replaced(by.mid, rows),
        }
    }
}
