//! Networks prepared for sampling predict as they are.

use ddm_denoiser::gradient;

use super::*;

fn unet(device: &Device) -> UNet {
    let config = UNetConfig::new(2, 2).with_channels(vec![16, 24]).with_classes(Some(3));
    let config = config.with_attention(vec![1]).with_head_size(Some(8)).with_blocks(2);
    config.init(device).unwrap().map(&mut Fill)
}

fn assert_close<const D: usize>(a: Tensor<D>, b: Tensor<D>, bound: f32) {
    let scale: f32 = b.clone().abs().max().into_scalar();
    let error = distance(a, b);
    assert!(error <= bound * scale, "{error:e} of {scale:e}");
}

#[test]
fn a_prepared_unet_predicts_the_same() {
    let device = Device::flex();
    let network = unet(&device);
    let [x, t] = [(waves([3, 2, 16, 12], &device)), waves([3, 1, 1, 1], &device) * 300.0 + 500.0];
    let t = t.reshape([3]);
    let labels = ClassLabels::from(Tensor::<1, Int>::from_data([0, 2, 3], &device));
    let free = network.predict(x.clone(), t.clone());
    let with = network.predict_with(x.clone(), t.clone(), labels.clone());
    // Prepared for this size and for another, with much memory, little and none.
    for (size, memory) in [(16, usize::MAX), (8, usize::MAX), (16, 400_000), (16, 150_000), (16, 0)]
    {
        let fast = network.clone().prepare_within([1, 2, size, 12], memory).unwrap();
        assert_close(fast.predict(x.clone(), t.clone()), free.clone(), 1e-5);
        let labelled = fast.predict_with(x.clone(), t.clone(), labels.clone());
        assert_close(labelled, with.clone(), 1e-5);
        assert_eq!(fast.output_shape([3, 2, 16, 12]), Some([3, 2, 16, 12]));
        assert!(fast.check_with([3, 2, 16, 12], &labels).is_ok());
        assert!(fast.check([3, 2, 16, 13]).is_err());
    }
    assert!(network.prepare([1, 3, 16, 16]).is_err());
}

/// Guidance and likelihoods differentiate with respect to x, through packed weights too.
#[test]
fn gradients_pass_through_a_prepared_network() {
    let device = Device::flex();
    let network = unet(&device);
    let fast = network.clone().prepare([1, 2, 16, 16]).unwrap();
    let x = waves([2, 2, 16, 16], &device);
    let t = Tensor::<1>::from_floats([100.0, 700.0], &device);
    let of = |network: &dyn NoisePredictor<4>| {
        gradient(x.clone(), |x| network.predict(x, t.clone()).square().sum()).1.unwrap()
    };
    assert_close(of(&fast), of(&network), 1e-5);
}

/// Half-precision weights are widened while they are packed, so f32 is computed with them.
#[test]
fn half_precision_weights_are_widened() {
    struct Cast(DType);
    impl ModuleMapper for Cast {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            param.map(|tensor| tensor.cast(self.0))
        }
    }
    let device = Device::flex();
    for half in [DType::F16, DType::BF16] {
        let halved = unet(&device).map(&mut Cast(half));
        let widened = halved.clone().map(&mut Cast(DType::F32));
        let x = waves([2, 2, 16, 16], &device);
        let t = Tensor::<1>::from_floats([100.0, 700.0], &device);
        let expected = widened.predict(x.clone(), t.clone());
        for memory in [usize::MAX, 0] {
            let fast = halved.clone().prepare_within([1, 2, 16, 16], memory).unwrap();
            assert_close(fast.predict(x.clone(), t.clone()), expected.clone(), 1e-5);
        }
    }
}

#[test]
fn a_prepared_vae_is_the_same() {
    let device = Device::flex();
    let vae = VaeConfig::new(3, 4).with_channels(vec![16, 32]).init(&device).unwrap();
    let vae = vae.map(&mut Fill);
    let fast = vae.clone().prepare([1, 3, 16, 16]).unwrap();
    let image = waves([2, 3, 16, 16], &device);
    let (ours, plain) = (fast.encode(image.clone()), vae.encode(image));
    assert_close(ours.mode(), plain.mode(), 1e-5);
    assert_close(fast.decode(plain.mode()), vae.decode(plain.mode()), 1e-5);
}

#[test]
fn a_prepared_mlp_is_the_same() {
    let device = Device::flex();
    let network = MlpConfig::new().with_classes(Some(2)).init(&device).unwrap();
    let (x, t) = (waves([7, 2], &device), Tensor::<1>::full([7], 30.0, &device));
    let fast = network.clone().prepare([1, 2]).unwrap();
    assert_close(fast.predict(x.clone(), t.clone()), network.predict(x, t), 1e-5);
}

/// In f64 and on a tape there is nothing to pack, and nothing changes.
#[test]
fn double_precision_stays() {
    struct Widen;
    impl ModuleMapper for Widen {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            param.map(|tensor| tensor.cast(DType::F64))
        }
    }
    let device = Device::flex();
    let network = unet(&device).map(&mut Widen);
    let x = waves([1, 2, 16, 16], &device).cast(DType::F64);
    let t = Tensor::<1>::from_floats([100.0], &device);
    let fast = network.clone().prepare([1, 2, 16, 16]).unwrap();
    let predicted = fast.predict(x.clone(), t.clone());
    assert_eq!(predicted.dtype(), DType::F64);
    assert_eq!(predicted.into_data(), network.predict(x, t).into_data());
}
