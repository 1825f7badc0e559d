//! LoRAs into a network.

use std::collections::HashMap;
use std::ops::Range;

use burn::module::Module;
use burn::tensor::Tensor;
use ddm_weights::{Difference, Misfit, add_products};

use super::places::Places;
use super::{Lora, LoraError, LoraLayer, Part};

/// Adds the products of several LoRAs to the weights of a network, each with its weight.
///
/// They are summed first, in f32, and the sum is rounded once; one after the other they would be rounded
/// as often, which matters in half precision. Those without layers of this part add nothing.
///
/// ```no_run
/// # use ddm_models::UNet2dCondition;
/// use ddm_models::lora::{Lora, Part, fuse};
/// # fn run(unet: UNet2dCondition) -> Result<(), ddm_models::lora::LoraError> {
/// let (style, person) = (Lora::open("style.safetensors")?, Lora::open("person.safetensors")?);
/// let unet = fuse(unet, Part::UNet, &[(&style, 0.6), (&person, 1.0)])?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// As [`Lora::fused`]; but [`LoraError::NoPart`] only if none of several has layers of this part. An
/// empty list is no error, and changes nothing.
pub fn fuse<M: Module>(module: M, part: Part, loras: &[(&Lora, f64)]) -> Result<M, LoraError> {
    if let Some((_, weight)) = loras.iter().find(|(_, weight)| !weight.is_finite()) {
        return Err(LoraError::Weight(*weight));
    }
    let places = Places::of(&module);
    let mut targets: HashMap<String, Vec<Target<'_>>> = HashMap::new();
    for (lora, weight) in loras {
        for (key, target) in find(lora, *weight, &places, part)? {
            targets.entry(key).or_default().push(target);
        }
    }
    if targets.is_empty() && !loras.is_empty() {
        let files: Vec<_> =
            loras.iter().map(|(lora, _)| lora.origin().display().to_string()).collect();
        let mut found: Vec<_> = loras.iter().flat_map(|(lora, _)| lora.parts()).collect();
        found.sort();
        found.dedup();
        return Err(LoraError::NoPart { path: files.join(", "), part, found });
    }
    add_products(module, |key, device| {
        let (mut left, mut right) = (Vec::new(), Vec::new());
        for Target { lora, layer, rows, weight } in targets.get(key).into_iter().flatten() {
            let (up, down) = layer.factors(*weight, rows.clone(), lora.origin(), device)?;
            left.push(up);
            right.push(down);
        }
        // B₁ A₁ + B₂ A₂ = [B₁ B₂] [A₁; A₂].
        let any = !left.is_empty();
        Ok(any.then(|| (Tensor::cat(left, 1), Tensor::cat(right, 0))))
    })
}

/// What is added to a weight.
struct Target<'a> {
    lora: &'a Lora,
    layer: &'a LoraLayer,
    /// The rows of B that are for this weight; most often all.
    rows: Range<usize>,
    weight: f64,
}

/// Finds the weights of each layer in a network, by their names there.
fn find<'a>(
    lora: &'a Lora,
    weight: f64,
    places: &Places,
    part: Part,
) -> Result<Vec<(String, Target<'a>)>, LoraError> {
    let mut misfit = Misfit::default();
    let (mut targets, mut names) = (Vec::new(), HashMap::new());
    for layer in lora.layers(part) {
        let Some(weights) = places.find(&layer.path) else {
            misfit.unused.push(layer.name.clone());
            continue;
        };
        let rows_of = |shape: &[usize]| shape.first().copied().unwrap_or(0);
        let rows = weights.iter().map(|(_, shape)| rows_of(shape)).sum();
        if let Some((_, shape)) = weights.iter().find(|(_, shape)| !layer.fits(rows, shape)) {
            let mut expected = shape.clone();
            expected.splice(..expected.len().min(1), [rows]);
            misfit.different.push(Difference {
                tensor: layer.name.clone(),
                found: format!("{:?} (rank {})", layer.shape(), layer.rank()),
                expected: format!("{expected:?}"),
            });
            continue;
        }
        let mut begin = 0;
        for (key, shape) in weights {
            let rows = begin..begin + rows_of(shape);
            begin = rows.end;
            if let Some(first) = names.insert(key.clone(), layer.name.clone()) {
                let (path, second) = (lora.origin().to_owned(), layer.name.clone());
                return Err(LoraError::Twice { path, first, second });
            }
            targets.push((key.clone(), Target { lora, layer, rows, weight }));
        }
    }
    if misfit.is_empty() {
        return Ok(targets);
    }
    Err(LoraError::Misfit { path: lora.origin().to_owned(), part, misfit })
}
