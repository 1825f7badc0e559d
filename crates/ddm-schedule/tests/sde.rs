//! The SDE of a schedule, and the ladder of score networks.

use ddm_schedule::{
    Cosine, Edm, GeometricSigmas, Grid, LinearVp, NoiseSchedule, RectifiedFlow, ScheduleError,
    Shift, Shifted, SubVp, Trailing, VarianceExploding,
};
use statrs::distribution::{ContinuousCDF, Normal};

/// α and σ alone: everything else by default.
struct Bare<S>(S);

impl<S: NoiseSchedule> NoiseSchedule for Bare<S> {
    fn alpha_sigma(&self, t: f64) -> (f64, f64) {
        self.0.alpha_sigma(t)
    }
}

#[track_caller]
fn close(found: f64, expected: f64, tolerance: f64) {
    assert!((found / expected - 1.0).abs() <= tolerance, "{found}, not {expected}");
}

/// β(t) of the default VP process.
fn beta(t: f64) -> f64 {
    0.1 + 19.9 * t
}

/// Song et al., eq. 9, 11 and 12.
#[test]
fn the_sdes_are_those_of_the_paper() {
    for t in [0.0, 0.001, 0.2, 0.7, 1.0] {
        let (vp, sub, ve) = (LinearVp::default(), SubVp::default(), VarianceExploding::default());
        close(vp.drift(t), -0.5 * beta(t), 1e-14);
        close(vp.diffusion(t), beta(t).sqrt(), 1e-14);
        close(sub.drift(t), -0.5 * beta(t), 1e-14);
        let integral = 0.1 * t + 0.5 * 19.9 * t * t;
        let of_sub = (beta(t) * -(-2.0 * integral).exp_m1()).sqrt();
        assert!((sub.diffusion(t) - of_sub).abs() < 1e-14);
        assert_eq!(ve.drift(t), 0.0);
        // eq. 30's SDE: g = σ_min (σ_max/σ_min)^t √(2 ln(σ_max/σ_min))
        let g = 0.01 * 5000_f64.powf(t) * (2.0 * 5000_f64.ln()).sqrt();
        close(ve.diffusion(t), g, 1e-12);
    }
}

/// A schedule, and the same by α and σ alone.
type Pair = (&'static str, Box<dyn NoiseSchedule>, Box<dyn NoiseSchedule>);

fn pair<S: NoiseSchedule + Copy + 'static>(name: &'static str, schedule: S) -> Pair {
    (name, Box::new(schedule), Box::new(Bare(schedule)))
}

fn smooth() -> Vec<Pair> {
    vec![
        pair("VP", LinearVp::default()),
        pair("sub-VP", SubVp::default()),
        pair("VE", VarianceExploding::default()),
        pair("cosine", Cosine::default()),
        pair("flow", RectifiedFlow),
        pair("EDM", Edm::default()),
        pair("shifted flow", Shifted::flow(Shift::new(3.0).unwrap())),
        pair("shifted cosine", Shifted::new(Cosine::default(), Shift::new(0.4).unwrap())),
    ]
}

#[test]
fn closed_forms_are_the_derivatives() {
    for (name, closed, bare) in smooth() {
        for t in [0.01, 0.2, 0.5, 0.8, 0.95] {
            println!("{name} at {t}");
            assert!((closed.drift(t) - bare.drift(t)).abs() < 1e-6 * (1.0 + closed.drift(t).abs()));
            close(bare.diffusion(t), closed.diffusion(t), 1e-6);
        }
        // Also through a pointer, and at the very begin.
        let pointer: &dyn NoiseSchedule = &closed;
        assert_eq!(
            (pointer.drift(0.3), pointer.diffusion(0.3)),
            (closed.drift(0.3), closed.diffusion(0.3))
        );
        let (found, expected) = (bare.diffusion(0.0), closed.diffusion(0.0));
        assert!((found - expected).abs() < 1e-4 * (1.0 + expected), "{name}: {found} at 0");
    }
    assert_eq!(Bare(RectifiedFlow).drift(1.0), f64::NEG_INFINITY);
    assert_eq!(RectifiedFlow.drift(1.0), f64::NEG_INFINITY);
}

/// Integrating the two moments of `dx = f x dt + g dw` from the data gives α and σ back.
#[test]
fn the_sde_makes_the_marginals() {
    for (name, schedule, _) in smooth() {
        let (start, end, n) = (0.05, 0.9, 200_000);
        let (mut alpha, mut sigma) = schedule.alpha_sigma(start);
        let dt = (end - start) / f64::from(n);
        for i in 0..n {
            let t = start + (f64::from(i) + 0.5) * dt;
            let (f, g) = (schedule.drift(t), schedule.diffusion(t));
            alpha *= (f * dt).exp();
            sigma = ((2.0 * f * dt).exp() * sigma * sigma + g * g * dt).sqrt();
        }
        let expected = schedule.alpha_sigma(end);
        println!("{name}: {alpha} {sigma}, {expected:?}");
        close(alpha, expected.0, 1e-4);
        close(sigma, expected.1, 1e-4);
    }
}

#[test]
fn the_ladder_is_geometric() {
    let ladder = GeometricSigmas::new(0.01, 1.0, 10).unwrap();
    let levels = Trailing.levels(&ladder, 10).unwrap();
    assert_eq!((levels[0].sigma, levels[9].sigma, levels[10].sigma), (1.0, 0.01, 0.0));
    for i in 0..9 {
        close(levels[i].sigma / levels[i + 1].sigma, ladder.ratio(), 1e-12);
        assert_eq!((levels[i].alpha, levels[i].timestep), (1.0, (9 - i) as f64));
    }
    close(ladder.ratio(), 100_f64.powf(1.0 / 9.0), 1e-12);
    // Between its rows it is the continuous process: g = σ √(2 dln σ/dt).
    let g = ladder.diffusion(0.55);
    close(g, ladder.alpha_sigma(0.55).1 * (2.0 * 10.0 * ladder.ratio().ln()).sqrt(), 1e-6);
}

/// NCSNv2, technique 2.
#[test]
fn the_ladders_of_ncsn_v2_overlap_by_half() {
    let normal = Normal::new(0.0, 1.0).unwrap();
    let overlap = |gamma: f64, dimensions: usize| {
        let root = (2.0 * dimensions as f64).sqrt();
        let [low, high] = [-3.0, 3.0].map(|k| root * (gamma - 1.0) + k * gamma);
        normal.cdf(high) - normal.cdf(low)
    };
    for dimensions in [5, 8, 64, 784, 3072, 12288] {
        // A ladder of 10⁶ rungs' range has the exact ratio nearly.
        let ladder = GeometricSigmas::ncsn_v2(1e-300, 1e300, dimensions).unwrap();
        let rungs = ladder.steps().unwrap() as f64;
        println!("{dimensions}: {} {}", ladder.ratio(), overlap(ladder.ratio(), dimensions));
        let found = overlap(ladder.ratio(), dimensions);
        // The number of levels is whole: the ratio is at most 1/rungs below the exact.
        assert!(found >= 0.5 - 1e-8, "{found}");
        let coarser = (600.0 * 10_f64.ln() / (rungs - 2.0)).exp();
        assert!(overlap(coarser, dimensions) < 0.5, "{}", overlap(coarser, dimensions));
    }
    // The published ladder of CIFAR-10: 232 levels from 0.01 to 50.
    let published = GeometricSigmas::new(0.01, 50.0, 232).unwrap();
    assert!((overlap(published.ratio(), 3072) - 0.567).abs() < 1e-3);
    assert_eq!(GeometricSigmas::ncsn_v2(0.01, 50.0, 3072).unwrap().steps(), Some(220));
}

#[test]
fn senseless_ladders_are_refused() {
    let said = |ladder: Result<GeometricSigmas, ScheduleError>| ladder.unwrap_err().to_string();
    assert!(said(GeometricSigmas::new(0.0, 1.0, 10)).contains("sigma_min is 0"));
    assert!(said(GeometricSigmas::new(2.0, 1.0, 10)).contains("below sigma_max"));
    assert!(said(GeometricSigmas::new(0.1, f64::INFINITY, 10)).contains("sigma_max is inf"));
    assert!(said(GeometricSigmas::new(0.1, 1.0, 1)).contains("steps is 1"));
    assert!(said(GeometricSigmas::ncsn_v2(0.1, 1.0, 4)).contains("dimensions is 4"));
    let ladder = GeometricSigmas::new(0.01, 50.0, 232).unwrap();
    let text = serde_json::to_string(&ladder).unwrap();
    assert_eq!(serde_json::from_str::<GeometricSigmas>(&text).unwrap(), ladder);
    let one = r#"{"sigma_min":0.01,"sigma_max":50.0,"steps":1}"#;
    assert!(
        serde_json::from_str::<GeometricSigmas>(one)
            .unwrap_err()
            .to_string()
            .contains("at least 2")
    );
}
