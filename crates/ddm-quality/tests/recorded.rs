//! The measures against numbers of numpy and scipy (`testdata/record_quality.py`).

use approx::assert_relative_eq;
use ddm_quality::{
    Features, SlicedWasserstein, Support, energy_distance, frechet_distance, kernel_distance,
    mean_distance, nearest,
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Record {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    width: usize,
    x: Vec<f64>,
    y: Vec<f64>,
    frechet: f64,
    kernel: f64,
    energy: f64,
    support: Vec<Balls>,
    mean_distance: [f64; 2],
    nearest: Nearest,
    wasserstein_1: Option<f64>,
}

#[derive(Deserialize)]
struct Balls {
    k: usize,
    precision: f64,
    recall: f64,
    density: f64,
    coverage: f64,
}

#[derive(Deserialize)]
struct Nearest {
    index: Vec<usize>,
    distance: Vec<f64>,
}

fn features(width: usize, values: &[f64]) -> Features {
    Features::from_values(values.len() / width, width, values.to_vec()).unwrap()
}

#[test]
fn measures_are_those_of_numpy_and_scipy() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/quality.json");
    let record: Record = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(record.cases.len(), 4);
    for case in record.cases {
        let (x, y) = (features(case.width, &case.x), features(case.width, &case.y));
        let close = |what: &str, found: f64, expected: f64, bound: f64| {
            let error = (found - expected).abs() / expected.abs();
            println!("{}: {what} {found}, relative error {error:.1e}", case.name);
            assert!(error <= bound, "{}: {what} is {found}, not {expected}", case.name);
        };
        // The product of singular covariances has eigenvalues that are 0 but for rounding, whose roots
        // count; in scipy as well.
        let bound = if x.rows() > x.width() { 1e-12 } else { 1e-6 };
        close("frechet", frechet_distance(&x, &y).unwrap(), case.frechet, bound);
        close("kernel", kernel_distance(&x, &y).unwrap(), case.kernel, 1e-12);
        close("energy", energy_distance(&x, &y).unwrap(), case.energy, 1e-12);
        for (set, expected) in [&x, &y].into_iter().zip(case.mean_distance) {
            close("mean distance", mean_distance(set).unwrap(), expected, 1e-13);
        }
        for Balls { k, precision, recall, density, coverage } in case.support {
            let found = Support::of(&x, &y, k).unwrap();
            let found = [found.precision, found.recall, found.density, found.coverage];
            for (found, expected) in found.into_iter().zip([precision, recall, density, coverage]) {
                assert_relative_eq!(found, expected, max_relative = 1e-14);
            }
        }
        let neighbours = nearest(&y, &x).unwrap();
        let expected = case.nearest.index.iter().zip(&case.nearest.distance);
        for (neighbour, (index, distance)) in neighbours.iter().zip(expected) {
            assert_eq!(neighbour.index, *index);
            assert_relative_eq!(neighbour.distance, *distance, max_relative = 1e-13);
        }
        if let Some(expected) = case.wasserstein_1 {
            // In one dimension all directions say the same.
            let sliced = SlicedWasserstein { directions: 3, order: 1.0, seed: 1 };
            close("wasserstein", sliced.between(&x, &y).unwrap(), expected, 1e-13);
        }
    }
}
