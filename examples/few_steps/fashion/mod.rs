//! Clothes: a trained U-Net, and students of four, two and one steps.

mod lab;
mod students;

use std::error::Error;
use std::path::Path;

use ddm_core::data::{Idx, Source, Split};
use ddm_core::denoiser::{Clipped, Conditioned, from_fn};
use ddm_core::models::UNet;
use ddm_core::prelude::*;
use ddm_core::samplers::{Lcm, Prior, average_flow};
use ddm_core::schedule::{Edm, RectifiedFlow};
use ddm_examples::clothes::{CLASSES, ClothesClassifier, drawn, some};
use ddm_examples::labelled::LabelledImages;
use ddm_examples::output::{create_folder, write_png};
use ddm_examples::pictures::{Images, grid};
use ddm_examples::quality::Quality;

use crate::table::Table;
use crate::{Args, FEW, Method, timed};
use lab::Lab;

/// Real images that samples are compared with.
const REAL: usize = 5_000;

pub(crate) fn run(args: &Args, device: &Device) -> Result<(), Box<dyn Error>> {
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

    let lab = Lab::new(args, clothes, device)?;
    let schedule = &lab.schedule;
    for steps in [1, 2, 4, 20, 50] {
        let samples = lab.draw(&teacher, Trailing.levels(schedule, steps)?, Ddim::default())?;
        add("teacher", Some(steps), &samples, None)?;
    }

    if args.wants(Method::Progressive) {
        let (students, seconds) = timed(|| lab.progressive(&teacher))?;
        for (levels, student) in students.into_iter().rev() {
            let steps = levels.steps();
            if FEW.contains(&steps) {
                let samples = lab.draw(&student, levels, Ddim::default())?;
                add(Method::Progressive.name(), Some(steps), &samples, seconds)?;
                save(&student, &args.out.join(format!("progressive-{steps}")))?;
            }
        }
    }

    let from_teacher = [Method::Distillation, Method::Tuning];
    for method in from_teacher.into_iter().filter(|&method| args.wants(method)) {
        let (student, seconds) = timed(|| match method {
            Method::Distillation => lab.distilled(&teacher),
            _ => lab.tuned(&teacher),
        })?;
        for steps in FEW {
            let levels = Trailing.levels(schedule, steps)?;
            let samples = lab.draw(&student, levels, Lcm::default())?;
            add(method.name(), Some(steps), &samples, seconds)?;
        }
        save(&student, &args.out.join(method.name().replace(' ', "-")))?;
    }

    if args.wants(Method::Training) {
        let ((student, kind), seconds) = timed(|| lab.consistency_training())?;
        for steps in FEW {
            let samples = drawn(count, args.seed, device, |wanted, noise, shape| {
                let model = Model::new(Conditioned::new(&student, wanted.into()), kind);
                let run = Sampling::new(Clipped::new(model, -1.0, 1.0)?, Edm::default());
                let run = run.sampler(Lcm::floor(0.002)?).prior(Prior::default()).steps(steps);
                Ok(run.noise(noise).sample(shape, device)?)
            })?;
            add(Method::Training.name(), Some(steps), &samples, seconds)?;
        }
        save(&student, &args.out.join("consistency-training"))?;
    }

    if args.wants(Method::MeanFlow) {
        let (student, seconds) = timed(|| lab.mean_flow())?;
        for steps in FEW {
            let levels = Trailing.levels(&RectifiedFlow, steps)?;
            let samples = drawn(count, args.seed, device, |wanted, mut noise, shape| {
                let network = from_fn(|z: Tensor<4>, r: Tensor<1>, t: Tensor<1>| {
                    student.average_velocity_with(z, r, t, wanted.clone().into())
                });
                Ok(average_flow(&network, &levels, noise.draw(shape, device))?)
            })?;
            add(Method::MeanFlow.name(), Some(steps), &samples, seconds)?;
        }
        save(&student.into_inner(), &args.out.join("mean-flow"))?;
    }
    table.print("teacher", 50);
    Ok(())
}

/// Writes a network as diffusers does.
fn save(network: &UNet, folder: &Path) -> Result<(), Box<dyn Error>> {
    Ok(network.clone().to_diffusers(folder)?)
}
