//! Diffusion in the latent space of a small convolutional VAE: every sampler and the objective work
//! there as they do on pixels.

use ddm_core::burn::module::Module;
use ddm_core::burn::optim::AdamWConfig;
use ddm_core::latent::{Autoencoder, LatentSpace, Sliced, Tiled};
use ddm_core::models::{Vae, VaeConfig};
use ddm_core::prelude::*;
use ddm_core::samplers::{BoxedSampler, UniPc};
use ddm_examples::data::digits;
use ddm_examples::tensors::numbers;

/// 64 real digits, `[64, 1, 8, 8]`.
fn images(device: &Device) -> Tensor<4> {
    let pixels = &digits().images[..64 * 64];
    Tensor::<1>::from_floats(pixels, device).reshape([64, 1, 8, 8])
}

fn trained_vae(device: &Device) -> Vae {
    device.seed(5);
    let device = device.clone().autodiff();
    let images = images(&device);
    let config = VaeConfig::new(1, 2).with_channels(vec![16, 32]);
    let training = Training { steps: 150, ema_decay: 0.9, seed: 1 };
    let vae = config.init(&device).unwrap();
    let trained = training.run(vae, AdamWConfig::new().init(), 3e-3, |vae, noise| {
        let shape = vae.latent_shape(images.dims())?;
        Ok(vae.loss(images.clone(), noise.draw(shape, &device), 1e-3)?.total)
    });
    trained.unwrap().average
}

#[test]
fn diffusion_works_in_latent_space() {
    let device = Device::flex();
    let images = images(&device);
    let vae = trained_vae(&device);
    let latents = vae.encode(images.clone()).mode();
    let space = LatentSpace::fitted(&vae, latents).unwrap();
    let encoded = space.encode(images.clone());
    assert_ne!(encoded.dims(), images.dims());
    let mean_error = |a: Tensor<4>, b: Tensor<4>| (a - b).abs().mean().into_scalar::<f32>();
    let floor = mean_error(space.decode(encoded.clone()), images.clone());
    assert!(floor < 0.25, "the VAE learned: {floor}");

    // A perfect model of the latents: whichever sampler, the decoded sample is the reconstruction.
    let schedule = Cosine::default();
    let answer = encoded.clone();
    let perfect = from_fn(move |_: Tensor<4>, _: NoiseLevel| answer.clone());
    let samplers: [BoxedSampler<4>; 3] = [
        BoxedSampler::new(Ddpm::default()),
        BoxedSampler::new(DpmSolverPp::default()),
        BoxedSampler::new(UniPc::default()),
    ];
    for sampler in samplers {
        let run = Sampling::new(&perfect, &schedule).sampler(sampler).steps(8);
        let latent = run.sample(encoded.dims(), &device).unwrap();
        let off = mean_error(space.decode(latent), space.decode(encoded.clone()));
        assert!(off < 1e-3, "{off}");
    }

    // A trained one: samples, decoded, look more like digits than decoded noise does.
    let learner = device.clone().autodiff();
    let data = encoded.clone().to_device(&learner);
    let objective = Objective::new(&schedule, VPrediction).unwrap();
    let config = UNetConfig::new(2, 2).with_channels(vec![32]);
    let training = Training { steps: 200, ema_decay: 0.98, seed: 2 };
    let network = config.init(&learner).unwrap();
    let trained = training.run(network, AdamWConfig::new().init(), 2e-3, |network, noise| {
        let example = objective.draw(data.clone(), noise)?;
        example.loss(network.predict(example.x_t.clone(), example.t.clone()))
    });
    let model = Model::new(trained.unwrap().average, VPrediction);
    let run = Sampling::new(&model, &schedule).sampler(DpmSolverPp::default()).steps(20).seed(3);
    let shape = [64, encoded.dims()[1], encoded.dims()[2], encoded.dims()[3]];
    let painted = space.decode(run.sample(shape, &device).unwrap());
    let noise = space.decode(HostNoise::new(9).draw(shape, &device));
    let (painted, noise) = (nearest(&painted, &images), nearest(&noise, &images));
    assert!(painted < 0.8 * noise, "samples {painted} from the data, noise {noise}");
}

/// A mosaic of 64 digits: prints how far tiles are from the whole; exact where it fits in one tile, and in
/// slices.
#[test]
fn tiles_and_slices_are_close_to_the_whole() {
    let device = Device::flex();
    let vae = trained_vae(&device).valid();
    let digits = images(&device).reshape([8, 8, 8, 8]); // row, column, y, x
    let mosaic = digits.swap_dims(1, 2).reshape([1, 1, 64, 64]);
    let z = vae.encode(mosaic.clone()).mode();
    let whole = vae.decode(z.clone());
    let error = |other: Tensor<4>, whole: Tensor<4>| {
        let square: f32 = (other.clone() - whole.clone()).square().mean().into_scalar();
        let largest: f32 = (other - whole).abs().max().into_scalar();
        (square.sqrt() / 2.0, largest / 2.0) // of the range from paper to ink
    };
    // Half as much again as was measured: the norms see a tile instead of the image.
    for (side, overlap, bound) in
        [(8, 2, 0.15), (8, 4, 0.12), (16, 4, 0.05), (16, 8, 0.045), (24, 8, 0.02)]
    {
        let tiled = Tiled::new(&vae, vae.factor()).unwrap().tiles(side, overlap).unwrap();
        let (rms, largest) = error(tiled.decode(z.clone()), whole.clone());
        let (rms_z, _) = error(tiled.encode(mosaic.clone()).mode(), z.clone());
        eprintln!("tiles {side} {overlap}: {rms:.4} {largest:.4}, latents {rms_z:.4}");
        assert!(rms < bound && rms_z < bound, "tiles {side} {overlap}: {rms}, latents {rms_z}");
    }
    let one = Tiled::new(&vae, vae.factor()).unwrap(); // tiles of 64 latents; there are 32
    assert_eq!(error(one.decode(z.clone()), whole), (0.0, 0.0));
    let (left, right) = (z.clone().narrow(3, 0, 16), z.narrow(3, 16, 16));
    let batch = Tensor::cat(vec![left, right], 0);
    let sliced = Sliced(&vae).decode(batch.clone());
    assert_eq!(numbers(sliced), numbers(vae.decode(batch)));
}

/// Mean distance from each picture to the most like it in the data.
fn nearest(pictures: &Tensor<4>, data: &Tensor<4>) -> f32 {
    let (pictures, data) = (numbers(pictures.clone()), numbers(data.clone()));
    let distance = |a: &[f32], b: &[f32]| -> f32 {
        a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f32>().sqrt()
    };
    let of = |picture: &[f32]| {
        data.chunks(64).map(|known| distance(picture, known)).fold(f32::INFINITY, f32::min)
    };
    let pictures: Vec<&[f32]> = pictures.chunks(64).collect();
    pictures.iter().map(|picture| of(picture)).sum::<f32>() / pictures.len() as f32
}
