//! Self-conditioned networks: their loss, what they learn, and what samplers feed back.

use std::sync::{Arc, Mutex};

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::activation::silu;
use burn::tensor::{Device, Tensor};
use ddm_denoiser::{NoisePredictor, VPrediction, X0Prediction, from_fn};
use ddm_samplers::{Ddim, Heun, HostNoise, NoiseSource, Sampling};
use ddm_schedule::Cosine;
use ddm_train::{Objective, SelfConditioned, Training};

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().expect("f32")
}

/// A network that adds its bias to the estimate.
#[derive(Module, Debug)]
struct Adds {
    layer: Linear,
}

impl NoisePredictor<2> for Adds {
    fn predict(&self, x: Tensor<2>, _: Tensor<1>) -> Tensor<2> {
        let bias = self.layer.bias.as_ref().expect("a bias").val();
        x.narrow(1, 1, 1) + bias.unsqueeze()
    }
}

/// With data 0 and bias 1 the loss is 1 without a first pass and 4 with one; no gradient goes through
/// the first pass.
#[test]
fn half_of_the_batches_see_an_estimate_without_gradients() {
    let device = Device::flex().autodiff();
    let objective = Objective::new(Cosine::default(), X0Prediction).unwrap();
    let config = LinearConfig::new(1, 1).with_initializer(burn::nn::Initializer::Ones);
    let network = Adds { layer: config.init(&device) };
    let noise = &mut HostNoise::new(1);
    let mut with = 0;
    for _ in 0..200 {
        let x0 = Tensor::<2>::zeros([4, 1], &device);
        let loss = objective.loss_self_conditioned(&network, x0, noise).unwrap();
        let value = values(loss.clone().inner())[0];
        let bias = network.layer.bias.as_ref().unwrap();
        let gradients = GradientsParams::from_grads(loss.backward(), &network);
        let gradient = values(gradients.get::<1>(bias.id).unwrap())[0];
        let estimated = (value - 4.0).abs() < 1e-5;
        let (loss, slope) = if estimated { (4.0, 4.0) } else { (1.0, 2.0) };
        assert!((value - loss).abs() < 1e-5 && (gradient - slope).abs() < 1e-5, "{gradient}");
        with += usize::from(estimated);
    }
    assert!((75..125).contains(&with), "{with} of 200");
    let points = Tensor::<1>::zeros([4], &device);
    let one = Objective::new(Cosine::default(), X0Prediction).unwrap();
    let error = one.loss_self_conditioned(&Flat { layer: network.layer }, points, noise);
    assert!(error.unwrap_err().to_string().contains("channels"));
}

#[derive(Module, Debug)]
struct Flat {
    layer: Linear,
}

impl NoisePredictor<1> for Flat {
    fn predict(&self, x: Tensor<1>, _: Tensor<1>) -> Tensor<1> {
        x
    }
}

#[derive(Module, Debug)]
struct Toy {
    first: Linear,
    second: Linear,
    last: Linear,
}

impl NoisePredictor<2> for Toy {
    fn predict(&self, x: Tensor<2>, t: Tensor<1>) -> Tensor<2> {
        let input = Tensor::cat(vec![x, t.reshape([-1, 1]) / 500.0 - 1.0], 1);
        let hidden = silu(self.second.forward(silu(self.first.forward(input))));
        self.last.forward(hidden)
    }
    fn output_shape(&self, [batch, channels]: [usize; 2]) -> Option<[usize; 2]> {
        Some([batch, channels / 2])
    }
}

#[test]
fn it_learns_and_samples() {
    let device = Device::flex().autodiff();
    device.seed(1);
    let schedule = Cosine::default();
    let objective = Objective::new(&schedule, VPrediction).unwrap();
    let layer = |from, to| LinearConfig::new(from, to).init(&device);
    let network = Toy { first: layer(3, 48), second: layer(48, 48), last: layer(48, 1) };
    let training = Training { steps: 1500, ema_decay: 0.99, seed: 2 };
    let trained = training.run(network, AdamWConfig::new().init(), 3e-3, |network, noise| {
        let x0 = noise.draw([256, 1], &device).sign() * 1.5;
        objective.loss_self_conditioned(network, x0, noise)
    });
    let trained = trained.unwrap();
    let mean = |of: &[(usize, f64)]| of.iter().map(|(_, loss)| loss).sum::<f64>() / of.len() as f64;
    let losses = &trained.losses;
    let (first, last) = (mean(&losses[..3]), mean(&losses[losses.len() - 20..]));
    println!("loss {first} to {last}");
    assert!(last < 0.75 * first, "{first} to {last}");

    let model = SelfConditioned::new(&trained.average, VPrediction);
    let run = Sampling::new(&model, &schedule).steps(20).seed(5);
    let samples = values(run.sample([500, 1], &Device::flex()).unwrap());
    let off = samples.iter().map(|x| (x.abs() - 1.5).abs()).sum::<f32>() / 500.0;
    let right = samples.iter().filter(|x| **x > 0.0).count();
    println!("off {off}, {right} of 500 to the right");
    assert!(off < 0.2 && (150..350).contains(&right), "{off}, {right}");
}

#[test]
fn samplers_feed_back_what_was_predicted() {
    let seen: Arc<Mutex<Vec<Vec<f32>>>> = Arc::default();
    let record = seen.clone();
    let network = from_fn(move |x: Tensor<2>, _: Tensor<1>| {
        record.lock().unwrap().push(values(x.clone().narrow(1, 2, 2)));
        x.clone().narrow(1, 0, 2) * 0.5 + x.narrow(1, 2, 2) * 0.3 + 0.1
    });
    let model = SelfConditioned::new(network, X0Prediction);
    let schedule = Cosine::default();
    let zeros = vec![0.0; 6];
    for _ in 0..2 {
        seen.lock().unwrap().clear();
        let run = Sampling::new(&model, &schedule).sampler(Ddim::default()).steps(5).seed(1);
        let run = run.start([3, 2], &Device::flex()).unwrap();
        seen.lock().unwrap().clear(); // the trial call
        let predicted: Vec<Vec<f32>> = run.map(|frame| values(frame.denoised)).collect();
        let seen = seen.lock().unwrap();
        assert_eq!(seen.len(), 5);
        assert_eq!(seen[0], zeros); // again in the second run
        assert_eq!(seen[1..], predicted[..4]);
    }
    // Several calls per step are fine: none but the first sees 0.
    let run = Sampling::new(&model, &schedule).sampler(Heun::default()).steps(4).seed(1);
    let run = run.start([3, 2], &Device::flex()).unwrap();
    seen.lock().unwrap().clear();
    run.finish();
    let zero: Vec<bool> = seen.lock().unwrap().iter().map(|estimate| *estimate == zeros).collect();
    assert!(zero.len() > 4 && zero[0] && zero[1..].iter().all(|zero| !zero), "{zero:?}");
}
