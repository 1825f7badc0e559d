//! Denoising-diffusion models for burn: schedules, samplers, training and latent space behind one name
