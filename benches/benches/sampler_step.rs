//! One sampler step on [16, 3, 64, 64] without a network: what the sampler itself costs.
#![allow(missing_docs, reason = "criterion's macros make undocumented items")]

use criterion::{Criterion, criterion_group, criterion_main};
use ddm_benches::devices;
use ddm_core::prelude::*;

const SHAPE: [usize; 4] = [16, 3, 64, 64];

fn step<S: Sampler<4>>(c: &mut Criterion, name: &str, sampler: &S) {
    let schedule = BetaTable::default();
    let levels = Trailing.levels(&schedule, 20).expect("20 steps of 1000");
    for (device_name, device) in devices().expect("known devices") {
        let x = Tensor::<4>::ones(SHAPE, &device);
        let guess = x.clone() * 0.5;
        let model = from_fn(move |_: Tensor<4>, _: NoiseLevel| guess.clone());
        c.bench_function(&format!("sampler_step/{name}/{device_name}"), |bencher| {
            let mut noise = HostNoise::new(0);
            bencher.iter(|| {
                let mut cx = Context::new(&model, &schedule, &mut noise);
                let mut state = S::State::default();
                let x = sampler.step(&mut cx, x.clone(), levels[9], levels[10], &mut state);
                device.sync().expect("the device answers");
                x
            });
        });
    }
}

fn steps(c: &mut Criterion) {
    step(c, "ddim", &Ddim::default());
    step(c, "ddpm", &Ddpm::default());
}

criterion_group!(benches, steps);
criterion_main!(benches);
