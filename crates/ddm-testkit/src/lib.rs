//! Laws that every schedule, grid, denoiser and sampler obeys, as functions anyone may call
