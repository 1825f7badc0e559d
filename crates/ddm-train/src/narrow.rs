//! The start of a narrower network.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::Tensor;

use crate::TrainError;
use crate::ema::Weights;

/// Gives a narrower network the weights of the first channels of a trained one: each parameter is the
/// leading part, on all axes, of the teacher's of its path.
///
/// It is a start, from which [`OutputDistillation`](crate::OutputDistillation) goes on, and no network to
/// sample with. Both have the same layers. Where a layer puts channels of two sources side by side, as the
/// skip connections of a U-Net do, some get weights that were for others.
///
/// ```
/// use burn::tensor::Device;
/// use ddm_models::MlpConfig;
/// use ddm_train::narrow;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let device = Device::flex().autodiff();
/// let teacher = MlpConfig::new().init(&device)?; // a trained one, of width 128
/// let student = narrow(MlpConfig::new().with_hidden(32).init(&device)?, &teacher)?;
/// # let _ = student;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// Returns [`TrainError::Narrow`] if the teacher lacks a parameter, or has a smaller one.
pub fn narrow<M: Module>(student: M, teacher: &M) -> Result<M, TrainError> {
    let teacher = Weights::of(&teacher.valid());
    let mut narrow = Narrow { teacher, path: Vec::new(), failed: None };
    let student = student.map(&mut narrow);
    narrow.failed.map_or(Ok(student), Err)
}

struct Narrow {
    teacher: Weights,
    path: Vec<String>,
    /// The first parameter that does not fit.
    failed: Option<TrainError>,
}

impl ModuleMapper for Narrow {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (path, old) = (self.path.join("."), param.val());
        let found = self.teacher.shape(&path);
        let fits = |shape: &[usize]| {
            shape.len() == D && shape.iter().zip(old.dims()).all(|(whole, part)| part <= *whole)
        };
        let whole: Option<Tensor<D>> = match found {
            Some(shape) if fits(shape) => self.teacher.take(&path),
            _ => None,
        };
        let Some(whole) = whole else {
            let found = self.teacher.shape(&path);
            let found = found.map_or("missing".to_owned(), |shape| format!("of shape {shape:?}"));
            let needed = old.dims().to_vec();
            self.failed.get_or_insert(TrainError::Narrow { path, found, needed });
            return param;
        };
        let part = whole.slice(old.dims().map(|length| 0..length)).cast(old.dtype());
        let part = if old.is_autodiff() { Tensor::from_inner(part) } else { part };
        let id = param.id;
        param.transform_for_load(part, id)
    }
}
