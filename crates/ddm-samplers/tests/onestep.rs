//! One-call and two-call methods, predictor-correctors and consistency samplers: orders and laws on
//! Gaussian data. (Against diffusers they are replayed in `ddm-diffusers`.)

use burn::tensor::{Device, Tensor};
use ddm_denoiser::from_fn;
use ddm_samplers::{
    Basis, BoxedSampler, Churn, Ddim, Ddpm, DpmSolverPp, Ending, Extrapolate, Heun, Lcm, Midpoint,
    RePaint, SaSolver, Sampling, Slope, Tcd, UniPc,
};
use ddm_schedule::{BetaTable, Cosine, NoiseLevel, RectifiedFlow};
use ddm_testkit::{GaussianPath, compare, order, sampler as laws};

fn table() -> BetaTable {
    BetaTable::scaled_linear(1000, 0.00085, 0.012).unwrap()
}

#[test]
fn orders() {
    let (cosine, device) = (Cosine::default(), Device::flex());
    let path = GaussianPath::new(&cosine).unwrap();
    let unipc = |order| UniPc::new(order).unwrap().lower_order_final(false);
    let sa = |s, t| {
        let sampler = SaSolver::new(s, Some(t)).unwrap().lower_order_final(false);
        sampler.tau(0.0, 0.0..=0.0).unwrap()
    };
    let mut wrong = Vec::new();
    let mut check = |name: &str, sampler: BoxedSampler<2>, wanted: f64| {
        let found = order::measured_order(&sampler, &path, &device).unwrap();
        println!("{name}: {found:.2}");
        if (found - wanted).abs() > 0.2 {
            wrong.push(format!("{name} has order {found:.2}, not {wanted}"));
        }
    };
    check("Euler", BoxedSampler::new(Ddim::EULER), 1.0);
    check("Heun", BoxedSampler::new(Heun::default()), 2.0);
    check("Heun, velocity", BoxedSampler::new(Heun { slope: Slope::Velocity }), 2.0);
    check("KDPM2", BoxedSampler::new(Midpoint::KDPM2), 2.0);
    check("DPM++ 2S", BoxedSampler::new(Midpoint::DPM_PP_2S), 2.0);
    check("UniPC-1", BoxedSampler::new(unipc(1)), 2.0);
    check("UniPC-2", BoxedSampler::new(unipc(2)), 3.0);
    check("UniPC-3", BoxedSampler::new(unipc(3)), 4.0);
    check("UniPC-2 B1", BoxedSampler::new(unipc(2).basis(Basis::B1)), 3.0);
    check("UniPC-2 noise", BoxedSampler::new(unipc(2).extrapolate(Extrapolate::Noise)), 3.0);
    check("SA 1, 1", BoxedSampler::new(sa(1, 1)), 2.0);
    check("SA 2, 2", BoxedSampler::new(sa(2, 2)), 3.0);
    check("SA 3, 2", BoxedSampler::new(sa(3, 2)), 3.0);
    // Its error changes sign near 10 steps, so its order shows late.
    let late = [320, 640].map(|n| order::error(&sa(2, 1), &path, n, &device).unwrap());
    assert!(((late[0] / late[1]).log2() - 2.0).abs() < 0.2);
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn equivalences() {
    let (cosine, device) = (Cosine::default(), Device::flex());
    let path = GaussianPath::new(&cosine).unwrap();
    let end = |sampler: BoxedSampler<2>| {
        let noise = ddm_samplers::HostNoise::new(3);
        path.run(&sampler, 8, &[-1.0, 0.5, 2.0], noise, &device).unwrap()
    };
    let same = |a, b| compare::close("equivalence", &end(a), &end(b), 1e-5).unwrap();
    let plain = UniPc::new(2).unwrap().without_corrector(0..8).lower_order_final(false);
    let dpm = DpmSolverPp::new(2).unwrap().ending(Ending::Keep);
    same(BoxedSampler::new(plain), BoxedSampler::new(dpm));
    let sa = SaSolver::new(2, Some(2)).unwrap().tau(0.0, 0.0..=1.0).unwrap();
    let unipc = UniPc::new(2).unwrap().basis(Basis::B1);
    same(BoxedSampler::new(sa), BoxedSampler::new(unipc));
    same(BoxedSampler::new(Tcd::new(0.0).unwrap()), BoxedSampler::new(Ddim::EULER));
    let still = Churn::new(Heun::default(), 0.0).unwrap();
    same(BoxedSampler::new(still), BoxedSampler::new(Heun::default()));
}

#[test]
fn all_laws_hold() {
    let (cosine, table, device) = (Cosine::default(), table(), Device::flex());
    macro_rules! hold {
        ($($sampler:expr),* $(,)?) => {$(
            laws::all(&$sampler, &cosine, &device).unwrap();
            laws::all(&$sampler, &table, &device).unwrap();
            laws::all(&$sampler, &RectifiedFlow, &device).unwrap();
        )*};
    }
    hold!(
        Ddim::EULER_ANCESTRAL,
        Heun::default(),
        Heun { slope: Slope::Velocity },
        Midpoint::KDPM2,
        Midpoint::KDPM2_ANCESTRAL,
        Midpoint::DPM_PP_2S_ANCESTRAL,
        Churn::new(Heun::default(), 4.0).unwrap(),
        UniPc::new(3).unwrap(),
        UniPc::default().lower_order_final(false),
        UniPc::default().extrapolate(Extrapolate::Noise),
        SaSolver::default(),
        Lcm::default(),
        Tcd::default(),
    );
}

#[test]
fn repaint_keeps_what_is_known_and_calls_each_step_again() {
    let (cosine, device) = (Cosine::default(), Device::flex());
    let model = from_fn(|x: Tensor<2>, at: NoiseLevel| x * at.alpha);
    let known = Tensor::<2>::from_floats([[3.0, -3.0, 0.0]], &device);
    let mask = Tensor::from_floats([[1.0, 1.0, 0.0]], &device);
    let sampler = RePaint::new(Ddpm::default(), known, mask, 3).unwrap();
    let run = Sampling::new(&model, &cosine).sampler(sampler).steps(10);
    let last = run.start([4, 3], &device).unwrap().last().unwrap();
    assert_eq!(last.evaluations, 30);
    let x: Vec<f64> = last.x.try_into_vec_as().unwrap();
    assert!(x.chunks(3).all(|row| row[0] == 3.0 && row[1] == -3.0 && row[2].abs() < 5.0));
}

#[test]
fn settings_are_checked_also_through_serde() {
    assert!(UniPc::new(0).is_err() && SaSolver::new(2, Some(4)).is_err());
    assert!(SaSolver::new(3, Some(0)).is_ok() && SaSolver::new(4, None).is_err());
    assert!(Churn::new(Ddim::EULER, 1.0).unwrap().between(2.0, 1.0).is_err());
    assert!(Lcm::floor(f64::NAN).is_err() && Tcd::new(1.1).is_err());
    let good = serde_json::to_string(&Midpoint::new(Extrapolate::Noise, 0.5).unwrap()).unwrap();
    assert_eq!(
        serde_json::from_str::<Midpoint>(&good).unwrap(),
        Midpoint::new(Extrapolate::Noise, 0.5).unwrap()
    );
    assert!(serde_json::from_str::<Midpoint>(&good.replace("0.5", "2.0")).is_err());
    let good = serde_json::to_string(&UniPc::default()).unwrap();
    assert!(serde_json::from_str::<UniPc>(&good.replace("\"order\":2", "\"order\":7")).is_err());
}
