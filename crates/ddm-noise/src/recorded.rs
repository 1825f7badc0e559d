//! Noise that was recorded, to replay a run.

use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use crate::{NoiseError, NoiseSource};

/// Draws from a record, in order: to replay a run, also one of another program.
///
/// A draw past the end of the record, or of another size, is NaN throughout: a replay that needs
/// other noise than was recorded is not the same run, and no number of it should look like one.
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
    /// The draws of a run, each as row-major values.
    pub fn new(draws: impl IntoIterator<Item = Vec<f32>>) -> Self {
        Self { draws: draws.into_iter().collect(), next: 0 }
    }

    /// Draws that are left: 0 after a faithful replay.
    pub fn remaining(&self) -> usize {
        self.draws.len().saturating_sub(self.next)
    }
}

impl NoiseSource for RecordedNoise {
    /// The next draw of the record as it is: one number per sample.
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
