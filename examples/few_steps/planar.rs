//! Points in the plane: five ways to a few steps.

use std::cell::RefCell;
use std::error::Error;
use std::time::Instant;

use ddm_core::burn::module::{Module, ModuleDisplay};
use ddm_core::burn::optim::AdamWConfig;
use ddm_core::burn::optim::lr_scheduler::cosine::CosineAnnealingLrSchedulerConfig;
use ddm_core::denoiser::{ConsistencyPrediction, WithInterval};
use ddm_core::models::Mlp;
use ddm_core::prelude::*;
use ddm_core::quality::{Features, SlicedWasserstein, energy_distance};
use ddm_core::samplers::{Lcm, Prior, average_flow};
use ddm_core::schedule::{Edm, RectifiedFlow};
use ddm_core::train::{
    Consistency, DoublingSteps, Ema, FixedSteps, MeanFlow, ShrinkingGap, TrainError,
};
use ddm_examples::data::dino;
use ddm_examples::output::write_png;
use ddm_examples::plots::{Layer, Panel, palette, panels};
use ddm_examples::progress::training_bar;
use ddm_examples::tensors::{from_points, points};

use crate::rounds::halve;
use crate::table::Table;
use crate::{Args, FEW};

/// Half the width of the plane in the pictures.
const EXTENT: f32 = 2.6;
/// Points in a training batch.
const BATCH: usize = 512;
/// Points in a picture.
const SHOWN: usize = 1000;
/// The levels of consistency distillation.
const LEVELS: usize = 32;

/// Points to train with and to compare with: each of a data set, with a small width.
struct Cloud {
    points: Tensor<2>,
}

impl Cloud {
    fn draw(&self, count: usize, noise: &mut HostNoise) -> Tensor<2> {
        let device = self.points.device();
        let all = self.points.dims()[0] as f64;
        let rows: Vec<i32> = noise.uniform(count).iter().map(|u| (u * all) as i32).collect();
        let chosen = self.points.clone().select(0, Tensor::from_data(rows.as_slice(), &device));
        let width = noise.draw(chosen.dims(), &device) * 0.02;
        chosen + width
    }
}

pub(crate) fn run(args: &Args, device: &Device) -> Result<(), Box<dyn Error>> {
    let steps = args.student_steps.unwrap_or(2000);
    let count = args.samples.unwrap_or(4000);
    let taped = device.clone().autodiff();
    let data = Cloud { points: from_points(&dino(), &taped) };
    let seed = args.seed;
    let schedule = Cosine::default();
    let batch = |noise: &mut StepNoise| data.draw(BATCH, noise);

    let fresh = |seed| data.draw(count, &mut HostNoise::new(seed)).inner();
    let real = Features::new(fresh(seed + 1))?;
    let measure = |samples: &Tensor<2>| -> Result<[f64; 2], Box<dyn Error>> {
        let samples = Features::new(samples.clone())?;
        let sliced = SlicedWasserstein::default().between(&real, &samples)?;
        Ok([energy_distance(&real, &samples)?, sliced])
    };
    let mut table = Table::new(["energy distance", "sliced Wasserstein"]);
    let mut pictures: Vec<(String, Vec<[f32; 2]>)> = Vec::new();
    let mut add =
        |method: &str, steps, samples: Tensor<2>, seconds| -> Result<(), Box<dyn Error>> {
            table.add(method, steps, measure(&samples)?, seconds);
            let steps = steps.map_or(String::new(), |steps| format!(", steps: {steps}"));
            let shown = SHOWN.min(count);
            pictures.push((format!("{method}{steps}"), points(samples.narrow(0, 0, shown))));
            Ok(())
        };
    add("other real points", None, fresh(seed + 2), None)?;

    // The teacher.
    let clock = Instant::now();
    let objective = Objective::new(&schedule, VPrediction)?;
    let start = MlpConfig::new().with_frequencies(6).init(&taped)?;
    let teacher = train(start, args.training_steps, 2e-3, seed, |network, noise| {
        objective.loss(network, batch(noise), noise)
    })?;
    let ddim = |network: &Mlp, steps: usize| {
        let run = Sampling::new(Model::new(network, VPrediction), &schedule).steps(steps);
        run.seed(seed).sample([count, 2], device)
    };
    let seconds = Some(clock.elapsed().as_secs_f64());
    for steps in [1, 2, 4, 50] {
        add("teacher", Some(steps), ddim(&teacher, steps)?, seconds)?;
    }

    let clock = Instant::now();
    let students = halve(&teacher, &schedule, args.first.unwrap_or(32), |halving, teacher| {
        let model = Model::new(teacher, VPrediction);
        train(teacher.clone().train(), steps.div_ceil(2), 1e-3, seed, |network, noise| {
            halving.loss(network, &model, batch(noise), noise)
        })
    })?;
    let seconds = Some(clock.elapsed().as_secs_f64());
    for (levels, student) in
        students.iter().rev().filter(|(levels, _)| FEW.contains(&levels.steps()))
    {
        let run = Sampling::new(Model::new(student, VPrediction), &schedule).levels(levels.clone());
        let samples = run.seed(seed).sample([count, 2], device)?;
        add("progressive", Some(levels.steps()), samples, seconds)?;
    }

    // The target network is an average of the student's weights.
    let clock = Instant::now();
    let consistency = Consistency::new(&schedule, VPrediction, FixedSteps::new(LEVELS)?)?;
    let consistency = consistency.second_order();
    let (start, model) = (teacher.clone().train(), Model::new(&teacher, VPrediction));
    let average = RefCell::new(Ema::new(&start, 0.95)?);
    let student = train(start, steps, 1e-3, seed, |network, noise| {
        let mut average = average.borrow_mut();
        average.update(network)?;
        consistency.loss_with(network, average.average(), &model, batch(noise), noise)
    })?;
    let seconds = Some(clock.elapsed().as_secs_f64());
    let lcm = |network: &Mlp, steps: usize| {
        let run =
            Sampling::new(Model::new(network, VPrediction), &schedule).sampler(Lcm::default());
        run.steps(steps).seed(seed).sample([count, 2], device)
    };
    for steps in FEW {
        add("consistency distillation", Some(steps), lcm(&student, steps)?, seconds)?;
    }

    // The teacher itself is tuned, and has no teacher. The data has twice the std that the defaults are for.
    let clock = Instant::now();
    let gap = ShrinkingGap::new((steps / 8).max(1))?.log_normal(-0.4, 2.0)?;
    let tuning = Consistency::new(&schedule, VPrediction, gap)?;
    let student = train(teacher.clone().train(), steps, 1e-3, seed, |network, noise| {
        tuning.loss(network, batch(noise), noise)
    })?;
    let seconds = Some(clock.elapsed().as_secs_f64());
    for steps in FEW {
        add("consistency tuning (ECT)", Some(steps), lcm(&student, steps)?, seconds)?;
    }

    // From data alone.
    let clock = Instant::now();
    let (edm, all) = (Edm::default(), 2 * steps);
    let kind = ConsistencyPrediction::new(1.0, 0.002)?;
    let levels = DoublingSteps::new(all)?.steps(10, 160)?.log_normal(-0.4, 2.0)?;
    let training = Consistency::new(&edm, kind, levels)?;
    let start = MlpConfig::new().with_frequencies(6).init(&taped)?;
    let network = train(start, all, 1e-3, seed, |network, noise| {
        training.loss(network, batch(noise), noise)
    })?;
    let seconds = Some(clock.elapsed().as_secs_f64());
    for steps in FEW {
        let run = Sampling::new(Model::new(&network, kind), &edm).sampler(Lcm::floor(0.002)?);
        let run = run.prior(Prior::default()).steps(steps).seed(seed);
        add("consistency training (iCT)", Some(steps), run.sample([count, 2], device)?, seconds)?;
    }

    let clock = Instant::now();
    // In the plane errors differ a lot from sample to sample: the adaptive weight would move the mean.
    let mean_flow = MeanFlow::default().power(0.0)?;
    let start = MlpConfig::new().with_dim(3).with_frequencies(6).init(&taped)?;
    let network = train(WithInterval::new(start), all, 2e-3, seed, |network, noise| {
        mean_flow.loss(network, batch(noise), noise)
    })?;
    let seconds = Some(clock.elapsed().as_secs_f64());
    for steps in FEW {
        let levels = Trailing.levels(&RectifiedFlow, steps)?;
        let start = HostNoise::new(seed).draw([count, 2], device);
        let samples = average_flow(&network, &levels, start)?;
        add("mean flow", Some(steps), samples, seconds)?;
    }

    table.print("teacher", 50);
    let pictures: Vec<Panel<'_>> = pictures
        .iter()
        .map(|(title, shown)| Panel { title, layers: vec![Layer::points(shown, palette::BLUE)] })
        .collect();
    write_png(&args.out.join("few_steps.png"), &panels(&pictures, 5, EXTENT))?;
    Ok(())
}

/// Trains a network and returns the average of its weights.
fn train<M: Module + ModuleDisplay>(
    network: M,
    steps: usize,
    rate: f64,
    seed: u64,
    loss: impl FnMut(&M, &mut StepNoise) -> Result<Tensor<1>, TrainError>,
) -> Result<M, Box<dyn Error>> {
    let training = Training { steps, ema_decay: 0.995, seed };
    let rate = CosineAnnealingLrSchedulerConfig::new(rate, steps.max(1)).init()?;
    let adam = AdamWConfig::new().init();
    match training.run_with(network, adam, rate, loss, training_bar()) {
        Ok(trained) => Ok(trained.average),
        Err(stopped) => Err(TrainError::from(stopped).into()),
    }
}
