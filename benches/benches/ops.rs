//! Convolutions and attention, by shape, as the networks compute them.
#![allow(missing_docs, reason = "criterion's macros make undocumented items")]

mod devices;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ddm_core::burn::nn::PaddingConfig2d;
use ddm_core::burn::nn::conv::Conv2dConfig;
use ddm_core::burn::tensor::Distribution;
use ddm_core::models::blocks::Ops;
use ddm_core::prelude::*;

use devices::devices;

/// `[batch, size, size, channels in]`, channels out, kernel size, stride. The first come from the
/// U-Nets of the bench `unet`, the last two from Stable Diffusion's.
const CONVOLUTIONS: [([usize; 4], usize, usize, usize); 12] = [
    ([1, 32, 32, 3], 128, 3, 1),
    ([1, 32, 32, 128], 128, 3, 1),
    ([4, 16, 16, 256], 256, 3, 1),
    ([4, 8, 8, 256], 256, 3, 1),
    ([4, 32, 32, 128], 128, 3, 2),
    ([16, 28, 28, 1], 32, 3, 1),
    ([16, 28, 28, 32], 32, 3, 1),
    ([16, 28, 28, 96], 32, 1, 1),
    ([64, 14, 14, 64], 64, 3, 1),
    ([64, 7, 7, 64], 64, 3, 1),
    ([1, 64, 64, 320], 320, 3, 1),
    ([1, 16, 16, 1280], 1280, 3, 1),
];

/// `[batch, pixels, channels]` and heads, from the same networks.
const ATTENTIONS: [([usize; 3], usize); 5] = [
    ([1, 256, 256], 1),
    ([4, 256, 256], 1),
    ([16, 49, 64], 8),
    ([64, 49, 64], 8),
    ([1, 1024, 640], 8),
];

/// Times `op` alone, and with its gradients.
fn both<const D: usize>(
    c: &mut Criterion,
    group: &str,
    name: &str,
    shape: [usize; D],
    op: impl Fn(&Device) -> Box<dyn Fn(Tensor<D>) -> Tensor<D>>,
) {
    for (device_name, device) in devices().expect("known devices") {
        let id = BenchmarkId::new(name, device_name);
        let x = Tensor::<D>::random(shape, Distribution::Default, &device);

        let mut forward = c.benchmark_group(format!("{group}_forward"));
        forward.throughput(Throughput::Elements(shape[0] as u64));
        forward.bench_function(id.clone(), |bencher| {
            let op = op(&device);
            bencher.iter(|| {
                let y = op(x.clone());
                device.sync().expect("the device responds");
                y
            });
        });
        forward.finish();

        let mut backward = c.benchmark_group(format!("{group}_forward_and_gradients"));
        backward.throughput(Throughput::Elements(shape[0] as u64));
        backward.bench_function(id, |bencher| {
            let device = device.clone().autodiff();
            let (op, x) = (op(&device), Tensor::from_inner(x.clone()).require_grad());
            bencher.iter(|| {
                let gradients = op(x.clone()).sum().backward();
                device.sync().expect("the device responds");
                gradients
            });
        });
        backward.finish();
    }
}

fn convolutions(c: &mut Criterion) {
    for (shape @ [batch, size, _, channels], channels_out, kernel, stride) in CONVOLUTIONS {
        let mut name =
            format!("{kernel}x{kernel}_{batch}x{size}x{size}x{channels}_to_{channels_out}");
        if stride > 1 {
            name += &format!("_stride_{stride}");
        }
        both(c, "conv2d", &name, shape, |device| {
            let half = kernel / 2;
            let layer = Conv2dConfig::new([channels, channels_out], [kernel, kernel])
                .with_stride([stride, stride])
                .with_padding(PaddingConfig2d::Explicit(half, half, half, half))
                .init(device);
            Box::new(move |x| Ops::default().conv2d(&layer, x))
        });
    }
}

fn attentions(c: &mut Criterion) {
    for (shape @ [batch, pixels, channels], heads) in ATTENTIONS {
        let name = format!("{batch}x{pixels}x{channels}_heads_{heads}");
        both(c, "attention", &name, shape, |_| {
            Box::new(move |x| Ops::default().attention(x.clone(), x.clone(), x, heads))
        });
    }
}

criterion_group!(benches, convolutions, attentions);
criterion_main!(benches);
