//! Images as sequences of patches.

use burn::module::{Module, Param};
use burn::nn::PaddingConfig2d;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::tensor::{DType, Device, Tensor, TensorData};
use ddm_denoiser::ModelError;

use crate::blocks::Ops;
use crate::blocks::plain::to_channels_last;
use crate::error::require_image;

/// Patches of an image as vectors, with the positions of the patches added.
///
/// The position is sinusoidal, half of the channels for x and half for y. Source: Peebles & Xie,
/// *Scalable Diffusion Models with Transformers*, sec. 3.2, arXiv 2212.09748.
#[derive(Module, Debug)]
pub(super) struct PatchEmbed {
    proj: Conv2d,
    /// The positions of a square of patches, `[1, side · side, width]`, from whose middle those of the
    /// image are cut; without it they are computed.
    pos_embed: Option<Param<Tensor<3>>>,
    side: usize,
    interpolation_scale: f64,
}

/// The sizes of a [`PatchEmbed`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Patches {
    pub(super) channels: usize,
    pub(super) width: usize,
    /// The height and width of a patch.
    pub(super) size: usize,
    /// The number of patches along a side of the images of the training.
    pub(super) side: usize,
    /// What the positions are divided by.
    pub(super) interpolation_scale: f64,
    /// The side of the table of positions; `None` to compute them.
    pub(super) table: Option<usize>,
}

impl Patches {
    pub(super) fn init(self, device: &Device) -> PatchEmbed {
        let Self { channels, width, size, side, interpolation_scale, table } = self;
        let proj = Conv2dConfig::new([channels, width], [size, size])
            .with_stride([size, size])
            .with_padding(PaddingConfig2d::Valid);
        let table = table.map(|table| {
            let positions = positions([table, table], side, interpolation_scale, width, device);
            Param::from_tensor(positions).set_require_grad(false)
        });
        let side = if let Some(table) = &table { table.dims()[1].isqrt() } else { side };
        PatchEmbed { proj: proj.init(device), pos_embed: table, side, interpolation_scale }
    }
}

impl PatchEmbed {
    fn size(&self) -> usize {
        self.proj.kernel_size[0]
    }

    /// Returns the number of values of a patch in one channel.
    pub(super) fn values(&self) -> usize {
        self.size() * self.size()
    }

    /// Returns the number of channels of the image.
    pub(super) fn channels(&self) -> usize {
        self.proj.weight.dims()[1]
    }

    /// Returns the shape of an image of one patch.
    pub(super) fn one_patch(&self) -> [usize; 4] {
        [1, self.channels(), self.size(), self.size()]
    }

    /// Returns the dtype of the weights.
    pub(super) fn dtype(&self) -> DType {
        self.proj.weight.val().dtype()
    }

    /// Checks the shape of an image, `[batch, channels, height, width]`.
    pub(super) fn check(&self, shape: [usize; 4]) -> Result<(), ModelError> {
        require_image("x", shape, self.channels(), self.size())?;
        let [_, _, height, width] = shape;
        let most = self.side * self.size();
        if self.pos_embed.is_none() || height.max(width) <= most {
            return Ok(());
        }
        let (found, expected) = (format!("{height}×{width}"), format!("at most {most}×{most}"));
        Err(ModelError::Shape { what: "the size of x", found, expected })
    }

    /// Returns the patches row by row, `[batch, rows · columns, width]`, of an image `[batch, channels,
    /// height, width]`.
    pub(super) fn forward(&self, ops: &Ops, x: Tensor<4>) -> Tensor<3> {
        let patches = ops.conv2d(&self.proj, to_channels_last(x));
        let [batch, rows, columns, width] = patches.dims();
        let (device, dtype) = (patches.device(), patches.dtype());
        let positions = match &self.pos_embed {
            None => positions([rows, columns], self.side, self.interpolation_scale, width, &device),
            Some(table) => {
                let table = table.val().reshape([self.side, self.side, width]);
                let middle = |number| (self.side - number) / 2;
                let table = table.narrow(0, middle(rows), rows).narrow(1, middle(columns), columns);
                table.reshape([1, rows * columns, width])
            }
        };
        patches.reshape([batch, rows * columns, width]) + positions.cast(dtype)
    }

    /// Puts predicted patches, `[batch, rows · columns, size · size · channels]`, together again:
    /// `[batch, channels, height, width]`.
    pub(super) fn unpatch(&self, patches: Tensor<3>, height: usize, width: usize) -> Tensor<4> {
        let ([batch, _, values], size) = (patches.dims(), self.size());
        let (rows, columns, channels) = (height / size, width / size, values / (size * size));
        let x = patches.reshape([batch, rows, columns, size, size, channels]);
        x.permute([0, 5, 1, 3, 2, 4]).reshape([batch, channels, height, width])
    }
}

/// Returns the embedded positions of rows × columns patches, `[1, rows · columns, width]`: positions are
/// stretched so that each side is as long as `side` patches, and divided by `scale`.
fn positions(
    [rows, columns]: [usize; 2],
    side: usize,
    scale: f64,
    width: usize,
    device: &Device,
) -> Tensor<3> {
    let half = width / 2;
    // [length, half]: sines, then cosines.
    let axis = |length: usize| {
        let step = length as f64 / side as f64;
        let quarter = half / 2;
        let numbers = (0..length).flat_map(|position| {
            let position = f64::from((position as f64 / step / scale) as f32);
            let angle = move |i: usize| position * 10000_f64.powf(-(i as f64) / quarter as f64);
            let sines = (0..quarter).map(move |i| angle(i).sin() as f32);
            sines.chain((0..quarter).map(move |i| angle(i).cos() as f32))
        });
        let data = TensorData::new(numbers.collect::<Vec<_>>(), [length, half]);
        Tensor::<2>::from_data(data, (device, DType::F32))
    };
    let of_x = axis(columns).reshape([1, columns, half]).expand([rows, columns, half]);
    let of_y = axis(rows).reshape([rows, 1, half]).expand([rows, columns, half]);
    Tensor::cat(vec![of_x, of_y], 2).reshape([1, rows * columns, width])
}
