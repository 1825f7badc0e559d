//! Adapters that are no LoRA, by the names of their tensors.

/// How a part of a tensor's name between dots begins, and what that says of the file.
const BEGINS: [(&str, &str); 9] = [
    ("dora_scale", "DoRA"),
    ("lora_magnitude_vector", "DoRA"),
    ("lokr_", "LoKr"),
    ("hada_", "LoHa"),
    ("oft_", "OFT"),
    ("boft_", "OFT"),
    ("ia3_", "IA3"),
    ("vera_lambda_", "VeRA"),
    ("lora_embedding_", "LoRA of an embedding"),
];

/// How a tensor's name ends, and what that says.
const ENDS: [(&str, &str); 15] = [
    (".on_input", "IA3"),
    (".a1.weight", "GLoRA"),
    (".a2.weight", "GLoRA"),
    (".b1.weight", "GLoRA"),
    (".b2.weight", "GLoRA"),
    (".diff", "whole weights"),
    (".diff_b", "whole weights"),
    (".set_weight", "whole weights"),
    (".w_norm", "whole weights"),
    (".b_norm", "whole weights"),
    (".lora_B.bias", "LoRA with biases"),
    (".lora_up.bias", "LoRA with biases"),
    (".lora.up.bias", "LoRA with biases"),
    (".reshape_weight", "LoRA of another shape"),
    ("lora_controlnet", "Control-LoRA"),
];

/// Returns the kind of adapter that a tensor is of, if it is one that is known and not built.
pub(super) fn kind(tensor: &str) -> Option<&'static str> {
    let begins = |(begin, _): &&(&str, &str)| tensor.split('.').any(|part| part.starts_with(begin));
    let ends = |(end, _): &&(&str, &str)| tensor.ends_with(end);
    BEGINS.iter().find(begins).or_else(|| ENDS.iter().find(ends)).map(|(_, kind)| *kind)
}
