//! Three ways from noise to data that need only the score.

use std::error::Error;

use ddm_core::prelude::*;
use ddm_core::samplers::{BoxedSampler, Heun};
use ddm_core::schedule::{Levels, spacing};
use ddm_core::score::{AnnealedLangevin, ReverseDiffusion};
use ddm_examples::animation::Timing;
use ddm_examples::output::{write_gif, write_png};
use ddm_examples::plots::{Layer, Panel, palette, panels};
use ddm_examples::tensors::{numbers, points};

use crate::Args;
use crate::density::{Cells, EXTENT, peak, shades};
use crate::learning::Learned;
use crate::sky::Sky;

/// The first σ: not the greatest, at which most points would lie outside of the picture.
const START: f64 = 1.0;
/// Langevin moves at each level.
const MOVES: usize = 5;
/// Number of drawn paths.
const TRAILS: usize = 12;

/// The three samplers, and their noise levels.
pub(crate) struct Ways {
    levels: Levels,
    samplers: [(&'static str, BoxedSampler<2>); 3],
}

/// The points after each step of one sampler.
struct Way {
    name: &'static str,
    xs: Vec<Tensor<2>>,
    calls: usize,
}

impl Ways {
    /// Creates the samplers and levels for `steps` steps: at least 2, and few enough for Langevin moves.
    pub(crate) fn new(schedule: &VarianceExploding, steps: usize) -> Result<Self, Box<dyn Error>> {
        let sigmas = spacing::exponential(steps, START, schedule.level(0.0).sigma)?;
        let levels = Levels::at_sigmas(schedule, sigmas)?;
        let langevin = AnnealedLangevin::ncsn_v2(levels[0].sigma / levels[1].sigma, MOVES)?;
        let samplers = [
            ("Langevin dynamics", BoxedSampler::new(langevin)),
            ("reverse SDE", BoxedSampler::new(ReverseDiffusion)),
            ("probability flow", BoxedSampler::new(Heun::default())),
        ];
        Ok(Self { levels, samplers })
    }

    /// Runs all three from the same start.
    fn walk(
        self,
        model: &impl Denoiser<2>,
        schedule: &VarianceExploding,
        args: &Args,
        device: &Device,
    ) -> Result<Vec<Way>, SamplingError> {
        let Self { levels, samplers } = self;
        let walk = |(name, sampler)| {
            let mut noise = HostNoise::new(args.seed);
            let start = noise.draw([args.points, 2], device) * levels[0].scale();
            let run = Sampling::new(model, schedule).sampler(sampler).levels(levels.clone());
            let mut way = Way { name, xs: vec![start.clone()], calls: 0 };
            for frame in run.noise(noise).start_from(start)? {
                way.calls = frame.evaluations;
                way.xs.push(frame.x);
            }
            Ok(way)
        };
        samplers.into_iter().map(walk).collect()
    }
}

/// Runs all three samplers, and draws and prints the results.
pub(crate) fn draw(
    sky: &Sky,
    learned: &Learned,
    schedule: &VarianceExploding,
    cells: &Cells,
    ways: Ways,
    args: &Args,
) -> Result<(), Box<dyn Error>> {
    let device = cells.x.device();
    let ways = ways.walk(&learned.unprompted(), schedule, args, &device)?;
    let least = schedule.level(0.0);
    let likely = |x: Tensor<2>| {
        let of_each = numbers(sky.whole.log_density(x, least));
        of_each.iter().sum::<f32>() / of_each.len() as f32
    };
    let data = sky.whole.sample(args.points, &mut HostNoise::new(args.seed), &device);
    println!("mean exact ln p of {} points", args.points);
    println!("  {:18} {:6.2} nats", "data", likely(data));
    for Way { name, xs, calls } in &ways {
        let end = likely(xs[xs.len() - 1].clone());
        println!("  {name:18} {end:6.2} nats after {calls} model calls");
    }

    let exact = cells.exact(&sky.whole, least);
    let heat = shades(&exact, peak(&exact));
    let walked: Vec<Vec<Vec<[f32; 2]>>> =
        ways.iter().map(|way| way.xs.iter().cloned().map(points).collect()).collect();
    let ground = || Layer::heat(&heat, palette::GREY);
    let colours = [palette::VIOLET, palette::ORANGE, palette::BLUE];

    let trails: Vec<Vec<Vec<[f32; 2]>>> = walked
        .iter()
        .map(|xs| (0..TRAILS.min(args.points)).map(|i| xs.iter().map(|x| x[i]).collect()).collect())
        .collect();
    let titles: Vec<String> =
        ways.iter().map(|way| format!("{}, {} calls", way.name, way.calls)).collect();
    let pictures: Vec<Panel<'_>> = (0..ways.len())
        .map(|k| Panel {
            title: &titles[k],
            layers: vec![ground(), Layer::paths(&trails[k], colours[k])],
        })
        .collect();
    write_png(&args.out.join("ways.png"), &panels(&pictures, ways.len(), EXTENT))?;

    let frames: Vec<_> = (0..=args.steps)
        .map(|step| {
            let panel = |k: usize| Panel {
                title: ways[k].name,
                layers: vec![ground(), Layer::points(&walked[k][step], colours[k])],
            };
            panels(&[panel(0), panel(1), panel(2)], ways.len(), EXTENT)
        })
        .collect();
    Ok(write_gif(&args.out.join("ways.gif"), &frames, Timing::default())?)
}
