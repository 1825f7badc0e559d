//! Points, vector fields and paths in the plane, in panels side by side.

use image::RgbImage;

use super::canvas::{Align, Canvas, Type};
use super::layer::Layer;
use super::palette::{INK, LINE, RGBColor, tint};

const SIDE: f64 = 320.0;
const MARGIN: f64 = 20.0;
const GAP: f64 = 18.0;
const HEADING: f64 = 24.0;
const TITLE: Type = Type { size: 15.0, bold: false, colour: INK };

/// A square view of the plane with a title.
#[derive(Clone, Debug)]
pub struct Panel<'a> {
    /// The title; may be empty.
    pub title: &'a str,
    /// The layers, from the bottom up.
    pub layers: Vec<Layer<'a>>,
}

/// Draws panels in rows of `columns`, each showing the plane from −`extent` to `extent` in both
/// directions. Anything outside is not drawn.
///
/// # Panics
///
/// Panics if `columns` is 0 or `extent` is not positive.
pub fn panels(panels: &[Panel<'_>], columns: usize, extent: f32) -> RgbImage {
    assert!(columns > 0, "panels need a column");
    assert!(
        extent > 0.0,
        "the plane is shown from -extent to extent, and {extent} is not positive"
    );
    let columns = columns.min(panels.len()).max(1);
    let rows = panels.len().div_ceil(columns);
    let heading = if panels.iter().all(|panel| panel.title.is_empty()) { 0.0 } else { HEADING };
    let along = |count: usize, cell: f64| 2.0 * MARGIN + count as f64 * (cell + GAP) - GAP;
    let mut canvas = Canvas::new(along(columns, SIDE) as u32, along(rows, SIDE + heading) as u32);
    for (index, panel) in panels.iter().enumerate() {
        let left = MARGIN + (index % columns) as f64 * (SIDE + GAP);
        let top = MARGIN + (index / columns) as f64 * (SIDE + heading + GAP) + heading;
        canvas.text(panel.title, (left, top - 10.0), Align::Left, TITLE);
        let view = View { left, top, extent: f64::from(extent) };
        for layer in &panel.layers {
            view.draw(&mut canvas, layer);
        }
        canvas.frame((left, top), (left + SIDE, top + SIDE), LINE);
    }
    canvas.finish()
}

/// Returns the centres of `side` × `side` cells that fill a panel of this `extent`, row by row from
/// the bottom: the positions of the arrows of a field, or of the values of a [`Layer::heat`].
///
/// ```
/// let centres = ddm_examples::plots::lattice(2, 3.0);
/// assert_eq!(centres, [[-1.5, -1.5], [1.5, -1.5], [-1.5, 1.5], [1.5, 1.5]]);
/// ```
pub fn lattice(side: usize, extent: f32) -> Vec<[f32; 2]> {
    let place = |i: usize| (2.0 * (i as f32 + 0.5) / side as f32 - 1.0) * extent;
    (0..side * side).map(|i| [place(i % side), place(i / side)]).collect()
}

/// The place of a panel on the canvas.
struct View {
    left: f64,
    top: f64,
    extent: f64,
}

impl View {
    /// Returns a point's place on the canvas, if the panel shows it.
    fn place(&self, point: [f32; 2]) -> Option<(f64, f64)> {
        let [x, y] = point.map(|value| f64::from(value) / self.extent);
        let at = |share: f64| (share + 1.0) / 2.0 * SIDE;
        (x.abs() <= 1.0 && y.abs() <= 1.0).then(|| (self.left + at(x), self.top + at(-y)))
    }

    fn draw(&self, canvas: &mut Canvas, layer: &Layer<'_>) {
        match *layer {
            Layer::Points { points, radius, colour, opacity } => {
                for at in points.iter().filter_map(|point| self.place(*point)) {
                    canvas.disc(at, radius, colour, opacity);
                }
            }
            Layer::Arrows { feet, vectors, colour } => self.arrows(canvas, feet, vectors, colour),
            Layer::Heat { values, colour } => self.heat(canvas, values, colour),
            Layer::Paths { paths, colour } => self.paths(canvas, paths, colour),
        }
    }

    fn heat(&self, canvas: &mut Canvas, values: &[f32], colour: RGBColor) {
        let side = values.len().isqrt();
        assert_eq!(side * side, values.len(), "a heat map is a square of values");
        let cell = SIDE / side as f64;
        for (index, value) in values.iter().enumerate().filter(|(_, value)| !value.is_nan()) {
            let (column, row) = ((index % side) as f64, (index / side) as f64);
            let (left, bottom) = (self.left + column * cell, self.top + SIDE - row * cell);
            let shade = tint(colour, f64::from(value.clamp(0.0, 1.0)));
            canvas.rectangle((left, bottom - cell), (left + cell, bottom), shade);
        }
    }

    fn arrows(
        &self,
        canvas: &mut Canvas,
        feet: &[[f32; 2]],
        vectors: &[[f32; 2]],
        colour: RGBColor,
    ) {
        assert_eq!(feet.len(), vectors.len(), "a vector for each foot");
        let length = |[x, y]: [f32; 2]| f64::from(x).hypot(f64::from(y));
        let mut lengths: Vec<_> =
            vectors.iter().copied().map(length).filter(|l| l.is_finite()).collect();
        lengths.sort_by(f64::total_cmp);
        let Some(longest) = lengths.get(lengths.len() * 19 / 20).filter(|length| **length > 0.0)
        else {
            return;
        };
        // Feet that fill the panel evenly have this much room each.
        let room = SIDE / (feet.len() as f64).sqrt();
        for (foot, vector) in feet.iter().zip(vectors) {
            let Some(foot) = self.place(*foot) else {
                continue;
            };
            let length = length(*vector);
            if length > 0.0 && length.is_finite() {
                // By the square root, so that short vectors are visible too.
                let drawn = 0.95 * room * (length / longest).sqrt().min(1.0);
                let along = vector.map(|value| f64::from(value) / length);
                arrow(canvas, foot, (along[0], -along[1]), drawn, colour);
            }
        }
    }

    fn paths(&self, canvas: &mut Canvas, paths: &[Vec<[f32; 2]>], colour: RGBColor) {
        let longest = paths.iter().map(Vec::len).max().unwrap_or(0);
        // All paths' first steps, then all second steps: later ones lie on top.
        for step in 1..longest {
            let share = 0.16 + 0.64 * (step as f64 / (longest - 1) as f64);
            for path in paths.iter().filter(|path| path.len() > step) {
                if let (Some(from), Some(to)) = (self.place(path[step - 1]), self.place(path[step]))
                {
                    canvas.line(from, to, 1.1, tint(colour, share));
                }
            }
        }
        for end in paths.iter().filter_map(|path| self.place(*path.last()?)) {
            canvas.disc(end, 2.6, colour, 1.0);
        }
    }
}

/// Draws an arrow from its foot; a very short one is a dot.
fn arrow(
    canvas: &mut Canvas,
    foot: (f64, f64),
    (dx, dy): (f64, f64),
    length: f64,
    colour: RGBColor,
) {
    let head = (length * 0.45).min(5.0);
    if head < 0.8 {
        return canvas.disc(foot, 0.8, tint(colour, 0.6), 1.0);
    }
    let point = |along: f64, aside: f64| {
        (foot.0 + dx * along - dy * aside, foot.1 + dy * along + dx * aside)
    };
    canvas.line(foot, point(length - head, 0.0), 1.1, colour);
    canvas.polygon(
        &[
            point(length, 0.0),
            point(length - head, head * 0.45),
            point(length - head, -head * 0.45),
        ],
        colour,
    );
}
