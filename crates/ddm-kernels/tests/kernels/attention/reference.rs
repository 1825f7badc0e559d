//! Attention with plain loops in double precision.

use ddm_kernels::attention::Shape;

/// The tensors of an attention, contiguous.
#[derive(Clone)]
pub(crate) struct Tensors {
    pub(crate) q: Vec<f64>,
    pub(crate) k: Vec<f64>,
    pub(crate) v: Vec<f64>,
    /// `[1 or n, lq, lk]`
    pub(crate) mask: Option<Vec<f64>>,
}

/// Calls `f` with each sample, head and query, and the index of its channels.
fn each_query(shape: &Shape, mut f: impl FnMut(usize, usize, usize, usize)) {
    for sample in 0..shape.n {
        for head in 0..shape.heads {
            for i in 0..shape.lq {
                let at = (sample * shape.lq + i) * shape.channels() + head * shape.d;
                f(sample, head, i, at);
            }
        }
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

impl Tensors {
    fn key_at(shape: &Shape, sample: usize, head: usize, j: usize) -> usize {
        (sample * shape.lk + j) * shape.channels() + head * shape.d
    }

    /// Returns the weights of a query and the logarithm of their denominator.
    fn weights(&self, shape: &Shape, sample: usize, head: usize, i: usize) -> (Vec<f64>, f64) {
        let d = shape.d;
        let q = &self.q[(sample * shape.lq + i) * shape.channels() + head * d..][..d];
        let scores: Vec<f64> = (0..shape.lk)
            .map(|j| {
                let k = &self.k[Self::key_at(shape, sample, head, j)..][..d];
                let masked = self.mask.as_ref().map_or(0.0, |mask| {
                    mask[((sample * shape.lq + i) * shape.lk + j) % mask.len()]
                });
                let causal = if shape.causal && j > i { f64::NEG_INFINITY } else { 0.0 };
                dot(q, k) * f64::from(shape.scale) + masked + causal
            })
            .collect();
        let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if max == f64::NEG_INFINITY {
            return (vec![0.0; shape.lk], max);
        }
        let weights: Vec<f64> = scores.iter().map(|score| (score - max).exp()).collect();
        let sum: f64 = weights.iter().sum();
        (weights.iter().map(|weight| weight / sum).collect(), max + sum.ln())
    }

    /// Returns the output and the logarithms of the denominators.
    pub(crate) fn forward(&self, shape: &Shape) -> (Vec<f64>, Vec<f64>) {
        let mut out = vec![0.0; self.q.len()];
        let mut lse = Vec::new();
        each_query(shape, |sample, head, i, at| {
            let (weights, log) = self.weights(shape, sample, head, i);
            lse.push(log);
            for (j, weight) in weights.iter().enumerate() {
                let v = &self.v[Self::key_at(shape, sample, head, j)..];
                out[at..at + shape.d].iter_mut().zip(v).for_each(|(out, v)| *out += weight * v);
            }
        });
        (out, lse)
    }

    /// Returns the gradients of q, k and v.
    pub(crate) fn backward(&self, shape: &Shape, dout: &[f64]) -> [Vec<f64>; 3] {
        let [mut dq, mut dk, mut dv] =
            [&self.q, &self.k, &self.v].map(|tensor| vec![0.0; tensor.len()]);
        let d = shape.d;
        each_query(shape, |sample, head, i, at| {
            let (weights, _) = self.weights(shape, sample, head, i);
            let dout = &dout[at..at + d];
            let key_at = |j| Self::key_at(shape, sample, head, j);
            let dp: Vec<f64> =
                (0..shape.lk).map(|j| dot(dout, &self.v[key_at(j)..][..d])).collect();
            let mean = dot(&weights, &dp);
            for (j, weight) in weights.iter().enumerate() {
                let ds = weight * (dp[j] - mean) * f64::from(shape.scale);
                for c in 0..d {
                    dv[key_at(j) + c] += weight * dout[c];
                    dq[at + c] += ds * self.k[key_at(j) + c];
                    dk[key_at(j) + c] += ds * self.q[at + c];
                }
            }
        });
        [dq, dk, dv]
    }
}
