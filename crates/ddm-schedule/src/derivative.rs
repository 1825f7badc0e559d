//! Numerical derivatives of α and σ in time.

/// Returns df/dt at `t ∈ [0, 1]`: the slope of the parabola through three points 10⁻⁵ apart, with t
/// in the middle or, near the ends of [0, 1], at the edge.
pub(crate) fn derivative(f: impl Fn(f64) -> f64, t: f64) -> f64 {
    const H: f64 = 1e-5;
    let t = t.clamp(0.0, 1.0);
    let middle = t.clamp(H, 1.0 - H);
    let (before, here, after) = (f(middle - H), f(middle), f(middle + H));
    let slope = (after - before) / (2.0 * H);
    if t == middle {
        return slope;
    }
    slope + (t - middle) * (after - 2.0 * here + before) / (H * H)
}
