//! A run of fewer steps than a sampler's order is refused before it starts, and one of just as many
//! is taken.

use burn::tensor::{Device, Tensor};
use ddm_denoiser::EpsilonPrediction;
use ddm_samplers::{
    BoxedSampler, Churn, Ddim, Deis, DpmSolver, DpmSolverPp, DpmSolverSingle, Heun, Ipndm, Lms,
    Pndm, PndmStart, RePaint, SaSolver, Sampling, SamplingError, UniPc,
};
use ddm_schedule::BetaTable;
use ddm_testkit::Gaussian;

fn run(sampler: &BoxedSampler<2>, steps: usize) -> Result<Vec<f64>, SamplingError> {
    let (data, table) = (Gaussian::new([0.3], 0.5).unwrap(), BetaTable::default());
    let run = Sampling::new(&data, &table).sampler(sampler).steps(steps);
    run.sample([2, 3], &Device::flex()).map(|x| x.try_into_vec_as().unwrap())
}

/// Refuses fewer steps than `order`, and takes as many.
fn needs(order: usize, sampler: BoxedSampler<2>) {
    for steps in 1..order {
        let error = run(&sampler, steps).unwrap_err();
        assert_eq!(error, SamplingError::TooFewSteps { order, steps });
        let message = format!(
            "order {order} needs at least {order} steps, but the run has {steps}: \
             take a lower order or more steps"
        );
        assert_eq!(error.to_string(), message);
    }
    assert!(run(&sampler, order).unwrap().iter().all(|x| x.is_finite()));
}

#[test]
fn solvers_need_as_many_steps_as_their_order() {
    for order in 1..=3 {
        needs(order, BoxedSampler::new(DpmSolver::new(order).unwrap()));
        needs(order, BoxedSampler::new(DpmSolver::sde(order).unwrap()));
        needs(order, BoxedSampler::new(DpmSolverPp::new(order).unwrap()));
        needs(order, BoxedSampler::new(DpmSolverPp::sde(order, 1.0).unwrap()));
        needs(order, BoxedSampler::new(DpmSolverSingle::new(order).unwrap()));
        needs(order, BoxedSampler::new(DpmSolverSingle::sde(order, 1.0).unwrap()));
        needs(order, BoxedSampler::new(Deis::new(order).unwrap()));
        needs(order, BoxedSampler::new(UniPc::new(order).unwrap()));
        needs(order, BoxedSampler::new(SaSolver::new(order, None).unwrap()));
        needs(order + 1, BoxedSampler::new(SaSolver::new(1, Some(order)).unwrap()));
    }
    for order in 1..=4 {
        needs(order, BoxedSampler::new(Lms::new(order).unwrap()));
        needs(order, BoxedSampler::new(Ipndm::new(order).unwrap()));
    }
    let pndm = |start| BoxedSampler::new(Pndm { start, answer: EpsilonPrediction });
    needs(1, pndm(PndmStart::Heun));
    needs(4, pndm(PndmStart::RungeKutta));
}

#[test]
fn what_remembers_nothing_takes_one_step() {
    needs(1, BoxedSampler::new(Ddim::EULER));
    needs(1, BoxedSampler::new(Heun::default()));
}

#[test]
fn wrappers_ask_what_they_wrap() {
    let inner = || DpmSolverPp::new(3).unwrap();
    let ones = || Tensor::<2>::ones([1, 3], &Device::flex());
    needs(3, BoxedSampler::new(Churn::new(inner(), 1.0).unwrap()));
    needs(3, BoxedSampler::new(RePaint::new(inner(), ones(), ones(), 2).unwrap()));
    needs(3, BoxedSampler::new(BoxedSampler::<2>::new(inner())));
}
