//! The integrals used by the multistep methods.

/// `μ_k = ∫₀¹ e^(es) s^k ds / ∫₀¹ e^(es) ds` for k = 0 … 3: the moments of an exponential weight
/// on a step from s = 0 to s = 1. With e = 0 they are 1/(k + 1).
pub(crate) fn moments(e: f64) -> [f64; 4] {
    let integral: [f64; 4] = if e.abs() < 1.0 {
        // Σ_j e^j / (j! (j + k + 1)); integration by parts would cancel.
        std::array::from_fn(|k| {
            let (mut term, mut sum) = (1.0, 0.0);
            for j in 0..20 {
                sum += term / (j + k + 1) as f64;
                term *= e / (j + 1) as f64;
            }
            sum
        })
    } else {
        // Integration by parts, with both ends scaled so that neither overflows.
        let (start, end) = ((-e.max(0.0)).exp(), (e - e.max(0.0)).exp());
        let mut last = (end - start) / e;
        std::array::from_fn(|k| {
            if k > 0 {
                last = (end - k as f64 * last) / e;
            }
            last
        })
    };
    integral.map(|value| value / integral[0])
}

/// The weights of values at `nodes` in the mean of their interpolating polynomial, under a weight
/// with these moments: `w_i = Σ_k ℓ_ik μ_k`, where `Σ_k ℓ_ik s^k` is the i-th Lagrange polynomial.
/// They add up to 1.
pub(crate) fn weights(nodes: &[f64], moments: [f64; 4]) -> Vec<f64> {
    let weight = |i: usize| {
        let mut polynomial = vec![1.0];
        for (j, &node) in nodes.iter().enumerate().filter(|&(j, _)| j != i) {
            debug_assert!(j < 4, "as many nodes as moments at most");
            // Times (s − s_j)/(s_i − s_j).
            let gap = nodes[i] - node;
            let mut product = vec![0.0; polynomial.len() + 1];
            for (k, &c) in polynomial.iter().enumerate() {
                product[k] -= c * node / gap;
                product[k + 1] += c / gap;
            }
            polynomial = product;
        }
        polynomial.iter().zip(moments).map(|(c, moment)| c * moment).sum()
    };
    (0..nodes.len()).map(weight).collect()
}
