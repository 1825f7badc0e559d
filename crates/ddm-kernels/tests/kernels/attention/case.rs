//! A case: tensors, what the kernels make of them, and the check against the reference.

use ddm_kernels::attention::{Gradients, Inputs, Results, Sequence, Shape, backward, forward};

use super::reference::Tensors;

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

pub(crate) fn wide(data: &[f32]) -> Vec<f64> {
    data.iter().copied().map(f64::from).collect()
}

/// Contiguous tensors.
#[derive(Clone)]
pub(crate) struct Case {
    pub(crate) shape: Shape,
    pub(crate) q: Vec<f32>,
    pub(crate) k: Vec<f32>,
    pub(crate) v: Vec<f32>,
    pub(crate) mask: Option<Vec<f32>>,
    pub(crate) dout: Vec<f32>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Masks {
    None,
    One,
    EachSample,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Output {
    pub(crate) out: Vec<f32>,
    pub(crate) lse: Vec<f32>,
    pub(crate) gradients: [Vec<f32>; 3],
}

impl Case {
    pub(crate) fn new(shape: Shape, masks: Masks, seed: u64) -> Self {
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

    pub(crate) fn tensors(&self) -> Tensors {
        let mask = self.mask.as_deref().map(wide);
        Tensors { q: wide(&self.q), k: wide(&self.k), v: wide(&self.v), mask }
    }

    pub(crate) fn run(&self) -> Output {
        let Shape { lq, lk, .. } = self.shape;
        let contiguous = |data, length| Sequence::contiguous(data, length, self.shape.channels());
        let [q, k, v] =
            [(&self.q, lq), (&self.k, lk), (&self.v, lk)].map(|(x, l)| contiguous(x, l));
        self.run_on(Inputs { q, k, v, mask: self.mask.as_deref() })
    }

    pub(crate) fn run_on(&self, inputs: Inputs<'_>) -> Output {
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
    pub(crate) fn check(&self, output: &Output, tolerance: f64) {
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

pub(crate) fn close(name: &str, found: &[f32], expected: &[f64], tolerance: f64) {
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
