//! The inputs of an operation, of any ranks.

use std::any::Any;
use std::fmt;

use burn::tensor::{DType, Device, Gradients, Tensor, TensorData};

/// The inputs of an [`Operation`](super::Operation) on one device.
///
/// ```
/// use burn::tensor::Tensor;
/// use ddm_testkit::device::Inputs;
/// let affine = |x: &Inputs| -> Tensor<4> { x.get::<4>(0) * x.get(1) + x.get(2) };
/// ```
pub struct Inputs {
    leaves: Vec<Box<dyn Leaf>>,
}

impl Inputs {
    /// Puts values on a device, in the given float type, as tensors of ranks 1 to 6.
    pub(super) fn new(
        data: &[TensorData],
        dtype: DType,
        device: &Device,
        tracked: bool,
    ) -> Result<Self, String> {
        let leaf = |data: &TensorData| -> Result<Box<dyn Leaf>, String> {
            let (data, place) = (data.clone(), (device, dtype, tracked));
            Ok(match data.shape().num_dims() {
                1 => leaf::<1>(data, place),
                2 => leaf::<2>(data, place),
                3 => leaf::<3>(data, place),
                4 => leaf::<4>(data, place),
                5 => leaf::<5>(data, place),
                6 => leaf::<6>(data, place),
                rank => return Err(format!("an input of rank {rank}, where 1 to 6 are possible")),
            })
        };
        Ok(Self { leaves: data.iter().map(leaf).collect::<Result<_, _>>()? })
    }

    /// Returns input `index`.
    ///
    /// # Panics
    ///
    /// Panics if there is none of this rank at this place.
    #[must_use]
    pub fn get<const D: usize>(&self, index: usize) -> Tensor<D> {
        let leaf = self.leaves.get(index).and_then(|leaf| leaf.any().downcast_ref());
        leaf.cloned().unwrap_or_else(|| panic!("input {index} is no tensor of rank {D}"))
    }

    /// Returns the gradient of each input.
    pub(super) fn gradients(&self, all: &Gradients) -> Result<Vec<Box<dyn Leaf>>, String> {
        let leaves = self.leaves.iter().enumerate();
        leaves
            .map(|(i, leaf)| leaf.gradient(all).ok_or_else(|| format!("no gradient for input {i}")))
            .collect()
    }
}

impl fmt::Debug for Inputs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inputs").field("count", &self.leaves.len()).finish()
    }
}

/// A tensor whose rank is known at run time.
pub(super) trait Leaf {
    fn any(&self) -> &dyn Any;
    fn gradient(&self, all: &Gradients) -> Option<Box<dyn Leaf>>;
    fn values(&self) -> Result<Vec<f64>, String>;
}

impl<const D: usize> Leaf for Tensor<D> {
    fn any(&self) -> &dyn Any {
        self
    }

    fn gradient(&self, all: &Gradients) -> Option<Box<dyn Leaf>> {
        Some(Box::new(self.grad(all)?))
    }

    fn values(&self) -> Result<Vec<f64>, String> {
        self.clone().try_into_vec_as().map_err(|error| format!("the error \"{error}\""))
    }
}

fn leaf<const D: usize>(
    data: TensorData,
    (device, dtype, tracked): (&Device, DType, bool),
) -> Box<dyn Leaf> {
    let tensor = Tensor::<D>::from_data(data, (device, dtype));
    Box::new(if tracked { tensor.require_grad() } else { tensor })
}
