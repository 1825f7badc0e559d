//! Numbers over numbers: losses, schedules, errors.

use image::RgbImage;

use super::axis::{Axis, Fitted};
use super::canvas::{Align, Canvas, Type};
use super::palette::{FAINT_INK, INK, LINE, SERIES};

const SIZE: (u32, u32) = (900, 560);
const RIGHT: f64 = 868.0;
const LEFT: f64 = 32.0;
const BOTTOM: f64 = 496.0;

/// More points than this are drawn with a thinner line.
const CROWDED: usize = 500;

const TITLE: Type = Type { size: 19.0, bold: true, colour: INK };
const NAME: Type = Type { size: 13.5, bold: false, colour: INK };
const LABEL: Type = Type { size: 13.0, bold: false, colour: FAINT_INK };

/// One line for each series, named in a legend, over axes that fit the data. Points that are not
/// finite, or that a logarithmic axis cannot show, leave a gap. A series of one point is a dot.
pub fn curve(
    title: &str,
    x_axis: Axis<'_>,
    y_axis: Axis<'_>,
    series: &[(&str, Vec<(f64, f64)>)],
) -> RgbImage {
    let mut canvas = Canvas::new(SIZE.0, SIZE.1);
    canvas.text(title, (LEFT, 42.0), Align::Left, TITLE);
    let mut top = legend(&mut canvas, series, 72.0);
    canvas.text(y_axis.label, (LEFT, top), Align::Left, LABEL);
    top += 18.0;

    let points = || series.iter().flat_map(|(_, points)| points);
    let x = Fitted::new(x_axis.scale, points().map(|(x, _)| *x), 0.0);
    let y = Fitted::new(y_axis.scale, points().map(|(_, y)| *y), 0.04);

    let y_ticks = y.ticks(5);
    let widest = y_ticks.iter().map(|(_, name)| canvas.text_width(name, LABEL)).fold(0.0, f64::max);
    let left = LEFT + widest + 12.0;
    let place = |(px, py): (f64, f64)| {
        Some((left + x.position(px)? * (RIGHT - left), BOTTOM - y.position(py)? * (BOTTOM - top)))
    };

    for (position, name) in &y_ticks {
        let height = BOTTOM - position * (BOTTOM - top);
        canvas.line((left, height), (RIGHT, height), 1.0, LINE);
        canvas.text(name, (left - 12.0, height + 4.7), Align::Right, LABEL);
    }
    canvas.line((left, BOTTOM), (RIGHT, BOTTOM), 1.25, FAINT_INK);
    for (position, name) in x.ticks(8) {
        let across = left + position * (RIGHT - left);
        canvas.line((across, BOTTOM), (across, BOTTOM + 5.0), 1.25, FAINT_INK);
        canvas.text(&name, (across, BOTTOM + 22.0), Align::Centre, LABEL);
    }
    canvas.text(x_axis.label, ((left + RIGHT) / 2.0, BOTTOM + 46.0), Align::Centre, LABEL);

    for ((_, points), colour) in series.iter().zip(SERIES.iter().cycle()) {
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
    }
    canvas.finish()
}

/// A stroke and a name for each series, in as many rows as they need; answers the next baseline.
fn legend(canvas: &mut Canvas, series: &[(&str, Vec<(f64, f64)>)], first: f64) -> f64 {
    let (mut across, mut baseline) = (LEFT, first);
    for ((name, _), colour) in series.iter().zip(SERIES.iter().cycle()) {
        let width = 26.0 + canvas.text_width(name, NAME);
        if across + width > RIGHT && across > LEFT {
            (across, baseline) = (LEFT, baseline + 22.0);
        }
        let middle = baseline - 4.7;
        canvas.line((across + 1.0, middle), (across + 18.0, middle), 3.0, *colour);
        canvas.text(name, (across + 26.0, baseline), Align::Left, NAME);
        across += width + 24.0;
    }
    if series.is_empty() { first } else { baseline + 30.0 }
}
