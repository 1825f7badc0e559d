//! Schedules, spacings and grids: their laws, published numbers, and what is refused.
//!
//! Facts of diffusers 0.42.1 (f32) stand beside the Python call that gave them; torch and scipy
//! facts marked f64 were computed in double precision. (Where 1 − ᾱ is small, f32 costs diffusers
//! digits: its σ_min of `SD` is off by 1.3e-5.) `SD` is
//! `dict(beta_schedule='scaled_linear', beta_start=.00085, beta_end=.012)`.

use ddm_schedule::{
    BetaSpaced, BetaTable, Cosine, Edm, Exponential, FinalSigmaMin, GeometricSigmas, Grid,
    GridError, Karras, Leading, Levels, LinearVp, Linspace, NoiseLevel, NoiseSchedule,
    RectifiedFlow, ResolutionShift, ScheduleError, Shift, Shifted, Stretched, SubVp, Trailing,
    VarianceExploding, spacing,
};
use proptest::prelude::*;

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn stable_diffusion() -> BetaTable {
    BetaTable::scaled_linear(1000, 0.00085, 0.012).unwrap()
}

fn all() -> Vec<(&'static str, Box<dyn NoiseSchedule>)> {
    let zero = stable_diffusion().zero_terminal_snr().unwrap();
    let ddpm_zero = BetaTable::default().zero_terminal_snr().unwrap();
    vec![
        ("sigmoid", Box::new(BetaTable::sigmoid(1000, 1e-4, 0.02).unwrap())),
        ("laplace", Box::new(BetaTable::laplace(1000).unwrap())),
        ("exponential", Box::new(BetaTable::exponential(1000).unwrap())),
        ("cosine table", Box::new(BetaTable::cosine(1000).unwrap())),
        ("zero SNR", Box::new(zero.clone())),
        (
            "zero SNR of cosine",
            Box::new(BetaTable::cosine(50).unwrap().zero_terminal_snr().unwrap()),
        ),
        ("finite", Box::new(zero.with_finite_sigma().unwrap())),
        ("finite DDPM", Box::new(ddpm_zero.with_finite_sigma().unwrap())),
        (
            "finite of one row",
            Box::new(BetaTable::new([1.0]).unwrap().with_finite_sigma().unwrap()),
        ),
        ("cosine", Box::new(Cosine::default())),
        ("linear VP", Box::new(LinearVp::default())),
        ("sub-VP", Box::new(SubVp::default())),
        ("falling sub-VP", Box::new(SubVp::new(3.0, 0.5).unwrap())),
        ("VE", Box::new(VarianceExploding::default())),
        ("ladder", Box::new(GeometricSigmas::new(0.01, 50.0, 30).unwrap())),
        ("EDM", Box::new(Edm::default())),
        ("EDM, rho 1", Box::new(Edm::new(0.1, 3.0, 1.0).unwrap())),
        ("flow", Box::new(RectifiedFlow)),
        ("SD3", Box::new(Shifted::flow(Shift::new(3.0).unwrap()))),
        ("shift to data", Box::new(Shifted::flow(Shift::new(0.2).unwrap()))),
        ("shifted cosine", Box::new(Shifted::new(Cosine::default(), Shift::new(2.0).unwrap()))),
    ]
}

fn ratios(levels: &Levels) -> Vec<f64> {
    levels.iter().map(|level| level.sigma / level.alpha).collect()
}

/// Relative to the greatest expected value at most `tolerance`.
#[track_caller]
fn assert_close(found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        let error = (found - expected).abs();
        assert!(
            error <= tolerance * expected.abs() || error <= 1e-14,
            "[{i}]: found {found}, expected {expected}"
        );
    }
}

#[test]
fn noise_rises_from_the_data() {
    for (name, schedule) in all() {
        let (alpha, sigma) = schedule.alpha_sigma(0.0);
        assert!((alpha - 1.0).abs() < 1e-12 && sigma < 0.11, "{name}: {alpha}, {sigma} at 0");
        let mut before = f64::INFINITY;
        for i in 0..=3000 {
            let t = f64::from(i) / 3000.0;
            let (alpha, sigma) = schedule.alpha_sigma(t);
            assert!(alpha.is_finite() && sigma.is_finite() && alpha >= 0.0 && sigma >= 0.0);
            let lambda = schedule.lambda(t);
            assert!(i == 0 || lambda < before, "{name}: lambda {before} then {lambda} at {t}");
            before = lambda;
        }
    }
}

#[test]
fn time_inverts_lambda_and_timestep() {
    for (name, schedule) in all() {
        for i in 1..1000 {
            let t = f64::from(i) / 1000.0;
            let back = schedule.time_at(schedule.lambda(t));
            assert!((back - t).abs() < 1e-7, "{name}: {t} came back as {back}");
            let lambda = schedule.level_at(schedule.lambda(t)).lambda();
            let off = (lambda - schedule.lambda(t)).abs();
            assert!(off < 1e-9 * (1.0 + lambda.abs()), "{name}: lambda off by {off} at {t}");
            let time = schedule.time_of(schedule.timestep(t));
            assert!((time - t).abs() < 1e-9, "{name}: timestep of {t} means {time}");
        }
        for lambda in [f64::INFINITY, 800.0, -800.0, f64::NEG_INFINITY] {
            let end = if lambda > 0.0 { 0.0 } else { 1.0 };
            let t = schedule.time_at(lambda);
            assert!((t - end).abs() < 1e-9, "{name}: time {t} at lambda {lambda}");
        }
    }
}

const ROWS: [usize; 7] = [0, 1, 250, 500, 750, 998, 999];

fn at_rows(values: &[f64]) -> Vec<f64> {
    ROWS.map(|row| values[row]).to_vec()
}

#[test]
fn beta_tables_are_those_of_diffusers() -> Outcome {
    // DDPMScheduler(beta_schedule='sigmoid').betas
    let sigmoid = [
        0.00014920519606675953,
        0.00014979831757955253,
        0.001046478282660246,
        0.010079878382384777,
        0.019064290449023247,
        0.019950199872255325,
        0.01995079591870308,
    ];
    assert_close(&at_rows(BetaTable::sigmoid(1000, 1e-4, 0.02)?.betas()), &sigmoid, 2e-6);
    // betas_for_alpha_bar(1000, alpha_transform_type='laplace')
    let laplace = [
        0.021153757348656654,
        0.008747813291847706,
        0.0004135429335292429,
        0.0002500313858035952,
        0.0005870309541933239,
        0.15162965655326843,
        0.847252607345581,
    ];
    assert_close(&at_rows(BetaTable::laplace(1000)?.betas()), &laplace, 1e-7);
    // betas_for_alpha_bar(1000, alpha_transform_type='exp')
    let exponential = [0.011928287334740162; 7];
    assert_close(&at_rows(BetaTable::exponential(1000)?.betas()), &exponential, 1e-7);
    // betas_for_alpha_bar(10, alpha_transform_type='exp')[0]: 1 − e^(−1.2); and the cap
    assert_close(&BetaTable::exponential(1)?.betas()[..1], &[0.999], 0.0);
    Ok(())
}

#[test]
fn zero_terminal_snr_is_algorithm_1() -> Outcome {
    let table = stable_diffusion().zero_terminal_snr()?;
    // f64: rescale_zero_terminal_snr(linspace(.00085**.5, .012**.5, 1000)**2)
    let betas = [
        0.0008500000000000174,
        0.0009173335933720939,
        0.0026475394416827225,
        0.005530567784482576,
        0.011225446417571616,
        0.751137004176492,
        1.0,
    ];
    assert_close(&at_rows(table.betas()), &betas, 1e-10);
    // … and torch.cumprod(1 - betas, 0)
    let alpha_bars = [
        0.99915,
        0.9982334461401823,
        0.6524570153414769,
        0.24101878275731575,
        0.03279911812874219,
        1.967888056621292e-07,
        0.0,
    ];
    let found = ROWS.map(|row| table.level((row + 1) as f64 / 1000.0).alpha_bar());
    assert_close(&found, &alpha_bars, 1e-10);
    assert_eq!(table.alpha_sigma(1.0), (0.0, 1.0));

    // DPMSolverMultistepScheduler(**SD, use_karras_sigmas=True, rescale_betas_zero_snr=True)
    //     .set_timesteps(5).sigmas
    let finite = table.clone().with_finite_sigma()?;
    assert_eq!(finite.betas()[..999], table.betas()[..999]);
    let karras =
        [4096.0, 829.2451782226562, 104.33445739746094, 5.417022228240967, 0.029167535, 0.0];
    assert_close(&ratios(&Karras::default().levels(&finite, 5)?), &karras, 2e-5);
    // Nothing to do where sigma is finite already.
    assert_eq!(stable_diffusion().with_finite_sigma()?, stable_diffusion());
    // Rows with less signal than the floor are raised too, the others kept.
    let raised = BetaTable::default().zero_terminal_snr()?.with_finite_sigma()?;
    assert!((raised.level(1.0).alpha_bar() * 2_f64.powi(24) - 1.0).abs() < 1e-9);
    assert_eq!(raised.betas()[..990], BetaTable::default().zero_terminal_snr()?.betas()[..990]);

    let one_row = BetaTable::new([0.5])?.zero_terminal_snr().unwrap_err();
    assert_eq!(one_row.to_string(), "steps is 1, but must be at least 2 for zero terminal SNR");
    Ok(())
}

#[test]
fn spaced_grids_are_those_of_diffusers() -> Outcome {
    let sd = stable_diffusion();
    // DPMSolverMultistepScheduler(**SD, use_karras_sigmas=True).set_timesteps(8): sigmas, timesteps
    let karras =
        [14.61465, 7.902945, 4.027746, 1.910363, 0.8288717, 0.3211217, 0.1071994, 0.02916753, 0.0];
    let levels = Karras::default().levels(&sd, 8)?;
    assert_close(&ratios(&levels), &karras, 2e-5);
    let rows: Vec<f64> = levels[..8].iter().map(|level| level.timestep.round()).collect();
    assert_eq!(rows, [999.0, 890.0, 746.0, 549.0, 299.0, 90.0, 12.0, 0.0]);
    // use_exponential_sigmas=True, and use_lu_lambdas=True to 1e-6
    let even =
        [14.61465, 6.012983, 2.473954, 1.017872, 0.4187886, 0.1723044, 0.07089214, 0.02916753, 0.0];
    assert_close(&ratios(&Exponential.levels(&sd, 8)?), &even, 2e-5);
    // use_beta_sigmas=True
    let beta =
        [14.61465, 13.57701, 11.45177, 8.759599, 5.884216, 3.19205, 1.066808, 0.02916753, 0.0];
    assert_close(&ratios(&BetaSpaced::default().levels(&sd, 8)?), &beta, 2e-5);
    // EDMEulerScheduler().set_timesteps(5): sigmas, timesteps
    let edm = [80.0, 17.52783203125, 2.51521897315979, 0.16975276172161102, 0.002, 0.0];
    let timesteps = [
        1.0955066680908203,
        0.7159475088119507,
        0.23058997094631195,
        -0.4433530569076538,
        -1.553652048110962,
    ];
    let levels = Karras::default().levels(&Edm::default(), 5)?;
    assert_close(&ratios(&levels), &edm, 1e-6);
    let timesteps_of_levels: Vec<f64> = levels[..5].iter().map(|level| level.timestep).collect();
    assert_close(&timesteps_of_levels, &timesteps, 1e-6);
    assert_close(&ratios(&Levels::at_timesteps(&Edm::default(), timesteps_of_levels)?), &edm, 1e-6);
    Ok(())
}

#[test]
fn beta_quantiles_are_those_of_scipy() -> Outcome {
    // f64: scipy.stats.beta.ppf(1 - i/10, a, b), i = 0 … 10
    let facts = [
        (
            (0.6, 0.6),
            [
                1.0,
                0.9604155944112192,
                0.8770782495416671,
                0.7659829961247643,
                0.6372990092467856,
                0.5,
                0.3627009907532143,
                0.23401700387523572,
                0.12292175045833284,
                0.03958440558878084,
                0.0,
            ],
        ),
        (
            (0.3, 2.0),
            [
                1.0,
                0.40822369358398575,
                0.2396071718045648,
                0.14192394634333333,
                0.08090525451010591,
                0.04276750690589219,
                0.019971443958007762,
                0.007582194087735674,
                0.001954077401753816,
                0.00019360660633889172,
                0.0,
            ],
        ),
        (
            (5.0, 1.5),
            [
                1.0,
                0.945754486362118,
                0.9085109376312829,
                0.8729164202758497,
                0.836541838760814,
                0.7977508703519338,
                0.7547030229520956,
                0.7045614627530667,
                0.6416756919657248,
                0.549963664839872,
                0.0,
            ],
        ),
    ];
    for ((alpha, beta), expected) in facts {
        assert_close(&spacing::beta(11, 1.0, 1e-300, alpha, beta)?, &expected, 1e-11);
    }
    // alpha = beta = 1 is the uniform distribution.
    assert_close(&spacing::beta(5, 4.0, 1e-300, 1.0, 1.0)?, &[4.0, 3.0, 2.0, 1.0, 0.0], 1e-14);
    Ok(())
}

#[test]
fn flow_shifts_are_those_of_diffusers() -> Outcome {
    let sigmas = |levels: Levels| levels.iter().map(|level| level.sigma).collect::<Vec<f64>>();
    // FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True).set_timesteps(5, mu=1.15)
    let flux = Shifted::flow(Shift::exponential(1.15)?);
    let expected = [
        1.0,
        0.9046458601951599,
        0.759876012802124,
        0.5138424038887024,
        0.0031513916328549385,
        0.0,
    ];
    let levels = Linspace.levels(&flux, 5)?;
    let timesteps_of_levels: Vec<f64> =
        levels.iter().map(|level| level.timestep / 1000.0).collect();
    assert_close(&timesteps_of_levels, &expected, 1e-6);
    assert_close(&sigmas(levels), &expected, 1e-6);
    // (…, time_shift_type='linear').set_timesteps(5, mu=1.15)
    let linear = Shifted::flow(Shift::linear(1.15)?);
    let expected = [
        1.0,
        0.7755131721496582,
        0.5353812575340271,
        0.27790963649749756,
        0.0011498276144266129,
        0.0,
    ];
    assert_close(&sigmas(Linspace.levels(&linear, 5)?), &expected, 1e-6);
    // (use_dynamic_shifting=True, shift_terminal=0.1).set_timesteps(5, mu=0.9)
    let stretched = Stretched::new(Linspace, 0.1)?;
    let schedule = Shifted::flow(Shift::exponential(0.9)?);
    let expected = [1.0, 0.8924481272697449, 0.7395846843719482, 0.5051336288452148, 0.1, 0.0];
    let levels = stretched.levels(&schedule, 5)?;
    let timesteps_of_levels: Vec<f64> =
        levels.iter().map(|level| level.timestep / 1000.0).collect();
    assert_close(&timesteps_of_levels, &expected, 1e-6);
    assert_close(&sigmas(levels), &expected, 1e-6);
    // (shift=3.0).set_timesteps(sigmas=np.linspace(1, 1/5, 5))
    let expected =
        [1.0, 0.9230769872665405, 0.8181818127632141, 0.6666666865348816, 0.4285714626312256, 0.0];
    assert_close(&sigmas(Trailing.levels(&Shifted::flow(Shift::new(3.0)?), 5)?), &expected, 1e-6);
    // [calculate_shift(n) for n in (256, 1024, 4096, 6400)] of pipelines.flux
    let mu = [256, 1024, 4096, 6400].map(|tokens| ResolutionShift::default().mu(tokens));
    assert_close(&mu, &[0.5, 0.63, 1.15, 1.54], 1e-12);
    Ok(())
}

#[test]
fn every_grid_gives_n_falling_steps() -> Outcome {
    let grids: [(&str, Box<dyn Grid>); 7] = [
        ("karras", Box::new(Karras::default())),
        ("exponential", Box::new(Exponential)),
        ("beta", Box::new(BetaSpaced::default())),
        ("karras to sigma_min", Box::new(FinalSigmaMin(Karras::default()))),
        ("trailing to sigma_min", Box::new(FinalSigmaMin(Trailing))),
        ("leading to sigma_min", Box::new(FinalSigmaMin(Leading::default()))),
        ("linspace to sigma_min", Box::new(FinalSigmaMin(Linspace))),
    ];
    for (schedule_name, schedule) in all() {
        if schedule.alpha_sigma(1.0).0 == 0.0 || schedule.steps() == Some(1) {
            continue;
        }
        for (name, grid) in &grids {
            for steps in [1, 2, 7, 25] {
                let levels = grid.levels(&schedule, steps)?;
                assert_eq!(levels.steps(), steps, "{name} on {schedule_name}");
                let ends_clean = levels[steps].sigma == 0.0;
                assert_eq!(ends_clean, !name.ends_with("sigma_min"), "{name} on {schedule_name}");
            }
        }
    }
    Ok(())
}

#[test]
fn runs_start_in_the_middle() -> Outcome {
    let levels = Trailing.levels(&stable_diffusion(), 10)?;
    let rows = |levels: Levels| levels.iter().map(|level| level.timestep).collect::<Vec<f64>>();
    assert_eq!(rows(levels.clone().skip(8)?), [199.0, 99.0, -1.0]);
    assert_eq!(levels.clone().skip(0)?, levels);
    assert_eq!(levels.clone().from_strength(1.0)?, levels);
    assert_eq!(rows(levels.clone().from_strength(0.29)?), [199.0, 99.0, -1.0]);
    assert_eq!(rows(levels.clone().below(levels[8].lambda())?), [199.0, 99.0, -1.0]);
    assert_eq!(levels.clone().below(f64::NEG_INFINITY)?, levels);
    let start = stable_diffusion().level(0.25);
    assert_eq!(rows(levels.clone().starting_at(start)?), [249.0, 199.0, 99.0, -1.0]);
    assert_eq!(rows(levels.clone().starting_at(levels[8])?), [199.0, 99.0, -1.0]);

    assert_eq!(levels.clone().skip(10), Err(GridError::NothingLeft { steps: 10 }));
    for strength in [0.0, -0.5, 1.0001, f64::NAN, f64::INFINITY, 0.05] {
        let error = levels.clone().from_strength(strength).unwrap_err();
        assert!(error.to_string().contains(&format!("strength = {strength} of 10 steps")));
    }
    assert!(levels.clone().below(f64::NAN).unwrap_err().to_string().contains("lambda is NaN"));
    assert_eq!(levels.clone().below(f64::INFINITY), Err(GridError::NothingLeft { steps: 10 }));
    assert!(levels.starting_at(NoiseLevel::DATA).is_err());
    Ok(())
}

#[test]
fn bad_settings_are_named() {
    let said = |error: ScheduleError| error.to_string();
    assert!(said(BetaTable::sigmoid(10, 0.0, 0.02).unwrap_err()).contains("beta start is 0"));
    assert!(said(BetaTable::laplace(0).unwrap_err()).contains("empty"));
    assert!(
        said(BetaTable::from_alpha_bar(4, |_| f64::NAN).unwrap_err()).contains("beta[0] = NaN")
    );
    assert!(said(BetaTable::new([0.1, 1.0, 0.1]).unwrap_err()).contains("beta[1] = 1"));
    assert!(said(SubVp::new(-1.0, 2.0).unwrap_err()).contains("beta_min is -1"));
    assert!(said(VarianceExploding::new(0.0, 1.0).unwrap_err()).contains("sigma_min is 0"));
    assert!(said(VarianceExploding::new(2.0, 1.0).unwrap_err()).contains("sigma_min is 2"));
    assert!(said(Edm::new(0.1, f64::INFINITY, 7.0).unwrap_err()).contains("sigma_max is inf"));
    assert!(said(Edm::new(0.1, 80.0, 0.0).unwrap_err()).contains("rho is 0"));
    assert!(said(Shift::new(-1.0).unwrap_err()).contains("shift is -1"));
    assert!(said(Shift::exponential(1e9).unwrap_err()).contains("mu is 1000000000"));
    assert!(said(Shift::linear(0.0).unwrap_err()).contains("mu is 0"));
    assert!(said(ResolutionShift::new(0.5, 1.0, 9, 9).unwrap_err()).contains("max_tokens is 9"));

    let said = |error: GridError| error.to_string();
    assert!(said(Karras::new(f64::NAN).unwrap_err()).contains("rho is NaN"));
    assert!(said(BetaSpaced::new(0.6, -1.0).unwrap_err()).contains("beta is -1"));
    assert!(said(Stretched::new(Trailing, 1.0).unwrap_err()).contains("terminal is 1"));
    assert!(said(spacing::karras(5, 1.0, 2.0, 7.0).unwrap_err()).contains("sigma_min is 2"));
    assert!(said(spacing::exponential(5, f64::NAN, 2.0).unwrap_err()).contains("sigma_max is NaN"));
    assert_eq!(spacing::beta(0, 2.0, 1.0, 0.6, 0.6), Err(GridError::NoSteps));
    assert_eq!(Karras::default().levels(&stable_diffusion(), 0), Err(GridError::NoSteps));
    let infinite = Exponential.levels(&RectifiedFlow, 5).unwrap_err();
    assert!(said(infinite).contains("with_finite_sigma"));
    let not_flow = Stretched::new(Trailing, 0.1).unwrap().levels(&stable_diffusion(), 5);
    assert!(matches!(not_flow, Err(GridError::NotAFlow { index: 0, .. })));
    let beyond = Levels::at_timesteps(&Edm::default(), [3.0]).unwrap_err();
    assert!(said(beyond).contains("timestep 3"));
}

#[test]
fn sigmas_are_checked() -> Outcome {
    let sd = stable_diffusion();
    let levels = Levels::at_sigmas(&sd, [10.0, 1.0, 0.001])?;
    assert_close(&ratios(&levels), &[10.0, 1.0, 0.001, 0.0], 1e-9);
    assert_eq!(Levels::at_sigmas(&sd, [10.0, 1.0, 0.001, 0.0])?, levels);
    for bad in [f64::NAN, f64::INFINITY, -1.0, 0.0, 80.0] {
        let error = Levels::at_sigmas(&sd, [10.0, bad, 0.5]).unwrap_err().to_string();
        assert!(error.contains(&format!("sigma/alpha = {bad} ")), "{error}");
    }
    for bad in [[2.0, 2.0, 1.0], [2.0, 3.0, 1.0]] {
        let (before, after) = (bad[0], bad[1]);
        let expected = GridError::NotDecreasing { index: 0, before, after };
        assert_eq!(Levels::at_sigmas(&sd, bad), Err(expected));
    }
    assert_eq!(Levels::at_sigmas(&sd, []), Err(GridError::TooFewLevels { found: 1 }));
    assert!(Levels::at_sigmas(&Edm::default(), [80.0, 0.001]).is_err());
    Ok(())
}

#[test]
fn settings_survive_serde_and_bad_ones_do_not() -> Outcome {
    fn round_trip<T>(value: T) -> Outcome
    where
        T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug,
    {
        let back: T = serde_json::from_str(&serde_json::to_string(&value)?)?;
        assert_eq!(back, value);
        Ok(())
    }
    // serde_json reads some numbers one rounding off, so the table goes through plain numbers.
    let zero = stable_diffusion().zero_terminal_snr()?;
    assert_eq!(BetaTable::try_from(Vec::from(zero.clone()))?, zero);
    let read: BetaTable = serde_json::from_str(&serde_json::to_string(&zero)?)?;
    assert_close(read.betas(), zero.betas(), 1e-15);
    assert_eq!(read.alpha_sigma(1.0), (0.0, 1.0));
    round_trip(SubVp::default())?;
    round_trip(VarianceExploding::default())?;
    round_trip(Edm::default())?;
    round_trip(Shifted::flow(Shift::new(3.0)?))?;
    round_trip(ResolutionShift::default())?;
    round_trip(Karras::default())?;
    round_trip(BetaSpaced::default())?;
    round_trip(FinalSigmaMin(Exponential))?;
    round_trip(Stretched::new(Leading { offset: 1 }, 0.1)?)?;

    assert!(serde_json::from_str::<BetaTable>("[0.5, 1.0, 0.5]").is_err());
    assert!(serde_json::from_str::<SubVp>(r#"{"beta_min":-1,"beta_max":2}"#).is_err());
    assert!(serde_json::from_str::<Edm>(r#"{"sigma_min":1,"sigma_max":2,"rho":0}"#).is_err());
    assert!(serde_json::from_str::<VarianceExploding>(r#"{"sigma_min":2,"sigma_max":2}"#).is_err());
    assert!(serde_json::from_str::<Shift>("-3").is_err());
    assert!(serde_json::from_str::<Karras>(r#"{"rho":-7}"#).is_err());
    assert!(serde_json::from_str::<BetaSpaced>(r#"{"alpha":0,"beta":1}"#).is_err());
    let stretched = serde_json::from_str::<Stretched<Trailing>>(r#"{"grid":null,"terminal":2}"#);
    assert!(stretched.is_err());
    Ok(())
}

proptest! {
    #[test]
    fn shifts_undo_themselves(s in 0.01..100.0_f64, t in 0.0..=1.0_f64) {
        let shift = Shift::new(s).unwrap();
        prop_assert!((shift.undo(shift.apply(t)) - t).abs() < 1e-12);
        prop_assert_eq!((shift.apply(0.0), shift.apply(1.0)), (0.0, 1.0));
    }

    #[test]
    fn spacings_fall_strictly(
        n in 1..60_usize,
        low in 1e-4..1.0_f64,
        span in 1.5..1e4_f64,
        shape in 0.3..5.0_f64,
    ) {
        let high = low * span;
        for ratios in [
            spacing::karras(n, high, low, shape * 3.0).unwrap(),
            spacing::exponential(n, high, low).unwrap(),
            spacing::beta(n, high, low, shape, 1.0).unwrap(),
        ] {
            prop_assert_eq!(ratios.len(), n);
            prop_assert_eq!(ratios[0], high);
            prop_assert!(n == 1 || ratios[n - 1] == low);
            prop_assert!(ratios.windows(2).all(|pair| pair[0] > pair[1]));
        }
    }
}

#[test]
fn trailing_visits_the_rows_of_numpy() -> Outcome {
    #[derive(serde::Deserialize)]
    struct Case {
        table: usize,
        steps: usize,
        rows: Vec<f64>,
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/numpy_trailing.json");
    let cases: Vec<Case> = serde_json::from_str(&std::fs::read_to_string(path)?)?;
    assert!(cases.len() > 5);
    for Case { table, steps, rows } in cases {
        let levels = Trailing.levels(&BetaTable::linear(table, 1e-4, 0.02)?, steps)?;
        let found: Vec<f64> = levels[..steps].iter().map(|level| level.timestep).collect();
        assert_eq!(found, rows, "{steps} steps of {table}");
    }
    Ok(())
}

#[test]
fn every_table_that_is_made_falls_in_lambda() -> Outcome {
    // Small betas keep the digits of sigma.
    let small = BetaTable::new([1e-17, 0.1])?;
    assert_eq!(small.alpha_sigma(0.5), (1.0, 1e-17_f64.sqrt()));
    let third = BetaTable::new([1e-12; 3])?.alpha_sigma(1.0).1;
    assert!((third / 3e-12_f64.sqrt() - 1.0).abs() < 1e-12, "{third}");
    let tables: [(&[f64], usize); 3] = [
        (&[0.999; 120], 107),     // the product underflows
        (&[0.5, 1e-17, 0.5], 1),  // no signal is lost
        (&[1.0 - 1e-16; 21], 20), // the last row: alpha is 0, beta is not 1
    ];
    for (betas, row) in tables {
        let error = BetaTable::new(betas.iter().copied()).unwrap_err();
        assert!(
            matches!(error, ScheduleError::NotFalling { step, .. } if step == row),
            "{error} instead of row {row}"
        );
    }
    Ok(())
}

proptest! {
    #[test]
    fn a_table_is_refused_or_falls(exponents in prop::collection::vec(-20.0..0.0_f64, 1..40)) {
        if let Ok(table) = BetaTable::new(exponents.iter().map(|e| 10_f64.powf(*e))) {
            let rows = exponents.len();
            let nodes: Vec<f64> =
                (0..=rows).map(|row| table.lambda(row as f64 / rows as f64)).collect();
            prop_assert!(nodes.windows(2).all(|pair| pair[1] < pair[0]), "{nodes:?}");
            prop_assert!(nodes[1..rows].iter().all(|lambda| lambda.is_finite()));
        }
    }
}

/// Drift and diffusion are finite wherever there is signal, and infinite exactly where there is
/// none; past the ends of time they are those of the ends.
#[test]
fn drift_and_diffusion_are_infinite_where_no_signal_is_left() {
    let mut without_signal = 0;
    for (name, schedule) in all() {
        for t in [0.0, 1e-6, 0.3, 0.7, 0.999, 1.0 - 1e-6, 1.0, 1.5] {
            let (f, g) = (schedule.drift(t), schedule.diffusion(t));
            if schedule.alpha_sigma(t.min(1.0)).0 == 0.0 {
                without_signal += 1;
                assert_eq!((f, g), (f64::NEG_INFINITY, f64::INFINITY), "{name} at {t}");
            } else {
                assert!(f.is_finite() && f <= 1e-9, "{name}: drift {f} at {t}");
                assert!(g.is_finite() && g >= 0.0, "{name}: diffusion {g} at {t}");
            }
        }
    }
    assert!(without_signal >= 10);
}

#[test]
fn near_zero_signal_the_default_drift_keeps_its_digits() {
    /// Alpha and sigma of the straight path, all else by default.
    struct Straight;
    impl NoiseSchedule for Straight {
        fn alpha_sigma(&self, t: f64) -> (f64, f64) {
            RectifiedFlow.alpha_sigma(t)
        }
    }
    for t in [0.5, 0.999, 1.0 - 1e-5, 1.0 - 2e-6] {
        let (found, expected) = (Straight.drift(t), -1.0 / (1.0 - t));
        assert!((found / expected - 1.0).abs() < 1e-4, "{found}, not {expected} at {t}");
    }
}

#[test]
fn betas_that_leave_no_signal_in_f64_are_refused() {
    assert!(LinearVp::new(0.1, 2799.0).unwrap().alpha_sigma(1.0).0 > 0.0);
    for (low, high) in [(0.1, 2800.0), (1e300, 1e300), (f64::MAX, f64::MAX)] {
        let error = LinearVp::new(low, high).unwrap_err().to_string();
        assert!(error.contains("beta_min + beta_max is"), "{error}");
        assert!(SubVp::new(low, high).is_err());
    }
    assert!(Cosine::new(1000.0).is_ok() && Cosine::new(1e17).is_err());
}

#[test]
fn pointers_are_schedules_and_grids() -> Outcome {
    fn same(schedule: impl NoiseSchedule, grid: impl Grid) -> Outcome {
        let levels = grid.levels(&schedule, 4)?;
        assert_eq!(levels, Karras::default().levels(&Edm::default(), 4)?);
        // Edm overrides these; a pointer that forwards too little would give the defaults.
        assert_eq!(schedule.timestep(0.3), Edm::default().timestep(0.3));
        assert_eq!(schedule.time_of(0.1), Edm::default().time_of(0.1));
        assert!((schedule.time_of_level(schedule.level(0.3)) - 0.3).abs() < 1e-12);
        Ok(())
    }
    let borrowed: (&Edm, &Karras) = (&Edm::default(), &Karras::default());
    same(borrowed.0, borrowed.1)?;
    same(Box::new(Edm::default()), Box::new(Karras::default()))?;
    same(std::sync::Arc::new(Edm::default()), std::sync::Arc::new(Karras::default()))?;
    let (schedule, grid): (Box<dyn NoiseSchedule>, Box<dyn Grid>) =
        (Box::new(Edm::default()), Box::new(Karras::default()));
    same(schedule, grid)
}

#[test]
fn flow_sigmas_are_times() -> Outcome {
    let list = [1.0, 0.75, 0.5, 0.25];
    let levels = Levels::at_times(&RectifiedFlow, list)?;
    assert_eq!(
        levels.iter().map(|level| level.sigma).collect::<Vec<f64>>(),
        [1.0, 0.75, 0.5, 0.25, 0.0]
    );
    // A list that ends at the data is the same list.
    assert_eq!(Levels::at_times(&RectifiedFlow, [1.0, 0.75, 0.5, 0.25, 0.0])?, levels);
    // On a schedule with noise at t = 0 that time is a level of its own.
    assert_eq!(Levels::at_times(&Edm::default(), [1.0, 0.0])?.steps(), 2);
    let error = Levels::at_times(&RectifiedFlow, [1.5]).unwrap_err().to_string();
    assert!(error.contains("time 1.5") && error.contains("0 (data) to 1 (noise)"), "{error}");
    let error = Levels::at_sigmas(&Edm::default(), [100.0]).unwrap_err().to_string();
    assert!(error.contains("at_times"), "{error}");
    Ok(())
}
