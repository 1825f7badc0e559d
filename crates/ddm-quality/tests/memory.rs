//! The memory of the measures does not grow with the square of the number of rows.

#![cfg(target_os = "linux")]

use ddm_quality::{Features, Support, energy_distance, nearest};

/// Returns the most memory that this process ever held, in MiB.
fn peak() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}

#[test]
fn no_matrix_of_rows_by_rows_is_held() {
    let rows = 12_000;
    // A matrix of distances would have 12,000² · 8 bytes, 1.1 GiB.
    let values = (0..2 * rows).map(|i| (i as f64 * 0.618_033_988_749_895).fract()).collect();
    let points = Features::from_values(rows, 2, values).unwrap();
    let before = peak();
    let energy = energy_distance(&points, &points).unwrap();
    assert!(energy < 1e-12, "{energy}");
    let support = Support::of(&points, &points, 3).unwrap();
    assert_eq!(support.precision, 1.0);
    assert_eq!(nearest(&points, &points).unwrap().len(), rows);
    let more = peak() - before;
    println!("{more:.1} MiB more");
    assert!(more < 64.0, "{more} MiB more");
}
