//! The networks, through their public API.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::{DType, Device, Distribution, Int, Tensor};
use ddm_denoiser::{ConditionalPredictor, ModelError, NoisePredictor};
use ddm_latent::Autoencoder;
use ddm_models::*;

mod attention;
mod autoencoders;
mod diffusers;
mod golden;
#[cfg(feature = "kernels")]
mod kernels;
mod lora;
mod lora_names;
mod lora_training;
mod lora_transformers;
mod networks;
mod operations;
mod prepared;
mod refused;
mod single_file;
mod text;
mod transformers;
mod unets;
mod unets_refused;
mod vae;
mod weights;

fn floats<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().convert::<f32>().try_to_vec().unwrap()
}

/// Largest difference of two tensors.
fn distance<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> f32 {
    (a - b).abs().max().into_scalar()
}

/// Deterministic values in about [−1.7, 1.7], of unit variance; no global generator is touched.
fn waves<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    let n = shape.iter().product::<usize>() as i64;
    let index = Tensor::<1, Int>::arange(0..n, device).float();
    ((index * 12.9898).sin() * 43.7).sin().reshape(shape) * 2.0_f64.sqrt()
}

/// Every parameter set to small nonzero values, so that nothing is hidden by a zero start.
struct Fill;
impl ModuleMapper for Fill {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|tensor| {
            let device = tensor.device();
            let filled = waves(tensor.dims(), &device) * 0.15;
            if device.is_autodiff() { filled.detach().require_grad() } else { filled }
        })
    }
}

struct Cast(DType);
impl ModuleMapper for Cast {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|tensor| tensor.cast(self.0))
    }
}

/// Counts the parameters that have no gradient, or one that is 0 throughout.
struct WithoutGradient<'a> {
    gradients: &'a burn::tensor::Gradients,
    path: Vec<String>,
    found: Vec<String>,
    visited: usize,
}
impl ModuleVisitor for WithoutGradient<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.visited += 1;
        let gradient = param.val().grad(self.gradients);
        let reached = gradient.is_some_and(|g| g.abs().max().into_scalar::<f32>() > 0.0);
        if !reached {
            self.found.push(self.path.join("."));
        }
    }
}

fn assert_gradients_reach_all<M: Module>(network: &M, loss: Tensor<1>) {
    let gradients = loss.backward();
    let mut visitor =
        WithoutGradient { gradients: &gradients, path: vec![], found: vec![], visited: 0 };
    network.visit(&mut visitor);
    assert!(visitor.visited > 5);
    assert!(visitor.found.is_empty(), "no gradient: {:?}", visitor.found);
}

fn small_unet() -> UNetConfig {
    UNetConfig::new(1, 1).with_channels(vec![8, 16]).with_head_size(Some(8)).with_norm_groups(4)
}

fn times(batch: usize, device: &Device) -> Tensor<1> {
    Tensor::<1, Int>::arange(0..batch as i64, device).float() * 100.0 + 50.0
}
