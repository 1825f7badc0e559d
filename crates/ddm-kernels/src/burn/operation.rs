//! An operation on burn's tensors with a gradient of its own.

use std::fmt::Debug;

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::{
    BalancedCheckpointing, CheckpointStrategy, NoCheckpointing,
};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::{FlexTensor, Layout};
use burn::backend::tensor::FloatTensor;
use burn::backend::{
    Autodiff, BackendTensor, DispatchAutodiffContext, DispatchTensor, DispatchTensorKind, Flex,
    GradientCheckpointingStrategy,
};
use burn::tensor::{DType, Tensor};

use super::memory::Memory;

/// A tensor that may be on the tape.
type Recorded = FloatTensor<Autodiff<Flex>>;

/// An operation with N inputs, all contiguous and in f32.
pub(super) trait Operation<const N: usize>: Clone + Debug + Send + 'static {
    /// What the forward pass hands to the backward pass.
    type Saved: Clone + Debug + Send + 'static;

    /// Which inputs the backward pass reads: the others are not kept.
    const READS: [bool; N];

    /// Returns the output.
    fn forward(&self, inputs: &[FlexTensor; N]) -> (FlexTensor, Self::Saved);

    /// Returns the gradients with respect to the inputs that want one.
    fn backward(&self, pass: BackwardPass<'_, N, Self::Saved>) -> [Option<FlexTensor>; N];
}

/// What a backward pass is given.
pub(super) struct BackwardPass<'a, const N: usize, Saved> {
    /// The inputs that [`Operation::READS`] names.
    pub(super) inputs: [Option<FlexTensor>; N],
    pub(super) saved: &'a Saved,
    /// The gradient with respect to the output.
    pub(super) gradient: FlexTensor,
    /// The inputs that want a gradient.
    pub(super) wanted: [bool; N],
}

impl<const N: usize, Saved> BackwardPass<'_, N, Saved> {
    /// Returns an input that the operation reads.
    pub(super) fn input(&self, i: usize) -> &FlexTensor {
        self.inputs[i].as_ref().expect("the backward pass reads this input")
    }
}

/// Returns whether the kernels can compute with a tensor: it is on burn's flex, with or without
/// gradients, and in f32.
#[must_use]
pub fn supports<const D: usize>(x: &Tensor<D>) -> bool {
    x.dtype() == DType::F32 && is_on_flex(x)
}

/// Returns whether a tensor is on burn's flex, with or without gradients.
#[must_use]
pub fn is_on_flex<const D: usize>(x: &Tensor<D>) -> bool {
    fn is_flex(kind: &DispatchTensorKind) -> bool {
        match kind {
            DispatchTensorKind::Flex(_) => true,
            DispatchTensorKind::Autodiff(inner) => is_flex(inner),
            #[allow(unreachable_patterns, reason = "other backends may be compiled in")]
            _ => false,
        }
    }
    is_flex(&x.clone().into_dispatch().kind)
}

/// Applies an operation to tensors that the kernels [`supports`].
pub(super) fn apply<const N: usize, const D: usize, O: Operation<N>>(
    operation: O,
    inputs: [DispatchTensor; N],
) -> Tensor<D> {
    let context = inputs
        .iter()
        .fold(DispatchAutodiffContext::Disabled, |context, input| context.merge(input.autodiff));
    let kind = match context {
        DispatchAutodiffContext::Disabled => {
            let inputs = inputs.map(|input| contiguous(tracked(input.kind).into_primitive()));
            DispatchTensorKind::Flex(BackendTensor::Float(operation.forward(&inputs).0))
        }
        DispatchAutodiffContext::Enabled(strategy) => {
            let inputs = inputs.map(|input| tracked(input.kind));
            let output = match strategy {
                GradientCheckpointingStrategy::Disabled => {
                    record::<N, O, NoCheckpointing>(operation, inputs)
                }
                GradientCheckpointingStrategy::Balanced => {
                    record::<N, O, BalancedCheckpointing>(operation, inputs)
                }
            };
            let flex = DispatchTensorKind::Flex(BackendTensor::Autodiff(output));
            DispatchTensorKind::Autodiff(Box::new(flex))
        }
    };
    Tensor::from_dispatch(DispatchTensor { kind, autodiff: context })
}

/// Returns what is in a tensor on flex, contiguous.
pub(super) fn value<const D: usize>(x: Tensor<D>) -> FlexTensor {
    contiguous(tracked(x.into_dispatch().kind).into_primitive())
}

/// Returns a tensor for the tape; one that is on no tape becomes a constant.
fn tracked(kind: DispatchTensorKind) -> Recorded {
    match kind {
        DispatchTensorKind::Flex(BackendTensor::Float(x)) => Recorded::new(x),
        DispatchTensorKind::Flex(BackendTensor::Autodiff(x)) => x,
        DispatchTensorKind::Autodiff(inner) => tracked(*inner),
        _ => panic!("a kernel is applied to a tensor that is not a float tensor on flex"),
    }
}

/// Applies an operation and puts it on the tape.
fn record<const N: usize, O: Operation<N>, C: CheckpointStrategy>(
    operation: O,
    inputs: [Recorded; N],
) -> Recorded {
    let values = inputs.each_ref().map(|input| contiguous(input.primitive().clone()));
    let (output, saved) = operation.forward(&values);
    let nodes = inputs.each_ref().map(Recorded::node);
    match Step(operation).prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(mut prep) => {
            let mut reads = O::READS.into_iter();
            let kept = inputs
                .each_ref()
                .map(|input| reads.next().unwrap_or(false).then(|| prep.checkpoint(input)));
            prep.finish((kept, saved), output)
        }
        OpsKind::UnTracked(prep) => prep.finish(output),
    }
}

/// The step of an operation on the way back.
#[derive(Debug)]
struct Step<O>(O);

impl<const N: usize, O: Operation<N>> Backward<Flex, N> for Step<O> {
    type State = ([Option<NodeId>; N], O::Saved);

    fn backward(
        self,
        ops: Ops<Self::State, N>,
        gradients: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let gradient = contiguous(gradients.consume::<Flex>(&ops.node));
        let (kept, saved) = ops.state;
        let inputs = kept.map(|node| {
            node.map(|node| contiguous(checkpointer.retrieve_node_output::<FlexTensor>(node)))
        });
        let wanted = ops.parents.each_ref().map(Option::is_some);
        let pass = BackwardPass { inputs, saved: &saved, gradient, wanted };
        for (parent, gradient) in ops.parents.into_iter().zip(self.0.backward(pass)) {
            if let (Some(parent), Some(gradient)) = (parent, gradient) {
                gradients.register::<Flex>(parent.id, gradient);
            }
        }
    }
}

fn contiguous(x: FlexTensor) -> FlexTensor {
    if x.as_slice::<f32>().is_some() { x } else { x.to_contiguous() }
}

/// Returns the numbers of a contiguous tensor.
pub(super) fn numbers(x: &FlexTensor) -> &[f32] {
    x.as_slice().expect("a contiguous tensor in f32")
}

/// Returns a tensor of the given numbers.
pub(super) fn tensor<const D: usize>(numbers: Memory, shape: [usize; D]) -> FlexTensor {
    FlexTensor::new(numbers.into_bytes(), Layout::contiguous(shape.into()), DType::F32)
}

/// Returns an empty tensor, in the place of an input that is not there.
pub(super) fn absent() -> DispatchTensor {
    let kind = DispatchTensorKind::Flex(BackendTensor::Float(tensor(Memory::new(0), [0])));
    DispatchTensor { kind, autodiff: DispatchAutodiffContext::Disabled }
}

/// Returns the numbers of an input unless it is [`absent`].
pub(super) fn present(x: &FlexTensor) -> Option<&[f32]> {
    Some(numbers(x)).filter(|numbers| !numbers.is_empty())
}
