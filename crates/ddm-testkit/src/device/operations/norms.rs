//! Norms, with means and variances over long axes.

use burn::module::Param;
use burn::nn::GroupNormConfig;
use burn::tensor::Tensor;
use burn::tensor::activation::silu;
use burn::tensor::module::layer_norm;

use super::POINTWISE_TOLERANCE;
use crate::device::{Inputs, Operation};

pub(super) fn operations() -> Vec<Operation> {
    // Batch, channels, height and width, groups: 3,136 elements a group, and odd numbers.
    let groups =
        [([2, 32, 28, 28], 8), ([1, 64, 16, 16], 32), ([3, 6, 7, 7], 2), ([2, 8, 3, 5], 8)];
    let mut all = Vec::new();
    for (shape, groups) in groups {
        all.push(group("group norm", shape, move |x| normalized(x, groups)));
        all.push(group("group norm and SiLU", shape, move |x| silu(normalized(x, groups))));
    }
    let rows: [&[usize]; 3] = [&[2, 49, 64], &[3, 5, 33], &[1, 4, 3136]];
    all.extend(rows.map(|shape| {
        let size = shape[2..].to_vec();
        Operation::new("layer norm", &[shape, &size, &size], POINTWISE_TOLERANCE, |x| {
            layer_norm::<3>(x.get(0), x.get(1), Some(x.get(2)), 1e-5)
        })
    }));
    let moments: [&[usize]; 2] = [&[2, 8, 3136], &[3, 7, 1001]];
    all.extend(moments.map(|shape| {
        Operation::new("variance of an axis", &[shape], POINTWISE_TOLERANCE, |x| {
            let x = x.get::<3>(0) + 0.5;
            (x.clone() - x.mean_dim(2)).square().mean_dim(2)
        })
    }));
    all
}

fn group(
    name: &str,
    shape: [usize; 4],
    apply: impl Fn(&Inputs) -> Tensor<4> + 'static,
) -> Operation {
    let channels = [shape[1]];
    Operation::new(name, &[&shape, &channels, &channels], POINTWISE_TOLERANCE, apply)
}

/// Returns burn's group norm of input 0, with gain 1 and bias 2.
fn normalized(x: &Inputs, groups: usize) -> Tensor<4> {
    let (gain, bias) = (x.get::<1>(1), x.get::<1>(2));
    let mut layer = GroupNormConfig::new(groups, gain.dims()[0]).init(&gain.device());
    layer.gamma = Some(Param::from_tensor(gain));
    layer.beta = Some(Param::from_tensor(bias));
    layer.forward(x.get(0))
}
