//! The names of a LoRA's tensors.

use super::Part;

/// What a tensor is of its layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// A, `[rank, in, …]`.
    Down,
    /// B, `[out, rank, …]`.
    Up,
    /// The middle one of three convolutions, `[rank, rank, height, width]`.
    Mid,
    /// The number α.
    Alpha,
}

/// A name that was understood.
#[derive(Debug)]
pub(super) struct Name<'a> {
    pub(super) part: Part,
    /// The path of the layer in its network, with dots, or as kohya has it, with `_` in their place.
    pub(super) path: String,
    /// The layer as the file calls it.
    pub(super) layer: &'a str,
    pub(super) piece: Piece,
}

/// How names end: PEFT, kohya and LoCon, and two generations of diffusers.
const ENDS: [(&str, Piece); 11] = [
    (".lora_A", Piece::Down),
    (".lora_B", Piece::Up),
    (".lora_down", Piece::Down),
    (".lora_up", Piece::Up),
    (".lora_mid", Piece::Mid),
    (".lora.down", Piece::Down),
    (".lora.up", Piece::Up),
    ("_lora.down", Piece::Down),
    ("_lora.up", Piece::Up),
    (".lora_linear_layer.down", Piece::Down),
    (".lora_linear_layer.up", Piece::Up),
];

/// What may stand between a layer and `.alpha`.
const BEFORE_ALPHA: [&str; 3] = [".lora_linear_layer", ".lora", "_lora"];

impl<'a> Name<'a> {
    /// Reads a tensor's name. Returns `None` for one of nothing that is known.
    pub(super) fn parse(tensor: &'a str) -> Option<Self> {
        let (layer, piece) = split(tensor)?;
        // Diffusers once had a LoRA's layers in the processor of an attention.
        let plain = layer.replace(".processor.", ".");
        let (part, path) = Part::of(&plain);
        let path = path.to_owned();
        (!path.is_empty()).then_some(Self { part, path, layer, piece })
    }
}

fn split(tensor: &str) -> Option<(&str, Piece)> {
    if let Some(layer) = tensor.strip_suffix(".alpha") {
        let end = BEFORE_ALPHA.iter().find_map(|end| layer.strip_suffix(end));
        return Some((end.unwrap_or(layer), Piece::Alpha));
    }
    let tensor = tensor.strip_suffix(".weight")?;
    let end_of = |name: &'_ str| {
        let mut ends = ENDS.iter();
        ends.find_map(|(end, piece)| name.strip_suffix(end).map(|layer| (layer.len(), *piece)))
    };
    // PEFT may write the adapter's name too: `lora_A.default.weight`.
    let named = || {
        let (name, adapter) = tensor.rsplit_once('.')?;
        let peft = name.ends_with(".lora_A") || name.ends_with(".lora_B");
        (peft && !adapter.is_empty()).then(|| end_of(name)).flatten()
    };
    // XLabs' names say which of two sequences is meant: `qkv_lora1.down`.
    let numbered = || {
        let (layer, end) = tensor.rsplit_once('.')?;
        let piece = match end {
            "down" => Piece::Down,
            "up" => Piece::Up,
            _ => return None,
        };
        let numbered = layer.ends_with("_lora1") || layer.ends_with("_lora2");
        numbered.then_some((layer.len(), piece))
    };
    let (length, piece) = end_of(tensor).or_else(named).or_else(numbered)?;
    Some((&tensor[..length], piece))
}
