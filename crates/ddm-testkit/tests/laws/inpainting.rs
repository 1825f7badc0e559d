//! RePaint: shapes that do not fit are refused, and jumps are the published schedule.

use burn::tensor::{Device, Tensor};
use ddm_samplers::{
    BoxedSampler, Context, Ddim, Ddpm, DpmSolverPp, DpmSolverSingle, Ending, Frame, HostNoise,
    NoiseSource, RePaint, SaSolver, Sampler, Sampling, Stream, UniPc,
};
use ddm_schedule::{Cosine, Grid, Levels, NoiseLevel, Trailing};
use ddm_testkit::{Gaussian, GaussianPath, compare, moments};

use crate::{holds, refused::says};

const SHAPE: [usize; 2] = [4, 3];

fn data() -> Gaussian {
    Gaussian::new([0.3, -0.2, 0.1], 0.5).unwrap()
}

fn known() -> Tensor<2> {
    Tensor::from_floats([[3.0, -3.0, 0.0]], &Device::flex())
}

fn mask() -> Tensor<2> {
    Tensor::from_floats([[1.0, 1.0, 0.0]], &Device::flex())
}

fn frames(sampler: impl Sampler<2>, steps: usize) -> Vec<Frame<2>> {
    let (data, cosine) = (data(), Cosine::default());
    let run = Sampling::new(&data, &cosine).sampler(sampler).steps(steps).seed(5);
    run.start(SHAPE, &Device::flex()).unwrap().collect()
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    let device = Device::flex();
    let zeros = |shape: [usize; 2]| Tensor::<2>::zeros(shape, &device);
    let error = RePaint::new(Ddim::EULER, zeros([1, 3]), zeros([4, 2]), 1).unwrap_err().to_string();
    assert!(error.contains("[1, 3]") && error.contains("[4, 2]"), "{error}");
    // Either may be stretched to the other, and both to x.
    for (known, mask) in [([1, 3], [4, 1]), ([4, 3], [1, 1]), ([1, 1], [4, 3])] {
        let sampler = RePaint::new(Ddim::EULER, zeros(known), zeros(mask), 1).unwrap();
        assert_eq!(frames(sampler, 2)[1].x.dims(), SHAPE);
    }
    let (data, cosine) = (data(), Cosine::default());
    for (known, mask, named) in
        [([1, 2], [1, 1], "known data"), ([2, 3], [1, 3], "known data"), ([1, 1], [1, 6], "mask")]
    {
        let sampler = RePaint::new(Ddim::EULER, zeros(known), zeros(mask), 1).unwrap();
        let wrong = if named == "mask" { mask } else { known };
        let run = Sampling::new(&data, &cosine).sampler(&sampler).steps(2);
        let error = run.start(SHAPE, &device).map(drop).unwrap_err().to_string();
        assert!(error.contains(named) && error.contains(&format!("{wrong:?}")), "{error}");
        assert!(error.contains("[4, 3]"), "{error}");
        let run = Sampling::new(&data, &cosine).sampler(sampler).steps(2);
        assert!(run.start_from(zeros(SHAPE)).is_err());
    }
    for (times, jump) in [(0, 1), (1, 0)] {
        let sampler = RePaint::new(Ddim::EULER, known(), mask(), times);
        let error = sampler.and_then(|sampler| sampler.jump(jump)).unwrap_err().to_string();
        assert!(error.contains("is 0, but must be at least 1"), "{error}");
    }
}

/// The jumps of the paper written out: down j levels, up again, r times; and so on.
fn by_hand(levels: &Levels, times: usize, jump: usize) -> (Tensor<2>, usize) {
    let (data, cosine) = (data(), Cosine::default());
    let mut noise = HostNoise::new(5).stream(Stream::Start);
    let mut x = noise.draw(SHAPE, &Device::flex()) * levels[0].scale();
    noise.switch_to(Stream::Sampler);
    let mut cx = Context::new(&data, &cosine, &mut noise);
    let steps: Vec<(NoiseLevel, NoiseLevel)> =
        levels.windows(2).map(|pair| (pair[0], pair[1])).collect();
    for block in steps.chunks(jump) {
        for time in 0..times {
            if time > 0 {
                x = cx.forward(x, block[block.len() - 1].1, block[0].0);
            }
            for &(from, to) in block {
                let unknown = Ddpm::default().step(&mut cx, x, from, to, &mut ());
                let known = known().expand(SHAPE);
                let known =
                    if to.sigma > 0.0 { cx.forward(known, NoiseLevel::DATA, to) } else { known };
                x = known * mask() + unknown * (1.0 - mask());
            }
        }
    }
    (x, cx.evaluations())
}

#[test]
fn jumps_go_down_and_up_as_published() {
    let levels = Trailing.levels(&Cosine::default(), 7).unwrap();
    for (times, jump) in [(1, 1), (3, 1), (2, 3), (3, 7), (2, 20)] {
        let sampler = RePaint::new(Ddpm::default(), known(), mask(), times).unwrap();
        let last = frames(sampler.jump(jump).unwrap(), 7).pop().unwrap();
        let (x, evaluations) = by_hand(&levels, times, jump);
        assert_eq!((last.evaluations, evaluations), (7 * times, 7 * times));
        holds(compare::close_tensors("jumps are the published ones", last.x, x, 0.0));
    }
}

/// Where nothing is known, going up and down again leaves the law of the data as it is, up to the
/// error of the steps, which is of weak order 1 as that of one pass.
#[test]
fn with_nothing_known_the_law_of_the_data_stays() {
    let (device, cosine) = (Device::flex(), Cosine::default());
    let path = GaussianPath::new(&cosine).unwrap().data(Gaussian::new([-0.7], 0.5).unwrap());
    let nothing = Tensor::<2>::zeros([1, 1], &device);
    let sampler = RePaint::new(Ddim::EULER_ANCESTRAL, nothing.clone(), nothing, 2).unwrap();
    let sampler = sampler.jump(5).unwrap();
    holds(moments::has_weak_order(&sampler, 1.0, &path, &device));
    holds(moments::are_right(&sampler, &path, 1000, 0.01, &device));
}

/// What is done to x between the steps is not undone by samplers that do a step over.
#[test]
fn correctors_leave_what_was_done_to_x() {
    let (device, cosine) = (Device::flex(), Cosine::default());
    let path = GaussianPath::new(&cosine).unwrap().data(Gaussian::new([-0.7], 0.5).unwrap());
    let nothing = Tensor::<2>::zeros([1, 1], &device);
    let sa = SaSolver::default().tau(0.0, 0.0..=0.0).unwrap();
    let samplers = [BoxedSampler::new(UniPc::new(2).unwrap()), BoxedSampler::new(sa)];
    for sampler in samplers {
        let twice = RePaint::new(sampler, nothing.clone(), nothing.clone(), 2).unwrap();
        holds(moments::are_right(&twice, &path, 80, 0.01, &device));
    }
    let multi = DpmSolverPp::new(2).unwrap();
    let twice = RePaint::new(multi, nothing.clone(), nothing, 2).unwrap();
    holds(moments::are_right(&twice, &path, 80, 0.01, &device));
}

/// Samplers that count the steps of the run see the numbers of those that are taken again.
#[test]
fn steps_taken_again_have_their_own_numbers() {
    let single = || DpmSolverSingle::new(2).unwrap().ending(Ending::Keep);
    let nothing = Tensor::<2>::zeros([1, 1], &Device::flex());
    struct Numbered(std::sync::Mutex<Vec<usize>>);
    impl Sampler<2> for Numbered {
        type State = ();
        fn step(
            &self,
            cx: &mut Context<'_, 2>,
            x: Tensor<2>,
            from: NoiseLevel,
            to: NoiseLevel,
            (): &mut (),
        ) -> Tensor<2> {
            self.0.lock().unwrap().push(cx.done());
            Ddim::EULER.step(cx, x, from, to, &mut ())
        }
    }
    let numbered = Numbered(std::sync::Mutex::default());
    let sampler = RePaint::new(&numbered, nothing.clone(), nothing.clone(), 2).unwrap();
    frames(sampler.jump(2).unwrap(), 5);
    assert_eq!(*numbered.0.lock().unwrap(), [0, 1, 0, 1, 2, 3, 2, 3, 4, 4]);
    // One time each, whatever the jump, is the sampler itself.
    for jump in [1, 2, 3] {
        let sampler = RePaint::new(single(), nothing.clone(), nothing.clone(), 1).unwrap();
        let (wrapped, bare) = (frames(sampler.jump(jump).unwrap(), 6), frames(single(), 6));
        for (wrapped, bare) in wrapped.into_iter().zip(bare) {
            // The known region is drawn, so the noise differs; a deterministic sampler does not care.
            holds(compare::close_tensors("once is the sampler itself", wrapped.x, bare.x, 1e-6));
        }
    }
}

#[test]
fn boxed_it_is_the_same() {
    let sampler = RePaint::new(Ddpm::default(), known(), mask(), 2).unwrap().jump(3).unwrap();
    let boxed = BoxedSampler::new(sampler.clone());
    for (one, two) in frames(sampler, 7).into_iter().zip(frames(boxed, 7)) {
        holds(compare::close_tensors("boxed is the same", one.x, two.x, 0.0));
    }
}

/// What is of no matter may be anything, also NaN; a mask is from 0 to 1.
#[test]
fn the_unknown_region_of_the_known_data_does_not_count() {
    let device = Device::flex();
    let (model, schedule) = (Gaussian::new([0.5], 0.5).unwrap(), Cosine::default());
    let mask = Tensor::<2>::from_floats([[1.0, 0.0, 0.5]], &device);
    let end = |hole: f32| {
        let known = Tensor::<2>::from_floats([[1.0, hole, 0.25]], &device);
        let sampler = RePaint::new(Ddim::EULER_ANCESTRAL, known, mask.clone(), 2).unwrap();
        let run = Sampling::new(&model, &schedule).sampler(sampler).steps(8).seed(2);
        run.sample([3, 3], &device).unwrap()
    };
    let demanded = end(0.0);
    for hole in [f32::NAN, f32::INFINITY] {
        holds(compare::close_tensors("a hole is a hole", end(hole), demanded.clone(), 0.0));
    }
    let known = Tensor::<2>::ones([1, 1], &device);
    for bad in [255.0, -0.1, f64::NAN] {
        let refused = RePaint::new(Ddim::EULER, known.clone(), known.full_like(bad), 2);
        says(refused.map(drop), &["value of the mask", &bad.to_string(), "[0, 1]"]);
    }
}
