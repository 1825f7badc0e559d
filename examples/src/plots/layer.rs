//! The layers of a panel.

use super::palette::{GREY, RGBColor, tint};

/// One layer of a panel; later layers cover earlier ones.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Layer<'a> {
    /// A dot for each point.
    Points {
        /// The positions.
        points: &'a [[f32; 2]],
        /// Radius of a dot in pixels.
        radius: f64,
        /// The dots' colour.
        colour: RGBColor,
        /// From 0 (invisible) to 1 (covers lower layers); less than 1 shows the density of dots.
        opacity: f64,
    },
    /// An arrow from each point.
    Arrows {
        /// The arrows' feet.
        feet: &'a [[f32; 2]],
        /// The vectors; their lengths are scaled together so that neighbours do not overlap, and the
        /// longest twentieth is cut to the same length.
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
    /// Returns dots that show their density.
    pub fn points(points: &'a [[f32; 2]], colour: RGBColor) -> Self {
        Self::Points { points, radius: 2.4, colour, opacity: 0.55 }
    }

    /// Returns pale dots, for data in the background.
    pub fn background(points: &'a [[f32; 2]]) -> Self {
        Self::Points { points, radius: 2.2, colour: tint(GREY, 0.6), opacity: 1.0 }
    }

    /// Returns a vector field.
    ///
    /// # Panics
    ///
    /// Drawing panics if there are not as many vectors as feet.
    pub fn arrows(feet: &'a [[f32; 2]], vectors: &'a [[f32; 2]], colour: RGBColor) -> Self {
        Self::Arrows { feet, vectors, colour }
    }

    /// Returns a heat map, for example of a density.
    ///
    /// # Panics
    ///
    /// Drawing panics if the number of values is not a square.
    pub fn heat(values: &'a [f32], colour: RGBColor) -> Self {
        Self::Heat { values, colour }
    }

    /// Returns trajectories.
    pub fn paths(paths: &'a [Vec<[f32; 2]>], colour: RGBColor) -> Self {
        Self::Paths { paths, colour }
    }
}
