//! Linear combinations against burn's operators: f32 on flex is computed by a kernel.

use burn::tensor::{DType, Device, FloatDType, Tensor};
use ddm_denoiser::{column, linear_combination, linear_combination_each};
use ddm_noise::{HostNoise, NoiseSource};

const SHAPE: [usize; 3] = [3, 5, 7];

fn weight(term: usize) -> f64 {
    (term as f64 + 1.0).sin() * 2.0
}

fn random(count: usize, device: &Device) -> Vec<Tensor<3>> {
    let mut noise = HostNoise::new(count as u64);
    (0..count).map(|_| noise.draw(SHAPE, device)).collect()
}

/// The sum by burn's operators, in f64.
fn exact(terms: &[(Vec<f64>, Tensor<3>)]) -> Tensor<3> {
    let wide = |x: &Tensor<3>| x.clone().inner().cast(FloatDType::F64);
    let scaled = terms.iter().map(|(weights, x)| wide(x) * column(&wide(x), weights.clone()));
    scaled.reduce(|sum, term| sum + term).unwrap()
}

fn assert_close(found: Tensor<3>, expected: Tensor<3>, bound: f64, what: &str) {
    let error: f64 = (found.cast(FloatDType::F64) - expected).abs().max().into_scalar();
    assert!(error <= bound, "{what}: {error:e}");
}

fn bits(x: Tensor<3>) -> Vec<u32> {
    x.into_data().try_to_vec::<f32>().unwrap().into_iter().map(f32::to_bits).collect()
}

#[test]
fn any_number_of_terms_has_the_sum_and_the_gradients_of_burns_operators() {
    let device = Device::flex().autodiff();
    for count in 1..=11 {
        let tensors: Vec<_> =
            random(count, &device).into_iter().map(Tensor::require_grad).collect();
        let one = |i: usize| vec![weight(i)];
        // A weight of 0 for one sample is a weight; for all it leaves the term out.
        let each = |i: usize| vec![weight(i), 0.0, weight(i + 20)];
        let mixed = |i: usize| if i.is_multiple_of(2) { one(i) } else { each(i) };
        for weights in [&one as &dyn Fn(usize) -> Vec<f64>, &each, &mixed] {
            let terms: Vec<_> = (0..count).map(|i| (weights(i), tensors[i].clone())).collect();
            let sum = linear_combination_each(terms.clone());
            assert_close(sum.clone().inner(), exact(&terms), 5e-6, &format!("{count} terms"));
            let plain = terms.iter().map(|(weights, x)| (weights.clone(), x.clone().inner()));
            let plain = linear_combination_each(plain);
            assert_eq!(bits(plain), bits(sum.clone().inner()), "{count} terms without gradients");
            let dy = random(1, &Device::flex()).remove(0);
            let gradients = (sum * dy.clone().autodiff()).sum().backward();
            for (i, (weights, x)) in terms.iter().enumerate() {
                let gradient = x.grad(&gradients).unwrap();
                let expected = exact(&[(weights.clone(), dy.clone())]);
                assert_close(gradient, expected, 5e-7, &format!("gradient {i} of {count}"));
            }
        }
    }
}

#[test]
fn tensors_that_are_not_contiguous_or_not_on_the_tape_have_their_place() {
    let device = Device::flex();
    let [x, y, z] = <[_; 3]>::try_from(random(3, &device)).unwrap();
    let turned = y.clone().swap_dims(0, 2).mul_scalar(1.0).swap_dims(0, 2);
    let part = Tensor::cat(vec![x.clone(), z.clone()], 1).narrow(1, 5, 5);
    let terms = [(0.5, x.clone()), (-2.0, turned), (3.0, part)];
    let plain = [(0.5, x.clone()), (-2.0, y.clone()), (3.0, z.clone())];
    assert_eq!(bits(linear_combination(terms)), bits(linear_combination(plain)));
    let tracked = y.autodiff().require_grad();
    let constant = x.autodiff();
    let sum = linear_combination([(0.5, constant), (-2.0, tracked.clone())]);
    let gradients = sum.sum().backward();
    assert_close(
        tracked.grad(&gradients).unwrap(),
        z.full_like(-2.0).cast(FloatDType::F64),
        0.0,
        "gradient",
    );
}

#[test]
fn a_term_of_weight_0_is_left_out_whatever_is_in_it() {
    let x = random(1, &Device::flex()).remove(0);
    let nan = x.full_like(f64::NAN);
    let sum = linear_combination([(0.0, nan.clone()), (1.0, x.clone()), (0.0, nan)]);
    assert_eq!(bits(sum), bits(x.clone()));
    let none = linear_combination([(0.0, x.clone()), (0.0, x.clone())]);
    assert!(none.equal_elem(0.0).all().into_scalar::<bool>());
}

#[test]
fn a_sample_has_the_same_bits_alone_and_in_a_batch() {
    let tensors = random(3, &Device::flex());
    let weights = |i: usize| vec![weight(i), weight(i + 5), weight(i + 9)];
    let terms = tensors.iter().cloned().enumerate();
    let all = linear_combination_each(terms.map(|(i, x)| (weights(i), x)));
    for sample in 0..3 {
        let of = |x: &Tensor<3>| x.clone().narrow(0, sample, 1);
        let terms = tensors.iter().enumerate().map(|(i, x)| (weights(i)[sample], of(x)));
        assert_eq!(bits(linear_combination(terms)), bits(of(&all)), "sample {sample}");
    }
}

#[test]
fn other_types_and_shapes_are_burns() {
    let tensors = random(2, &Device::flex());
    let terms: Vec<_> =
        tensors.iter().enumerate().map(|(i, x)| (vec![weight(i)], x.clone())).collect();
    let wide = terms.iter().map(|(w, x)| (w.clone(), x.clone().cast(FloatDType::F64)));
    let wide = linear_combination_each(wide);
    assert_eq!(wide.dtype(), DType::F64);
    assert_close(wide, exact(&terms), 1e-15, "f64");
    let row = tensors[1].clone().narrow(0, 0, 1);
    let broadcast = linear_combination([(2.0, tensors[0].clone()), (-1.0, row.clone())]);
    let expected = tensors[0].clone() * 2.0 - row;
    assert_close(broadcast, expected.cast(FloatDType::F64), 1e-6, "broadcast");
}
