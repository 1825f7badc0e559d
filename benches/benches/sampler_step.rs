//! Runs of 20 steps on [16, 3, 64, 64] with a model that costs nothing: the cost of the sampler
//! alone. Divide by 20 for one step. `diffusers_step.py` measures diffusers.
#![allow(missing_docs, reason = "criterion's macros make undocumented items")]

mod devices;

use criterion::{Criterion, criterion_group, criterion_main};
use ddm_core::prelude::*;
use ddm_core::samplers::{Deis, DpmSolverSingle, Heun, Lcm, Lms, Midpoint, Pndm, SaSolver, UniPc};

use devices::devices;

const SHAPE: [usize; 4] = [16, 3, 64, 64];
const STEPS: usize = 20;

fn run<S: Sampler<4> + Clone>(c: &mut Criterion, name: &str, sampler: S) {
    let schedule = BetaTable::default();
    for (device_name, device) in devices().expect("known devices") {
        let x = Tensor::<4>::ones(SHAPE, &device);
        let guess = x.clone() * 0.5;
        let model = from_fn(move |_: Tensor<4>, _: NoiseLevel| guess.clone());
        c.bench_function(&format!("sampler_20_steps/{name}/{device_name}"), |bencher| {
            bencher.iter(|| {
                let sampling = Sampling::new(&model, &schedule).sampler(sampler.clone());
                let run = sampling.steps(STEPS).start_from(x.clone()).expect("a valid run");
                let x = run.finish();
                device.sync().expect("the device responds");
                x
            });
        });
    }
}

fn samplers(c: &mut Criterion) {
    run(c, "ddim", Ddim::default());
    run(c, "ddpm", Ddpm::default());
    run(c, "euler_ancestral", Ddim::new(1.0).expect("valid"));
    run(c, "heun", Heun::default());
    run(c, "kdpm2", Midpoint::KDPM2);
    run(c, "dpm_solver_pp_2m", DpmSolverPp::new(2).expect("valid"));
    run(c, "dpm_solver_pp_3m", DpmSolverPp::new(3).expect("valid"));
    run(c, "dpm_solver_pp_2m_sde", DpmSolverPp::sde(2, 1.0).expect("valid"));
    run(c, "dpm_solver_single_2", DpmSolverSingle::new(2).expect("valid"));
    run(c, "unipc_2", UniPc::new(2).expect("valid"));
    run(c, "deis_2", Deis::new(2).expect("valid"));
    run(c, "lms_4", Lms::new(4).expect("valid"));
    run(c, "pndm", <Pndm>::default());
    run(c, "sa_solver", SaSolver::default());
    run(c, "lcm", Lcm::default());
}

criterion_group!(benches, samplers);
criterion_main!(benches);
