//! The names of a U-Net's layers in original checkpoints.

use std::collections::BTreeMap;

/// Where the blocks of diffusers are among the blocks of an original checkpoint.
///
/// There, each residual block with its attention, and each change of resolution on the way down, has a
/// number of its own; so a number depends on how many blocks the levels before have.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    down: BTreeMap<usize, Level>,
    up: BTreeMap<usize, Level>,
}

#[derive(Debug, Default)]
struct Level {
    /// The number of its first block.
    first: usize,
    blocks: usize,
    attends: bool,
    resamples: bool,
}

impl Blocks {
    /// Counts the blocks of a network, from the paths of its parameters in diffusers.
    pub(super) fn of<'a>(paths: impl Iterator<Item = &'a str>) -> Self {
        let mut blocks = Self::default();
        for path in paths {
            let mut names = path.split('.');
            let levels = match names.next() {
                Some("down_blocks") => &mut blocks.down,
                Some("up_blocks") => &mut blocks.up,
                _ => continue,
            };
            let Some(level) = names.next().and_then(|name| name.parse().ok()) else { continue };
            let level: &mut Level = levels.entry(level).or_default();
            match (names.next(), names.next().and_then(|name| name.parse::<usize>().ok())) {
                (Some("resnets"), Some(block)) => level.blocks = level.blocks.max(block + 1),
                (Some("attentions"), _) => level.attends = true,
                (Some("downsamplers" | "upsamplers"), _) => level.resamples = true,
                _ => {}
            }
        }
        let mut next = 1; // after the first convolution
        for level in blocks.down.values_mut() {
            level.first = next;
            next += level.blocks + usize::from(level.resamples);
        }
        next = 0;
        for level in blocks.up.values_mut() {
            level.first = next;
            next += level.blocks;
        }
        blocks
    }

    /// The path of a layer in an original checkpoint, for that in diffusers.
    pub(super) fn original(&self, path: &str) -> Option<String> {
        if let Some((_, original)) = OUTSIDE.iter().find(|(name, _)| *name == path) {
            return Some((*original).to_owned());
        }
        let (place, rest) = path.split_once('.')?;
        if place == "mid_block" {
            let (kind, rest) = rest.split_once('.')?;
            let (block, layer) = rest.split_once('.')?;
            return match (kind, block) {
                ("resnets", "0") => Some(format!("middle_block.0.{}", in_residual(layer)?)),
                ("attentions", "0") => Some(format!("middle_block.1.{layer}")),
                ("resnets", "1") => Some(format!("middle_block.2.{}", in_residual(layer)?)),
                _ => None,
            };
        }
        let (name, levels) = match place {
            "down_blocks" => ("input_blocks", &self.down),
            "up_blocks" => ("output_blocks", &self.up),
            _ => return None,
        };
        let (level, rest) = rest.split_once('.')?;
        let level = levels.get(&level.parse().ok()?)?;
        let (kind, rest) = rest.split_once('.')?;
        let (block, layer) = rest.split_once('.')?;
        let number = level.first + block.parse::<usize>().ok()?;
        match (kind, block, layer) {
            ("resnets", ..) => Some(format!("{name}.{number}.0.{}", in_residual(layer)?)),
            ("attentions", ..) => Some(format!("{name}.{number}.1.{layer}")),
            ("downsamplers", "0", "conv") => {
                Some(format!("{name}.{}.0.op", level.first + level.blocks))
            }
            ("upsamplers", "0", "conv") => {
                // It is in the level's last block, after its attention.
                let place = 1 + usize::from(level.attends);
                Some(format!(
                    "{name}.{}.{place}.conv",
                    (level.first + level.blocks).checked_sub(1)?
                ))
            }
            _ => None,
        }
    }
}

/// Layers outside of the blocks.
const OUTSIDE: [(&str, &str); 6] = [
    ("conv_in", "input_blocks.0.0"),
    ("conv_out", "out.2"),
    ("time_embedding.linear_1", "time_embed.0"),
    ("time_embedding.linear_2", "time_embed.2"),
    ("add_embedding.linear_1", "label_emb.0.0"),
    ("add_embedding.linear_2", "label_emb.0.2"),
];

/// The name of a residual block's layer.
fn in_residual(layer: &str) -> Option<&'static str> {
    match layer {
        "conv1" => Some("in_layers.2"),
        "time_emb_proj" => Some("emb_layers.1"),
        "conv2" => Some("out_layers.3"),
        "conv_shortcut" => Some("skip_connection"),
        _ => None,
    }
}
