//! Weights of 8 bits with a scale beside each.

use std::collections::BTreeMap;

use burn::tensor::DType;
use serde::Deserialize;
use thiserror::Error;

use crate::{Fault, TensorView, Tensors, WeightsError};

/// How the names of scales end, and that of the weight in their place.
const SCALES: [&str; 2] = [".scale_weight", ".weight_scale"];
/// Scales of the inputs of layers that multiply in 8 bits. Here none does.
const INPUTS: [&str; 2] = [".scale_input", ".input_scale"];
/// The format of a layer, JSON in bytes.
const FORMAT: &str = "comfy_quant";
/// The mark of older files, an empty tensor of the weights' type.
const MARK: &str = "scaled_fp8";
/// The formats of all layers in the file's metadata, in place of one tensor each.
const METADATA: &str = "_quantization_metadata";
/// The formats that have one scale for a weight.
const KNOWN: [&str; 2] = ["float8_e4m3fn", "float8_e5m2"];
/// The longest description of a format.
const LONGEST: usize = 1 << 16;

/// Why a weight cannot be multiplied by its scale.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum ScaleFault {
    /// A scale whose layer has no weight.
    #[error("is the scale of {weight}, which is not there")]
    NoWeight {
        /// The name of the weight.
        weight: String,
    },
    /// A weight of a format with scales that has none, or two.
    #[error("has {0} scales, and must have one")]
    Scales(usize),
    /// A scale of several numbers, or none.
    #[error("has the shape {0:?}; a scale is one number for all of its weight")]
    Shape(Vec<usize>),
    /// A scale that is no finite number, or no float at all.
    #[error("is the scale {0}, not a finite number")]
    NotFinite(f32),
    /// A scale, or a weight that has one, that is no float.
    #[error("is in {0}, and must be of floats")]
    Type(String),
    /// A format of another kind.
    #[error(
        "is of the format {0:?}; those that can be read are float8_e4m3fn and float8_e5m2, which have one scale for a weight"
    )]
    Format(String),
}

#[derive(Deserialize)]
struct Format {
    format: String,
}

#[derive(Deserialize)]
struct Formats {
    layers: BTreeMap<String, Format>,
}

impl Tensors {
    /// The same tensors, with weights of 8 bits times their scales, and without the scales.
    ///
    /// Files of ComfyUI have a weight `X.weight` in f8 with its scale, one number, in `X.scale_weight` and
    /// a mark `scaled_fp8`; later ones have `X.weight_scale`, and the format in `X.comfy_quant` or in the
    /// metadata. Scales of inputs, `X.scale_input` or `X.input_scale`, serve products of 8 bits, and are
    /// left out. Only the scales are read. Tensors without these names are as they were.
    ///
    /// ```
    /// use burn::tensor::TensorData;
    /// use ddm_weights::{TensorView, Tensors};
    /// # fn main() -> Result<(), ddm_weights::WeightsError> {
    /// // 0x38 is 1, 0xc0 is −2 in F8_E4M3.
    /// let header = br#"{"a.weight":{"dtype":"F8_E4M3","shape":[2],"data_offsets":[0,2]}}"#;
    /// let file = [&(header.len() as u64).to_le_bytes()[..], header, &[0x38, 0xc0]].concat();
    /// let mut tensors = Tensors::from_bytes(file)?;
    /// tensors.insert("a.scale_weight", TensorView::from(TensorData::from([0.25_f32])));
    /// let tensors = tensors.dequantized()?;
    /// assert_eq!(tensors.names().collect::<Vec<_>>(), ["a.weight"]);
    /// assert_eq!(tensors.read("a.weight")?, TensorData::from([0.25_f32, -0.5]));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns [`WeightsError::Scale`] if a scale has no weight, is not one finite number, or is missing
    /// where a format wants it, and if a format is another one, such as nvfp4; and an error if a scale
    /// cannot be read.
    pub fn dequantized(&self) -> Result<Self, WeightsError> {
        self.check_formats()?;
        let mut weights: BTreeMap<String, TensorView> = BTreeMap::new();
        for (name, view) in self.iter() {
            let Some(weight) = weight_of(name, &SCALES) else { continue };
            let scaled = self.times(&weight, name, view)?;
            if weights.insert(weight.clone(), scaled).is_some() {
                return Err(self.scale(&weight, ScaleFault::Scales(2)));
            }
        }
        for (name, view) in self.iter() {
            if let Some(weight) = weight_of(name, &INPUTS) {
                self.number(name, view)?;
                self.weight(&weight, name)?;
            }
            let Some(layer) = name.strip_suffix(FORMAT).filter(|_| is(name, FORMAT)) else {
                continue;
            };
            let weight = format!("{layer}weight");
            self.weight(&weight, name)?;
            if !weights.contains_key(&weight) {
                return Err(self.scale(&weight, ScaleFault::Scales(0)));
            }
        }
        let is_aside = |name: &str| {
            is(name, MARK)
                || is(name, FORMAT)
                || [SCALES, INPUTS].iter().any(|ends| weight_of(name, ends).is_some())
        };
        let mut tensors = self.rename(|name| (!is_aside(name)).then(|| name.to_owned()))?;
        for (name, view) in weights {
            tensors.insert(name, view);
        }
        Ok(tensors)
    }

    /// A weight times the scale called `name`.
    fn times(
        &self,
        weight: &str,
        name: &str,
        view: &TensorView,
    ) -> Result<TensorView, WeightsError> {
        let found = self.weight(weight, name)?;
        if !found.stored().is_float() {
            return Err(self.scale(weight, ScaleFault::Type(found.stored().to_string())));
        }
        found.scaled(self.number(name, view)?)
    }

    /// The weight that belongs to the tensor called `name`.
    fn weight(&self, weight: &str, name: &str) -> Result<&TensorView, WeightsError> {
        let fault = || ScaleFault::NoWeight { weight: weight.to_owned() };
        self.get(weight).map_err(|_| self.scale(name, fault()))
    }

    /// The one number of a scale.
    fn number(&self, name: &str, view: &TensorView) -> Result<f32, WeightsError> {
        if !view.stored().is_float() {
            return Err(self.scale(name, ScaleFault::Type(view.stored().to_string())));
        }
        if view.elements() != 1 {
            return Err(self.scale(name, ScaleFault::Shape(view.shape().to_vec())));
        }
        let value = view.read_as(DType::F32)?.iter::<f32>().next().unwrap_or(f32::NAN);
        if !value.is_finite() {
            return Err(self.scale(name, ScaleFault::NotFinite(value)));
        }
        Ok(value)
    }

    /// Checks that all formats that the file names are known.
    fn check_formats(&self) -> Result<(), WeightsError> {
        let known = |name: &str, found: Format| {
            if KNOWN.contains(&&*found.format) {
                return Ok(());
            }
            Err(self.scale(name, ScaleFault::Format(found.format)))
        };
        let invalid = |what: &str, error: serde_json::Error| WeightsError::File {
            path: self.origin().to_owned(),
            fault: Fault::Metadata(format!("{what}: {error}")),
        };
        if let Some(json) = self.metadata().get(METADATA) {
            let formats: Formats =
                serde_json::from_str(json).map_err(|error| invalid(METADATA, error))?;
            for (layer, format) in formats.layers {
                known(&layer, format)?;
            }
        }
        for (name, view) in self.iter().filter(|(name, _)| is(name, FORMAT)) {
            if view.dtype() != DType::U8 || view.elements() > LONGEST {
                return Err(self.scale(name, ScaleFault::Format(format!("{:?}", view.dtype()))));
            }
            let json: Vec<u8> = view.read()?.iter::<u8>().collect();
            known(name, serde_json::from_slice(&json).map_err(|error| invalid(name, error))?)?;
        }
        Ok(())
    }

    fn scale(&self, tensor: &str, fault: ScaleFault) -> WeightsError {
        WeightsError::Scale { path: self.origin().to_owned(), tensor: tensor.to_owned(), fault }
    }
}

/// The name of the weight to which a tensor belongs whose name has one of these ends.
fn weight_of(name: &str, ends: &[&str]) -> Option<String> {
    let layer = ends.iter().find_map(|end| name.strip_suffix(end))?;
    Some(format!("{layer}.weight"))
}

/// Whether this is the last part of a name, or all of it.
fn is(name: &str, last: &str) -> bool {
    name.rsplit('.').next() == Some(last)
}
