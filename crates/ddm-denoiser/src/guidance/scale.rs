//! How strongly guidance acts, level by level.

use std::ops::RangeInclusive;

use ddm_schedule::{Invalid, NoiseLevel};
use serde::{Deserialize, Serialize};

use crate::ModelError;

/// The scale of guidance at a level.
///
/// A number is the same scale everywhere, a closure `|at: NoiseLevel| …` any function of the level,
/// an [`Interval`] a scale for some levels only. Whatever is guided: 0 is the unconditional model,
/// 1 the conditional one, and above 1 the condition counts for more than it should.
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
    /// The scale at a level.
    fn at(&self, level: NoiseLevel) -> f64;

    /// Refuses what is no number. Called where guidance is made; what a closure answers is looked
    /// at when a run starts, at its noisiest level.
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

/// The scale at the level where a run starts, if it is a number.
pub(crate) fn at_start(scale: &impl Scale, noisiest: NoiseLevel) -> Result<f64, ModelError> {
    let found = scale.at(noisiest);
    require_finite(found).map(|()| found)
}

/// The scale at each level.
pub(crate) fn at_each(scale: &impl Scale, at: &[NoiseLevel]) -> Vec<f64> {
    at.iter().map(|&at| scale.at(at)).collect()
}

/// A scale inside a range of σ/α (both ends included), and 1, the plain conditional model, outside,
/// or another scale that [`outside`](Self::outside) sets.
///
/// Guidance does harm at high noise, where it narrows what the samples can become, and nothing at
/// low noise, where it costs a second branch all the same; so limiting it is better and cheaper.
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
    /// A finite scale for levels whose σ/α is in `ratios`; an upper end may be infinite.
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

    /// With another scale outside of the range: 0 for what should not count there at all, such as a
    /// weight of [`Composed`](crate::Composed), or guidance by a gradient.
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
    /// Infinite where it is left out, since JSON has no infinity.
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
