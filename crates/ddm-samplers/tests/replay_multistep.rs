//! The multistep and singlestep methods: diffusers' own trajectories (`testdata/schedulers`), step
//! by step on the levels that it recorded, and their orders on Gaussian data.

use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use ddm_denoiser::{
    Denoiser, DynamicThreshold, EpsilonPrediction, FlowPrediction, Model, VPrediction,
    X0Prediction, from_fn,
};
use ddm_samplers::{
    BoxedSampler, Context, Deis, DpmSolver, DpmSolverPp, DpmSolverSingle, Ending, Extrapolate,
    Ipndm, Lms, Pndm, PndmStart, RecordedNoise, Sampler, Sampling, SolverType,
};
use ddm_schedule::{BetaTable, Cosine, Levels, NoiseLevel, NoiseSchedule};
use ddm_testkit::{GaussianPath, moments, order};
use serde_json::Value;

const TOLERANCE: f64 = 1e-4;

fn cases(file: &str) -> Vec<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/schedulers");
    let text = std::fs::read_to_string(folder.join(file)).unwrap();
    // Python writes numbers that are not JSON.
    let text = text.replace("-Infinity", "null");
    serde_json::from_str::<Value>(&text).unwrap()["cases"].as_array().unwrap().clone()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

fn rows(value: &Value) -> Vec<Vec<f64>> {
    value.as_array().unwrap().iter().map(numbers).collect()
}

fn text<'a>(case: &'a Value, key: &str) -> &'a str {
    case["scheduler_config"][key].as_str().unwrap()
}

fn number(case: &Value, key: &str) -> f64 {
    case["scheduler_config"][key].as_f64().unwrap()
}

fn is(case: &Value, key: &str) -> bool {
    case["scheduler_config"][key] == true
}

fn order(case: &Value) -> usize {
    number(case, "solver_order") as usize
}

fn network(x: Tensor<4>, t: f64) -> Tensor<4> {
    (x.clone() + t / 1000.0).tanh() * 0.5 + x * 0.3
}

/// The recorded network and what it predicts, thresholded as the settings say.
fn model(case: &Value, prediction: &str) -> Box<dyn Denoiser<4>> {
    let net = from_fn(|x: Tensor<4>, t: Tensor<1>| {
        (x.clone() + t.reshape([-1, 1, 1, 1]) / 1000.0).tanh() * 0.5 + x * 0.3
    });
    match prediction {
        "epsilon" if is(case, "thresholding") => {
            let (p, max) =
                (number(case, "dynamic_thresholding_ratio"), number(case, "sample_max_value"));
            Box::new(DynamicThreshold::new(Model::new(net, EpsilonPrediction), p, max).unwrap())
        }
        "epsilon" => Box::new(Model::new(net, EpsilonPrediction)),
        "v_prediction" => Box::new(Model::new(net, VPrediction)),
        "sample" => Box::new(Model::new(net, X0Prediction)),
        "flow_prediction" => Box::new(Model::new(net, FlowPrediction)),
        other => panic!("prediction {other}"),
    }
}

/// The recorded levels; sigma there is σ/α, but σ itself for flows.
fn levels(case: &Value) -> Vec<NoiseLevel> {
    let timesteps = numbers(&case["timesteps"]).into_iter().chain([0.0]);
    let level = |(t, s): (f64, f64)| {
        if is(case, "use_flow_sigmas") {
            return NoiseLevel { timestep: t, alpha: 1.0 - s, sigma: s };
        }
        let alpha = 1.0 / (1.0 + s * s).sqrt();
        NoiseLevel { timestep: t, alpha, sigma: s * alpha }
    };
    timesteps.zip(numbers(&case["sigmas"])).map(level).collect()
}

/// Takes the steps one by one and demands the recorded x after each: `record` says which record is
/// that of step i, `theirs` what our x is multiplied by to be theirs.
struct Replay<'a> {
    case: &'a Value,
    levels: Vec<NoiseLevel>,
    model: &'a dyn Denoiser<4>,
    schedule: &'a dyn NoiseSchedule,
    record: fn(usize) -> usize,
    theirs: fn(NoiseLevel) -> f64,
}

impl Replay<'_> {
    fn check(&self, sampler: &impl Sampler<4>) {
        let Self { case, levels, .. } = self;
        let device = Device::flex();
        let draws = rows(&case["noise"]).into_iter();
        let mut noise =
            RecordedNoise::new(draws.map(|z| z.into_iter().map(|z| z as f32).collect()));
        let scale = case["init_noise_sigma"].as_f64().unwrap() / (self.theirs)(levels[0]);
        let start: Vec<f64> = numbers(&case["x_T"]).into_iter().map(|x| x * scale).collect();
        let shape: Vec<usize> = numbers(&case["shape"]).into_iter().map(|n| n as usize).collect();
        let mut x = Tensor::<4>::from_data(TensorData::new(start, shape), &device);
        let (mut state, mut worst) = (Default::default(), 0.0_f64);
        let steps = levels.len() - 1;
        let records = rows(&case["x"]);
        for (i, pair) in levels.windows(2).enumerate() {
            let (from, to) = (pair[0], pair[1]);
            // Diffusers sometimes repeats its last sigma: a step that goes nowhere.
            if from.sigma > to.sigma {
                let cx = Context::new(self.model, self.schedule, &mut noise);
                x = sampler.step(&mut cx.at_step(i, steps), x, from, to, &mut state);
            }
            let theirs = (self.theirs)(to);
            let found: Vec<f64> = (x.clone() * theirs).try_into_vec_as().unwrap();
            let wanted = &records[(self.record)(i)];
            let largest = wanted.iter().fold(0.0_f64, |max, x| max.max(x.abs()));
            let off = found.iter().zip(wanted).map(|(x, y)| (x - y).abs());
            let error = off.fold(0.0, |a: f64, b| if b.is_nan() { b } else { a.max(b) }) / largest;
            assert!(error <= TOLERANCE, "{} step {i}: {error:.1e}", case["name"]);
            worst = worst.max(error);
        }
        assert_eq!((self.record)(steps - 1) + 1, records.len());
        println!("{worst:.1e}  {}", case["name"]);
    }
}

/// A case whose x is ours and whose levels are recorded.
fn replay(case: &Value, sampler: impl Sampler<4>) {
    let model = model(case, text(case, "prediction_type"));
    let (levels, schedule) = (levels(case), &Cosine::default());
    let (record, theirs) = (|i| i, |_: NoiseLevel| 1.0);
    Replay { case, levels, model: &*model, schedule, record, theirs }.check(&sampler);
}

fn correction(case: &Value) -> SolverType {
    match text(case, "solver_type") {
        "midpoint" => SolverType::Midpoint,
        "heun" => SolverType::Heun,
        other => panic!("solver type {other}"),
    }
}

fn ending(case: &Value) -> Ending {
    match (is(case, "lower_order_final"), is(case, "euler_at_final")) {
        (false, false) => Ending::Keep,
        (true, false) => Ending::Lower,
        (false, true) => Ending::Euler,
        (true, true) => Ending::LowerAndEuler,
    }
}

fn multistep(case: &Value) -> BoxedSampler<4> {
    let (order, correction, ending) = (order(case), correction(case), ending(case));
    let pp =
        |sampler: DpmSolverPp| BoxedSampler::new(sampler.solver_type(correction).ending(ending));
    let noise =
        |sampler: DpmSolver| BoxedSampler::new(sampler.solver_type(correction).ending(ending));
    match text(case, "algorithm_type") {
        "dpmsolver++" => pp(DpmSolverPp::new(order).unwrap()),
        "sde-dpmsolver++" => pp(DpmSolverPp::sde(order, 1.0).unwrap()),
        "dpmsolver" => noise(DpmSolver::new(order).unwrap()),
        "sde-dpmsolver" => noise(DpmSolver::sde(order).unwrap()),
        other => panic!("algorithm {other}"),
    }
}

#[test]
fn dpm_solver_multistep() {
    for case in cases("DPMSolverMultistepScheduler.json") {
        replay(&case, multistep(&case));
    }
}

#[test]
fn dpm_solver_singlestep() {
    for case in cases("DPMSolverSinglestepScheduler.json") {
        let sampler = match text(&case, "algorithm_type") {
            "dpmsolver++" => DpmSolverSingle::new(order(&case)),
            "sde-dpmsolver++" => DpmSolverSingle::sde(order(&case), 1.0),
            "dpmsolver" => {
                DpmSolverSingle::new(order(&case)).map(|s| s.extrapolate(Extrapolate::Noise))
            }
            other => panic!("algorithm {other}"),
        };
        replay(&case, sampler.unwrap().solver_type(correction(&case)).ending(ending(&case)));
    }
}

#[test]
fn deis() {
    for case in cases("DEISMultistepScheduler.json") {
        replay(&case, Deis::new(order(&case)).unwrap().ending(ending(&case)));
    }
}

#[test]
fn edm_dpm_solver() {
    for case in cases("EDMDPMSolverMultistepScheduler.json") {
        let data = number(&case, "sigma_data");
        let model = from_fn(move |x: Tensor<4>, at: NoiseLevel| {
            let scale = at.sigma.hypot(data);
            let f = network(x.clone() * scale.recip(), at.timestep);
            x * (data / scale).powi(2) + f * (at.sigma * data / scale)
        });
        let level = |(t, sigma)| NoiseLevel { timestep: t, alpha: 1.0, sigma };
        let timesteps = numbers(&case["timesteps"]).into_iter().chain([0.0]);
        let levels = timesteps.zip(numbers(&case["sigmas"])).map(level).collect();
        let (record, theirs) = (|i| i, |_: NoiseLevel| 1.0);
        let schedule = &Cosine::default();
        let replay = Replay { case: &case, levels, model: &model, schedule, record, theirs };
        replay.check(&multistep(&case));
    }
}

#[test]
fn lms() {
    for case in cases("LMSDiscreteScheduler.json") {
        let model = model(&case, text(&case, "prediction_type"));
        let (levels, schedule) = (levels(&case), &Cosine::default());
        let (record, theirs) = (|i| i, |at: NoiseLevel| 1.0 / at.alpha);
        let replay = Replay { case: &case, levels, model: &*model, schedule, record, theirs };
        replay.check(&Lms::default());
    }
}

#[test]
fn ipndm() {
    for case in cases("IPNDMScheduler.json") {
        // σ = sin²(πs/2) at even s; the recorded timestep is 2/π times the angle of (α, σ).
        let model = model(&case, "v_prediction");
        let level = |t: f64| {
            let angle = t * std::f64::consts::FRAC_PI_2;
            let alpha = if t == 1.0 { 0.0 } else { angle.cos() };
            NoiseLevel { timestep: t, alpha, sigma: angle.sin() }
        };
        let levels = numbers(&case["timesteps"]).into_iter().chain([0.0]).map(level).collect();
        let (record, theirs) = (|i| i, |_: NoiseLevel| 1.0);
        let schedule = &Cosine::default();
        let replay = Replay { case: &case, levels, model: &*model, schedule, record, theirs };
        replay.check(&Ipndm::default());
    }
}

#[test]
fn pndm() {
    for case in cases("PNDMScheduler.json") {
        let (first, last) = (number(&case, "beta_start").sqrt(), number(&case, "beta_end").sqrt());
        let beta = |i: usize| (first + (last - first) * i as f64 / 999.0).powi(2);
        let schedule = &BetaTable::new((0..1000).map(beta)).unwrap();
        let at = |row: f64| schedule.level((row + 1.0) / 1000.0);
        let plms = is(&case, "skip_prk_steps");
        let offset = number(&case, "steps_offset");
        // 10 steps down to row 0, which counts as the end (`set_alpha_to_one: false`);
        // where it is the last row as well, the last step goes nowhere.
        let rows = (0..10).map(|i| 900.0 - 100.0 * f64::from(i) + offset);
        let levels: Vec<NoiseLevel> = rows.map(at).chain([at(0.0)]).collect();
        let start = if plms { PndmStart::Heun } else { PndmStart::RungeKutta };
        let record = if plms { |i| i + 1 } else { |i| if i < 3 { 4 * i + 3 } else { i + 9 } };
        let model = model(&case, text(&case, "prediction_type"));
        let theirs = |_: NoiseLevel| 1.0;
        let replay = Replay { case: &case, levels, model: &*model, schedule, record, theirs };
        replay.check(&Pndm { start, parameterization: EpsilonPrediction });
    }
}

/// Takes the first steps on the exact solution and only shows them to the method, so that it starts
/// with a full and exact history.
struct ExactStart<S> {
    sampler: S,
    steps: usize,
}

impl<S: Sampler<2>> Sampler<2> for ExactStart<S> {
    type State = S::State;

    fn step(
        &self,
        cx: &mut Context<'_, 2>,
        x: Tensor<2>,
        from: NoiseLevel,
        to: NoiseLevel,
        state: &mut S::State,
    ) -> Tensor<2> {
        let taken = self.sampler.step(cx, x.clone(), from, to, state);
        if cx.done() >= self.steps {
            return taken;
        }
        // GaussianPath's default data, N(0.5, 0.1²).
        let std = |at: NoiseLevel| (0.1 * at.alpha).hypot(at.sigma);
        (x - 0.5 * from.alpha) * (std(to) / std(from)) + 0.5 * to.alpha
    }
}

/// The order between 96 and 192 steps, which are whole numbers of blocks of 2 and of 3.
fn has_order(name: &str, wanted: f64, start: usize, sampler: impl Sampler<2>) {
    has_order_from(96, name, wanted, start, sampler);
}

/// The order between n and 2n steps.
fn has_order_from(n: usize, name: &str, wanted: f64, start: usize, sampler: impl Sampler<2>) {
    let schedule = Cosine::default();
    let path = GaussianPath::new(&schedule).unwrap();
    let sampler = ExactStart { sampler, steps: start };
    let error = |n| order::error(&sampler, &path, n, &Device::flex()).unwrap();
    let (coarse, fine) = (error(n), error(2 * n));
    let found = (coarse / fine).log2();
    println!("{found:.2} of {wanted}  {name}  ({fine:.1e} at {} steps)", 2 * n);
    assert!((found - wanted).abs() <= 0.2, "{name}: order {found:.2}, not {wanted}");
}

#[test]
fn orders() {
    use SolverType::{Exact, Heun, Midpoint};
    for order in 1..=3 {
        let (wanted, start) = (order as f64, order - 1);
        has_order("DPM-Solver++", wanted, start, DpmSolverPp::new(order).unwrap());
        has_order("DPM-Solver", wanted, start, DpmSolver::new(order).unwrap());
        has_order("DEIS", wanted, start, Deis::new(order).unwrap());
        for correction in [Midpoint, Exact] {
            let keep = |s: DpmSolverSingle| s.solver_type(correction).ending(Ending::Keep);
            has_order("singlestep", wanted, 0, keep(DpmSolverSingle::new(order).unwrap()));
            has_order(
                "in noise",
                wanted,
                0,
                keep(DpmSolverSingle::new(order).unwrap()).extrapolate(Extrapolate::Noise),
            );
        }
    }
    // As diffusers has it, order 3 is of order 2.
    has_order("3M, Heun", 2.0, 2, DpmSolverPp::new(3).unwrap().solver_type(Heun));
    for order in 1..=4 {
        has_order("LMS", order as f64, order - 1, Lms::new(order).unwrap());
        // With three answers and more the error changes sign on the way to its limit.
        let n = if order > 2 { 1536 } else { 96 };
        has_order_from(n, "iPNDM", order.min(2) as f64, order - 1, Ipndm::new(order).unwrap());
    }
    has_order("PLMS", 2.0, 0, Pndm { start: PndmStart::Heun, parameterization: EpsilonPrediction });
    has_order(
        "PNDM",
        2.0,
        0,
        Pndm { start: PndmStart::RungeKutta, parameterization: EpsilonPrediction },
    );
}

#[test]
fn bad_settings_are_refused() {
    for order in [0, 4] {
        let message = DpmSolverPp::new(order).unwrap_err().to_string();
        assert_eq!(message, format!("order = {order}, but must be 1, 2 or 3"));
        assert!(DpmSolver::new(order).is_err() && DpmSolverSingle::new(order).is_err());
        assert!(Deis::new(order).is_err() && Lms::new(order + 1).is_ok() == (order == 0));
    }
    assert!(DpmSolver::sde(4).is_err() && Ipndm::new(5).is_err());
    for eta in [-1.0, f64::NAN, f64::INFINITY] {
        assert!(DpmSolverPp::sde(2, eta).is_err() && DpmSolverSingle::sde(2, eta).is_err());
    }
    let good = serde_json::to_string(&DpmSolverPp::sde(3, 0.5).unwrap()).unwrap();
    assert_eq!(
        serde_json::from_str::<DpmSolverPp>(&good).unwrap(),
        DpmSolverPp::sde(3, 0.5).unwrap()
    );
    assert!(
        serde_json::from_str::<DpmSolverPp>(&good.replace("\"order\":3", "\"order\":7")).is_err()
    );
    let lms = serde_json::to_string(&Lms::default()).unwrap();
    assert!(serde_json::from_str::<Lms>(&lms.replace('4', "5")).is_err());
}

/// The SDE solvers give Gaussian data its mean and variance.
#[test]
fn moments_of_the_sde() {
    let (schedule, device) = (Cosine::default(), Device::flex());
    let path = GaussianPath::new(&schedule).unwrap();
    for order in 1..=3 {
        let data = DpmSolverPp::sde(order, 1.0).unwrap();
        moments::has_weak_order(&data, order as f64, &path, &device).unwrap();
        let half = DpmSolverPp::sde(order, 0.5).unwrap();
        moments::all(&half, &path, 160, 0.01, &device).unwrap();
        let noise = DpmSolver::sde(order).unwrap();
        moments::all(&noise, &path, 160, 0.03, &device).unwrap();
        let single = DpmSolverSingle::sde(order, 1.0).unwrap();
        moments::all(&single, &path, 160, 0.01, &device).unwrap();
    }
}

/// Zero signal at the start, or no noise at the end: every number stays finite.
#[test]
fn ends_of_the_schedule() {
    let level = |i: usize| {
        let angle = std::f64::consts::FRAC_PI_2 * (1.0 - i as f64 / 20.0);
        let (alpha, sigma) = match i {
            0 => (0.0, 1.0),
            20 => (1.0, 0.0),
            _ => (angle.cos(), angle.sin()),
        };
        NoiseLevel { timestep: 1000.0 - 50.0 * i as f64, alpha, sigma }
    };
    let (schedule, model) = (Cosine::default(), ddm_testkit::Gaussian::new([0.5], 0.1).unwrap());
    let check = |name: &str, sampler: BoxedSampler<2>| {
        let levels = Levels::new((0..=20).map(level).collect()).unwrap();
        let x = Tensor::<2>::from_data([[-1.0], [0.0], [2.0]], &Device::flex());
        let run = Sampling::new(&model, &schedule).sampler(sampler).levels(levels);
        let x: Vec<f64> = run.start_from(x).unwrap().finish().try_into_vec_as().unwrap();
        assert!(x.iter().all(|x| (x - 0.5).abs() < 1.0), "{name}: {x:?}");
    };
    for order in 1..=3 {
        check("pp", BoxedSampler::new(DpmSolverPp::new(order).unwrap()));
        check("pp sde", BoxedSampler::new(DpmSolverPp::sde(order, 1.0).unwrap()));
        check("noise", BoxedSampler::new(DpmSolver::new(order).unwrap()));
        check("noise sde", BoxedSampler::new(DpmSolver::sde(order).unwrap()));
        let single = DpmSolverSingle::new(order).unwrap().ending(Ending::Keep);
        check("single", BoxedSampler::new(single));
        check("single noise", BoxedSampler::new(single.extrapolate(Extrapolate::Noise)));
        check("deis", BoxedSampler::new(Deis::new(order).unwrap()));
        check("lms", BoxedSampler::new(Lms::new(order + 1).unwrap()));
        check("ipndm", BoxedSampler::new(Ipndm::new(order + 1).unwrap()));
    }
    check(
        "plms",
        BoxedSampler::new(Pndm { start: PndmStart::Heun, parameterization: EpsilonPrediction }),
    );
    check(
        "pndm",
        BoxedSampler::new(Pndm {
            start: PndmStart::RungeKutta,
            parameterization: EpsilonPrediction,
        }),
    );
}
