//! Recorded noise, to replay a run.

use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use crate::{NoiseError, NoiseSource};

/// A noise source that replays a record in order, of this or another program.
///
/// A draw past the end of the record, or of another size, is all NaN: such a replay is not the
/// recorded run, and its result must not look like one.
///
/// ```
/// use burn::tensor::Device;
/// use ddm_noise::{NoiseSource, RecordedNoise};
/// let mut noise = RecordedNoise::new([vec![1.0, -1.0]]);
/// assert_eq!(noise.draw([2, 1], &Device::flex()).into_data().to_vec::<f32>()?, [1.0, -1.0]);
/// assert_eq!(noise.remaining(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecordedNoise {
    draws: Vec<Vec<f32>>,
    next: usize,
}

impl RecordedNoise {
    /// Creates the source from the draws of a run, each in row-major order.
    pub fn new(draws: impl IntoIterator<Item = Vec<f32>>) -> Self {
        Self { draws: draws.into_iter().collect(), next: 0 }
    }

    /// Returns the number of remaining draws: 0 after a faithful replay.
    pub fn remaining(&self) -> usize {
        self.draws.len().saturating_sub(self.next)
    }
}

impl NoiseSource for RecordedNoise {
    /// Returns the next draw of the record: one number per sample.
    fn uniform(&mut self, samples: usize) -> Result<Vec<f64>, NoiseError> {
        let (draw, wanted) = (self.next, samples);
        self.next += 1;
        let recorded = self.draws.get(draw).map_or(&[][..], Vec::as_slice);
        let found = recorded.len();
        if found != wanted {
            return Err(NoiseError::Record { draw, found, wanted });
        }
        Ok(recorded.iter().map(|&u| f64::from(u)).collect())
    }

    fn normal(&mut self, shape: &[usize], device: &Device) -> Tensor<1> {
        let size: usize = shape.iter().product();
        let recorded = self.draws.get(self.next).filter(|draw| draw.len() == size).cloned();
        self.next += 1;
        let values = recorded.unwrap_or_else(|| vec![f32::NAN; size]);
        Tensor::from_data(TensorData::new(values, [size]), device)
    }
}
