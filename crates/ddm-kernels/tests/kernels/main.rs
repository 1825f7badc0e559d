//! The kernels against plain sums in `f64`.

mod compare;
mod elementwise;
mod norms;
mod resample;
