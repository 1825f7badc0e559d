//! Numbers of one type from the bytes of another.

use std::sync::LazyLock;

use burn::tensor::DType;
use half::slice::{HalfBitsSliceExt, HalfFloatSliceExt};
use half::{bf16, f16};

use crate::{Stored, blocks};

/// Writes the numbers in `raw`, times `scale`, as floats of type `wanted` to `out`, which is aligned for
/// them.
///
/// `raw` holds whole blocks. Integers and f64 go through f64, all others through f32, which holds each
/// of them exactly: so each number is rounded once, and a product in f32 once more.
pub(crate) fn floats(stored: Stored, scale: f32, raw: &[u8], wanted: DType, out: &mut [u8]) {
    let singles = |raw: &[u8], out: &mut [f32]| {
        singles(stored, raw, out);
        if scale != 1.0 {
            out.iter_mut().for_each(|value| *value *= scale);
        }
    };
    let scale = f64::from(scale);
    match stored {
        Stored::F64 => doubles(raw, |bytes| f64::from_le_bytes(bytes) * scale, wanted, out),
        Stored::I64 => doubles(raw, |bytes| i64::from_le_bytes(bytes) as f64, wanted, out),
        Stored::U64 => doubles(raw, |bytes| u64::from_le_bytes(bytes) as f64, wanted, out),
        Stored::I32 => doubles(raw, |bytes| i32::from_le_bytes(bytes).into(), wanted, out),
        Stored::U32 => doubles(raw, |bytes| u32::from_le_bytes(bytes).into(), wanted, out),
        Stored::I16 => doubles(raw, |bytes| i16::from_le_bytes(bytes).into(), wanted, out),
        Stored::U16 => doubles(raw, |bytes| u16::from_le_bytes(bytes).into(), wanted, out),
        Stored::I8 => doubles(raw, |bytes| i8::from_le_bytes(bytes).into(), wanted, out),
        Stored::U8 => doubles(raw, |[byte]| byte.into(), wanted, out),
        _ if wanted == DType::F32 => singles(raw, bytemuck::cast_slice_mut(out)),
        _ => {
            let mut values = vec![0.0; out.len() / wanted.size()];
            singles(raw, &mut values);
            match wanted {
                DType::F16 => {
                    words_mut(out).reinterpret_cast_mut::<f16>().convert_from_f32_slice(&values)
                }
                DType::BF16 => {
                    words_mut(out).reinterpret_cast_mut::<bf16>().convert_from_f32_slice(&values)
                }
                _ => {
                    for (out, value) in bytemuck::cast_slice_mut(out).iter_mut().zip(values) {
                        *out = f64::from(value);
                    }
                }
            }
        }
    }
}

/// The same for what is exact in f64.
fn doubles<const N: usize>(
    raw: &[u8],
    value: impl Fn([u8; N]) -> f64,
    wanted: DType,
    out: &mut [u8],
) {
    let values = raw.as_chunks::<N>().0.iter().map(|bytes| value(*bytes));
    match wanted {
        DType::F64 => put(values, bytemuck::cast_slice_mut(out)),
        DType::F32 => put(values.map(|value| value as f32), bytemuck::cast_slice_mut(out)),
        DType::F16 => put(values.map(f16::from_f64), words_mut(out).reinterpret_cast_mut()),
        _ => put(values.map(bf16::from_f64), words_mut(out).reinterpret_cast_mut()),
    }
}

fn put<T>(values: impl Iterator<Item = T>, out: &mut [T]) {
    for (out, value) in out.iter_mut().zip(values) {
        *out = value;
    }
}

/// Floats of at most 32 bits, and blocks.
fn singles(stored: Stored, raw: &[u8], out: &mut [f32]) {
    let each = raw.iter().map(|byte| usize::from(*byte));
    match stored {
        Stored::F32 => put(raw.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)), out),
        Stored::F16 => words(raw).reinterpret_cast::<f16>().convert_to_f32_slice(out),
        Stored::BF16 => words(raw).reinterpret_cast::<bf16>().convert_to_f32_slice(out),
        Stored::F8E4M3 => put(each.map(|byte| E4M3[byte]), out),
        Stored::F8E5M2 => put(each.map(|byte| E5M2[byte]), out),
        blocks => blocks::decode(blocks, raw, out),
    }
}

/// The values of all floats with 4 bits of exponent and 3 of mantissa, by their bits.
static E4M3: LazyLock<[f32; 256]> = LazyLock::new(|| {
    std::array::from_fn(|bits| {
        let (exponent, mantissa) = ((bits >> 3) & 15, (bits & 7) as f32);
        let value = match (exponent, bits & 7) {
            (15, 7) => f32::NAN,
            (0, _) => mantissa / 512.0,
            _ => (1.0 + mantissa / 8.0) * 2.0_f32.powi(exponent as i32 - 7),
        };
        if bits < 128 { value } else { -value }
    })
});

/// Those of 5 and 2 bits: the upper half of an f16.
static E5M2: LazyLock<[f32; 256]> =
    LazyLock::new(|| std::array::from_fn(|bits| f16::from_bits((bits as u16) << 8).to_f32()));

/// The 16-bit words in `raw`, copied if they are not in this machine's order or place.
fn words(raw: &[u8]) -> std::borrow::Cow<'_, [u16]> {
    match bytemuck::try_cast_slice(raw) {
        Ok(words) if cfg!(target_endian = "little") => words.into(),
        _ => raw.as_chunks().0.iter().map(|bytes| u16::from_le_bytes(*bytes)).collect(),
    }
}

fn words_mut(out: &mut [u8]) -> &mut [u16] {
    bytemuck::cast_slice_mut(out)
}
