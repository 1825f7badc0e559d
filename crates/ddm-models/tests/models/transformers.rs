//! The transformers, against those of diffusers.

use ddm_denoiser::Condition;
use ddm_models::transformer::*;

use super::golden::{Recorded, directory};
use super::*;

#[test]
fn dit_is_that_of_diffusers() {
    let device = Device::flex();
    let network = Dit::from_diffusers(directory("dit"), &device).unwrap();
    let reference = Recorded::of("dit");
    let (x, labels) = (reference.tensor::<4>("x"), reference.ints::<1>("class_labels"));
    network.check_with(x.dims(), &labels).unwrap();
    let out = network.predict_with(x.clone(), reference.tensor("t"), labels.clone());
    assert_eq!(network.output_shape_with(x.dims()), Some(out.dims()));
    reference.assert("out", out);
    // Its weights packed, it predicts the same.
    let (t, prepared) = (reference.tensor::<1>("t"), network.prepare([1, 4, 8, 8]).unwrap());
    reference.assert("out", prepared.predict_with(x, t, labels));
}

fn pixart_conditions(reference: &Recorded) -> PixArtConditions {
    let optional = |name| reference.get::<2>(name);
    PixArtConditions {
        encoder_hidden_states: reference.tensor("encoder_hidden_states"),
        encoder_attention_mask: Some(reference.ints("encoder_attention_mask")),
        resolution: optional("resolution"),
        aspect_ratio: optional("aspect_ratio"),
    }
}

#[test]
fn pixart_is_that_of_diffusers() {
    let device = Device::flex();
    for name in ["pixart-alpha", "pixart-sigma"] {
        println!("{name}");
        let network = PixArt::from_diffusers(directory(name), &device).unwrap();
        let reference = Recorded::of(name);
        let (x, conditions) = (reference.tensor::<4>("x"), pixart_conditions(&reference));
        network.check_with(x.dims(), &conditions).unwrap();
        let out = network.predict_with(x.clone(), reference.tensor("t"), conditions.clone());
        assert_eq!(network.output_shape_with(x.dims()), Some(out.dims()));
        reference.assert("out", out);
        let fast = network.prepare();
        fast.check_with(x.dims(), &conditions).unwrap();
        assert!(fast.network().is_none());
        reference.assert("out", fast.predict_with(x, reference.tensor("t"), conditions));
    }
}

fn sd3_conditions(reference: &Recorded) -> Sd3Conditions {
    Sd3Conditions {
        encoder_hidden_states: reference.tensor("encoder_hidden_states"),
        pooled_projections: reference.tensor("pooled_projections"),
    }
}

#[test]
fn sd3_is_that_of_diffusers() {
    let device = Device::flex();
    for name in ["sd3-transformer", "sd35-transformer"] {
        println!("{name}");
        let network = Sd3Transformer::from_diffusers(directory(name), &device).unwrap();
        let reference = Recorded::of(name);
        let (x, conditions) = (reference.tensor::<4>("x"), sd3_conditions(&reference));
        network.check_with(x.dims(), &conditions).unwrap();
        let out = network.predict_with(x.clone(), reference.tensor("t"), conditions.clone());
        assert_eq!(network.output_shape_with(x.dims()), Some(out.dims()));
        reference.assert("out", out);
        let fast = network.prepare();
        assert!(fast.network().is_none());
        reference.assert("out", fast.predict_with(x, reference.tensor("t"), conditions));
    }
}

fn flux_conditions(reference: &Recorded) -> FluxConditions {
    FluxConditions {
        encoder_hidden_states: reference.tensor("encoder_hidden_states"),
        pooled_projections: reference.tensor("pooled_projections"),
        img_ids: reference.tensor("img_ids"),
        txt_ids: reference.tensor("txt_ids"),
        guidance: reference.get("guidance"),
    }
}

#[test]
fn flux_is_that_of_diffusers() {
    let device = Device::flex();
    for (name, guided) in [("flux-dev", true), ("flux-schnell", false)] {
        println!("{name}");
        let network = FluxTransformer::from_diffusers(directory(name), &device).unwrap();
        assert_eq!(network.takes_guidance(), guided);
        let reference = Recorded::of(name);
        let (x, conditions) = (reference.tensor::<3>("x"), flux_conditions(&reference));
        network.check_with(x.dims(), &conditions).unwrap();
        let t = reference.tensor::<1>("t");
        let out = network.forward(x.clone(), t.clone(), conditions.clone());
        assert_eq!(network.output_shape_with(x.dims()), Some(out.dims()));
        reference.assert("out", out);
        let predict = |network: &dyn ConditionalPredictor<3, Condition = FluxConditions>| {
            network.predict_with(x.clone(), t.clone() * 1000.0, conditions.clone())
        };
        reference.assert("out", predict(&network));
        let fast = network.prepare();
        assert!(fast.network().is_none() && fast.takes_guidance() == guided);
        reference.assert("out", predict(&fast));
    }
}

/// The rotations depend on differences of positions only, at large positions too.
#[test]
fn flux_sees_relative_positions() {
    let device = Device::flex();
    let network = FluxTransformer::from_diffusers(directory("flux-dev"), &device).unwrap();
    let reference = Recorded::of("flux-dev");
    let (x, t) = (reference.tensor::<3>("x"), reference.tensor::<1>("t"));
    let mut conditions = flux_conditions(&reference);
    let expected = network.forward(x.clone(), t.clone(), conditions.clone());
    let size: f32 = expected.clone().abs().max().into_scalar();
    conditions.img_ids = conditions.img_ids + 300.0;
    let moved = network.forward(x.clone(), t.clone(), conditions.clone());
    assert!(distance(moved, expected.clone()) > 1e-3 * size);
    conditions.txt_ids = conditions.txt_ids + 300.0;
    let moved = network.forward(x, t, conditions);
    assert!(distance(moved, expected) < 1e-5 * size);
}

/// Both branches of guidance in one batch predict what each predicts alone, and so do mixed rows.
fn assert_rows_are_apart<const D: usize, N: ConditionalPredictor<D>>(
    network: &N,
    (x, t): (Tensor<D>, Tensor<1>),
    [a, b]: [N::Condition; 2],
) {
    let alone = [&a, &b].map(|c| network.predict_with(x.clone(), t.clone(), c.clone()));
    let size: f32 = alone[0].clone().abs().max().into_scalar();
    let same = |found: Tensor<D>, expected: Tensor<D>| {
        assert!(distance(found, expected) < 1e-5 * size);
    };
    assert!(distance(alone[0].clone(), alone[1].clone()) > 1e-3 * size);
    a.joins(&b).unwrap();
    let both = a.clone().followed_by(b.clone());
    assert_eq!(both.batch(), 4);
    let twice = Tensor::cat(vec![x.clone(), x.clone()], 0);
    network.check_with(twice.dims(), &both).unwrap();
    let found = network.predict_with(twice, Tensor::cat(vec![t.clone(), t.clone()], 0), both);
    same(found.clone().narrow(0, 0, 2), alone[0].clone());
    same(found.narrow(0, 2, 2), alone[1].clone());
    let mixed = network.predict_with(x, t, a.replaced(b, &[false, true]));
    same(mixed.clone().narrow(0, 0, 1), alone[0].clone().narrow(0, 0, 1));
    same(mixed.narrow(0, 1, 1), alone[1].clone().narrow(0, 1, 1));
}

#[test]
fn conditions_are_joined_and_replaced_row_by_row() {
    let device = Device::flex();
    let reference = Recorded::of("pixart-alpha");
    let network = PixArt::from_diffusers(directory("pixart-alpha"), &device).unwrap();
    let inputs = || (reference.tensor("x"), reference.tensor("t"));
    let a = pixart_conditions(&reference);
    let states = a.encoder_hidden_states.clone() * -1.0;
    let resolution = a.resolution.clone().map(|pixels| pixels * 0.5);
    let b = PixArtConditions { encoder_hidden_states: states, resolution, ..a.clone() };
    let without = PixArtConditions { aspect_ratio: None, ..a.clone() };
    assert!(a.joins(&without).unwrap_err().to_string().contains("in one of two conditions"));
    assert_rows_are_apart(&network, inputs(), [a, b]);

    let reference = Recorded::of("sd3-transformer");
    let network = Sd3Transformer::from_diffusers(directory("sd3-transformer"), &device).unwrap();
    let inputs = || (reference.tensor("x"), reference.tensor("t"));
    let a = sd3_conditions(&reference);
    let states = a.encoder_hidden_states.clone() * -1.0;
    let shorter = states.clone().narrow(1, 0, 3);
    let b = Sd3Conditions { encoder_hidden_states: states, ..a.clone() };
    assert!(a.joins(&Sd3Conditions { encoder_hidden_states: shorter, ..a.clone() }).is_err());
    assert_rows_are_apart(&network, inputs(), [a, b]);

    let reference = Recorded::of("flux-dev");
    let network = FluxTransformer::from_diffusers(directory("flux-dev"), &device).unwrap();
    let inputs = || (reference.tensor("x"), reference.tensor("t") * 1000.0);
    let a = flux_conditions(&reference);
    let guidance = a.guidance.clone().map(|scale| scale * 0.5);
    let pooled_projections = a.pooled_projections.clone() * -1.0;
    let b = FluxConditions { guidance, pooled_projections, ..a.clone() };
    assert!(a.joins(&FluxConditions { guidance: None, ..a.clone() }).is_err());
    let ids = a.img_ids.clone().narrow(0, 0, 3);
    assert!(a.joins(&FluxConditions { img_ids: ids, ..a.clone() }).is_err());
    assert_rows_are_apart(&network, inputs(), [a, b]);
}

fn says<T>(result: Result<T, impl ToString>, expected: &str) {
    let Err(error) = result else { panic!("accepted, but must say {expected}") };
    let error = error.to_string();
    assert!(error.contains(expected), "{error}");
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    let device = Device::flex();
    let network = Dit::from_diffusers(directory("dit"), &device).unwrap();
    let labels = |labels: [i64; 2]| Tensor::<1, Int>::from_ints(labels, &device);
    assert_eq!(network.classes(), 1000);
    assert!(network.check_with([2, 4, 8, 12], &labels([0, 1000])).is_ok());
    says(network.check_with([2, 4, 8, 8], &labels([0, 1001])), "a class label is 1001");
    says(network.check_with([2, 3, 8, 8], &labels([0, 0])), "of 3 channels");
    says(network.check([2, 4, 7, 8]), "7");

    let reference = Recorded::of("pixart-alpha");
    let network = PixArt::from_diffusers(directory("pixart-alpha"), &device).unwrap();
    let good = pixart_conditions(&reference);
    let check = |conditions: PixArtConditions| network.check_with([2, 4, 8, 8], &conditions);
    let mask = Tensor::ones([2, 5], &device);
    says(network.check_with([3, 4, 8, 8], &good), "the shape of the text's states is [2, 6, 20]");
    says(
        check(PixArtConditions { encoder_attention_mask: Some(mask), ..good.clone() }),
        "the shape of the text's mask is [2, 5], but the model needs [2, 6]",
    );
    says(check(PixArtConditions { resolution: None, ..good.clone() }), "resolution is absent");
    let without = PixArtConditions { encoder_attention_mask: None, ..good };
    assert!(check(without).is_ok());

    let reference = Recorded::of("sd35-transformer");
    let network = Sd3Transformer::from_diffusers(directory("sd35-transformer"), &device).unwrap();
    let good = sd3_conditions(&reference);
    assert!(network.check_with([2, 4, 18, 2], &good).is_ok());
    says(network.check_with([2, 4, 20, 2], &good), "is 20×2, but the model needs at most 18×18");
    let pooled_projections = Tensor::ones([2, 15], &device);
    let wider = Sd3Conditions { pooled_projections, ..good };
    says(network.check_with([2, 4, 8, 8], &wider), "the shape of the pooled texts is [2, 15]");

    let reference = Recorded::of("flux-dev");
    let network = FluxTransformer::from_diffusers(directory("flux-dev"), &device).unwrap();
    let good = flux_conditions(&reference);
    says(network.check_with([2, 15, 4], &good), "the shape of x is [2, 15, 4]");
    says(network.check_with([2, 16, 16], &good), "the positions of patches is [15, 3]");
    let without = FluxConditions { guidance: None, ..good.clone() };
    says(network.check_with([2, 15, 16], &without), "the guidance is absent");
    let schnell = FluxTransformer::from_diffusers(directory("flux-schnell"), &device).unwrap();
    let reference = Recorded::of("flux-schnell");
    let guidance = good.guidance;
    let ignored = FluxConditions { guidance, ..flux_conditions(&reference) };
    assert!(schnell.check_with([2, 15, 8], &ignored).is_ok());
}

/// The config of a recorded network with one setting replaced.
fn with(name: &str, setting: &str, value: &str) -> String {
    let json = std::fs::read_to_string(directory(name).join("config.json")).unwrap();
    let mut json: serde_json::Map<_, _> = serde_json::from_str(&json).unwrap();
    json.insert(setting.to_owned(), serde_json::from_str(value).unwrap());
    serde_json::to_string(&json).unwrap()
}

#[test]
fn settings_of_transformers_that_are_not_covered_are_refused() {
    let refused = [
        ("dit", "_class_name", r#""UNet2DModel""#, "must be \"DiTTransformer2DModel\" or"),
        ("dit", "norm_type", r#""ada_norm_single""#, "must be \"ada_norm_zero\""),
        ("dit", "norm_elementwise_affine", "true", "must be false"),
        ("dit", "activation_fn", r#""geglu""#, "must be \"gelu-approximate\" or \"gelu\""),
        ("dit", "num_embeds_ada_norm", "null", "must be a size"),
        ("dit", "cross_attention_dim", "24", "must be null"),
        ("dit", "unheard_of", "1", "must be absent: it is not known"),
        ("pixart-alpha", "attention_type", r#""gated""#, "must be \"default\""),
        ("pixart-alpha", "only_cross_attention", "true", "must be false"),
        ("pixart-alpha", "caption_channels", "-3", "must be null or a size"),
        ("sd3-transformer", "qk_norm", r#""layer_norm""#, "must be null or \"rms_norm\""),
        ("sd3-transformer", "caption_projection_dim", "17", "must be 16, the width of all heads"),
        ("sd3-transformer", "dual_attention_layers", "[true]", "must be a list of blocks"),
        ("flux-dev", "patch_size", "2", "must be 1"),
        ("flux-dev", "axes_dims_rope", "12", "must be a list of sizes"),
    ];
    for (name, setting, value, expected) in refused {
        let json = with(name, setting, value);
        let error = match name {
            "dit" => DitConfig::from_json(&json).map(|_| ()),
            "pixart-alpha" => PixArtConfig::from_json(&json).map(|_| ()),
            "sd3-transformer" => Sd3TransformerConfig::from_json(&json).map(|_| ()),
            _ => FluxTransformerConfig::from_json(&json).map(|_| ()),
        };
        let error = error.unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains(setting), "{error}");
    }
    // Old checkpoints have the class of all transformers of their time.
    let old = with("dit", "_class_name", r#""Transformer2DModel""#);
    assert_eq!(DitConfig::from_json(&old).unwrap().classes, 1000);
    let old = with("pixart-alpha", "_class_name", r#""Transformer2DModel""#);
    assert!(PixArtConfig::from_json(&old).unwrap().use_additional_conditions);
    // What a config lacks depends on the size of its images.
    let config = PixArtConfig::from_json("{}").unwrap();
    assert_eq!((config.use_additional_conditions, config.interpolation_scale), (true, 2.0));
    let config = PixArtConfig::from_json(r#"{"sample_size": 64}"#).unwrap();
    assert_eq!((config.use_additional_conditions, config.interpolation_scale), (false, 1.0));
}

#[test]
fn senseless_configs_of_transformers_are_refused() {
    let device = Device::flex();
    let dit = || DitConfig { num_layers: 1, ..Default::default() };
    says(DitConfig { attention_head_dim: 0, ..dit() }.init(&device), "attention_head_dim is 0");
    let odd = DitConfig { num_attention_heads: 1, attention_head_dim: 6, ..dit() };
    says(odd.init(&device), "is 6, but must be a multiple of 4");
    says(DitConfig { patch_size: 33, ..dit() }.init(&device), "patch_size is 33");
    says(DitConfig { classes: 0, ..dit() }.init(&device), "num_embeds_ada_norm is 0");
    says(DitConfig { dropout: 1.0, ..dit() }.init(&device), "dropout is 1");
    says(DitConfig { norm_eps: f64::NAN, ..dit() }.init(&device), "norm_eps is NaN");
    let pixart = || PixArtConfig { num_layers: 1, ..Default::default() };
    let narrow = PixArtConfig { num_attention_heads: 1, attention_head_dim: 8, ..pixart() };
    says(narrow.init(&device), "must be a multiple of 3");
    let text = PixArtConfig { cross_attention_dim: 9, ..pixart() };
    says(text.init(&device), "cross_attention_dim is 9, but must be 1152");
    let flat = PixArtConfig { interpolation_scale: 0.0, ..pixart() };
    says(flat.init(&device), "interpolation_scale is 0");
    let sd3 = || Sd3TransformerConfig { num_layers: 2, ..Default::default() };
    let dual = Sd3TransformerConfig { dual_attention_layers: vec![2], ..sd3() };
    says(dual.init(&device), "dual_attention_layers contains level 2");
    says(Sd3TransformerConfig { num_layers: 0, ..sd3() }.init(&device), "num_layers is 0");
    let flux = || FluxTransformerConfig { num_layers: 1, ..Default::default() };
    let axes = |axes: &[usize]| FluxTransformerConfig { axes_dims_rope: axes.to_vec(), ..flux() };
    says(axes(&[16, 56]).init(&device), "axes_dims_rope is 72, but must be 128");
    says(axes(&[15, 57, 56]).init(&device), "is 15, but must be a multiple of 2");
}

#[test]
fn transformers_compute_in_half_precision() {
    let device = Device::flex();
    let reference = Recorded::of("flux-dev");
    let network = FluxTransformer::from_diffusers(directory("flux-dev"), &device).unwrap();
    let (x, t) = (reference.tensor::<3>("x"), reference.tensor::<1>("t"));
    for dtype in [DType::F16, DType::BF16] {
        let half = network.clone().map(&mut Cast(dtype));
        let found = half.forward(x.clone(), t.clone(), flux_conditions(&reference));
        assert_eq!(found.dtype(), DType::F32);
        let expected = reference.tensor::<3>("out");
        let size: f32 = expected.clone().abs().max().into_scalar();
        let error = distance(found, expected) / size;
        assert!(error < 0.05, "{dtype:?}: {error}");
    }
}

#[test]
fn transformers_train() {
    let device = Device::flex().autodiff();
    let loss = |prediction: Tensor<4>| {
        let target = waves(prediction.dims(), &device);
        (prediction - target).square().mean()
    };
    let reference = Recorded::of("dit");
    let network = Dit::from_diffusers(directory("dit"), &device).unwrap();
    let labels = reference.ints("class_labels");
    let prediction = network.predict_with(reference.tensor("x"), reference.tensor("t"), labels);
    assert_gradients_reach_all(&network, loss(prediction));

    let reference = Recorded::of("pixart-alpha");
    let network = PixArt::from_diffusers(directory("pixart-alpha"), &device).unwrap();
    let (x, t) = (reference.tensor("x"), reference.tensor("t"));
    let prediction = network.predict_with(x, t, pixart_conditions(&reference));
    assert_gradients_reach_all(&network, loss(prediction));

    let reference = Recorded::of("flux-dev");
    let network = FluxTransformer::from_diffusers(directory("flux-dev"), &device).unwrap();
    let (x, t) = (reference.tensor("x"), reference.tensor("t"));
    let prediction = network.forward(x, t, flux_conditions(&reference));
    assert_gradients_reach_all(&network, loss(prediction.unsqueeze()));

    // What the text sees in the last block is dropped, and the table of positions is fixed.
    let reference = Recorded::of("sd35-transformer");
    let network = Sd3Transformer::from_diffusers(directory("sd35-transformer"), &device).unwrap();
    let (x, t) = (reference.tensor("x"), reference.tensor("t"));
    let prediction = network.predict_with(x, t, sd3_conditions(&reference));
    let gradients = loss(prediction).backward();
    let mut visitor =
        WithoutGradient { gradients: &gradients, path: vec![], found: vec![], visited: 0 };
    network.visit(&mut visitor);
    let last = "transformer_blocks.1.attn";
    let queries = ["add_q_proj.weight", "add_q_proj.bias", "norm_added_q.gamma"];
    let mut expected = queries.map(|name| format!("{last}.{name}")).to_vec();
    expected.push("pos_embed.pos_embed".to_owned());
    visitor.found.sort();
    expected.sort();
    assert_eq!(visitor.found, expected);
}
