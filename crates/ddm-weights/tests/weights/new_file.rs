//! Files that are there whole, or not at all.

use std::fs;
use std::io::{self, ErrorKind, Write as _};
use std::path::Path;

use burn::nn::LinearConfig;
use burn::tensor::Device;
use ddm_weights::{NewFile, WeightsError, save, save_shards};

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = entries.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}

fn text(path: &Path, text: &'static str) -> NewFile {
    NewFile::write(path, |beside| fs::write(beside, text)).unwrap()
}

#[test]
fn a_file_has_its_name_once_it_is_complete() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.json");
    text(&path, "first").commit().unwrap();
    let file = text(&path, "second");
    assert_eq!(names(directory.path()), ["a.json", "a.json.new"]);
    assert_eq!(fs::read_to_string(&path).unwrap(), "first");
    file.commit().unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "second");
    drop(text(&path, "third"));
    assert_eq!(names(directory.path()), ["a.json"]);
    assert_eq!(fs::read_to_string(&path).unwrap(), "second");

    // What a run that was killed has left.
    fs::write(directory.path().join("a.json.new"), "a longer text that was cu").unwrap();
    text(&path, "fourth").commit().unwrap();
    assert_eq!(names(directory.path()), ["a.json"]);
    assert_eq!(fs::read_to_string(&path).unwrap(), "fourth");
}

#[test]
fn a_disk_that_is_full_is_an_error_and_nothing_is_left() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("model.safetensors");
    text(&path, "old").commit().unwrap();
    let full = |beside: &Path| {
        fs::File::create(beside)?.write_all(b"half of")?;
        Err(io::Error::from(ErrorKind::StorageFull))
    };
    let error = NewFile::write(&path, full).unwrap_err();
    assert!(error.to_string().contains("model.safetensors: no storage space"), "{error}");
    let WeightsError::Write { path: named, source } = error else { panic!("{error}") };
    assert_eq!((named, source.kind()), (path.clone(), ErrorKind::StorageFull));
    assert_eq!(names(directory.path()), ["model.safetensors"]);
    assert_eq!(fs::read_to_string(&path).unwrap(), "old");
}

#[test]
fn what_is_no_place_for_a_file_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("missing/a.json");
    let error = NewFile::write(&missing, |_| panic!("there is no place")).unwrap_err();
    let WeightsError::Write { path, source } = error else { panic!("{error}") };
    assert_eq!((path, source.kind()), (missing, ErrorKind::NotFound));
    // A writer that writes nothing: an empty file.
    let path = directory.path().join("empty");
    NewFile::write(&path, |_| Ok(())).unwrap().commit().unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"");
    // A directory has the name.
    fs::create_dir(directory.path().join("taken")).unwrap();
    let error = text(&directory.path().join("taken"), "x").commit().unwrap_err();
    assert!(matches!(error, WeightsError::Write { .. }), "{error}");
    assert_eq!(names(directory.path()), ["empty", "taken"]);
}

#[test]
fn several_files_have_their_names_together() {
    let directory = tempfile::tempdir().unwrap();
    let inner = directory.path().join("inner");
    fs::create_dir(&inner).unwrap();
    let paths = [inner.join("a"), directory.path().join("taken"), directory.path().join("index")];
    let files = || paths.clone().map(|path| text(&path, "x"));
    drop(files());
    assert_eq!(names(directory.path()), ["inner"]);
    fs::create_dir(&paths[1]).unwrap();
    let error = NewFile::commit_all(files()).unwrap_err();
    assert!(matches!(&error, WeightsError::Write { path, .. } if *path == paths[1]), "{error}");
    assert_eq!(names(directory.path()), ["inner", "taken"], "what names the others is not there");
    assert_eq!(names(&inner), ["a"]);
    fs::remove_dir(&paths[1]).unwrap();
    NewFile::commit_all(files()).unwrap();
    assert_eq!(names(directory.path()), ["index", "inner", "taken"]);
}

/// Weights that a program saves are read by other users, if its umask lets them.
#[test]
#[cfg(unix)]
fn saved_files_have_the_permissions_of_any_other() {
    use std::os::unix::fs::PermissionsExt;
    let (directory, device) = (tempfile::tempdir().unwrap(), Device::flex());
    let directory = directory.path();
    let mode =
        |name: &str| fs::metadata(directory.join(name)).unwrap().permissions().mode() & 0o777;
    fs::write(directory.join("usual"), "").unwrap();
    let linear = LinearConfig::new(8, 8).init(&device);
    save(&linear, directory.join("one.safetensors")).unwrap();
    save_shards(&linear, directory, "model", 100).unwrap();
    assert_eq!(names(directory).len(), 2 + 3);
    for name in names(directory) {
        assert_eq!(mode(&name), mode("usual"), "{name}");
    }
}
