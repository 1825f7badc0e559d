//! Run-time choice of the instruction set.

use std::sync::OnceLock;

use pulp::{Arch, Simd, WithSimd};

/// Runs `op` with the best instruction set of this CPU.
///
/// The environment variable `DDM_SIMD`, read once, limits the choice: `avx2` leaves AVX-512 out and
/// `scalar` everything.
pub(crate) fn dispatch<O: WithSimd>(op: O) -> O::Output {
    static ARCH: OnceLock<Arch> = OnceLock::new();
    ARCH.get_or_init(|| chosen(std::env::var("DDM_SIMD").as_deref().unwrap_or(""))).dispatch(op)
}

fn chosen(limit: &str) -> Arch {
    match limit {
        "scalar" => Arch::Scalar,
        #[cfg(target_arch = "x86_64")]
        "avx2" => pulp::x86::V3::try_new().map_or(Arch::Scalar, Arch::V3),
        _ => Arch::new(),
    }
}

/// Returns the name of the instruction set that the kernels use: that of this CPU, or what the
/// environment variable `DDM_SIMD` (`avx2`, `scalar`) limits it to.
#[must_use]
pub fn instruction_set() -> &'static str {
    struct Name;
    impl WithSimd for Name {
        type Output = &'static str;
        fn with_simd<S: Simd>(self, _: S) -> &'static str {
            match (S::F32_LANES, S::REGISTER_COUNT) {
                (16, _) => "AVX-512",
                (8, _) => "AVX2",
                (4, _) => "NEON",
                _ => "scalar",
            }
        }
    }
    dispatch(Name)
}

/// Returns the number of `f32` in a vector of the chosen instruction set.
pub(crate) fn lanes() -> usize {
    struct Lanes;
    impl WithSimd for Lanes {
        type Output = usize;
        fn with_simd<S: Simd>(self, _: S) -> usize {
            S::F32_LANES
        }
    }
    dispatch(Lanes)
}

/// Loads `len` numbers, at most a vector, from `at` on; the rest of the vector is 0.
#[inline(always)]
pub(crate) fn load<S: Simd>(simd: S, data: &[f32], at: usize, len: usize) -> S::f32s {
    let data = &data[at..][..len];
    match S::as_simd_f32s(data).0 {
        [vector] => *vector,
        _ => simd.partial_load_f32s(data),
    }
}

/// Stores the first `len` numbers of a vector from `at` on.
#[inline(always)]
pub(crate) fn store<S: Simd>(simd: S, data: &mut [f32], at: usize, len: usize, vector: S::f32s) {
    let data = &mut data[at..][..len];
    match S::as_mut_simd_f32s(data).0 {
        [to] => *to = vector,
        _ => simd.partial_store_f32s(data, vector),
    }
}

/// Yields the starts and the lengths of the vectors that `len` numbers fill, the last in part.
#[inline(always)]
pub(crate) fn vectors<S: Simd>(_: S, len: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..len).step_by(S::F32_LANES).map(move |at| (at, S::F32_LANES.min(len - at)))
}

/// Calls `f` with the starts and the lengths of the vectors that `len` numbers fill. For all but the
/// last, which may be filled in part, the length is a constant to the compiler.
#[inline(always)]
pub(crate) fn for_vectors<S: Simd>(_: S, len: usize, mut f: impl FnMut(usize, usize)) {
    let mut at = 0;
    while at + S::F32_LANES <= len {
        f(at, S::F32_LANES);
        at += S::F32_LANES;
    }
    if at < len {
        f(at, len - at);
    }
}
