//! The laws of distillation and few-step training, on Gaussian data, where all of it has a closed form.

use burn::module::Module;
use burn::optim::AdamWConfig;
use burn::tensor::{Device, FloatDType, Int, Tensor};
use ddm_denoiser::{
    Conditioned, ConsistencyPrediction, EdmPrediction, EpsilonPrediction, FlowPrediction, Model,
    NoisePredictor, Parameterization, VPrediction, WithInterval, X0Prediction, from_fn,
};
use ddm_models::MlpConfig;
use ddm_samplers::{Ddim, HostNoise, NoiseSource, Sampling, average_flow};
use ddm_schedule::{
    Cosine, Edm, Grid, Levels, NoiseLevel, NoiseSchedule, RectifiedFlow, Trailing, kernel,
};
use ddm_testkit::{ExactPredictor, Gaussian, GaussianMixture};
use ddm_train::{
    Consistency, Discretization, DoublingSteps, FixedSteps, MeanFlow, Objective,
    ProgressiveDistillation, ShrinkingGap, StepNoise, Training, UniformTime,
};

/// The data, N(0.3, 0.7²).
const MEAN: f64 = 0.3;
const STD: f64 = 0.7;

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

fn largest<const D: usize>(tensor: Tensor<D>) -> f64 {
    values(tensor).into_iter().map(f64::abs).fold(0.0, f64::max)
}

fn gaussian() -> Gaussian {
    Gaussian::new([MEAN], STD).unwrap()
}

/// Exact samples of the data, in f64.
fn data(count: usize, seed: u64) -> Tensor<2> {
    let z: Tensor<2> = HostNoise::new(seed).draw([count, 2], &Device::flex());
    z.cast(FloatDType::F64) * STD + MEAN
}

/// The std of x at a level.
fn std_at(at: NoiseLevel) -> f64 {
    (at.alpha * STD).hypot(at.sigma)
}

/// Two steps of DDIM from x, with the closed form of the denoiser, on the host.
fn two_steps(x: f64, levels: &[NoiseLevel]) -> f64 {
    levels.windows(2).fold(x, |x, pair| {
        let (from, to) = (pair[0], pair[1]);
        let gain = from.alpha * (STD / std_at(from)).powi(2);
        let x0 = MEAN + gain * (x - from.alpha * MEAN);
        let epsilon = (x - from.alpha * x0) / from.sigma;
        to.alpha * x0 + to.sigma * epsilon
    })
}

/// The student's step with the target's x̂₀ ends where the teacher's two steps end, for every prediction.
fn lands<P: Parameterization + Copy>(kind: P, schedule: &dyn NoiseSchedule, start: f64) -> f64 {
    let times = (0..8).map(|i| start * (1.0 - f64::from(i) / 8.0));
    let levels = Levels::at_times(schedule, times).unwrap();
    let halving = ProgressiveDistillation::new(levels.clone(), kind).unwrap();
    let mixture = GaussianMixture::new([vec![MEAN, MEAN]], [STD], [1.0]).unwrap();
    let example = halving.draw(&mixture, data(256, 1), &mut StepNoise::new(3, 1)).unwrap();
    let (inputs, targets) = (values(example.x_t), values(example.target));
    let mut worst: f64 = 0.0;
    for (i, (input, target)) in inputs.iter().zip(targets).enumerate() {
        let from = example.levels[i / 2];
        let at = levels.iter().position(|level| *level == from).unwrap();
        assert!(at % 2 == 0, "a student starts at every second level");
        let x = input / kind.input_scale(from);
        let (a, b) = kind.x0_from(from);
        let step = kernel::reverse(from, levels[at + 2], 0.0);
        let student = step.x * x + step.x0 * (a * x + b * target);
        worst = worst.max((student - two_steps(x, &levels[at..at + 3])).abs());
    }
    worst
}

#[test]
fn a_step_of_the_target_is_two_steps_of_the_teacher() {
    let cosine = Cosine::default();
    let errors = [
        lands(VPrediction, &cosine, 1.0),
        lands(X0Prediction, &cosine, 1.0),
        lands(EpsilonPrediction, &cosine, 0.95),
        lands(FlowPrediction, &RectifiedFlow, 1.0),
        lands(EdmPrediction::default(), &Edm::default(), 1.0),
    ];
    println!("largest differences: {errors:?}");
    // In f64, and σ to 80.
    assert!(errors[..4].iter().all(|error| *error < 1e-12) && errors[4] < 1e-10, "{errors:?}");
    let odd = Trailing.levels(&cosine, 7).unwrap();
    let error = ProgressiveDistillation::new(odd, VPrediction).unwrap_err().to_string();
    assert!(error.contains('7') && error.contains("even"), "{error}");
    let levels = Trailing.levels(&cosine, 8).unwrap();
    let error = ProgressiveDistillation::new(levels, EpsilonPrediction).unwrap_err().to_string();
    assert!(error.contains("alpha = 0"), "{error}");
}

/// The exact student of every round has loss 0, and the last student samples in one step what the teacher
/// samples in all.
#[test]
fn a_chain_of_students_keeps_the_samples() {
    let schedule = Cosine::default();
    let levels = Trailing.levels(&schedule, 2).unwrap();
    let halving = ProgressiveDistillation::new(levels.clone(), VPrediction).unwrap();
    // The student's x̂₀ in one step to the data is what two steps lead to.
    let known = levels.clone();
    let exact = from_fn(move |x: Tensor<2>, _: NoiseLevel| {
        let ends: Vec<f64> = values(x.clone()).iter().map(|x| two_steps(*x, &known)).collect();
        Tensor::<1>::from_data(&ends[..], (&x.device(), x.dtype())).reshape(x.dims())
    });
    let network =
        ExactPredictor { denoiser: &exact, parameterization: VPrediction, schedule: &schedule };
    let teacher = gaussian();
    let loss = halving.loss(&network, &teacher, data(64, 2), &mut StepNoise::new(0, 1)).unwrap();
    let loss = values(loss)[0];
    assert!(loss < 1e-20, "{loss}");
    let one = halving.student_levels().clone();
    let run = |levels| Sampling::new(&teacher, &schedule).levels(levels).seed(4);
    let two = run(levels).sample([32, 2], &Device::flex()).unwrap();
    let student = Sampling::new(Model::new(&network, VPrediction), &schedule).levels(one).seed(4);
    let student = student.sampler(Ddim::default()).sample([32, 2], &Device::flex()).unwrap();
    assert!(largest(two - student) < 1e-5);
}

/// The consistency function of the data: x moved along its path to the least noise.
fn exact_function(lowest: NoiseLevel) -> impl Fn(Tensor<2>, NoiseLevel) -> Tensor<2> + Send + Sync {
    let end = std_at(lowest) / lowest.alpha;
    move |x, at| (x - at.alpha * MEAN) * (end / std_at(at)) + MEAN
}

/// The root of the mean squared difference at the two ends of a step, for the exact function.
fn gap_of(
    kind: impl Parameterization + Copy,
    schedule: &dyn NoiseSchedule,
    steps: usize,
    second: bool,
) -> f64 {
    let discretization = FixedSteps::new(steps).unwrap();
    let exact = from_fn(exact_function(discretization.lowest(schedule)));
    let network = ExactPredictor { denoiser: exact, parameterization: kind, schedule };
    let consistency = Consistency::new(schedule, kind, discretization).unwrap().squared();
    let consistency = if second { consistency.second_order() } else { consistency };
    let example =
        consistency.draw_with(&gaussian(), data(512, 5), &mut StepNoise::new(1, 1)).unwrap();
    // Inside the schedule: at its ends a level or the slope is not defined.
    let target = network.predict(example.x_r.clone(), example.r.clone());
    let target = example.target(target).unwrap();
    let found = network.predict(example.x_t.clone(), example.t.clone());
    let losses = values(example.losses(found, target).unwrap());
    let inside = example.pairs.iter().zip(losses);
    let inside =
        inside.filter(|(pair, _)| (0.3..3.0).contains(&(pair.from.sigma / pair.from.alpha)));
    let inside: Vec<f64> = inside.map(|(_, loss)| loss).collect();
    (inside.iter().sum::<f64>() / inside.len() as f64).sqrt()
}

#[test]
fn the_exact_consistency_function_is_a_fixed_point() {
    let flow: &dyn NoiseSchedule = &RectifiedFlow;
    let cosine: &dyn NoiseSchedule = &Cosine::default();
    for (second, order) in [(false, 2.0), (true, 3.0)] {
        for schedule in [flow, cosine] {
            let gaps = [20, 40, 80].map(|steps| gap_of(VPrediction, schedule, steps, second));
            let orders = [(gaps[0] / gaps[1]).log2(), (gaps[1] / gaps[2]).log2()];
            println!("differences {gaps:?}, orders {orders:?}");
            assert!((orders[1] - order).abs() < 0.2, "{orders:?}, not {order}");
            assert!(gaps[2] < 1e-3, "{gaps:?}");
        }
    }
}

/// At the least noise f is the identity, whatever the network returns.
#[test]
fn the_boundary_condition_is_exact() {
    let (x0, edm) = (data(8, 6), Edm::default());
    // At the least noise the function is x, whatever the network returns.
    let pairs =
        Consistency::new(edm, ConsistencyPrediction::default(), FixedSteps::new(1).unwrap());
    let example = pairs.unwrap().draw(x0.clone(), &mut StepNoise::new(2, 1)).unwrap();
    let target = example.target(example.x_r.clone() * 1e6).unwrap();
    let lowest = example.pairs[0].to;
    assert_eq!(lowest.sigma, 0.002);
    let again = example.target(example.x_r.clone() * -3.0).unwrap();
    assert_eq!(values(target.clone()), values(again));
    let noise = (values(target), values(x0.clone()));
    let noise = noise.0.iter().zip(noise.1).map(|(x, x0)| (x - x0).abs()).fold(0.0, f64::max);
    assert!(noise > 1e-4 && noise < 0.01, "the data with noise of std 0.002, not {noise}");
    // At σ = 0 it is the data to the bit.
    fn at_data(kind: impl Parameterization, schedule: impl NoiseSchedule, x0: &Tensor<2>) {
        let gap = ShrinkingGap::new(10).unwrap().log_normal(-8.0, 1e-3).unwrap();
        let consistency = Consistency::new(schedule, kind, gap).unwrap();
        let example = consistency.draw(x0.clone(), &mut StepNoise::new(2, 1)).unwrap();
        assert!(example.pairs.iter().all(|pair| pair.to.sigma == 0.0 && pair.from.sigma > 0.0));
        let input = values(example.x_r.clone());
        assert!(input.iter().chain(&values(example.r.clone())).all(|number| number.is_finite()));
        let target = example.target(example.x_r.clone() * 1e6).unwrap();
        assert_eq!(values(target), values(x0.clone()));
    }
    at_data(VPrediction, Cosine::default(), &x0);
    at_data(FlowPrediction, RectifiedFlow, &x0);
    at_data(EdmPrediction::default(), Edm::new(1e-4, 80.0, 7.0).unwrap(), &x0);
    // A prediction without the identity is refused, with the remedy.
    let fixed = FixedSteps::new(4).unwrap();
    let error = Consistency::new(Cosine::default(), X0Prediction, fixed).unwrap_err().to_string();
    assert!(error.contains("ConsistencyPrediction"), "{error}");
    let error = Consistency::new(edm, EdmPrediction::default(), fixed).unwrap_err().to_string();
    assert!(error.contains("0.002") || error.contains("0.0019"), "{error}");
}

#[test]
fn the_improved_schedule_has_the_numbers_of_the_paper() {
    // K = 400,000: K' = ⌊K/(log₂ 128 + 1)⌋ = 50,000.
    let ict = DoublingSteps::new(400_000).unwrap();
    for (step, levels) in [
        (1, 11),
        (50_000, 11),
        (50_001, 21),
        (100_001, 41),
        (150_001, 81),
        (200_001, 161),
        (250_001, 321),
        (300_001, 641),
        (350_001, 1281),
        (400_000, 1281),
        (usize::MAX, 1281),
    ] {
        assert_eq!(ict.levels(step), levels, "step {step}");
    }
    // The levels of Karras et al. at N = 11, and the probabilities of log-normal intervals.
    let edm = Edm::default();
    let sigma = |i: i32| {
        let (low, high) = (0.002_f64.powf(1.0 / 7.0), 80_f64.powf(1.0 / 7.0));
        (low + f64::from(i) / 10.0 * (high - low)).powf(7.0)
    };
    let count = 200_000;
    let mut found = [0_usize; 10];
    for i in 0..count {
        let pair = ict.pair((f64::from(i) + 0.5) / f64::from(count), 1, &edm);
        let at = (0..10).find(|&i| (pair.to.sigma / sigma(i) - 1.0).abs() < 1e-9).unwrap();
        assert!((pair.from.sigma / sigma(at + 1) - 1.0).abs() < 1e-9);
        let weight = 1.0 / (sigma(at + 1) - sigma(at));
        assert!((ict.weight(&pair) / weight - 1.0).abs() < 1e-6, "{at}");
        found[at as usize] += 1;
    }
    // erf((ln σ_{i+1} + 1.1)/(2 √2)) − erf((ln σ_i + 1.1)/(2 √2)), by the trapezoidal rule.
    let density = |z: f64| (-0.5 * ((z + 1.1) / 2.0).powi(2)).exp();
    let mass = |i: i32| {
        let (from, to) = (sigma(i).ln(), sigma(i + 1).ln());
        let part = |k: i32| density(from + (to - from) * (f64::from(k) + 0.5) / 2000.0);
        (0..2000).map(part).sum::<f64>() * (to - from) / 2000.0
    };
    let total: f64 = (0..10).map(mass).sum();
    for (i, found) in found.into_iter().enumerate() {
        let (found, expected) = (found as f64 / f64::from(count), mass(i as i32) / total);
        assert!((found - expected).abs() < 1e-4, "{i}: {found}, not {expected}");
    }
    assert!(DoublingSteps::new(0).is_err() && ict.steps(0, 10).is_err());
    assert!(ict.steps(20, 10).is_err() && ict.sigmas(1.0, 0.5).is_err());
    assert!(ict.log_normal(0.0, 0.0).is_err());
}

#[test]
fn the_gap_shrinks_as_in_the_paper() {
    let ect = ShrinkingGap::new(100).unwrap();
    // 1 − n(s)/2ᵃ with n(s) = 1 + 8/(1 + e^s).
    let share = |s: f64, a: i32| (1.0 - (1.0 + 8.0 / (1.0 + s.exp())) / 2_f64.powi(a)).max(0.0);
    for (step, a) in [(1, 1), (100, 1), (101, 2), (500, 5), (701, 8), (100_000, 8)] {
        for s in [0.01, 1.0, 5.0, 80.0] {
            assert!((ect.share(s, step) - share(s, a)).abs() < 1e-12, "step {step}, s {s}");
        }
    }
    assert_eq!(ect.share(0.1, 1), 0.0);
    let half = ect.pair(0.5, 701, &Edm::default());
    assert!((half.from.sigma - (-1.1_f64).exp()).abs() < 1e-9);
    assert!((half.to.sigma / half.from.sigma - share(half.from.sigma, 8)).abs() < 1e-9);
    assert!(ect.shrinking(1.0, 8).is_err() && ect.shrinking(2.0, 30).is_err());
    assert!(ShrinkingGap::new(0).is_err() && ect.log_normal(f64::NAN, 1.0).is_err());
}

/// The exact average velocity of the data.
fn exact_velocity(z: Tensor<2>, r: Tensor<1>, t: Tensor<1>) -> Tensor<2> {
    let spread =
        |t: Tensor<1>| ((t.clone() * -1.0 + 1.0).square() * STD.powi(2) + t.square()).sqrt();
    let mean = |t: &Tensor<1>| (t.clone() * -1.0 + 1.0) * MEAN;
    // z_r = m_r + (s_r/s_t)(z − m_t); divided by t − r, with its limit at r = t by the derivative.
    let (m, s) = (mean(&t), spread(t.clone()));
    let apart = t.clone() - r.clone();
    let equal = apart.clone().abs().lower_elem(1e-9);
    let quotient = (spread(r) / s.clone() - 1.0) / apart.mask_fill(equal.clone(), 1.0);
    let slope = (t.clone() - (t * -1.0 + 1.0) * STD.powi(2)) / s.square();
    let quotient = quotient.mask_where(equal, slope * -1.0);
    (z - m.unsqueeze_dim(1)) * (quotient * -1.0).unsqueeze_dim(1) - MEAN
}

#[test]
fn the_exact_mean_flow_is_a_fixed_point() {
    let exact = from_fn(exact_velocity);
    let device = Device::flex();
    let largest_at = |h: f64, dtype: FloatDType| {
        let flow = MeanFlow::default().apart(1.0).unwrap().half_step(h).unwrap();
        let x0 = data(2000, 8).cast(dtype);
        let mut example = flow.draw(x0, &mut StepNoise::new(5, 1)).unwrap();
        // Along the velocity of the whole flow, in place of that to one sample.
        let t: Vec<f64> = example.times.iter().map(|(_, t)| *t).collect();
        let t = Tensor::<1>::from_data(&t[..], (&device, dtype.into()));
        example.v = exact_velocity(example.z.clone(), t.clone(), t);
        let target = flow.target(&exact, &example).unwrap();
        largest(flow.velocity(&exact, &example).unwrap() - target)
    };
    let (coarse, fine) = (largest_at(1e-2, FloatDType::F64), largest_at(1e-3, FloatDType::F64));
    let single = largest_at(2e-3, FloatDType::F32);
    println!("largest errors in f64: {coarse:e} at h = 1e-2, {fine:e} at 1e-3; in f32 {single:e}");
    // Of order h²; in f32 rounding adds 1e-7/h.
    assert!((coarse / fine / 100.0 - 1.0).abs() < 0.1 && fine < 1e-4, "{coarse}, {fine}");
    assert!(single < 1e-3, "{single}");
    // One step, and four, reach the end of the path.
    let x: Tensor<2> = HostNoise::new(1).draw([100, 2], &device);
    let expected = x.clone() * STD + MEAN;
    for steps in [1, 4] {
        let levels = Trailing.levels(&RectifiedFlow, steps).unwrap();
        let found = average_flow(&exact, &levels, x.clone()).unwrap();
        assert!(largest(found - expected.clone()) < 1e-5);
    }
    let other = Trailing.levels(&Cosine::default(), 2).unwrap();
    let error = average_flow(&exact, &other, x).unwrap_err().to_string();
    assert!(error.contains("RectifiedFlow"), "{error}");
}

/// The target is random given z, as v is, but its mean is that of the fixed point: the gradient of the exact
/// network vanishes.
#[test]
fn the_mean_target_is_the_average_velocity() {
    let flow = MeanFlow::default().apart(1.0).unwrap();
    let example = flow.draw(data(40_000, 9), &mut StepNoise::new(6, 1)).unwrap();
    let exact = from_fn(exact_velocity);
    let error = flow.velocity(&exact, &example).unwrap() - flow.target(&exact, &example).unwrap();
    for feature in [error.clone(), error * example.z.clone()] {
        let all = values(feature);
        let n = all.len() as f64;
        let mean = all.iter().sum::<f64>() / n;
        let std = (all.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n / n).sqrt();
        assert!(mean.abs() < 4.0 * std && std < 0.02, "{mean} ± {std}");
    }
}

#[test]
fn at_equal_times_a_mean_flow_is_flow_matching() {
    let device = Device::flex().autodiff();
    device.seed(3);
    let network = MlpConfig::new().with_dim(3).with_hidden(16).init(&device).unwrap();
    let network = WithInterval::new(network);
    let plain = MeanFlow::default().time_sampling(UniformTime).power(0.0).unwrap();
    let x0: Tensor<2> = HostNoise::new(1).draw([64, 2], &device);
    let only = plain.apart(0.0).unwrap();
    let found = only.loss(&network, x0.clone(), &mut StepNoise::new(7, 1)).unwrap();
    // Flow matching at the same times and ε.
    let example = only.draw(x0.clone(), &mut StepNoise::new(7, 1)).unwrap();
    assert!(example.times.iter().all(|(r, t)| r == t));
    let inner = network.clone().into_inner();
    let matching = Objective::new(RectifiedFlow, FlowPrediction).unwrap();
    let times: Vec<f64> = example.times.iter().map(|times| times.1).collect();
    let other = matching.example(x0.clone(), &times, x0.clone() + example.v.clone()).unwrap();
    let input = Tensor::cat(vec![other.x_t.clone(), other.x_t.clone().narrow(1, 0, 1) * 0.0], 1);
    let expected =
        other.loss(inner.predict(input, other.t.clone() / 100.0).narrow(1, 0, 2)).unwrap();
    let (found, expected) = (values(found)[0], values(expected)[0]);
    println!("{found} and {expected}");
    assert!((found / expected - 1.0).abs() < 1e-6, "{found}, not {expected}");
    // A quarter of the batch has other times.
    let example = MeanFlow::default().draw(x0, &mut StepNoise::new(7, 1)).unwrap();
    let apart = example.times.iter().filter(|(r, t)| r < t).count();
    assert_eq!((apart, example.times.len()), (16, 64));
    assert!(
        plain.apart(1.1).is_err() && plain.half_step(0.0).is_err() && plain.power(2.0).is_err()
    );
}

/// The loss of a network with bound classes is that of the network, where they are its null class.
#[test]
fn a_condition_is_bound_in_a_mean_flow_and_in_consistency() {
    let device = Device::flex().autodiff();
    device.seed(5);
    let mlp = |dim| {
        let config = MlpConfig::new().with_dim(dim).with_hidden(16).with_classes(Some(3));
        config.init(&device).unwrap()
    };
    let x0: Tensor<2> = HostNoise::new(1).draw([6, 2], &device);
    let null = mlp(2).null_classes(6, &device);
    let first: Tensor<1, Int> = Tensor::zeros([6], &device);
    let noise = || StepNoise::new(7, 1);

    let flow = MeanFlow::default();
    let wide = WithInterval::new(mlp(3));
    let bound = |classes: Tensor<1, Int>| {
        let example = flow.draw(x0.clone(), &mut noise()).unwrap();
        let (plain, inner) = (wide.valid(), classes.clone().inner());
        let plain = from_fn(|z: Tensor<2>, r: Tensor<1>, t: Tensor<1>| {
            plain.average_velocity_with(z, r, t, inner.clone())
        });
        let target = flow.target(&plain, &example).unwrap();
        let network = from_fn(|z: Tensor<2>, r: Tensor<1>, t: Tensor<1>| {
            wide.average_velocity_with(z, r, t, classes.clone())
        });
        let loss = example.loss(flow.velocity(&network, &example).unwrap(), target).unwrap();
        assert!(loss.is_autodiff());
        values(loss)[0]
    };
    let free = values(flow.loss(&wide, x0.clone(), &mut noise()).unwrap())[0];
    assert_eq!(bound(null.clone()), free);
    assert_ne!(bound(first.clone()), free);

    let narrow = mlp(2);
    let gap = ShrinkingGap::new(10).unwrap();
    let tuning = Consistency::new(Cosine::default(), VPrediction, gap).unwrap();
    let bound = |classes: Tensor<1, Int>| {
        let example = tuning.draw(x0.clone(), &mut noise()).unwrap();
        let target = Conditioned::new(narrow.valid(), classes.clone().inner());
        let network = Conditioned::new(&narrow, classes);
        values(example.compared(&network, &target).unwrap())[0]
    };
    let free = values(tuning.loss(&narrow, x0.clone(), &mut noise()).unwrap())[0];
    assert_eq!(bound(null), free);
    assert_ne!(bound(first), free);
}

/// Gradients reach the student alone, and a few steps of each method lower its loss.
#[test]
fn students_learn() {
    let device = Device::flex().autodiff();
    device.seed(4);
    let schedule = Cosine::default();
    let x0 = |noise: &mut StepNoise| noise.draw([128, 2], &device) * STD + MEAN;
    let teacher = gaussian();
    let training = Training { steps: 150, ema_decay: 0.9, seed: 1 };
    let network = || MlpConfig::new().with_hidden(32).with_layers(1).init(&device).unwrap();
    let halved = |losses: &[(usize, f64)]| {
        let (first, last) = (losses[0].1, losses[losses.len() - 1].1);
        println!("loss {first:.4} to {last:.4}");
        assert!(last < 0.5 * first, "{losses:?}");
    };
    let adam = || AdamWConfig::new().init();

    let levels = Trailing.levels(&schedule, 4).unwrap();
    let halving = ProgressiveDistillation::new(levels, VPrediction).unwrap();
    let loss =
        |student: &_, noise: &mut StepNoise| halving.loss(student, &teacher, x0(noise), noise);
    halved(&training.run(network(), adam(), 3e-3, loss).unwrap().losses);

    let fixed = FixedSteps::new(8).unwrap();
    let consistency = Consistency::new(&schedule, VPrediction, fixed).unwrap().squared();
    let loss = |student: &ddm_models::Mlp, noise: &mut StepNoise| {
        let x0 = x0(noise);
        consistency.loss_with(student, &student.valid(), &teacher, x0, noise)
    };
    halved(&training.run(network(), adam(), 3e-3, loss).unwrap().losses);

    // The adaptive weight would make the samples too narrow: it favours the mode.
    let mean_flow = MeanFlow::default().power(0.0).unwrap();
    let wide = MlpConfig::new().with_dim(3).with_hidden(32).with_layers(2).init(&device).unwrap();
    let loss = |student: &WithInterval<_>, noise: &mut StepNoise| {
        let x0 = x0(noise);
        mean_flow.loss(student, x0, noise)
    };
    let training = Training { steps: 2000, ema_decay: 0.98, seed: 1 };
    let trained = training.run(WithInterval::new(wide), adam(), 3e-3, loss).unwrap().average;
    let one = Trailing.levels(&RectifiedFlow, 1).unwrap();
    let start: Tensor<2> = HostNoise::new(2).draw([2000, 2], &Device::flex());
    let samples = values(average_flow(&trained, &one, start).unwrap());
    let mean = samples.iter().sum::<f64>() / samples.len() as f64;
    let variance = samples.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / samples.len() as f64;
    println!("one step of a mean flow: mean {mean:.3}, std {:.3}", variance.sqrt());
    assert!((mean - MEAN).abs() < 0.1 && (variance.sqrt() - STD).abs() < 0.1, "{mean}, {variance}");
}
