//! Points in the plane: a teacher, and students of four, two and one steps.

mod lab;
mod students;

use std::error::Error;

use ddm_core::prelude::*;
use ddm_core::quality::{Features, SlicedWasserstein, energy_distance};
use ddm_core::samplers::{Lcm, Prior, average_flow};
use ddm_core::schedule::{Edm, RectifiedFlow};
use ddm_examples::output::write_png;
use ddm_examples::plots::{Layer, Panel, palette, panels};
use ddm_examples::tensors::points;

use crate::table::Table;
use crate::{Args, FEW, Method, timed};
use lab::Lab;

/// Half the width of the plane in the pictures.
const EXTENT: f32 = 2.6;
/// Points in a picture.
const SHOWN: usize = 1000;

pub(crate) fn run(args: &Args, device: &Device) -> Result<(), Box<dyn Error>> {
    let (count, seed) = (args.samples.unwrap_or(4000), args.seed);
    let lab = Lab::new(args, device);
    let schedule = &lab.schedule;

    let fresh = |seed| lab.data(count, &mut HostNoise::new(seed)).inner();
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

    let (teacher, seconds) = timed(|| lab.teacher())?;
    for steps in [1, 2, 4, 50] {
        let run = Sampling::new(Model::new(&teacher, VPrediction), schedule).steps(steps);
        add("teacher", Some(steps), run.seed(seed).sample([count, 2], device)?, seconds)?;
    }

    if args.wants(Method::Progressive) {
        let (students, seconds) = timed(|| lab.progressive(&teacher, args.first.unwrap_or(32)))?;
        for (levels, student) in students.into_iter().rev() {
            let steps = levels.steps();
            if FEW.contains(&steps) {
                let run = Sampling::new(Model::new(student, VPrediction), schedule).levels(levels);
                add(
                    Method::Progressive.name(),
                    Some(steps),
                    run.seed(seed).sample([count, 2], device)?,
                    seconds,
                )?;
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
            let run = Sampling::new(Model::new(&student, VPrediction), schedule);
            let run = run.sampler(Lcm::default()).steps(steps).seed(seed);
            add(method.name(), Some(steps), run.sample([count, 2], device)?, seconds)?;
        }
    }

    if args.wants(Method::Training) {
        let ((student, kind), seconds) = timed(|| lab.consistency_training())?;
        for steps in FEW {
            let run = Sampling::new(Model::new(&student, kind), Edm::default());
            let run = run.sampler(Lcm::floor(0.002)?).prior(Prior::default());
            let samples = run.steps(steps).seed(seed).sample([count, 2], device)?;
            add(Method::Training.name(), Some(steps), samples, seconds)?;
        }
    }

    if args.wants(Method::MeanFlow) {
        let (student, seconds) = timed(|| lab.mean_flow())?;
        for steps in FEW {
            let levels = Trailing.levels(&RectifiedFlow, steps)?;
            let start = HostNoise::new(seed).draw([count, 2], device);
            add(
                Method::MeanFlow.name(),
                Some(steps),
                average_flow(&student, &levels, start)?,
                seconds,
            )?;
        }
    }

    table.print("teacher", 50);
    let pictures: Vec<Panel<'_>> = pictures
        .iter()
        .map(|(title, shown)| Panel { title, layers: vec![Layer::points(shown, palette::BLUE)] })
        .collect();
    write_png(&args.out.join("few_steps.png"), &panels(&pictures, 5, EXTENT))?;
    Ok(())
}
