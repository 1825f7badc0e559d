//! scratch
use burn::tensor::{DType, Device, Tensor};
use ddm_noise::{HostNoise, NoiseSource};
use ddm_schedule::*;
use ddm_score::*;
use ddm_testkit::*;

fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.cast(DType::F64).into_data().try_into_vec().expect("f64")
}
fn mixture() -> GaussianMixture {
    GaussianMixture::new(
        [vec![-1.0, -0.5], vec![1.2, 0.0], vec![0.0, 1.0]],
        [0.3, 0.2, 0.4],
        [1.0, 2.0, 1.0],
    )
    .unwrap()
}
fn schedules() -> Vec<(&'static str, Box<dyn NoiseSchedule>)> {
    vec![
        ("cosine", Box::new(Cosine::default())),
        ("linear", Box::new(LinearVp::default())),
        ("subvp", Box::new(SubVp::default())),
        ("ve", Box::new(VarianceExploding::default())),
        ("edm", Box::new(Edm::default())),
        ("flow", Box::new(RectifiedFlow)),
        ("table", Box::new(BetaTable::default())),
    ]
}
#[test]
fn measure() {
    let device = Device::flex();
    let model = mixture();
    for (name, schedule) in schedules() {
        for (dtype, tols) in
            [(DType::F32, vec![1e-3, 1e-5, 1e-6, 1e-7]), (DType::F64, vec![1e-3, 1e-5, 1e-7, 1e-9])]
        {
            let x = model.sample(64, &mut HostNoise::new(1), &device).cast(dtype);
            for tol in tols {
                let clock = std::time::Instant::now();
                let flow = ProbabilityFlow::new(&model, &schedule).tolerance(tol).unwrap();
                let there = flow.encode(x.clone()).unwrap();
                let back = flow.decode(there.x.clone()).unwrap();
                let worst = host((back.x - x.clone()).abs().max());
                let mean = |e: &[usize]| e.iter().sum::<usize>() as f64 / e.len() as f64;
                println!(
                    "{name} {dtype:?} tol {tol:e}: err {:.2e}, evals up {} (max {}) down {} calls {} {} reached {} {:?}",
                    worst[0],
                    mean(&there.evaluations),
                    there.evaluations.iter().max().unwrap(),
                    mean(&back.evaluations),
                    there.calls,
                    back.calls,
                    back.reached.iter().chain(&there.reached).all(|r| *r),
                    clock.elapsed()
                );
            }
        }
    }
}
#[test]
fn likelihoods() {
    let device = Device::flex();
    let model = mixture();
    for (name, schedule) in schedules() {
        for dtype in [DType::F32, DType::F64] {
            let flow = ProbabilityFlow::new(&model, &schedule);
            let [_, data] = flow.ends();
            let x = model.sample(32, &mut HostNoise::new(1), &device);
            let e: Tensor<2> = HostNoise::new(2).draw([32, 2], &device);
            let x = (x * data.alpha + e * data.sigma).cast(dtype);
            let known = host(model.log_density(x.clone(), data));
            for (probe, k) in [(Probe::Exact, 1), (Probe::Rademacher, 8), (Probe::Gaussian, 8)] {
                let clock = std::time::Instant::now();
                let found = Likelihood::new(flow.clone())
                    .probe(probe)
                    .probes(k)
                    .unwrap()
                    .log_density(x.clone(), data)
                    .unwrap();
                let errors: Vec<f64> =
                    found.log_density.iter().zip(&known).map(|(a, b)| a - b).collect();
                let worst = errors.iter().fold(0.0, |w: f64, e| w.max(e.abs()));
                let mean = errors.iter().sum::<f64>() / 32.0;
                let se = found.standard_error.unwrap();
                let z: Vec<f64> = errors.iter().zip(&se).map(|(e, s)| (e / s).abs()).collect();
                println!(
                    "{name} {dtype:?} {probe:?}: worst {worst:.2e} mean {mean:.2e} se {:.2e} z>2: {} z>3.5: {} calls {} {:?}",
                    se.iter().sum::<f64>() / 32.0,
                    z.iter().filter(|z| **z > 2.0).count(),
                    z.iter().filter(|z| **z > 3.5).count(),
                    found.calls,
                    clock.elapsed()
                );
            }
        }
    }
}
