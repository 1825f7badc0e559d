//! What must hold of the measures: closed forms, equal sets, symmetry, bias, nested supports.

use approx::{assert_abs_diff_eq, assert_relative_eq};
use burn::tensor::{Device, Tensor};
use ddm_noise::{HostNoise, NoiseSource};
use ddm_quality::{
    Features, Gaussian, KernelDistance, Memorization, QualityError, SlicedWasserstein, Support,
    class_distances, energy_distance, frechet_distance, kernel_distance, mean_distance, nearest,
};
use statrs::distribution::{Continuous, ContinuousCDF, Normal};

/// Draws n rows of N(shift, std²) in `width` dimensions.
fn normal(n: usize, width: usize, shift: f64, std: f64, seed: u64) -> Features {
    let noise: Tensor<2> = HostNoise::new(seed).draw([n, width], &Device::flex());
    Features::new(noise * std + shift).unwrap()
}

/// Returns n points of N(shift, std²) on a line, at equally spaced quantiles.
fn quantiles(n: usize, shift: f64, std: f64) -> Features {
    let law = Normal::new(shift, std).unwrap();
    let at = (0..n).map(|i| law.inverse_cdf((i as f64 + 0.5) / n as f64));
    Features::from_values(n, 1, at.collect()).unwrap()
}

/// Returns all rows moved by δ in each dimension.
fn moved(set: &Features, by: f64) -> Features {
    let values = set.values().iter().map(|value| value + by).collect();
    Features::from_values(set.rows(), set.width(), values).unwrap()
}

type Measure = fn(&Features, &Features) -> Result<f64, QualityError>;

/// The distances of two sets, and whether they are 0 for equal ones.
const DISTANCES: [(&str, Measure, bool); 4] = [
    ("frechet", frechet_distance, true),
    ("kernel", kernel_distance, false),
    ("energy", energy_distance, true),
    ("wasserstein", |a, b| SlicedWasserstein::default().between(a, b), true),
];

#[test]
fn distances_are_symmetric_and_zero_for_equal_sets() {
    let (a, b) = (normal(150, 6, 0.0, 1.0, 1), normal(90, 6, 0.4, 1.3, 2));
    for (name, distance, zero) in DISTANCES {
        let (there, back) = (distance(&a, &b).unwrap(), distance(&b, &a).unwrap());
        assert!(there > 0.01, "{name}: {there}");
        assert_relative_eq!(there, back, max_relative = 1e-11);
        let same = distance(&a, &a).unwrap();
        assert!(!zero || same < 1e-12, "{name} of equal sets: {same}");
        // The order of the rows does not count.
        let mut rows: Vec<&[f64]> = a.iter().collect();
        rows.reverse();
        let reversed = Features::from_values(a.rows(), a.width(), rows.concat()).unwrap();
        assert_relative_eq!(distance(&reversed, &b).unwrap(), there, max_relative = 1e-11);
    }
}

#[test]
fn frechet_of_gaussians_has_a_closed_form() {
    // Of covariances that commute, Tr(Σ₁ + Σ₂ − 2 (Σ₁Σ₂)^½) = Σ (σ₁ − σ₂)²; turned by one rotation.
    let (sin, cos) = (0.6_f64, 0.8_f64);
    let turned = |one: f64, two: f64| {
        let mixed = sin * cos * (one - two);
        vec![cos * cos * one + sin * sin * two, mixed, mixed, sin * sin * one + cos * cos * two]
    };
    let one = Gaussian::new(vec![1.0, -2.0], turned(4.0, 0.25)).unwrap();
    let other = Gaussian::new(vec![1.5, -1.0], turned(1.0, 9.0)).unwrap();
    let expected = 0.25 + 1.0 + (2.0_f64 - 1.0).powi(2) + (0.5_f64 - 3.0).powi(2);
    assert_relative_eq!(one.distance(&other).unwrap(), expected, max_relative = 1e-14);

    // Of Σ and MΣMᵀ that do not commute: in two dimensions
    // Tr √(AB) = √(Tr AB + 2 √(det A det B)).
    let (a, b) = ([2.0, 0.7, 0.7, 1.0], [0.5, -0.3, -0.3, 3.0]);
    let determinant = |m: [f64; 4]| m[0] * m[3] - m[1] * m[2];
    let trace: f64 = a[0] * b[0] + a[1] * b[2] + a[2] * b[1] + a[3] * b[3];
    let root = (trace + 2.0 * (determinant(a) * determinant(b)).sqrt()).sqrt();
    let zero = || vec![0.0, 0.0];
    let one = Gaussian::new(zero(), a.to_vec()).unwrap();
    let other = Gaussian::new(zero(), b.to_vec()).unwrap();
    let expected = a[0] + a[3] + b[0] + b[3] - 2.0 * root;
    assert_relative_eq!(one.distance(&other).unwrap(), expected, max_relative = 1e-13);

    // Samples come close: 8 dimensions, moved by 0.5 and of std 1.5 instead of 1.
    let (a, b) = (normal(20_000, 8, 0.0, 1.0, 3), normal(20_000, 8, 0.5, 1.5, 4));
    let expected = 8.0 * (0.25 + 0.25);
    assert_relative_eq!(frechet_distance(&a, &b).unwrap(), expected, max_relative = 0.03);
}

#[test]
fn frechet_of_few_rows_is_finite_and_biased() {
    let floor = |n: usize| {
        let (a, b) = (normal(n, 32, 0.0, 1.0, 5), normal(n, 32, 0.0, 1.0, 6));
        frechet_distance(&a, &b).unwrap()
    };
    let (few, some, many) = (floor(20), floor(200), floor(4000));
    assert!(few > 3.0 * some && some > 3.0 * many && many > 0.0, "{few} {some} {many}");
    let a = normal(20, 32, 0.0, 1.0, 5);
    assert_abs_diff_eq!(frechet_distance(&a, &a).unwrap(), 0.0, epsilon = 1e-5);
}

#[test]
fn kernel_distance_is_unbiased() {
    // Its mean over many pairs of small sets of one distribution is 0 within its standard error.
    let distances: Vec<f64> = (0..400)
        .map(|seed| {
            let set = |seed| normal(20, 5, 0.3, 1.0, seed);
            kernel_distance(&set(2 * seed), &set(2 * seed + 1)).unwrap()
        })
        .collect();
    let mean = distances.iter().sum::<f64>() / 400.0;
    let variance = distances.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / 399.0;
    assert!(mean.abs() < 3.0 * (variance / 400.0).sqrt(), "{mean} ± {}", (variance / 400.0).sqrt());

    // Halves of one set; and sets of different distributions.
    let (a, b) = (normal(1000, 5, 0.3, 1.0, 7), normal(1000, 5, 0.3, 1.0, 8));
    let subsets = KernelDistance { subsets: 50, size: 100, seed: 0 };
    let half = subsets.between(&a, &b).unwrap();
    assert!(half.mean.abs() < 3.0 * half.standard_error, "{half:?}");
    let other = subsets.between(&a, &normal(1000, 5, 0.8, 1.0, 9)).unwrap();
    assert!(other.mean > 10.0 * other.standard_error, "{other:?}");
    // 50 subsets of which only 10 fit into the set without sharing a row.
    assert_relative_eq!(other.standard_error, other.deviation / 10.0_f64.sqrt());
    assert_eq!(subsets.between(&a, &b).unwrap(), half);
    assert_ne!(KernelDistance { seed: 1, ..subsets }.between(&a, &b).unwrap(), half);
    // One subset of all rows is all there is.
    let all = KernelDistance { subsets: 2, size: 1000, seed: 3 }.between(&a, &b).unwrap();
    assert_relative_eq!(all.mean, kernel_distance(&a, &b).unwrap(), max_relative = 1e-9);
}

#[test]
fn energy_of_gaussians_on_a_line_has_a_closed_form() {
    // E|x − y| of x − y ~ N(δ, s²) is s·φ(δ/s)·2 + δ·(1 − 2Φ(−δ/s)).
    let law = Normal::standard();
    let mean = |delta: f64, s: f64| {
        2.0 * s * law.pdf(delta / s) + delta * (1.0 - 2.0 * law.cdf(-delta / s))
    };
    let (delta, std) = (0.7, 1.5_f64);
    let between = mean(delta, (1.0 + std * std).sqrt());
    let expected = 2.0 * between - mean(0.0, 2.0_f64.sqrt()) - mean(0.0, 2.0_f64.sqrt() * std);
    let found = energy_distance(&quantiles(2000, 0.0, 1.0), &quantiles(1500, delta, std)).unwrap();
    println!("energy {found}, expected {expected}");
    assert_relative_eq!(found, expected, max_relative = 1e-3);
}

#[test]
fn wasserstein_of_moved_and_scaled_points_has_a_closed_form() {
    let sliced = |order: f64| SlicedWasserstein { directions: 4000, order, seed: 3 };
    // In one dimension exactly, also between sets of different sizes.
    let line = quantiles(500, 0.0, 1.0);
    let one = sliced(2.0).between(&line, &moved(&line, 0.3)).unwrap();
    assert_relative_eq!(one, 0.3, max_relative = 1e-12);
    let twice = Features::from_values(1000, 1, [line.values(), line.values()].concat()).unwrap();
    assert_abs_diff_eq!(sliced(1.0).between(&line, &twice).unwrap(), 0.0, epsilon = 1e-14);
    // W₂ of N(0, 1) and N(δ, s²) is √(δ² + (s − 1)²).
    let found = sliced(2.0).between(&quantiles(4000, 0.0, 1.0), &quantiles(3000, 0.4, 1.3));
    assert_relative_eq!(found.unwrap(), 0.5, max_relative = 2e-3);
    // In d dimensions a shift δ in each gives √(d δ²/d) = δ; the error is that of the directions.
    let points = normal(40, 6, 0.0, 1.0, 11);
    let found = sliced(2.0).between(&points, &moved(&points, 0.3)).unwrap();
    println!("wasserstein {found}, expected 0.3");
    assert_relative_eq!(found, 0.3, max_relative = 0.03);
    let other = SlicedWasserstein { seed: 4, ..sliced(2.0) };
    assert_ne!(other.between(&points, &moved(&points, 0.3)).unwrap(), found);
}

#[test]
fn support_tells_fidelity_from_variety() {
    let real = normal(600, 2, 0.0, 1.0, 12);
    let same = Support::of(&real, &normal(600, 2, 0.0, 1.0, 13), 5).unwrap();
    assert!(same.precision > 0.9 && same.recall > 0.9, "{same:?}");
    assert!((same.density - 1.0).abs() < 0.1, "{same:?}");
    // 1 − 2⁻⁵, with √(p(1 − p)/600) = 0.007
    assert!((same.coverage - 0.969).abs() < 0.03, "{same:?}");

    // Inside of the real support: real, but not all of it. Around it: all of it, but not only real.
    let narrow = Support::of(&real, &normal(600, 2, 0.0, 0.3, 14), 5).unwrap();
    assert!(narrow.precision > 0.99 && narrow.recall < 0.6 && narrow.coverage < 0.4, "{narrow:?}");
    let wide = Support::of(&real, &normal(600, 2, 0.0, 3.0, 15), 5).unwrap();
    assert!(wide.precision < 0.7 && wide.recall > 0.99 && wide.density < 0.5, "{wide:?}");
    // Exchanged, the two change places.
    let back = Support::of(&normal(600, 2, 0.0, 0.3, 14), &real, 5).unwrap();
    assert_eq!((back.precision, back.recall), (narrow.recall, narrow.precision));

    let apart = Support::of(&real, &normal(600, 2, 50.0, 1.0, 16), 5).unwrap();
    let none = Support { precision: 0.0, recall: 0.0, density: 0.0, coverage: 0.0 };
    assert_eq!(apart, none);
    let equal = Support::of(&real, &real, 3).unwrap();
    assert_eq!((equal.precision, equal.recall, equal.coverage), (1.0, 1.0, 1.0));
    // Each row is in its own ball, and in those of which it is one of the 3 neighbours.
    assert_relative_eq!(equal.density, 4.0 / 3.0, max_relative = 1e-14);
}

#[test]
fn copies_are_found() {
    let training = normal(400, 8, 0.0, 1.0, 17);
    let held_out = normal(200, 8, 0.0, 1.0, 18);
    let fresh = Memorization::of(&normal(200, 8, 0.0, 1.0, 19), &training, &held_out).unwrap();
    assert!((fresh.closer() - 0.5).abs() < 0.1, "{}", fresh.closer());
    assert_relative_eq!(fresh.sample_median(), fresh.held_out_median(), max_relative = 0.1);

    let copies = moved(&training.part(100..160).unwrap(), 1e-3);
    let copied = Memorization::of(&copies, &training, &held_out).unwrap();
    assert_eq!(copied.closer(), 1.0);
    let indices: Vec<usize> = copied.samples.iter().map(|neighbour| neighbour.index).collect();
    assert_eq!(indices, (100..160).collect::<Vec<_>>());
    assert_relative_eq!(copied.sample_median(), 1e-3 * 8.0_f64.sqrt(), max_relative = 1e-6);

    let itself = Memorization::of(&held_out, &training, &held_out).unwrap();
    assert_eq!(itself.closer(), 0.5);
    let far = Memorization::of(&moved(&held_out, 9.0), &training, &held_out).unwrap();
    assert_eq!(far.closer(), 0.0);
    // Of equal rows the first is named.
    let doubled = training.clone().joined(training.clone()).unwrap();
    assert!(
        nearest(&training, &doubled).unwrap().iter().all(|n| n.index < 400 && n.distance == 0.0)
    );
}

#[test]
fn diversity_is_the_mean_distance_of_a_class() {
    // Of x, x′ ~ N(0, 1) on a line E|x − x′| = 2/√π.
    let line = mean_distance(&quantiles(2000, 0.0, 1.0)).unwrap();
    assert_relative_eq!(line, 2.0 / std::f64::consts::PI.sqrt(), max_relative = 1e-3);

    let mixed = normal(50, 3, 0.0, 1.0, 20).joined(normal(30, 3, 9.0, 0.1, 21)).unwrap();
    let labels: Vec<u8> = (0..80).map(|row| if row < 50 { 7 } else { 2 }).collect();
    let classes = class_distances(&mixed, &labels).unwrap();
    let found: Vec<_> = classes.iter().map(|class| (class.class, class.rows)).collect();
    assert_eq!(found, [(2, 30), (7, 50)]);
    let of = |rows: std::ops::Range<usize>| mean_distance(&mixed.part(rows).unwrap()).unwrap();
    assert_eq!([classes[0].distance, classes[1].distance], [of(50..80), of(0..50)]);
    assert!(mean_distance(&mixed).unwrap() > 3.0 * of(0..50));
}

#[test]
fn threads_do_not_change_a_bit() {
    let (a, b) = (normal(203, 11, 0.0, 1.0, 22), normal(97, 11, 0.2, 1.1, 23));
    let all = || {
        let support = Support::of(&a, &b, 3).unwrap();
        let numbers = DISTANCES.map(|(_, distance, _)| distance(&a, &b).unwrap().to_bits());
        (numbers, support.density.to_bits(), nearest(&a, &b).unwrap())
    };
    let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    assert_eq!(pool(1).install(all), pool(5).install(all));
}

#[test]
fn features_of_images_come_in_batches() {
    let device = Device::flex();
    let images: Tensor<4> = HostNoise::new(24).draw([11, 2, 3, 3], &device);
    let mut batches = Vec::new();
    let features = Features::of(images.clone(), 4, |batch| {
        batches.push(batch.dims()[0]);
        batch.flatten(1, 3) * 2.0
    });
    assert_eq!(batches, [4, 4, 3]);
    assert_eq!(features, Features::new(images.clone().flatten(1, 3) * 2.0));

    let lost = Features::of(images.clone(), 4, |batch| batch.flatten::<2>(1, 3).narrow(0, 0, 1));
    assert_eq!(lost, Err(QualityError::Batch { found: 1, images: 4 }));
    let mut width = 0;
    let grows = Features::of(images.clone(), 6, |batch| {
        width += 3;
        batch.flatten::<2>(1, 3).narrow(1, 0, width)
    });
    assert_eq!(grows, Err(QualityError::Widths { first: 3, second: 6 }));
    let hole = images.clone().slice_fill([9..10, 1..2, 0..1, 0..1], f32::INFINITY);
    let found = Features::of(hole, 4, |batch| batch.flatten(1, 3));
    let expected = QualityError::NotFinite { row: 9, column: 9, value: f64::INFINITY };
    assert_eq!(found, Err(expected));
    assert!(matches!(
        Features::of(images, 0, |batch| batch.flatten(1, 3)),
        Err(QualityError::Invalid(_))
    ));
}

#[test]
fn what_cannot_be_measured_is_refused() {
    let said = |error: QualityError| error.to_string();
    let of = |rows, width, values: &[f64]| Features::from_values(rows, width, values.to_vec());
    let refused = |rows, width, values: &[f64]| said(of(rows, width, values).unwrap_err());
    assert!(refused(0, 3, &[]).contains("[0, 3]"));
    assert!(refused(2, 3, &[0.0; 5]).contains("5 numbers were given for 2 rows of 3"));
    assert!(refused(usize::MAX, 2, &[0.0; 5]).contains("5 numbers"));
    assert!(refused(2, 2, &[0.0, 0.0, f64::NAN, 0.0]).contains("row 1 has NaN in column 0"));
    assert!(refused(1, 1, &[1e31]).contains("±1e30"));
    let empty = Tensor::<2>::zeros([0, 4], &Device::flex());
    assert_eq!(Features::new(empty), Err(QualityError::Empty { rows: 0, width: 4 }));

    // Numbers that are just allowed do not overflow.
    let large = of(3, 2, &[1e30, -1e30, 1e30, 1e30, -1e30, 1e30]).unwrap();
    for (name, distance, _) in DISTANCES {
        let found = distance(&large, &moved(&large, 1.0)).unwrap();
        assert!(found.is_finite(), "{name}: {found}");
    }

    let (one, two, wide) =
        (of(1, 1, &[1.0]).unwrap(), normal(2, 1, 0.0, 1.0, 1), normal(9, 2, 0.0, 1.0, 1));
    for (name, distance, _) in DISTANCES {
        let error = distance(&two, &wide).unwrap_err();
        assert_eq!(error, QualityError::Widths { first: 1, second: 2 }, "{name}");
    }
    assert!(said(Support::of(&two, &wide, 1).unwrap_err()).contains("same network"));
    assert!(said(nearest(&two, &wide).unwrap_err()).contains("same network"));
    for distance in [frechet_distance, kernel_distance] {
        let error = distance(&two, &one).unwrap_err();
        assert!(matches!(error, QualityError::TooFew { least: 2, found: 1, .. }), "{error}");
    }
    assert!(said(Support::of(&wide, &wide, 9).unwrap_err()).contains("10 rows or more"));
    assert!(said(Support::of(&wide, &wide, 0).unwrap_err()).contains("number of neighbours is 0"));
    assert!(matches!(
        Support::of(&wide, &wide, usize::MAX),
        Err(QualityError::TooFew { least: usize::MAX, .. })
    ));
    let subsets = |subsets, size| {
        said(KernelDistance { subsets, size, seed: 0 }.between(&wide, &wide).unwrap_err())
    };
    assert!(subsets(1, 4).contains("number of subsets is 1"));
    assert!(subsets(2, 1).contains("size of the subsets is 1"));
    assert!(subsets(2, 10).contains("10 rows or more in each set, but one has 9"));
    let sliced = |directions, order| {
        let sliced = SlicedWasserstein { directions, order, seed: 0 };
        said(sliced.between(&wide, &wide).unwrap_err())
    };
    assert!(sliced(0, 2.0).contains("directions is 0"));
    assert!(sliced(1, f64::NAN).contains("order of the distance is NaN"));
    assert!(said(class_distances(&two, &[1]).unwrap_err()).contains("1 labels"));
    assert!(said(class_distances(&two, &[1, 2]).unwrap_err()).contains("2 rows or more"));
    assert!(said(two.part(1..3).unwrap_err()).contains("1..3"));
    assert!(said(two.part(1..1).unwrap_err()).contains("1..1"));
    assert!(two.clone().joined(wide.clone()).is_err());

    let gaussian = |mean: &[f64], covariance: &[f64]| {
        said(Gaussian::new(mean.to_vec(), covariance.to_vec()).unwrap_err())
    };
    assert!(gaussian(&[], &[]).contains("[1, 0]"));
    assert!(gaussian(&[0.0, 0.0], &[1.0]).contains("1 numbers"));
    assert!(gaussian(&[f64::NAN], &[1.0]).contains("mean is NaN"));
    assert!(gaussian(&[0.0], &[f64::INFINITY]).contains("covariance is inf"));
    assert!(gaussian(&[0.0], &[-1.0]).contains("variance is -1"));
    assert!(gaussian(&[0.0, 0.0], &[1.0, 0.5, 0.4, 1.0]).contains("0.5 at [0, 1]"));
}

/// Layers after a ReLU have features that are hardly ever not 0: variances far below the rounding of
/// others, whose products underflow.
#[test]
fn features_that_hardly_vary_do_not_spoil_the_frechet_distance() {
    let width = 64;
    let rows = normal(200, width, 0.0, 1.0, 3);
    for decades in [1, 2, 3, 4] {
        let graded: Vec<f64> = rows
            .iter()
            .flat_map(|row| {
                let scaled = |(k, value)| value * 10_f64.powi(-(k as i32) * decades);
                row.iter().enumerate().map(scaled).collect::<Vec<f64>>()
            })
            .collect();
        let doubled = graded.iter().map(|value| 2.0 * value).collect();
        let one = Gaussian::of(&Features::from_values(200, width, graded).unwrap()).unwrap();
        let other = Gaussian::of(&Features::from_values(200, width, doubled).unwrap()).unwrap();
        let trace: f64 = one.covariance().iter().step_by(width + 1).sum();
        let mean: f64 = one.mean().iter().map(|mean| mean * mean).sum();
        // Tr(Σ + 4Σ − 2 · 2Σ), and the square of the mean, which doubles.
        for distance in [one.distance(&other).unwrap(), other.distance(&one).unwrap()] {
            assert_relative_eq!(distance, trace + mean, max_relative = 1e-7);
        }
    }
}
