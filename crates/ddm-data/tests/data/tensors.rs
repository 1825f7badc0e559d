//! Tensors of batches.

use ddm_data::{Array, Batch, DataError, Image, Loader, Order, Sample};

use super::device;

fn batch<I: Clone + Send + Sync + 'static>(items: Vec<I>) -> Batch<I> {
    let order = Order::new(items.len(), items.len(), 7).unwrap().in_sequence();
    Loader::new(items, order).unwrap().batch(0).unwrap()
}

#[test]
fn images_are_in_minus_one_to_one() {
    let image = |first| Image::new([3, 1, 2], (first..=first + 5).collect()).unwrap();
    let images = batch(vec![Sample::new(image(0), 4), Sample::new(image(250), 2)]);
    let tensor = images.data::<4>(&device()).unwrap();
    assert_eq!(tensor.dims(), [2, 3, 1, 2]);
    let values: Vec<f32> = tensor.into_data().iter().collect();
    assert_eq!((values[0], values[11]), (-1.0, 1.0));
    assert_eq!(values[3], 3.0 / 127.5 - 1.0);
    let labels = images.labels(5, &device()).unwrap();
    assert_eq!(labels.into_data().iter::<i64>().collect::<Vec<_>>(), [4, 2]);
}

#[test]
fn labels_out_of_range_are_named() {
    let points = batch(vec![Sample::new([0.0f32], 1), Sample::new([0.0], 9)]);
    let error = points.labels(9, &device()).unwrap_err();
    let message = "item 1 has label 9, but labels must be below 9, the number of classes";
    assert_eq!(error.to_string(), message);
}

#[test]
fn numbers_that_are_not_finite_are_named() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let array = |value| Array::new([2, 3], vec![0.0, 1.0, 2.0, 3.0, value, 5.0]).unwrap();
        let latents = batch(vec![Sample::new(array(4.0), ()), Sample::new(array(bad), ())]);
        match latents.data::<3>(&device()).unwrap_err() {
            DataError::NotFinite { item, at, value } => {
                assert_eq!((item.as_str(), at.as_slice()), ("item 1", [1, 1].as_slice()));
                assert_eq!(value.to_bits(), bad.to_bits());
            }
            other => panic!("{other}"),
        }
    }
}

#[test]
fn shapes_must_agree() {
    let lines = batch(vec![Sample::new(vec![0.0f32; 3], ()), Sample::new(vec![0.0; 4], ())]);
    let error = lines.data::<2>(&device()).unwrap_err();
    assert!(error.to_string().starts_with("item 1 is of shape [4], but item 0"), "{error}");
    let rank = batch(vec![Sample::new([0.0f32; 3], ())]).data::<4>(&device()).unwrap_err();
    assert_eq!(rank.to_string(), "data of shape [3] make a tensor of rank 2, not 4");
    assert!(matches!(Image::new([1, 2, 3], vec![0; 5]), Err(DataError::Values { .. })));
    let huge = Array::new([usize::MAX, usize::MAX], vec![0.0]);
    assert!(matches!(huge, Err(DataError::Values { .. })));
}
