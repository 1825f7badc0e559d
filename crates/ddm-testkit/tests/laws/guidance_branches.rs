//! The branches of guidance: which are called, how far they are apart, and what is not guided.

use std::sync::Mutex;

use burn::tensor::{Device, FloatDType, Int, Tensor};
use ddm_denoiser::{
    ClassifierFree, Composed, Condition, ConditionalPredictor, Denoised, Denoiser, Interval, Model,
    X0Prediction,
};
use ddm_samplers::{HostNoise, NoiseSource};
use ddm_schedule::{Cosine, NoiseLevel};
use ddm_testkit::{compare, denoiser};

use crate::guidance::labels;
use crate::holds;

/// F = label, beside the size of every batch that the network received.
struct Recorded(Mutex<Vec<usize>>);

impl<const D: usize> ConditionalPredictor<D> for &Recorded {
    type Condition = Tensor<1, Int>;
    fn predict_with(&self, x: Tensor<D>, _: Tensor<1>, labels: Tensor<1, Int>) -> Tensor<D> {
        self.0.lock().unwrap().push(labels.batch());
        assert_eq!(x.dims()[0], labels.batch());
        let mut shape = [1; D];
        shape[0] = labels.batch();
        x.zeros_like() + labels.float().reshape(shape)
    }
}

/// The mean of x̂₀, and for how many samples the network was called.
fn branches_called<const D: usize>(
    model: impl Denoiser<D>,
    recorded: &Recorded,
    shape: [usize; D],
    ratio: f64,
) -> (f64, usize) {
    let at = NoiseLevel { timestep: 0.0, alpha: 0.5, sigma: 0.5 * ratio };
    let x0 = model.denoise(Tensor::zeros(shape, &Device::flex()), at);
    let x0 = x0.mean().into_scalar::<f64>();
    (x0, recorded.0.lock().unwrap().drain(..).sum())
}

#[test]
fn branches_without_weight_are_not_called() {
    let network = Recorded(Mutex::default());
    let model = Model::new(&network, X0Prediction);
    let interval = ClassifierFree::new(
        model.clone(),
        labels([3, 3]),
        labels([1, 1]),
        Interval::new(4.0, 0.5..=2.0).unwrap(),
    );
    let interval = interval.unwrap();
    for (ratio, demanded) in
        [(0.4, (3.0, 2)), (0.5, (9.0, 4)), (2.0, (9.0, 4)), (2.1, (3.0, 2)), (1e3, (3.0, 2))]
    {
        assert_eq!(
            branches_called(interval.clone(), &network, [2, 3], ratio),
            demanded,
            "at {ratio}"
        );
    }
    // The scale as a function, and a negative prompt of scale 0 is that prompt.
    let free = |scale| ClassifierFree::new(model.clone(), labels([3]), labels([1]), scale).unwrap();
    let ratio = |at: NoiseLevel| at.sigma / at.alpha;
    let function = ClassifierFree::new(model.clone(), labels([3]), labels([1]), ratio).unwrap();
    assert_eq!(branches_called(function.clone(), &network, [1, 2], 5.0), (11.0, 2));
    assert_eq!(branches_called(function.clone(), &network, [1, 2], 1.0), (3.0, 1));
    assert_eq!(branches_called(free(0.0), &network, [1, 2], 1.0), (1.0, 1));
    assert_eq!(branches_called(free(2.0).rescale(1.0).unwrap(), &network, [1, 2], 1.0), (5.0, 2));
    let composed = |a: f64, b: f64| {
        Composed::new(model.clone(), labels([1]), [(labels([3]), a), (labels([4]), b)]).unwrap()
    };
    for (a, b, demanded) in [
        (2.0, 3.0, (14.0, 3)),
        (2.0, -1.0, (2.0, 2)), // 2 F(3) − F(4): the weights sum to 1
        (0.0, 2.0, (7.0, 2)),
        (0.0, 1.0, (4.0, 1)),
        (0.0, 0.0, (1.0, 1)),
    ] {
        assert_eq!(branches_called(composed(a, b), &network, [1, 5, 2], 1.0), demanded, "{a}, {b}");
    }
    let empty: [(Tensor<1, Int>, f64); 0] = [];
    let empty = Composed::new(model.clone(), labels([1]), empty).unwrap();
    assert_eq!(branches_called(empty, &network, [1, 2], 1.0), (1.0, 1));
}

#[test]
fn rescaling_gives_the_spread_of_the_conditional_prediction() {
    /// F = c x + c² , so std(F) = c std(x).
    #[derive(Clone, Copy)]
    struct Spread;
    impl<const D: usize> ConditionalPredictor<D> for Spread {
        type Condition = Tensor<D>;
        fn predict_with(&self, x: Tensor<D>, _: Tensor<1>, c: Tensor<D>) -> Tensor<D> {
            let c = c.cast(x.dtype());
            x * c.clone() + c.square()
        }
    }
    let device = Device::flex();
    let (c, null) = (Tensor::<3>::from_floats([[[2.0]], [[0.5]]], &device), [[[1.0]], [[1.0]]]);
    let null = Tensor::<3>::from_floats(null, &device);
    let model = Model::new(Spread, X0Prediction);
    let plain = ClassifierFree::new(model.clone(), c.clone(), null.clone(), 3.0).unwrap();
    let x: Tensor<3> = HostNoise::new(1).draw([2, 3, 4], &device);
    let at = NoiseLevel { timestep: 0.0, alpha: 1.0, sigma: 1.0 };
    let guided = plain.denoise(x.clone(), at);
    // F = x + 1 + 3 (c x + c² − x − 1): its std is |3 c − 2| that of x, where c's is c.
    for phi in [0.0, 0.7, 1.0] {
        let factor = c.clone() / (c.clone() * 3.0 - 2.0).abs() * phi + (1.0 - phi);
        let found = plain.clone().rescale(phi).unwrap().denoise(x.clone(), at);
        holds(compare::close_tensors("rescaled", found, guided.clone() * factor, 1e-5));
    }
    let rescaled = plain.rescale(0.6).unwrap();
    holds(denoiser::levels_are_apart(&rescaled, &Cosine::default(), [2, 3, 4], &device));
    // Of a network in half precision the spread is taken in f32.
    let halved = model.clone().network_dtype(FloatDType::F16);
    let halved = ClassifierFree::new(halved, c, null, 3.0).unwrap().rescale(0.6).unwrap();
    let far = x.clone() * 500.0; // whose squares f16 cannot hold
    let wanted = rescaled.denoise(far.clone(), at);
    holds(compare::close_tensors("rescaled in f16", halved.denoise(far, at), wanted, 3e-3));
    // One element a sample has no spread; it stays.
    let one = |c: f32| Tensor::<2>::from_floats([[c]], &device);
    let model = Model::new(Spread, X0Prediction);
    let lonely = ClassifierFree::new(model, one(2.0), one(1.0), 3.0).unwrap();
    let x0 = lonely.rescale(1.0).unwrap().denoise(one(1.0), at);
    assert_eq!(x0.into_scalar::<f32>(), 2.0 + 3.0 * (6.0 - 2.0));
}

#[test]
fn a_learned_variance_is_the_conditional_branchs() {
    /// F = label, u = label/10.
    struct Two;
    impl ConditionalPredictor<3> for Two {
        type Condition = Tensor<1, Int>;
        fn predict_with(&self, x: Tensor<3>, _: Tensor<1>, labels: Tensor<1, Int>) -> Tensor<3> {
            let batch = labels.batch();
            let f = x.zeros_like() + labels.float().reshape([batch, 1, 1]);
            Tensor::cat(vec![f.clone(), f * 0.1], 1)
        }
    }
    let at = NoiseLevel { timestep: 0.0, alpha: 1.0, sigma: 1.0 };
    let x = Tensor::<3>::zeros([1, 2, 2], &Device::flex());
    // x̂₀ = 2 + s (4 − 2), while u stays that of label 4; at s = 0 it is that of the null label.
    for (scale, x0, u) in [(3.0, 8.0, 0.4), (1.0, 4.0, 0.4), (0.0, 2.0, 0.2)] {
        let model = Model::new(&Two, X0Prediction).learned_variance();
        let guided = ClassifierFree::new(model, labels([4]), labels([2]), scale).unwrap();
        let guided = guided.rescale(0.5).unwrap(); // of constants: changes nothing
        let Denoised { x0: found, variance: v } = guided.predict_x0(x.clone(), &[at]);
        holds(compare::close_tensors("x0", found, x.full_like(x0), 1e-6));
        let v_wanted = x.full_like((u + 1.0) / 2.0);
        holds(compare::close_tensors("v", v.unwrap(), v_wanted, 1e-6));
    }
    let terms = [(labels([4]), 2.0), (labels([7]), 1.0)];
    let model = Model::new(Two, X0Prediction).learned_variance();
    let composed = Composed::new(model, labels([2]), terms).unwrap();
    let Denoised { x0: found, variance: v } = composed.predict_x0(x, &[at]);
    assert_eq!(found.mean().into_scalar::<f32>(), 2.0 + 2.0 * 2.0 + 5.0);
    assert!((v.unwrap().mean().into_scalar::<f32>() - 0.7).abs() < 1e-6);
}

/// A guided prediction that is constant up to rounding has no spread to be brought back.
#[test]
fn a_constant_up_to_rounding_is_not_rescaled() {
    /// F(c) = x and F(∅) = 2x − 0.1, so that F = 0.1 at scale 2.
    struct Cancels;
    impl ConditionalPredictor<2> for Cancels {
        type Condition = Tensor<1, Int>;
        fn predict_with(&self, x: Tensor<2>, _: Tensor<1>, labels: Tensor<1, Int>) -> Tensor<2> {
            let null = labels.equal_elem(0).unsqueeze_dim::<2>(1).expand(x.dims());
            x.clone().mask_where(null, x * 2.0 - 0.1)
        }
    }
    let x: Tensor<2> = HostNoise::new(3).draw([2, 64], &Device::flex()) * 3.0;
    let model = Model::new(Cancels, X0Prediction);
    let guided = ClassifierFree::new(model, labels([1, 1]), labels([0, 0]), 2.0).unwrap();
    let at = NoiseLevel { timestep: 0.0, alpha: 1.0, sigma: 1.0 };
    let plain = guided.denoise(x.clone(), at);
    assert!(plain.clone().all_close(x.full_like(0.1), None, Some(1e-5)));
    let found = guided.rescale(0.7).unwrap().denoise(x, at);
    holds(compare::close_tensors("a constant stays", found, plain, 1e-6));
}
