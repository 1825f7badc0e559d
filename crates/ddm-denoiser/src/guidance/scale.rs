//! The scale of guidance as a function of the level.

use std::ops::RangeInclusive;

use ddm_schedule::{Invalid, NoiseLevel};
use serde::{Deserialize, Serialize};

use crate::ModelError;

/// The scale of guidance at a level.
///
/// A number is a constant scale, a closure `|at: NoiseLevel| …` any function of the level, and an
/// [`Interval`] a scale for some levels only. In every guidance, 0 is the unconditional model, 1
/// the conditional one, and above 1 the condition is amplified.
///
/// ```
/// use ddm_denoiser::{Interval, Scale};
/// use ddm_schedule::NoiseLevel;
/// let at = NoiseLevel { timestep: 500.0, alpha: 0.6, sigma: 0.8 };
/// assert_eq!(7.5.at(at), 7.5);
/// assert_eq!((|at: NoiseLevel| 1.0 + at.sigma).at(at), 1.8);
/// assert_eq!(Interval::new(3.0, 0.2..=1.0)?.at(at), 1.0); // σ/α = 1.33 lies outside
/// # Ok::<(), ddm_denoiser::ModelError>(())
/// ```
#[doc(alias = "guidance_scale")]
pub trait Scale: Send + Sync {
    /// Returns the scale at a level.
    fn at(&self, level: NoiseLevel) -> f64;

    /// Checks that the scale is finite. Called when guidance is created; the value of a closure is
    /// checked when a run starts, at its noisiest level.
    ///
    /// # Errors
    /// Returns an error if the scale is not finite.
    fn check(&self) -> Result<(), ModelError> {
        Ok(())
    }
}

impl Scale for f64 {
    fn at(&self, _: NoiseLevel) -> f64 {
        *self
    }
    fn check(&self) -> Result<(), ModelError> {
        require_finite(*self)
    }
}

impl<F: Fn(NoiseLevel) -> f64 + Send + Sync> Scale for F {
    fn at(&self, level: NoiseLevel) -> f64 {
        self(level)
    }
}

fn require_finite(scale: f64) -> Result<(), ModelError> {
    Ok(Invalid::require(scale.is_finite(), "the guidance scale", scale, "finite")?)
}

/// The scale at the level where a run starts; an error if it is not finite.
pub(crate) fn at_start(scale: &impl Scale, noisiest: NoiseLevel) -> Result<f64, ModelError> {
    let found = scale.at(noisiest);
    require_finite(found).map(|()| found)
}

/// The scale at each level.
pub(crate) fn at_each(scale: &impl Scale, at: &[NoiseLevel]) -> Vec<f64> {
    at.iter().map(|&at| scale.at(at)).collect()
}

/// A scale inside a range of σ/α (both ends included), and 1 outside, the plain conditional model,
/// unless [`outside`](Self::outside) sets another scale.
///
/// At high noise guidance reduces the variety of the samples. At low noise it has no effect, but
/// still costs a second branch. So limiting it is better and cheaper.
/// Source: Kynkäänniemi et al., *Applying Guidance in a Limited Interval Improves Sample and
/// Distribution Quality in Diffusion Models*, arXiv 2404.07724; their σ is σ/α, and their
/// lower end is excluded.
///
/// ```
/// use ddm_denoiser::{Interval, Scale};
/// use ddm_schedule::NoiseLevel;
/// let interval = Interval::new(3.0, 0.28..=5.42)?;
/// let at = |ratio| NoiseLevel { timestep: 0.0, alpha: 1.0, sigma: ratio };
/// assert_eq!([0.1, 1.0, 5.42, 80.0].map(|ratio| interval.at(at(ratio))), [1.0, 3.0, 3.0, 1.0]);
/// assert!(Interval::new(3.0, 5.0..=0.2).is_err());
/// # Ok::<(), ddm_denoiser::ModelError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Ends", into = "Ends")]
pub struct Interval {
    scale: f64,
    ratios: RangeInclusive<f64>,
    outside: f64,
}

impl Interval {
    /// Creates a scale for levels whose σ/α is in `ratios`. The upper end may be infinite.
    ///
    /// # Errors
    /// Returns an error if the scale is not finite, or if the range is empty, negative or NaN.
    pub fn new(scale: f64, ratios: RangeInclusive<f64>) -> Result<Self, ModelError> {
        scale.check()?;
        let (&lowest, &highest) = (ratios.start(), ratios.end());
        let setting =
            |what, found, allowed| Err(Invalid { name: what, value: found, allowed }.into());
        if lowest.is_nan() || lowest < 0.0 {
            return setting("the interval's lower end", lowest, "a ratio sigma/alpha, at least 0");
        }
        if highest.is_nan() || highest < lowest {
            return setting("the interval's upper end", highest, "at least its lower end");
        }
        Ok(Self { scale, ratios, outside: 1.0 })
    }

    /// Sets the scale outside of the range. Use 0 for a weight of [`Composed`](crate::Composed), or
    /// for guidance by a gradient, to switch it off there.
    ///
    /// # Errors
    /// Returns an error if the scale is not finite.
    pub fn outside(self, scale: f64) -> Result<Self, ModelError> {
        scale.check()?;
        Ok(Self { outside: scale, ..self })
    }
}

impl Scale for Interval {
    fn at(&self, level: NoiseLevel) -> f64 {
        if self.ratios.contains(&(level.sigma / level.alpha)) { self.scale } else { self.outside }
    }
}

#[derive(Serialize, Deserialize)]
struct Ends {
    scale: f64,
    lowest: f64,
    /// Infinite if left out, since JSON has no infinity.
    #[serde(default)]
    highest: Option<f64>,
    #[serde(default = "one")]
    outside: f64,
}

fn one() -> f64 {
    1.0
}

impl From<Interval> for Ends {
    fn from(Interval { scale, ratios, outside }: Interval) -> Self {
        let (lowest, highest) = ratios.into_inner();
        Self { scale, lowest, highest: highest.is_finite().then_some(highest), outside }
    }
}

impl TryFrom<Ends> for Interval {
    type Error = ModelError;
    fn try_from(raw: Ends) -> Result<Self, ModelError> {
        Self::new(raw.scale, raw.lowest..=raw.highest.unwrap_or(f64::INFINITY))?
            .outside(raw.outside)
    }
}
