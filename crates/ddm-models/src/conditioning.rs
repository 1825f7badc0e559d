//! The conditioning of a network: the timestep, and optionally a class.

use burn::config::Config;
use burn::module::Module;
use burn::nn::{Embedding, EmbeddingConfig};
use burn::tensor::{Device, FloatDType, Int, Tensor};
use ddm_denoiser::ModelError;

use crate::blocks::{EmbeddingMlp, Ops};
use crate::{NetworkConfigError, TimestepEmbedding};

/// The configuration of a [`Conditioning`].
#[derive(Config, Debug)]
pub struct ConditioningConfig {
    /// The sinusoidal embedding of the timestep.
    pub time: TimestepEmbedding,
    /// The length of the conditioning vector.
    pub size: usize,
    /// The number of classes; `None` for a network without classes.
    pub classes: Option<usize>,
}

/// The conditioning vector of a network's blocks, from the timestep and the class:
/// `SiLU(W₂ SiLU(W₁ sinusoids(t)) + class vector)`.
///
/// There is one more class vector than classes, for the null class, "no class". It is used if no
/// labels are given, and classifier-free guidance requires it (Ho & Salimans, *Classifier-Free
/// Diffusion Guidance*, arXiv 2207.12598); to train it, use the null class for about one sample in
/// ten. The activation at the end is shared: every block would otherwise start with it.
#[derive(Module, Debug)]
pub struct Conditioning {
    #[module(skip)]
    sinusoids: TimestepEmbedding,
    time_embedding: EmbeddingMlp,
    class_embedding: Option<Embedding>,
}

impl ConditioningConfig {
    /// Creates the module on `device`.
    ///
    /// # Errors
    ///
    /// Returns an error if a size or the number of classes is 0, or the settings of the sinusoidal
    /// embedding are invalid.
    pub fn init(&self, device: &Device) -> Result<Conditioning, NetworkConfigError> {
        self.time.validate()?;
        if let Some(classes) = self.classes {
            NetworkConfigError::require_some("classes", classes)?;
        }
        let class = |classes| EmbeddingConfig::new(classes + 1, self.size).init(device);
        Ok(Conditioning {
            sinusoids: self.time.clone(),
            time_embedding: EmbeddingMlp::new(self.time.size, self.size, device)?,
            class_embedding: self.classes.map(class),
        })
    }
}

impl Conditioning {
    /// Returns the conditioning vector `[batch, size]`, in the dtype of the weights. `t` is
    /// `[batch]`, `labels` are `[batch]` in 0 … classes, of which the last is the null class.
    ///
    /// Without labels, the null class is used. A module without classes ignores labels.
    pub fn forward(&self, ops: &Ops, t: Tensor<1>, labels: Option<Tensor<1, Int>>) -> Tensor<2> {
        let sinusoids = self.sinusoids.forward(t);
        let dtype = ops.dtype(self.dtype(), &sinusoids);
        let time = self.time_embedding.forward(ops, sinusoids.cast(dtype), None);
        let Some(table) = &self.class_embedding else {
            return ops.silu(time);
        };
        ops.silu(match labels {
            Some(labels) => time + table.weight.val().cast(dtype).select(0, labels),
            None => time + null_vector(table).cast(dtype),
        })
    }

    /// Returns the number of classes without the null class; `None` for a module without classes.
    pub fn classes(&self) -> Option<usize> {
        self.class_embedding.as_ref().map(|table| table.weight.dims()[0] - 1)
    }

    /// Returns `batch` labels of the null class; all 0 if there are no classes.
    pub fn null_classes(&self, batch: usize, device: &Device) -> Tensor<1, Int> {
        Tensor::full([batch], self.classes().unwrap_or(0) as i64, device)
    }

    /// Checks that the module has classes, that there is one label per sample, and that each is
    /// in 0 … classes. Reads the least and the greatest label from the device.
    ///
    /// # Errors
    ///
    /// Returns [`ModelError::NoCondition`] for a module without classes, [`ModelError::Shape`] for
    /// invalid labels, and [`ModelError::Read`] if the labels cannot be read.
    pub fn check(&self, labels: &Tensor<1, Int>, batch: usize) -> Result<(), ModelError> {
        let classes = self.classes().ok_or(ModelError::NoCondition)?;
        check_labels(labels, batch, classes, true)
    }

    /// Returns the dtype of the weights, in which the network computes.
    pub fn dtype(&self) -> FloatDType {
        self.time_embedding.dtype()
    }
}

/// Returns the last vector of a table, that of the null class: one row for the whole batch.
pub(crate) fn null_vector(table: &Embedding) -> Tensor<2> {
    let table = table.weight.val();
    let null = table.dims()[0] - 1;
    table.narrow(0, null, 1)
}

/// Checks that there is one label per sample, and that each is a class or, with `null`, the null class
/// after them. Reads the least and the greatest label from the device.
pub(crate) fn check_labels(
    labels: &Tensor<1, Int>,
    batch: usize,
    classes: usize,
    null: bool,
) -> Result<(), ModelError> {
    ModelError::require_batch("the class", labels.dims()[0], batch)?;
    // In a browser a read must not block, so labels are not checked.
    if cfg!(target_family = "wasm") || batch == 0 {
        return Ok(());
    }
    for end in [labels.clone().min(), labels.clone().max()] {
        let label = end.try_into_scalar::<i64>().map_err(ModelError::read("the class labels"))?;
        if !(0..(classes + usize::from(null)) as i64).contains(&label) {
            let found = label.to_string();
            let none = if null { format!(", or {classes} for no class") } else { String::new() };
            let expected = format!("0 to {}{none}", classes - 1);
            return Err(ModelError::Shape { what: "a class label", found, expected });
        }
    }
    Ok(())
}
