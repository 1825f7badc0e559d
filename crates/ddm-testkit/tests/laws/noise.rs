//! Noise is normal, and each number of it is its own.

mod address;
mod brownian;

use burn::tensor::{Device, Tensor};
use ddm_denoiser::from_fn;
use ddm_noise::BrownianNoise;
use ddm_samplers::{
    BoxedSampler, Ddim, DeviceNoise, DpmSolverPp, HostNoise, Midpoint, NoiseSource, RecordedNoise,
    SaSolver, Sampling,
};
use ddm_schedule::{Levels, LinearVp, NoiseLevel, NoiseSchedule, kernel};
use ddm_testkit::{Gaussian, GaussianPath, compare, moments};

use crate::holds;

fn draw(mut noise: &mut dyn NoiseSource, shape: [usize; 2]) -> Vec<f64> {
    compare::values("noise", NoiseSource::draw(&mut noise, shape, &Device::flex())).unwrap()
}

/// Mean, variance and the fourth moment within 5 standard errors.
fn is_normal(z: &[f64]) {
    let (count, found) = (z.len() as f64, moments::of(z));
    let fourth = z.iter().map(|z| z.powi(4)).sum::<f64>() / count;
    assert!(found.mean.abs() < 5.0 / count.sqrt(), "{found:?}");
    assert!((found.variance - 1.0).abs() < 5.0 * (2.0 / count).sqrt(), "{found:?}");
    assert!((fourth - 3.0).abs() < 5.0 * (96.0 / count).sqrt(), "fourth moment {fourth}");
}

fn uncorrelated(a: &[f64], b: &[f64]) {
    let product = a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>() / a.len() as f64;
    assert!(product.abs() < 5.0 / (a.len() as f64).sqrt(), "correlation {product}");
}

#[test]
fn host_noise_is_normal_along_elements_samples_draws_and_seeds() {
    let mut noise = HostNoise::new(1);
    let (first, second) = (draw(&mut noise, [4, 50_000]), draw(&mut noise, [4, 50_000]));
    is_normal(&first);
    is_normal(&second);
    uncorrelated(&first, &second);
    uncorrelated(&first[..50_000], &first[50_000..100_000]);
    uncorrelated(&first, &draw(&mut HostNoise::new(2), [4, 50_000]));
    is_normal(&draw(&mut HostNoise::new(3), [100_000, 1]));
    let draws: Vec<f64> = (0..20_000).map(|_| draw(&mut noise, [1, 1])[0]).collect();
    is_normal(&draws);
}

#[test]
fn host_noise_keeps_its_place() {
    // A shorter sample takes the first numbers of its stream: each draw has room of its own.
    let long = draw(&mut HostNoise::new(1), [2, 100]);
    let short = draw(&mut HostNoise::new(1), [2, 10]);
    assert_eq!((&short[..10], &short[10..]), (&long[..10], &long[100..110]));
    let mut noise = HostNoise::new(1);
    draw(&mut noise, [7, 3]);
    let mut other = HostNoise::new(1);
    draw(&mut other, [1, 500]);
    assert_eq!(draw(&mut noise, [2, 9]), draw(&mut other, [2, 9]));
    let copy = &mut noise.clone();
    assert_eq!(draw(&mut noise, [2, 9]), draw(copy, [2, 9]));
}

#[test]
fn uniform_noise_is_uniform() {
    let mut noise = HostNoise::new(4);
    let u = noise.uniform(50_000);
    assert!(u.iter().all(|u| (0.0..1.0).contains(u)));
    let found = moments::of(&u);
    assert!((found.mean - 0.5).abs() < 0.01 && (found.variance - 1.0 / 12.0).abs() < 0.002);
    assert_eq!(HostNoise::new(4).starting_at(5).uniform(3), u[5..8]);
    assert_ne!(noise.uniform(3), u[..3]);
}

#[test]
fn device_noise_is_normal() {
    is_normal(&draw(&mut DeviceNoise::new(&Device::flex()), [4, 50_000]));
}

#[test]
fn recorded_noise_is_in_order_and_nan_where_there_is_none() {
    let mut noise = RecordedNoise::new([vec![1.0, 2.0], vec![3.0, 4.0]]);
    assert_eq!(draw(&mut noise, [1, 2]), [1.0, 2.0]);
    assert_eq!(noise.remaining(), 1);
    assert!(draw(&mut noise, [3, 1]).iter().all(|z| z.is_nan()));
    assert!(draw(&mut noise, [1, 2]).iter().all(|z| z.is_nan()));
    assert_eq!(noise.remaining(), 0);
    let nan = Tensor::<1>::full([2], f32::NAN, &Device::flex());
    assert!(compare::close_tensors("NaN agrees with nothing", nan.clone(), nan, 1.0).is_err());
    holds(compare::close("empty", &[], &[], 0.0));
}

/// The ends of runs on one Brownian path, of 20, 40, 80 and 160 steps.
fn ends(sampler: &dyn Fn() -> BoxedSampler<2>, data: &Gaussian) -> Vec<Vec<f64>> {
    let (device, schedule) = (Device::flex(), LinearVp::default());
    let path = GaussianPath::new(&schedule).unwrap().data(data.clone()).between(-3.0, 2.0);
    let z: Vec<f64> = (0..400).map(|i| f64::from(i) / 200.0 - 1.0).collect();
    let run = |n| path.run(&sampler(), n, &z, BrownianNoise::new(11), &device).unwrap();
    [20, 40, 80, 160].map(run).into()
}

/// The root mean square distance of two lists.
fn apart(a: &[f64], b: &[f64]) -> f64 {
    let squares: f64 = a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum();
    (squares / a.len() as f64).sqrt()
}

/// On one path the end of a stochastic run converges, at strong order 1: two runs of n and 2n steps
/// are half as far apart for twice as many steps. With noise that belongs to steps they never meet.
#[test]
fn stochastic_runs_converge_on_one_path() {
    let data = Gaussian::new([-0.7], 0.5).unwrap();
    let samplers: [(&str, &dyn Fn() -> BoxedSampler<2>); 4] = [
        ("DDIM at eta = 1", &|| BoxedSampler::new(Ddim::EULER_ANCESTRAL)),
        ("SDE-DPM-Solver++ 2", &|| BoxedSampler::new(DpmSolverPp::sde(2, 1.0).unwrap())),
        ("ancestral KDPM2", &|| BoxedSampler::new(Midpoint::KDPM2_ANCESTRAL)),
        ("SA-Solver", &|| BoxedSampler::new(SaSolver::default().tau(1.0, 0.0..=1000.0).unwrap())),
    ];
    for (name, sampler) in samplers {
        let ends = ends(sampler, &data);
        let gaps: Vec<f64> = ends.windows(2).map(|pair| apart(&pair[0], &pair[1])).collect();
        let order = (gaps[0] / gaps[2]).log2() / 2.0;
        println!("{name}: {gaps:.4?}, strong order {order:.2}");
        assert!(order > 0.8, "{name}: {gaps:?}, order {order}");
    }
    // The same with noise of its own for each step.
    let (device, schedule) = (Device::flex(), LinearVp::default());
    let path = GaussianPath::new(&schedule).unwrap().data(data).between(-3.0, 2.0);
    let run = |n| {
        let (sampler, noise) = (Ddim::EULER_ANCESTRAL, HostNoise::new(11));
        path.run(&sampler, n, &[0.5; 400], noise, &device).unwrap()
    };
    assert!(apart(&run(80), &run(160)) > 0.2);
}

/// For data that is one point the noise of ancestral steps is exact in the path's own clock: the end
/// does not depend on the number of steps at all.
#[test]
fn ancestral_steps_are_exact_on_the_path_of_a_point() {
    let point = Gaussian::new([0.3], 0.0).unwrap();
    let ends = ends(&|| BoxedSampler::new(Ddim::EULER_ANCESTRAL), &point);
    for more in &ends[1..] {
        assert!(apart(more, &ends[0]) < 1e-6, "{}", apart(more, &ends[0]));
    }
}

/// Noise that a user adds to data with a seed, and the noise that a sampler adds with the same seed.
#[test]
fn noising_and_sampling_of_one_seed_are_uncorrelated() {
    let (device, schedule) = (Device::flex(), LinearVp::default());
    let at = schedule.level(0.6);
    let z: Tensor<2> = HostNoise::new(7).draw([4, 20_000], &device);
    // Data 0: what the model predicts, so that what is left at the end is noise alone.
    let model = from_fn(|x: Tensor<2>, _: NoiseLevel| x * 0.0);
    let levels = Levels::new(vec![at, schedule.level(0.3)]).unwrap();
    let sampling = Sampling::new(&model, &schedule).sampler(Ddim::EULER_ANCESTRAL).levels(levels);
    let x = sampling.seed(7).start_from(z.clone() * at.sigma).unwrap().finish();
    let kept =
        kernel::reverse(at, schedule.level(0.3), kernel::ddim_std(at, schedule.level(0.3), 1.0));
    let added = x - z.clone() * at.sigma * kept.x;
    let correlation = (added.clone() * z.clone()).mean().into_scalar::<f64>()
        / (added.square().mean().into_scalar::<f64>() * z.square().mean().into_scalar::<f64>())
            .sqrt();
    // 80 000 pairs: a standard error of 0.0035.
    assert!(correlation.abs() < 0.015, "{correlation}");
}
