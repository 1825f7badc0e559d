//! Orders on a Gaussian mixture, whose probability-flow ODE has an exact solution too: on a line
//! it keeps the order of points, so the share of the data below x stays what it is,
//! `F_to(x_to) = F_from(x_from)`, with F the mixture's distribution function at a level.

use burn::tensor::{Device, Tensor, TensorData};
use ddm_samplers::{BoxedSampler, Ddim, Deis, DpmSolver, DpmSolverPp, Ending, Heun, Midpoint};
use ddm_samplers::{Sampling, UniPc};
use ddm_schedule::{Levels, LinearVp, NoiseLevel, NoiseSchedule};
use ddm_testkit::{GaussianMixture, compare};
use statrs::function::erf::erf;

const MEANS: [f64; 2] = [-0.3, 0.5];
const STD: f64 = 0.15;
const WEIGHTS: [f64; 2] = [1.0, 2.0];
const STARTS: [f64; 5] = [-1.4, -0.5, 0.1, 0.8, 1.7];

/// The share of the noisy data below x.
fn below(x: f64, at: NoiseLevel) -> f64 {
    let std = (at.alpha * STD).hypot(at.sigma);
    let share = |mean: f64| 0.5 + 0.5 * erf((x - at.alpha * mean) / (std * 2f64.sqrt()));
    (0..2).map(|k| WEIGHTS[k] / 3.0 * share(MEANS[k])).sum()
}

/// Where the ODE takes x, by bisection.
fn exact(x: f64, from: NoiseLevel, to: NoiseLevel) -> f64 {
    let (share, mut low, mut high) = (below(x, from), -10.0, 10.0);
    for _ in 0..100 {
        let middle = 0.5 * (low + high);
        if below(middle, to) < share { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

fn error(sampler: BoxedSampler<2>, n: usize) -> f64 {
    let (schedule, device) = (LinearVp::default(), Device::flex());
    let mixture = GaussianMixture::new(MEANS.map(|mean| vec![mean]), [STD; 2], WEIGHTS).unwrap();
    let lambda = |i: usize| -4.0 + 5.0 * i as f64 / n as f64;
    let levels: Vec<NoiseLevel> = (0..=n).map(|i| schedule.level_at(lambda(i))).collect();
    let (first, last) = (levels[0], levels[n]);
    let dtype = compare::finest_dtype(&device).into();
    let data = TensorData::new(STARTS.to_vec(), [STARTS.len(), 1]);
    let x = Tensor::<2>::from_data(data, (&device, dtype));
    let run = Sampling::new(&mixture, &schedule).sampler(sampler);
    let run = run.levels(Levels::new(levels).unwrap()).start_from(x).unwrap();
    let found = compare::values("mixture", run.finish()).unwrap();
    let squares =
        found.iter().zip(STARTS).map(|(x, start)| (x - exact(start, first, last)).powi(2));
    (squares.sum::<f64>() / STARTS.len() as f64).sqrt()
}

#[test]
fn solvers_show_their_order_on_a_mixture() {
    let keep = Ending::Keep;
    let solvers: [(&str, f64, BoxedSampler<2>); 9] = [
        ("DDIM", 1.0, BoxedSampler::new(Ddim::default())),
        ("Heun", 2.0, BoxedSampler::new(Heun::default())),
        ("KDPM2", 2.0, BoxedSampler::new(Midpoint::KDPM2)),
        ("2M", 2.0, BoxedSampler::new(DpmSolverPp::new(2).unwrap().ending(keep))),
        ("3M", 3.0, BoxedSampler::new(DpmSolverPp::new(3).unwrap().ending(keep))),
        ("DPM-Solver 3", 3.0, BoxedSampler::new(DpmSolver::new(3).unwrap().ending(keep))),
        ("DEIS 3", 3.0, BoxedSampler::new(Deis::new(3).unwrap().ending(keep))),
        ("UniPC 2", 3.0, BoxedSampler::new(UniPc::new(2).unwrap().lower_order_final(false))),
        ("UniPC 3", 4.0, BoxedSampler::new(UniPc::new(3).unwrap().lower_order_final(false))),
    ];
    for (name, order, sampler) in solvers {
        let found = (error(sampler.clone(), 320) / error(sampler, 640)).log2();
        println!("{name}: {found:.2}");
        assert!((found - order).abs() < 0.2, "{name} shows order {found:.2}, not {order}");
    }
}
