//! Folders of images.

use std::fs;
use std::io::Cursor;
use std::path::Path;

use ddm_data::{DataError, Folder, Image, Last, Loader, Order, Plan, Source, Transform, Visit};
use image::codecs::jpeg::JpegEncoder;
use image::{
    DynamicImage, GrayImage, ImageBuffer, ImageEncoder, ImageFormat, Luma, LumaA, Rgb, RgbImage,
    Rgba,
};

use super::device;

/// A smooth picture, of another colour for each number.
fn picture(number: u32, height: u32, width: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let ramp = |at: u32, side: u32| (20 + at * 200 / side) as u8;
        Rgb([ramp(x, width), ramp(y, height), (number * 29 % 256) as u8])
    })
}

fn encoded(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.into().write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// A folder with these files.
fn folder(files: &[(&str, Vec<u8>)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    folder
}

fn square(side: usize) -> Transform {
    Transform::new([side, side]).unwrap()
}

/// Reads the one image of a folder.
fn alone(name: &str, bytes: Vec<u8>, transform: Transform) -> Result<Image, DataError> {
    let folder = folder(&[(name, bytes)]);
    let images = Folder::images(folder.path(), transform).unwrap();
    Ok(images.read(0, &Visit::new(7, 0, 0))?.data)
}

/// The pixels of one channel.
fn channel(image: &Image, channel: usize) -> &[u8] {
    let [_, height, width] = image.shape();
    &image.bytes()[channel * height * width..][..height * width]
}

fn ten() -> tempfile::TempDir {
    let png = |number, height, width| encoded(picture(number, height, width), ImageFormat::Png);
    let files: Vec<_> = (0..10).map(|n| (format!("{n}.png"), png(n, 20 + 3 * n, 30))).collect();
    folder(&files.iter().map(|(name, bytes)| (name.as_str(), bytes.clone())).collect::<Vec<_>>())
}

#[test]
fn formats_are_read_by_their_content() {
    let image = picture(3, 16, 16);
    let exact: Vec<u8> = (0..3).flat_map(|c| image.pixels().map(move |rgb| rgb[c])).collect();
    for (name, format) in [
        ("a.png", ImageFormat::Png),
        ("a.WEBP", ImageFormat::WebP),
        ("a.Jpg", ImageFormat::Jpeg),
        ("a.jpeg", ImageFormat::Jpeg),
        ("a.jpg", ImageFormat::Png),
    ] {
        let read = alone(name, encoded(image.clone(), format), square(16)).unwrap();
        assert_eq!(read.shape(), [3, 16, 16]);
        let difference = read.bytes().iter().zip(&exact).map(|(a, b)| a.abs_diff(*b)).max();
        let bound = if format == ImageFormat::Jpeg { 16 } else { 0 };
        assert!(difference.unwrap() <= bound, "{name}: {difference:?}");
    }
}

#[test]
fn classes_are_the_sorted_sub_folders() {
    let png = encoded(picture(0, 4, 4), ImageFormat::Png);
    let files = ["dog/b.png", "cat/2.png", "cat/10.png", "dog/a.png", "bee/x.png", ".git/x.png"];
    let folder = folder(&files.map(|name| (name, png.clone())));
    fs::write(folder.path().join("cat/notes.txt"), "no image").unwrap();
    let pets = Folder::classes(folder.path(), square(4)).unwrap();
    assert_eq!(pets.class_names(), ["bee", "cat", "dog"]);
    let names: Vec<_> = (0..pets.len()).map(|index| pets.name(index)).collect();
    let ends = ["bee/x.png", "cat/10.png", "cat/2.png", "dog/a.png", "dog/b.png"];
    assert!(names.iter().zip(ends).all(|(name, end)| Path::new(name).ends_with(end)), "{names:?}");

    let order = Order::new(5, 5, 7).unwrap().in_sequence();
    let batch = Loader::new(pets, order).unwrap().batch(0).unwrap();
    let labels = batch.labels(3, &device()).unwrap().into_data();
    assert_eq!(labels.iter::<i64>().collect::<Vec<_>>(), [0, 1, 1, 2, 2]);
    assert_eq!(batch.data::<4>(&device()).unwrap().dims(), [5, 3, 4, 4]);

    fs::create_dir(folder.path().join("ant")).unwrap();
    let error = Folder::classes(folder.path(), square(4)).unwrap_err().to_string();
    assert!(error.contains("ant is empty; put images into it"), "{error}");
    let error = Folder::classes(folder.path().join("cat"), square(4)).unwrap_err().to_string();
    assert!(error.contains("cat is empty; make a sub-folder"), "{error}");
    let error = Folder::images(folder.path().join("no"), square(4)).unwrap_err().to_string();
    assert!(error.starts_with("cannot read "), "{error}");
}

#[test]
fn captions_are_the_text_files_beside() {
    let png = encoded(picture(0, 4, 4), ImageFormat::Png);
    let folder = folder(&[
        ("b.png", png.clone()),
        ("a.png", png.clone()),
        ("a.txt", b"a photo of \xc3\xa4pfel\n".to_vec()),
        ("b.txt", b"  two lines\nof text ".to_vec()),
    ]);
    let captioned = Folder::captions(folder.path(), square(4)).unwrap();
    let order = Order::new(2, 2, 7).unwrap().in_sequence();
    let batch = Loader::new(captioned, order).unwrap().batch(0).unwrap();
    assert_eq!(batch.captions(), ["a photo of äpfel", "two lines\nof text"]);

    for damage in [Some(b"\xff\xfe".as_slice()), None] {
        match damage {
            Some(bytes) => fs::write(folder.path().join("b.txt"), bytes).unwrap(),
            None => fs::remove_file(folder.path().join("b.txt")).unwrap(),
        }
        let error = Folder::captions(folder.path(), square(4)).unwrap_err();
        assert!(matches!(&error, DataError::Caption { image, .. } if image.ends_with("b.png")));
        assert!(error.to_string().contains("b.txt cannot be read"), "{error}");
    }
}

#[test]
fn transparent_pixels_show_the_background() {
    let pixels = [[200, 100, 0, 255], [200, 100, 0, 0], [200, 100, 0, 51]];
    let image = ImageBuffer::from_fn(3, 1, |x, _| Rgba::<u8>(pixels[x as usize]));
    for format in [ImageFormat::Png, ImageFormat::WebP] {
        let transform = Transform::new([1, 3]).unwrap();
        let bytes = encoded(image.clone(), format);
        let on_white = alone("a.png", bytes.clone(), transform).unwrap();
        assert_eq!(on_white.bytes(), [200, 255, 244, 100, 255, 224, 0, 255, 204]);
        let on_blue = alone("a.png", bytes, transform.background([0, 0, 255])).unwrap();
        assert_eq!(on_blue.bytes(), [200, 0, 40, 100, 0, 20, 0, 255, 204]);
    }
    let grey = ImageBuffer::from_fn(2, 1, |x, _| LumaA::<u8>([60, 255 * (1 - x as u8)]));
    let transform = Transform::new([1, 2]).unwrap();
    let read = alone("a.png", encoded(grey, ImageFormat::Png), transform).unwrap();
    assert_eq!(read.bytes(), [60, 255, 60, 255, 60, 255]);
}

#[test]
fn grey_and_16_bits_are_read() {
    let grey = GrayImage::from_fn(2, 2, |x, y| Luma([(x * 100 + y * 50) as u8]));
    let read = alone("a.png", encoded(grey, ImageFormat::Png), square(2)).unwrap();
    assert_eq!(read.bytes(), [0, 100, 50, 150].repeat(3));
    let deep = ImageBuffer::from_fn(2, 1, |x, _| Rgb::<u16>([257 * 40, 65535, x as u16 * 128]));
    let transform = Transform::new([1, 2]).unwrap();
    let read = alone("a.png", encoded(deep.clone(), ImageFormat::Png), transform).unwrap();
    assert_eq!(read.bytes(), [40, 40, 255, 255, 0, 0]);
    let deep_grey = ImageBuffer::from_fn(2, 1, |x, _| Luma::<u16>([257 * (x as u16 + 7)]));
    let read = alone("a.png", encoded(deep_grey, ImageFormat::Png), transform.grey()).unwrap();
    assert_eq!((read.shape(), read.bytes()), ([1, 1, 2], [7, 8].as_slice()));
    let luminance = alone("a.png", encoded(deep, ImageFormat::Png), transform.grey()).unwrap();
    // 0.2126 · 40 + 0.7152 · 255
    assert!(luminance.bytes().iter().all(|byte| byte.abs_diff(191) <= 1), "{luminance:?}");
}

/// The shorter side fits whole, and the longer loses the same at both ends.
#[test]
fn the_centre_is_resized() {
    let wide = alone("a.png", encoded(picture(5, 40, 120), ImageFormat::Png), square(10)).unwrap();
    assert_eq!(wide.shape(), [3, 10, 10]);
    // Of 120 columns, 40 to 79, and all 40 rows, four to a pixel; value at n is 20 + 200 n / side.
    for (channel_number, first, last, stride) in [(0, 88.7, 148.7, 1), (1, 27.3, 207.3, 10)] {
        let ramp = channel(&wide, channel_number);
        for at in 0..10 {
            let expected = first + (last - first) * at as f64 / 9.0;
            let error = (f64::from(ramp[at * stride]) - expected).abs();
            // The filter sees fewer rows at the ends.
            assert!(error < 2.0, "{channel_number}, {at}: {} {expected}", ramp[at * stride]);
        }
    }
    assert!(channel(&wide, 2).iter().all(|&blue| blue == 145));
}

#[test]
fn extreme_ratios_and_sizes_are_read() {
    for (height, width) in [(1, 3000), (3000, 1), (1, 1), (2, 7)] {
        let bytes = encoded(picture(1, height, width), ImageFormat::Png);
        assert_eq!(alone("a.png", bytes, square(64)).unwrap().shape(), [3, 64, 64]);
    }
}

#[test]
fn crops_and_flips_are_drawn_at_the_address() {
    let folder = folder(&[("a.png", encoded(picture(5, 8, 80), ImageFormat::Png))]);
    let random = square(8).random_crop().flip(0.5).unwrap();
    let images = Folder::images(folder.path(), random).unwrap();
    let at = |seed, epoch| images.read(0, &Visit::new(seed, epoch, 0)).unwrap().data;
    assert_eq!(at(7, 3), at(7, 3));
    let (mut flips, mut firsts) = (0, Vec::new());
    for epoch in 0..400 {
        let image = at(7, epoch);
        let row = &channel(&image, 0)[..8];
        flips += usize::from(row[0] > row[7]);
        firsts.push(row.iter().min().copied().unwrap());
    }
    // Three standard deviations of 10.
    assert!((170..=230).contains(&flips), "{flips}");
    // All 73 places, from 20 to 200.
    firsts.sort();
    assert_eq!((firsts[0], firsts[399]), (20, 200));
    firsts.dedup();
    assert!(firsts.len() > 65, "{}", firsts.len());

    // A setting of flips does not change the crops.
    let images = Folder::images(folder.path(), square(8).random_crop()).unwrap();
    for epoch in 0..20 {
        let unflipped = images.read(0, &Visit::new(7, epoch, 0)).unwrap().data;
        let sorted = |image: &Image| {
            let mut row = channel(image, 0)[..8].to_vec();
            row.sort();
            row
        };
        assert_eq!(sorted(&unflipped), sorted(&at(7, epoch)));
    }
}

/// EXIF's orientation 6: what is stored lies on its side.
#[test]
fn images_are_upright() {
    let exif = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0".to_vec();
    let mut bytes = Vec::new();
    let mut encoder = JpegEncoder::new_with_quality(&mut bytes, 95);
    encoder.set_exif_metadata(exif).unwrap();
    encoder.encode_image(&picture(5, 16, 48)).unwrap();
    let folder = folder(&[("a.jpg", bytes)]);
    let images = Folder::images(folder.path(), Transform::new([48, 16]).unwrap()).unwrap();
    assert_eq!(images.sizes().unwrap().images, [Some([48, 16])]);
    let image = images.read(0, &Visit::new(7, 0, 0)).unwrap().data;
    // Turned clockwise: the stored columns are the rows, from top to bottom.
    let red = channel(&image, 0);
    assert!(red[8] < 40 && red[47 * 16 + 8] > 200, "{} {}", red[8], red[47 * 16 + 8]);
}

#[test]
fn corrupt_images_are_named_skipped_and_counted() {
    let folder = ten();
    let path = |name: &str| folder.path().join(name);
    let png = fs::read(path("3.png")).unwrap();
    fs::write(path("3.png"), &png[..png.len() / 2]).unwrap();
    fs::write(path("4.png"), b"").unwrap();
    let mut damaged = fs::read(path("8.png")).unwrap();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 0xff;
    fs::write(path("8.png"), damaged).unwrap();

    let images = Folder::images(folder.path(), square(8).random_crop()).unwrap();
    let order = Order::new(10, 5, 7).unwrap();
    let read = |workers, start| {
        let loader = Loader::new(images.clone(), order).unwrap().workers(workers).unwrap();
        let mut batches = loader.start(start).unwrap();
        let taken: Vec<_> = batches.by_ref().take(4).map(Result::unwrap).collect();
        (taken, batches.report().clone())
    };
    let (batches, report) = read(1, 0);
    assert_eq!((batches.clone(), report.clone()), read(2, 0));
    assert_eq!((batches.clone(), report.clone()), read(7, 0));
    assert_eq!(batches[2..], read(3, 2).0[..2]);
    let found: Vec<_> = report.iter().map(|(name, _, times)| (name.to_owned(), times)).collect();
    let name = |name| path(name).display().to_string();
    assert_eq!(found, [(name("3.png"), 2), (name("4.png"), 4), (name("8.png"), 2)]);
    let indices: Vec<_> = batches[..2].iter().flat_map(|batch| batch.indices.clone()).collect();
    let planned = [order.batch(0), order.batch(1)].concat();
    for (read, planned) in indices.iter().zip(&planned) {
        let good = [0, 1, 2, 5, 5, 5, 6, 7, 9, 9][planned.item];
        assert_eq!(*read, good);
    }
}

/// A PNG of a few bytes that says it has 60,000 × 60,000 pixels.
#[test]
fn a_huge_image_is_refused_before_its_memory_is_taken() {
    let chunk = |name: &[u8; 4], data: &[u8]| {
        let checked = [&name[..], data].concat();
        let crc = !checked.iter().fold(!0_u32, |crc, &byte| {
            (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 * (crc & 1)))
        });
        [&(data.len() as u32).to_be_bytes()[..], &checked, &crc.to_be_bytes()].concat()
    };
    let side = 60_000_u32.to_be_bytes();
    let header = [&side[..], &side, &[8, 2, 0, 0, 0]].concat();
    let parts = [chunk(b"IHDR", &header), chunk(b"IDAT", &[]), chunk(b"IEND", &[])];
    let png = [&b"\x89PNG\r\n\x1a\n"[..], &parts.concat()].concat();
    let refused = alone("huge.png", png, square(8)).unwrap_err();
    let DataError::Corrupt { reason, .. } = &refused else { panic!("{refused}") };
    assert!(reason.contains("imit"), "{reason}");
}

#[test]
fn every_cut_off_file_is_corrupt() {
    for (name, format) in
        [("a.png", ImageFormat::Png), ("a.jpg", ImageFormat::Jpeg), ("a.webp", ImageFormat::WebP)]
    {
        let bytes = encoded(picture(3, 24, 24), format);
        // The last bytes of a file may be no more than padding and an end mark.
        for cut in (0..bytes.len() - 12).step_by(7).chain([bytes.len() - 12]) {
            let read = alone(name, bytes[..cut].to_vec(), square(24));
            assert!(matches!(read, Err(DataError::Corrupt { .. })), "{name} {cut}: {read:?}");
        }
    }
}

/// A thumbnail in the head has an end mark of its own, and phones append films to photos.
#[test]
fn the_end_of_a_jpeg_is_that_of_its_scan() {
    let thumbnail = encoded(picture(1, 8, 8), ImageFormat::Jpeg);
    let photo = encoded(picture(3, 24, 24), ImageFormat::Jpeg);
    let mut head = vec![0xff, 0xd8, 0xff, 0xe2];
    head.extend((thumbnail.len() as u16 + 2).to_be_bytes());
    let whole = [head, thumbnail, photo[2..].to_vec()].concat();
    assert!(alone("a.jpg", whole.clone(), square(24)).is_ok());
    let cut = alone("a.jpg", whole[..whole.len() - 40].to_vec(), square(24)).unwrap_err();
    assert!(cut.to_string().contains("cut off"), "{cut}");
    let film = b"\xff\xda film \xff\xff".to_vec();
    assert!(alone("a.jpg", [whole, film].concat(), square(24)).is_ok());
}

#[test]
fn a_file_that_is_gone_ends_the_run() {
    let folder = ten();
    let images = Folder::images(folder.path(), square(8)).unwrap();
    fs::remove_file(folder.path().join("6.png")).unwrap();
    let order = Order::new(10, 10, 7).unwrap().last(Last::Keep);
    let error = Loader::new(images, order).unwrap().batch(0).unwrap_err();
    assert!(matches!(&error, DataError::Read { path, .. } if path.ends_with("6.png")), "{error}");
}

#[test]
fn settings_are_checked() {
    for size in [[0, 8], [8, 0], [16385, 8]] {
        assert!(matches!(Transform::new(size), Err(DataError::Invalid(_))));
    }
    for flip in [-0.1, 1.1, f64::NAN] {
        assert!(matches!(square(8).flip(flip), Err(DataError::Invalid(_))));
    }
}
