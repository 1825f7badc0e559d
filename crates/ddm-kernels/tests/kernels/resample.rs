//! Images of another size.

use ddm_kernels::upsample::{bilinear, nearest};
use proptest::prelude::*;

use crate::compare::{
    assert_near, assert_same_bits, cases, channels, numbers, on_any_threads, wide,
};

fn nearest_of(x: &[f32], shape: [usize; 4]) -> Vec<f32> {
    let mut out = vec![f32::NAN; 4 * x.len()];
    nearest::forward(x, shape, &mut out);
    out
}

fn nearest_gradient(dy: &[f32], shape: [usize; 4]) -> Vec<f32> {
    let mut dx = vec![f32::NAN; dy.len() / 4];
    nearest::backward(dy, shape, &mut dx);
    dx
}

fn bilinear_of(x: &[f32], shape: [usize; 4], size: [usize; 2]) -> Vec<f32> {
    let mut out = vec![f32::NAN; shape[0] * size[0] * size[1] * shape[3]];
    bilinear::forward(x, shape, size, &mut out);
    out
}

fn bilinear_gradient(dy: &[f32], shape: [usize; 4], size: [usize; 2]) -> Vec<f32> {
    let mut dx = vec![f32::NAN; shape.iter().product()];
    bilinear::backward(dy, shape, size, &mut dx);
    dx
}

/// The definition, a pixel at a time.
fn bilinear_exact(x: &[f32], [n, h, w, c]: [usize; 4], [oh, ow]: [usize; 2]) -> Vec<f64> {
    let place = |i: usize, from: usize, to: usize| {
        let at = ((i as f64 + 0.5) * from as f64 / to as f64 - 0.5).max(0.0);
        let first = at.floor() as usize;
        (first.min(from - 1), (first + 1).min(from - 1), at - at.floor())
    };
    let mut out = Vec::new();
    for (b, i, j, k) in
        (0..n * oh * ow * c).map(|o| (o / (oh * ow * c), o / (ow * c) % oh, o / c % ow, o % c))
    {
        let at = |y: usize, x_: usize| f64::from(x[((b * h + y) * w + x_) * c + k]);
        let (y0, y1, v) = place(i, h, oh);
        let (x0, x1, u) = place(j, w, ow);
        let top = at(y0, x0) * (1.0 - u) + at(y0, x1) * u;
        let bottom = at(y1, x0) * (1.0 - u) + at(y1, x1) * u;
        out.push(top * (1.0 - v) + bottom * v);
    }
    out
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    wide(a).iter().zip(wide(b)).map(|(a, b)| a * b).sum()
}

/// Fails unless `⟨f(x), dy⟩ = ⟨x, adjoint(dy)⟩` for each unit vector x, and so for all.
fn assert_adjoint(
    [n, h, w, c]: [usize; 4],
    dy: &[f32],
    dx: &[f32],
    forward: impl Fn(&[f32]) -> Vec<f32>,
) {
    for i in 0..n * h * w * c {
        let mut x = vec![0.0; n * h * w * c];
        x[i] = 1.0;
        let expected = dot(&forward(&x), dy);
        let error = (f64::from(dx[i]) - expected).abs();
        assert!(error <= 1e-6 * (1.0 + expected.abs()), "{i}: {}, expected {expected}", dx[i]);
    }
}

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn nearest_repeats_each_pixel(
        n in 0usize..3, h in 0usize..6, w in 0usize..6, c in channels(), seed: u64,
    ) {
        let shape = [n, h, w, c];
        let x = numbers(n * h * w * c, 0.0, seed);
        let out = nearest_of(&x, shape);
        for (o, &y) in out.iter().enumerate() {
            let (b, i, j, k) = (o / (4 * h * w * c), o / (2 * w * c) % (2 * h), o / c % (2 * w), o % c);
            assert_eq!(y, x[((b * h + i / 2) * w + j / 2) * c + k]);
        }
        let dy = numbers(out.len(), 0.0, seed ^ 1);
        let mut expected = vec![0.0; x.len()];
        for (o, &d) in dy.iter().enumerate() {
            let (b, i, j, k) = (o / (4 * h * w * c), o / (2 * w * c) % (2 * h), o / c % (2 * w), o % c);
            expected[((b * h + i / 2) * w + j / 2) * c + k] += f64::from(d);
        }
        assert_near(&nearest_gradient(&dy, shape), &expected, 3e-7, "gradient");
    }

    #[test]
    fn bilinear_is_the_definition(
        n in 0usize..3, h in 1usize..8, w in 1usize..8, size in [0usize..17, 0usize..17], c in channels(), seed: u64,
    ) {
        let shape = [n, h, w, c];
        let x = numbers(n * h * w * c, 0.0, seed);
        assert_near(&bilinear_of(&x, shape, size), &bilinear_exact(&x, shape, size), 4e-7, "images");
    }

    #[test]
    fn the_gradient_of_bilinear_is_its_adjoint(
        n in 1usize..3, h in 1usize..5, w in 1usize..5, size in [0usize..9, 0usize..9], c in 1usize..5, seed: u64,
    ) {
        let shape = [n, h, w, c];
        let dy = numbers(n * size[0] * size[1] * c, 0.0, seed);
        let dx = bilinear_gradient(&dy, shape, size);
        assert_adjoint(shape, &dy, &dx, |x| bilinear_of(x, shape, size));
    }
}

#[test]
fn bilinear_to_the_same_size_changes_nothing() {
    let x = numbers(2 * 5 * 7 * 19, 0.0, 3);
    assert_same_bits(&bilinear_of(&x, [2, 5, 7, 19], [5, 7]), &x, "images");
}

// torch.nn.functional.interpolate(torch.arange(4.).view(1, 1, 2, 2), size=(3, 4), mode="bilinear")
#[test]
fn bilinear_is_that_of_torch() {
    let expected = [
        0.0, 0.25, 0.75, 1.0, //
        1.0, 1.25, 1.75, 2.0, //
        2.0, 2.25, 2.75, 3.0,
    ];
    assert_near(
        &bilinear_of(&[0.0, 1.0, 2.0, 3.0], [1, 2, 2, 1], [3, 4]),
        &expected,
        1e-7,
        "image",
    );
}

#[test]
fn large_images_have_the_same_bits_on_any_threads_and_in_any_batch() {
    let (shape, size) = ([3, 37, 29, 20], [61, 74]);
    let one = [1, 37, 29, 20];
    let x = numbers(shape.iter().product(), 0.0, 5);
    let out = on_any_threads(|| nearest_of(&x, shape));
    let sample = x.len() / 3;
    assert_same_bits(&out[8 * sample..], &nearest_of(&x[2 * sample..], one), "nearest alone");
    let dx = on_any_threads(|| nearest_gradient(&out, shape));
    assert_same_bits(
        &dx[2 * sample..],
        &nearest_gradient(&out[8 * sample..], one),
        "gradient of nearest alone",
    );
    let out = on_any_threads(|| bilinear_of(&x, shape, size));
    let resized = out.len() / 3;
    assert_same_bits(
        &out[2 * resized..],
        &bilinear_of(&x[2 * sample..], one, size),
        "bilinear alone",
    );
    let dx = on_any_threads(|| bilinear_gradient(&out, shape, size));
    assert_same_bits(
        &dx[2 * sample..],
        &bilinear_gradient(&out[2 * resized..], one, size),
        "gradient of bilinear alone",
    );
}

#[test]
#[should_panic(expected = "images without pixels")]
fn nothing_cannot_become_an_image() {
    bilinear::forward(&[], [1, 0, 3, 2], [2, 2], &mut [0.0; 8]);
}
