//! The denoiser of a network, a scheduler and a request.

use ddm_denoiser::{
    ClassifierFree, Condition, ConditionalPredictor, Conditioned, Denoiser, Interval,
};
use ddm_diffusers::SchedulerConfig;

use crate::{PipelineError, Request};

/// Returns the denoiser of `network` with `condition`, guided away from `null` if there is one.
pub(crate) fn guided<N, C>(
    scheduler: &SchedulerConfig,
    network: N,
    (condition, null): (C, Option<C>),
    scale: f64,
    request: &Request,
) -> Result<Box<dyn Denoiser<4>>, PipelineError>
where
    N: ConditionalPredictor<4, Condition = C> + 'static,
    C: Condition + 'static,
{
    let Some(null) = null else {
        request.check_unguided()?;
        let network = Conditioned::new(network, condition);
        return Ok(scheduler.denoiser(network)?);
    };
    let scale = Interval::new(scale, request.interval.clone().unwrap_or(0.0..=f64::INFINITY))?;
    let guided = ClassifierFree::new(scheduler.model(network)?, condition, null, scale)?;
    Ok(scheduler.limited(guided.rescale(request.rescale)?)?)
}
