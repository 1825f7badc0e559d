//! The coefficients of every parameterization at the ends of schedules: no noise, no signal.

use std::sync::Arc;

use ddm_denoiser::{
    EdmPrediction, EpsilonPrediction, FlowPrediction, Parameterization, ScaledInput,
    ScorePrediction, VPrediction, X0Prediction,
};
use ddm_schedule::NoiseLevel;

fn level(alpha: f64, sigma: f64) -> NoiseLevel {
    NoiseLevel { timestep: 0.0, alpha, sigma }
}

fn all() -> Vec<Box<dyn Parameterization>> {
    vec![
        Box::new(EpsilonPrediction),
        Box::new(X0Prediction),
        Box::new(VPrediction),
        Box::new(ScorePrediction),
        Box::new(FlowPrediction),
        Box::new(EdmPrediction::default()),
        Box::new(EdmPrediction::new(3.0).unwrap()),
        Box::new(ScaledInput(EpsilonPrediction)),
        Box::new(ScaledInput(X0Prediction)),
    ]
}

/// Without noise x = α x₀: x̂₀ is x/α, or the prediction of x₀ itself.
#[test]
fn x0_is_finite_at_the_data() {
    for parameterization in all() {
        for alpha in [1.0, 0.5] {
            let at = level(alpha, 0.0);
            let (a, b) = parameterization.x0_from(at);
            let name = parameterization.name();
            let expected = if name == "x0" { (0.0, 1.0) } else { (1.0 / alpha, 0.0) };
            assert!((a - expected.0).abs() < 1e-15 && b.abs() == expected.1, "{name}: {a}, {b}");
            assert!(parameterization.input_scale(at).is_finite(), "{name}");
            parameterization.check(at).unwrap();
        }
    }
}

/// Without signal x = σ ε: coefficients are finite, and x̂₀ is right, or the level is refused.
#[test]
fn no_signal_is_right_or_refused() {
    for parameterization in all() {
        let name = parameterization.name();
        for sigma in [1.0, 80.0] {
            let at = level(0.0, sigma);
            let (p, q) = parameterization.target(at);
            let (a, b) = parameterization.x0_from(at);
            assert!(parameterization.input_scale(at).is_finite(), "{name}");
            let refused = parameterization.check(at).is_err();
            assert_eq!(refused, ["epsilon", "score", "EDM"].contains(&name), "{name}");
            if name != "epsilon" && name != "score" {
                assert!((b * p - 1.0).abs() < 1e-12, "{name}: {b} {p}");
                assert!((a * sigma + b * q).abs() < 1e-12, "{name}: {a} {b} {q}");
            }
            assert!(refused || parameterization.time(at).is_finite(), "{name}");
        }
    }
}

/// `x̂₀ = a x + b F` inverts `F = p x₀ + q ε` from α/σ = 10⁻⁵ to 10⁵, at any scale of both.
#[test]
fn x0_comes_back_at_every_ratio_and_scale() {
    for parameterization in all() {
        let name = parameterization.name();
        for ratio in -5..=5 {
            for scale in [1e-3, 1.0, 1e3] {
                let at = level(scale * 10_f64.powi(ratio), scale);
                parameterization.check(at).unwrap();
                let (p, q) = parameterization.target(at);
                let (a, b) = parameterization.x0_from(at);
                let size = 1.0 + (a * at.alpha).abs() + (a * at.sigma).abs();
                let (of_x0, of_noise) = (a * at.alpha + b * p, a * at.sigma + b * q);
                assert!((of_x0 - 1.0).abs() < 1e-12 * size, "{name} at {at:?}: {of_x0}");
                assert!(of_noise.abs() < 1e-12 * size, "{name} at {at:?}: {of_noise}");
            }
        }
    }
}

/// Only the ratio α/σ decides: the score of a variance-exploding process at σ = 1348 has α = 1.
#[test]
fn large_noise_with_signal_is_accepted() {
    for parameterization in all() {
        for sigma in [80.0, 1348.0, 1e5] {
            parameterization.check(level(1.0, sigma)).unwrap();
        }
        let name = parameterization.name();
        let weak = parameterization.check(level(1e-8, 1.0));
        assert_eq!(weak.is_err(), ["epsilon", "score"].contains(&name), "{name}: {weak:?}");
    }
}

/// EDM's table 1 at a level with α = 1.
#[test]
fn edm_is_its_paper() {
    let (sigma_data, s) = (0.5_f64, 2.0_f64);
    let (edm, at) = (EdmPrediction::new(sigma_data).unwrap(), level(1.0, s));
    let square = s * s + sigma_data * sigma_data;
    let (c_skip, c_out) = (sigma_data.powi(2) / square, s * sigma_data / square.sqrt());
    let (a, b) = edm.x0_from(at);
    assert!((a - c_skip).abs() < 1e-15 && (b - c_out).abs() < 1e-15);
    let (p, q) = edm.target(at);
    assert!((p - (1.0 - c_skip) / c_out).abs() < 1e-14 && (q + c_skip * s / c_out).abs() < 1e-14);
    assert!((edm.input_scale(at) - square.sqrt().recip()).abs() < 1e-15);
    assert_eq!(edm.time(at), 0.25 * s.ln());
}

#[test]
fn pointers_are_parameterizations() {
    fn same(pointer: impl Parameterization) {
        let (edm, at) = (EdmPrediction::default(), level(0.6, 0.8));
        assert_eq!((pointer.name(), pointer.target(at)), (edm.name(), edm.target(at)));
        assert_eq!(pointer.x0_from(at), edm.x0_from(at));
        assert_eq!(
            (pointer.time(at), pointer.input_scale(at)),
            (edm.time(at), edm.input_scale(at))
        );
        assert!(pointer.check(level(0.0, 1.0)).is_err());
    }
    let borrowed: &EdmPrediction = &EdmPrediction::default();
    same(borrowed);
    same(Box::new(EdmPrediction::default()) as Box<dyn Parameterization>);
    same(Arc::new(EdmPrediction::default()));
}
