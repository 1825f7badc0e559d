//! What several fuzz targets do with a file.

use std::path::{Path, PathBuf};

use burn::tensor::TensorData;
use ddm_weights::{TensorView, Tensors};

/// Opens bytes as a file of weights, and reads all that is in it.
///
/// # Panics
///
/// Panics if a file says to have more numbers than it has room for, and is believed.
pub fn read_all(bytes: Vec<u8>) {
    let length = bytes.len();
    let Ok(tensors) = Tensors::from_bytes(bytes) else { return };
    for (name, view) in tensors.iter() {
        // 256 numbers of IQ1_S have 50 bytes.
        assert!(view.elements() <= 6 * length, "{name} of {:?}", view.shape());
        if let Ok(data) = view.read() {
            assert_eq!(data.num_elements(), view.elements());
        }
    }
    if let Ok(tensors) = tensors.dequantized() {
        tensors.names().for_each(|name| drop(tensors.read(name)));
    }
}

/// The tensors in a text: a name and an axis or more in each line, `conv_in.weight 4 3 1 1`.
///
/// # Panics
///
/// Never, since an empty file of safetensors is one.
#[must_use]
pub fn listed(text: &str) -> Tensors {
    let empty = [&2_u64.to_le_bytes()[..], b"{}"].concat();
    let mut tensors = Tensors::from_bytes(empty).expect("no tensors");
    for line in text.lines().take(4000) {
        let mut words = line.split(' ');
        let name = words.next().unwrap_or_default();
        let axes = words.take(4).map(|word| word.parse::<usize>().unwrap_or(1) % 9);
        let shape: Vec<usize> = axes.collect();
        let numbers = vec![1.0_f32; shape.iter().product()];
        tensors.insert(name, TensorView::from(TensorData::new(numbers, shape)));
    }
    tensors
}

/// A directory of this process, which is made once.
///
/// # Panics
///
/// Panics if it cannot be made.
#[must_use]
pub fn directory(what: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("ddm-fuzz-{what}-{}", std::process::id()));
    std::fs::create_dir_all(&path).expect("a directory for temporary files");
    path
}

/// Writes a file.
///
/// # Panics
///
/// Panics if it cannot be written.
pub fn write(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).expect("a file");
}
