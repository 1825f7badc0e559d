//! Line plots: losses, schedules, errors.

use image::RgbImage;

use super::axis::{Axis, Fitted};
use super::canvas::{Align, Canvas, Type};
use super::palette::{FAINT_INK, INK, LINE, SERIES};

const SIZE: (u32, u32) = (900, 560);
const LEFT: f64 = 32.0;
const BOTTOM: f64 = 496.0;
/// Between the end of a line and its name.
const LEADER: f64 = 24.0;
/// Between the baselines of two names.
const SPACING: f64 = 18.0;

/// More points than this are drawn with a thinner line.
const CROWDED: usize = 500;

const TITLE: Type = Type { size: 19.0, bold: true, colour: INK };
const NAME: Type = Type { size: 13.5, bold: false, colour: INK };
const LABEL: Type = Type { size: 13.0, bold: false, colour: FAINT_INK };

/// Draws one line per series, named at its end, over axes that fit the data. Points that are not
/// finite, or that a logarithmic axis cannot show, leave a gap. A series of one point is a dot.
pub fn curve(
    title: &str,
    x_axis: Axis<'_>,
    y_axis: Axis<'_>,
    series: &[(&str, Vec<(f64, f64)>)],
) -> RgbImage {
    let mut canvas = Canvas::new(SIZE.0, SIZE.1);
    canvas.text(title, (LEFT, 42.0), Align::Left, TITLE);
    canvas.text(y_axis.label, (LEFT, 72.0), Align::Left, LABEL);
    let top = 90.0;

    let points = || series.iter().flat_map(|(_, points)| points);
    let x = Fitted::new(x_axis.scale, points().map(|(x, _)| *x), 0.0);
    let y = Fitted::new(y_axis.scale, points().map(|(_, y)| *y), 0.04);

    let y_ticks = y.ticks(5);
    let widest = y_ticks.iter().map(|(_, name)| canvas.text_width(name, LABEL)).fold(0.0, f64::max);
    let left = LEFT + widest + 12.0;
    let names = series.iter().map(|(name, _)| canvas.text_width(name, NAME)).fold(0.0, f64::max);
    let right = f64::from(SIZE.0) - LEFT - LEADER - names;
    let place = |(px, py): (f64, f64)| {
        Some((left + x.position(px)? * (right - left), BOTTOM - y.position(py)? * (BOTTOM - top)))
    };

    for (position, name) in &y_ticks {
        let height = BOTTOM - position * (BOTTOM - top);
        canvas.line((left, height), (right, height), 1.0, LINE);
        canvas.text(name, (left - 12.0, height + 4.7), Align::Right, LABEL);
    }
    canvas.line((left, BOTTOM), (right, BOTTOM), 1.25, FAINT_INK);
    for (position, name) in x.ticks(8) {
        let across = left + position * (right - left);
        canvas.line((across, BOTTOM), (across, BOTTOM + 5.0), 1.25, FAINT_INK);
        canvas.text(&name, (across, BOTTOM + 22.0), Align::Centre, LABEL);
    }
    canvas.text(x_axis.label, ((left + right) / 2.0, BOTTOM + 46.0), Align::Centre, LABEL);

    let mut ends = Vec::new();
    for ((name, points), colour) in series.iter().zip(SERIES.iter().cycle()) {
        let places: Vec<_> = points.iter().map(|point| place(*point)).collect();
        let width = if places.len() > CROWDED { 1.4 } else { 2.25 };
        for pair in places.windows(2) {
            if let [Some(from), Some(to)] = pair {
                canvas.line(*from, *to, width, *colour);
            }
        }
        if let [Some(only)] = places[..] {
            canvas.disc(only, 4.0, *colour, 1.0);
        }
        ends.extend(places.iter().rev().find_map(|place| *place).map(|end| (end, *name, *colour)));
    }
    let heights = apart(ends.iter().map(|((_, y), ..)| *y), SPACING, BOTTOM);
    for ((end, name, colour), height) in ends.into_iter().zip(heights) {
        canvas.line(end, (right + LEADER - 5.0, height), 1.0, colour);
        canvas.text(name, (right + LEADER, height + 4.7), Align::Left, NAME);
    }
    canvas.finish()
}

/// Returns heights as near to `wishes` as `spacing` between neighbours allows, none below `bottom`.
fn apart(wishes: impl Iterator<Item = f64>, spacing: f64, bottom: f64) -> Vec<f64> {
    let mut heights: Vec<_> = wishes.enumerate().collect();
    heights.sort_by(|a, b| a.1.total_cmp(&b.1));
    // Neighbours that are too near share a group around the mean of their wishes.
    let mut groups: Vec<Vec<f64>> = Vec::new();
    let first = |group: &[f64]| {
        let count = group.len() as f64;
        let middle = group.iter().sum::<f64>() / count;
        let half = spacing * (count - 1.0) / 2.0;
        middle.min(bottom - half) - half
    };
    for (_, wish) in &heights {
        let mut group = vec![*wish];
        while let Some(above) = groups.pop() {
            if first(&above) + spacing * above.len() as f64 <= first(&group) {
                groups.push(above);
                break;
            }
            group.splice(0..0, above);
        }
        groups.push(group);
    }
    let placed =
        groups.iter().flat_map(|group| (0..group.len()).map(|i| first(group) + spacing * i as f64));
    heights.iter_mut().zip(placed).for_each(|((_, height), place)| *height = place);
    heights.sort_by_key(|(index, _)| *index);
    heights.into_iter().map(|(_, height)| height).collect()
}
