//! Attention.

mod case;
mod reference;

use case::{Case, Masks, Output, close, wide};
use ddm_kernels::attention::{Inputs, Sequence, Shape};
use proptest::prelude::*;
use reference::Tensors;

/// Returns `data` with rows of another distance, and a distance of the samples, filled up with NaN.
fn spread(
    data: &[f32],
    length: usize,
    channels: usize,
    gaps: (usize, usize),
) -> (Vec<f32>, [usize; 2]) {
    let row_stride = channels + gaps.0;
    let sample_stride = length * row_stride + gaps.1;
    let mut spread = vec![f32::NAN; data.len() / (length * channels) * sample_stride];
    for (i, row) in data.chunks_exact(channels).enumerate() {
        let at = i / length * sample_stride + i % length * row_stride;
        spread[at..at + channels].copy_from_slice(row);
    }
    (spread, [row_stride, sample_stride])
}

fn lengths() -> impl Strategy<Value = usize> {
    prop_oneof![Just(1), Just(2), Just(49), Just(64), 1..40_usize, 90..220_usize]
}

fn head_sizes() -> impl Strategy<Value = usize> {
    prop_oneof![Just(1), Just(8), Just(32), Just(40), 1..20_usize, 20..90_usize]
}

fn shapes() -> impl Strategy<Value = (Shape, Masks, u64)> {
    let masks = prop_oneof![Just(Masks::None), Just(Masks::One), Just(Masks::EachSample)];
    (1..4_usize, lengths(), lengths(), 1..4_usize, head_sizes(), any::<bool>(), masks, any::<u64>())
        .prop_map(|(n, lq, lk, heads, d, causal, masks, seed)| {
            (Shape { causal, ..Shape::new(n, lq, lk, heads, d) }, masks, seed)
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn equals_the_reference((shape, masks, seed) in shapes()) {
        let case = Case::new(shape, masks, seed);
        case.check(&case.run(), 5e-6);
    }

    #[test]
    fn strides_do_not_change_a_bit(
        (shape, masks, seed) in shapes(),
        gaps in [(0..9_usize, 0..9_usize), (0..9, 0..9), (0..9, 0..9)],
    ) {
        let case = Case::new(shape, masks, seed);
        let channels = shape.channels();
        let (q, q_strides) = spread(&case.q, shape.lq, channels, gaps[0]);
        let (k, k_strides) = spread(&case.k, shape.lk, channels, gaps[1]);
        let (v, v_strides) = spread(&case.v, shape.lk, channels, gaps[2]);
        let view = |data, [row_stride, sample_stride]: [usize; 2]| {
            Sequence { data, row_stride, sample_stride }
        };
        let output = case.run_on(Inputs {
            q: view(&q, q_strides),
            k: view(&k, k_strides),
            v: view(&v, v_strides),
            mask: case.mask.as_deref(),
        });
        prop_assert!(output == case.run());
    }
}

#[test]
fn large_heads() {
    for (lq, lk, heads, d) in
        [(256, 256, 1, 256), (33, 100, 2, 160), (5, 7, 1, 512), (40, 77, 2, 80)]
    {
        let case = Case::new(Shape::new(1, lq, lk, heads, d), Masks::None, d as u64);
        case.check(&case.run(), 5e-6);
    }
}

#[test]
fn views_of_one_projection() {
    let shape = Shape::new(2, 49, 49, 2, 8);
    let case = Case::new(shape, Masks::None, 1);
    let rows = |x: &[f32], i: usize| x[16 * i..16 * (i + 1)].to_vec();
    let projection: Vec<f32> = (0..2 * 49)
        .flat_map(|i| [rows(&case.q, i), rows(&case.k, i), rows(&case.v, i)].concat())
        .collect();
    let [q, k, v] = [0, 16, 32].map(|first| Sequence {
        data: &projection[first..],
        row_stride: 48,
        sample_stride: 48 * 49,
    });
    assert!(case.run_on(Inputs { q, k, v, mask: None }) == case.run());
}

/// Scores of ±10⁴, which are exact in single precision.
#[test]
fn large_scores_do_not_overflow() {
    let shape = Shape { scale: 1.0, ..Shape::new(1, 30, 200, 1, 2) };
    let mut case = Case::new(shape, Masks::None, 2);
    for (i, q) in case.q.iter_mut().enumerate() {
        *q = [100.0, -100.0, 0.0][i % 3];
    }
    for (j, k) in case.k.iter_mut().enumerate() {
        *k = if j % 7 < 3 { -100.0 } else { 100.0 } + (j % 5) as f32 / 128.0;
    }
    let output = case.run();
    let (out, lse) = case.tensors().forward(&shape);
    close("out", &output.out, &out, 2e-6);
    close("lse", &output.lse, &lse, 1e-7);
    // The logarithms have the accuracy of a number of size 10⁴, and so have the weights.
    let gradients = case.tensors().backward(&shape, &wide(&case.dout));
    for (found, expected) in output.gradients.iter().zip(&gradients) {
        close("gradient", found, expected, 1e-3);
    }
}

#[test]
fn a_query_that_sees_no_key_gives_zeros() {
    let shape = Shape::new(2, 3, 5, 2, 4);
    let mut case = Case::new(shape, Masks::One, 3);
    case.mask = Some([[0.0; 5], [f32::NEG_INFINITY; 5], [0.0; 5]].concat());
    let output = case.run();
    case.check(&output, 2e-6);
    assert_eq!(output.out[8..16], [0.0; 8]);
    assert_eq!(output.lse[1], f32::NEG_INFINITY);
    assert_eq!(output.gradients[0][8..16], [0.0; 8]);
}

#[test]
fn a_score_that_is_not_a_number_stays_one() {
    let mut case = Case::new(Shape::new(1, 2, 9, 1, 4), Masks::None, 4);
    case.k[4] = f32::NAN;
    assert!(case.run().out.iter().all(|x| x.is_nan()));
}

#[test]
fn no_tokens() {
    for (n, lq, lk) in [(0, 3, 3), (2, 0, 3), (2, 3, 0), (0, 0, 0)] {
        for causal in [false, true] {
            let shape = Shape { causal, ..Shape::new(n, lq, lk, 2, 4) };
            let output = Case::new(shape, Masks::None, 5).run();
            let zeros = |x: &[f32]| x.iter().all(|x| *x == 0.0);
            assert!(zeros(&output.out) && output.gradients.iter().all(|x| zeros(x)), "{shape:?}");
            assert!(output.lse.iter().all(|x| *x == f32::NEG_INFINITY));
        }
    }
}

/// The gradients of Σ out ∘ dout by central differences of the reference.
#[test]
fn gradients_are_those_of_the_output() {
    for (causal, masks) in [(false, Masks::None), (true, Masks::EachSample)] {
        let shape = Shape { causal, ..Shape::new(2, 3, 4, 2, 3) };
        let case = Case::new(shape, masks, 6);
        let loss = |tensors: &Tensors| -> f64 {
            let out = tensors.forward(&shape).0;
            out.iter().zip(&case.dout).map(|(out, dout)| out * f64::from(*dout)).sum()
        };
        let tensors = case.tensors();
        let output = case.run();
        for (which, found) in output.gradients.iter().enumerate() {
            let moved = |i: usize, by: f64| {
                let mut tensors = tensors.clone();
                [&mut tensors.q, &mut tensors.k, &mut tensors.v][which][i] += by;
                loss(&tensors)
            };
            let h = 1e-5;
            let expected: Vec<f64> =
                (0..found.len()).map(|i| (moved(i, h) - moved(i, -h)) / (2.0 * h)).collect();
            close("gradient", found, &expected, 2e-6);
        }
    }
}

fn with_threads<R: Send>(threads: usize, f: impl FnOnce() -> R + Send) -> R {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads").install(f)
}

#[test]
fn threads_do_not_change_a_bit() {
    for (shape, masks) in [
        (Shape::new(3, 49, 49, 4, 8), Masks::None),
        (Shape::new(1, 256, 256, 1, 64), Masks::EachSample),
        (Shape { causal: true, ..Shape::new(2, 300, 300, 2, 20) }, Masks::None),
    ] {
        let case = Case::new(shape, masks, 7);
        let one = with_threads(1, || case.run());
        for threads in [2, 3, 8] {
            assert!(one == with_threads(threads, || case.run()), "{threads} threads, {shape:?}");
        }
    }
}

#[test]
fn a_batch_does_not_change_a_bit() {
    let shape = Shape::new(5, 130, 120, 2, 40);
    let batch = Case::new(shape, Masks::EachSample, 8);
    let together = batch.run();
    for i in 0..shape.n {
        let part = |x: &[f32]| x.chunks_exact(x.len() / shape.n).nth(i).expect("a sample").to_vec();
        let alone = Case {
            shape: Shape { n: 1, ..shape },
            q: part(&batch.q),
            k: part(&batch.k),
            v: part(&batch.v),
            mask: batch.mask.as_deref().map(part),
            dout: part(&batch.dout),
        };
        let expected = Output {
            out: part(&together.out),
            lse: part(&together.lse),
            gradients: together.gradients.each_ref().map(|x| part(x)),
        };
        assert!(alone.run() == expected, "sample {i}");
    }
}

#[test]
#[should_panic(expected = "k has 59 numbers; [1, 5, 12] with strides 60 and 12 needs 60")]
fn a_short_tensor() {
    let mut case = Case::new(Shape::new(1, 5, 5, 3, 4), Masks::None, 9);
    case.k.pop();
    case.run();
}

#[test]
#[should_panic(expected = "the mask has 24 numbers, not 25 or 50")]
fn a_mask_of_another_length() {
    let mut case = Case::new(Shape::new(2, 5, 5, 3, 4), Masks::One, 10);
    case.mask.as_mut().expect("a mask").pop();
    case.run();
}

#[test]
#[should_panic(expected = "dout: found 59 numbers, [1, 5, 12] has 60")]
fn a_short_gradient() {
    let mut case = Case::new(Shape::new(1, 5, 5, 3, 4), Masks::None, 11);
    case.dout.pop();
    case.run();
}
