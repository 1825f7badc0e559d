//! Matrix products.

use ddm_kernels::gemm::{Matrix, Panels, Plus, matmul, matmul_transposed};
use proptest::prelude::*;

use crate::compare::{assert_near, channels, numbers, on_any_threads};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn products_are_sums(m in 1usize..230, n in channels(), k in 1usize..600, seed: u64, group in 1usize..5) {
        let (a, b) = (numbers(m * k, 0.0, seed), numbers(k * n, 0.0, seed ^ 1));
        let (bias, residual) = (numbers(n, 0.0, seed ^ 2), numbers(m * n, 0.0, seed ^ 3));
        let shift = numbers(m.div_ceil(group) * n, 0.0, seed ^ 4);
        let plus =
            Plus { bias: Some(&bias), per_group: Some((&shift, group)), residual: Some(&residual) };
        let product = |i: usize, j: usize| -> f64 {
            (0..k).map(|p| f64::from(a[i * k + p]) * f64::from(b[p * n + j])).sum()
        };
        let expected: Vec<f64> = (0..m * n)
            .map(|e| {
                let (i, j) = (e / n, e % n);
                let added = bias[j] + shift[i / group * n + j];
                product(i, j) + f64::from(added) + f64::from(residual[e])
            })
            .collect();
        let panels = Panels::pack(Matrix::new(&b, n));
        let run = || {
            let mut out = vec![f32::NAN; m * n];
            matmul(Matrix::new(&a, k), &panels, &mut out, plus);
            out
        };
        assert_near(&on_any_threads(run), &expected, 2e-6, "element");
    }

    #[test]
    fn transposed_products_are_sums(rows in 1usize..3000, m in channels(), n in channels(), seed: u64) {
        let (a, b) = (numbers(rows * m, 0.0, seed), numbers(rows * n, 0.0, seed ^ 1));
        let expected: Vec<f64> = (0..m * n)
            .map(|e| {
                let (i, j) = (e / n, e % n);
                (0..rows).map(|r| f64::from(a[r * m + i]) * f64::from(b[r * n + j])).sum()
            })
            .collect();
        let run = || {
            let mut out = vec![f32::NAN; m * n];
            matmul_transposed(Matrix::new(&a, m), Matrix::new(&b, n), &mut out);
            out
        };
        assert_near(&on_any_threads(run), &expected, 4e-6, "element");
        // The same product from a transposed and packed view.
        let mut out = vec![f32::NAN; m * n];
        let panels = Panels::pack(Matrix::new(&b, n));
        matmul(Matrix::new(&a, m).transposed(), &panels, &mut out, Plus::default());
        assert_near(&out, &expected, 4e-6, "element of the view");
    }
}
