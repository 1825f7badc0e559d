//! Numbers of a row in another order: transposed, or every so many of them.

use burn::tensor::DType;

use crate::WeightsError;
use crate::buffer::Buffer;
use crate::storage::Storage;

/// Bytes that are read at once to be put in order.
const BAND: usize = 1 << 20;
/// The least length of a band along its axis, so that a cache line is not written in too many pieces.
const LEAST: usize = 32;

/// An axis: its length, the step along it in the row that is read, and in what is written.
#[derive(Clone, Copy, Debug)]
struct Axis {
    length: usize,
    from: usize,
    to: usize,
}

/// Reads the elements at `start` + Σ iₖ stridesₖ, row by row, into `out`.
pub(crate) fn read(
    storage: &Storage,
    start: u64,
    shape: &[usize],
    strides: &[usize],
    wanted: DType,
    out: &mut [u8],
) -> Result<(), WeightsError> {
    let mut axes = axes(shape, strides);
    if axes.iter().any(|axis| axis.length == 0) {
        return Ok(());
    }
    match axes.as_slice() {
        [] | [Axis { from: 1, .. }] => return storage.read(start, wanted, out),
        _ => {}
    }
    // The axis along which the row is cut in bands: that of the longest steps.
    let cut = (0..axes.len()).max_by_key(|axis| axes[*axis].from).unwrap_or(0);
    let Axis { length, from, to } = axes[cut];
    axes[cut].length = 1;
    let rest: usize = axes.iter().map(|axis| (axis.length - 1) * axis.from).sum::<usize>() + 1;
    let size = wanted.size();
    let band = (BAND / size / from.max(1)).clamp(LEAST, length.max(LEAST)).min(length);
    let mut buffer = Buffer::zeros(wanted, (band - 1) * from + rest)?;
    for first in (0..length).step_by(band) {
        let now = band.min(length - first);
        axes[cut].length = now;
        let bytes = &mut buffer.bytes()[..((now - 1) * from + rest) * size];
        storage.read(start + (first * from) as u64, wanted, bytes)?;
        let out = &mut out[first * to * size..];
        match size {
            8 => scatter::<8>(bytes, out, &axes),
            4 => scatter::<4>(bytes, out, &axes),
            2 => scatter::<2>(bytes, out, &axes),
            _ => scatter::<1>(bytes, out, &axes),
        }
    }
    Ok(())
}

/// The axes of more than one element, those together that are one in the row.
fn axes(shape: &[usize], strides: &[usize]) -> Vec<Axis> {
    let mut axes: Vec<Axis> = Vec::new();
    let mut to = 1;
    for (length, from) in shape.iter().copied().zip(strides.iter().copied()).rev() {
        match axes.last_mut() {
            _ if length == 1 => continue,
            Some(inner) if from == inner.from * inner.length => inner.length *= length,
            _ => axes.push(Axis { length, from, to }),
        }
        to *= length;
    }
    axes.reverse();
    axes
}

fn scatter<const N: usize>(from: &[u8], to: &mut [u8], axes: &[Axis]) {
    let (from, to) = (bytemuck::cast_slice::<_, [u8; N]>(from), bytemuck::cast_slice_mut(to));
    along::<N>(from, to, axes);
}

fn along<const N: usize>(from: &[[u8; N]], to: &mut [[u8; N]], axes: &[Axis]) {
    match axes {
        [] => to[0] = from[0],
        [Axis { length, from: 1, to: 1 }] => to[..*length].copy_from_slice(&from[..*length]),
        [axis] => {
            for i in 0..axis.length {
                to[i * axis.to] = from[i * axis.from];
            }
        }
        [axis, inner @ ..] => {
            for i in 0..axis.length {
                along(&from[i * axis.from..], &mut to[i * axis.to..], inner);
            }
        }
    }
}
