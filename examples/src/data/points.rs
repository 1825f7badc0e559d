//! Points in the plane.

use std::path::Path;

use super::{DataError, table};

/// The file of the repository.
static EMBEDDED: &[u8] = include_bytes!("../../data/dino.csv");

const COLUMNS: &str = "2 (x and y)";
const COORDINATE: &str = "a finite number";

/// Returns the 142 points of the Datasaurus (Alberto Cairo), [normalized](normalize).
///
/// ```
/// assert_eq!(ddm_examples::data::dino().len(), 142);
/// ```
pub fn dino() -> Vec<[f32; 2]> {
    parse(Path::new("data/dino.csv"), EMBEDDED)
        .expect("the embedded points are whole; the tests read them")
}

/// Reads points from a file of rows `x,y` (a first row of column names is skipped; plain or gzipped),
/// [normalized](normalize).
///
/// # Errors
///
/// Returns an error that names the file, the row and the value; see [`DataError`].
pub fn points_from(path: &Path) -> Result<Vec<[f32; 2]>, DataError> {
    parse(path, &table::read(path)?)
}

/// Moves points to mean zero and scales both axes by one factor, so that the coordinates' mean square
/// is 1 and the proportions stay. Points that all coincide are only moved.
pub fn normalize(points: &mut [[f32; 2]]) {
    let count = points.len() as f64;
    let mean = [0, 1].map(|axis| points.iter().map(|p| f64::from(p[axis])).sum::<f64>() / count);
    let centred = |p: &[f32; 2], axis: usize| f64::from(p[axis]) - mean[axis];
    let square: f64 =
        points.iter().map(|p| centred(p, 0).powi(2) + centred(p, 1).powi(2)).sum::<f64>();
    let deviation = (square / (2.0 * count)).sqrt();
    let scale = if deviation > 0.0 { deviation.recip() } else { 1.0 };
    for point in points {
        *point = [0, 1].map(|axis| (centred(point, axis) * scale) as f32);
    }
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Vec<[f32; 2]>, DataError> {
    let mut points = Vec::new();
    for row in table::rows(path, bytes) {
        let row = row?;
        row.columns(2, COLUMNS)?;
        if row.is_heading() {
            continue;
        }
        points.push([
            row.number(0, COORDINATE, f32::is_finite)?,
            row.number(1, COORDINATE, f32::is_finite)?,
        ]);
    }
    let Some(first) = points.first().copied() else {
        return Err(DataError::Empty { path: path.into() });
    };
    if points.iter().all(|point| *point == first) {
        return Err(DataError::Coincide { path: path.into() });
    }
    normalize(&mut points);
    Ok(points)
}
