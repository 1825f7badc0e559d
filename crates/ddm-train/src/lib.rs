//! Training objectives, weightings, EMA and a plain loop for diffusion models on burn
