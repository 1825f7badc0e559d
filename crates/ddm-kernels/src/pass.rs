//! A pass through a network as one task.

/// Runs `f` on a thread of rayon's pool, where kernels start without waking the pool first.
///
/// Called from outside of the pool, each kernel would wait some microseconds for its threads, which
/// is longer than a small one takes. Wrap the whole pass through a network, forward or backward:
///
/// ```
/// let sum = ddm_kernels::pass(|| 1 + 1);
/// assert_eq!(sum, 2);
/// ```
pub fn pass<R: Send>(f: impl FnOnce() -> R + Send) -> R {
    rayon::scope(|_| f())
}
