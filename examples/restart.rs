//! Restart sampling, written outside the library: a sampler that goes back up and takes steps again.
//!
//! `cargo run --release --example restart`

use std::error::Error;
use std::process::ExitCode;

use ddm_core::prelude::*;
use ddm_core::samplers::Heun;
use ddm_core::schedule::{Edm, Karras};

/// Restart around any sampler: when a run has come down through the interval `[low, high]` of σ/α,
/// x goes up again by the forward kernel and the same steps are taken once more, `times` times.
///
/// The fresh noise wipes out errors that the steps above have left in x. Source: Xu et al., *Restart
/// Sampling for Improving Generative Processes*, algorithm 1, arXiv 2306.14878.
struct Restart<S> {
    inner: S,
    low: f64,
    high: f64,
    times: usize,
}

/// The inner sampler's state, and the levels inside the interval that the run has come through.
#[derive(Clone, Default)]
struct Interval<T> {
    inner: T,
    levels: Vec<NoiseLevel>,
}

impl<const D: usize, S: Sampler<D>> Sampler<D> for Restart<S> {
    type State = Interval<S::State>;

    fn step(
        &self,
        cx: &mut Context<'_, D>,
        x: Tensor<D>,
        from: NoiseLevel,
        to: NoiseLevel,
        Interval { inner, levels }: &mut Self::State,
    ) -> Tensor<D> {
        let inside = |at: NoiseLevel| (self.low..=self.high).contains(&(at.sigma / at.alpha));
        if inside(from) {
            levels.push(from);
        }
        let mut x = self.inner.step(cx, x, from, to, inner);
        if levels.is_empty() || inside(to) {
            return x;
        }
        let (levels, done) = (std::mem::take(levels), cx.done());
        for _ in 0..self.times {
            x = cx.forward(x, to, levels[0]);
            *inner = S::State::default();
            for (k, &from) in levels.iter().enumerate() {
                let (to, number) = (*levels.get(k + 1).unwrap_or(&to), done + 1 + k - levels.len());
                x = cx.step(&self.inner, number, x, (from, to), inner);
            }
        }
        x
    }

    fn order(&self) -> Option<usize> {
        self.inner.order()
    }

    fn is_stochastic(&self) -> bool {
        self.times > 0 || self.inner.is_stochastic()
    }
}

fn main() -> ExitCode {
    ddm_examples::cli::run(run)
}

fn run() -> Result<(), Box<dyn Error>> {
    let (device, schedule) = (Device::flex(), Edm::default());
    // Data N(2, 0.5²), and a model that is exact but for much noise, where it is off by 1.
    let (mean, variance) = (2.0, 0.25);
    let model = from_fn(move |x: Tensor<2>, at: NoiseLevel| {
        let noisy = variance * at.alpha_bar() + at.sigma * at.sigma;
        let fault = if at.sigma > 3.0 { 1.0 } else { 0.0 };
        (x - mean * at.alpha) * (variance * at.alpha / noisy) + mean + fault
    });
    for times in [0, 1, 2] {
        let sampler = Restart { inner: Heun::default(), low: 0.1, high: 3.0, times };
        let run = Sampling::new(&model, &schedule).sampler(&sampler).grid(Karras::default());
        let mut run = run.steps(18).seed(7).start([20_000, 1], &device)?;
        let last = run.by_ref().last().ok_or("a run has steps")?;
        let mean = last.x.mean().into_scalar::<f64>();
        println!("{times} restarts: {} model calls, mean {mean:.3} (2 is right)", last.evaluations);
        // The laws that ddm's own samplers pass, but for the calls: only steps in the interval repeat.
        ddm_testkit::sampler::repeats(&sampler, &schedule, &device)?;
        ddm_testkit::sampler::reaches_x0(&sampler, &schedule, &device)?;
        ddm_testkit::sampler::draws_as_claimed(&sampler, &schedule, &device)?;
    }
    println!("all laws hold");
    Ok(())
}
