//! CPU kernels for the networks of diffusion models.
