//! Autoencoders sample by sample and in tiles, against the whole.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Int, Tensor};
use ddm_denoiser::ModelError;
use ddm_latent::{Autoencoder, Posterior, Sliced, Tiled};

/// The latents that a pixel depends on, to each side.
const RADIUS: usize = 2;

/// Blurs and halves, blurs and doubles; notes the largest tile.
#[derive(Default)]
struct Blur {
    calls: AtomicUsize,
    largest: AtomicUsize,
}

impl Blur {
    fn note<const D: usize>(&self, x: &Tensor<D>) {
        self.calls.fetch_add(1, Relaxed);
        self.largest.fetch_max(x.shape().num_elements(), Relaxed);
    }
}

/// The sum over a square, zero outside of the image.
fn blur(x: Tensor<4>, radius: usize) -> Tensor<4> {
    let side = 2 * radius + 1;
    let square = Tensor::ones([1, 1, side, side], &x.device()) / (side * side) as f64;
    let options = ConvOptions::new([1, 1], [radius, radius], [1, 1], 1);
    conv2d(x, square, None, options)
}

impl Autoencoder<4> for Blur {
    fn encode(&self, x: Tensor<4>) -> Posterior<4> {
        self.note(&x);
        let [batch, channels, height, width] = x.dims();
        let blurred = blur(x, 2 * RADIUS).reshape([batch, channels, height / 2, 2, width / 2, 2]);
        let half = blurred.mean_dim(3).mean_dim(5);
        let half = half.reshape([batch, channels, height / 2, width / 2]);
        Posterior::new(half.clone(), half * 3.0)
    }
    fn decode(&self, z: Tensor<4>) -> Tensor<4> {
        self.note(&z);
        let [batch, channels, height, width] = z.dims();
        let wide = blur(z, RADIUS).reshape([batch, channels, height, 1, width, 1]);
        let wide = wide.expand([batch, channels, height, 2, width, 2]);
        wide.reshape([batch, channels, 2 * height, 2 * width])
    }
    fn check_latent(&self, shape: [usize; 4]) -> Result<(), ModelError> {
        let found = format!("{shape:?}");
        Err(ModelError::Shape { what: "a latent", found, expected: "another".to_owned() })
    }
}

fn waves(shape: [usize; 4]) -> Tensor<4> {
    let n = shape.iter().product::<usize>() as i64;
    let index = Tensor::<1, Int>::arange(0..n, &Device::flex()).float();
    (index * 1.7).sin().reshape(shape)
}

fn distance(a: Tensor<4>, b: Tensor<4>) -> f32 {
    (a - b).abs().max().into_scalar()
}

#[test]
fn tiles_with_a_margin_are_exact_for_local_networks() {
    let whole = Blur::default();
    // Sizes with one, two and more tiles, that are and are not multiples of the stride.
    for size in [[10, 10], [11, 9], [16, 40], [23, 31], [64, 12]] {
        let [height, width] = size;
        let z = waves([2, 1, height, width]);
        let x = waves([2, 1, 2 * height, 2 * width]);
        for (side, overlap) in [(10, 5), (10, 9), (12, 6)] {
            let tiled = Tiled::new(Blur::default(), 2).unwrap().tiles(side, overlap).unwrap();
            let tiled = tiled.margin(RADIUS).unwrap();
            let off = distance(tiled.decode(z.clone()), whole.decode(z.clone()));
            assert!(off < 1e-6, "{size:?} in tiles of {side}: {off}");
            let (tiles, image) = (tiled.encode(x.clone()), whole.encode(x.clone()));
            assert!(distance(tiles.mean(), image.mean()) < 1e-6);
            assert!(distance(tiles.log_variance(), image.log_variance()) < 1e-6);
            let largest = tiled.autoencoder().largest.load(Relaxed);
            assert!(largest <= 2 * (2 * side) * (2 * side), "a tile of {largest} numbers");
        }
    }
}

#[test]
fn without_a_margin_an_image_is_between_its_tiles() {
    let whole = Blur::default();
    let tiled = Tiled::new(Blur::default(), 2).unwrap().tiles(10, 3).unwrap();
    let z = waves([1, 1, 24, 17]);
    let off = distance(tiled.decode(z.clone()), whole.decode(z));
    // A tile lacks at most two of five rows at its edge.
    assert!(off > 1e-3 && off < 0.5, "{off}");
    assert_eq!(tiled.autoencoder().calls.load(Relaxed), 3 * 2);
    // The weights sum to 1: a network without neighbours is exact.
    struct Same;
    impl Autoencoder<4> for Same {
        fn encode(&self, x: Tensor<4>) -> Posterior<4> {
            Posterior::new(x.clone(), x)
        }
        fn decode(&self, z: Tensor<4>) -> Tensor<4> {
            z
        }
    }
    let z = waves([1, 3, 29, 50]);
    for (side, overlap) in [(8, 1), (8, 7), (13, 4), (100, 9)] {
        let tiled = Tiled::new(Same, 1).unwrap().tiles(side, overlap).unwrap();
        assert!(distance(tiled.decode(z.clone()), z.clone()) < 1e-6);
    }
}

#[test]
fn slices_are_the_batch() {
    let (whole, sliced) = (Blur::default(), Sliced(Blur::default()));
    let z = waves([3, 1, 6, 4]);
    assert_eq!(distance(sliced.decode(z.clone()), whole.decode(z.clone())), 0.0);
    assert_eq!(sliced.0.calls.load(Relaxed), 3);
    let (slices, batch) = (sliced.encode(z.clone()), whole.encode(z));
    assert_eq!(distance(slices.mean(), batch.mean()), 0.0);
    assert_eq!(distance(slices.log_variance(), batch.log_variance()), 0.0);
    // Both in one: tile by tile of a sample at a time.
    let both = Sliced(Tiled::new(Blur::default(), 2).unwrap().tiles(4, 2).unwrap());
    both.decode(waves([3, 1, 6, 4]));
    assert_eq!(both.0.autoencoder().largest.load(Relaxed), 16);
    assert!(both.check_latent([1, 1, 8, 8]).is_err() && both.check_image([1, 1, 8, 8]).is_ok());
}

#[test]
fn senseless_tiles_are_refused() {
    let says = |result: Result<Tiled<Blur>, ModelError>| result.err().unwrap().to_string();
    let tiled = || Tiled::new(Blur::default(), 8).unwrap();
    assert!(says(Tiled::new(Blur::default(), 0)).contains("factor"));
    assert!(says(tiled().tiles(8, 8)).contains("overlap of tiles is 8"));
    assert!(says(tiled().tiles(8, 0)).contains("overlap of tiles is 0"));
    assert!(says(tiled().margin(8)).contains("margin of tiles is 8"));
    assert!(tiled().margin(7).is_ok());
}
