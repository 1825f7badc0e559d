//! The results of one device, and their comparison with the reference's.

use std::time::Instant;

use burn::tensor::{Device, Tensor};
use ddm_samplers::{HostNoise, NoiseSource};

use super::inputs::Leaf;
use super::{Inputs, Pass};

/// The results of two runs, each a list of outputs, and the time of the second run.
pub(super) struct Outcome {
    runs: [Vec<Vec<f64>>; 2],
    pub(super) seconds: f64,
}

/// Computes an operation, or its gradients, twice.
pub(super) fn measure<const D: usize>(
    apply: &impl Fn(&Inputs) -> Tensor<D>,
    inputs: &Inputs,
    pass: Pass,
    device: &Device,
) -> Result<Outcome, String> {
    // The gradients are those of Σ w y, with w drawn before the clock starts.
    let weights: Option<Tensor<D>> =
        (pass == Pass::Gradient).then(|| HostNoise::new(1).draw(apply(inputs).dims(), device));
    let wait = || device.sync().map_err(|error| format!("the error \"{error}\""));
    let run = || -> Result<(Vec<Vec<f64>>, f64), String> {
        wait()?;
        let start = Instant::now();
        let outputs: Vec<Box<dyn Leaf>> = match &weights {
            None => vec![Box::new(apply(inputs))],
            Some(weights) => {
                inputs.gradients(&(apply(inputs) * weights.clone()).sum().backward())?
            }
        };
        wait()?;
        let seconds = start.elapsed().as_secs_f64();
        Ok((outputs.iter().map(|output| output.values()).collect::<Result<_, _>>()?, seconds))
    };
    let (first, _) = run()?;
    let (second, seconds) = run()?;
    Ok(Outcome { runs: [first, second], seconds })
}

/// Returns the largest error of all runs and outputs, and what is wrong with the worst, if anything.
pub(super) fn compare(
    found: &Outcome,
    expected: &Outcome,
    tolerance: f64,
) -> (f64, Option<String>) {
    let expected = &expected.runs[1];
    let outputs = found.runs.iter().flat_map(|run| run.iter().zip(expected));
    let errors = outputs.map(|(found, expected)| error(found, expected, tolerance));
    errors.fold((0.0, None), |worst, one| if one.0 > worst.0 { one } else { worst })
}

/// Returns the error of one output relative to the largest expected value, and the fault if it is
/// above the tolerance.
fn error(found: &[f64], expected: &[f64], tolerance: f64) -> (f64, Option<String>) {
    let fault = |fault| (f64::INFINITY, Some(fault));
    if found.len() != expected.len() {
        return fault(format!("{} values instead of {}", found.len(), expected.len()));
    }
    let count = |is: &dyn Fn(f64) -> bool| found.iter().filter(|&&value| is(value)).count();
    if expected.iter().any(|value| !value.is_finite()) {
        return fault("the reference is not finite".to_owned());
    }
    let broken = count(&|value| !value.is_finite());
    if broken > 0 {
        return fault(format!("{broken} of {} values not finite", found.len()));
    }
    let size = expected.iter().fold(0.0, |size: f64, value| size.max(value.abs()));
    let off = |(found, expected): (&f64, &f64)| (found - expected).abs() / size.max(1e-30);
    let pairs = || found.iter().zip(expected).map(off);
    let error = pairs().fold(0.0, f64::max);
    let wrong = pairs().filter(|&off| off > tolerance).count();
    if wrong == 0 {
        return (error, None);
    }
    let both = found.iter().zip(expected);
    let zeros = match both.filter(|&(&found, &expected)| found == 0.0 && expected != 0.0).count() {
        0 => String::new(),
        zeros => format!(", {zeros} zeros"),
    };
    (error, Some(format!("{wrong} of {} values wrong{zeros}", found.len())))
}
