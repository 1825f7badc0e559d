//! Guidance of networks and by a worse model: the known combinations of exact models, and nothing
//! where it should be nothing.

use burn::tensor::{Device, FloatDType, Int, Tensor};
use ddm_denoiser::{
    Autoguidance, ClassifierFree, Composed, ConditionalPredictor, Conditioned, Denoiser,
    EpsilonPrediction, Interval, Model, Scale, X0Prediction, from_fn, gradient,
};
use ddm_samplers::{HostNoise, NoiseSource};
use ddm_schedule::{Cosine, NoiseLevel, NoiseSchedule};
use ddm_testkit::{Gaussian, GaussianMixture, compare, denoiser};

use crate::{holds, refused::says};

const SHAPE: [usize; 2] = [6, 2];

/// Two classes, 0 and 1, that overlap at every level.
pub(crate) fn classes() -> GaussianMixture {
    let means = [vec![-1.0, 0.2], vec![0.4, 0.9], vec![1.0, -0.3], vec![-0.2, -1.1]];
    let mixture = GaussianMixture::new(means, [0.3, 0.5, 0.4, 0.2], [1.0, 2.0, 1.5, 0.5]);
    mixture.unwrap().with_classes([0, 0, 1, 1]).unwrap()
}

/// Levels of the cosine schedule, and an x in f64 at each.
pub(crate) fn levels() -> impl Iterator<Item = (NoiseLevel, Tensor<2>)> {
    let mut noise = HostNoise::new(5);
    [0.9, 0.7, 0.5, 0.3, 0.1].into_iter().map(move |t| {
        let x: Tensor<2> = noise.draw(SHAPE, &Device::flex());
        (Cosine::default().level(t), x.cast(FloatDType::F64))
    })
}

/// The same numbers, bit for bit, x̂₀ and learned variance, at one level and at many.
#[track_caller]
pub(crate) fn same<const D: usize>(
    found: &dyn Denoiser<D>,
    demanded: &dyn Denoiser<D>,
    shape: [usize; D],
) {
    let law = "the same numbers";
    let x: Tensor<D> = HostNoise::new(4).draw(shape, &Device::flex());
    for at in [0.8, 0.2].map(|t| Cosine::default().level(t)) {
        let (found, wanted) =
            (found.predict_x0(x.clone(), &[at]), demanded.predict_x0(x.clone(), &[at]));
        holds(compare::close_tensors(law, found.x0, wanted.x0, 0.0));
        assert_eq!(found.variance.map(Tensor::into_data), wanted.variance.map(Tensor::into_data));
    }
    let at: Vec<_> = (0..shape[0]).map(|i| Cosine::default().level(0.1 + 0.1 * i as f64)).collect();
    let (found, wanted) = (found.predict_x0(x.clone(), &at), demanded.predict_x0(x, &at));
    holds(compare::close_tensors(law, found.x0, wanted.x0, 0.0));
}

/// The perfect conditional network of a mixture: x̂₀ of the label's class, −1 being "any".
#[derive(Clone)]
struct Perfect(GaussianMixture);

impl ConditionalPredictor<2> for Perfect {
    type Condition = Tensor<1, Int>;

    fn predict_with(&self, x: Tensor<2>, t: Tensor<1>, labels: Tensor<1, Int>) -> Tensor<2> {
        let t = compare::values("t", t).unwrap();
        let at: Vec<_> = t.iter().map(|t| Cosine::default().level(t / 1000.0)).collect();
        let labels: Vec<i64> = labels.try_into_vec_as().unwrap();
        let row = |(i, &label): (usize, &i64)| {
            let data =
                usize::try_from(label).map_or(self.0.clone(), |c| self.0.of_class(c).unwrap());
            data.denoise(x.clone().narrow(0, i, 1), at[i])
        };
        Tensor::cat(labels.iter().enumerate().map(row).collect(), 0)
    }
}

pub(crate) fn labels<const N: usize>(of: [i64; N]) -> Tensor<1, Int> {
    Tensor::from_data(of, &Device::flex())
}

fn all(label: i64) -> Tensor<1, Int> {
    labels([label; SHAPE[0]])
}

type PerfectModel = Model<Perfect, X0Prediction>;

fn perfect() -> PerfectModel {
    Model::new(Perfect(classes()), X0Prediction)
}

fn free<S: Scale>(scale: S) -> ClassifierFree<PerfectModel, Tensor<1, Int>, S> {
    ClassifierFree::new(perfect(), all(1), all(-1), scale).unwrap()
}

fn bound(label: i64) -> Model<Conditioned<Perfect, Tensor<1, Int>>, X0Prediction> {
    Model::new(Conditioned::new(Perfect(classes()), all(label)), X0Prediction)
}

/// `(x + σ² score)/α`.
fn tweedie(x: Tensor<2>, score: Tensor<2>, at: NoiseLevel) -> Tensor<2> {
    (x + score * at.sigma.powi(2)) / at.alpha
}

fn score(x: &Tensor<2>, of: &GaussianMixture, at: NoiseLevel) -> Tensor<2> {
    gradient(x.clone(), |x| of.log_density(x, at)).1.unwrap()
}

/// The largest difference, for the record.
pub(crate) fn off(found: &Tensor<2>, demanded: &Tensor<2>) -> f64 {
    (found.clone() - demanded.clone()).abs().max().into_scalar::<f64>()
}

#[test]
fn classifier_free_guidance_is_the_known_score() {
    let (any, one) = (classes(), classes().of_class(1).unwrap());
    for (at, x) in levels() {
        for s in [0.0, 0.5, 1.0, 3.0, -1.0] {
            let x0 = free(s).denoise(x.clone(), at);
            let apart = score(&x, &one, at) - score(&x, &any, at);
            let demanded = tweedie(x.clone(), score(&x, &any, at) + apart * s, at);
            println!("s = {s}, sigma = {:.3}: off by {:.1e}", at.sigma, off(&x0, &demanded));
            holds(compare::close_tensors("the guided score", x0.clone(), demanded, 1e-9));
            // ∇ ln p(x|c) − ∇ ln p(x) is the perfect classifier's gradient.
            let slope = gradient(x.clone(), |x| any.log_probability(x, at, 1)).1.unwrap();
            let demanded = tweedie(x.clone(), score(&x, &any, at) + slope * s, at);
            holds(compare::close_tensors("the classifier's score", x0, demanded, 1e-9));
        }
    }
}

#[test]
fn two_classes_at_once_are_the_product_of_their_densities() {
    // N(μ_k, s_k²) twice over N(0, 1): precisions and precision-weighted means add up.
    struct Gaussians;
    const DATA: [(f64, f64); 3] = [(0.0, 1.0), (-0.5, 0.6), (0.8, 0.4)];
    impl ConditionalPredictor<2> for Gaussians {
        type Condition = Tensor<1, Int>;
        fn predict_with(&self, x: Tensor<2>, t: Tensor<1>, of: Tensor<1, Int>) -> Tensor<2> {
            let t = compare::values("t", t).unwrap()[0];
            let of: Vec<i64> = of.try_into_vec_as().unwrap();
            let row = |(i, &k): (usize, &i64)| {
                let (mean, std) = DATA[k as usize];
                let x = x.clone().narrow(0, i, 1);
                Gaussian::new([mean], std).unwrap().denoise(x, Cosine::default().level(t / 1000.0))
            };
            Tensor::cat(of.iter().enumerate().map(row).collect(), 0)
        }
    }
    let weights = [1.0, 0.7];
    let terms = [(all(1), weights[0]), (all(2), weights[1])];
    let model = Composed::new(Model::new(Gaussians, X0Prediction), all(0), terms).unwrap();
    for (at, x) in levels() {
        let (mut precision, mut weighted) = (0.0, 0.0);
        let of_null = 1.0 - weights[0] - weights[1];
        for ((mean, std), weight) in DATA.into_iter().zip([of_null, weights[0], weights[1]]) {
            let variance = (at.alpha * std).powi(2) + at.sigma.powi(2);
            precision += weight / variance;
            weighted += weight * at.alpha * mean / variance;
        }
        let demanded = tweedie(x.clone(), x.clone() * -precision + weighted, at);
        let x0 = model.denoise(x, at);
        println!("sigma = {:.3}: off by {:.1e}", at.sigma, off(&x0, &demanded));
        holds(compare::close_tensors("the product of Gaussians", x0, demanded, 1e-9));
    }
}

#[test]
fn a_negative_prompt_is_led_away_from() {
    // Away from class 0, towards class 1: p(x|1) (p(x|1)/p(x|0))^(s − 1).
    let model = ClassifierFree::new(perfect(), all(1), all(0), 2.5).unwrap();
    let [zero, one] = [0, 1].map(|class| classes().of_class(class).unwrap());
    for (at, x) in levels() {
        let demanded = score(&x, &one, at) * 2.5 - score(&x, &zero, at) * 1.5;
        let demanded = tweedie(x.clone(), demanded, at);
        holds(compare::close_tensors("negative prompt", model.denoise(x, at), demanded, 1e-9));
    }
}

#[test]
fn identity_settings_change_nothing() {
    same(&free(1.0), &bound(1), SHAPE);
    same(&free(0.0), &bound(-1), SHAPE);
    same(&free(Interval::new(9.0, 1e6..=1e7).unwrap()), &bound(1), SHAPE);
    same(&free(|_: NoiseLevel| 1.0), &bound(1), SHAPE);
    same(&free(3.0).rescale(0.0).unwrap(), &free(3.0), SHAPE);
    let composed =
        |terms: Vec<(Tensor<1, Int>, f64)>| Composed::new(perfect(), all(-1), terms).unwrap();
    same(&composed(vec![(all(1), 0.0), (all(0), 0.0)]), &bound(-1), SHAPE);
    same(&composed(vec![(all(1), 1.0), (all(0), 0.0)]), &bound(1), SHAPE);
    same(&composed(vec![(all(1), 3.0)]), &free(3.0), SHAPE);
    let (good, bad) = (classes().of_class(0).unwrap(), classes());
    same(&Autoguidance::new(&good, &bad, 1.0).unwrap(), &good, SHAPE);
    same(&Autoguidance::new(&good, &bad, 0.0).unwrap(), &bad, SHAPE);
    same(&Autoguidance::new(&good, &good, 7.0).unwrap(), &good, SHAPE);
}

#[test]
fn a_worse_model_is_led_away_from() {
    let (good, bad) = (classes().of_class(0).unwrap(), classes());
    let guided = Autoguidance::new(&good, &bad, |at: NoiseLevel| 1.0 + at.sigma).unwrap();
    for (at, x) in levels() {
        // In scores: bad + w (good − bad).
        let (good, bad) = (score(&x, &good, at), score(&x, &bad, at));
        let demanded = tweedie(x.clone(), bad.clone() + (good - bad) * (1.0 + at.sigma), at);
        holds(compare::close_tensors("guided", guided.denoise(x, at), demanded, 1e-9));
    }
    // At w = 1 the guide is not called.
    let never = from_fn(|_: Tensor<2>, _: NoiseLevel| -> Tensor<2> { panic!("called") });
    let interval = Interval::new(2.0, 0.0..=0.1).unwrap();
    let outside = Autoguidance::new(&good, never, interval).unwrap();
    for (at, x) in levels() {
        assert_eq!(outside.denoise(x.clone(), at).into_data(), good.denoise(x, at).into_data());
    }
}

#[test]
fn guided_denoisers_obey_the_laws() {
    let (device, schedule) = (Device::flex(), Cosine::default());
    let scale = |at: NoiseLevel| if at.sigma > 0.9 { 1.0 } else { 1.0 + 2.0 * at.sigma };
    let composed = [(all(0), 0.5), (all(1), 1.5)];
    let composed = Composed::new(perfect(), all(-1), composed).unwrap();
    let rescaled = free(2.0).rescale(0.7).unwrap();
    let partly = free(|at: NoiseLevel| if at.sigma > 0.9 { 0.0 } else { 2.0 });
    let partly = partly.rescale(0.7).unwrap();
    let models: [Box<dyn Denoiser<2>>; 8] = [
        Box::new(partly),
        Box::new(free(scale)),
        Box::new(free(-2.0)),
        Box::new(free(Interval::new(3.0, 0.5..=1.5).unwrap())),
        Box::new(rescaled),
        Box::new(composed),
        Box::new(Autoguidance::new(classes(), bound(0), scale).unwrap()),
        Box::new(Autoguidance::new(bound(1), classes(), 3.0).unwrap()),
    ];
    for model in models {
        holds(denoiser::all(&*model, &schedule, SHAPE, &device));
    }
}

#[test]
fn senseless_guidance_is_refused() {
    let (three, two) = (labels([1, 2, 3]), labels([1, 2]));
    let free = |scale| ClassifierFree::new((), three.clone(), three.clone(), scale).unwrap();
    says(free(2.0).rescale(1.5), &["rescale", "1.5", "[0, 1]"]);
    says(free(2.0).rescale(-0.1), &["-0.1"]);
    says(free(2.0).rescale(f64::NAN), &["NaN"]);
    says(Interval::new(f64::INFINITY, 0.1..=1.0), &["guidance scale", "inf"]);
    says(Interval::new(2.0, 3.0..=1.0), &["upper end", "1", "lower end"]);
    says(Interval::new(2.0, -1.0..=1.0), &["lower end", "-1"]);
    says(Interval::new(2.0, f64::NAN..=1.0), &["NaN"]);
    says(Interval::new(2.0, 0.0..=f64::NAN), &["NaN"]);
    let composed = |terms: Vec<(Tensor<1, Int>, f64)>| Composed::new((), three.clone(), terms);
    says(composed(vec![(two.clone(), 1.0)]), &["condition", "2 samples", "3 samples"]);
    says(composed(vec![(three.clone(), 1.0), (three.clone(), f64::NAN)]), &["scale", "NaN"]);
    says(Autoguidance::new((), (), f64::NEG_INFINITY), &["guidance scale", "-inf"]);
    // What only a run can tell: the batch, and what a closure answers where the run starts.
    let at = NoiseLevel { timestep: 0.0, alpha: 0.0, sigma: 1.0 };
    let ratio = |at: NoiseLevel| at.sigma / at.alpha;
    let x = |batch: usize| Tensor::<2>::ones([batch, 2], &Device::flex());
    let infinite = ClassifierFree::new(perfect(), three.clone(), three.clone(), ratio).unwrap();
    says(infinite.check(&x(3), at), &["guidance scale", "inf"]);
    let zero = labels([0, 0, 0]);
    let composed = Composed::new(perfect(), zero.clone(), [(zero, 1.0)]).unwrap();
    says(composed.check(&x(2), at), &["3 samples", "2 samples"]);
    assert_eq!(composed.check(&x(3), at), Ok(()));
    let network = from_fn(|x: Tensor<2>, _: Tensor<1>| x);
    let epsilon = Model::new(network, EpsilonPrediction);
    says(Autoguidance::new(&epsilon, classes(), 2.0).unwrap().check(&x(3), at), &["epsilon"]);
    says(Autoguidance::new(classes(), &epsilon, 2.0).unwrap().check(&x(3), at), &["epsilon"]);
    says(Autoguidance::new(classes(), classes(), ratio).unwrap().check(&x(3), at), &["inf"]);
}

#[test]
fn intervals_read_and_write() {
    let interval = Interval::new(3.0, 0.25..=5.0).unwrap();
    let written = serde_json::to_string(&interval).unwrap();
    assert_eq!(written, r#"{"scale":3.0,"lowest":0.25,"highest":5.0,"outside":1.0}"#);
    assert_eq!(serde_json::from_str::<Interval>(&written).unwrap(), interval);
    let open = Interval::new(3.0, 0.25..=f64::INFINITY).unwrap();
    let written = serde_json::to_string(&open).unwrap();
    assert_eq!(serde_json::from_str::<Interval>(&written).unwrap(), open);
    let wrong = serde_json::from_str::<Interval>(r#"{"scale":3.0,"lowest":5.0,"highest":1.0}"#);
    says(wrong, &["upper end", "1"]);
}
