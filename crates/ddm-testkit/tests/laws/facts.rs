//! Published numbers, and numbers worked out elsewhere.

use ddm_schedule::{BetaTable, Cosine, Grid, Leading, LinearVp, Linspace, NoiseSchedule, Trailing};
use ddm_testkit::compare;

use crate::holds;

#[track_caller]
fn is(found: f64, demanded: f64, relative: f64) {
    assert!((found / demanded - 1.0).abs() <= relative, "{found} is not {demanded}");
}

fn alpha_bar(schedule: &dyn NoiseSchedule, t: f64) -> f64 {
    schedule.level(t).alpha_bar()
}

#[test]
fn the_tables_of_ddpm_and_stable_diffusion_end_where_they_are_known_to() {
    let ddpm = BetaTable::linear(1000, 1e-4, 0.02).unwrap();
    assert_eq!((ddpm.betas()[0], ddpm.betas().len()), (1e-4, 1000));
    is(ddpm.betas()[999], 0.02, 1e-14);
    is(alpha_bar(&ddpm, 1.0), 4.035_829_765_375_675e-5, 1e-12);
    is(alpha_bar(&BetaTable::default(), 1.0), 4.035_829_765_375_675e-5, 1e-12);
    let stable = BetaTable::scaled_linear(1000, 0.00085, 0.012).unwrap();
    is(stable.betas()[0], 0.00085, 1e-12);
    is(stable.betas()[999], 0.012, 1e-12);
    is(alpha_bar(&stable, 1.0), 0.004_660_098_513_077, 1e-12);
}

/// Of `min(1 − f((i+1)/T)/f(i/T), 0.999)`, `f(t) = cos²((t + 0.008)/1.008 · π/2)`, in Python:
/// `f = lambda i: math.cos((i/T + .008)/1.008*math.pi/2)**2; min(1 - f(i+1)/f(i), .999)`.
#[test]
fn the_cosine_table_has_the_betas_of_python() {
    let table = BetaTable::cosine(1000).unwrap();
    for (row, beta) in [
        (0, 4.128_422_482_196_914e-5),
        (1, 4.614_175_273_665_033e-5),
        (250, 0.001_327_223_954_211_809_2),
        (500, 0.003_155_691_441_585_007),
        (998, 0.749_999_392_901_116_6),
        (999, 0.999),
    ] {
        is(table.betas()[row], beta, 1e-10);
    }
    let short = [
        0.027_907_262_886_030_96,
        0.075_493_637_296_722_43,
        0.124_395_986_369_048_47,
        0.177_189_525_401_573_84,
        0.237_281_530_190_524_78,
        0.309_883_440_108_572_16,
        0.404_003_143_039_675_55,
        0.536_998_177_642_885_4,
        0.743_829_366_895_427,
        0.999,
    ];
    for (found, demanded) in BetaTable::cosine(10).unwrap().betas().iter().zip(short) {
        is(*found, demanded, 1e-12);
    }
    is(BetaTable::cosine(2).unwrap().betas()[0], 0.506_156_409_559_362_3, 1e-12);
}

#[test]
fn the_cosine_table_is_the_continuous_cosine_at_its_rows() {
    let (table, cosine) = (BetaTable::cosine(200).unwrap(), Cosine::default());
    for row in 1..200 {
        let t = f64::from(row) / 200.0;
        is(alpha_bar(&table, t), alpha_bar(&cosine, t), 1e-9);
    }
}

/// `exp(−½ ∫ β)` at t = 1 is exp(−5.025), and the linear table of T steps with βs 1/T times as
/// large approaches it.
#[test]
fn the_linear_table_approaches_the_continuous_process() {
    let vp = LinearVp::default();
    is(vp.alpha_sigma(1.0).0, (-5.025_f64).exp(), 1e-12);
    let table = BetaTable::linear(100_000, 0.1e-5, 20e-5).unwrap();
    for t in [0.1, 0.5, 0.9] {
        is(table.alpha_sigma(t).0, vp.alpha_sigma(t).0, 1e-3);
    }
}

fn rows(grid: &dyn Grid, schedule: &dyn NoiseSchedule, steps: usize) -> Vec<f64> {
    let levels = grid.levels(schedule, steps).unwrap();
    levels[..steps].iter().map(|level| level.timestep).collect()
}

#[test]
fn grids_visit_the_rows_of_diffusers() {
    let ddpm = BetaTable::default();
    let stride = |first: f64| (0..10).map(|i| first - 100.0 * f64::from(i)).collect::<Vec<_>>();
    assert_eq!(rows(&Leading { offset: 0 }, &ddpm, 10), stride(900.0));
    assert_eq!(rows(&Leading { offset: 1 }, &ddpm, 10), stride(901.0));
    assert_eq!(rows(&Trailing, &ddpm, 10), stride(999.0));
    let linspace: Vec<f64> = (0..10).rev().map(|i| 111.0 * f64::from(i)).collect();
    assert_eq!(rows(&Linspace, &ddpm, 10), linspace);
    // T/n not whole: np.round(np.arange(1000, 0, -1000/7)) - 1, 1000 // 7, and
    // np.linspace(0, 999, 7).round()[::-1], which rounds halves to even.
    assert_eq!(rows(&Trailing, &ddpm, 7), [999.0, 856.0, 713.0, 570.0, 428.0, 285.0, 142.0]);
    let leading = [852.0, 710.0, 568.0, 426.0, 284.0, 142.0, 0.0];
    assert_eq!(rows(&Leading { offset: 0 }, &ddpm, 7), leading);
    assert_eq!(rows(&Linspace, &ddpm, 7), [999.0, 832.0, 666.0, 500.0, 333.0, 166.0, 0.0]);
    let ten = BetaTable::cosine(10).unwrap();
    assert_eq!(rows(&Trailing, &ten, 4), [9.0, 7.0, 4.0, 1.0]);
    assert_eq!(rows(&Linspace, &ten, 3), [9.0, 4.0, 0.0]);
}

#[test]
fn grids_visit_a_continuous_schedule_as_if_it_had_1000_rows() {
    let visits = |grid: &dyn Grid, demanded: [f64; 4]| {
        let found = rows(grid, &Cosine::default(), 4);
        holds(compare::close("timesteps", &found, &demanded, 1e-12));
    };
    visits(&Trailing, [1000.0, 750.0, 500.0, 250.0]);
    visits(&Leading { offset: 0 }, [751.0, 501.0, 251.0, 1.0]);
    visits(&Linspace, [1000.0, 667.0, 334.0, 1.0]);
}
