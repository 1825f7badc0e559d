//! Convolutions.

use burn::tensor::module::{conv_transpose2d, conv2d};
use burn::tensor::ops::{ConvOptions, ConvTransposeOptions};

use super::PRODUCT_TOLERANCE;
use crate::device::Operation;

/// A convolution: batch, channels in and out, height and width, kernel size.
#[derive(Clone, Copy)]
pub(super) struct Sizes {
    pub(super) batch: usize,
    pub(super) channels: [usize; 2],
    pub(super) image: [usize; 2],
    pub(super) kernel: usize,
}

const fn sizes(batch: usize, channels: [usize; 2], image: [usize; 2], kernel: usize) -> Sizes {
    Sizes { batch, channels, image, kernel }
}

pub(super) fn operations() -> Vec<Operation> {
    let plain = [
        sizes(2, [64, 64], [32, 32], 3),
        sizes(1, [128, 128], [8, 8], 3),
        sizes(4, [8, 16], [8, 8], 3),
        sizes(3, [5, 7], [9, 13], 3),
        sizes(2, [1, 32], [28, 28], 3),
        sizes(2, [3, 16], [17, 17], 3),
        sizes(2, [32, 1], [28, 28], 3),
        sizes(2, [16, 3], [17, 17], 3),
        sizes(1, [104, 208], [16, 16], 1),
        sizes(1, [440, 440], [8, 8], 1),
        sizes(4, [16, 48], [7, 7], 1),
        sizes(1, [9, 6], [11, 10], 5),
    ];
    let mut all = Vec::from(plain.map(same));
    let halving = [
        sizes(2, [32, 32], [28, 28], 3),
        sizes(1, [64, 64], [16, 16], 3),
        sizes(3, [6, 10], [15, 11], 3),
    ];
    all.extend(halving.map(|sizes| {
        new("convolution of stride 2", sizes, 1, ConvOptions::new([2, 2], [1, 1], [1, 1], 1))
    }));
    // The autoencoders and `downsample_padding: 0` pad below and to the right only.
    all.extend([sizes(2, [32, 32], [28, 28], 3), sizes(1, [6, 10], [15, 11], 3)].map(|sizes| {
        let padding = ConvOptions::new_with_padding([2, 2], [(0, 1); 2], [1, 1], 1);
        new("convolution of stride 2, padded at the end", sizes, 1, padding)
    }));
    all.extend([(4, sizes(2, [16, 32], [10, 10], 3)), (12, sizes(1, [12, 12], [9, 9], 3))].map(
        |(groups, sizes)| {
            let options = ConvOptions::new([1, 1], [1, 1], [1, 1], groups);
            new("convolution in groups", sizes, groups, options)
        },
    ));
    let transposed: [(&[&[usize]], _, _); 3] = [
        (&[&[2, 16, 8, 8], &[16, 8, 4, 4], &[8]], 4, 0),
        (&[&[1, 5, 7, 9], &[5, 3, 3, 3], &[3]], 3, 1),
        (&[&[2, 8, 6, 6], &[8, 8, 2, 2], &[8]], 2, 0),
    ];
    all.extend(transposed.map(|(shapes, kernel, out)| {
        let padding = (kernel - 1) / 2;
        let options = ConvTransposeOptions::new([2, 2], [padding; 2], [out; 2], [1, 1], 1);
        Operation::new("transposed convolution", shapes, PRODUCT_TOLERANCE, move |x| {
            conv_transpose2d(x.get(0), x.get(1), Some(x.get(2)), options.clone())
        })
    }));
    all
}

/// Returns a convolution of stride 1 whose output has the size of its input.
pub(super) fn same(sizes: Sizes) -> Operation {
    let padding = sizes.kernel / 2;
    new("convolution", sizes, 1, ConvOptions::new([1, 1], [padding; 2], [1, 1], 1))
}

fn new(name: &str, sizes: Sizes, groups: usize, options: ConvOptions<2>) -> Operation {
    let Sizes { batch, channels: [from, to], image: [height, width], kernel } = sizes;
    let shapes: [&[usize]; 3] =
        [&[batch, from, height, width], &[to, from / groups, kernel, kernel], &[to]];
    Operation::new(name, &shapes, PRODUCT_TOLERANCE, move |x| {
        conv2d(x.get(0), x.get(1), Some(x.get(2)), options.clone())
    })
}
