//! The settings of an attention.

use burn::tensor::Tensor;

/// The settings of [`Ops::attention_with`](super::Ops::attention_with). The default is that of
/// [`Ops::attention`](super::Ops::attention).
#[derive(Clone, Debug, Default)]
pub struct AttentionOptions {
    /// What is added to the scores, `[1 or batch, 1 or heads, 1 or queries, keys]`. A large negative
    /// number hides a key; each query must see at least one.
    pub bias: Option<Tensor<4>>,
    /// Whether query i sees keys 0 to i only.
    pub causal: bool,
    /// What the products q kᵀ are multiplied by; `None` for 1/√d.
    pub scale: Option<f64>,
}

impl AttentionOptions {
    /// Returns the bias that hides the keys where `mask`, `[batch, keys]`, is 0 and shows those where
    /// it is 1: `(1 − mask) · hidden`, `[batch, 1, 1, keys]`.
    pub(crate) fn hiding(mask: Tensor<2>, hidden: f64) -> Tensor<4> {
        let [batch, keys] = mask.dims();
        ((mask - 1.0) * -hidden).reshape([batch, 1, 1, keys])
    }
}
