//! A complete schedule and sampler of your own: two small traits.
//!
//! `cargo run --release --example custom_scheduler`

use std::error::Error;
use std::process::ExitCode;

use ddm_core::prelude::*;
use ddm_core::schedule::kernel::ddim_std;

/// alpha = 1 − t, sigma = t. Every grid, sampler and loss works with it.
struct MySchedule;

impl NoiseSchedule for MySchedule {
    fn alpha_sigma(&self, t: f64) -> (f64, f64) {
        (1.0 - t, t)
    }
}

/// Ancestral steps that add noise only above a floor.
struct MySampler {
    eta: f64,
    floor: f64,
}

impl<const D: usize> Sampler<D> for MySampler {
    type State = ();

    fn step(
        &self,
        cx: &mut Context<'_, D>,
        x: Tensor<D>,
        from: NoiseLevel,
        to: NoiseLevel,
        _: &mut (),
    ) -> Tensor<D> {
        let x0 = cx.denoise(x.clone(), from);
        let eta = if to.sigma > self.floor { self.eta } else { 0.0 };
        cx.reverse(x, x0, from, to, ddim_std(from, to, eta))
    }

    fn is_stochastic(&self) -> bool {
        self.eta > 0.0
    }
}

fn main() -> ExitCode {
    ddm_examples::cli::run(run)
}

fn run() -> Result<(), Box<dyn Error>> {
    let device = Device::flex();
    // The exact denoiser of data N(2, 0.5²); a trained model goes here.
    let (mean, variance) = (2.0, 0.25);
    let model = from_fn(move |x: Tensor<2>, at: NoiseLevel| {
        let noisy = variance * at.alpha_bar() + at.sigma * at.sigma;
        (x - mean * at.alpha) * (variance * at.alpha / noisy) + mean
    });
    let sampler = MySampler { eta: 1.0, floor: 0.05 };
    let run = Sampling::new(&model, &MySchedule).sampler(&sampler).steps(200).seed(7);
    let (variance, mean) = run.sample([10_000, 1], &device)?.var_mean(0);
    println!("mean {:.3} (2 is right)", mean.into_scalar::<f32>());
    println!("std  {:.3} (0.5 is right)", variance.into_scalar::<f32>().sqrt());

    // The laws of ddm's own schedules and samplers.
    ddm_testkit::schedule::all(&MySchedule)?;
    ddm_testkit::sampler::all(&sampler, &MySchedule, &device)?;
    println!("all laws hold");
    Ok(())
}
