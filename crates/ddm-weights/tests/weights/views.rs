//! Parts, transposes and concatenations, against the same done element by element.

use burn::tensor::{DType, TensorData};
use ddm_weights::{TensorView, Tensors, WeightsError};
use proptest::prelude::*;

use crate::bytes::floats;
use crate::mutated::cases;

/// A tensor as its shape and elements, and what is done to it the slow way.
#[derive(Clone, Debug, PartialEq)]
struct Plain {
    shape: Vec<usize>,
    values: Vec<f32>,
}

impl Plain {
    /// The element at each index of `shape` is that at `from(index)` here.
    fn map(&self, shape: Vec<usize>, from: impl Fn(&mut Vec<usize>)) -> Self {
        let elements: usize = shape.iter().product();
        let values = (0..elements).map(|i| {
            let mut index = Vec::new();
            let mut rest = i;
            for length in shape.iter().rev() {
                index.insert(0, rest % length);
                rest /= length;
            }
            from(&mut index);
            let at = index.iter().zip(&self.shape).fold(0, |at, (i, length)| at * length + i);
            self.values[at]
        });
        let values = values.collect();
        Self { shape, values }
    }

    fn part(&self, axis: usize, begin: usize, end: usize) -> Self {
        let mut shape = self.shape.clone();
        shape[axis] = end - begin;
        self.map(shape, |index| index[axis] += begin)
    }

    fn transposed(&self, a: usize, b: usize) -> Self {
        let mut shape = self.shape.clone();
        shape.swap(a, b);
        self.map(shape, |index| index.swap(a, b))
    }

    /// This tensor twice along an axis.
    fn doubled(&self, axis: usize) -> Self {
        let mut shape = self.shape.clone();
        shape[axis] *= 2;
        let length = self.shape[axis];
        self.map(shape, |index| index[axis] %= length.max(1))
    }
}

/// An operation: its kind, and numbers that are taken modulo what there is.
type Operation = (u8, usize, usize, usize);

fn apply(view: &TensorView, plain: &Plain, operation: Operation) -> (TensorView, Plain) {
    let (kind, a, b, c) = operation;
    let axis = a % plain.shape.len();
    let length = plain.shape[axis];
    match kind % 3 {
        0 => {
            let (b, c) = (b % (length + 1), c % (length + 1));
            let (begin, end) = (b.min(c), b.max(c));
            (view.part(axis, begin..end).unwrap(), plain.part(axis, begin, end))
        }
        1 => {
            let other = b % plain.shape.len();
            (view.transposed(axis, other).unwrap(), plain.transposed(axis, other))
        }
        _ => {
            let twice = vec![view.clone(), view.clone()];
            (TensorView::concatenated(axis, twice).unwrap(), plain.doubled(axis))
        }
    }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn views_are_what_they_would_be_element_by_element(
        shape in prop::collection::vec(1_usize..6, 1..5),
        operations in prop::collection::vec(any::<Operation>(), 0..6),
    ) {
        let elements: usize = shape.iter().product();
        let values: Vec<f32> = (0..elements).map(|i| i as f32).collect();
        let tensors = Tensors::from_bytes(floats("w", &values)).unwrap();
        let mut view = tensors.get("w").unwrap().reshaped(shape.clone()).unwrap();
        let mut plain = Plain { shape, values };
        for operation in operations {
            (view, plain) = apply(&view, &plain, operation);
        }
        prop_assert_eq!(view.shape(), &plain.shape[..]);
        let expected = TensorData::new(plain.values, plain.shape);
        prop_assert_eq!(&view.read().unwrap(), &expected);
        let half = view.read_as(DType::F16).unwrap();
        prop_assert_eq!(half, expected.convert_dtype(DType::F16));
    }
}

#[test]
fn long_rows_are_read_in_bands() {
    // Larger than a band, in both directions, and no multiple of one.
    let (rows, columns) = (1001, 777);
    let values: Vec<f32> = (0..rows * columns).map(|i| i as f32).collect();
    let tensors = Tensors::from_bytes(floats("w", &values)).unwrap();
    let view = tensors.get("w").unwrap().reshaped([rows, columns]).unwrap();
    let turned = view.transposed(0, 1).unwrap().read().unwrap();
    let turned: Vec<f32> = turned.iter().collect();
    assert!((0..turned.len()).all(|i| turned[i] == values[i % rows * columns + i / rows]));
    let doubles = view.transposed(0, 1).unwrap().read_as(DType::F64).unwrap();
    assert!(doubles.iter::<f64>().zip(&turned).all(|(a, b)| a == f64::from(*b)));
    let part = view.part(1, 3..700).unwrap().read().unwrap();
    let expected = values.chunks(columns).flat_map(|row| &row[3..700]);
    assert!(part.iter::<f32>().zip(expected).all(|(a, b)| a == *b));
}

#[test]
fn parts_that_do_not_fit_are_refused() {
    let view = TensorView::from(TensorData::from([[1.0_f32, 2.0, 3.0], [4.0, 5.0, 6.0]]));
    let swapped = view.halves_swapped(0).unwrap().read().unwrap();
    assert_eq!(swapped, TensorData::from([[4.0_f32, 5.0, 6.0], [1.0, 2.0, 3.0]]));
    let parts = view.split(1, &[1, 2]).unwrap();
    assert_eq!(parts[1].read().unwrap(), TensorData::from([[2.0_f32, 3.0], [5.0, 6.0]]));

    let ints = TensorView::from(TensorData::from([[1_i64, 2, 3]]));
    let refused = [
        view.part(2, 0..1).unwrap_err(),
        view.part(0, 1..3).unwrap_err(),
        #[expect(clippy::reversed_empty_ranges, reason = "that is what is refused")]
        view.part(0, 2..1).unwrap_err(),
        view.split(1, &[1, 1]).unwrap_err(),
        view.split(1, &[usize::MAX, 4]).unwrap_err(),
        view.chunks::<2>(1).unwrap_err(),
        view.chunks::<0>(1).unwrap_err(),
        view.transposed(0, 2).unwrap_err(),
        view.reshaped([7]).unwrap_err(),
        view.reshaped([usize::MAX, 2]).unwrap_err(),
        view.transposed(0, 1).unwrap().reshaped([6]).unwrap_err(),
        TensorView::concatenated(0, Vec::new()).unwrap_err(),
        TensorView::concatenated(0, vec![view.clone(), parts[0].clone()]).unwrap_err(),
    ];
    for error in refused {
        assert!(matches!(error, WeightsError::View { .. }), "{error}");
    }
    let mixed = TensorView::concatenated(0, vec![view, ints]);
    assert!(matches!(mixed, Err(WeightsError::Cast { .. })));
}

#[test]
fn casts_that_would_lose_what_numbers_are_are_refused() {
    let ints = TensorView::from(TensorData::from([1_i64, -2]));
    assert_eq!(ints.read_as(DType::F32).unwrap(), TensorData::from([1.0_f32, -2.0]));
    let floats = TensorView::from(TensorData::from([1.5_f32]));
    let bools = TensorView::from(TensorData::from([true]));
    for (view, dtype) in [(&ints, DType::I32), (&floats, DType::I64), (&bools, DType::F32)] {
        assert!(matches!(view.read_as(dtype), Err(WeightsError::Cast { .. })), "{dtype:?}");
    }
}

#[test]
fn names_that_meet_or_miss_are_refused() {
    let mut tensors = Tensors::from_bytes(floats("a", &[1.0])).unwrap();
    assert!(matches!(tensors.read("b"), Err(WeightsError::NoTensor { .. })));
    let a = tensors.get("a").unwrap().clone();
    assert!(tensors.insert("b", a).is_none());
    let error = tensors.rename(|_| Some("c".to_owned())).unwrap_err();
    assert_eq!(error.to_string(), "a and b were both renamed to c");
    tensors.remove("b").unwrap();
    assert!(matches!(tensors.remove("b"), Err(WeightsError::NoTensor { .. })));
    assert_eq!(tensors.elements(), 1);
}
