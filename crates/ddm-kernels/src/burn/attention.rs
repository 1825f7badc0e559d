//! Attention.

use burn::backend::flex::FlexTensor;
use burn::tensor::Tensor;

use super::memory::Memory;
use super::operation::{BackwardPass, Operation, absent, apply, numbers, present, tensor};
use crate::attention::{Gradients, Inputs, Results, Sequence, Shape, backward, forward};

/// The settings of an attention.
#[derive(Clone, Debug, Default)]
pub struct AttentionOptions {
    /// What is added to the scores, `[1 or batch, queries, keys]`; −∞ masks a key out. A query that
    /// sees no key gives zeros. The mask gets no gradient.
    pub mask: Option<Tensor<3>>,
    /// Whether query i sees keys 0 to i only.
    pub causal: bool,
}

/// Returns `softmax(q kᵀ/√d + mask) v` for each head, `[batch, queries, heads · d]`, from `q`
/// (`[batch, queries, heads · d]`), `k` and `v` (`[batch, keys, heads · d]`).
///
/// # Panics
///
/// Panics if the shapes do not fit, or [`supports`](super::supports) is false for an input.
#[must_use]
pub fn attention(
    q: Tensor<3>,
    k: Tensor<3>,
    v: Tensor<3>,
    heads: usize,
    options: AttentionOptions,
) -> Tensor<3> {
    let ([n, lq, channels], [_, lk, _]) = (q.dims(), k.dims());
    assert_eq!([k.dims(), v.dims()], [[n, lk, channels]; 2], "the shapes of keys and values");
    assert!(heads > 0 && channels.is_multiple_of(heads), "{heads} heads of {channels} channels");
    let mut shape = Shape::new(n, lq, lk, heads, channels / heads);
    shape.causal = options.causal;
    let mask = options.mask.map_or_else(absent, Tensor::into_dispatch);
    apply(Attention { shape }, [q.into_dispatch(), k.into_dispatch(), v.into_dispatch(), mask])
}

#[derive(Clone, Debug)]
struct Attention {
    shape: Shape,
}

impl Attention {
    fn inputs<'a>(&self, [q, k, v, mask]: [&'a FlexTensor; 4]) -> Inputs<'a> {
        let Shape { lq, lk, .. } = self.shape;
        let sequence = |x, length| Sequence::contiguous(numbers(x), length, self.shape.channels());
        Inputs { q: sequence(q, lq), k: sequence(k, lk), v: sequence(v, lk), mask: present(mask) }
    }
}

impl Operation<4> for Attention {
    /// The output, and the logarithm of each query's sum of exponentials.
    type Saved = (FlexTensor, Vec<f32>);
    const READS: [bool; 4] = [true; 4];

    fn forward(&self, [q, k, v, mask]: &[FlexTensor; 4]) -> (FlexTensor, Self::Saved) {
        let Shape { n, lq, heads, .. } = self.shape;
        let mut out = Memory::new(n * lq * self.shape.channels());
        let mut lse = vec![0.0; n * heads * lq];
        forward(&self.shape, &self.inputs([q, k, v, mask]), &mut out, Some(&mut lse));
        let out = tensor(out, [n, lq, self.shape.channels()]);
        (out.clone(), (out, lse))
    }

    fn backward(&self, pass: BackwardPass<'_, 4, Self::Saved>) -> [Option<FlexTensor>; 4] {
        let Shape { n, lq, lk, .. } = self.shape;
        let channels = self.shape.channels();
        let (out, lse) = pass.saved;
        let inputs = self.inputs([0, 1, 2, 3].map(|i| pass.input(i)));
        let [mut dq, mut dk, mut dv] =
            [lq, lk, lk].map(|length| Memory::new(n * length * channels));
        let results = Results { out: numbers(out), lse, dout: numbers(&pass.gradient) };
        let gradients = Gradients { dq: &mut dq, dk: &mut dk, dv: &mut dv };
        backward(&self.shape, &inputs, &results, gradients);
        let gradient = |x, length| Some(tensor(x, [n, length, channels]));
        [gradient(dq, lq), gradient(dk, lk), gradient(dv, lk), None]
    }
}
