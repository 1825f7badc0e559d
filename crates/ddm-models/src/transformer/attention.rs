//! Attention of one or two sequences.

use burn::module::Module;
use burn::nn::{Dropout, DropoutConfig, Linear, LinearConfig, RmsNorm, RmsNormConfig};
use burn::tensor::{Device, Tensor};

use super::rope::Rope;
use crate::blocks::{AttentionOptions, Ops};

/// The configuration of an [`Attention`].
#[derive(Clone, Copy, Debug)]
pub(super) struct AttentionConfig {
    pub(super) heads: usize,
    pub(super) head_size: usize,
    /// The width of the sequence that the keys and values are from.
    pub(super) context: usize,
    /// Whether queries, keys and values have a bias.
    pub(super) bias: bool,
    pub(super) dropout: f64,
    /// Whether each head's queries and keys are normalized.
    pub(super) qk_norm: bool,
    /// Whether there is a linear layer after the heads.
    pub(super) output: bool,
    pub(super) second: Second,
}

/// What an [`Attention`] does with a second sequence, which attends and is attended to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Second {
    /// There is none.
    Absent,
    /// It is attended to; what it sees itself is dropped.
    Seen,
    /// It is mixed as the first.
    Mixed,
}

impl AttentionConfig {
    /// The attention of one sequence to itself, with biases and an output.
    pub(super) fn new(heads: usize, head_size: usize) -> Self {
        let context = heads * head_size;
        let (bias, dropout, qk_norm, output, second) = (true, 0.0, false, true, Second::Absent);
        Self { heads, head_size, context, bias, dropout, qk_norm, output, second }
    }

    /// Creates the block on `device`.
    pub(super) fn init(self, device: &Device) -> Attention {
        let Self { heads, head_size, context, qk_norm, second, .. } = self;
        let width = heads * head_size;
        let linear = |from, bias| LinearConfig::new(from, width).with_bias(bias).init(device);
        let norm = |there: bool| {
            let norm = || RmsNormConfig::new(head_size).with_epsilon(1e-6).init(device);
            there.then(norm)
        };
        let two = second != Second::Absent;
        let added = || two.then(|| linear(width, true));
        let dropout = DropoutConfig::new(self.dropout).init();
        Attention {
            norm_q: norm(qk_norm),
            norm_k: norm(qk_norm),
            to_q: linear(width, self.bias),
            to_k: linear(context, self.bias),
            to_v: linear(context, self.bias),
            to_out: self.output.then(|| (linear(width, true), dropout)),
            norm_added_q: norm(qk_norm && two),
            norm_added_k: norm(qk_norm && two),
            add_q_proj: added(),
            add_k_proj: added(),
            add_v_proj: added(),
            to_add_out: (second == Second::Mixed).then(|| linear(width, true)),
            heads,
        }
    }
}

/// Attention, `W_o softmax(q kᵀ/√d) v`, of a sequence to itself, to another, or of two sequences to
/// both.
///
/// Sources: Vaswani et al., *Attention Is All You Need*, eq. 1, arXiv 1706.03762; of two sequences, each
/// with projections of its own: Esser et al., *Scaling Rectified Flow Transformers*, sec. 4, arXiv
/// 2403.03206; with normalized queries and keys: Dehghani et al., *Scaling Vision Transformers to 22
/// Billion Parameters*, sec. 2, arXiv 2302.05442.
#[derive(Module, Debug)]
pub(super) struct Attention {
    norm_q: Option<RmsNorm>,
    norm_k: Option<RmsNorm>,
    to_q: Linear,
    to_k: Linear,
    to_v: Linear,
    to_out: Option<(Linear, Dropout)>,
    norm_added_q: Option<RmsNorm>,
    norm_added_k: Option<RmsNorm>,
    add_q_proj: Option<Linear>,
    add_k_proj: Option<Linear>,
    add_v_proj: Option<Linear>,
    to_add_out: Option<Linear>,
    heads: usize,
}

impl Attention {
    /// Returns what each row of x sees of x, with its positions turned by `rope`.
    pub(super) fn of_itself(&self, ops: &Ops, x: Tensor<3>, rope: Option<&Rope>) -> Tensor<3> {
        let turned = |x: Tensor<3>| match rope {
            Some(rope) => rope.turn(x, self.heads),
            None => x,
        };
        let q = turned(self.projected(ops, &self.to_q, self.norm_q.as_ref(), x.clone()));
        let k = turned(self.projected(ops, &self.to_k, self.norm_k.as_ref(), x.clone()));
        let v = ops.linear(&self.to_v, x);
        self.output(ops, ops.attention(q, k, v, self.heads))
    }

    /// Returns what each row of x sees of `context`, `[batch, keys, size]`, with a bias of the scores.
    pub(super) fn of_context(
        &self,
        ops: &Ops,
        x: Tensor<3>,
        context: Tensor<3>,
        bias: Option<Tensor<4>>,
    ) -> Tensor<3> {
        let q = self.projected(ops, &self.to_q, self.norm_q.as_ref(), x);
        let k = self.projected(ops, &self.to_k, self.norm_k.as_ref(), context.clone());
        let v = ops.linear(&self.to_v, context);
        let options = AttentionOptions { bias, ..Default::default() };
        self.output(ops, ops.attention_with(q, k, v, self.heads, options))
    }

    /// Returns what the rows of x and those of `second` see of both; the latter is `None` where it is
    /// dropped. The positions are those of `second`, then those of x.
    pub(super) fn of_both(
        &self,
        ops: &Ops,
        x: Tensor<3>,
        second: Tensor<3>,
        rope: Option<&Rope>,
    ) -> (Tensor<3>, Option<Tensor<3>>) {
        let ([_, own, _], [_, others, _]) = (x.dims(), second.dims());
        let added = (&self.add_q_proj, &self.add_k_proj, &self.add_v_proj);
        let (Some(add_q), Some(add_k), Some(add_v)) = added else {
            return (self.of_itself(ops, x, rope), None);
        };
        let join = |a, b| Tensor::cat(vec![a, b], 1);
        let mut q = self.projected(ops, &self.to_q, self.norm_q.as_ref(), x.clone());
        if self.to_add_out.is_some() {
            let norm = self.norm_added_q.as_ref();
            q = join(self.projected(ops, add_q, norm, second.clone()), q);
        }
        let mut k = join(
            self.projected(ops, add_k, self.norm_added_k.as_ref(), second.clone()),
            self.projected(ops, &self.to_k, self.norm_k.as_ref(), x.clone()),
        );
        let v = join(ops.linear(add_v, second), ops.linear(&self.to_v, x));
        if let Some(rope) = rope {
            (q, k) = (rope.turn(q, self.heads), rope.turn(k, self.heads));
        }
        let mixed = ops.attention(q, k, v, self.heads);
        let Some(to_add_out) = &self.to_add_out else { return (self.output(ops, mixed), None) };
        let of_second = ops.linear(to_add_out, mixed.clone().narrow(1, 0, others));
        (self.output(ops, mixed.narrow(1, others, own)), Some(of_second))
    }

    /// Applies a layer, then a norm to each head.
    fn projected(
        &self,
        ops: &Ops,
        layer: &Linear,
        norm: Option<&RmsNorm>,
        x: Tensor<3>,
    ) -> Tensor<3> {
        let x = ops.linear(layer, x);
        let Some(norm) = norm else { return x };
        let shape @ [batch, length, width] = x.dims();
        let heads = x.reshape([batch, length, self.heads, width / self.heads]);
        ops.rms_norm(norm, heads).reshape(shape)
    }

    fn output(&self, ops: &Ops, mixed: Tensor<3>) -> Tensor<3> {
        match &self.to_out {
            Some((layer, dropout)) => dropout.forward(ops.linear(layer, mixed)),
            None => mixed,
        }
    }
}
