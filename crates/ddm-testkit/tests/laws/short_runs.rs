//! A run of fewer steps than a sampler's order starts at lower order and never gets beyond it.

use burn::tensor::{Device, Tensor};
use ddm_denoiser::EpsilonPrediction;
use ddm_samplers::{
    BoxedSampler, Churn, Deis, DpmSolver, DpmSolverPp, DpmSolverSingle, Ending, Heun, Ipndm, Lms,
    Pndm, PndmStart, RePaint, SaSolver, Sampling, UniPc,
};
use ddm_schedule::BetaTable;
use ddm_testkit::Gaussian;

fn run(sampler: BoxedSampler<2>, steps: usize) -> Vec<f64> {
    let (data, table) = (Gaussian::new([0.3], 0.5).unwrap(), BetaTable::default());
    let run = Sampling::new(&data, &table).sampler(sampler).steps(steps).seed(5);
    run.sample([2, 3], &Device::flex()).unwrap().try_into_vec_as().unwrap()
}

/// In n steps, orders n and above are one.
fn is_of_lower_order(solver: impl Fn(usize) -> BoxedSampler<2>) {
    for steps in 1..=2 {
        for order in steps + 1..=3 {
            assert_eq!(run(solver(order), steps), run(solver(steps), steps), "order {order}");
        }
    }
    assert_ne!(run(solver(3), 6), run(solver(1), 6));
}

#[test]
fn short_runs_are_of_lower_order() {
    let keep = Ending::Keep;
    is_of_lower_order(|p| BoxedSampler::new(DpmSolver::new(p).unwrap().ending(keep)));
    is_of_lower_order(|p| BoxedSampler::new(DpmSolver::sde(p).unwrap().ending(keep)));
    is_of_lower_order(|p| BoxedSampler::new(DpmSolverPp::new(p).unwrap().ending(keep)));
    is_of_lower_order(|p| BoxedSampler::new(DpmSolverPp::sde(p, 1.0).unwrap().ending(keep)));
    is_of_lower_order(|p| BoxedSampler::new(Deis::new(p).unwrap().ending(keep)));
    is_of_lower_order(|p| BoxedSampler::new(UniPc::new(p).unwrap().lower_order_final(false)));
    is_of_lower_order(|p| BoxedSampler::new(Lms::new(p).unwrap()));
    is_of_lower_order(|p| BoxedSampler::new(Ipndm::new(p).unwrap()));
}

#[test]
fn no_sampler_needs_more_than_one_step() {
    let ones = || Tensor::<2>::ones([1, 3], &Device::flex());
    let third = || DpmSolverPp::new(3).unwrap();
    let samplers = [
        BoxedSampler::new(DpmSolverSingle::new(3).unwrap()),
        BoxedSampler::new(DpmSolverSingle::sde(3, 1.0).unwrap()),
        BoxedSampler::new(SaSolver::new(3, Some(3)).unwrap()),
        BoxedSampler::new(Heun::default()),
        BoxedSampler::new(Pndm { start: PndmStart::Heun, parameterization: EpsilonPrediction }),
        BoxedSampler::new(Pndm {
            start: PndmStart::RungeKutta,
            parameterization: EpsilonPrediction,
        }),
        BoxedSampler::new(Churn::new(third(), 1.0).unwrap()),
        BoxedSampler::new(RePaint::new(third(), ones(), ones(), 2).unwrap()),
    ];
    for sampler in samplers {
        for steps in 1..=4 {
            assert!(run(sampler.clone(), steps).iter().all(|x| x.is_finite()));
        }
    }
}
