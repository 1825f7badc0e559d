//! Denoising score matching: a network for the score of the sky at every noise level.

use std::error::Error;

use ddm_core::burn::optim::AdamWConfig;
use ddm_core::burn::optim::lr_scheduler::cosine::CosineAnnealingLrSchedulerConfig;
use ddm_core::denoiser::EdmPrediction;
use ddm_core::models::Mlp;
use ddm_core::prelude::*;
use ddm_core::train::{ConditionDropout, ScoreMatching};
use ddm_examples::progress::training_bar;

use crate::prompt::Prompt;
use crate::sky::Sky;

/// Samples of each class in a training batch.
const EACH: usize = 256;

/// About the standard deviation of the data.
const SIGMA_DATA: f64 = 0.8;

/// An MLP trained on the scores of the whole sky and of each class.
pub(crate) struct Learned {
    network: Mlp,
    prediction: EdmPrediction,
}

impl Learned {
    /// Trains for `steps` steps.
    pub(crate) fn train(
        sky: &Sky,
        schedule: &VarianceExploding,
        device: &Device,
        steps: usize,
        seed: u64,
    ) -> Result<Self, Box<dyn Error>> {
        let device = device.clone().autodiff();
        // The score as σ² s = x̂₀ − x, with the x̂₀ of EDM: at large noise, the network predicts the
        // data alone. Its slopes matter too, for the likelihood.
        let prediction = EdmPrediction::new(SIGMA_DATA)?;
        let objective = Objective::new(schedule, prediction)?.weighting(ScoreMatching);
        // Half of the time the class is dropped: the score of the whole sky matters as much.
        let dropout = ConditionDropout::new(0.5)?;
        let classes = sky.parts.len();
        let network =
            MlpConfig::new().with_frequencies(3).with_classes(Some(classes)).init(&device)?;
        let labels: Vec<i32> = (0..classes).flat_map(|class| [class as i32; EACH]).collect();
        let labels = Tensor::<1, Int>::from_data(labels.as_slice(), &device);
        let null = network.null_classes(classes * EACH, &device);
        let training = Training { steps, ema_decay: 0.999, seed };
        let rate = CosineAnnealingLrSchedulerConfig::new(2e-3, steps.max(1)).init()?;
        let loss = |network: &Mlp, noise: &mut StepNoise| {
            let parts = sky.parts.iter().map(|part| part.sample(EACH, noise, &device)).collect();
            let classes = dropout.apply(labels.clone(), null.clone(), noise)?;
            objective.loss_with(network, Tensor::cat(parts, 0), classes, noise)
        };
        let optimizer = AdamWConfig::new().init();
        let trained = training.run_with(network, optimizer, rate, loss, training_bar())?;
        Ok(Self { network: trained.average, prediction })
    }

    /// Returns the model of the whole sky.
    pub(crate) fn unprompted(&self) -> Model<&Mlp, EdmPrediction> {
        Model::new(&self.network, self.prediction)
    }

    /// Returns the model of a prompt, for batches of this size, by classifier-free guidance. At scale 1
    /// this is the network's conditional prediction.
    pub(crate) fn prompted(
        &self,
        prompt: &Prompt,
        scale: f64,
        batch: usize,
        device: &Device,
    ) -> Result<impl Denoiser<2>, ModelError> {
        let condition = Tensor::<1, Int>::full([batch], prompt.class, device);
        let null = self.network.null_classes(batch, device);
        ClassifierFree::new(Model::new(&self.network, self.prediction), condition, null, scale)
    }
}
