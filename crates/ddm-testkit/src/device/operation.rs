//! An operation, and its comparison on two devices.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use burn::tensor::{DType, Device, Tensor, TensorData};
use ddm_samplers::{HostNoise, NoiseSource};

use super::check::shapes;
use super::outcome::{Outcome, compare, measure};
use super::{Check, Inputs, Pass};

/// The largest error in f16: about twenty roundings of 2⁻¹¹, relative to the largest value.
const HALF_TOLERANCE: f64 = 1e-2;

/// An operation on tensors of given shapes, to be compared on two devices.
///
/// It displays as its name and the shapes.
pub struct Operation {
    name: String,
    shapes: Vec<Vec<usize>>,
    tolerance: f64,
    passes: Vec<Pass>,
    run: Box<Run>,
}

/// Computes an operation, or its gradients, on the device of the inputs.
type Run = dyn Fn(&Inputs, Pass, &Device) -> Result<Outcome, String>;

impl Operation {
    /// Creates an operation of inputs of these shapes, each of rank 1 to 6, that is right in f32 if
    /// its error is at most `tolerance` times the largest value.
    ///
    /// `apply` computes it from [`Inputs`] on the device that they are on.
    pub fn new<const D: usize>(
        name: impl Into<String>,
        shapes: &[&[usize]],
        tolerance: f64,
        apply: impl Fn(&Inputs) -> Tensor<D> + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            shapes: shapes.iter().map(|shape| shape.to_vec()).collect(),
            tolerance,
            passes: vec![Pass::Forward, Pass::Gradient, Pass::Half],
            run: Box::new(move |inputs, pass, device| measure(&apply, inputs, pass, device)),
        }
    }

    /// Limits what [`report`](super::report) compares of the operation; without it, all passes.
    #[must_use]
    pub fn only(mut self, passes: &[Pass]) -> Self {
        self.passes = passes.to_vec();
        self
    }

    /// Returns what [`report`](super::report) compares of the operation.
    pub fn passes(&self) -> &[Pass] {
        &self.passes
    }

    /// Computes the operation twice on each device, for the same normal numbers, and compares.
    ///
    /// The reference goes first. Both results of the device must be right: the autotuner of a GPU
    /// computes the first while it tries its kernels. A panic is a wrong result.
    #[must_use]
    pub fn check(&self, device: &Device, reference: &Device, pass: Pass) -> Check {
        let mut check = Check {
            operation: self.name.clone(),
            shapes: self.shapes.clone(),
            pass,
            error: f64::INFINITY,
            tolerance: if pass == Pass::Half { HALF_TOLERANCE } else { self.tolerance },
            fault: None,
            seconds: f64::NAN,
            reference_seconds: f64::NAN,
        };
        let data = self.numbers(pass, reference);
        let expected = match self.outcome(&data, pass, DType::F32, reference) {
            Ok(outcome) => outcome,
            Err(fault) => {
                check.fault = Some(format!("on the reference: {fault}"));
                return check;
            }
        };
        check.reference_seconds = expected.seconds;
        let dtype = if pass == Pass::Half { DType::F16 } else { DType::F32 };
        match self.outcome(&data, pass, dtype, device) {
            Ok(found) => {
                check.seconds = found.seconds;
                (check.error, check.fault) = compare(&found, &expected, check.tolerance);
            }
            Err(fault) => check.fault = Some(fault),
        }
        check
    }

    /// Returns the inputs: normal numbers, exact in f16 if they are to be used in it.
    fn numbers(&self, pass: Pass, reference: &Device) -> Vec<TensorData> {
        let mut noise = HostNoise::new(0).fork(&self.to_string());
        let numbers = |shape: &Vec<usize>| {
            let data = noise.normal(shape, reference).into_data();
            let data = if pass == Pass::Half { data.convert_dtype(DType::F16) } else { data };
            TensorData::from_bytes(data.convert::<f32>().into_bytes(), shape.clone(), DType::F32)
        };
        self.shapes.iter().map(numbers).collect()
    }

    fn outcome(
        &self,
        data: &[TensorData],
        pass: Pass,
        dtype: DType,
        device: &Device,
    ) -> Result<Outcome, String> {
        let gradient = pass == Pass::Gradient;
        let device = if gradient { device.clone().autodiff() } else { device.clone() };
        // A device that panics must not end the report. Nothing of ours can be left half changed:
        // the tensors of this operation are dropped, and the rest is the device's own state, of which
        // the checks that follow will tell.
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            (self.run)(&Inputs::new(data, dtype, &device, gradient)?, pass, &device)
        }));
        outcome.unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            Err(format!("the panic \"{}\"", text.unwrap_or("without a message")))
        })
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.name, shapes(&self.shapes))
    }
}

impl fmt::Debug for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Operation({self})")
    }
}
