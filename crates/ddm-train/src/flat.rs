//! The trained parameters of a module, and their gradients, as one vector that moves between devices.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Bool, DType, Device, Int, Tensor};

/// Which float parameters a vector has.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Which {
    All,
    /// Those that are trained.
    Trained,
}

impl Which {
    fn has<const D: usize>(self, param: &Param<Tensor<D>>) -> bool {
        self == Self::All || param.is_require_grad()
    }
}

/// Returns the float type of the vectors of a module: f64 if it has a parameter in f64, and else f32.
pub(crate) fn dtype<M: Module>(module: &M) -> DType {
    struct Widest(DType);
    impl ModuleVisitor for Widest {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if param.dtype() == DType::F64 {
                self.0 = DType::F64;
            }
        }
    }
    let mut widest = Widest(DType::F32);
    module.visit(&mut widest);
    widest.0
}

/// Returns float parameters one after the other; `None` if there are none.
pub(crate) fn weights<M: Module>(module: &M, which: Which, dtype: DType) -> Option<Tensor<1>> {
    struct Collect {
        which: Which,
        dtype: DType,
        pieces: Vec<Tensor<1>>,
    }
    impl ModuleVisitor for Collect {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if self.which.has(param) {
                self.pieces.push(flat(param.val().inner(), self.dtype));
            }
        }
    }
    let mut collect = Collect { which, dtype, pieces: Vec::new() };
    module.visit(&mut collect);
    (!collect.pieces.is_empty()).then(|| Tensor::cat(collect.pieces, 0))
}

/// Returns the module with the float parameters of a vector, on its device. With [`Which::All`] the other
/// parameters move there too.
pub(crate) fn with_weights<M: Module>(module: M, which: Which, vector: Tensor<1>) -> M {
    let device = vector.device();
    module.map(&mut Replace { which, device, rest: Rest { vector, at: 0 } })
}

struct Replace {
    which: Which,
    device: Device,
    rest: Rest,
}

impl ModuleMapper for Replace {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if !self.which.has(&param) {
            return param;
        }
        param.map(|old| {
            let new = self.rest.next(old.dims()).cast(old.dtype());
            let Some(strategy) = old.gradient_checkpointing_strategy() else { return new };
            let new = Tensor::from_inner(new).with_gradient_checkpointing_strategy(strategy);
            new.set_require_grad(old.is_require_grad())
        })
    }
    fn map_int<const D: usize>(&mut self, param: Param<Tensor<D, Int>>) -> Param<Tensor<D, Int>> {
        if self.which == Which::Trained {
            return param;
        }
        param.map(|old| old.to_device(&self.device))
    }
    fn map_bool<const D: usize>(
        &mut self,
        param: Param<Tensor<D, Bool>>,
    ) -> Param<Tensor<D, Bool>> {
        if self.which == Which::Trained {
            return param;
        }
        param.map(|old| old.to_device(&self.device))
    }
}

/// The loss of a part of a batch and its gradients one after the other, 0 where a parameter has none; and
/// which parameters have one.
pub(crate) fn gradients<M: Module>(
    module: &M,
    loss: Tensor<1>,
    gradients: GradientsParams,
    dtype: DType,
) -> (Tensor<1>, Vec<bool>) {
    struct Collect {
        gradients: GradientsParams,
        dtype: DType,
        pieces: Vec<Tensor<1>>,
        present: Vec<bool>,
    }
    impl ModuleVisitor for Collect {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if !Which::Trained.has(param) {
                return;
            }
            let gradient: Option<Tensor<D>> = self.gradients.remove(param.id);
            self.present.push(gradient.is_some());
            let gradient = gradient.unwrap_or_else(|| param.val().zeros_like());
            self.pieces.push(flat(gradient.inner(), self.dtype));
        }
    }
    let pieces = vec![loss.inner().mean().cast(dtype)];
    let mut collect = Collect { gradients, dtype, pieces, present: Vec::new() };
    module.visit(&mut collect);
    (Tensor::cat(collect.pieces, 0), collect.present)
}

/// Returns the loss and the gradients of such a vector.
pub(crate) fn loss_and_gradients<M: Module>(
    module: &M,
    vector: Tensor<1>,
    present: &[bool],
) -> (Tensor<1>, GradientsParams) {
    struct Split<'a> {
        rest: Rest,
        present: std::slice::Iter<'a, bool>,
        gradients: GradientsParams,
    }
    impl ModuleVisitor for Split<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if !Which::Trained.has(param) {
                return;
            }
            let gradient = self.rest.next(param.dims()).cast(param.dtype());
            if self.present.next() == Some(&true) {
                self.gradients.register::<D>(param.id, gradient);
            }
        }
    }
    let mut rest = Rest { vector, at: 0 };
    let loss = rest.next([1]);
    let mut split = Split { rest, present: present.iter(), gradients: GradientsParams::new() };
    module.visit(&mut split);
    (loss, split.gradients)
}

fn flat<const D: usize>(tensor: Tensor<D>, dtype: DType) -> Tensor<1> {
    tensor.reshape([-1]).cast(dtype)
}

/// What is left of a vector.
struct Rest {
    vector: Tensor<1>,
    at: usize,
}

impl Rest {
    /// Returns the next tensor.
    fn next<const D: usize>(&mut self, shape: [usize; D]) -> Tensor<D> {
        let length = shape.iter().product();
        let piece = self.vector.clone().narrow(0, self.at, length);
        self.at += length;
        piece.reshape(shape)
    }
}
