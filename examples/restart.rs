//! Restart sampling, written outside the library: a sampler that returns to a noisier level and
//! repeats steps.
//!
//! `cargo run --release --example restart`

use std::error::Error;
use std::process::ExitCode;

use ddm_core::prelude::*;
use ddm_core::schedule::{Edm, Karras};

/// Restart around any sampler: after a run has passed through the interval `[low, high]` of σ/α, x
/// goes up again by the forward kernel and the same steps are repeated, `times` times.
///
/// The fresh noise removes errors that earlier steps have left in x. Source: Xu et al., *Restart
/// Sampling for Improving Generative Processes*, algorithm 1, arXiv 2306.14878.
struct Restart<S> {
    inner: S,
    low: f64,
    high: f64,
    times: usize,
}

/// The inner sampler's state, and the levels of the run inside the interval.
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
    // The exact denoiser of data N(2, 0.5²); a trained model goes here.
    let (mean, variance) = (2.0, 0.25);
    let model = from_fn(move |x: Tensor<2>, at: NoiseLevel| {
        let noisy = variance * at.alpha_bar() + at.sigma * at.sigma;
        (x - mean * at.alpha) * (variance * at.alpha / noisy) + mean
    });
    for times in [0, 1, 4] {
        let sampler = Restart { inner: Ddim::EULER, low: 0.1, high: 3.0, times };
        let run = Sampling::new(&model, &schedule).sampler(&sampler).grid(Karras::default());
        let mut run = run.steps(12).seed(7).start([20_000, 1], &device)?;
        let last = run.by_ref().last().ok_or("a run has steps")?;
        let std = last.x.var(0).into_scalar::<f64>().sqrt();
        println!("{times} restarts: {} model calls, std {std:.3} (0.5 is right)", last.evaluations);
        // The laws of ddm's own samplers.
        ddm_testkit::sampler::all(&sampler, &schedule, &device)?;
    }
    println!("all laws hold");
    Ok(())
}
