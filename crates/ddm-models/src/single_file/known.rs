//! Tensors that are known, and not loaded; and files that are known, and not in these layouts.

/// What training keeps beside the weights: tables that follow from the schedule, which is not read from
/// here, and marks that hold no numbers.
const OF_TRAINING: [&str; 18] = [
    "alphas_cumprod",
    "alphas_cumprod_prev",
    "betas",
    "denoiser.sigmas",
    "log_one_minus_alphas_cumprod",
    "logvar",
    "lvlb_weights",
    "posterior_log_variance_clipped",
    "posterior_mean_coef1",
    "posterior_mean_coef2",
    "posterior_variance",
    "scale_factor",
    "sqrt_alphas_cumprod",
    "sqrt_one_minus_alphas_cumprod",
    "sqrt_recip_alphas_cumprod",
    "sqrt_recipm1_alphas_cumprod",
    V_PREDICTION,
    "ztsnr",
];

/// The mark of networks that predict v.
pub(super) const V_PREDICTION: &str = "v_pred";

/// The average of the weights that are loaded, the loss of an autoencoder, and the tables of the noise
/// that the upscaler adds to its image.
const PREFIXES: [&str; 3] = ["model_ema.", "loss.", "low_scale_model."];

/// Whether a tensor is of training alone.
pub(super) fn is_of_training(name: &str) -> bool {
    OF_TRAINING.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Tensors of an autoencoder's file that it does not need.
pub(super) const UNUSED_BY_AUTOENCODER: [&str; 2] = ["loss.*", "model_ema.*"];

/// Tensors of CLIP's file that its text encoder does not need, or not all of them: the numbers 0, 1, 2, …,
/// the causal mask, and the scale and the projection for comparing texts with images.
pub(super) const UNUSED_BY_CLIP: [&str; 4] =
    ["text_model.embeddings.position_ids", "attn_mask", "logit_scale", "text_projection.weight"];

/// Tensors of T5's file that its encoder does not need: a decoder, what ComfyUI writes for each encoder,
/// and the tokenizer.
pub(super) const UNUSED_BY_T5: [&str; 4] =
    ["decoder.*", "lm_head.weight", "logit_scale", "spiece_model"];

/// How names of other files begin, after the prefix of the network, and what these are.
const OTHERS: [(&str, &str); 20] = [
    ("lora_unet_", "a LoRA, which is added to a network"),
    ("lora_te", "a LoRA, which is added to a network"),
    ("unet.down_blocks.", "a LoRA, which is added to a network"),
    ("control_model.", "a ControlNet"),
    ("input_hint_block.", "a ControlNet"),
    ("down_blocks.", "a network by the names of diffusers, which is loaded from its directory"),
    (
        "encoder.down_blocks.",
        "an autoencoder by the names of diffusers, which is loaded from its directory",
    ),
    (
        "transformer_blocks.",
        "a network by the names of diffusers, which is loaded from its directory",
    ),
    ("distilled_guidance_layer.", "Chroma"),
    ("single_stream_modulation.", "Flux.2"),
    ("early_stream_modulations.", "Flux.3"),
    ("txt_in.individual_token_refiner.", "HunyuanVideo"),
    ("double_layers.", "AuraFlow"),
    ("edm_mean", "Playground 2.5"),
    ("patchify_proj.", "LTX-Video"),
    ("cap_embedder.", "Lumina"),
    ("blocks.0.attn.qkv_x.", "Mochi"),
    ("head.modulation", "Wan"),
    ("emb_params", "a textual inversion"),
    ("enc.blk.", "an encoder by the names of llama.cpp"),
];

/// Returns what a file with such a tensor is, if it is none of these layouts.
pub(super) fn other(name: &str) -> Option<&'static str> {
    OTHERS.iter().find(|(start, _)| name.starts_with(start)).map(|(_, what)| *what)
}
