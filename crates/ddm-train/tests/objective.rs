//! The settings of the objective: noise offset, paired noise, and the weightings of EDM and SD3.

use burn::tensor::{Device, Tensor};
use ddm_denoiser::{
    EdmPrediction, EpsilonPrediction, FlowPrediction, Parameterization, VPrediction, from_fn,
};
use ddm_samplers::{Ddim, HostNoise, NoiseSource, Sampling};
use ddm_schedule::{Cosine, NoiseLevel, NoiseSchedule, RectifiedFlow};
use ddm_train::{CosMap, EdmWeight, LogitNormal, Objective, TimeSampling, Weighting, pair};

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

#[test]
fn the_noise_offset_moves_the_mean_of_a_channel() {
    let device = Device::flex();
    let x0 = Tensor::<4>::zeros([4000, 2, 4, 4], &device);
    let objective = Objective::new(Cosine::default(), EpsilonPrediction).unwrap();
    let of = |s: f64| {
        let objective = objective.clone().noise_offset(s).unwrap();
        objective.draw(x0.clone(), &mut HostNoise::new(3)).unwrap().target
    };
    // 0 draws nothing more and changes no bit.
    let plain = objective.draw(x0.clone(), &mut HostNoise::new(3)).unwrap().target;
    assert_eq!(values(of(0.0)), values(plain));
    for s in [0.1, 0.5] {
        let means = values(of(s).reshape([8000, 16]).mean_dim(1));
        let mean = means.iter().sum::<f64>() / 8000.0;
        let variance = means.iter().map(|m| (m - mean).powi(2)).sum::<f64>() / 8000.0;
        let expected = s * s + 1.0 / 16.0;
        // The std of a variance of 8000 draws is √(2/8000) = 1.6 % of it.
        assert!((variance / expected - 1.0).abs() < 0.06, "{variance}, not {expected}");
        assert!(mean.abs() < 0.03, "{mean}");
    }
    // Channels have offsets of their own.
    let channels: Tensor<3> = of(100.0).reshape([4000, 2, 16]).mean_dim(2);
    let [first, second] = [0, 1].map(|at| values(channels.clone().narrow(1, at, 1)));
    let product: f64 = first.iter().zip(&second).map(|(a, b)| a * b).sum();
    assert!((product / 4000.0 / 1e4).abs() < 0.08, "{product}");
    for bad in [-0.1, f64::NAN, f64::INFINITY] {
        let error = objective.clone().noise_offset(bad).unwrap_err().to_string();
        assert!(error.contains("noise offset"), "{error}");
    }
}

fn cost(x0: &Tensor<2>, epsilon: &Tensor<2>) -> f64 {
    values((x0.clone() - epsilon.clone()).square().sum())[0]
}

/// All orders of 0 … n − 1.
fn orders(n: usize) -> Vec<Vec<usize>> {
    if n == 0 {
        return vec![Vec::new()];
    }
    let insert = |order: Vec<usize>| {
        (0..n).map(move |at| {
            let mut longer = order.clone();
            longer.insert(at, n - 1);
            longer
        })
    };
    orders(n - 1).into_iter().flat_map(insert).collect()
}

#[test]
fn the_pairing_is_the_cheapest_of_all() {
    let device = Device::flex();
    for seed in 0..40 {
        let n = 1 + seed as usize % 6;
        let x0: Tensor<2> = HostNoise::new(seed).draw([n, 3], &device) * 2.0;
        let epsilon: Tensor<2> = HostNoise::new(seed + 100).draw([n, 3], &device);
        let paired = cost(&x0, &pair(&x0, epsilon.clone()).unwrap());
        let of = |order: &Vec<usize>| {
            let rows = order.iter().map(|&row| epsilon.clone().narrow(0, row, 1)).collect();
            cost(&x0, &Tensor::cat(rows, 0))
        };
        let least = orders(n).iter().map(of).fold(f64::INFINITY, f64::min);
        assert!((paired - least).abs() <= 1e-5 * least, "{paired}, not {least}");
    }
    for seed in 0..10 {
        let x0: Tensor<2> = HostNoise::new(seed).draw([64, 5], &device);
        let epsilon: Tensor<2> = HostNoise::new(seed + 100).draw([64, 5], &device);
        let paired = pair(&x0, epsilon.clone()).unwrap();
        assert!(cost(&x0, &paired) <= cost(&x0, &epsilon));
        // The same rows, in another order.
        let sorted = |x: Tensor<2>| {
            let mut values = values(x);
            values.sort_by(f64::total_cmp);
            values
        };
        assert_eq!(sorted(paired), sorted(epsilon));
    }
}

#[test]
fn what_cannot_be_paired_is_refused() {
    let device = Device::flex();
    let x0 = Tensor::<2>::ones([3, 2], &device);
    let error = pair(&x0, Tensor::ones([3, 1], &device)).unwrap_err().to_string();
    assert!(error.contains("[3, 1]"), "{error}");
    let error = pair(&(x0.clone() * f32::NAN), x0.clone()).unwrap_err().to_string();
    assert!(error.contains("NaN"), "{error}");
    // Nothing to choose.
    assert_eq!(values(pair(&(x0.clone() * 0.0), x0.clone()).unwrap()), [1.0; 6]);
    let objective = Objective::new(RectifiedFlow, FlowPrediction).unwrap().optimal_pairing();
    assert!(objective.draw(x0 / 0.0, &mut HostNoise::new(1)).is_err());
}

/// The exact velocity of paired noise: the mean over pairs of a large batch near x, by a kernel.
/// Two points as data: paired, nearly every path goes to the nearer of them.
#[test]
fn paired_noise_straightens_the_flow() {
    let device = Device::flex();
    let (n, batches) = (64, 12);
    let objective = Objective::new(RectifiedFlow, FlowPrediction).unwrap();
    // The share of the variance of the velocity that x and t do not explain, at the start of sampling.
    let unexplained = |objective: &Objective<RectifiedFlow, FlowPrediction>| {
        let mut total = 0.0;
        for batch in 0..batches {
            let x0 = HostNoise::new(batch).draw([n, 1], &device).sign() * 2.0;
            let mut noise = HostNoise::new(1000 + batch);
            let example = objective.draw(x0.clone(), &mut noise).unwrap();
            // target = ε − x₀, so that ε = target + x₀; does its sign tell that of x₀?
            let epsilon = example.target + x0.clone();
            let agree = values((epsilon.sign() * x0.sign()).mean())[0];
            total += (1.0 - agree) / 2.0;
        }
        total / f64::from(batches as u32)
    };
    let apart = unexplained(&objective);
    let paired = unexplained(&objective.clone().optimal_pairing());
    assert!((apart - 0.5).abs() < 0.06, "{apart}");
    assert!(paired < 0.1, "{paired}");
}

/// A velocity fitted to paired noise needs fewer steps.
#[test]
fn paired_noise_needs_fewer_steps() {
    let device = Device::flex();
    // Data at ±2. The fit is a table over (x, t), by means of the targets that fall into a cell.
    let (cells, times, reach) = (60_usize, 20_usize, 4.0);
    let error_in_two_steps = |paired: bool| {
        let objective = Objective::new(RectifiedFlow, FlowPrediction).unwrap();
        let objective = if paired { objective.optimal_pairing() } else { objective };
        let mut sums = vec![(0.0, 0.0); cells * times];
        let cell = move |x: f64, t: f64| {
            let column =
                ((x + reach) / (2.0 * reach) * cells as f64).clamp(0.0, cells as f64 - 1.0);
            (t * times as f64).clamp(0.0, times as f64 - 1.0) as usize * cells + column as usize
        };
        for batch in 0..300 {
            let x0 = HostNoise::new(batch).draw([128, 1], &device).sign() * 2.0;
            let example = objective.draw(x0, &mut HostNoise::new(5000 + batch)).unwrap();
            let (x, target) = (values(example.x_t), values(example.target));
            for ((x, target), of) in x.iter().zip(target).zip(&example.sampled) {
                let sum = &mut sums[cell(*x, of.time)];
                *sum = (sum.0 + target, sum.1 + 1.0);
            }
        }
        let velocity: Vec<f64> = sums.iter().map(|(sum, n)| sum / f64::max(*n, 1.0)).collect();
        let network = from_fn(move |x: Tensor<2>, t: Tensor<1>| {
            let times = values(t);
            let of = |(x, t): (f64, &f64)| velocity[cell(x, t / 1000.0)] as f32;
            let f: Vec<f32> = values(x.clone()).into_iter().zip(&times).map(of).collect();
            Tensor::<1>::from_floats(f.as_slice(), &x.device()).reshape(x.dims())
        });
        let model = ddm_denoiser::Model::new(network, FlowPrediction);
        let run = Sampling::new(&model, RectifiedFlow).sampler(Ddim::default()).steps(2).seed(9);
        let samples = values(run.sample([1000, 1], &device).unwrap());
        samples.iter().map(|x| (x.abs() - 2.0).abs()).sum::<f64>() / 1000.0
    };
    let (apart, paired) = (error_in_two_steps(false), error_in_two_steps(true));
    println!("error in two steps: {apart} apart, {paired} paired");
    assert!(paired < 0.6 * apart, "{paired}, not far below {apart}");
}

#[test]
fn edm_weights_are_one_for_its_network() {
    for sigma_data in [0.5, 1.3] {
        let weighting = EdmWeight::new(sigma_data).unwrap();
        let network = EdmPrediction::new(sigma_data).unwrap();
        for sigma in [0.002, 0.1, 0.5, 3.0, 80.0] {
            let at = NoiseLevel { timestep: 0.0, alpha: 1.0, sigma };
            assert!((weighting.weight(at, &network) - 1.0).abs() < 1e-9);
            let lambda = (sigma * sigma + sigma_data * sigma_data) / (sigma * sigma_data).powi(2);
            let of_x0 = weighting.weight(at, &ddm_denoiser::X0Prediction);
            assert!((of_x0 / lambda - 1.0).abs() < 1e-9, "{of_x0}, not {lambda}");
        }
    }
    let unit = EdmWeight::new(1.0).unwrap();
    for time in [0.1, 0.5, 0.9] {
        assert!((unit.weight(Cosine::default().level(time), &VPrediction) - 1.0).abs() < 1e-9);
    }
    assert!(EdmWeight::new(0.0).is_err() && EdmWeight::new(f64::INFINITY).is_err());
    assert!(serde_json::from_str::<EdmWeight>(r#"{"sigma_data": -1}"#).is_err());
}

/// A distribution of times and its density as a weight are one objective: equal means of every loss.
fn is_one_objective<T: TimeSampling + Weighting>(sampling: T) {
    let n = 200_000;
    let middle = |k: u32| (f64::from(k) + 0.5) / f64::from(n);
    let losses: [fn(f64) -> f64; 3] = [|_| 1.0, |t| t * t, |t| (5.0 * t).cos() + 2.0];
    for loss in losses {
        let drawn: f64 = (0..n).map(|k| loss(sampling.time(middle(k), &RectifiedFlow))).sum();
        let weighed = |k| {
            let at = RectifiedFlow.level(middle(k));
            sampling.weight(at, &FlowPrediction) * loss(middle(k))
        };
        let weighed: f64 = (0..n).map(weighed).sum();
        assert!((weighed / drawn - 1.0).abs() < 1e-3, "{weighed}, not {drawn}");
    }
    // ε and v of any schedule count the same error of x̂₀ alike.
    let at = Cosine::default().level(0.4);
    let w0 = |kind: &dyn Parameterization| sampling.weight(at, kind) / kind.x0_from(at).1.powi(2);
    assert!((w0(&EpsilonPrediction) / w0(&VPrediction) - 1.0).abs() < 1e-9);
}

#[test]
fn sd3s_distributions_are_weights_too() {
    is_one_objective(CosMap);
    is_one_objective(LogitNormal::default());
    is_one_objective(LogitNormal::new(0.5, 0.6).unwrap());
    // The cosine map has the levels of the cosine schedule: α/σ = cot(π u/2).
    for u in [0.1, 0.5, 0.8] {
        let t = CosMap.time(u, &RectifiedFlow);
        let found = (1.0 - t) / t;
        let expected = 1.0 / (std::f64::consts::FRAC_PI_2 * u).tan();
        assert!((found / expected - 1.0).abs() < 1e-9, "{found}, not {expected}");
    }
}
