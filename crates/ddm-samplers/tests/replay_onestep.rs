//! One-call and two-call methods, predictor-correctors and consistency samplers: diffusers' own
//! trajectories (`testdata/schedulers`), step by step on the levels that it recorded, and orders
//! and laws on Gaussian data.

use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use ddm_denoiser::{
    Denoiser, EdmPrediction, EpsilonPrediction, FlowPrediction, Model, Parameterization,
    VPrediction, X0Prediction, from_fn,
};
use ddm_samplers::{
    Basis, BoxedSampler, Churn, Consistent, Ddim, Ddpm, DpmSolverPp, Ending, Extrapolate, Frame,
    Heun, LaggingChurn, Lcm, Midpoint, RePaint, RecordedNoise, SaSolver, Sampler, Sampling, Slope,
    Tcd, UniPc, invert,
};
use ddm_schedule::{BetaTable, Cosine, Levels, NoiseLevel, NoiseSchedule, RectifiedFlow};
use ddm_testkit::{GaussianPath, compare, order, sampler as laws};
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

fn text<'a>(case: &'a Value, key: &str) -> &'a str {
    case["scheduler_config"][key].as_str().unwrap_or("")
}

fn is(case: &Value, key: &str) -> bool {
    case["scheduler_config"][key] == true
}

/// EDM's preconditioning with the network's sign turned, diffusers' "v_prediction".
struct Turned(EdmPrediction);

impl Parameterization for Turned {
    fn target(&self, at: NoiseLevel) -> (f64, f64) {
        let (p, q) = self.0.target(at);
        (-p, -q)
    }
    fn input_scale(&self, at: NoiseLevel) -> f64 {
        self.0.input_scale(at)
    }
    fn time(&self, at: NoiseLevel) -> f64 {
        self.0.time(at)
    }
}

fn model_of(kind: impl Parameterization + 'static) -> Box<dyn Denoiser<4>> {
    let network = from_fn(|x: Tensor<4>, t: Tensor<1>| {
        (x.clone() + t.reshape([-1, 1, 1, 1]) / 1000.0).tanh() * 0.5 + x * 0.3
    });
    Box::new(Model::new(network, kind))
}

/// The recorded network and what it predicts.
fn model(case: &Value) -> Box<dyn Denoiser<4>> {
    let scheduler = text(case, "_class_name");
    match (scheduler, text(case, "prediction_type")) {
        ("EDMEulerScheduler", "epsilon") => model_of(EdmPrediction::default()),
        ("EDMEulerScheduler", _) => model_of(Turned(EdmPrediction::default())),
        (_, "v_prediction") => model_of(VPrediction),
        (_, "sample") => model_of(X0Prediction),
        (_, "flow_prediction") => model_of(FlowPrediction),
        _ if scheduler.starts_with("FlowMatch") => model_of(FlowPrediction),
        _ => model_of(EpsilonPrediction),
    }
}

/// The table behind all the recorded variance-preserving cases.
fn table() -> BetaTable {
    BetaTable::scaled_linear(1000, 0.00085, 0.012).unwrap()
}

fn rows(timesteps: impl IntoIterator<Item = f64>) -> Vec<NoiseLevel> {
    timesteps.into_iter().map(|t| table().level((t + 1.0) / 1000.0)).collect()
}

/// The recorded levels, in the kind of path that the scheduler has.
fn levels(case: &Value) -> Vec<NoiseLevel> {
    let scheduler = text(case, "_class_name");
    let mut sigmas = numbers(&case["sigmas"]);
    sigmas.dedup();
    let timesteps = numbers(&case["timesteps"]);
    // Methods of two calls: the starts of the steps are every other call.
    let stride = if timesteps.len() > 10 { 2 } else { 1 };
    let timesteps = timesteps.into_iter().step_by(stride).chain([0.0]);
    let level = |(t, s): (f64, f64)| {
        if scheduler.starts_with("FlowMatch") || is(case, "use_flow_sigmas") {
            return NoiseLevel { timestep: t, alpha: 1.0 - s, sigma: s };
        }
        if scheduler.starts_with("EDM") {
            return NoiseLevel { timestep: t, alpha: 1.0, sigma: s };
        }
        let alpha = 1.0 / (1.0 + s * s).sqrt();
        NoiseLevel { timestep: t, alpha, sigma: s * alpha }
    };
    timesteps.zip(sigmas).map(level).collect()
}

/// What our x is multiplied by to be theirs at a level.
fn scale(case: &Value, at: NoiseLevel) -> f64 {
    let ours = ["UniPC", "SASolver", "FlowMatch", "LCM", "TCD", "DDIM"];
    let scheduler = text(case, "_class_name");
    if ours.iter().any(|name| scheduler.starts_with(name)) { 1.0 } else { 1.0 / at.alpha }
}

fn start(case: &Value, first: NoiseLevel) -> Tensor<4> {
    let factor = case["init_noise_sigma"].as_f64().unwrap() / scale(case, first);
    let x: Vec<f64> = numbers(&case["x_T"]).into_iter().map(|x| x * factor).collect();
    Tensor::from_data(TensorData::new(x, [2, 3, 4, 4]), &Device::flex())
}

/// Demands the recorded x at the end of every step.
fn check(case: &Value, frames: impl ExactSizeIterator<Item = Frame<4>>) {
    let records: Vec<Vec<f64>> = case["x"].as_array().unwrap().iter().map(numbers).collect();
    let calls = if records.len() > 10 { 2 } else { 1 };
    let (steps, mut worst) = (frames.len(), 0.0_f64);
    for (step, frame) in frames.enumerate() {
        let theirs = scale(case, frame.level);
        let found: Vec<f64> = (frame.x * theirs).try_into_vec_as().unwrap();
        let wanted = &records[(calls * step + calls - 1).min(records.len() - 1)];
        let largest = wanted.iter().fold(0.0_f64, |max, x| max.max(x.abs()));
        let off = found.iter().zip(wanted).map(|(x, y)| (x - y).abs());
        let error = off.fold(0.0, |a: f64, b| if b.is_nan() { b } else { a.max(b) }) / largest;
        assert!(error <= TOLERANCE, "{} step {step}: {error:.1e}", case["name"]);
        worst = worst.max(error);
    }
    println!("{worst:.1e}  {} ({steps} steps)", case["name"]);
}

fn replay_on(
    case: &Value,
    levels: Vec<NoiseLevel>,
    model: &dyn Denoiser<4>,
    sampler: impl Sampler<4>,
) {
    let draws = case["noise"].as_array().unwrap().iter().map(numbers);
    let noise = RecordedNoise::new(draws.map(|z| z.into_iter().map(|z| z as f32).collect()));
    let schedule = table();
    let x = start(case, levels[0]);
    let run = Sampling::new(model, &schedule).sampler(sampler).noise(noise);
    check(case, run.levels(Levels::new(levels).unwrap()).start_from(x).unwrap());
}

fn replay(case: &Value, sampler: impl Sampler<4>) {
    replay_on(case, levels(case), &*model(case), sampler);
}

fn lagging(case: &Value, parameterization: impl Parameterization) -> impl Sampler<4> {
    let number = |key: &str| case["step_args"][key].as_f64();
    let churn = Churn::new(Ddim::EULER, number("s_churn").unwrap_or(0.0)).unwrap();
    let churn = churn
        .between(number("s_tmin").unwrap_or(0.0), number("s_tmax").unwrap_or(f64::INFINITY))
        .unwrap()
        .s_noise(number("s_noise").unwrap_or(1.0))
        .unwrap();
    LaggingChurn { churn, parameterization }
}

#[test]
fn euler() {
    for case in cases("EulerDiscreteScheduler.json") {
        match text(&case, "prediction_type") {
            "v_prediction" => replay(&case, lagging(&case, VPrediction)),
            _ => replay(&case, lagging(&case, EpsilonPrediction)),
        }
        if case["step_args"]["s_churn"].is_null() {
            replay(&case, Ddim::EULER);
        }
    }
    for case in cases("EulerAncestralDiscreteScheduler.json") {
        replay(&case, Ddim::EULER_ANCESTRAL);
        replay(&case, Ddpm::default());
    }
    for case in cases("EDMEulerScheduler.json") {
        match text(&case, "prediction_type") {
            "v_prediction" => replay(&case, lagging(&case, Turned(EdmPrediction::default()))),
            _ => replay(&case, lagging(&case, EdmPrediction::default())),
        }
    }
    for case in cases("FlowMatchEulerDiscreteScheduler.json") {
        if is(&case, "stochastic_sampling") {
            replay(&case, Lcm::default());
        } else {
            replay(&case, Ddim::EULER);
        }
    }
}

#[test]
fn two_calls() {
    cases("HeunDiscreteScheduler.json").iter().for_each(|case| replay(case, Heun::default()));
    let flow = Heun { slope: Slope::Velocity };
    cases("FlowMatchHeunDiscreteScheduler.json").iter().for_each(|case| replay(case, flow));
    cases("KDPM2DiscreteScheduler.json").iter().for_each(|case| replay(case, Midpoint::KDPM2));
    let ancestral = Midpoint::KDPM2_ANCESTRAL;
    cases("KDPM2AncestralDiscreteScheduler.json").iter().for_each(|case| replay(case, ancestral));
}

#[test]
fn predictors_and_correctors() {
    for case in cases("UniPCMultistepScheduler.json") {
        let order = case["scheduler_config"]["solver_order"].as_u64().unwrap() as usize;
        let basis = if text(&case, "solver_type") == "bh1" { Basis::B1 } else { Basis::B2 };
        let answer = if is(&case, "predict_x0") { Extrapolate::Data } else { Extrapolate::Noise };
        let sampler = UniPc::new(order).unwrap().basis(basis).extrapolate(answer);
        replay(&case, sampler.lower_order_final(is(&case, "lower_order_final")));
    }
    cases("SASolverScheduler.json").iter().for_each(|case| replay(case, SaSolver::default()));
}

#[test]
fn consistency() {
    for case in cases("LCMScheduler.json") {
        let mut levels = rows(numbers(&case["timesteps"]));
        levels.push(NoiseLevel::DATA);
        replay_on(&case, levels, &Consistent::new(&*model(&case)), Lcm::default());
    }
    for case in cases("TCDScheduler.json") {
        let levels = rows(numbers(&case["timesteps"]).into_iter().chain([0.0]));
        let gamma = case["step_args"]["eta"].as_f64().unwrap();
        replay_on(&case, levels, &*model(&case), Tcd::new(gamma).unwrap());
    }
}

#[test]
fn inversion() {
    for case in cases("DDIMInverseScheduler.json") {
        let mut levels = rows(numbers(&case["timesteps"]).into_iter().rev());
        levels.push(NoiseLevel::DATA);
        let levels = Levels::new(levels).unwrap();
        let x = start(&case, NoiseLevel::DATA);
        check(&case, invert(&*model(&case), &levels, x).unwrap());
    }
}

#[test]
fn orders() {
    let (cosine, device) = (Cosine::default(), Device::flex());
    let path = GaussianPath::new(&cosine).unwrap();
    let unipc = |order| UniPc::new(order).unwrap().lower_order_final(false);
    let sa = |s, t| {
        let sampler = SaSolver::new(s, Some(t)).unwrap().lower_order_final(false);
        sampler.tau(0.0, 0.0..=0.0).unwrap()
    };
    let mut wrong = Vec::new();
    let mut check = |name: &str, sampler: BoxedSampler<2>, wanted: f64| {
        let found = order::measured_order(&sampler, &path, &device).unwrap();
        println!("{name}: {found:.2}");
        if (found - wanted).abs() > 0.2 {
            wrong.push(format!("{name} has order {found:.2}, not {wanted}"));
        }
    };
    check("Euler", BoxedSampler::new(Ddim::EULER), 1.0);
    check("Heun", BoxedSampler::new(Heun::default()), 2.0);
    check("Heun, velocity", BoxedSampler::new(Heun { slope: Slope::Velocity }), 2.0);
    check("KDPM2", BoxedSampler::new(Midpoint::KDPM2), 2.0);
    check("DPM++ 2S", BoxedSampler::new(Midpoint::DPM_PP_2S), 2.0);
    check("UniPC-1", BoxedSampler::new(unipc(1)), 2.0);
    check("UniPC-2", BoxedSampler::new(unipc(2)), 3.0);
    check("UniPC-3", BoxedSampler::new(unipc(3)), 4.0);
    check("UniPC-2 B1", BoxedSampler::new(unipc(2).basis(Basis::B1)), 3.0);
    check("UniPC-2 noise", BoxedSampler::new(unipc(2).extrapolate(Extrapolate::Noise)), 3.0);
    check("SA 1, 1", BoxedSampler::new(sa(1, 1)), 2.0);
    check("SA 2, 2", BoxedSampler::new(sa(2, 2)), 3.0);
    check("SA 3, 2", BoxedSampler::new(sa(3, 2)), 3.0);
    // Its error changes sign near 10 steps, so its order shows late.
    let late = [320, 640].map(|n| order::error(&sa(2, 1), &path, n, &device).unwrap());
    assert!(((late[0] / late[1]).log2() - 2.0).abs() < 0.2);
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn equivalences() {
    let (cosine, device) = (Cosine::default(), Device::flex());
    let path = GaussianPath::new(&cosine).unwrap();
    let end = |sampler: BoxedSampler<2>| {
        let noise = ddm_samplers::HostNoise::new(3);
        path.run(&sampler, 8, &[-1.0, 0.5, 2.0], noise, &device).unwrap()
    };
    let same = |a, b| compare::close("equivalence", &end(a), &end(b), 1e-5).unwrap();
    let plain = UniPc::new(2).unwrap().without_corrector(0..8).lower_order_final(false);
    let dpm = DpmSolverPp::new(2).unwrap().ending(Ending::Keep);
    same(BoxedSampler::new(plain), BoxedSampler::new(dpm));
    let sa = SaSolver::new(2, Some(2)).unwrap().tau(0.0, 0.0..=1.0).unwrap();
    let unipc = UniPc::new(2).unwrap().basis(Basis::B1);
    same(BoxedSampler::new(sa), BoxedSampler::new(unipc));
    same(BoxedSampler::new(Tcd::new(0.0).unwrap()), BoxedSampler::new(Ddim::EULER));
    let still = Churn::new(Heun::default(), 0.0).unwrap();
    same(BoxedSampler::new(still), BoxedSampler::new(Heun::default()));
}

#[test]
fn all_laws_hold() {
    let (cosine, table, device) = (Cosine::default(), table(), Device::flex());
    macro_rules! hold {
        ($($sampler:expr),* $(,)?) => {$(
            laws::all(&$sampler, &cosine, &device).unwrap();
            laws::all(&$sampler, &table, &device).unwrap();
            laws::all(&$sampler, &RectifiedFlow, &device).unwrap();
        )*};
    }
    hold!(
        Ddim::EULER_ANCESTRAL,
        Heun::default(),
        Heun { slope: Slope::Velocity },
        Midpoint::KDPM2,
        Midpoint::KDPM2_ANCESTRAL,
        Midpoint::DPM_PP_2S_ANCESTRAL,
        Churn::new(Heun::default(), 4.0).unwrap(),
        UniPc::new(3).unwrap(),
        UniPc::default().lower_order_final(false),
        UniPc::default().extrapolate(Extrapolate::Noise),
        SaSolver::default(),
        Lcm::default(),
        Tcd::default(),
    );
}

#[test]
fn repaint_keeps_what_is_known_and_calls_each_step_again() {
    let (cosine, device) = (Cosine::default(), Device::flex());
    let model = from_fn(|x: Tensor<2>, at: NoiseLevel| x * at.alpha);
    let known = Tensor::<2>::from_floats([[3.0, -3.0, 0.0]], &device);
    let mask = Tensor::from_floats([[1.0, 1.0, 0.0]], &device);
    let sampler = RePaint::new(Ddpm::default(), known, mask, 3).unwrap();
    let run = Sampling::new(&model, &cosine).sampler(sampler).steps(10);
    let last = run.start([4, 3], &device).unwrap().last().unwrap();
    assert_eq!(last.evaluations, 30);
    let x: Vec<f64> = last.x.try_into_vec_as().unwrap();
    assert!(x.chunks(3).all(|row| row[0] == 3.0 && row[1] == -3.0 && row[2].abs() < 5.0));
}

#[test]
fn settings_are_checked_also_through_serde() {
    assert!(UniPc::new(0).is_err() && SaSolver::new(2, Some(4)).is_err());
    assert!(SaSolver::new(3, Some(0)).is_ok() && SaSolver::new(4, None).is_err());
    assert!(Churn::new(Ddim::EULER, 1.0).unwrap().between(2.0, 1.0).is_err());
    assert!(Lcm::floor(f64::NAN).is_err() && Tcd::new(1.1).is_err());
    let good = serde_json::to_string(&Midpoint::new(Extrapolate::Noise, 0.5).unwrap()).unwrap();
    assert_eq!(
        serde_json::from_str::<Midpoint>(&good).unwrap(),
        Midpoint::new(Extrapolate::Noise, 0.5).unwrap()
    );
    assert!(serde_json::from_str::<Midpoint>(&good.replace("0.5", "2.0")).is_err());
    let good = serde_json::to_string(&UniPc::default()).unwrap();
    assert!(serde_json::from_str::<UniPc>(&good.replace("\"order\":2", "\"order\":7")).is_err());
}
