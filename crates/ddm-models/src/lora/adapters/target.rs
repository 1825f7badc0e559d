//! The layers that get a LoRA, and how it starts.

use std::collections::BTreeSet;

use burn::module::{LoraAdapter, Module, ModuleVisitor, Param};
use burn::tensor::{DType, Device, Tensor, TensorData};
use ddm_noise::HostNoise;
use ddm_weights::Place;

use super::LoraConfig;
use crate::lora::LoraError;

/// The layers that can have a LoRA, as burn calls them.
const LAYERS: [&str; 4] = ["Struct:Linear", "Struct:Conv1d", "Struct:Conv2d", "Struct:Conv3d"];

/// A layer.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// Its path by the names of diffusers.
    pub(super) path: String,
    /// The shape of its weight as PyTorch has it, `[out, in, …]`.
    pub(super) shape: Vec<usize>,
    /// Whether burn has the weight transposed, `[in, out]`.
    pub(super) transposed: bool,
    device: Device,
    /// f32, or f64 if the weight is in f64.
    dtype: DType,
}

impl Target {
    /// Whether a name is this layer's path, or how it ends, as PEFT has it.
    fn is_called(&self, name: &str) -> bool {
        self.path.strip_suffix(name).is_some_and(|start| start.is_empty() || start.ends_with('.'))
    }

    /// The end of its path that tells its kind: `to_q`, `to_out.0`.
    fn ending(&self) -> &str {
        let number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let mut ends = self.path.rmatch_indices('.').map(|(dot, _)| &self.path[dot + 1..]);
        ends.find(|end| !end.split('.').all(number)).unwrap_or(&self.path)
    }

    /// The number of rows of B, and of columns of A.
    fn sides(&self) -> (usize, usize) {
        (self.shape[0], self.shape[1..].iter().product())
    }

    /// Returns the factors: A uniform in ±1/√n for n inputs, B zero.
    pub(super) fn adapter(&self, config: &LoraConfig) -> Result<LoraAdapter, LoraError> {
        let ((rows, columns), rank) = (self.sides(), config.rank);
        let most = rows.min(columns);
        if rank > most {
            return Err(LoraError::Rank { layer: self.path.clone(), rank, most });
        }
        let bound = (columns as f64).sqrt().recip();
        let draws = HostNoise::new(config.seed).fork(&self.path).uniform(rank * columns);
        let down = draws.into_iter().map(|u| (2.0 * u - 1.0) * bound);
        // By inputs in burn's layout of linear layers; which number is where does not matter.
        let shapes = [[rank, columns], [rows, rank]];
        let [down_shape, up_shape] = shapes
            .map(|[first, second]| if self.transposed { [second, first] } else { [first, second] });
        let down = TensorData::new(down.collect(), down_shape);
        let down = Tensor::<2>::from_data(down, (&self.device, self.dtype));
        let up = Tensor::<2>::zeros(up_shape, (&self.device, self.dtype));
        let (a, b) = if self.transposed { (down, up) } else { (up, down) };
        let scale = config.alpha / rank as f64;
        Ok(LoraAdapter { a: Param::from_tensor(a), b: Param::from_tensor(b), scale })
    }

    /// Returns A, `[r, in · …]`, and B, `[out, r]`.
    pub(super) fn factors(&self, adapter: &LoraAdapter) -> (Tensor<2>, Tensor<2>) {
        let (a, b) = (adapter.a.val(), adapter.b.val());
        if self.transposed { (a.transpose(), b.transpose()) } else { (b, a) }
    }
}

/// Finds the layers of these names, in the order of the network.
pub(super) fn targets<M: Module>(module: &M, names: &[String]) -> Result<Vec<Target>, LoraError> {
    let mut layers = Layers::default();
    module.visit(&mut layers);
    let mut found = layers.found;
    let unknown = names.iter().find(|name| !found.iter().any(|layer| layer.is_called(name)));
    if let Some(name) = unknown {
        let endings: BTreeSet<_> = found.iter().map(|layer| layer.ending().to_owned()).collect();
        let layers = endings.into_iter().collect();
        return Err(LoraError::Target { target: name.clone(), layers });
    }
    found.retain(|layer| names.iter().any(|name| layer.is_called(name)));
    Ok(found)
}

/// All layers that can have a LoRA.
#[derive(Default)]
struct Layers {
    place: Place,
    found: Vec<Target>,
}

impl ModuleVisitor for Layers {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.place.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, container: &str) {
        self.place.exit(container);
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let key = self.place.key();
        let Some(path) = key.strip_suffix(".weight") else { return };
        if D < 2 || !self.place.module().is_some_and(|module| LAYERS.contains(&module)) {
            return;
        }
        let transposed = self.place.is_transposed(D);
        let mut shape = param.lazy_shape().to_vec();
        if transposed {
            shape.reverse();
        }
        let wide = param.val().dtype() == DType::F64;
        let dtype = if wide { DType::F64 } else { DType::F32 };
        let (path, device) = (path.to_owned(), param.lazy_device());
        self.found.push(Target { path, shape, transposed, device, dtype });
    }
}
