//! Orders of epochs.

use std::collections::BTreeMap;

use ddm_data::{Last, Order, Plan};

fn epoch(order: &Order, epoch: u64) -> Vec<usize> {
    let steps = order.steps_per_epoch();
    let batches = (epoch * steps..(epoch + 1) * steps).flat_map(|step| order.batch(step));
    batches
        .map(|visit| {
            assert_eq!(visit.epoch, epoch);
            visit.item
        })
        .collect()
}

#[test]
fn an_epoch_has_each_item_once() {
    for items in (1..130).chain([1000, 1024, 4095, 4097]) {
        let order = Order::new(items, 7.min(items), 7).unwrap().last(Last::Keep);
        for number in [0, 1, 1 << 40] {
            let mut epoch = epoch(&order, number);
            epoch.sort();
            assert_eq!(epoch, (0..items).collect::<Vec<_>>());
        }
    }
}

/// All orders of five items are equally frequent, and so is each item at each place: χ² below the
/// 0.1 % quantile (119 degrees of freedom: 173.6; 99 of 10 × 10 places, of which 81 are free: 124.8).
#[test]
fn orders_are_uniform() {
    let count = |items: usize, epochs: u64| {
        let order = Order::new(items, items, 1).unwrap();
        (0..epochs).map(|number| epoch(&order, number)).collect::<Vec<_>>()
    };
    let mut orders = BTreeMap::<_, f64>::new();
    for order in count(5, 24_000) {
        *orders.entry(order).or_default() += 1.0;
    }
    assert_eq!(orders.len(), 120);
    let chi2: f64 = orders.values().map(|n| (n - 200.0).powi(2) / 200.0).sum();
    assert!(chi2 < 173.6, "{chi2}");

    let mut places = vec![0.0; 100];
    for order in count(10, 10_000) {
        order.iter().enumerate().for_each(|(at, item)| places[10 * at + item] += 1.0);
    }
    let chi2: f64 = places.iter().map(|n: &f64| (n - 1000.0).powi(2) / 1000.0).sum();
    assert!(chi2 < 124.8, "{chi2}");
    println!("χ² of places {chi2:.1}");
}

/// Neighbours of a large set are no neighbours in its order: the mean distance of two uniform places
/// is n / 3.
#[test]
fn large_orders_are_mixed() {
    let order = Order::new(100_000, 100_000, 3).unwrap();
    let epoch = epoch(&order, 5);
    let distances = epoch.windows(2).map(|pair| pair[0].abs_diff(pair[1]) as f64);
    let mean = distances.sum::<f64>() / 99_999.0 / 100_000.0;
    assert!((mean - 1.0 / 3.0).abs() < 0.003, "{mean}");
    let fixed = epoch.iter().enumerate().filter(|(at, item)| at == *item).count();
    assert!(fixed < 8, "{fixed}");
}

#[test]
fn seeds_and_epochs_differ() {
    let order = |seed| Order::new(100, 10, seed).unwrap();
    assert_ne!(epoch(&order(7), 0), epoch(&order(7), 1));
    assert_ne!(epoch(&order(7), 0), epoch(&order(8), 0));
    assert_eq!(epoch(&order(7), 3), epoch(&order(7), 3));
    let in_sequence = order(7).in_sequence();
    assert_eq!(epoch(&in_sequence, 3), (0..100).collect::<Vec<_>>());
}

/// The order is part of a seed's numbers: a change of it breaks the resuming of runs.
#[test]
fn the_order_of_a_seed_is_recorded() {
    let order = Order::new(10, 10, 7).unwrap();
    let [first, second] = [epoch(&order, 0), epoch(&order, 1)];
    assert_eq!((first, second), (RECORDED[0].to_vec(), RECORDED[1].to_vec()));
}

const RECORDED: [[usize; 10]; 2] = [[2, 5, 9, 7, 4, 1, 3, 0, 6, 8], [7, 9, 8, 1, 4, 5, 0, 2, 3, 6]];

#[test]
fn the_last_batch_is_dropped_or_kept() {
    let order = Order::new(10, 4, 7).unwrap();
    assert_eq!((order.steps_per_epoch(), epoch(&order, 0).len()), (2, 8));
    let keep = order.last(Last::Keep);
    assert_eq!((keep.steps_per_epoch(), keep.batch(2).len(), keep.batch(3).len()), (3, 2, 4));
    assert_eq!(keep.batch(3)[0].epoch, 1);
}

#[test]
fn settings_are_checked() {
    let message = |items, batch| Order::new(items, batch, 7).unwrap_err().to_string();
    assert_eq!(message(0, 1), "the data set is empty; add items to it");
    let allowed = "but must be between 1 and the number of items";
    assert_eq!(message(3, 0), format!("batch size is 0, {allowed}"));
    assert_eq!(message(3, 4), format!("batch size is 4, {allowed}"));
    assert_eq!(Order::new(3, 3, 7).unwrap().batch(u64::MAX).len(), 3);
}
