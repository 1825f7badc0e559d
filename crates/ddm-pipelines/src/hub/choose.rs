//! Which files of a repository a model needs.

use ddm_weights::{Variant, shards};

use super::HubError;
use super::snapshot::Snapshot;
use crate::ModelDirectory;
use crate::pipeline::opens;

/// What a tokenizer may be made of.
const TOKENIZER: [&str; 7] = [
    "tokenizer_config.json",
    "tokenizer.json",
    "spiece.model",
    "vocab.json",
    "merges.txt",
    "special_tokens_map.json",
    "added_tokens.json",
];

/// Parts that no pipeline here loads; the first has more than a gigabyte.
const UNUSED: [&str; 4] =
    ["safety_checker", "image_encoder", "feature_extractor", "image_processor"];

/// Fetches the files of a pipeline, or of a network.
pub(super) fn fetch(snapshot: &mut Snapshot<'_>, fp16: bool) -> Result<(), HubError> {
    let half = Variant::named("fp16")?;
    // In the order of choice; a network without the plain ones is loaded from the others.
    let variants = if fp16 { [half, Variant::PLAIN] } else { [Variant::PLAIN, half] };
    if !snapshot.has("model_index.json") {
        return match snapshot.has("config.json") {
            true => network(snapshot, "", &variants),
            false => Err(snapshot.missing("model_index.json or config.json")),
        };
    }
    snapshot.get("model_index.json")?;
    let index = ModelDirectory::open(snapshot.directory())?;
    // Before gigabytes are here.
    opens(index.class())?;
    for (part, class) in index.parts().filter(|(part, _)| !UNUSED.contains(part)) {
        let within = format!("{part}/");
        if class.contains("Tokenizer") {
            snapshot.get(&(within.clone() + TOKENIZER[0]))?;
            for name in &TOKENIZER[1..] {
                let file = within.clone() + name;
                if snapshot.has(&file) {
                    snapshot.get(&file)?;
                }
            }
        } else if class.contains("Scheduler") {
            snapshot.get(&(within + "scheduler_config.json"))?;
        } else {
            network(snapshot, &within, &variants)?;
        }
    }
    Ok(())
}

/// Fetches the config and the weights of a network in a folder, whose name ends with `/`.
fn network(
    snapshot: &mut Snapshot<'_>,
    within: &str,
    variants: &[Variant],
) -> Result<(), HubError> {
    snapshot.get(&format!("{within}config.json"))?;
    let mut choices = variants.iter();
    let weights =
        choices.find_map(|variant| variant.file(|name| snapshot.has(&format!("{within}{name}"))));
    let Some(weights) = weights else {
        return Err(snapshot.missing(&format!("{within}*.safetensors or {within}*.bin")));
    };
    let path = snapshot.get(&format!("{within}{weights}"))?;
    if weights.ends_with(".json") {
        for shard in shards(path)? {
            snapshot.get(&format!("{within}{shard}"))?;
        }
    }
    Ok(())
}
