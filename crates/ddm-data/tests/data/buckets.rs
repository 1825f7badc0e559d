//! Aspect buckets.

use std::collections::BTreeSet;
use std::fs;

use ddm_data::{BucketOrder, Buckets, DataError, Folder, Last, Loader, Plan, Transform};
use image::{Rgb, RgbImage};

use super::device;

#[test]
fn sizes_are_bounded_multiples() {
    let buckets = Buckets::of_area([512, 512], 64, [256, 1024]).unwrap();
    for &[height, width] in buckets.sizes() {
        assert!(height % 64 == 0 && width % 64 == 0 && height * width <= 512 * 512);
        assert!((256..=1024).contains(&height) && (256..=1024).contains(&width));
        // One more step on one side is too much.
        let larger = (height + 64).min(width + 64) <= 1024;
        let area = [(height + 64) * width, height * (width + 64)];
        assert!(!larger || area.iter().any(|&area| area > 512 * 512));
        assert!(buckets.sizes().contains(&[width, height]));
    }
    let expected = [
        [256, 1024],
        [320, 768],
        [384, 640],
        [448, 576],
        [512, 512],
        [576, 448],
        [640, 384],
        [704, 320],
        [320, 704],
        [768, 320],
        [832, 256],
        [896, 256],
        [960, 256],
        [1024, 256],
        [256, 832],
        [256, 896],
        [256, 960],
    ];
    let found: BTreeSet<_> = buckets.sizes().iter().copied().collect();
    assert_eq!(found, BTreeSet::from(expected));
}

#[test]
fn images_go_to_the_nearest_ratio() {
    let buckets = Buckets::new([[64, 64], [64, 128], [128, 64], [128, 128]]).unwrap();
    let size = |image| buckets.sizes()[buckets.nearest(image)];
    // Of one ratio, the largest.
    assert_eq!(size([500, 500]), [128, 128]);
    // The border lies at √2, in both directions.
    assert_eq!((size([1000, 1410]), size([1000, 1420])), ([128, 128], [64, 128]));
    assert_eq!((size([1410, 1000]), size([1420, 1000])), ([128, 128], [128, 64]));
    assert_eq!((size([1, 9999]), size([0, 0])), ([64, 128], [128, 128]));
}

fn sizes() -> Vec<Option<[usize; 2]>> {
    let ratio = |item: usize| [[100, 100], [100, 200], [210, 100]][item * item % 7 % 3];
    (0..50).map(|item| (item != 13).then(|| ratio(item))).collect()
}

fn order(batch: usize) -> BucketOrder {
    let buckets = Buckets::new([[64, 64], [64, 128], [128, 64], [256, 16]]).unwrap();
    BucketOrder::new(buckets, &sizes(), batch, 7).unwrap()
}

#[test]
fn batches_are_of_one_bucket_and_an_epoch_has_each_image_once() {
    let order = order(4);
    let steps = order.steps_per_epoch();
    let counts = order.counts();
    assert_eq!(counts.iter().sum::<usize>(), 49);
    assert_eq!(steps, counts.iter().map(|count| count.div_ceil(4) as u64).sum::<u64>());
    let mut orders = BTreeSet::new();
    for epoch in [0, 1, 77] {
        let batches: Vec<_> = (0..steps).map(|step| order.batch(epoch * steps + step)).collect();
        for batch in &batches {
            let size = batch[0].size.unwrap();
            for visit in batch {
                assert_eq!((visit.size, visit.epoch), (Some(size), epoch));
                let image = sizes()[visit.item].unwrap();
                assert_eq!(order.buckets().sizes()[order.buckets().nearest(image)], size);
            }
        }
        let items: Vec<_> = batches.iter().flatten().map(|visit| visit.item).collect();
        let mut sorted = items.clone();
        sorted.sort();
        assert_eq!(sorted, (0..50).filter(|&item| item != 13).collect::<Vec<_>>());
        orders.insert(items);
    }
    assert_eq!(orders.len(), 3);
    // Buckets are mixed within an epoch.
    let first = (0..steps).map(|step| order.batch(step)[0].size).collect::<Vec<_>>();
    let changes = first.windows(2).filter(|pair| pair[0] != pair[1]).count();
    assert!(changes >= 4, "{first:?}");
}

#[test]
fn replacements_stay_in_the_bucket() {
    let order = order(4);
    for bucket in 0..3 {
        let of = |item: usize| sizes()[item].map(|size| order.buckets().nearest(size));
        let members: Vec<_> = (0..50).filter(|&item| of(item) == Some(bucket)).collect();
        let mut item = members[0];
        for next in members.iter().skip(1).chain([&members[0]]) {
            item = order.after(item);
            assert_eq!(item, *next);
        }
    }
}

#[test]
fn settings_are_checked() {
    assert!(matches!(Buckets::new([]), Err(DataError::Empty { .. })));
    assert!(matches!(Buckets::new([[64, 0]]), Err(DataError::Invalid(_))));
    assert!(matches!(Buckets::new([[64, usize::MAX]]), Err(DataError::Invalid(_))));
    let settings = [(0, [256, 1024]), (64, [1024, 256]), (64, [1, usize::MAX])];
    for (step, sides) in settings.into_iter().chain([(usize::MAX, [256, 1024])]) {
        assert!(matches!(Buckets::of_area([512; 2], step, sides), Err(DataError::Invalid(_))));
    }
    let none = Buckets::of_area([64; 2], 64, [256, 1024]);
    assert!(matches!(none, Err(DataError::Empty { .. })));
    let buckets = || Buckets::new([[64, 64]]).unwrap();
    assert!(matches!(BucketOrder::new(buckets(), &[None], 1, 7), Err(DataError::Empty { .. })));
    let one = [Some([64, 64])];
    assert!(matches!(BucketOrder::new(buckets(), &one, 0, 7), Err(DataError::Invalid(_))));
    let dropped = BucketOrder::new(buckets(), &one, 2, 7).unwrap().last(Last::Drop);
    assert!(matches!(dropped, Err(DataError::Empty { .. })));
    assert_eq!(order(4).last(Last::Drop).unwrap().batch(0).len(), 4);
}

#[test]
fn folders_are_read_in_buckets() {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..12u32 {
        let (height, width) = if number % 3 == 0 { (40, 20) } else { (30, 30) };
        let image = RgbImage::from_pixel(width, height, Rgb([number as u8 * 20; 3]));
        image.save(folder.path().join(format!("{number:02}.png"))).unwrap();
    }
    // One whose head is damaged is in no bucket; one whose data are, is replaced within its own.
    fs::write(folder.path().join("04.png"), b"no image").unwrap();
    let torn = folder.path().join("06.png");
    let bytes = fs::read(&torn).unwrap();
    fs::write(&torn, &bytes[..50]).unwrap();

    let images = Folder::images(folder.path(), Transform::new([8, 8]).unwrap()).unwrap();
    let sizes = images.sizes().unwrap();
    assert_eq!(sizes.images[..2], [Some([40, 20]), Some([30, 30])]);
    assert_eq!((sizes.images[4], sizes.report.corrupt()), (None, 1));
    let buckets = Buckets::new([[16, 16], [32, 16]]).unwrap();
    let order = BucketOrder::new(buckets, &sizes.images, 4, 7).unwrap();
    assert_eq!(order.counts(), [7, 4]);
    let loader = Loader::new(images, order).unwrap();
    let read = |workers| {
        let mut batches = loader.clone().workers(workers).unwrap().start(0).unwrap();
        let taken: Vec<_> = batches.by_ref().take(9).map(Result::unwrap).collect();
        (taken, batches.report().clone())
    };
    let (batches, report) = read(1);
    assert_eq!((batches.clone(), report.clone()), read(7));
    assert_eq!((report.corrupt(), report.skipped()), (1, 3));
    for batch in batches {
        let tall = batch.indices.iter().all(|index| index % 3 == 0);
        let [count, channels, height, width] = batch.data(&device()).unwrap().dims();
        assert_eq!((count, channels), (batch.items.len(), 3));
        assert_eq!([height, width], if tall { [32, 16] } else { [16, 16] });
    }
}
