//! Operations whose shapes are drawn from a seed: faults hide in sizes that nobody has listed.

use ddm_samplers::HostNoise;

use super::{attention, convolutions, products};
use crate::device::Operation;

/// How many of each kind.
const COUNT: usize = 4;

pub(super) fn operations(seed: u64) -> Vec<Operation> {
    let mut noise = HostNoise::new(seed);
    let mut sizes = |largest: usize| {
        let size = move |u: f64| 1 + (u * largest as f64) as usize;
        noise.uniform(COUNT * 3).into_iter().map(size).collect::<Vec<_>>()
    };
    let (dims, images, heads) = (sizes(90), sizes(20), sizes(70));
    let mut all = Vec::new();
    for i in (0..COUNT * 3).step_by(3) {
        let [a, b, c] = [dims[i], dims[i + 1], dims[i + 2]];
        all.push(products::product([a, b, c]));
        let (channels, image) = ([a % 40 + 1, b % 40 + 1], [images[i], images[i + 1]]);
        let kernel = if images[i + 2] % 2 == 0 { 1 } else { 3 };
        all.push(convolutions::same(convolutions::Sizes { batch: 2, channels, image, kernel }));
        all.push(attention::written_out([2, 2, heads[i], heads[i + 1], heads[i + 2] % 32 + 1]));
    }
    all
}
