//! Plots: [`curve()`] for functions of a number, [`panels()`] for data in the plane.
//!
//! ```
//! use ddm_examples::plots::{Axis, Layer, Panel, curve, palette, panels};
//!
//! let alpha: Vec<_> = (0..=100).map(|i| f64::from(i) / 100.0).map(|t| (t, 1.0 - t)).collect();
//! let picture = curve("A schedule", Axis::linear("t"), Axis::linear("alpha"), &[("flow", alpha)]);
//! assert_eq!(picture.dimensions(), (900, 560));
//!
//! let data = ddm_examples::data::dino();
//! let layers = vec![Layer::points(&data, palette::BLUE)];
//! let picture = panels(&[Panel { title: "data", layers }], 1, 2.5);
//! ```

mod axis;
mod canvas;
mod curve;
mod layer;
mod panels;

pub use axis::{Axis, Scale};
pub use curve::curve;
pub use layer::Layer;
pub use panels::{Panel, lattice, panels};

/// Muted, distinct colours, on screen and in print.
pub mod palette {
    pub use plotters::style::RGBColor;

    /// The first choice.
    pub const BLUE: RGBColor = RGBColor(76, 120, 168);
    /// Against blue.
    pub const ORANGE: RGBColor = RGBColor(238, 130, 38);
    /// Success.
    pub const GREEN: RGBColor = RGBColor(84, 162, 75);
    /// Failure.
    pub const RED: RGBColor = RGBColor(214, 82, 82);
    /// A fifth.
    pub const VIOLET: RGBColor = RGBColor(150, 108, 176);
    /// A sixth.
    pub const TEAL: RGBColor = RGBColor(72, 164, 160);
    /// A seventh.
    pub const GOLD: RGBColor = RGBColor(212, 172, 44);
    /// An eighth.
    pub const ROSE: RGBColor = RGBColor(240, 140, 160);
    /// A ninth.
    pub const BROWN: RGBColor = RGBColor(148, 110, 88);
    /// A tenth, and backgrounds.
    pub const GREY: RGBColor = RGBColor(168, 174, 184);
    /// Text.
    pub const INK: RGBColor = RGBColor(38, 44, 54);

    /// One colour per series or class; the eleventh is the first again.
    pub const SERIES: [RGBColor; 10] =
        [BLUE, ORANGE, GREEN, RED, VIOLET, TEAL, GOLD, ROSE, BROWN, GREY];

    /// Labels and other small print.
    pub(super) const FAINT_INK: RGBColor = RGBColor(104, 112, 124);
    /// Grid lines and frames.
    pub(super) const LINE: RGBColor = RGBColor(226, 229, 234);
    /// The ground.
    pub(super) const PAPER: RGBColor = RGBColor(255, 255, 255);

    /// `share` of `colour`, the rest paper.
    pub(super) fn tint(colour: RGBColor, share: f64) -> RGBColor {
        let mix = |ink: u8, paper: u8| {
            (f64::from(ink) * share + f64::from(paper) * (1.0 - share)).round() as u8
        };
        RGBColor(mix(colour.0, PAPER.0), mix(colour.1, PAPER.1), mix(colour.2, PAPER.2))
    }
}
