//! A block of two sequences: patches and text.

use burn::module::Module;
use burn::tensor::{DType, Device, Tensor};

use super::attention::{Attention, AttentionConfig, Second};
use super::feed_forward::FeedForward;
use super::modulation::{EPSILON, Modulation, modulated};
use super::rope::Rope;
use crate::blocks::{Activation, Ops};

/// The form of a [`JointBlock`].
#[derive(Clone, Copy, Debug)]
pub(super) struct JointBlockConfig {
    pub(super) heads: usize,
    pub(super) head_size: usize,
    /// Whether each head's queries and keys are normalized.
    pub(super) qk_norm: bool,
    /// Whether the patches have a second attention, to themselves alone.
    pub(super) dual: bool,
    /// Whether the text is dropped after the attention.
    pub(super) last: bool,
}

/// A block in which patches and text have weights of their own and attend to both:
/// `h = x + gate attention(norm(x))`, then `h + gate ff(norm(h))` for each, with modulated norms.
///
/// Source: Esser et al., *Scaling Rectified Flow Transformers for High-Resolution Image Synthesis*,
/// sec. 4, arXiv 2403.03206.
#[derive(Module, Debug)]
pub(super) struct JointBlock {
    norm1: Modulation,
    norm1_context: Modulation,
    attn: Attention,
    attn2: Option<Attention>,
    ff: FeedForward,
    ff_context: Option<FeedForward>,
}

impl JointBlockConfig {
    pub(super) fn init(self, device: &Device) -> JointBlock {
        let Self { heads, head_size, qk_norm, dual, last } = self;
        let width = heads * head_size;
        let own = AttentionConfig { qk_norm, ..AttentionConfig::new(heads, head_size) };
        let second = if last { Second::Seen } else { Second::Mixed };
        let both = AttentionConfig { second, ..own };
        let ff = || FeedForward::new(width, Activation::GeluTanh, 0.0, device);
        JointBlock {
            norm1: Modulation::new(width, if dual { 9 } else { 6 }, device),
            norm1_context: Modulation::new(width, if last { 2 } else { 6 }, device),
            attn: both.init(device),
            attn2: dual.then(|| own.init(device)),
            ff: ff(),
            ff_context: (!last).then(ff),
        }
    }
}

impl JointBlock {
    /// Applies the block to patches and text, `[batch, length, width]` each, with a condition `[batch,
    /// width]`, and the positions of text and patches if they turn queries and keys.
    pub(super) fn forward(
        &self,
        ops: &Ops,
        x: Tensor<3>,
        text: Tensor<3>,
        condition: &Tensor<2>,
        rope: Option<&Rope>,
    ) -> (Tensor<3>, Tensor<3>) {
        let (parts, dual) = match &self.attn2 {
            None => (self.norm1.parts(ops, condition.clone()), None),
            Some(attention) => {
                let [a, b, c, d, e, f, parts @ ..] = self.norm1.parts::<9>(ops, condition.clone());
                ([a, b, c, d, e, f], Some((attention, parts)))
            }
        };
        let [shift, scale, gate, ff_parts @ ..] = parts;
        let normal = modulated(ops, x.clone(), EPSILON, shift, scale);
        let (shift, scale, of_text) = match &self.ff_context {
            None => {
                // The scale comes first here.
                let [scale, shift] = self.norm1_context.parts(ops, condition.clone());
                (shift, scale, None)
            }
            Some(ff) => {
                let parts = self.norm1_context.parts::<6>(ops, condition.clone());
                let [shift, scale, gate, parts @ ..] = parts;
                (shift, scale, Some((ff, gate, parts)))
            }
        };
        let normal_text = modulated(ops, text.clone(), EPSILON, shift, scale);

        let (seen, seen_by_text) = self.attn.of_both(ops, normal, normal_text, rope);
        let mut h = x.clone() + gate * seen;
        if let Some((attention, [shift, scale, gate])) = dual {
            let normal = modulated(ops, x, EPSILON, shift, scale);
            h = h + gate * attention.of_itself(ops, normal, None);
        }
        let h = feed(ops, &self.ff, h, ff_parts);
        let (Some(seen), Some((ff, gate, parts))) = (seen_by_text, of_text) else {
            return (h, text);
        };
        (h, in_range(feed(ops, ff, text + gate * seen, parts)))
    }
}

/// Returns `x + gate ff(norm(x))`.
fn feed(
    ops: &Ops,
    ff: &FeedForward,
    x: Tensor<3>,
    [shift, scale, gate]: [Tensor<3>; 3],
) -> Tensor<3> {
    let h = modulated(ops, x.clone(), EPSILON, shift, scale);
    x + gate * ff.forward(ops, h)
}

/// Limits states in f16 to its range: those of texts are large.
pub(super) fn in_range(x: Tensor<3>) -> Tensor<3> {
    if x.dtype() == DType::F16 { x.clamp(-65504.0, 65504.0) } else { x }
}
