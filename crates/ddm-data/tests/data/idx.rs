//! IDX files, whole and damaged.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use ddm_data::{DataError, Idx, IdxFault, Source, Split, Visit};
use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::TempDir;

const SIZES: [u32; 3] = [5, 4, 3];

fn header(kind: u8, sizes: &[u32]) -> Vec<u8> {
    let mut bytes = vec![0, 0, kind, sizes.len() as u8];
    bytes.extend(sizes.iter().flat_map(|size| size.to_be_bytes()));
    bytes
}

fn images() -> Vec<u8> {
    [header(8, &SIZES), (0..60).map(|pixel| pixel * 4).collect()].concat()
}

fn labels() -> Vec<u8> {
    [header(8, &[5]), vec![3, 0, 9, 1, 3]].concat()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Writes two files, and reads them.
fn read(images: &[u8], labels: &[u8]) -> (TempDir, Result<Idx, DataError>) {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| -> PathBuf {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let (images, labels) = (write("images", images), write("labels", labels));
    let read = Idx::read(images, labels, 10);
    (folder, read)
}

fn fault(images: &[u8], labels: &[u8]) -> IdxFault {
    match read(images, labels).1 {
        Err(DataError::Idx { path, fault }) => {
            assert!(path.ends_with("images") || path.ends_with("labels"));
            fault
        }
        other => panic!("{other:?}"),
    }
}

fn assert_whole(idx: &Idx) {
    assert_eq!((idx.len(), idx.size(), idx.classes()), (5, [4, 3], 10));
    assert_eq!(idx.labels().collect::<Vec<_>>(), [3, 0, 9, 1, 3]);
    let item = Source::read(idx, 2, &Visit::new(7, 0, 2)).unwrap();
    assert_eq!((item.data.shape(), item.condition), ([1, 4, 3], 9));
    assert_eq!(item.data.bytes(), (24..36).map(|pixel| pixel * 4).collect::<Vec<u8>>());
}

#[test]
fn files_are_read_gzipped_or_not() {
    assert_whole(&read(&images(), &labels()).1.unwrap());
    assert_whole(&read(&gzip(&images()), &labels()).1.unwrap());
    assert_whole(&read(&gzip(&images()), &gzip(&labels())).1.unwrap());
}

#[test]
fn folders_are_read_by_the_names_of_mnist() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
    let missing = Idx::open(folder.path(), Split::Train).unwrap_err();
    assert!(missing.to_string().contains("train-images-idx3-ubyte.gz"), "{missing}");

    write("train-images-idx3-ubyte.gz", &gzip(&images()));
    write("train-labels-idx1-ubyte.gz", &gzip(&labels()));
    write("t10k-images.idx3-ubyte", &images());
    write("t10k-labels-idx1-ubyte", &labels());
    assert_whole(&Idx::open(folder.path(), Split::Train).unwrap());
    assert_whole(&Idx::open(folder.path(), Split::Test).unwrap());
}

#[test]
fn every_prefix_is_refused() {
    let (images, labels) = (images(), labels());
    for (packed, length) in [(images.clone(), images.len()), (gzip(&images), gzip(&images).len())] {
        for cut in 0..length {
            let (_folder, read) = read(&packed[..cut], &labels);
            let error = read.unwrap_err();
            assert!(matches!(error, DataError::Idx { .. }), "{cut}: {error}");
        }
    }
    let cut = fault(&images[..50], &labels);
    assert_eq!(cut, IdxFault::CutOff { found: 50, expected: 76 });
    assert_eq!(fault(&gzip(&images[..50]), &labels), cut);
    assert!(matches!(fault(&[], &labels), IdxFault::CutOff { found: 0, .. }));
}

#[test]
fn damaged_headers_are_refused() {
    let body = || images()[16..].to_vec();
    let with = |header: Vec<u8>| [header, body()].concat();
    let magic = fault(b"\x89PNG and more bytes", &labels());
    assert_eq!(magic, IdxFault::Magic { found: [0x89, b'P'] });
    assert_eq!(fault(&with(header(0x0d, &SIZES)), &labels()), IdxFault::Type { found: 0x0d });
    let flat = fault(&labels(), &labels());
    assert_eq!(flat, IdxFault::Dimensions { found: 1, expected: 3 });
    assert_eq!(fault(&images(), &images()), IdxFault::Dimensions { found: 3, expected: 1 });
    let longer = [images(), vec![0]].concat();
    assert_eq!(fault(&longer, &labels()), IdxFault::TooLong { expected: 76 });
    assert_eq!(fault(&gzip(&longer), &labels()), IdxFault::TooLong { expected: 76 });
    assert_eq!(fault(&header(8, &[0, 4, 3]), &labels()), IdxFault::Empty { sizes: vec![0, 4, 3] });
    assert_eq!(fault(&header(8, &[5, 0, 3]), &labels()), IdxFault::Empty { sizes: vec![5, 0, 3] });
}

/// Sizes of up to 2⁹⁶ bytes: refused before memory is taken for them.
#[test]
fn sizes_are_not_believed() {
    for sizes in [[u32::MAX; 3], [5, u32::MAX, u32::MAX], [5, 40_000, 40_000]] {
        let claim = header(8, &sizes);
        assert!(matches!(fault(&claim, &labels()), IdxFault::TooLarge { .. }));
        assert!(matches!(fault(&gzip(&claim), &labels()), IdxFault::TooLarge { .. }));
    }
    let claim = header(8, &[5, 20_000, 20_000]);
    assert!(matches!(fault(&claim, &labels()), IdxFault::CutOff { found: 16, .. }));
    assert!(matches!(fault(&gzip(&claim), &labels()), IdxFault::CutOff { found: 16, .. }));
}

#[test]
fn damaged_gzip_is_refused() {
    let mut packed = gzip(&images());
    let sum = packed.len() - 8;
    packed[sum] ^= 1;
    assert!(matches!(fault(&packed, &labels()), IdxFault::Gzip { .. }));
}

#[test]
fn labels_must_fit() {
    let four = [header(8, &[4]), vec![3, 0, 9, 1]].concat();
    let error = read(&images(), &four).1.unwrap_err();
    assert!(matches!(error, DataError::Counts { images: 5, labels: 4, .. }), "{error}");
    let ten = [header(8, &[5]), vec![3, 0, 9, 10, 3]].concat();
    let error = read(&images(), &ten).1.unwrap_err();
    assert!(matches!(error, DataError::Label { label: 10, classes: 10, .. }), "{error}");
    assert!(error.to_string().starts_with("item 3 of "), "{error}");
}

#[test]
fn a_missing_file_is_named() {
    let error = Idx::read(Path::new("not there"), Path::new("either"), 10).unwrap_err();
    assert!(error.to_string().starts_with("cannot read not there: "), "{error}");
}
