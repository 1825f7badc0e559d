//! The fields of one network under several prompts.

use std::error::Error;

use ddm_core::prelude::*;
use ddm_core::schedule::Exponential;
use ddm_core::score::ReverseDiffusion;
use ddm_examples::output::write_png;
use ddm_examples::plots::{Layer, Panel, palette, panels};
use ddm_examples::tensors::{numbers, points};

use crate::Args;
use crate::density::EXTENT;
use crate::field::{ARROWS, Arrows, arrows};
use crate::learning::Learned;
use crate::prompt::Prompt;
use crate::sky::Sky;

/// The noise level of the fields.
const SIGMA: f64 = 0.5;
/// Steps of the reverse SDE for the samples.
const STEPS: usize = 100;
/// Guidance scales of the last prompt, in the second row.
const SCALES: [f64; 3] = [0.5, 2.0, 4.0];

/// A field with its feet, and samples.
struct Picture {
    title: String,
    field: Arrows,
    samples: Vec<[f32; 2]>,
}

/// Draws fields and samples without a prompt and with each prompt, then the last one at other scales.
pub(crate) fn draw(
    sky: &Sky,
    learned: &Learned,
    schedule: &VarianceExploding,
    device: &Device,
    prompts: &[Prompt],
    args: &Args,
) -> Result<(), Box<dyn Error>> {
    let at = schedule.level_at(-SIGMA.ln());
    let sample = |model: &dyn Denoiser<2>| {
        let run = Sampling::new(model, schedule).sampler(ReverseDiffusion).grid(Exponential);
        run.steps(STEPS).seed(args.seed).sample([args.points, 2], device)
    };
    let free = learned.unprompted();
    let mut pictures = vec![Picture {
        title: "no prompt".into(),
        field: arrows(&free, at, device)?,
        samples: points(sample(&free)?),
    }];
    println!("samples that match the prompt");
    let scaled = SCALES.iter().filter_map(|&scale| Some((prompts.last()?, scale)));
    for (prompt, scale) in prompts.iter().map(|prompt| (prompt, 1.0)).chain(scaled) {
        let model = |batch| learned.prompted(prompt, scale, batch, device);
        let samples = sample(&model(args.points)?)?;
        let matches =
            sky.whole.log_probability(samples.clone(), schedule.level(0.0), prompt.class as usize);
        let right = numbers(matches).iter().filter(|&&ln| ln > 0.5f32.ln()).count();
        let share = 100.0 * right as f64 / args.points as f64;
        println!("  {:6} at scale {scale}: {share:5.1} %", prompt.text);
        pictures.push(Picture {
            title: format!("\"{}\", scale {scale}", prompt.text),
            field: arrows(&model(ARROWS * ARROWS)?, at, device)?,
            samples: points(samples),
        });
    }
    let drawn: Vec<Panel<'_>> = pictures
        .iter()
        .map(|Picture { title, field: (feet, score), samples }| Panel {
            title,
            layers: vec![
                Layer::points(samples, palette::BLUE),
                Layer::arrows(feet, score, palette::ORANGE),
            ],
        })
        .collect();
    let columns = SCALES.len().max(prompts.len() + 1);
    Ok(write_png(&args.out.join("prompts.png"), &panels(&drawn, columns, EXTENT))?)
}
