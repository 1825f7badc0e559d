//! The text encoders, against those of transformers.

use ddm_models::blocks::{Activation, Ops};
use ddm_models::text::{ClipText, ClipTextConfig, T5Encoder, T5EncoderConfig};

use super::golden::{Recorded, directory};
use super::*;

#[test]
fn clip_is_that_of_transformers() {
    let device = Device::flex();
    for (name, length, projects) in [
        ("clip-text", 16, false),
        ("clip-text-eos2", 13, false),
        ("clip-text-projection", 16, true),
        ("layout-clip-legacy", 13, false),
    ] {
        println!("{name}");
        let encoder = ClipText::from_transformers(directory(name), &device).unwrap();
        let reference = Recorded::of(name);
        let ids = reference.ints::<2>("input_ids");
        assert_eq!(ids.dims()[1], length);
        let output = encoder.forward(ids.clone()).unwrap();
        let penultimate = output.hidden_states.len() - 2;
        reference.assert("last_hidden_state", output.last_hidden_state.clone());
        reference.assert("penultimate", output.hidden_states[penultimate].clone());
        let last = output.hidden_states[penultimate + 1].clone();
        reference.assert("last_hidden_state", encoder.final_norm(&Ops::default(), last));
        match output.text_embeds {
            Some(embeds) => reference.assert("text_embeds", embeds),
            None => reference.assert("pooler_output", output.pooled),
        }
        assert_eq!(encoder.projection().is_some(), projects);
        let fast = encoder.prepare();
        let output = fast.forward(ids).unwrap();
        assert!(fast.network().is_none());
        reference.assert("last_hidden_state", output.last_hidden_state);
        let last = output.hidden_states[penultimate + 1].clone();
        reference.assert("last_hidden_state", fast.final_norm(last));
    }
}

#[test]
fn t5_is_that_of_transformers() {
    let device = Device::flex();
    for name in ["t5-encoder-v1-0", "t5-encoder-v1-1"] {
        println!("{name}");
        let encoder = T5Encoder::from_transformers(directory(name), &device).unwrap();
        let reference = Recorded::of(name);
        let ids = reference.ints::<2>("input_ids");
        let mask = reference.ints::<2>("attention_mask");
        let states = encoder.hidden_states(ids.clone(), None).unwrap();
        assert_eq!(states.len(), 3);
        reference.assert("hidden_state_1", states[1].clone());
        let all = encoder.forward(ids.clone(), None).unwrap();
        reference.assert("last_hidden_state", all);
        let masked = encoder.forward(ids.clone(), Some(mask.clone())).unwrap();
        reference.assert("last_hidden_state_masked", masked);
        let fast = encoder.prepare();
        assert!(fast.network().is_none());
        let masked = fast.forward(ids, Some(mask)).unwrap();
        reference.assert("last_hidden_state_masked", masked);
    }
}

/// A pad token that is hidden changes nothing for the others.
#[test]
fn what_t5s_mask_hides_is_not_seen() {
    let device = Device::flex();
    let encoder = T5Encoder::from_transformers(directory("t5-encoder-v1-1"), &device).unwrap();
    let ids = Tensor::<2, Int>::from_ints([[5, 9, 1], [7, 1, 3]], &device);
    let other = Tensor::<2, Int>::from_ints([[5, 9, 44], [7, 1, 2]], &device);
    let mask = Tensor::<2, Int>::from_ints([[1, 1, 0], [1, 1, 0]], &device);
    let states = |ids| encoder.forward(ids, Some(mask.clone())).unwrap().narrow(1, 0, 2);
    assert_eq!(distance(states(ids.clone()), states(other.clone())), 0.0);
    let seen = |ids| encoder.forward(ids, None).unwrap().narrow(1, 0, 2);
    assert!(distance(seen(ids), seen(other)) > 1e-3);
}

fn small_clip() -> ClipTextConfig {
    let (hidden_size, intermediate_size, num_attention_heads) = (12, 20, 3);
    let (num_hidden_layers, max_position_embeddings) = (2, 5);
    ClipTextConfig {
        vocab_size: 11,
        hidden_size,
        intermediate_size,
        num_hidden_layers,
        num_attention_heads,
        max_position_embeddings,
        eos_token_id: 9,
        projection: Some(7),
        ..Default::default()
    }
}

fn small_t5() -> T5EncoderConfig {
    let (d_model, d_kv, d_ff, num_layers, num_heads) = (12, 5, 20, 2, 3);
    let sizes =
        T5EncoderConfig { d_model, d_kv, d_ff, num_layers, num_heads, ..Default::default() };
    T5EncoderConfig { vocab_size: 11, buckets: 4, max_distance: 3, ..sizes }
}

#[test]
fn text_encoders_train() {
    let device = Device::flex().autodiff();
    let ids = Tensor::<2, Int>::from_ints([[0, 1, 2, 3, 9], [4, 5, 6, 7, 9]], &device);
    let all = Tensor::<2, Int>::from_ints([[0, 1, 2, 3, 8], [4, 5, 6, 7, 10]], &device);
    // Each token and position is used: so each row has a gradient, and so has the table.
    let encoder = small_clip().init(&device).unwrap().map(&mut Fill);
    let embeds = encoder.forward(ids).unwrap().text_embeds.unwrap();
    let target = waves(embeds.dims(), &device);
    assert_gradients_reach_all(&encoder, (embeds - target).square().mean());
    for gated in [false, true] {
        let config = T5EncoderConfig { gated, dropout_rate: 0.0, ..small_t5() };
        let encoder = config.init(&device).unwrap().map(&mut Fill);
        let states = encoder.forward(all.clone(), None).unwrap();
        let target = waves(states.dims(), &device);
        assert_gradients_reach_all(&encoder, (states - target).square().mean());
    }
}

#[test]
fn text_encoders_compute_in_half_precision() {
    let device = Device::flex();
    let ids = || Tensor::<2, Int>::from_ints([[0, 1, 9, 3]], &device);
    let mask = || Some(Tensor::<2, Int>::from_ints([[1, 1, 1, 0]], &device));
    let clip = small_clip().init(&device).unwrap().map(&mut Fill);
    let t5 = small_t5().init(&device).unwrap().map(&mut Fill);
    let expected = clip.forward(ids()).unwrap().pooled;
    let states = t5.forward(ids(), mask()).unwrap();
    for dtype in [DType::F16, DType::BF16] {
        let half = clip.clone().map(&mut Cast(dtype)).forward(ids()).unwrap().pooled;
        assert_eq!(half.dtype(), dtype);
        assert!(distance(half.cast(DType::F32), expected.clone()) < 0.05);
        let half = t5.clone().map(&mut Cast(dtype)).forward(ids(), mask()).unwrap();
        assert_eq!(half.dtype(), dtype);
        assert!(distance(half.cast(DType::F32), states.clone()) < 0.05);
    }
}

#[test]
fn ids_are_checked() {
    let device = Device::flex();
    let (clip, t5) = (small_clip().init(&device).unwrap(), small_t5().init(&device).unwrap());
    let ids = |ids: &[i64]| {
        let data = burn::tensor::TensorData::new(ids.to_vec(), [1, ids.len()]);
        Tensor::<2, Int>::from_data(data, &device)
    };
    for (found, says) in [
        (&[0, 11][..], "a token id is 11, but the model needs 0 to 10"),
        (&[-1, 3], "a token id is -1"),
        (&[], "the shape of the token ids is [1, 0]"),
    ] {
        let error = clip.forward(ids(found)).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
        let error = t5.forward(ids(found), None).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
    let error = clip.forward(ids(&[0; 6])).unwrap_err().to_string();
    assert!(error.contains("the number of tokens is 6, but the model needs at most 5"), "{error}");
    assert!(t5.forward(ids(&[0; 6]), None).is_ok());
    let error = t5.forward(ids(&[0; 6]), Some(ids(&[1; 5]))).unwrap_err().to_string();
    assert!(error.contains("the shape of the mask is [1, 5]"), "{error}");
}

#[test]
fn settings_of_text_encoders_that_are_not_covered_are_refused() {
    let clip = |json: &str| ClipTextConfig::from_json(json).map(|_| ());
    let t5 = |json: &str| T5EncoderConfig::from_json(json).map(|_| ());
    let refused = [
        (clip(r#"{"model_type": "clip_vision_model"}"#), "`model_type` = \"clip_vision_model\""),
        (clip(r#"{"architectures": ["CLIPModel"]}"#), "must be [\"CLIPTextModel\"] or"),
        (clip(r#"{"hidden_act": "silu"}"#), "must be \"quick_gelu\" or \"gelu\""),
        (clip(r#"{"hidden_size": -1}"#), "`hidden_size` = -1, but it must be a size"),
        (clip(r#"{"eos_token_id": [2, 3]}"#), "must be an id"),
        (clip("7"), "not a JSON object"),
        (t5(r#"{"model_type": "umt5"}"#), "must be \"t5\""),
        (t5(r#"{"is_decoder": true}"#), "must be false"),
        (t5(r#"{"feed_forward_proj": "gated-tanh"}"#), "must be \"relu\" or \"gated-gelu\""),
        (t5(r#"{"d_model": 4.5}"#), "must be a size"),
    ];
    for (result, says) in refused {
        let error = result.unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
    let config = ClipTextConfig::from_json("{}").unwrap();
    assert_eq!((config.hidden_size, config.projection), (512, None));
    let config = T5EncoderConfig::from_json("{}").unwrap();
    assert_eq!((config.d_model, config.activation, config.gated), (512, Activation::Relu, false));

    let device = Device::flex();
    for (config, says) in [
        (ClipTextConfig { num_attention_heads: 5, ..small_clip() }, "a multiple of 5"),
        (ClipTextConfig { vocab_size: 0, ..small_clip() }, "vocab_size is 0"),
        (ClipTextConfig { layer_norm_eps: 0.0, ..small_clip() }, "layer_norm_eps is 0"),
        (ClipTextConfig { projection: Some(0), ..small_clip() }, "projection is 0"),
    ] {
        let error = config.init(&device).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
    for (config, says) in [
        (T5EncoderConfig { num_heads: 0, ..small_t5() }, "num_heads is 0"),
        (T5EncoderConfig { buckets: 3, ..small_t5() }, "buckets is 3"),
        (T5EncoderConfig { max_distance: 1, ..small_t5() }, "max_distance is 1"),
        (T5EncoderConfig { dropout_rate: 1.0, ..small_t5() }, "dropout_rate is 1"),
        (T5EncoderConfig { layer_norm_epsilon: -1.0, ..small_t5() }, "layer_norm_epsilon is -1"),
    ] {
        let error = config.init(&device).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}
