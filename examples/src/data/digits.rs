//! Handwritten digits, 8×8 pixels.

use std::path::Path;

use super::{DataError, table};

/// The file of the repository.
static EMBEDDED: &[u8] = include_bytes!("../../data/digits.csv.gz");

const COLUMNS: &str = "65 (64 pixels, then the label)";
const PIXEL: &str = "a whole number from 0 to 16";
const LABEL: &str = "a digit from 0 to 9";

/// Handwritten digits with their labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Digits {
    /// The pixels in [−1, 1], −1 for paper and 1 for ink; image after image, row after row, which
    /// is the order of a tensor `[len, 1, 8, 8]`.
    pub images: Vec<f32>,
    /// The digit of each image, 0 to 9.
    pub labels: Vec<u8>,
}

impl Digits {
    /// Width and height of an image.
    pub const SIDE: usize = 8;
    /// Pixels of an image.
    pub const PIXELS: usize = Self::SIDE * Self::SIDE;

    /// Returns the number of digits.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Returns the 64 pixels of one image.
    ///
    /// # Panics
    ///
    /// Panics if there are not that many images.
    pub fn image(&self, index: usize) -> &[f32] {
        &self.images[index * Self::PIXELS..(index + 1) * Self::PIXELS]
    }
}

/// Returns the 1,797 embedded digits (UCI, Alpaydin & Kaynak 1998).
///
/// ```
/// let digits = ddm_examples::data::digits();
/// assert_eq!((digits.len(), digits.images.len()), (1797, 1797 * 64));
/// ```
pub fn digits() -> Digits {
    let path = Path::new("data/digits.csv.gz");
    table::unpack(path, EMBEDDED)
        .and_then(|bytes| parse(path, &bytes))
        .expect("the embedded digits are whole; the tests read them")
}

/// Reads digits from a file of the same format: rows of 64 pixels from 0 to 16, then the label; plain
/// or gzipped.
///
/// # Errors
///
/// Returns an error that names the file, the row and the value; see [`DataError`].
pub fn digits_from(path: &Path) -> Result<Digits, DataError> {
    parse(path, &table::read(path)?)
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Digits, DataError> {
    let mut digits = Digits { images: Vec::new(), labels: Vec::new() };
    for row in table::rows(path, bytes) {
        let row = row?;
        row.columns(Digits::PIXELS + 1, COLUMNS)?;
        for column in 0..Digits::PIXELS {
            let ink =
                row.number(column, PIXEL, |n| n.fract() == 0.0 && (0.0..=16.0).contains(&n))?;
            digits.images.push(ink / 8.0 - 1.0);
        }
        let label =
            row.number(Digits::PIXELS, LABEL, |n| n.fract() == 0.0 && (0.0..=9.0).contains(&n))?;
        digits.labels.push(label as u8);
    }
    if digits.is_empty() {
        return Err(DataError::Empty { path: path.into() });
    }
    Ok(digits)
}
