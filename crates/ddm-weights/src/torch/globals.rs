//! The names that a pickle of tensors may ask for.

use crate::Stored;

/// What a name stands for. Nothing here is ever run: each is a shape of data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Global {
    /// `collections.OrderedDict`.
    OrderedDict,
    /// `torch.Size`, a tuple.
    Size,
    /// `torch._utils._rebuild_tensor_v2` and its older form: (storage, offset, shape, strides, …).
    Tensor,
    /// `torch._utils._rebuild_tensor_v3`: the same with a type, for an untyped storage.
    TypedTensor,
    /// `torch._utils._rebuild_parameter`: (tensor, …).
    Parameter,
    /// A storage of numbers of a type, `torch.FloatStorage`.
    Storage(Stored),
    /// A storage of bytes.
    Untyped,
    /// A type, `torch.float8_e4m3fn`.
    Type(Stored),
}

/// The only names that are not refused.
pub(super) fn global(module: &str, name: &str) -> Option<Global> {
    Some(match (module, name) {
        ("collections", "OrderedDict") => Global::OrderedDict,
        ("torch", "Size") => Global::Size,
        ("torch._utils", "_rebuild_tensor_v2" | "_rebuild_tensor") => Global::Tensor,
        ("torch._utils", "_rebuild_tensor_v3") => Global::TypedTensor,
        ("torch._utils", "_rebuild_parameter") => Global::Parameter,
        ("torch.storage" | "torch", "UntypedStorage") => Global::Untyped,
        ("torch", name) => match name.strip_suffix("Storage") {
            Some(name) => Global::Storage(storage(name)?),
            None => Global::Type(dtype(name)?),
        },
        _ => return None,
    })
}

fn storage(name: &str) -> Option<Stored> {
    Some(match name {
        "Double" => Stored::F64,
        "Float" => Stored::F32,
        "Half" => Stored::F16,
        "BFloat16" => Stored::BF16,
        "Long" => Stored::I64,
        "Int" => Stored::I32,
        "Short" => Stored::I16,
        "Char" => Stored::I8,
        "Byte" => Stored::U8,
        "Bool" => Stored::Bool,
        _ => return None,
    })
}

fn dtype(name: &str) -> Option<Stored> {
    Some(match name {
        "float64" => Stored::F64,
        "float32" => Stored::F32,
        "float16" => Stored::F16,
        "bfloat16" => Stored::BF16,
        "float8_e4m3fn" => Stored::F8E4M3,
        "float8_e5m2" => Stored::F8E5M2,
        "int64" => Stored::I64,
        "int32" => Stored::I32,
        "int16" => Stored::I16,
        "int8" => Stored::I8,
        "uint64" => Stored::U64,
        "uint32" => Stored::U32,
        "uint16" => Stored::U16,
        "uint8" => Stored::U8,
        "bool" => Stored::Bool,
        _ => return None,
    })
}
