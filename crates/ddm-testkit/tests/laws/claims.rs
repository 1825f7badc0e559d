//! Every sampler is what it says: its order, its noise, its model calls.

use burn::tensor::{Device, Tensor};
use ddm_denoiser::{EpsilonPrediction, VPrediction};
use ddm_samplers::{
    BoxedSampler, Churn, Ddim, Ddpm, Deis, DpmSolver, DpmSolverPp, DpmSolverSingle, Ending,
    Extrapolate, Heun, Ipndm, LaggingChurn, Lcm, Lms, Midpoint, Pndm, PndmStart, RePaint, SaSolver,
    RecordedNoise, Sampler, Sampling, Slope, SolverType, Tcd, UniPc, Variance,
};
use ddm_schedule::{BetaTable, Cosine, Edm, Grid, Karras, LinearVp};
use ddm_testkit::{Gaussian, GaussianPath, order, sampler};

use crate::holds;

pub(crate) fn samplers() -> Vec<(String, BoxedSampler<2>)> {
    let mut all: Vec<(String, BoxedSampler<2>)> = Vec::new();
    let mut add = |name: String, sampler| all.push((name, sampler));
    for eta in [0.0, 0.5, 1.0] {
        add(format!("DDIM {eta}"), BoxedSampler::new(Ddim::new(eta).unwrap()));
        for extrapolate in [Extrapolate::Data, Extrapolate::Noise] {
            let midpoint = Midpoint::new(extrapolate, eta).unwrap();
            add(format!("midpoint {extrapolate:?} {eta}"), BoxedSampler::new(midpoint));
        }
    }
    for variance in [Variance::Small, Variance::Large] {
        add(format!("DDPM {variance:?}"), BoxedSampler::new(Ddpm { variance }));
    }
    for slope in [Slope::Noise, Slope::Velocity] {
        add(format!("Heun {slope:?}"), BoxedSampler::new(Heun { slope }));
    }
    for p in 1..=3 {
        let keep = Ending::Keep;
        add(format!("DEIS {p}"), BoxedSampler::new(Deis::new(p).unwrap()));
        for kind in [SolverType::Midpoint, SolverType::Heun, SolverType::Exact] {
            let solver = DpmSolver::new(p).unwrap().solver_type(kind);
            add(format!("DPM-Solver {p} {kind:?}"), BoxedSampler::new(solver));
            let solver = DpmSolverPp::new(p).unwrap().solver_type(kind);
            add(format!("DPM-Solver++ {p} {kind:?}"), BoxedSampler::new(solver));
        }
        let single = DpmSolverSingle::new(p).unwrap().ending(keep);
        add(format!("singlestep {p}"), BoxedSampler::new(single));
        add(format!("UniPC {p}"), BoxedSampler::new(UniPc::new(p).unwrap()));
        let unipc = UniPc::new(p).unwrap().lower_order_final(false);
        add(format!("UniPC {p}, whole"), BoxedSampler::new(unipc));
    }
    for p in 1..=4 {
        add(format!("LMS {p}"), BoxedSampler::new(Lms::new(p).unwrap()));
        add(format!("iPNDM {p}"), BoxedSampler::new(Ipndm::new(p).unwrap()));
    }
    for start in [PndmStart::Heun, PndmStart::RungeKutta] {
        let pndm = Pndm { start, parameterization: EpsilonPrediction };
        add(format!("PNDM {start:?}"), BoxedSampler::new(pndm));
    }
    all
}

pub(crate) fn stochastic() -> Vec<(&'static str, BoxedSampler<2>)> {
    let keep = Ending::Keep;
    let churned = Churn::new(Ddim::EULER, 3.0).unwrap();
    let lagging = LaggingChurn { churn: churned, parameterization: VPrediction };
    let nothing = || Tensor::<2>::zeros([1, 1], &Device::flex());
    let repainted = RePaint::new(Ddim::EULER, nothing(), nothing(), 2).unwrap().jump(2).unwrap();
    vec![
        ("SDE-DPM-Solver 1", BoxedSampler::new(DpmSolver::sde(1).unwrap())),
        ("SDE-DPM-Solver 2", BoxedSampler::new(DpmSolver::sde(2).unwrap())),
        ("SDE-DPM-Solver 3", BoxedSampler::new(DpmSolver::sde(3).unwrap())),
        ("SDE-DPM-Solver++ 1", BoxedSampler::new(DpmSolverPp::sde(1, 1.0).unwrap())),
        ("SDE-DPM-Solver++ 2", BoxedSampler::new(DpmSolverPp::sde(2, 1.0).unwrap())),
        ("SDE-DPM-Solver++ 3", BoxedSampler::new(DpmSolverPp::sde(3, 1.0).unwrap())),
        ("SDE singlestep 2", BoxedSampler::new(DpmSolverSingle::sde(2, 1.0).unwrap().ending(keep))),
        ("SA-Solver", BoxedSampler::new(SaSolver::default())),
        ("LCM", BoxedSampler::new(Lcm::default())),
        ("TCD", BoxedSampler::new(Tcd::default())),
        ("churn", BoxedSampler::new(churned)),
        ("no churn", BoxedSampler::new(Churn::new(Heun::default(), 0.0).unwrap())),
        ("lagging churn", BoxedSampler::new(lagging)),
        ("RePaint", BoxedSampler::new(repainted)),
    ]
}

#[test]
fn noise_and_calls_are_as_claimed() {
    let (device, schedule) = (Device::flex(), BetaTable::default());
    let stochastic = stochastic().into_iter().map(|(name, sampler)| (name.to_owned(), sampler));
    for (name, sampler) in samplers().into_iter().chain(stochastic) {
        println!("{name}: {} calls, stochastic: {}", sampler.calls(), sampler.is_stochastic());
        holds(sampler::draws_as_claimed(&sampler, &schedule, &device));
        holds(sampler::calls_as_claimed(&sampler, &schedule, &device));
    }
}

/// Deterministic ones on the problem that shows orders up to 4; the variance of the stochastic ones on
/// data that lies off 0, down to λ = 3 and to λ = 1.
#[test]
fn orders_are_as_claimed() {
    let (device, schedule, linear) = (Device::flex(), Cosine::default(), LinearVp::default());
    let path = GaussianPath::new(&schedule).unwrap();
    let data = Gaussian::new([-0.7], 0.5).unwrap();
    let long = GaussianPath::new(&linear).unwrap().data(data.clone()).between(-3.0, 3.0);
    let short = GaussianPath::new(&schedule).unwrap().data(data);
    let stochastic = stochastic().into_iter().map(|(name, sampler)| (name.to_owned(), sampler));
    let mut wrong = Vec::new();
    for (name, sampler) in samplers().into_iter().chain(stochastic) {
        // At these numbers of steps another term of the error may be the larger one on one problem;
        // it is not on all.
        let paths: &[_] = if sampler.is_stochastic() { &[&long, &short, &path] } else { &[&path] };
        let judge = |path: &&GaussianPath<'_>| order::is_as_claimed(&sampler, path, &device).err();
        let violations: Vec<_> = paths.iter().filter_map(judge).collect();
        if violations.len() == paths.len() {
            wrong.push(format!("{name}: {violations:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// EDM's timesteps are ¼ ln σ, negative where σ < 1: TCD goes by the schedule's own time there.
#[test]
fn tcd_is_stochastic_on_edm_levels() {
    let (device, schedule) = (Device::flex(), Edm::default());
    holds(sampler::draws_as_claimed(&Tcd::default(), &schedule, &device));
    let levels = Karras::default().levels(&schedule, 8).unwrap();
    let data = Gaussian::new([0.3], 0.5).unwrap();
    let draws = Sampling::new(&data, &schedule).sampler(Tcd::default()).levels(levels);
    let noise = RecordedNoise::new(vec![vec![1.0; 2]; 8]);
    let mut run = draws.noise(noise).start([1, 2], &device).unwrap();
    run.by_ref().for_each(drop);
    // The start, and every step but the last, to the data.
    assert_eq!(run.noise().remaining(), 0);
}
