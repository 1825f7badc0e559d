//! The shared parts of the examples: data, devices, files and pictures.

use std::error::Error;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ddm_core::prelude::Device;
use ddm_examples::animation::{GifError, Timing, gif};
use ddm_examples::compare::{self, CompareError};
use ddm_examples::data::{DataError, digits, digits_from, dino, points_from};
use ddm_examples::device::{KNOWN_DEVICES, available_devices, parse_device};
use ddm_examples::pictures::{Images, grid, spread, strip};
use ddm_examples::plots::{Axis, Layer, Panel, curve, palette, panels};
use ddm_examples::{cli, output, tensors};
use flate2::Compression;
use flate2::write::GzEncoder;
use image::{Rgb, RgbImage};
use tempfile::TempDir;

/// A file with this content, in a folder that goes away with the first value.
fn file(name: &str, content: &[u8]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, content).unwrap();
    (folder, path)
}

/// The sentence of an error, with the file's folder taken out.
fn sentence<T: std::fmt::Debug>(result: Result<T, DataError>, path: &Path) -> String {
    let folder = format!("{}{}", path.parent().unwrap().display(), std::path::MAIN_SEPARATOR);
    result.unwrap_err().to_string().replace(&folder, "")
}

fn zipped(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// A row of the digits' file: 64 times the pixel, then the label.
fn row(pixel: &str, label: &str) -> String {
    format!("{}{label}\n", format!("{pixel},").repeat(64))
}

#[test]
fn digits_are_all_there() {
    let digits = digits();
    assert_eq!(digits.len(), 1797);
    assert_eq!(digits.images.len(), 1797 * 64);
    let mut histogram = [0; 10];
    digits.labels.iter().for_each(|label| histogram[usize::from(*label)] += 1);
    assert_eq!(histogram, [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
    assert!(digits.images.iter().all(|pixel| (-1.0..=1.0).contains(pixel)));
    // The first is a nought: paper in the corner, ink 13 of 16 at row 0, column 3.
    assert_eq!((digits.image(0)[0], digits.image(0)[3], digits.labels[0]), (-1.0, 0.625, 0));
}

#[test]
fn digits_from_a_file_are_the_same_plain_or_zipped() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/digits.csv.gz");
    assert_eq!(digits_from(&source).unwrap(), digits());
    let text = row("16", "7") + &row("0", "3");
    for (name, content) in
        [("a.csv", text.clone().into_bytes()), ("a.csv.gz", zipped(text.as_bytes()))]
    {
        let (_folder, path) = file(name, &content);
        let digits = digits_from(&path).unwrap();
        assert_eq!(digits.labels, [7, 3]);
        assert_eq!((digits.image(0)[63], digits.image(1)[0]), (1.0, -1.0));
    }
}

#[test]
fn the_dinosaur_is_centred_and_keeps_its_shape() {
    let points = dino();
    assert_eq!(points.len(), 142);
    let mean = |f: fn(&[f32; 2]) -> f32| points.iter().map(f).sum::<f32>() / 142.0;
    assert!(mean(|p| p[0]).abs() < 1e-5 && mean(|p| p[1]).abs() < 1e-5);
    assert!((mean(|p| (p[0] * p[0] + p[1] * p[1]) / 2.0) - 1.0).abs() < 1e-5);
    // It is taller than it is wide, in the file and here: one factor serves both axes.
    let spread = |axis: usize| {
        let values = points.iter().map(|p| p[axis]);
        values.clone().fold(f32::MIN, f32::max) - values.fold(f32::MAX, f32::min)
    };
    let proportions = spread(1) / spread(0);
    assert!((proportions - (99.4872 - 2.9487) / (98.2051 - 22.3077)).abs() < 1e-4);
}

#[test]
fn refused_data_is_named_in_one_sentence() {
    let missing = Path::new("nowhere/digits.csv.gz");
    assert_eq!(
        digits_from(missing).unwrap_err().to_string(),
        format!("there is no file {}", missing.display())
    );

    let whole = zipped(row("1", "1").repeat(50).as_bytes());
    for damaged in [&whole[..whole.len() - 5], &whole[..20], b"no gzip at all"] {
        let (_folder, path) = file("digits.csv.gz", damaged);
        assert_eq!(
            sentence(digits_from(&path), &path),
            "digits.csv.gz is cut off or damaged: it does not unpack as a whole gzip file"
        );
    }

    for (content, expected) in [
        (String::new(), "digits.csv holds no rows of data"),
        (
            row("1", "1") + "1,2,3\n",
            "digits.csv, row 2: found 3 columns, but a row must have 65 (64 pixels, then the label)",
        ),
        (
            row("1", "1") + &row("2", "2") + &row("17", "3"),
            "digits.csv, row 3, column 1: found \"17\", but a whole number from 0 to 16 is needed",
        ),
        (
            row("1", "10"),
            "digits.csv, row 1, column 65: found \"10\", but a digit from 0 to 9 is needed",
        ),
        (
            row("NaN", "1"),
            "digits.csv, row 1, column 1: found \"NaN\", but a whole number from 0 to 16 is needed",
        ),
    ] {
        let (_folder, path) = file("digits.csv", content.as_bytes());
        assert_eq!(sentence(digits_from(&path), &path), expected);
    }

    for (content, expected) in [
        ("x,y\n", "points.csv holds no rows of data"),
        ("x,y\n1,2,3\n", "points.csv, row 2: found 3 columns, but a row must have 2 (x and y)"),
        (
            "1,2\n3,oops\n",
            "points.csv, row 2, column 2: found \"oops\", but a finite number is needed",
        ),
        ("1,inf\n", "points.csv, row 1, column 2: found \"inf\", but a finite number is needed"),
        ("1,2\n1,2\n", "points.csv holds points that all coincide, but at least two must differ"),
    ] {
        let (_folder, path) = file("points.csv", content.as_bytes());
        assert_eq!(sentence(points_from(&path), &path), expected);
    }

    let (folder, path) = file("points.csv", b"\xff\xfe,1\n");
    let error = points_from(&path).unwrap_err();
    assert!(error.to_string().ends_with("points.csv is not comma-separated text"));
    let error = points_from(folder.path()).unwrap_err();
    assert!(error.to_string().starts_with("cannot read ") && error.source().is_some());
}

#[test]
fn errors_end_in_one_sentence_with_their_causes() {
    let (folder, _) = file("points.csv", b"");
    let error = points_from(folder.path()).unwrap_err();
    let cause = error.source().unwrap().to_string();
    assert_eq!(cli::sentence(&error), format!("{error}: {cause}"));
}

#[test]
fn devices_have_names() {
    let available = available_devices();
    assert!(available.contains(&"flex"));
    for name in &available {
        assert!(parse_device(name).is_ok());
    }
    assert_eq!(
        parse_device("abacus").unwrap_err().to_string(),
        format!("there is no device \"abacus\": this program has {}", available.join(", "))
    );
    for name in KNOWN_DEVICES.into_iter().filter(|name| !available.contains(name)) {
        assert_eq!(
            parse_device(name).unwrap_err().to_string(),
            format!(
                "this program was not compiled for the device {name:?}: it has {}; \
                 add `--features {name}` to the cargo command",
                available.join(", ")
            )
        );
    }
}

#[test]
fn files_are_written_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/folder/file.txt");
    output::write(&path, b"first").unwrap();
    output::write(&path, b"second").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"second");
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);

    // A folder stands where the file should go, and a file where a folder should.
    let error = output::write(path.parent().unwrap(), b"third").unwrap_err();
    assert!(error.to_string().starts_with("cannot write "), "{error}");
    let error = output::write(&path.join("file.txt"), b"third").unwrap_err();
    assert!(error.to_string().starts_with("cannot create the folder "), "{error}");
    let error = output::write_gif(&path, &[], Timing::default()).unwrap_err();
    assert_eq!(
        cli::sentence(&error),
        format!(
            "cannot make a GIF animation for {}: an animation needs at least one frame",
            path.display()
        )
    );
    assert_eq!(fs::read(&path).unwrap(), b"second");
    assert_eq!(fs::read_dir(folder.path().join("new")).unwrap().count(), 1);
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
}

#[cfg(unix)]
#[test]
fn written_files_are_as_readable_as_others() {
    use std::os::unix::fs::PermissionsExt;
    let (folder, usual) = file("usual", b"");
    let ours = folder.path().join("ours");
    output::write(&ours, b"").unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(&ours), mode(&usual));
}

#[test]
fn grids_enlarge_pixels() {
    let images = Images::new(vec![-1.0, 1.0, 0.0, -7.0, 7.0, f32::NAN, -1.0, -1.0], [2, 1, 2, 2]);
    let picture = grid(&images, 5, 3);
    // Two images of 2 × 3 pixels and three gaps of 3, over one image and two gaps.
    assert_eq!(picture.dimensions(), (2 * 6 + 3 * 3, 6 + 2 * 3));
    let grey = |x, y| picture.get_pixel(x, y).0[0];
    assert_eq!((grey(0, 0), grey(3, 3), grey(5, 5), grey(6, 3)), (255, 0, 0, 255));
    assert_eq!((grey(3, 6), grey(6, 6), grey(12, 3), grey(15, 3)), (128, 0, 255, 0));

    let colour = Images::new(vec![1.0, -1.0, 0.0], [1, 3, 1, 1]);
    assert_eq!(grid(&colour, 1, 1).get_pixel(1, 1), &Rgb([255, 0, 128]));
    // 5 images in rows of 2 need 3 rows.
    let five = Images::new(vec![0.0; 5 * 64], [5, 1, 8, 8]);
    assert_eq!(grid(&five, 2, 4).dimensions(), (2 * 32 + 3 * 4, 3 * 32 + 4 * 4));
}

#[test]
fn strips_show_a_sample_a_row() {
    let frame = |value: f32| Images::new(vec![value, -value], [2, 1, 1, 1]);
    let picture = strip(&[frame(1.0), frame(0.0), frame(-1.0)], 2);
    assert_eq!(picture.dimensions(), (3 * 2 + 4 * 2, 2 * 2 + 3 * 2));
    let row = |y| [2, 6, 10].map(|x| picture.get_pixel(x, y).0[0]);
    assert_eq!((row(2), row(6)), ([255, 128, 0], [0, 128, 255]));

    assert_eq!(spread(11, 6), [0, 2, 4, 6, 8, 10]);
    assert_eq!(spread(51, 2), [0, 50]);
    assert_eq!(spread(3, 8), [0, 1, 2]);
    assert_eq!((spread(9, 1), spread(9, 0), spread(0, 5)), (vec![8], vec![], vec![]));
}

#[test]
fn tensors_become_numbers_and_back() {
    let device = parse_device("flex").unwrap();
    let points = dino();
    assert_eq!(tensors::points(tensors::from_points(&points, &device)), points);
    let tensor = tensors::from_points(&points, &device).reshape([71, 1, 2, 2]);
    let images = Images::from(tensor);
    assert_eq!((images.count(), images.size()), (71, (2, 2)));
}

#[test]
fn names_of_curves_that_end_together_stay_apart() {
    let series: Vec<_> = (0..8).map(|i| ("H", vec![(0.0, f64::from(i)), (1.0, 0.0)])).collect();
    let picture = curve("", Axis::linear(""), Axis::linear(""), &series);
    // The names stand at the right edge: eight runs of rows with ink, and paper between them.
    let inked = |y| (857..868).any(|x| picture[(x, y)].0.iter().all(|channel| *channel < 128));
    let rows: Vec<bool> = (0..picture.height()).map(inked).collect();
    assert_eq!(rows.windows(2).filter(|pair| !pair[0] && pair[1]).count(), 8);
}

#[test]
fn plots_have_something_on_them() {
    let inked =
        |picture: &RgbImage, colour: Rgb<u8>| picture.pixels().filter(|p| **p == colour).count();
    let blue = Rgb([palette::BLUE.0, palette::BLUE.1, palette::BLUE.2]);
    let line: Vec<_> = (0..100).map(|i| (f64::from(i), f64::from(i * i))).collect();
    for axis in [Axis::linear("y"), Axis::log("y")] {
        let picture = curve("title", Axis::linear("x"), axis, &[("series", line.clone())]);
        assert_eq!(picture.dimensions(), (900, 560));
        assert!(inked(&picture, blue) > 700);
    }
    // Nothing to show, or nothing that can be shown, is an empty plot and no panic.
    let odd = vec![(f64::NAN, 1.0), (1.0, f64::INFINITY), (0.0, 0.0), (2.0, -1.0)];
    for series in
        [&[][..], &[("empty", vec![])][..], &[("odd", odd), ("dot", vec![(3.0, 3.0)])][..]]
    {
        curve("", Axis::log(""), Axis::log(""), series);
        curve("", Axis::linear(""), Axis::linear(""), series);
    }

    let points = dino();
    let far = [[f32::NAN, 0.0], [9.0, 9.0], [f32::INFINITY, 0.0]];
    let paths = [points.clone(), vec![[0.0, 0.0]], vec![], far.to_vec()];
    let layers = vec![
        Layer::background(&points),
        Layer::points(&far, palette::RED),
        Layer::arrows(&points, &points, palette::INK),
        Layer::arrows(&far, &far, palette::INK),
        Layer::arrows(&[], &[], palette::INK),
        Layer::heat(&[], palette::INK),
        Layer::paths(&paths, palette::BLUE),
    ];
    // Values fill quarters of the panel from the bottom left; NaN stays paper.
    let quarters = [7.0, 0.0, f32::NAN, -7.0];
    let heat = Panel { title: "", layers: vec![Layer::heat(&quarters, palette::BLUE)] };
    let picture = panels(&[heat], 1, 3.0);
    let shades = [(100, 260), (260, 260), (100, 100), (260, 100)].map(|(x, y)| picture[(x, y)]);
    assert_eq!(shades, [blue, Rgb([255; 3]), Rgb([255; 3]), Rgb([255; 3])]);

    let panel = |title| Panel { title, layers: layers.clone() };
    let one = panels(&[panel("")], 3, 3.0);
    assert_eq!(one.dimensions(), (360, 360));
    assert!(inked(&one, blue) > 10);
    let four = panels(&[panel("a"), panel("b"), panel("c"), panel("")], 3, 3.0);
    assert_eq!(four.dimensions(), (3 * 320 + 2 * 18 + 40, 2 * 344 + 18 + 40));
}

#[test]
fn animations_play_for_ever_and_keep_few_colours_exact() {
    let images = |shift: f32| {
        let pixels = (0..64).map(|i| (i as f32 / 32.0 + shift) % 2.0 - 1.0).collect();
        grid(&Images::new(pixels, [1, 1, 8, 8]), 1, 2)
    };
    let frames: Vec<_> = [0.0, 0.5, 0.5, 1.0].map(images).into();
    let timing = Timing { frame: Duration::from_millis(50), last: Duration::from_secs(1) };
    let bytes = gif(&frames, timing).unwrap();
    assert_eq!(play(&bytes), frames);

    let mut decoder = gif::Decoder::new(&bytes[..]).unwrap();
    assert_eq!(decoder.repeat(), gif::Repeat::Infinite);
    let delays: Vec<_> =
        std::iter::from_fn(|| decoder.read_next_frame().unwrap().map(|f| f.delay)).collect();
    assert_eq!(delays, [5, 5, 5, 100]);

    assert!(matches!(gif(&[], timing), Err(GifError::NoFrames)));
    let error = gif(&[RgbImage::new(2, 2), RgbImage::new(3, 2)], timing).unwrap_err();
    assert_eq!(error.to_string(), "frame 1 is (3, 2) pixels large, but the first is (2, 2)");
}

#[test]
fn animations_of_many_colours_come_close() {
    let frames: Vec<_> = (0..2)
        .map(|k| RgbImage::from_fn(64, 64, |x, y| Rgb([4 * x as u8, 4 * y as u8, k * 90])))
        .collect();
    let played = play(&gif(&frames, Timing::default()).unwrap());
    let distance = |a: &RgbImage, b: &RgbImage| {
        a.iter().zip(b.iter()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum::<u64>() as f64
            / a.len() as f64
    };
    for (frame, shown) in frames.iter().zip(&played) {
        assert!(distance(frame, shown) < 6.0, "off by {} of 255", distance(frame, shown));
    }
}

/// The pictures as a player shows them, frame laid over frame.
fn play(bytes: &[u8]) -> Vec<RgbImage> {
    let mut options = gif::DecodeOptions::new();
    options.set_color_output(gif::ColorOutput::RGBA);
    let mut decoder = options.read_info(bytes).unwrap();
    let mut screen = RgbImage::new(u32::from(decoder.width()), u32::from(decoder.height()));
    let mut shown = Vec::new();
    while let Some(frame) = decoder.read_next_frame().unwrap() {
        for (pixel, rgba) in screen.pixels_mut().zip(frame.buffer.chunks_exact(4)) {
            if rgba[3] == 255 {
                *pixel = Rgb([rgba[0], rgba[1], rgba[2]]);
            }
        }
        shown.push(screen.clone());
    }
    shown
}

/// The example `compare`, on the networks of testdata.
#[test]
fn recorded_networks_are_right() {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/models");
    let device = Device::flex();
    let mut outputs = 0;
    for directory in compare::directories(&models).unwrap() {
        let name = directory.file_name().unwrap().to_string_lossy().into_owned();
        let lines = compare::compare(&directory, &device, 1e-4).unwrap();
        assert!(!lines.is_empty(), "{name}");
        for line in &lines {
            assert!(line.error < 1e-5, "{name}: {line:?}");
        }
        outputs += lines.len();
    }
    assert_eq!(outputs, 105 + 28);

    let empty = tempfile::tempdir().unwrap();
    let nothing = compare::compare(empty.path(), &device, 1e-4);
    assert!(matches!(nothing, Err(CompareError::Unsupported { .. })));
    std::fs::write(empty.path().join("config.json"), r#"{"_class_name": "DiTTransformer2DModel"}"#)
        .unwrap();
    let unreadable = compare::compare(empty.path(), &device, 1e-4);
    assert!(matches!(unreadable, Err(CompareError::Read(_))), "{unreadable:?}");
    assert!(compare::directories(&empty.path().join("absent")).is_err());
}

/// The example `compare`, on the pipelines, single files, LoRAs and tokenizers of testdata.
#[test]
fn recorded_pipelines_are_right() {
    let pipelines = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/pipelines");
    let device = Device::flex();
    let mut outputs = 0;
    for directory in compare::directories(&pipelines).unwrap() {
        let name = directory.file_name().unwrap().to_string_lossy().into_owned();
        // These have weights and no record of images.
        if ["single-file-sd2", "single-file-sd3", "single-file-sd35"].contains(&&*name) {
            continue;
        }
        let lines = compare::compare(&directory, &device, 1e-4).unwrap();
        assert!(!lines.is_empty(), "{name}");
        // A random network, clipped at σ/α = 80, enlarges roundings a thousand times: PyTorch's own
        // images differ by 0.8e-4 between two machines.
        let bound = if name == "ddim-unconditional" { 1e-4 } else { 1e-5 };
        for line in &lines {
            assert!(line.error < bound, "{name}: {line:?}");
        }
        outputs += lines.len();
    }
    assert_eq!(outputs, 151);
}
