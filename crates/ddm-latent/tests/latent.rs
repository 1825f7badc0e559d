//! Posterior and latent space against numbers worked out by hand.

use burn::tensor::{Device, Tensor};
use ddm_denoiser::ModelError;
use ddm_latent::{Autoencoder, LatentSpace, Posterior};

/// z = 4 x + 3, with the std 0.5 for every element.
#[derive(Debug)]
struct Affine;

impl<const D: usize> Autoencoder<D> for Affine {
    fn encode(&self, x: Tensor<D>) -> Posterior<D> {
        let log_variance = x.full_like(0.25_f64.ln());
        Posterior::new(x * 4.0 + 3.0, log_variance)
    }
    fn decode(&self, z: Tensor<D>) -> Tensor<D> {
        (z - 3.0) / 4.0
    }
}

fn floats<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec().unwrap()
}

fn assert_close(found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-4, "{found} is not {expected}");
    }
}

#[test]
fn posterior_samples_with_its_mean_and_std() {
    let device = Device::flex();
    let mean = Tensor::<2>::from_floats([[1.0, -2.0]], &device);
    let log_variance = Tensor::from_floats([[0.0, 4.0_f32.ln()]], &device);
    let posterior = Posterior::new(mean, log_variance);
    assert_close(&floats(posterior.std()), &[1.0, 2.0]);
    assert_close(&floats(posterior.mode()), &[1.0, -2.0]);
    assert_close(&floats(posterior.mean()), &[1.0, -2.0]);
    let z = posterior.sample(Tensor::from_floats([[3.0, -0.5]], &device));
    assert_close(&floats(z), &[4.0, -3.0]);
}

#[test]
fn log_variance_is_clamped() {
    let wild = Tensor::<1>::from_floats([-1000.0, 1000.0, 1.0], &Device::flex());
    let posterior = Posterior::new(wild.zeros_like(), wild);
    assert_close(&floats(posterior.log_variance()), &[-30.0, 20.0, 1.0]);
    assert!(floats(posterior.kl()).iter().all(|kl| kl.is_finite()));
}

#[test]
fn kl_is_the_closed_form_for_each_sample() {
    let device = Device::flex();
    // Sample 1: N(0, 1) twice. Sample 2: N(1, 1) and N(0, e): ½·1 + ½(e − 1 − 1).
    let mean = Tensor::<3>::from_floats([[[0.0, 0.0]], [[1.0, 0.0]]], &device);
    let log_variance = Tensor::from_floats([[[0.0, 0.0]], [[0.0, 1.0]]], &device);
    let kl = Posterior::new(mean, log_variance).kl();
    assert_eq!(kl.dims(), [2]);
    assert_close(&floats(kl), &[0.0, 0.5 + 0.5 * (1.0_f32.exp() - 2.0)]);
}

#[test]
fn latents_are_shifted_then_scaled_and_come_back() {
    let device = Device::flex();
    let space = LatentSpace::new(&Affine, 0.5, 1.0).unwrap();
    let x = Tensor::<4>::from_floats([[[[0.0, 1.0], [-2.0, 0.25]]]], &device);
    let latent = space.encode(x.clone());
    assert_close(&floats(latent.clone()), &[1.0, 3.0, -3.0, 1.5]); // (4x + 3 − 1) · 0.5
    assert_close(&floats(space.decode(latent)), &floats(x.clone()));
    // A drawn latent is off by scale · std · ε = 0.5 · 0.5 · 2.
    let drawn = space.encode_sample(x.clone(), x.full_like(2.0));
    assert_close(&floats(drawn), &[1.5, 3.5, -2.5, 2.0]);
    assert_eq!((space.scale(), space.shift()), (0.5, 1.0));
}

#[test]
fn a_fitted_space_has_mean_0_and_variance_1() {
    let device = Device::flex();
    let x = Tensor::<2>::from_floats([[1.0, 2.0], [3.0, 6.0]], &device);
    let z = Affine.encode(x.clone()).mode(); // 7, 11, 15, 27
    let space = LatentSpace::fitted(Affine, z).unwrap();
    assert!((space.shift() - 15.0).abs() < 1e-4);
    assert!((space.scale() - 1.0 / 56.0_f64.sqrt()).abs() < 1e-5); // (64 + 16 + 0 + 144) / 4
    let latent = space.encode(x);
    assert!(latent.clone().mean().into_scalar::<f32>().abs() < 1e-5);
    assert!((latent.square().mean().into_scalar::<f32>() - 1.0).abs() < 1e-4);
}

#[test]
fn senseless_scales_are_refused() {
    for (scale, shift) in [(0.0, 0.0), (f64::NAN, 0.0), (f64::INFINITY, 0.0), (1.0, f64::NAN)] {
        let error = LatentSpace::new(Affine, scale, shift).unwrap_err();
        assert!(matches!(error, ModelError::Invalid(_)), "{error}");
    }
    let constant = Tensor::<2>::ones([3, 3], &Device::flex());
    let error = LatentSpace::fitted(Affine, constant).unwrap_err();
    assert_eq!(error.to_string(), "the std of the latents is 0, but must be finite and not 0");
}

#[test]
fn a_space_is_fitted_without_blocking_too() {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    let z = Tensor::<2>::from_floats([[7.0, 11.0], [15.0, 27.0]], &Device::flex());
    let mut fitting = pin!(LatentSpace::fitted_async(Affine, z.clone()));
    let mut context = Context::from_waker(Waker::noop());
    let found = loop {
        if let Poll::Ready(found) = fitting.as_mut().poll(&mut context) {
            break found.unwrap();
        }
    };
    let expected = LatentSpace::fitted(Affine, z).unwrap();
    assert_eq!((found.scale(), found.shift()), (expected.scale(), expected.shift()));
}

#[test]
fn latents_that_are_not_finite_are_refused() {
    for bad in [f32::NAN, f32::INFINITY] {
        let z = Tensor::<2>::from_floats([[7.0, bad]], &Device::flex());
        let error = LatentSpace::fitted(Affine, z).unwrap_err();
        assert!(error.to_string().contains("the std of the latents is"), "{error}");
    }
}

#[test]
fn pointers_are_autoencoders() {
    fn round_trip(space: LatentSpace<impl Autoencoder<2>>) {
        let x = Tensor::<2>::from_floats([[0.5, -1.0]], &Device::flex());
        assert_close(&floats(space.decode(space.encode(x))), &[0.5, -1.0]);
        // The check of the autoencoder behind the pointer, not the default.
        assert!(space.autoencoder().check_image([1, 3]).is_err());
    }
    /// Affine, for rows of two numbers.
    struct Pairs;
    impl Autoencoder<2> for Pairs {
        fn encode(&self, x: Tensor<2>) -> Posterior<2> {
            Affine.encode(x)
        }
        fn decode(&self, z: Tensor<2>) -> Tensor<2> {
            Affine.decode(z)
        }
        fn check_image(&self, [_, n]: [usize; 2]) -> Result<(), ModelError> {
            ModelError::require_batch("a row", n, 2)
        }
    }
    round_trip(LatentSpace::new(&Pairs, 0.5, 1.0).unwrap());
    round_trip(LatentSpace::new(Box::new(Pairs), 0.5, 1.0).unwrap());
    round_trip(LatentSpace::new(std::sync::Arc::new(Pairs), 0.5, 1.0).unwrap());
    round_trip(LatentSpace::new(Box::new(Pairs) as Box<dyn Autoencoder<2>>, 0.5, 1.0).unwrap());
}
