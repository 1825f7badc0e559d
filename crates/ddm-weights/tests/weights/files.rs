//! Reference data, and comparisons of tensors.

use std::path::PathBuf;

use ddm_weights::Tensors;

/// A path in testdata.
pub(crate) fn testdata(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../testdata").join(path)
}

/// Opens a file of testdata.
pub(crate) fn open(path: &str) -> Tensors {
    Tensors::open(testdata(path)).unwrap()
}

/// Fails unless both have the same names, and by them the same types, shapes and numbers.
#[track_caller]
pub(crate) fn assert_same(left: &Tensors, right: &Tensors) {
    assert!(!left.is_empty());
    assert_eq!(left.names().collect::<Vec<_>>(), right.names().collect::<Vec<_>>());
    for name in left.names() {
        let (left, right) = (left.read(name).unwrap(), right.read(name).unwrap());
        assert_eq!(left, right, "{name}");
    }
}
