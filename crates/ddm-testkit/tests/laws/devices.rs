//! A device is compared with another: what is right passes, and each kind of fault is named.

use std::cell::Cell;

use burn::tensor::{DType, Device, Tensor};
use ddm_testkit::device::{self, Check, Inputs, Operation, PRODUCT_TOLERANCE, Pass};

use super::{catches, holds};

const LAW: &str = "the device computes what the reference computes";

fn product(x: &Inputs) -> Tensor<2> {
    x.get::<2>(0).matmul(x.get(1))
}

/// Checks a product whose results have a fault, but for the first `right` of them.
///
/// The reference goes first: twice forward, and three times for gradients.
fn with_fault(pass: Pass, right: usize, fault: fn(&Inputs, Tensor<2>) -> Tensor<2>) -> Check {
    let runs = Cell::new(0);
    let operation = Operation::new("product", &[&[3, 4], &[4, 5]], PRODUCT_TOLERANCE, move |x| {
        runs.set(runs.get() + 1);
        if runs.get() > right { fault(x, product(x)) } else { product(x) }
    });
    operation.check(&Device::flex(), &Device::flex(), pass)
}

#[track_caller]
fn finds(fault: &str, check: Check) {
    catches(LAW, check.law());
    let found = check.fault.as_ref().expect("a wrong result has a fault");
    assert!(found.contains(fault), "{found} instead of {fault}");
}

#[test]
fn a_device_that_is_right_passes() {
    holds(device::all(&Device::flex(), &Device::flex()));
}

#[test]
fn every_operation_is_compared_and_seeds_draw_other_shapes() {
    let names =
        |seed| device::operations(seed).iter().map(Operation::to_string).collect::<Vec<_>>();
    assert_eq!(names(1), names(1));
    assert_ne!(names(1), names(2));
    let one = || [Operation::new("product", &[&[2, 3], &[3, 2]], PRODUCT_TOLERANCE, product)];
    let passes = |operations: [Operation; 1]| {
        let flex = Device::flex();
        device::report(operations, &flex, &flex).map(|check| check.pass).collect::<Vec<_>>()
    };
    assert_eq!(passes(one()), [Pass::Forward, Pass::Gradient, Pass::Half]);
    assert_eq!(passes(one().map(|one| one.only(&[Pass::Gradient]))), [Pass::Gradient]);
}

#[test]
fn wrong_values_are_found() {
    let off = with_fault(Pass::Forward, 2, |_, y| y * 1.004);
    assert!((off.error - 0.004).abs() < 1e-5, "{}", off.error);
    finds("values wrong", off);
    finds("values wrong, 15 zeros", with_fault(Pass::Forward, 2, |_, y| y * 0.0));
    finds("15 of 15 values not finite", with_fault(Pass::Forward, 2, |_, y| y * f64::NAN));
    finds("30 values instead of 15", with_fault(Pass::Forward, 2, |_, y| y.repeat_dim(0, 2)));
    // Rounding is no fault.
    holds(with_fault(Pass::Forward, 2, |_, y| y * (1.0 + 1e-6)).law());
}

#[test]
fn one_wrong_answer_of_two_is_found() {
    finds("values wrong", with_fault(Pass::Forward, 3, |_, y| y + 1.0));
}

#[test]
fn a_wrong_reference_is_found() {
    finds("the reference is not finite", with_fault(Pass::Forward, 0, |_, y| y / 0.0));
}

#[test]
fn wrong_gradients_of_right_values_are_found() {
    let doubled = |_: &Inputs, y: Tensor<2>| y.clone() * 2.0 - y.detach();
    holds(with_fault(Pass::Forward, 2, doubled).law());
    let check = with_fault(Pass::Gradient, 3, doubled);
    assert!((check.error - 1.0).abs() < 1e-5, "{}", check.error);
    finds("values wrong", check);
    let lost = |x: &Inputs, _: Tensor<2>| x.get::<2>(0).matmul(x.get::<2>(1).detach());
    finds("no gradient for input 1", with_fault(Pass::Gradient, 3, lost));
}

#[test]
fn half_precision_is_held_to_its_rounding() {
    let halved = |factor: f64| {
        let operation = Operation::new("scaled", &[&[40]], PRODUCT_TOLERANCE, move |x: &Inputs| {
            let x = x.get::<1>(0);
            if x.dtype() == DType::F16 { x * factor } else { x }
        });
        operation.check(&Device::flex(), &Device::flex(), Pass::Half)
    };
    holds(halved(1.001).law());
    finds("values wrong", halved(1.02));
}

#[test]
fn a_panic_is_found() {
    finds(
        "the panic \"out of order\"",
        with_fault(Pass::Forward, 2, |_, _| panic!("out of order")),
    );
    finds("on the reference: the panic", with_fault(Pass::Forward, 0, |_, _| panic!("there")));
    finds("input 2 is no tensor of rank 2", with_fault(Pass::Forward, 2, |x, _| x.get(2)));
    let high = Operation::new("high", &[&[1; 7]], PRODUCT_TOLERANCE, |x| x.get::<1>(0));
    finds("rank 7", high.check(&Device::flex(), &Device::flex(), Pass::Forward));
}
