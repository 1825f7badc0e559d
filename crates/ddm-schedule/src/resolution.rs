//! The shift of time for an image of a given size.

use serde::{Deserialize, Serialize};

use crate::{Invalid, ScheduleError};

/// The shift parameter μ, linear in the number of tokens n of an image:
/// `μ(n) = base_shift + (max_shift − base_shift) (n − base_tokens)/(max_tokens − base_tokens)`.
///
/// Default: 0.5 at 256 tokens, 1.15 at 4096, as in Flux; pass this μ to
/// [`Shift::exponential`](crate::Shift::exponential). Beyond both ends it is extrapolated. Source:
/// diffusers' `calculate_shift`; the reason for a shift by resolution is in Esser et al., sec.
/// 5.3.2, arXiv 2403.03206.
///
/// ```
/// use ddm_schedule::{ResolutionShift, Shift, Shifted};
/// let mu = ResolutionShift::default().mu(4096); // 1024×1024 pixels: 64×64 tokens
/// assert!((mu - 1.15).abs() < 1e-12);
/// let schedule = Shifted::flow(Shift::exponential(mu)?);
/// # Ok::<(), ddm_schedule::ScheduleError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Line")]
pub struct ResolutionShift {
    base_shift: f64,
    max_shift: f64,
    base_tokens: usize,
    max_tokens: usize,
}

impl ResolutionShift {
    /// Creates the line through (base_tokens, base_shift) and (max_tokens, max_shift); shifts
    /// finite, base_tokens < max_tokens.
    ///
    /// # Errors
    ///
    /// Returns [`ScheduleError::Invalid`] if a value is out of range.
    pub fn new(
        base_shift: f64,
        max_shift: f64,
        base_tokens: usize,
        max_tokens: usize,
    ) -> Result<Self, ScheduleError> {
        Invalid::require(base_shift.is_finite(), "base_shift", base_shift, "finite")?;
        Invalid::require(max_shift.is_finite(), "max_shift", max_shift, "finite")?;
        let (rising, tokens) = (base_tokens < max_tokens, max_tokens as f64);
        Invalid::require(rising, "max_tokens", tokens, "above base_tokens")?;
        Ok(Self { base_shift, max_shift, base_tokens, max_tokens })
    }

    /// Returns μ for an image of `tokens` tokens.
    #[must_use]
    pub fn mu(&self, tokens: usize) -> f64 {
        let [n, base, max] = [tokens, self.base_tokens, self.max_tokens].map(|n| n as f64);
        self.base_shift + (self.max_shift - self.base_shift) * ((n - base) / (max - base))
    }
}

impl Default for ResolutionShift {
    fn default() -> Self {
        Self { base_shift: 0.5, max_shift: 1.15, base_tokens: 256, max_tokens: 4096 }
    }
}

#[derive(Deserialize)]
struct Line {
    base_shift: f64,
    max_shift: f64,
    base_tokens: usize,
    max_tokens: usize,
}

impl TryFrom<Line> for ResolutionShift {
    type Error = ScheduleError;
    fn try_from(line: Line) -> Result<Self, ScheduleError> {
        Self::new(line.base_shift, line.max_shift, line.base_tokens, line.max_tokens)
    }
}
