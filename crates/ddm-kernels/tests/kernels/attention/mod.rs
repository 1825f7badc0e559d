//! Attention.

mod reference;

use ddm_kernels::attention::{Gradients, Inputs, Results, Sequence, Shape, backward, forward};
use proptest::prelude::*;
use reference::Tensors;

/// A reproducible stream of numbers in [−1, 1).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> f32 {
        // SplitMix64 (Steele, Lea & Flood 2014).
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    fn vec(&mut self, len: usize) -> Vec<f32> {
        (0..len).map(|_| self.next()).collect()
    }
}

fn wide(data: &[f32]) -> Vec<f64> {
    data.iter().copied().map(f64::from).collect()
}

/// Contiguous tensors.
#[derive(Clone)]
struct Case {
    shape: Shape,
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
    mask: Option<Vec<f32>>,
    dout: Vec<f32>,
}

#[derive(Clone, Copy, Debug)]
enum Masks {
    None,
    One,
    EachSample,
}

#[derive(Debug, PartialEq)]
struct Output {
    out: Vec<f32>,
    lse: Vec<f32>,
    gradients: [Vec<f32>; 3],
}

impl Case {
    fn new(shape: Shape, masks: Masks, seed: u64) -> Self {
        let mut numbers = Numbers(seed);
        let Shape { n, lq, lk, .. } = shape;
        let (queries, keys) = (n * lq * shape.channels(), n * lk * shape.channels());
        let mut double = |len| numbers.vec(len).iter().map(|x| 2.0 * x).collect();
        let (q, k) = (double(queries), double(keys));
        let (v, dout) = (numbers.vec(keys), numbers.vec(queries));
        let mut mask = |n: usize| {
            let mask = numbers.vec(n * lq * lk);
            // A third is masked out, and of the first sample all of every fifth query.
            let masked = |i: usize, x: f32| x < -0.3 || i / lk.max(1) % 5 == 3 && i < lq * lk;
            let mask = mask.into_iter().enumerate();
            Some(mask.map(|(i, x)| if masked(i, x) { f32::NEG_INFINITY } else { x }).collect())
        };
        let mask = match masks {
            Masks::None => None,
            Masks::One => mask(1),
            Masks::EachSample => mask(n),
        };
        Self { shape, q, k, v, mask, dout }
    }

    fn tensors(&self) -> Tensors {
        let mask = self.mask.as_deref().map(wide);
        Tensors { q: wide(&self.q), k: wide(&self.k), v: wide(&self.v), mask }
    }

    fn run(&self) -> Output {
        let Shape { lq, lk, .. } = self.shape;
        let contiguous = |data, length| Sequence::contiguous(data, length, self.shape.channels());
        let [q, k, v] =
            [(&self.q, lq), (&self.k, lk), (&self.v, lk)].map(|(x, l)| contiguous(x, l));
        self.run_on(Inputs { q, k, v, mask: self.mask.as_deref() })
    }

    fn run_on(&self, inputs: Inputs<'_>) -> Output {
        let Shape { n, lq, heads, .. } = self.shape;
        // Numbers that must be overwritten.
        let stale = |len| vec![f32::NAN; len];
        let (mut out, mut lse) = (stale(self.q.len()), stale(n * lq * heads));
        forward(&self.shape, &inputs, &mut out, Some(&mut lse));
        let mut gradients = [&self.q, &self.k, &self.v].map(|tensor| stale(tensor.len()));
        let [dq, dk, dv] = &mut gradients;
        let results = Results { out: &out, lse: &lse, dout: &self.dout };
        backward(&self.shape, &inputs, &results, Gradients { dq, dk, dv });
        Output { out, lse, gradients }
    }

    /// Checks an output against the reference, to `tolerance` of the greatest number of a tensor.
    fn check(&self, output: &Output, tolerance: f64) {
        let tensors = self.tensors();
        let (out, lse) = tensors.forward(&self.shape);
        close("out", &output.out, &out, tolerance);
        close("lse", &output.lse, &lse, tolerance);
        let gradients = tensors.backward(&self.shape, &wide(&self.dout));
        for ((name, found), expected) in
            ["dq", "dk", "dv"].iter().zip(&output.gradients).zip(&gradients)
        {
            close(name, found, expected, tolerance);
        }
    }
}

fn close(name: &str, found: &[f32], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    let finite = expected.iter().filter(|x| x.is_finite());
    let greatest = finite.fold(1.0, |greatest: f64, x| greatest.max(x.abs()));
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        let found = f64::from(*found);
        assert!(
            found == *expected || (found - expected).abs() <= tolerance * greatest,
            "{name}[{i}]: found {found}, expected {expected}"
        );
    }
}

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
