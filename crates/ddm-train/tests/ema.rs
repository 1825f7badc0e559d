//! The moving average: its formula, its last digit, what it does not know, and how it is saved.

use burn::module::{Module, Param};
use burn::nn::{Linear, LinearConfig};
use burn::store::ModuleRecord;
use burn::tensor::{DType, Device, Tensor};
use ddm_train::{Decay, Ema, PowerDecay, TrainError, reconstruct};

#[derive(Module, Debug)]
struct Net {
    layers: Vec<Linear>,
    scale: Option<Param<Tensor<1>>>,
}

fn net(layers: &[[usize; 2]], scale: bool) -> Net {
    let device = Device::flex();
    let linear = |&[a, b]: &[usize; 2]| LinearConfig::new(a, b).init(&device);
    let scale = scale.then(|| Param::from_tensor(Tensor::ones([2], &device)));
    Net { layers: layers.iter().map(linear).collect(), scale }
}

/// A module of two weights.
fn linear(weights: [f32; 2]) -> Linear {
    let device = Device::flex();
    let mut linear = LinearConfig::new(2, 1).with_bias(false).init(&device);
    linear.weight = Param::from_tensor(Tensor::<1>::from(weights).reshape([2, 1]));
    linear
}

fn weights(linear: &Linear) -> Vec<f32> {
    linear.weight.val().into_data().try_into_vec().expect("f32")
}

#[test]
fn the_average_moves_as_its_formula_says() {
    // In the warm-up d = 1/10, 2/11, …: 0.3 is reached after 3 updates, 0.9 never here.
    for limit in [0.3, 0.9] {
        let mut ema = Ema::new(&linear([1.0, 8.0]), limit).unwrap();
        let mut expected = 1.0;
        for n in 0..12 {
            let latest = f64::from(n * n + 2);
            ema.update(&linear([latest as f32, 8.0])).unwrap();
            let decay = limit.min((1.0 + f64::from(n)) / (10.0 + f64::from(n)));
            expected = decay * expected + (1.0 - decay) * latest;
            let average = f64::from(weights(ema.average())[0]);
            assert!((average / expected - 1.0).abs() < 1e-6, "{average}, not {expected}");
        }
        assert_eq!(ema.updates(), 12);
    }
    let error = Ema::new(&linear([0.0, 0.0]), 1.0).unwrap_err().to_string();
    assert!(error.contains("EMA decay is 1"), "{error}");
}

/// The plain form `d θ̄ + (1 − d) θ`, in f32, takes a weight of 0.7 to 0.69994.
#[test]
fn constant_weights_stay_what_they_are_to_the_bit() {
    let start = [0.7, -7.654_321];
    let mut ema = Ema::new(&linear(start), 0.9999).unwrap();
    let module = linear(start);
    let (d, rate, mut old) = (0.9999_f32, (1.0 - 0.9999_f64) as f32, start[0]);
    for _ in 0..100_000 {
        ema.update(&module).unwrap();
        old = d * old + rate * start[0];
    }
    assert_eq!(weights(ema.average()), start);
    assert!((old / start[0] - 0.999_915).abs() < 1e-5, "the plain form in f32: {old}");

    let mut ema = Ema::new(&linear(start), PowerDecay::from_width(0.1).unwrap()).unwrap();
    (0..1000).for_each(|_| ema.update(&module).unwrap());
    assert_eq!(weights(ema.average()), start);
}

/// A weight of 1 that becomes 1.01 is a single unit in the last place of bf16 away: the average
/// must go there in steps that bf16 cannot hold.
#[test]
fn half_precision_weights_are_averaged_in_f32() {
    for dtype in [DType::BF16, DType::F16] {
        let cast = |weights| {
            let module = linear(weights);
            Linear { weight: module.weight.map(|weight| weight.cast(dtype)), bias: None }
        };
        let mut ema = Ema::new(&cast([1.0, 1.0]), 0.99).unwrap();
        let latest = cast([1.007_812_5, 1.0]);
        (0..1500).for_each(|_| ema.update(&latest).unwrap());
        let average = weights(ema.average());
        assert!((average[0] - 1.007_812_5).abs() < 1e-5 && average[1] == 1.0, "{average:?}");
    }
    let double = |weights| {
        let module = linear(weights);
        Linear { weight: module.weight.map(|weight| weight.cast(DType::F64)), bias: None }
    };
    let mut ema = Ema::new(&double([1.0, 1.0]), 0.5).unwrap();
    ema.update(&double([2.0, 1.0])).unwrap();
    assert_eq!(ema.average().weight.val().dtype(), DType::F64);
}

/// Weights that were loaded into another init have other ids, and the same paths.
#[test]
fn an_average_goes_on_in_another_init() {
    let (a, b) = (net(&[[2, 3], [3, 1]], true), net(&[[2, 3], [3, 1]], true));
    let mut ema = Ema::new(&a, 0.0).unwrap();
    ema.update(&b).unwrap();
    for (found, expected) in ema.average().layers.iter().zip(&b.layers) {
        assert_eq!(found.weight.val().into_data(), expected.weight.val().into_data());
    }
}

#[test]
fn parameters_that_do_not_match_are_named() {
    let mut ema = Ema::new(&net(&[[2, 3], [3, 1]], true), 0.9).unwrap();
    let before = ema.average().layers[0].weight.val().into_data();
    let mut refused = |module: Net, path: &str, found: &str, expected: &str| {
        let wanted = TrainError::Parameter {
            path: path.to_owned(),
            found: found.to_owned(),
            expected: expected.to_owned(),
        };
        assert_eq!(ema.update(&module).unwrap_err(), wanted);
    };
    refused(net(&[[2, 3], [3, 1]], false), "scale", "missing", "of shape [2]");
    let longer = net(&[[2, 3], [3, 1], [1, 1]], true);
    refused(longer, "layers.2.bias", "of shape [1]", "missing");
    let wider = net(&[[2, 4], [4, 1]], true);
    refused(wider, "layers.0.bias", "of shape [4]", "of shape [3]");
    assert_eq!(ema.average().layers[0].weight.val().into_data(), before);
    assert_eq!(ema.updates(), 0);
}

/// Weights at step n of a training that wanders.
fn wandering(n: usize) -> Linear {
    let x = n as f32;
    linear([(0.01 * x).sin() + 0.002 * x, (0.37 * x).cos() * 3.0])
}

#[test]
fn save_and_load_in_the_middle_changes_nothing() {
    fn law<D: Decay + Copy>(decay: D) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ema.bpk");
        let mut through = Ema::new(&wandering(0), decay).unwrap();
        (1..=7).for_each(|n| through.update(&wandering(n)).unwrap());
        through.record().unwrap().save(&path).unwrap();
        let record = ModuleRecord::load(&path).unwrap();
        let mut resumed = Ema::from_record(&linear([9.0, 9.0]), decay, record).unwrap();
        assert_eq!(resumed.updates(), 7);
        for n in 8..=30 {
            through.update(&wandering(n)).unwrap();
            resumed.update(&wandering(n)).unwrap();
        }
        let bits = |ema: &Ema<Linear, D>| -> Vec<u32> {
            weights(ema.average()).into_iter().map(f32::to_bits).collect()
        };
        assert_eq!(bits(&resumed), bits(&through));
    }
    law(0.999);
    law(PowerDecay::from_width(0.1).unwrap());

    let record = Ema::new(&wandering(0), 0.9).unwrap().record().unwrap();
    let other = LinearConfig::new(3, 1).with_bias(false).init(&Device::flex());
    let error = Ema::from_record(&other, 0.9, record).unwrap_err();
    assert!(matches!(error, TrainError::Record { .. }), "{error}");
}

/// σ_rel is the standard deviation of s/t under p ∝ s^γ, and the inverse of its cubic.
#[test]
fn widths_and_exponents_belong_together() {
    for width in [0.01, 0.05, 0.1, 0.15, 0.25, 12_f64.sqrt().recip()] {
        let decay = PowerDecay::from_width(width).unwrap();
        assert!((decay.width() / width - 1.0).abs() < 1e-9, "{width}: {decay:?}");
        // By a sum over the profile.
        let (n, mut sums) = (100_000, [0.0; 3]);
        for k in 0..n {
            let s = (f64::from(k) + 0.5) / f64::from(n);
            let p = s.powf(decay.gamma());
            sums.iter_mut().zip([p, p * s, p * s * s]).for_each(|(sum, term)| *sum += term);
        }
        let mean = sums[1] / sums[0];
        let std = (sums[2] / sums[0] - mean * mean).sqrt();
        assert!((std / width - 1.0).abs() < 1e-4, "{width}, not {std}");
    }
    for width in [0.0, -0.1, 0.29, f64::NAN, 1e-200] {
        assert!(PowerDecay::from_width(width).is_err(), "{width}");
    }
    assert!(PowerDecay::new(-0.5).is_err());
    assert!(serde_json::from_str::<PowerDecay>(r#"{"gamma": -1}"#).is_err());
}

/// The weight of step s after t updates is `(s/t)^(γ+1) − ((s−1)/t)^(γ+1)`, and the start is
/// forgotten.
#[test]
fn the_power_function_weighs_the_past_by_a_power() {
    let decay = PowerDecay::new(3.0).unwrap();
    let mut ema = Ema::new(&linear([1e6, 1e6]), decay).unwrap();
    (1..=50).for_each(|n| ema.update(&wandering(n)).unwrap());
    let mut expected = [0.0; 2];
    for s in 1..=50 {
        let share = |s: usize| (s as f64 / 50.0).powi(4);
        let w = share(s) - share(s - 1);
        expected.iter_mut().zip(weights(&wandering(s))).for_each(|(e, x)| *e += w * f64::from(x));
    }
    for (found, expected) in weights(ema.average()).into_iter().zip(expected) {
        assert!((f64::from(found) - expected).abs() < 1e-5, "{found}, not {expected}");
    }
}

/// A width that nobody tracked is made of 2 × 25 saved averages. The weights wander by about 1.
#[test]
fn a_width_is_reconstructed_from_saved_averages() {
    let device = Device::flex();
    let start = linear([0.0, 0.0]);
    let mut tracked =
        [0.05, 0.10].map(|width| Ema::new(&start, PowerDecay::from_width(width).unwrap()).unwrap());
    let wanted = [0.06, 0.075, 0.09, 0.12].map(|width| PowerDecay::from_width(width).unwrap());
    let mut direct = wanted.map(|decay| Ema::new(&start, decay).unwrap());
    let mut saved = Vec::new();
    let mut at_800 = Vec::new();
    for n in 1..=1000 {
        let module = wandering(n);
        direct.iter_mut().for_each(|ema| ema.update(&module).unwrap());
        for ema in &mut tracked {
            ema.update(&module).unwrap();
            if n % 40 == 0 {
                saved.push(ema.clone());
            }
        }
        if n == 800 {
            at_800 = direct.iter().map(|ema| weights(ema.average())).collect();
        }
    }
    let off = |found: &Linear, expected: &[f32]| {
        let pairs = weights(found).into_iter().zip(expected);
        pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    };
    for ((decay, direct), at_800) in wanted.into_iter().zip(&direct).zip(&at_800) {
        let now = off(&reconstruct(&saved, decay, 1000).unwrap(), &weights(direct.average()));
        let then = off(&reconstruct(&saved, decay, 800).unwrap(), at_800);
        let nearest = tracked.iter().map(|ema| off(ema.average(), &weights(direct.average())));
        let nearest = nearest.fold(f32::INFINITY, f32::min);
        println!("{:.3}: off {now:.1e}, {then:.1e} at 800; nearest {nearest:.1e}", decay.width());
        assert!(now < 3e-3 && then < 3e-3, "{now}, {then} at width {}", decay.width());
    }
    // A width that was saved is that average, and constant weights stay what they are.
    let same = reconstruct(&saved, PowerDecay::from_width(0.05).unwrap(), 1000).unwrap();
    assert!(off(&same, &weights(tracked[0].average())) < 1e-4);
    let constant = linear([0.123_456_79, -7.0]);
    let mut averages = [0.05, 0.1]
        .map(|width| Ema::new(&constant, PowerDecay::from_width(width).unwrap()).unwrap());
    averages.iter_mut().for_each(|ema| (0..9).for_each(|_| ema.update(&constant).unwrap()));
    let made = reconstruct(&averages, wanted[0], 9).unwrap();
    assert_eq!(weights(&made), weights(&constant));

    assert!(reconstruct::<Linear>(&[], wanted[0], 1).is_err());
    assert!(reconstruct(&saved, wanted[0], 1001).is_err());
    let fresh = Ema::new(&start.to_device(&device), wanted[0]).unwrap();
    assert!(reconstruct(&[fresh], wanted[0], 1).is_err());
}
