//! U-Nets of two sizes: forward, training step, sampling in 20 steps, and loading their weights.
#![allow(missing_docs, reason = "criterion's macros make undocumented items")]

mod devices;

use criterion::{
    BatchSize, Bencher, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main,
};
use ddm_core::burn::module::Module;
use ddm_core::burn::optim::{AdamWConfig, GradientsParams};
use ddm_core::models::lora::{Adapted, LoraConfig};
use ddm_core::models::{UNet, load_weights, save_weights};
use ddm_core::prelude::*;

use devices::devices;

/// 1.6 M parameters, for 28×28 images of one channel.
fn small() -> (UNetConfig, [usize; 3]) {
    let config = UNetConfig::new(1, 1).with_channels(vec![32, 64, 64]).with_blocks(2);
    (config.with_attention(vec![2]).with_head_size(Some(8)), [1, 28, 28])
}

/// 35.7 M parameters: the shape of `google/ddpm-cifar10-32`.
fn cifar10() -> (UNetConfig, [usize; 3]) {
    let config = UNetConfig::new(3, 3).with_channels(vec![128, 256, 256, 256]).with_blocks(2);
    let config = config.with_attention(vec![1]).with_head_size(None).with_downsample_padding(0);
    let config = config.with_norm_groups(32).with_norm_eps(1e-6).with_freq_shift(1.0);
    (config, [3, 32, 32])
}

/// Calls `bench` for each device with its name, the input's shape and the network.
fn on_devices(
    c: &mut Criterion,
    group: &str,
    name: &str,
    batch: usize,
    (config, [channels, height, width]): (UNetConfig, [usize; 3]),
    bench: impl Fn(&mut Bencher<'_>, &UNetConfig, [usize; 4], &Device),
) {
    let mut group = c.benchmark_group(group);
    group.sample_size(10).throughput(Throughput::Elements(batch as u64));
    for (device_name, device) in devices().expect("known devices") {
        let id = BenchmarkId::new(format!("{name}_batch_{batch}"), device_name);
        let shape = [batch, channels, height, width];
        group.bench_function(id, |bencher| bench(bencher, &config, shape, &device));
    }
}

fn forward(c: &mut Criterion) {
    for (name, batch, network) in [
        ("small", 16, small()),
        ("small", 64, small()),
        ("cifar10", 1, cifar10()),
        ("cifar10", 4, cifar10()),
    ] {
        on_devices(c, "unet_forward", name, batch, network, |bencher, config, shape, device| {
            let network = config.init(device).expect("a valid configuration");
            let x = Tensor::<4>::ones(shape, device);
            let t = Tensor::full([batch], 500.0, device);
            bencher.iter(|| {
                let prediction = network.predict(x.clone(), t.clone());
                device.sync().expect("the device responds");
                prediction
            });
        });
    }
}

fn training_step(c: &mut Criterion) {
    on_devices(c, "unet_training_step", "small", 64, small(), |bencher, config, shape, device| {
        let network = config.init(&device.clone().autodiff()).expect("a valid configuration");
        steps(bencher, network, shape, Clone::clone);
    });
    let attention = ["to_q", "to_k", "to_v", "to_out.0"];
    let layers = [&attention[..], &["conv1", "conv2"]].concat();
    for (name, layers) in [("attention", &attention[..]), ("attention_and_convolutions", &layers)] {
        on_devices(c, "unet_lora_step", name, 64, small(), |bencher, config, shape, device| {
            let network = config.init(&device.clone().autodiff()).expect("a valid configuration");
            let lora = LoraConfig::new(8, layers.iter().copied());
            let adapted = lora.adapt(network).expect("layers that the network has");
            steps(bencher, adapted, shape, Adapted::network);
        });
    }
}

/// Times training steps of a module, with the network that it gives.
fn steps<M: Module>(
    bencher: &mut Bencher<'_>,
    module: M,
    shape: [usize; 4],
    network: impl Fn(&M) -> UNet,
) {
    let device = module.devices().remove(0);
    let objective = Objective::new(Cosine::default(), VPrediction).expect("v suits any schedule");
    let x0 = Tensor::<4>::ones(shape, &device);
    let mut noise = HostNoise::new(0);
    let mut optimizer = AdamWConfig::new().init();
    let mut module = Some(module);
    bencher.iter(|| {
        let before = module.take().expect("put back below");
        let example = objective.draw(x0.clone(), &mut noise).expect("a valid batch");
        let prediction = network(&before).predict(example.x_t.clone(), example.t.clone());
        let loss = example.loss(prediction).expect("a prediction of the batch's shape");
        let gradients = GradientsParams::from_grads(loss.backward(), &before);
        module = Some(optimizer.step(1e-4, before, gradients));
        device.sync().expect("the device responds");
    });
}

fn sampling(c: &mut Criterion) {
    on_devices(
        c,
        "unet_sample_20_steps",
        "small",
        16,
        small(),
        |bencher, config, shape, device| {
            let schedule = Cosine::default();
            let network = config.init(device).expect("a valid configuration");
            let model = Model::new(&network, VPrediction);
            bencher.iter(|| {
                let run = Sampling::new(&model, &schedule).steps(20);
                let x = run.sample(shape, device).expect("a valid run");
                device.sync().expect("the device responds");
                x
            });
        },
    );
}

fn load(c: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    for (name, (config, _)) in [("small", small()), ("cifar10", cifar10())] {
        let path = folder.path().join(name);
        let mut group = c.benchmark_group("load_weights");
        for (device_name, device) in devices().expect("known devices") {
            let init = || config.init(&device).expect("a valid configuration");
            save_weights(&init(), &path).expect("room for the file");
            let size = path.metadata().expect("the file is there").len();
            group.sample_size(10).throughput(Throughput::Bytes(size));
            group.bench_function(BenchmarkId::new(name, device_name), |bencher| {
                let load = |network| {
                    let network = load_weights(network, &path).expect("a file of this network");
                    device.sync().expect("the device responds");
                    network
                };
                bencher.iter_batched(init, load, BatchSize::PerIteration);
            });
        }
    }
}

criterion_group!(benches, forward, training_step, sampling, load);
criterion_main!(benches);
