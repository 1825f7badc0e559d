//! The multistep and singlestep methods: their orders on Gaussian data, their settings, and the ends
//! of a schedule. (Against diffusers they are replayed in `ddm-diffusers`.)

use burn::tensor::{Device, Tensor};
use ddm_denoiser::EpsilonPrediction;
use ddm_samplers::{
    BoxedSampler, Deis, DpmSolver, DpmSolverPp, DpmSolverSingle, Ending, Extrapolate, Ipndm, Lms,
    Pndm, PndmStart, Sampler, Sampling, SolverType,
};
use ddm_schedule::{Cosine, Levels, NoiseLevel};
use ddm_testkit::{GaussianPath, moments, order};

/// The order between 96 and 192 steps, which are whole numbers of blocks of 2 and of 3.
fn has_order(name: &str, wanted: f64, start: usize, sampler: impl Sampler<2>) {
    has_order_from(96, name, wanted, start, sampler);
}

/// The order between n and 2n steps.
fn has_order_from(n: usize, name: &str, wanted: f64, start: usize, sampler: impl Sampler<2>) {
    let schedule = Cosine::default();
    let path = GaussianPath::new(&schedule).unwrap();
    let found = order::order_between(&sampler, &path, n, start, &Device::flex()).unwrap();
    println!("{found:.2} of {wanted}  {name}");
    assert!((found - wanted).abs() <= 0.2, "{name}: order {found:.2}, not {wanted}");
}

#[test]
fn orders() {
    use SolverType::{Exact, Heun, Midpoint};
    for order in 1..=3 {
        let (wanted, start) = (order as f64, order - 1);
        has_order("DPM-Solver++", wanted, start, DpmSolverPp::new(order).unwrap());
        has_order("DPM-Solver", wanted, start, DpmSolver::new(order).unwrap());
        has_order("DEIS", wanted, start, Deis::new(order).unwrap());
        for solver_type in [Midpoint, Exact] {
            let keep = |s: DpmSolverSingle| s.solver_type(solver_type).ending(Ending::Keep);
            has_order("singlestep", wanted, 0, keep(DpmSolverSingle::new(order).unwrap()));
            has_order(
                "in noise",
                wanted,
                0,
                keep(DpmSolverSingle::new(order).unwrap()).extrapolate(Extrapolate::Noise),
            );
        }
    }
    // As diffusers has it, order 3 is of order 2.
    has_order("3M, Heun", 2.0, 2, DpmSolverPp::new(3).unwrap().solver_type(Heun));
    for order in 1..=4 {
        has_order("LMS", order as f64, order - 1, Lms::new(order).unwrap());
        // With three or more predictions the error changes sign on the way to its limit.
        let n = if order > 2 { 1536 } else { 96 };
        has_order_from(n, "iPNDM", order.min(2) as f64, order - 1, Ipndm::new(order).unwrap());
    }
    has_order("PLMS", 2.0, 0, Pndm { start: PndmStart::Heun, parameterization: EpsilonPrediction });
    has_order(
        "PNDM",
        2.0,
        0,
        Pndm { start: PndmStart::RungeKutta, parameterization: EpsilonPrediction },
    );
}

#[test]
fn bad_settings_are_refused() {
    for order in [0, 4] {
        let message = DpmSolverPp::new(order).unwrap_err().to_string();
        assert_eq!(message, format!("order is {order}, but must be 1, 2 or 3"));
        assert!(DpmSolver::new(order).is_err() && DpmSolverSingle::new(order).is_err());
        assert!(Deis::new(order).is_err() && Lms::new(order + 1).is_ok() == (order == 0));
    }
    assert!(DpmSolver::sde(4).is_err() && Ipndm::new(5).is_err());
    for eta in [-1.0, f64::NAN, f64::INFINITY] {
        assert!(DpmSolverPp::sde(2, eta).is_err() && DpmSolverSingle::sde(2, eta).is_err());
    }
    let good = serde_json::to_string(&DpmSolverPp::sde(3, 0.5).unwrap()).unwrap();
    assert_eq!(
        serde_json::from_str::<DpmSolverPp>(&good).unwrap(),
        DpmSolverPp::sde(3, 0.5).unwrap()
    );
    assert!(
        serde_json::from_str::<DpmSolverPp>(&good.replace("\"order\":3", "\"order\":7")).is_err()
    );
    let lms = serde_json::to_string(&Lms::default()).unwrap();
    assert!(serde_json::from_str::<Lms>(&lms.replace('4', "5")).is_err());
}

/// The SDE solvers give Gaussian data its mean and variance.
#[test]
fn moments_of_the_sde() {
    let (schedule, device) = (Cosine::default(), Device::flex());
    let path = GaussianPath::new(&schedule).unwrap();
    for order in 1..=3 {
        let data = DpmSolverPp::sde(order, 1.0).unwrap();
        moments::has_weak_order(&data, order as f64, &path, &device).unwrap();
        let half = DpmSolverPp::sde(order, 0.5).unwrap();
        moments::all(&half, &path, 160, 0.01, &device).unwrap();
        let noise = DpmSolver::sde(order).unwrap();
        moments::all(&noise, &path, 160, 0.03, &device).unwrap();
        let single = DpmSolverSingle::sde(order, 1.0).unwrap();
        moments::all(&single, &path, 160, 0.01, &device).unwrap();
    }
}

/// Zero signal at the start, or no noise at the end: every number stays finite.
#[test]
fn ends_of_the_schedule() {
    let level = |i: usize| {
        let angle = std::f64::consts::FRAC_PI_2 * (1.0 - i as f64 / 20.0);
        let (alpha, sigma) = match i {
            0 => (0.0, 1.0),
            20 => (1.0, 0.0),
            _ => (angle.cos(), angle.sin()),
        };
        NoiseLevel { timestep: 1000.0 - 50.0 * i as f64, alpha, sigma }
    };
    let (schedule, model) = (Cosine::default(), ddm_testkit::Gaussian::new([0.5], 0.1).unwrap());
    let check = |name: &str, sampler: BoxedSampler<2>| {
        let levels = Levels::new((0..=20).map(level).collect()).unwrap();
        let x = Tensor::<2>::from_data([[-1.0], [0.0], [2.0]], &Device::flex());
        let run = Sampling::new(&model, &schedule).sampler(sampler).levels(levels);
        let x: Vec<f64> = run.start_from(x).unwrap().finish().try_into_vec_as().unwrap();
        assert!(x.iter().all(|x| (x - 0.5).abs() < 1.0), "{name}: {x:?}");
    };
    for order in 1..=3 {
        check("pp", BoxedSampler::new(DpmSolverPp::new(order).unwrap()));
        check("pp sde", BoxedSampler::new(DpmSolverPp::sde(order, 1.0).unwrap()));
        check("noise", BoxedSampler::new(DpmSolver::new(order).unwrap()));
        check("noise sde", BoxedSampler::new(DpmSolver::sde(order).unwrap()));
        let single = DpmSolverSingle::new(order).unwrap().ending(Ending::Keep);
        check("single", BoxedSampler::new(single));
        check("single noise", BoxedSampler::new(single.extrapolate(Extrapolate::Noise)));
        check("deis", BoxedSampler::new(Deis::new(order).unwrap()));
        check("lms", BoxedSampler::new(Lms::new(order + 1).unwrap()));
        check("ipndm", BoxedSampler::new(Ipndm::new(order + 1).unwrap()));
    }
    check(
        "plms",
        BoxedSampler::new(Pndm { start: PndmStart::Heun, parameterization: EpsilonPrediction }),
    );
    check(
        "pndm",
        BoxedSampler::new(Pndm {
            start: PndmStart::RungeKutta,
            parameterization: EpsilonPrediction,
        }),
    );
}
