//! Reading ahead.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::Duration;

use burn_dataset::{Dataset, DatasetError, InMemDataset};
use ddm_data::{
    Batch, DataError, FromBurn, Last, Loader, Map, Order, Plan, Sample, Skipped, Source, Visit,
};
use rand::RngExt;

type Numbers = Sample<Vec<f32>>;

/// Numbers drawn at the address of each item. What an item does depends on its index.
#[derive(Clone, Default)]
struct Odd {
    corrupt: Vec<usize>,
    failing: Option<usize>,
    panicking: Option<usize>,
    reads: Arc<AtomicUsize>,
}

impl Source for Odd {
    type Item = Numbers;

    fn len(&self) -> usize {
        50
    }

    fn read(&self, index: usize, visit: &Visit) -> Result<Numbers, DataError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        let mut rng = visit.rng();
        // Items take times of their own, so that threads finish out of order.
        sleep(Duration::from_micros(((index * 37) % 11 * 40) as u64));
        if self.corrupt.contains(&index) {
            let reason = "torn".to_owned();
            return Err(DataError::Corrupt { item: self.name(index), reason });
        }
        if self.failing == Some(index) {
            return Err(DataError::Item { item: self.name(index), reason: "gone".into() });
        }
        assert!(self.panicking != Some(index), "item {index} is a trap");
        let numbers = (0..4).map(|_| rng.random::<f32>()).chain([index as f32]);
        Ok(Sample::new(numbers.collect(), ()))
    }
}

fn order() -> Order {
    Order::new(50, 8, 7).unwrap().last(Last::Keep)
}

fn taken(
    source: &Odd,
    workers: usize,
    ahead: usize,
    step: u64,
    count: usize,
) -> Vec<Batch<Numbers>> {
    let loader = Loader::new(source.clone(), order()).unwrap();
    let loader = loader.workers(workers).unwrap().ahead(ahead).unwrap();
    loader.start(step).unwrap().take(count).map(Result::unwrap).collect()
}

#[test]
fn batches_do_not_depend_on_the_number_of_workers() {
    let source = Odd { corrupt: vec![3, 4, 49], ..Odd::default() };
    let one = taken(&source, 1, 1, 0, 30);
    assert_eq!(one, taken(&source, 2, 4, 0, 30));
    assert_eq!(one, taken(&source, 7, 3, 0, 30));
    assert_eq!(one, taken(&source, 7, 64, 0, 30));
    let loader = Loader::new(source, order()).unwrap();
    for (step, batch) in one.iter().enumerate() {
        assert_eq!(batch, &loader.batch(step as u64).unwrap());
    }
}

#[test]
fn any_step_is_a_start() {
    let source = Odd { corrupt: vec![11], ..Odd::default() };
    let through = taken(&source, 3, 4, 0, 40);
    for start in [1, 6, 7, 20] {
        assert_eq!(through[start..start + 15], taken(&source, 2, 4, start as u64, 15));
    }
}

#[test]
fn draws_differ_between_items_and_epochs() {
    let batches = taken(&Odd::default(), 2, 4, 0, 14);
    let item_0 = |epoch: &[Batch<Numbers>]| {
        let mut items = epoch.iter().flat_map(|batch| &batch.items);
        items.find(|item| item.data[4] == 0.0).unwrap().data.clone()
    };
    assert_ne!(item_0(&batches[..7]), item_0(&batches[7..]));
    let first: Vec<_> = batches[0].items.iter().map(|item| item.data[0]).collect();
    assert!(first.windows(2).all(|pair| pair[0] != pair[1]));
}

#[test]
fn corrupt_items_are_replaced_and_counted() {
    let source = Odd { corrupt: vec![3, 4, 49], ..Odd::default() };
    let loader = Loader::new(source, order()).unwrap();
    let mut batches = loader.start(0).unwrap();
    let epoch: Vec<_> = batches.by_ref().take(7).map(Result::unwrap).collect();
    let mut read: Vec<_> = epoch.iter().flat_map(|batch| batch.indices.clone()).collect();
    read.sort();
    // 3 and 4 become 5, and 49 becomes 0.
    let mut expected: Vec<_> = (0..49).filter(|item| ![3, 4].contains(item)).collect();
    expected.extend([0, 5, 5]);
    expected.sort();
    assert_eq!(read, expected);

    let report = batches.report();
    // Item 4 was met alone and after item 3.
    assert_eq!((report.corrupt(), report.skipped()), (3, 4));
    let lines: Vec<_> = report.iter().collect();
    assert_eq!(lines, [("item 3", "torn", 1), ("item 4", "torn", 2), ("item 49", "torn", 1)]);
    assert!(report.to_string().starts_with("3 corrupt items, skipped 4 times\nitem 3 (1×): torn"));
    let skipped: Vec<&Skipped> = epoch.iter().flat_map(|batch| &batch.skipped).collect();
    assert_eq!(skipped.len(), 4);
}

#[test]
fn a_set_of_corrupt_items_ends_the_run() {
    let source = Odd { corrupt: (0..50).collect(), ..Odd::default() };
    let loader = Loader::new(source, order()).unwrap();
    let error = loader.start(0).unwrap().next().unwrap().unwrap_err();
    assert!(matches!(error, DataError::NoGoodItem { tried: 50, .. }), "{error}");
}

#[test]
fn errors_and_panics_name_the_item_and_end_the_run() {
    for workers in [1, 2, 7] {
        let failing = Odd { failing: Some(20), ..Odd::default() };
        let panicking = Odd { panicking: Some(20), ..Odd::default() };
        let at = (0..).find(|&step| order().batch(step).iter().any(|visit| visit.item == 20));
        for (source, message) in [
            (failing, "item 20 cannot be read: gone"),
            (panicking, "reading item 20 panicked: item 20 is a trap"),
        ] {
            let loader = Loader::new(source, order()).unwrap().workers(workers).unwrap();
            let mut batches = loader.start(0).unwrap();
            let good = batches.by_ref().take_while(Result::is_ok).count() as u64;
            assert_eq!(Some(good), at);
            assert!(batches.next().is_none());
            let error = loader.batch(good).unwrap_err();
            assert_eq!(error.to_string(), message);
            let mut from_there = loader.start(good).unwrap();
            assert_eq!(from_there.next().unwrap().unwrap_err().to_string(), message);
        }
    }
}

#[test]
fn a_plan_that_panics_or_is_too_long_is_an_error() {
    struct Bad(usize);
    impl Plan for Bad {
        fn batch(&self, step: u64) -> Vec<Visit> {
            assert!(step < 3, "no step {step}");
            vec![Visit::new(7, 0, self.0)]
        }
        fn steps_per_epoch(&self) -> u64 {
            3
        }
        fn after(&self, item: usize) -> usize {
            item
        }
    }
    let batches = |item| Loader::new(Odd::default(), Bad(item)).unwrap().start(0).unwrap();
    let all: Vec<_> = batches(0).collect();
    assert_eq!(all.len(), 4);
    let message = all[3].as_ref().unwrap_err().to_string();
    assert_eq!(message, "reading the plan of step 3 panicked: no step 3");
    let error = batches(50).next().unwrap().unwrap_err();
    assert!(matches!(error, DataError::NoItem { index: 50, items: 50 }), "{error}");
}

#[test]
fn reading_is_bounded_and_ends_when_dropped() {
    let source = Odd::default();
    let reads = source.reads.clone();
    let loader = Loader::new(source, Order::new(50, 10, 7).unwrap()).unwrap();
    let mut batches = loader.workers(4).unwrap().ahead(3).unwrap().start(0).unwrap();
    sleep(Duration::from_millis(100));
    assert_eq!(reads.load(Ordering::SeqCst), 30);
    batches.next().unwrap().unwrap();
    sleep(Duration::from_millis(50));
    assert_eq!(reads.load(Ordering::SeqCst), 40);
    batches.next().unwrap().unwrap();
    drop(batches);
    let at_drop = reads.load(Ordering::SeqCst);
    sleep(Duration::from_millis(50));
    assert_eq!(reads.load(Ordering::SeqCst), at_drop);
}

#[test]
fn settings_are_checked() {
    let loader = || Loader::new(Odd::default(), order()).unwrap();
    for bad in [0, 1025] {
        assert!(matches!(loader().workers(bad), Err(DataError::Invalid(_))));
        assert!(matches!(loader().ahead(bad), Err(DataError::Invalid(_))));
    }
    let empty = Loader::new(Vec::<Numbers>::new(), order()).unwrap_err();
    assert!(matches!(empty, DataError::Empty { .. }));
}

#[test]
fn sets_of_burn_are_sources() -> Result<(), Box<dyn Error>> {
    struct Failing;
    impl Dataset<u8> for Failing {
        fn get(&self, index: usize) -> Result<u8, DatasetError> {
            match index {
                7 => Err(DatasetError::new(std::io::Error::other("row 7 is locked"))),
                _ => Ok(index as u8),
            }
        }
        fn len(&self) -> usize {
            10
        }
    }
    let loader = Loader::new(FromBurn::new(Failing), Order::new(10, 10, 7)?)?;
    let error = loader.batch(0).unwrap_err();
    assert_eq!(error.to_string(), "item 7 cannot be read: row 7 is locked");

    let points = InMemDataset::new(vec![(1.0f32, 0usize), (2.0, 1), (3.0, 2)]);
    let source = Map::new(FromBurn::new(points), |(x, label)| Sample::new([x], label));
    let loader = Loader::new(source, Order::new(3, 3, 7)?.in_sequence())?;
    let batch = loader.start(4)?.next().ok_or("no batch")??;
    assert_eq!((batch.step, batch.epoch), (4, 4));
    let data = batch.data::<2>(&super::device())?.into_data();
    assert_eq!(data.iter::<f32>().collect::<Vec<_>>(), [1.0, 2.0, 3.0]);
    Ok(())
}
