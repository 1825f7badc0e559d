//! Adapters that are no LoRA, by the names of their tensors.

/// What a part of a tensor's name says of the file.
///
/// The first that fits is taken: a DoRA has the tensors of a LoRA too.
const KINDS: [(&str, &str); 25] = [
    (".dora_scale", "DoRA"),
    (".lora_magnitude_vector", "DoRA"),
    (".lokr_", "LoKr"),
    (".hada_", "LoHa"),
    (".oft_", "OFT"),
    (".boft_", "OFT"),
    (".oft_blocks", "OFT"),
    (".ia3_", "IA3"),
    (".on_input", "IA3"),
    (".vera_lambda_", "VeRA"),
    (".a1.weight", "GLoRA"),
    (".a2.weight", "GLoRA"),
    (".b1.weight", "GLoRA"),
    (".b2.weight", "GLoRA"),
    (".diff", "whole weights"),
    (".set_weight", "whole weights"),
    (".w_norm", "whole weights"),
    (".b_norm", "whole weights"),
    (".lora_B.bias", "LoRA with biases"),
    (".lora_up.bias", "LoRA with biases"),
    (".lora.up.bias", "LoRA with biases"),
    (".lora_embedding_", "LoRA of an embedding"),
    (".reshape_weight", "LoRA of another shape"),
    ("bundle_emb.", "embeddings beside a LoRA"),
    ("lora_controlnet", "Control-LoRA"),
];

/// Returns the kind of adapter that a tensor is of, if it is one that is known and not built.
pub(super) fn kind(tensor: &str) -> Option<&'static str> {
    let mut kinds = KINDS.iter();
    kinds.find(|(part, _)| tensor.contains(part)).map(|(_, kind)| *kind)
}
