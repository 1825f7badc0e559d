//! The kernels against plain loops in double precision.
//!
//! `DDM_SIMD=scalar` and `DDM_SIMD=avx2` test the other instruction sets.

mod attention;
mod compare;
mod conv;
mod elementwise;
mod gemm;
mod norms;
mod resample;
