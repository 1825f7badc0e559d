//! What can be drawn in a panel.

use super::palette::{GREY, RGBColor, tint};

/// One thing drawn in a panel; later layers lie over earlier ones.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Layer<'a> {
    /// A dot for each point.
    Points {
        /// Where.
        points: &'a [[f32; 2]],
        /// Radius of a dot in pixels.
        radius: f64,
        /// The dots' colour.
        colour: RGBColor,
        /// From 0 (not there) to 1 (covers what lies below); less than 1 shows where dots crowd.
        opacity: f64,
    },
    /// An arrow from each point.
    Arrows {
        /// The arrows' feet.
        feet: &'a [[f32; 2]],
        /// The vectors; their lengths are scaled together so that neighbours do not run into
        /// each other, the longest twentieth being cut to the same length.
        vectors: &'a [[f32; 2]],
        /// The arrows' colour.
        colour: RGBColor,
    },
    /// A value at each cell of a square that fills the panel, as shades of a colour.
    Heat {
        /// From 0 (paper) to 1 (the colour), clipped; row by row from the bottom, as in a
        /// [`lattice`](super::lattice). What is not a number is left empty.
        values: &'a [f32],
        /// The colour of 1.
        colour: RGBColor,
    },
    /// A line along each path, from faint (its start) to strong, with a dot at its end.
    Paths {
        /// Each path's points in the order of time.
        paths: &'a [Vec<[f32; 2]>],
        /// The lines' colour at their ends.
        colour: RGBColor,
    },
}

impl<'a> Layer<'a> {
    /// Dots that show where they crowd.
    pub fn points(points: &'a [[f32; 2]], colour: RGBColor) -> Self {
        Self::Points { points, radius: 2.4, colour, opacity: 0.55 }
    }

    /// Pale dots, for the data behind what matters.
    pub fn background(points: &'a [[f32; 2]]) -> Self {
        Self::Points { points, radius: 2.2, colour: tint(GREY, 0.6), opacity: 1.0 }
    }

    /// A vector field.
    ///
    /// # Panics
    ///
    /// When drawn, if there are not as many vectors as feet.
    pub fn arrows(feet: &'a [[f32; 2]], vectors: &'a [[f32; 2]], colour: RGBColor) -> Self {
        Self::Arrows { feet, vectors, colour }
    }

    /// A heat map, such as of a density.
    ///
    /// # Panics
    ///
    /// When drawn, if the number of values is not a square.
    pub fn heat(values: &'a [f32], colour: RGBColor) -> Self {
        Self::Heat { values, colour }
    }

    /// Trajectories.
    pub fn paths(paths: &'a [Vec<[f32; 2]>], colour: RGBColor) -> Self {
        Self::Paths { paths, colour }
    }
}
