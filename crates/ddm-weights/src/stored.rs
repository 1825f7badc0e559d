//! Types of numbers as files have them.

use std::fmt;

use burn::tensor::{BoolStore, DType};

/// The type of a tensor's numbers in its file.
///
/// Floats of 8 bits and the blocks of GGUF are widened to f32 as they are read, since burn has no such
/// types. The blocks are described in llama.cpp's `ggml-common.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each is named as in its format")]
pub enum Stored {
    F64,
    F32,
    F16,
    BF16,
    /// 4 bits of exponent, 3 of mantissa, no infinities (arXiv:2209.05433).
    F8E4M3,
    /// 5 bits of exponent, 2 of mantissa.
    F8E5M2,
    I64,
    I32,
    I16,
    I8,
    U64,
    U32,
    U16,
    U8,
    Bool,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Q2K,
    Q3K,
    Q4K,
    Q5K,
    Q6K,
    IQ1S,
    IQ1M,
    IQ2XXS,
    IQ2XS,
    IQ2S,
    IQ3XXS,
    IQ3S,
    IQ4NL,
    IQ4XS,
    TQ1_0,
    TQ2_0,
    MXFP4,
    NVFP4,
    /// A known type that cannot be read.
    Other(Other),
}

/// A type that is known by its name and size, and cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Other {
    pub(crate) name: &'static str,
    pub(crate) bytes: u64,
    pub(crate) elements: u64,
}

impl Stored {
    /// The type that [`TensorView::read`](crate::TensorView::read) gives.
    pub fn dtype(self) -> DType {
        match self {
            Self::F64 => DType::F64,
            Self::F16 => DType::F16,
            Self::BF16 => DType::BF16,
            Self::I64 => DType::I64,
            Self::I32 => DType::I32,
            Self::I16 => DType::I16,
            Self::I8 => DType::I8,
            Self::U64 => DType::U64,
            Self::U32 => DType::U32,
            Self::U16 => DType::U16,
            Self::U8 => DType::U8,
            Self::Bool => DType::Bool(BoolStore::Native),
            _ => DType::F32,
        }
    }

    /// Bytes of a block, and the elements in it: 1 for all but quantised types.
    pub(crate) fn block(self) -> (u64, u64) {
        match self {
            Self::F64 | Self::I64 | Self::U64 => (8, 1),
            Self::F32 | Self::I32 | Self::U32 => (4, 1),
            Self::F16 | Self::BF16 | Self::I16 | Self::U16 => (2, 1),
            Self::F8E4M3 | Self::F8E5M2 | Self::I8 | Self::U8 | Self::Bool => (1, 1),
            Self::Q4_0 => (18, 32),
            Self::Q4_1 => (20, 32),
            Self::Q5_0 => (22, 32),
            Self::Q5_1 => (24, 32),
            Self::Q8_0 => (34, 32),
            Self::Q2K => (84, 256),
            Self::Q3K => (110, 256),
            Self::Q4K => (144, 256),
            Self::Q5K => (176, 256),
            Self::Q6K => (210, 256),
            Self::IQ1S => (50, 256),
            Self::IQ1M => (56, 256),
            Self::IQ2XXS => (66, 256),
            Self::IQ2XS => (74, 256),
            Self::IQ2S => (82, 256),
            Self::IQ3XXS => (98, 256),
            Self::IQ3S => (110, 256),
            Self::IQ4NL => (18, 32),
            Self::IQ4XS => (136, 256),
            Self::TQ1_0 => (54, 256),
            Self::TQ2_0 => (66, 256),
            Self::MXFP4 => (17, 32),
            Self::NVFP4 => (36, 64),
            Self::Other(Other { bytes, elements, .. }) => (bytes, elements),
        }
    }

    /// The bytes of `elements` of this type: whole blocks, and no more than can be counted.
    pub(crate) fn bytes(self, elements: u64) -> Option<u64> {
        let (bytes, block) = self.block();
        elements.is_multiple_of(block).then(|| (elements / block).checked_mul(bytes))?
    }

    /// Whether these are floats, or blocks that stand for floats.
    pub fn is_float(self) -> bool {
        self.dtype().is_float()
    }

    /// Whether these are integers.
    pub fn is_int(self) -> bool {
        self.dtype().is_int() || self.dtype().is_uint()
    }

    /// Whether these numbers can be read.
    pub fn is_readable(self) -> bool {
        !matches!(self, Self::Other(_))
    }

    pub(crate) fn readable() -> &'static str {
        "F64, F32, F16, BF16, F8_E4M3, F8_E5M2, integers, BOOL, and of GGUF's blocks Q4_0, Q4_1, Q5_0, \
         Q5_1, Q8_0, Q2_K to Q6_K, IQ1_S to IQ4_XS, TQ1_0, TQ2_0, MXFP4 and NVFP4"
    }

    pub(crate) fn from_dtype(dtype: DType) -> Option<Self> {
        Some(match dtype {
            DType::F64 => Self::F64,
            DType::F32 => Self::F32,
            DType::F16 => Self::F16,
            DType::BF16 => Self::BF16,
            DType::I64 => Self::I64,
            DType::I32 => Self::I32,
            DType::I16 => Self::I16,
            DType::I8 => Self::I8,
            DType::U64 => Self::U64,
            DType::U32 => Self::U32,
            DType::U16 => Self::U16,
            DType::U8 => Self::U8,
            DType::Bool(BoolStore::Native) => Self::Bool,
            _ => return None,
        })
    }
}

impl fmt::Display for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::F8E4M3 => "F8_E4M3",
            Self::F8E5M2 => "F8_E5M2",
            Self::Bool => "BOOL",
            Self::Q2K => "Q2_K",
            Self::Q3K => "Q3_K",
            Self::Q4K => "Q4_K",
            Self::Q5K => "Q5_K",
            Self::Q6K => "Q6_K",
            Self::IQ1S => "IQ1_S",
            Self::IQ1M => "IQ1_M",
            Self::IQ2XXS => "IQ2_XXS",
            Self::IQ2XS => "IQ2_XS",
            Self::IQ2S => "IQ2_S",
            Self::IQ3XXS => "IQ3_XXS",
            Self::IQ3S => "IQ3_S",
            Self::IQ4NL => "IQ4_NL",
            Self::IQ4XS => "IQ4_XS",
            Self::Other(Other { name, .. }) => name,
            other => return fmt::Debug::fmt(other, f),
        };
        f.write_str(name)
    }
}
