//! Clothes: a trained U-Net, and students of four, two and one steps.

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use ddm_core::burn::grad_clipping::GradientClippingConfig;
use ddm_core::burn::module::Module;
use ddm_core::burn::optim::AdamWConfig;
use ddm_core::burn::optim::lr_scheduler::cosine::CosineAnnealingLrSchedulerConfig;
use ddm_core::data::{Idx, Loader, Order, Source, Split};
use ddm_core::denoiser::{Clipped, Conditioned};
use ddm_core::models::{Network, UNet};
use ddm_core::prelude::*;
use ddm_core::samplers::Lcm;
use ddm_core::schedule::Levels;
use ddm_core::train::{Consistency, ShrinkingGap, TrainError};
use ddm_examples::clothes::{CLASSES, ClothesClassifier, drawn, some};
use ddm_examples::labelled::LabelledImages;
use ddm_examples::output::{create_folder, write_png};
use ddm_examples::pictures::{Images, grid};
use ddm_examples::progress::training_bar;
use ddm_examples::quality::Quality;

use crate::rounds::halve;
use crate::table::Table;
use crate::{Args, FEW};

/// Images in a batch.
const BATCH: usize = 64;
/// Real images that samples are compared with.
const REAL: usize = 5_000;
/// The shape of a batch of images.
const SHAPE: [usize; 4] = [BATCH, 1, 28, 28];

pub(crate) fn run(args: &Args, device: &Device) -> Result<(), Box<dyn Error>> {
    let steps = args.student_steps.unwrap_or(600);
    let count = args.samples.unwrap_or(1000);
    let teacher = UNet::from_diffusers(&args.teacher, device)?;
    let clothes = Idx::open(&args.images, Split::Train)?;
    let test = some(&Idx::open(&args.images, Split::Test)?, 0, count, device)?;
    let real = some(&clothes, 0, REAL.min(clothes.len()), device)?;
    let classifier = ClothesClassifier::trained(device)?;
    create_folder(&args.out)?;
    let mut table = Table::new(["Fréchet distance", "read as requested"]);
    let mut add = |method: &str, steps: Option<usize>, samples: &LabelledImages, seconds| {
        let found = Quality::of(samples, &real, &classifier)?;
        table.add(method, steps, [found.frechet, found.right], seconds);
        if let Some(steps) = steps {
            let name = format!("{}-{steps}.png", method.replace(' ', "-"));
            let shown = samples.images.clone().narrow(0, 0, samples.len().min(100));
            write_png(&args.out.join(name), &grid(&Images::from(shown), CLASSES, 3))?;
        }
        Ok::<(), Box<dyn Error>>(())
    };
    add("test images", None, &test, None)?;

    let schedule = Cosine::default();
    let draw = |network: &UNet, levels: Levels, lcm: bool| {
        let network = network.clone().prepare(SHAPE)?;
        drawn(count, args.seed, device, |wanted, noise, shape| {
            let model = Model::new(Conditioned::new(&network, wanted.into()), VPrediction);
            let model = Clipped::new(model, -1.0, 1.0)?;
            let run = Sampling::new(model, &schedule).levels(levels.clone()).noise(noise);
            Ok(match lcm {
                true => run.sampler(Lcm::default()).sample(shape, device)?,
                false => run.sample(shape, device)?,
            })
        })
    };
    for steps in [1, 2, 4, 20, 50] {
        let samples = draw(&teacher, Trailing.levels(&schedule, steps)?, false)?;
        add("teacher", Some(steps), &samples, None)?;
    }

    let taped = device.clone().autodiff();
    let order = Order::new(clothes.len(), BATCH.min(clothes.len()), args.seed + 1)?;
    let loader = Loader::new(clothes, order)?;
    let batch = |noise: &StepNoise| -> Result<(Tensor<4>, Tensor<1, Int>), TrainError> {
        let batch = loader.batch(noise.batch_number()).map_err(TrainError::batch)?;
        let images = batch.data(&taped).map_err(TrainError::batch)?;
        Ok((images, batch.labels(CLASSES, &taped).map_err(TrainError::batch)?))
    };

    let clock = Instant::now();
    let students = halve(&teacher, &schedule, args.first.unwrap_or(16), |halving, teacher| {
        let prepared = teacher.clone().prepare(SHAPE)?;
        train(teacher.clone().train(), steps.div_ceil(2), 5e-4, args.seed, |network, noise| {
            let (images, labels) = batch(noise)?;
            let model = Conditioned::new(&prepared, labels.clone().inner().into());
            let teacher = Clipped::new(Model::new(model, VPrediction), -1.0, 1.0)?;
            let example = halving.draw(&teacher, images, noise)?;
            example.loss(network.predict_with(
                example.x_t.clone(),
                example.t.clone(),
                labels.into(),
            ))
        })
    })?;
    let seconds = Some(clock.elapsed().as_secs_f64());
    for (levels, student) in students.into_iter().rev() {
        let steps = levels.steps();
        if FEW.contains(&steps) {
            add("progressive", Some(steps), &draw(&student, levels, false)?, seconds)?;
            save(&student, &args.out.join(format!("progressive-{steps}")))?;
        }
    }

    let clock = Instant::now();
    let gap = ShrinkingGap::new((steps / 8).max(1))?;
    let tuning = Consistency::new(&schedule, VPrediction, gap)?.pseudo_huber(0.03)?;
    let student = train(teacher.train(), steps, 5e-4, args.seed, |network, noise| {
        let (images, labels) = batch(noise)?;
        let example = tuning.draw(images, noise)?;
        let (x_r, r) = (example.x_r.clone(), example.r.clone());
        let target = network.valid().predict_with(x_r, r, labels.clone().inner().into());
        let target = example.target(target)?;
        let found = network.predict_with(example.x_t.clone(), example.t.clone(), labels.into());
        example.loss(found, target)
    })?;
    let seconds = Some(clock.elapsed().as_secs_f64());
    for steps in FEW {
        let samples = draw(&student, Trailing.levels(&schedule, steps)?, true)?;
        add("consistency tuning", Some(steps), &samples, seconds)?;
    }
    save(&student, &args.out.join("consistency"))?;
    table.print("teacher", 50);
    Ok(())
}

/// Writes a network as diffusers does.
fn save(network: &UNet, folder: &Path) -> Result<(), Box<dyn Error>> {
    Ok(network.clone().to_diffusers(folder)?)
}

/// Trains a student and returns the average of its weights.
fn train(
    network: UNet,
    steps: usize,
    rate: f64,
    seed: u64,
    loss: impl FnMut(&UNet, &mut StepNoise) -> Result<Tensor<1>, TrainError>,
) -> Result<UNet, Box<dyn Error>> {
    let training = Training { steps, ema_decay: 0.98, seed };
    let adam = AdamWConfig::new().with_grad_clipping(Some(GradientClippingConfig::Norm(1.0)));
    let rate = CosineAnnealingLrSchedulerConfig::new(rate, steps).init()?;
    Ok(training.run_with(network, adam.init(), rate, loss, training_bar())?.average)
}
