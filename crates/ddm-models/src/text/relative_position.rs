//! T5's buckets of relative positions.

/// The buckets of the distances between a query and a key.
///
/// Half of the buckets are for keys before the query, half for keys after it. In each, the first half
/// has a bucket for each distance, the second half wider and wider ones up to the greatest distance;
/// beyond it, all are in the last. Source: Raffel et al., *Exploring the Limits of Transfer Learning*,
/// sec. 2.1, arXiv 1910.10683.
#[derive(Clone, Copy, Debug)]
pub(super) struct Buckets {
    /// The number of buckets; at least 4.
    pub(super) number: usize,
    /// The distance from which on all are in the last bucket.
    pub(super) max_distance: usize,
}

impl Buckets {
    /// Returns the bucket of each pair, `[queries, keys]` row by row, for equally many of both.
    pub(super) fn of_pairs(self, length: usize) -> Vec<i64> {
        let pairs = (0..length).flat_map(|query| (0..length).map(move |key| (query, key)));
        pairs.map(|(query, key)| self.of(query, key) as i64).collect()
    }

    fn of(self, query: usize, key: usize) -> usize {
        let side = self.number / 2;
        let begin = if key > query { side } else { 0 };
        let (distance, exact) = (query.abs_diff(key), side / 2);
        if distance < exact {
            return begin + distance;
        }
        // In f32, as it was computed when the weights were trained: at the edge of a bucket the
        // rounding decides.
        let ratio = (distance as f32 / exact as f32).ln();
        let longest = (self.max_distance as f64 / exact as f64).ln() as f32;
        let wide = ratio / longest * (side - exact) as f32;
        begin + (exact + wide as usize).min(side - 1)
    }
}
