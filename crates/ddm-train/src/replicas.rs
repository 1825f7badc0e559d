//! Copies of a network, each of which computes its part of a batch.

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{DType, Device, Gradients, Tensor, TensorData};
use ddm_schedule::Invalid;

use crate::flat::{self, Which};
use crate::{SampleLosses, StepLoss, StepNoise, TrainError};

/// A network on the devices that compute its gradients. All that moves between devices is read from one
/// and written to another, so that a device that fails is an error and devices need not reach each other.
pub(crate) struct Replicas<M> {
    parts: Vec<Part<M>>,
    /// The device of the network.
    main: Device,
    dtype: DType,
}

struct Part<M> {
    device: Device,
    /// The copy of the network there; none where the network itself is.
    copy: Option<M>,
}

impl<M: Module> Replicas<M> {
    /// Copies a network to those of the devices where it is not. No device is that of the network.
    pub(crate) async fn new(
        network: &M,
        devices: &[Device],
        read: &impl AsyncFn(Tensor<1>) -> Result<TensorData, String>,
    ) -> Result<Self, TrainError> {
        let own = network.devices();
        let main = match &own[..] {
            [main] => main.clone(),
            [main, ..] if devices.is_empty() => main.clone(),
            _ => {
                let name = "the number of devices that have parts of the network";
                let allowed = "1, where it is to be trained on several";
                return Err(Invalid { name, value: own.len() as f64, allowed }.into());
            }
        };
        let devices = if devices.is_empty() { std::slice::from_ref(&main) } else { devices };
        let parts = devices.iter().map(|device| Part { device: device.clone(), copy: None });
        let mut replicas = Self { parts: parts.collect(), main, dtype: flat::dtype(network) };
        for part in &mut replicas.parts {
            if part.device != replicas.main {
                part.copy = Some(network.clone());
            }
        }
        replicas.update(network, Which::All, 0, read).await?;
        Ok(replicas)
    }

    /// Returns the mean loss of a step, on the device of the network, the losses of its samples, by part,
    /// and the mean gradients.
    pub(crate) async fn gradients<L: Into<StepLoss>>(
        &mut self,
        network: &M,
        at: (u64, usize),
        loss: &mut impl FnMut(&M, &mut StepNoise) -> Result<L, TrainError>,
        read: &impl AsyncFn(Tensor<1>) -> Result<TensorData, String>,
    ) -> Result<(Tensor<1>, Vec<SampleLosses>, GradientsParams), TrainError> {
        if let [Part { copy: None, .. }] = self.parts[..] {
            let loss: StepLoss = loss(network, &mut self.noise(network, at, 0))?.into();
            let (samples, loss) = (samples(&loss).collect(), loss.mean());
            let gradients = GradientsParams::from_grads(backward(&loss), network);
            return Ok((loss.inner(), samples, gradients));
        }
        self.update(network, Which::Trained, at.1, read).await?;
        let (mut vectors, mut present) = (Vec::with_capacity(self.parts.len()), Vec::new());
        let mut all_samples = Vec::new();
        for (number, part) in self.parts.iter().enumerate() {
            let network = part.copy.as_ref().unwrap_or(network);
            let loss: StepLoss = loss(network, &mut self.noise(network, at, number))?.into();
            all_samples.extend(samples(&loss));
            let loss = loss.mean();
            let gradients = GradientsParams::from_grads(backward(&loss), network);
            let (vector, has) = flat::gradients(network, loss, gradients, self.dtype);
            vectors.push(vector);
            present.resize(has.len(), false);
            present.iter_mut().zip(has).for_each(|(any, has)| *any |= has);
            // Devices that take operations together begin now, and compute beside the next.
            part.device.flush().map_err(|error| self.failed(number, at.1, &error.to_string()))?;
        }
        let mut sum: Option<Tensor<1>> = None;
        for (number, vector) in vectors.into_iter().enumerate() {
            let vector = match &self.parts[number].copy {
                None => vector,
                Some(_) => {
                    let data = pieces(vector, read).await;
                    let data = data.map_err(|reason| self.failed(number, at.1, &reason))?;
                    self.joined(data, &self.main)
                }
            };
            sum = Some(match sum {
                None => vector,
                Some(sum) => sum + vector,
            });
        }
        let Some(sum) = sum else { unreachable!("there is a part at least") };
        let sum = sum / self.parts.len() as f64;
        let (loss, gradients) = flat::loss_and_gradients(network, sum, &present);
        Ok((loss, all_samples, gradients))
    }

    /// Returns the losses of a step by part.
    pub(crate) async fn losses<L: Into<StepLoss>>(
        &mut self,
        network: &M,
        at: (u64, usize),
        loss: &mut impl FnMut(&M, &mut StepNoise) -> Result<L, TrainError>,
        read: &impl AsyncFn(Tensor<1>) -> Result<TensorData, String>,
    ) -> Result<Vec<f64>, TrainError> {
        self.update(network, Which::Trained, at.1, read).await?;
        let mut losses = Vec::with_capacity(self.parts.len());
        for (number, part) in self.parts.iter().enumerate() {
            let network = part.copy.as_ref().unwrap_or(network);
            let loss: StepLoss = loss(network, &mut self.noise(network, at, number))?.into();
            let data = read(loss.mean().inner()).await;
            losses.extend(data.map_err(|reason| self.failed(number, at.1, &reason))?.iter::<f64>());
        }
        Ok(losses)
    }

    /// Brings the weights of a network to its copies.
    async fn update(
        &mut self,
        network: &M,
        which: Which,
        step: usize,
        read: &impl AsyncFn(Tensor<1>) -> Result<TensorData, String>,
    ) -> Result<(), TrainError> {
        if self.parts.iter().all(|part| part.copy.is_none()) {
            return Ok(());
        }
        let Some(weights) = flat::weights(network, which, self.dtype) else { return Ok(()) };
        let weights = pieces(weights, read).await.map_err(|reason| {
            let device = self.main.clone().inner();
            TrainError::Device { device: format!("of the network, {device:?},"), step, reason }
        })?;
        for number in 0..self.parts.len() {
            if let Some(copy) = self.parts[number].copy.take() {
                let weights = self.joined(weights.clone(), &self.parts[number].device);
                self.parts[number].copy = Some(flat::with_weights(copy, which, weights));
            }
        }
        Ok(())
    }

    /// Returns a vector on a device, without autodiff.
    fn joined(&self, pieces: Vec<TensorData>, device: &Device) -> Tensor<1> {
        let device = device.clone().inner();
        let mut tensors: Vec<Tensor<1>> = pieces
            .into_iter()
            .map(|piece| Tensor::from_data(piece, (&device, self.dtype)))
            .collect();
        match tensors.len() {
            1 => tensors.remove(0),
            _ => Tensor::cat(tensors, 0),
        }
    }

    /// Returns the noise of a part, and seeds its device.
    fn noise(&self, network: &M, (seed, step): (u64, usize), number: usize) -> StepNoise {
        let noise = StepNoise::new(seed, step).for_part(number, self.parts.len());
        noise.seed_devices(&network.devices());
        noise
    }

    fn failed(&self, number: usize, step: usize, reason: &str) -> TrainError {
        let (device, devices) = (self.parts[number].device.clone().inner(), self.parts.len());
        let device = format!("{} of {devices}, {device:?},", number + 1);
        TrainError::Device { device, step, reason: reason.to_owned() }
    }
}

/// Reads a vector, in pieces that go into a message: those of burn-remote have at most 1 GiB.
async fn pieces(
    vector: Tensor<1>,
    read: &impl AsyncFn(Tensor<1>) -> Result<TensorData, String>,
) -> Result<Vec<TensorData>, String> {
    const LENGTH: usize = 1 << 24;
    let length = vector.dims()[0];
    if length <= LENGTH {
        return Ok(vec![read(vector).await?]);
    }
    let mut pieces = Vec::with_capacity(length.div_ceil(LENGTH));
    for start in (0..length).step_by(LENGTH) {
        let piece = vector.clone().narrow(0, start, LENGTH.min(length - start));
        pieces.push(read(piece).await?);
    }
    Ok(pieces)
}

/// Returns the losses of the samples, if they are known, without their graph.
fn samples(loss: &StepLoss) -> impl Iterator<Item = SampleLosses> {
    loss.samples().cloned().map(SampleLosses::without_autodiff).into_iter()
}

/// Returns the gradients of a loss.
fn backward(loss: &Tensor<1>) -> Gradients {
    #[cfg(feature = "kernels")]
    if ddm_kernels::burn::is_on_flex(loss) {
        return ddm_kernels::pass(|| loss.backward());
    }
    loss.backward()
}
