//! A layer of a LoRA.

use std::path::Path;

use burn::tensor::{DType, Device, Tensor, TensorData};
use ddm_weights::{TensorView, WeightsError};

use super::LoraError;

/// A layer of a LoRA: an update of rank r of one weight.
#[derive(Clone, Debug)]
pub struct LoraLayer {
    /// Its path in the network, as the file writes it.
    pub(super) path: String,
    /// As the file calls it.
    pub(super) name: String,
    pub(super) down: Named,
    pub(super) up: Named,
    pub(super) mid: Option<Named>,
    /// α / rank.
    pub(super) scale: f64,
}

/// A tensor with its name.
#[derive(Clone, Debug)]
pub(super) struct Named {
    pub(super) name: String,
    pub(super) view: TensorView,
}

impl LoraLayer {
    /// The layer as the file calls it, without what ends the names of its tensors.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The rank r, the number of rows of A.
    pub fn rank(&self) -> usize {
        self.down.view.shape()[0]
    }

    /// The factor of B A at weight 1: α / r, and 1 in files without α.
    pub fn scale(&self) -> f64 {
        self.scale
    }

    /// The shape of the weight that it is for, `[out, in]` or `[out, in, height, width]`; but a
    /// linear layer may be written as a convolution of 1×1, and the reverse.
    pub fn shape(&self) -> Vec<usize> {
        let inner = self.mid.as_ref().map_or(&self.down, |mid| mid);
        let mut shape = vec![self.up.view.shape()[0], self.down.view.shape()[1]];
        shape.extend(&inner.view.shape()[2..]);
        shape
    }

    /// Checks that the matrices can be multiplied.
    pub(super) fn check(&self, file: &Path) -> Result<(), LoraError> {
        let (down, up) = (self.down.view.shape(), self.up.view.shape());
        let mid = self.mid.as_ref().map(|mid| mid.view.shape());
        let ones = |shape: &[usize]| shape.iter().skip(2).all(|length| *length == 1);
        let rank = down.first().copied().unwrap_or(0);
        let fits = down.len() >= 2
            && up.len() >= 2
            && rank > 0
            && up[1] == rank
            && ones(up)
            && mid.is_none_or(|mid| mid.len() >= 2 && mid[..2] == [rank; 2] && ones(down));
        if fits {
            return Ok(());
        }
        let (path, layer) = (file.to_owned(), self.name.clone());
        let (down, up, mid) = (down.to_vec(), up.to_vec(), mid.map(<[usize]>::to_vec));
        Err(LoraError::Ranks { path, layer, down, up, mid })
    }

    /// Whether the update has the shape of a weight with so many rows.
    pub(super) fn fits(&self, rows: usize, weight: &[usize]) -> bool {
        let shape = self.shape();
        let kernel = |shape: &[usize]| match shape.get(2..).unwrap_or(&[]) {
            kernel if kernel.iter().all(|length| *length == 1) => Vec::new(),
            kernel => kernel.to_vec(),
        };
        weight.len() >= 2
            && shape[0] == rows
            && shape[1] == weight[1]
            && kernel(&shape) == kernel(weight)
    }

    /// Reads two factors of weight · α / r · B A, in f32: some rows of the first, `[rows, r]`, and the
    /// second, `[r, in · height · width]`.
    ///
    /// With a middle convolution M, the second is Σ over q of `M[p, q, …] A[q, :]`.
    pub(super) fn factors(
        &self,
        weight: f64,
        rows: std::ops::Range<usize>,
        file: &Path,
        device: &Device,
    ) -> Result<(Tensor<2>, Tensor<2>), LoraError> {
        let rank = self.rank();
        let up = Named { name: self.up.name.clone(), view: self.up.view.part(0, rows)? };
        let up = up.matrix(rank, true, file, device)?;
        let mut down = self.down.matrix(rank, false, file, device)?;
        if let Some(mid) = &self.mid {
            let [_, channels] = down.dims();
            let mid = mid.matrix(rank, false, file, device)?;
            let kernel = mid.dims()[1] / rank;
            let mid = mid.reshape([rank, rank, kernel]).swap_dims(1, 2);
            let all = mid.reshape([rank * kernel, rank]).matmul(down);
            let all = all.reshape([rank, kernel, channels]).swap_dims(1, 2);
            down = all.reshape([rank, channels * kernel]);
        }
        Ok((up * (weight * self.scale), down))
    }
}

impl Named {
    /// Reads it as a matrix with `rank` rows, or columns.
    fn matrix(
        &self,
        rank: usize,
        columns: bool,
        file: &Path,
        device: &Device,
    ) -> Result<Tensor<2>, LoraError> {
        let data = self.view.read_as(DType::F32)?;
        let numbers: Vec<f32> = data.iter().collect();
        if let Some(index) = numbers.iter().position(|number| !number.is_finite()) {
            let (path, tensor) = (file.to_owned(), self.name.clone());
            let value = f64::from(numbers[index]);
            return Err(WeightsError::NotFinite { path, tensor, index, value }.into());
        }
        let other = numbers.len() / rank;
        let shape = if columns { [other, rank] } else { [rank, other] };
        let data = TensorData::new(numbers, shape);
        Ok(Tensor::from_data(data, (device, DType::F32)))
    }
}
