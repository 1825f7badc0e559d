//! A small U-Net on 28×28 images, batch 16: forward, training step, and sampling in 10 steps.
#![allow(missing_docs, reason = "criterion's macros make undocumented items")]

mod devices;

use criterion::{Criterion, criterion_group, criterion_main};
use ddm_core::burn::optim::{AdamWConfig, GradientsParams};
use ddm_core::prelude::*;

use devices::devices;

const SHAPE: [usize; 4] = [16, 1, 28, 28];

fn unet(c: &mut Criterion) {
    let mut group = c.benchmark_group("unet");
    group.sample_size(10);
    let schedule = Cosine::default();
    let config = UNetConfig::new(1, 1).with_channels(vec![32, 64]);
    for (name, device) in devices().expect("known devices") {
        let x = Tensor::<4>::ones(SHAPE, &device);
        let network = config.init(&device).expect("a valid configuration");

        group.bench_function(format!("forward/{name}"), |bencher| {
            let t = Tensor::full([SHAPE[0]], 500.0, &device);
            bencher.iter(|| {
                let prediction = network.predict(x.clone(), t.clone());
                device.sync().expect("the device responds");
                prediction
            });
        });

        group.bench_function(format!("training_step/{name}"), |bencher| {
            let device = device.clone().autodiff();
            let objective = Objective::new(&schedule, VPrediction).expect("v suits any schedule");
            let x0 = Tensor::<4>::ones(SHAPE, &device);
            let mut noise = HostNoise::new(0);
            let mut optimizer = AdamWConfig::new().init();
            let mut network = Some(config.init(&device).expect("a valid configuration"));
            bencher.iter(|| {
                let before = network.take().expect("put back below");
                let example = objective.draw(x0.clone(), &mut noise).unwrap();
                let prediction = before.predict(example.x_t.clone(), example.t.clone());
                let gradients = example.loss(prediction).unwrap().backward();
                let gradients = GradientsParams::from_grads(gradients, &before);
                network = Some(optimizer.step(1e-4, before, gradients));
                device.sync().expect("the device responds");
            });
        });

        group.bench_function(format!("sample_10_steps/{name}"), |bencher| {
            let model = Model::new(&network, VPrediction);
            bencher.iter(|| {
                let run = Sampling::new(&model, &schedule).steps(10);
                let x = run.sample(SHAPE, &device).expect("a valid run");
                device.sync().expect("the device responds");
                x
            });
        });
    }
    group.finish();
}

criterion_group!(benches, unet);
criterion_main!(benches);
