//! The autoencoder.

use super::*;

#[test]
fn a_vae_learns_to_reconstruct() {
    let device = Device::flex().autodiff();
    let mut vae = VaeConfig::new(1, 2).with_channels(vec![8, 16]).init(&device).unwrap();
    let mut adam = AdamConfig::new().init();
    let images = waves([4, 1, 8, 8], &device);
    let shape = vae.latent_shape(images.dims()).unwrap();
    assert_eq!(shape, [4, 2, 4, 4]);
    assert_eq!(vae.encode(images.clone()).mean().dims(), shape);
    let mut losses = vec![];
    for _ in 0..150 {
        let noise = Tensor::random(shape, Distribution::Normal(0.0, 1.0), &device);
        let loss = vae.loss(images.clone(), noise, 1e-3).unwrap();
        losses.push(loss.total.clone().into_scalar::<f32>());
        let gradients = GradientsParams::from_grads(loss.total.backward(), &vae);
        vae = adam.step(5e-3, vae, gradients);
    }
    assert!(losses[149] < 0.5 * losses[0], "{} to {}", losses[0], losses[149]);
    let decoded = vae.decode(vae.encode(images.clone()).mode());
    let error: f32 = (decoded - images.clone()).square().mean().into_scalar();
    assert!(error < 0.5, "mean squared error {error} of images with variance 1");

    let zero = images.zeros_like().narrow(0, 0, 1);
    let loss = vae.loss(zero.clone(), Tensor::zeros([1, 2, 4, 4], &device), 0.25).unwrap();
    let by_hand = vae.encode(zero).kl().into_scalar::<f32>() / 64.0;
    assert!((loss.kl.clone().into_scalar::<f32>() - by_hand).abs() < 1e-5);
    let total = loss.reconstruction + loss.kl * 0.25;
    assert!(distance(total, loss.total) < 1e-6);
}

#[test]
fn images_whose_latents_do_not_fit_are_refused() {
    let device = Device::flex();
    let vae = VaeConfig::new(1, 2).with_channels(vec![8, 8]).init(&device).unwrap();
    for shape in [[2, 1, 25, 31], [2, 1, 24, 31], [2, 3, 24, 32], [2, 1, 0, 32]] {
        assert_eq!(vae.latent_shape(shape).unwrap_err(), vae.check_image(shape).unwrap_err());
    }
    let error = vae.latent_shape([2, 1, 25, 31]).unwrap_err().to_string();
    assert!(
        error.contains("height 25 and width 31") && error.contains("multiples of 2"),
        "{error}"
    );
    // What latent_shape gives is what encode gives.
    let images = waves([2, 1, 24, 32], &device);
    assert_eq!(vae.encode(images.clone()).mean().dims(), vae.latent_shape(images.dims()).unwrap());

    let odd = waves([2, 1, 25, 31], &device);
    assert!(vae.loss(odd, waves([2, 2, 12, 15], &device), 1.0).is_err());
    // Noise that would broadcast.
    let error = vae.loss(images, waves([1, 2, 12, 16], &device), 1.0).unwrap_err().to_string();
    assert!(error.contains("[1, 2, 12, 16]") && error.contains("[2, 2, 12, 16]"), "{error}");
}
