//! What U-Nets by diffusers' names refuse: settings, inputs and conditions.

use super::golden::{Recorded, directory};
use super::*;

#[test]
fn inputs_that_do_not_fit_are_refused() {
    let device = Device::flex();
    let load = |name| UNet2dCondition::from_diffusers(directory(name), &device).unwrap();
    let network = load("unet2d-condition-sdxl");
    let good = Recorded::of("unet2d-condition-sdxl").condition();
    let shape = [2, 4, 16, 16];
    assert!(network.check_with(shape, &good).is_ok());
    let added = good.added.clone().unwrap();
    let wrong = [
        (
            UNetCondition {
                encoder_hidden_states: Tensor::ones([2, 7, 23], &device),
                ..good.clone()
            },
            "encoder_hidden_states is of shape [2, 7, 23], but the model needs shape [2, 7, 24]",
        ),
        (
            UNetCondition {
                encoder_hidden_states: Tensor::ones([1, 7, 24], &device),
                ..good.clone()
            },
            "encoder_hidden_states is of shape [1, 7, 24]",
        ),
        (
            UNetCondition {
                encoder_attention_mask: Some(Tensor::ones([2, 6], &device)),
                ..good.clone()
            },
            "encoder_attention_mask is of shape [2, 6]",
        ),
        (UNetCondition { added: None, ..good.clone() }, "added is absent"),
        (
            UNetCondition {
                added: Some(AddedConditions {
                    time_ids: Tensor::ones([2, 5], &device),
                    ..added.clone()
                }),
                ..good.clone()
            },
            "time_ids is of shape [2, 5], but the model needs shape [2, 6]",
        ),
        (
            UNetCondition {
                class_labels: Some(ClassLabels::Number(Tensor::ones([2], &device))),
                ..good.clone()
            },
            "class_labels is given, but the model needs none",
        ),
        (
            UNetCondition { timestep_cond: Some(Tensor::ones([2, 4], &device)), ..good.clone() },
            "timestep_cond is given, but the model needs none",
        ),
    ];
    for (condition, says) in wrong {
        let error = network.check_with(shape, &condition).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
    assert!(network.check_with([2, 3, 16, 16], &good).is_err());
    assert!(network.check_with([2, 4, 0, 16], &good).is_err());

    let upscaler = load("unet2d-condition-x4-upscaler");
    let text = UNetCondition::new(Tensor::ones([2, 7, 20], &device));
    let labels = |labels: [i64; 2]| UNetCondition {
        class_labels: Some(ClassLabels::Class(Tensor::from_data(labels, &device))),
        ..text.clone()
    };
    let check = |condition: &UNetCondition| upscaler.check_with([2, 7, 8, 10], condition);
    assert!(check(&labels([0, 29])).is_ok());
    let error = check(&labels([0, 30])).unwrap_err().to_string();
    assert_eq!(error, "a class label is 30, but the model needs 0 to 29");
    assert!(check(&labels([-1, 0])).is_err());
    let error = check(&text).unwrap_err().to_string();
    assert!(error.contains("class_labels is absent"), "{error}");
    let added = UNetCondition { added: Some(added), ..labels([0, 1]) };
    assert!(check(&added).unwrap_err().to_string().contains("added is given"));

    let network = ControlNet::from_diffusers(directory("controlnet"), &device).unwrap();
    let control = Control::new(Tensor::ones([2, 3, 16, 20], &device));
    let check = |control: &Control| network.check([2, 4, 8, 10], &text, control);
    assert!(check(&control).is_ok());
    let small = Control::new(Tensor::ones([2, 3, 8, 10], &device));
    let says =
        "the control image is of shape [2, 3, 8, 10], but the model needs shape [2, 3, 16, 20]";
    assert_eq!(check(&small).unwrap_err().to_string(), says);
    assert!(check(&Control { conditioning_scale: f64::NAN, ..control }).is_err());
}

/// A config of `testdata/models` with one setting replaced.
fn changed(name: &str, setting: &str, value: &str) -> String {
    let json = std::fs::read_to_string(directory(name).join("config.json")).unwrap();
    let mut json: serde_json::Map<_, _> = serde_json::from_str(&json).unwrap();
    json.insert(setting.to_owned(), serde_json::from_str(value).unwrap());
    serde_json::to_string(&json).unwrap()
}

#[test]
fn settings_that_are_not_covered_are_refused() {
    let conditional = [
        ("_class_name", r#""UNet2DModel""#, r#"must be "UNet2DConditionModel""#),
        ("act_fn", r#""geglu""#, r#"must be "silu" or"#),
        ("num_attention_heads", "8", "must be null"),
        ("dual_cross_attention", "true", "must be false"),
        ("attention_type", r#""gated""#, r#"must be "default""#),
        ("time_embedding_type", r#""fourier""#, r#"must be "positional""#),
        ("down_block_types", r#"["KDownBlock2D", "DownBlock2D"]"#, r#""CrossAttnDownBlock2D" or"#),
        ("up_block_types", r#"["UpBlock2D", "DownBlock2D"]"#, "a list of"),
        ("mid_block_type", r#""Middle""#, r#"must be "UNetMidBlock2DCrossAttn" or"#),
        ("addition_embed_type", r#""text_image""#, r#"must be "text" or "text_time""#),
        ("addition_embed_type", r#""text_time""#, "must be a size"),
        ("encoder_hid_dim_type", r#""image_proj""#, r#"must be "text_proj""#),
        ("encoder_hid_dim_type", r#""text_proj""#, "must be a size"),
        ("class_embed_type", r#""projection""#, "must be a size"),
        ("class_embed_type", r#""table""#, r#"must be "timestep" or"#),
        ("cross_attention_norm", r#""batch_norm""#, r#"must be "layer_norm" or "group_norm""#),
        ("resnet_time_scale_shift", r#""spatial""#, r#"must be "default" or "scale_shift""#),
        ("norm_num_groups", "null", "must be a size"),
        ("transformer_layers_per_block", r#"["one"]"#, "a size, or a list"),
        ("in_channels", "-1", "must be a size"),
        ("something_new", "true", "must be absent"),
    ];
    for (setting, value, says) in conditional {
        let json = changed("unet2d-condition-inpaint", setting, value);
        let error = UNet2dConditionConfig::from_diffusers(&json).unwrap_err();
        assert!(matches!(&error, DiffusersError::Setting { .. }), "{error}");
        assert!(error.to_string().contains(says), "{error}");
    }
    let images = [
        ("_class_name", r#""UNet2DConditionModel""#, r#"must be "UNet2DModel""#),
        ("down_block_types", r#"["CrossAttnDownBlock2D"]"#, "a list of"),
        ("time_embedding_type", r#""random""#, r#"must be "positional" or "fourier" or "learned""#),
        ("time_embedding_type", r#""learned""#, "must be a size"),
        ("downsample_type", r#""pool""#, r#"must be "conv" or "resnet""#),
        ("class_embed_type", r#""projection""#, r#"must be "timestep" or "identity""#),
        ("attention_type", r#""default""#, "must be absent"),
    ];
    for (setting, value, says) in images {
        let error = UNet2dConfig::from_diffusers(&changed("unet2d-consistency", setting, value));
        let error = error.unwrap_err();
        assert!(matches!(&error, DiffusersError::Setting { .. }), "{error}");
        assert!(error.to_string().contains(says), "{error}");
    }
    let controlnets = [
        ("_class_name", r#""UNet2DConditionModel""#, r#"must be "ControlNetModel""#),
        ("mid_block_type", "null", "the name of a middle"),
        ("encoder_hid_dim", "20", "must be null"),
        ("conditioning_embedding_out_channels", "16", "a list of sizes"),
    ];
    for (setting, value, says) in controlnets {
        let error = ControlNetConfig::from_diffusers(&changed("controlnet", setting, value));
        let error = error.unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
    assert!(matches!(UNet2dConfig::from_diffusers("[]"), Err(DiffusersError::NotJson { .. })));
    assert!(matches!(
        UNet2dConditionConfig::from_diffusers("1"),
        Err(DiffusersError::NotJson { .. })
    ));
}

#[test]
fn settings_that_no_network_can_have_are_refused() {
    let device = Device::flex();
    let conditional = [
        ("block_out_channels", "[]", "block_out_channels is empty"),
        ("block_out_channels", "[8, 12, 16]", "down_block_types has 2 entries, but must have 3"),
        ("block_out_channels", "[8, 10]", "channels is 10, but must be a multiple of 4"),
        ("up_block_types", r#"["UpBlock2D"]"#, "up_block_types has 1 entries, but must have 2"),
        ("attention_head_dim", "[2]", "attention_head_dim has 1 entries"),
        ("attention_head_dim", "5", "but must be a multiple of 5, the number of heads"),
        ("attention_head_dim", "0", "the number of attention heads is 0"),
        ("transformer_layers_per_block", "[[1], [1]]", "for a level of 2 blocks"),
        ("reverse_transformer_layers_per_block", "[1]", "has 1 entries, but must have 2"),
        ("layers_per_block", "0", "layers_per_block is 0"),
        ("cross_attention_dim", "0", "cross_attention_dim is 0"),
        ("norm_num_groups", "0", "norm_groups is 0"),
        ("norm_eps", "0", "norm_eps is 0"),
        ("downsample_padding", "2", "downsample_padding is 2, but must be 0 or 1"),
        ("conv_in_kernel", "2", "conv_in_kernel is 2, but must be odd"),
        ("mid_block_scale_factor", "0", "output_scale is 0"),
        ("resnet_skip_time_act", "true", "resnet_skip_time_act needs levels that resample"),
        ("in_channels", "0", "in_channels is 0"),
        ("out_channels", "0", "out_channels is 0"),
        ("num_class_embeds", "0", "num_class_embeds is 0"),
        ("time_cond_proj_dim", "0", "time_cond_proj_dim is 0"),
        ("dropout", "1", "dropout is 1"),
        ("freq_shift", "4", "freq_shift is 4"),
    ];
    for (setting, value, says) in conditional {
        let json = changed("unet2d-condition-inpaint", setting, value);
        let config = UNet2dConditionConfig::from_diffusers(&json).unwrap();
        let error = config.init(&device).unwrap_err().to_string();
        assert!(error.contains(says), "{setting}: {error}");
    }
    let images = [
        ("in_channels", "4", "a level beside a pyramid of images needs images of 3 channels"),
        ("down_block_types", r#"["DownBlock2D"]"#, "down_block_types has 1 entries"),
        ("attention_head_dim", "0", "head_size is 0"),
        ("layers_per_block", "0", "layers_per_block is 0"),
        ("downsample_padding", "3", "downsample_padding is 3"),
    ];
    for (setting, value, says) in images {
        let config =
            UNet2dConfig::from_diffusers(&changed("unet2d-ncsnpp", setting, value)).unwrap();
        let error = config.init(&device).unwrap_err().to_string();
        assert!(error.contains(says), "{setting}: {error}");
    }
    let kinds = vec![BlockType::CrossAttention, BlockType::Plain];
    let config = UNet2dConfig {
        block_out_channels: vec![8, 8],
        down_block_types: kinds.clone(),
        up_block_types: kinds,
        norm_num_groups: 4,
        ..Default::default()
    };
    let error = config.init(&device).unwrap_err().to_string();
    assert_eq!(error, "a level that attends to a text needs a `UNet2dCondition`");
}

#[test]
fn what_a_config_lacks_has_diffusers_default() {
    assert_eq!(UNet2dConfig::from_diffusers("{}").unwrap(), UNet2dConfig::default());
    let read = UNet2dConditionConfig::from_diffusers("{}").unwrap();
    assert_eq!(read, UNet2dConditionConfig::default());
    assert_eq!(ControlNetConfig::from_diffusers("{}").unwrap(), ControlNetConfig::default());
    // An old prefix of the same blocks.
    let old = r#"["UNetResDownBlock2D", "UNetResAttnDownBlock2D"]"#;
    let config = UNet2dConfig::from_diffusers(&changed("unet2d-default", "down_block_types", old));
    assert_eq!(config.unwrap().down_block_types, [BlockType::Plain, BlockType::Attention]);
}
