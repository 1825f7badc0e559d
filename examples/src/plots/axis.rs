//! Axes: scales and ticks.

/// The meaning of distances on the axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Equal distances are equal differences.
    Linear,
    /// Equal distances are equal ratios; zero and negative numbers are left out.
    Log,
}

/// One axis of a [`curve`](super::curve()).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Axis<'a> {
    /// The quantity and its unit.
    pub label: &'a str,
    /// The meaning of distances on the axis.
    pub scale: Scale,
}

impl<'a> Axis<'a> {
    /// Equal distances are equal differences.
    pub fn linear(label: &'a str) -> Self {
        Self { label, scale: Scale::Linear }
    }

    /// Equal distances are equal ratios.
    pub fn log(label: &'a str) -> Self {
        Self { label, scale: Scale::Log }
    }
}

/// A scale fitted to its values: from values to positions in [0, 1].
#[derive(Clone, Copy, Debug)]
pub(super) struct Fitted {
    scale: Scale,
    /// The ends; under [`Scale::Log`] their decimal logarithms.
    low: f64,
    high: f64,
}

impl Fitted {
    /// Fits the values, with a margin of `margin` times the width at both ends.
    pub(super) fn new(scale: Scale, values: impl Iterator<Item = f64>, margin: f64) -> Self {
        let (low, high) = values
            .filter_map(|value| linearize(scale, value))
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
        let (low, high) = match high - low {
            width if width > 0.0 => (low - margin * width, high + margin * width),
            0.0 => (low - 0.5, high + 0.5),
            _ => (0.0, 1.0),
        };
        Self { scale, low, high }
    }

    /// Returns the position, 0 at the low end and 1 at the high end; `None` if the scale cannot show it.
    pub(super) fn position(&self, value: f64) -> Option<f64> {
        Some((linearize(self.scale, value)? - self.low) / (self.high - self.low))
    }

    /// Returns about `count` round numbers between the ends: their positions and names.
    pub(super) fn ticks(&self, count: usize) -> Vec<(f64, String)> {
        let decades = self.high - self.low;
        match self.scale {
            Scale::Log if decades >= 1.0 => self.decade_ticks(decades, count),
            _ => self.even_ticks(count),
        }
    }

    /// Powers of ten, and twice and five times them where there is room.
    fn decade_ticks(&self, decades: f64, count: usize) -> Vec<(f64, String)> {
        let factors: &[f64] =
            if decades * 3.0 <= count as f64 + 2.0 { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let every = (decades / count as f64).round().max(1.0) as i32;
        let (first, last) = (self.low.floor() as i32, self.high.ceil() as i32);
        let plain = factors.len() > 1 || (first >= -4 && last <= 4);
        (first..=last)
            .filter(|exponent| exponent.rem_euclid(every) == 0)
            .flat_map(|exponent| factors.iter().map(move |factor| (exponent, factor)))
            .map(|(exponent, factor)| {
                let at = f64::from(exponent) + factor.log10();
                let digits = usize::try_from(-exponent).unwrap_or(0);
                let power = 10_f64.powi(exponent);
                let name =
                    if plain { format!("{:.digits$}", factor * power) } else { raised(exponent) };
                ((at - self.low) / decades, name)
            })
            .filter(|(position, _)| (-1e-6..=1.0 + 1e-6).contains(position))
            .collect()
    }

    /// Round numbers at equal differences, also on a logarithmic axis under one decade long.
    fn even_ticks(&self, count: usize) -> Vec<(f64, String)> {
        let value = |end: f64| {
            if self.scale == Scale::Log { 10_f64.powf(end) } else { end }
        };
        let (low, high) = (value(self.low), value(self.high));
        let step = round_step((high - low) / count as f64);
        let digits = usize::try_from(-step.log10().floor() as i64).unwrap_or(0);
        // A hair of slack keeps a tick that lies on the end itself.
        let first = (low / step - 1e-6).ceil() as i64;
        let last = (high / step + 1e-6).floor() as i64;
        (first..=last)
            .filter_map(|i| {
                let tick = i as f64 * step;
                Some((self.position(tick)?, name(tick, digits, step)))
            })
            .collect()
    }
}

fn linearize(scale: Scale, value: f64) -> Option<f64> {
    let value = match scale {
        Scale::Linear => value,
        Scale::Log if value > 0.0 => value.log10(),
        Scale::Log => return None,
    };
    value.is_finite().then_some(value)
}

/// The nearest, in ratio, of 1, 2, 5 times a power of ten.
fn round_step(step: f64) -> f64 {
    let power = 10_f64.powf(step.log10().floor());
    let distance = |round: &f64| (round / step).ln().abs();
    [1.0, 2.0, 5.0, 10.0]
        .map(|factor| factor * power)
        .into_iter()
        .min_by(|a, b| distance(a).total_cmp(&distance(b)))
        .unwrap_or(power)
}

fn name(tick: f64, digits: usize, step: f64) -> String {
    if tick.abs() < step * 1e-6 {
        "0".into()
    } else if step >= 1000.0 && (tick / 1000.0).fract() == 0.0 {
        minus(&format!("{}k", tick / 1000.0))
    } else if digits > 5 {
        minus(&format!("{tick:.0e}"))
    } else {
        minus(&format!("{tick:.digits$}"))
    }
}

/// The true minus sign, as wide as a plus.
fn minus(number: &str) -> String {
    number.replace('-', "−")
}

/// A power of ten with a raised exponent.
fn raised(exponent: i32) -> String {
    let digits = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    let raise = |c: char| c.to_digit(10).map_or('⁻', |digit| digits[digit as usize]);
    format!("10{}", exponent.to_string().chars().map(raise).collect::<String>())
}
