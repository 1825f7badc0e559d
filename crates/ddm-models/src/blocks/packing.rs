//! The weights of a network, packed for the kernels.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use burn::module::{Module, ModuleMapper, Param, ParamId};
use burn::tensor::{DType, Device, Tensor};
use ddm_kernels::burn::{PackedConv, PackedLinear, supports};
use ddm_kernels::conv::{Conv2d, ConvMethod, ConvOptions, ConvWeights, Transform};

use super::Ops;

/// Where the operations take their weights from.
#[derive(Clone, Debug, Default)]
pub(super) enum Weights {
    /// From the layers.
    #[default]
    Layers,
    /// From the layers, noting which are used and how.
    Recording(Arc<Mutex<Vec<(ParamId, Use)>>>),
    /// From here, where they are packed; else from the layers.
    Packed(Arc<HashMap<ParamId, Packed>>),
}

/// How a network uses a weight.
#[derive(Clone, Copy, Debug)]
pub(super) enum Use {
    Conv(Conv2d),
    Linear,
}

#[derive(Debug)]
pub(super) enum Packed {
    Conv(PackedConv),
    Linear(PackedLinear),
}

impl Weights {
    pub(super) fn conv(&self, id: ParamId) -> Option<&PackedConv> {
        match self {
            Self::Packed(packed) => match packed.get(&id) {
                Some(Packed::Conv(packed)) => Some(packed),
                _ => None,
            },
            _ => None,
        }
    }

    pub(super) fn linear(&self, id: ParamId) -> Option<&PackedLinear> {
        match self {
            Self::Packed(packed) => match packed.get(&id) {
                Some(Packed::Linear(packed)) => Some(packed),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether the pass only finds out which weights are used: its numbers do not matter.
    pub(super) fn is_trial(&self) -> bool {
        matches!(self, Self::Recording(_))
    }

    /// In a trial, notes the use of a weight and returns the shape of the output.
    pub(super) fn record_conv(
        &self,
        id: ParamId,
        x: [usize; 4],
        weights: [usize; 4],
        options: ConvOptions,
    ) -> Option<[usize; 4]> {
        if !self.is_trial() {
            return None;
        }
        let conv = Conv2d::new(x, weights, options).ok()?;
        self.record(id, Use::Conv(conv));
        Some(conv.output_shape())
    }

    /// In a trial, notes the use of a weight and returns true.
    pub(super) fn record_linear(&self, id: ParamId) -> bool {
        self.record(id, Use::Linear);
        self.is_trial()
    }

    fn record(&self, id: ParamId, used: Use) {
        if let Self::Recording(uses) = self {
            let mut uses = uses.lock().unwrap_or_else(PoisonError::into_inner);
            if uses.iter().all(|&(seen, _)| seen != id) {
                uses.push((id, used));
            }
        }
    }
}

/// Returns the network with its weights moved into an [`Ops`], packed for the images of the pass that
/// `trial` makes, in at most `memory` bytes if that is possible.
///
/// In the network remain the small parameters, in f32, and the weights that found no room, as they
/// were. The others become zeros without memory.
pub(crate) fn pack<N: Module>(
    network: N,
    trial: impl FnOnce(&N, &Ops),
    memory: Option<usize>,
) -> (N, Ops) {
    let kernels = |device: &Device| supports(&Tensor::<1>::zeros([1], (device, DType::F32)));
    if !network.devices().first().is_some_and(kernels) {
        return (network, Ops::default()); // a trial would only take time
    }
    let uses = Arc::new(Mutex::new(Vec::new()));
    trial(&network, &Ops { weights: Weights::Recording(uses.clone()) });
    // Nothing is recorded in f64, where the kernels do not compute.
    let uses = std::mem::take(&mut *uses.lock().unwrap_or_else(PoisonError::into_inner));
    if uses.is_empty() {
        return (network, Ops::default());
    }
    let mut packer = Packer { methods: choose(uses, memory), packed: HashMap::new() };
    let network = network.map(&mut packer);
    (network, Ops { weights: Weights::Packed(Arc::new(packer.packed)) })
}

/// How a weight is packed; `None` leaves it in the layer, to be transformed in each call.
type Method = Option<(Use, ConvMethod)>;

/// Chooses the methods: the fastest, but where the memory is short the largest weights take a smaller
/// one, then none; of equal ones those first that the network uses first, so that the same network is
/// packed in the same way again.
fn choose(uses: Vec<(ParamId, Use)>, memory: Option<usize>) -> HashMap<ParamId, Method> {
    let fastest = |used: Use| match used {
        Use::Conv(conv) => ConvMethod::fastest(&conv),
        Use::Linear => ConvMethod::Direct,
    };
    let mut methods: Vec<(ParamId, Method)> =
        uses.into_iter().map(|(id, used)| (id, Some((used, fastest(used))))).collect();
    let bytes = |method: &Method| match method {
        Some((Use::Conv(conv), method)) => ConvWeights::bytes_of(conv, *method),
        _ => 0, // a packed linear layer is as large as the weights that it replaces
    };
    let memory = memory.unwrap_or(usize::MAX);
    let mut total: usize = methods.iter().map(|(_, method)| bytes(method)).sum();
    for in_call in [true, false] {
        methods.sort_by_key(|(_, method)| std::cmp::Reverse(bytes(method)));
        for (_, method) in &mut methods {
            let Some((used @ Use::Conv(_), packed)) = *method else { continue };
            let next = in_call.then(|| (used, transformed_in_call(packed)));
            if total > memory && bytes(&next) < bytes(method) {
                total = total - bytes(method) + bytes(&next);
                *method = next;
            }
        }
    }
    methods.into_iter().collect()
}

/// Returns the method that takes no more memory than the weights.
fn transformed_in_call(method: ConvMethod) -> ConvMethod {
    match method {
        ConvMethod::Two(_) => ConvMethod::Two(Transform::InCall),
        ConvMethod::Four(_) => ConvMethod::Four(Transform::InCall),
        other => other,
    }
}

struct Packer {
    methods: HashMap<ParamId, Method>,
    packed: HashMap<ParamId, Packed>,
}

impl ModuleMapper for Packer {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let id = param.id;
        match self.methods.remove(&id) {
            None => param.map(|value| value.cast(DType::F32)),
            Some(None) => param,
            Some(Some((used, method))) => param.map(|value| {
                let (shape, device) = (value.dims(), value.device());
                let value = value.cast(DType::F32);
                let packed = match used {
                    Use::Conv(conv) => {
                        let weights = value.reshape(conv.weights_shape());
                        Packed::Conv(PackedConv::new(&conv, weights, method))
                    }
                    Use::Linear => {
                        let [inputs, outputs] = [0, 1].map(|axis| shape[axis]);
                        Packed::Linear(PackedLinear::new(value.reshape([inputs, outputs])))
                    }
                };
                self.packed.insert(id, packed);
                Tensor::<D>::zeros([1; D], (&device, DType::F32)).expand(shape)
            }),
        }
    }
}
