//! The weights of a network, packed for the kernels.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use burn::module::{Module, ModuleMapper, Param, ParamId};
use burn::tensor::{DType, Tensor};
use ddm_kernels::burn::{PackedConv, PackedLinear};
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

    pub(super) fn record_conv(
        &self,
        id: ParamId,
        x: [usize; 4],
        weights: [usize; 4],
        options: ConvOptions,
    ) {
        if let (Self::Recording(_), Ok(conv)) = (self, Conv2d::new(x, weights, options)) {
            self.record(id, Use::Conv(conv));
        }
    }

    pub(super) fn record_linear(&self, id: ParamId) {
        self.record(id, Use::Linear);
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
    let uses = Arc::new(Mutex::new(Vec::new()));
    trial(&network, &Ops { weights: Weights::Recording(uses.clone()) });
    // Nothing is recorded where the kernels do not compute: on other devices, and in f64.
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
    for smaller in [Some(ConvMethod::Four(Transform::InCall)), None] {
        methods.sort_by_key(|(_, method)| std::cmp::Reverse(bytes(method)));
        for (_, method) in &mut methods {
            let Some((used @ Use::Conv(_), _)) = *method else { continue };
            let next = smaller.map(|smaller| (used, smaller));
            if total > memory && bytes(&next) < bytes(method) {
                total = total - bytes(method) + bytes(&next);
                *method = next;
            }
        }
    }
    methods.into_iter().collect()
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
