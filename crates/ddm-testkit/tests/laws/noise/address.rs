//! The numbers of `HostNoise` belong to their address: seed, stream, fork, sample and draw.

use burn::tensor::Device;
use ddm_noise::{HostNoise, NoiseSource, Stream};

use super::{draw, is_normal, uncorrelated};

const SHAPE: [usize; 2] = [4, 25_000];
const STREAMS: [Stream; 5] =
    [Stream::User, Stream::Start, Stream::Sampler, Stream::Training, Stream::Probe];

/// Every two of them have nothing in common.
#[track_caller]
fn independent(sources: impl IntoIterator<Item = HostNoise>) {
    let draws: Vec<_> = sources.into_iter().map(|mut noise| draw(&mut noise, SHAPE)).collect();
    for (i, first) in draws.iter().enumerate() {
        is_normal(first);
        draws[..i].iter().for_each(|second| uncorrelated(first, second));
    }
}

#[test]
fn each_stream_has_numbers_of_its_own() {
    independent(STREAMS.map(|stream| HostNoise::new(7).stream(stream)));
    // Neighbouring parts of the key are not mixed up.
    independent([
        HostNoise::new(0),
        HostNoise::new(1),
        HostNoise::new(1 << 32),
        HostNoise::new(0).stream(Stream::Start),
        HostNoise::new(0).at(1),
        HostNoise::new(0).starting_at(4),
        HostNoise::new(0).starting_at(1 << 32),
    ]);
}

#[test]
fn noise_that_a_user_adds_is_not_that_of_a_sampler_of_the_same_seed() {
    let mut user = HostNoise::new(7);
    let mut sampler = HostNoise::new(7);
    sampler.switch_to(Stream::Sampler);
    let (added, stepped) = (draw(&mut user, SHAPE), draw(&mut sampler, SHAPE));
    uncorrelated(&added, &stepped);
    // The sum has the variance 2: were they the same numbers it would be 4.
    let sum: Vec<f64> = added.iter().zip(&stepped).map(|(a, b)| (a + b) / 2f64.sqrt()).collect();
    is_normal(&sum);
}

#[test]
fn a_change_of_purpose_changes_the_numbers_and_goes_on_with_the_draws() {
    let mut shared = HostNoise::new(7);
    let mut drawn = vec![shared.uniform(3)];
    for stream in [Stream::Sampler, Stream::User, Stream::Sampler] {
        shared.switch_to(stream);
        drawn.push(shared.uniform(3));
    }
    assert_eq!(shared.draw_number(), 4);
    assert_eq!(drawn[2], HostNoise::new(7).at(2).uniform(3));
    assert_eq!(drawn[3], HostNoise::new(7).stream(Stream::Sampler).at(3).uniform(3));
    for (i, numbers) in drawn.iter().enumerate() {
        assert!(!drawn[..i].contains(numbers), "draw {i} is repeated");
    }
}

#[test]
fn forks_are_independent_of_each_other_and_of_their_parent() {
    let parent = HostNoise::new(7);
    independent([
        parent.clone(),
        parent.fork("a"),
        parent.fork("b"),
        parent.fork(""),
        parent.fork("a").fork("b"),
        parent.fork("b").fork("a"),
        parent.fork("ab"),
        parent.fork("a").stream(Stream::Sampler),
    ]);
    assert_eq!(parent.clone().at(9).fork("a"), parent.fork("a"));
}

#[test]
fn generators_are_those_of_the_draw() {
    use rand::RngExt;
    let mut noise = HostNoise::new(7).starting_at(2).at(3);
    let numbers: Vec<f64> = noise.rngs(4).map(|mut rng| rng.random()).collect();
    assert_eq!(noise.draw_number(), 4);
    assert_eq!(HostNoise::new(7).at(3).uniform(6)[2..], numbers);
}

/// The documented key, computed apart from this library: ChaCha8 (RFC 8439 with 8 rounds, and 64-bit
/// counter and nonce) with the key (seed, stream, fork), the counter draw and the nonce sample;
/// then xoshiro256++ and the highest 53 bits of its first number.
#[test]
fn numbers_are_those_of_the_documented_key() {
    assert_eq!(HostNoise::new(7).uniform(1), [0.7997175399848867]);
    let fork = HostNoise::new(7).fork("a").fork("ü").stream(Stream::Sampler);
    assert_eq!(fork.at(5).starting_at((1 << 40) + 1).uniform(1), [0.7985793639646248]);
}

#[test]
fn empty_batches_and_samples_have_no_numbers() {
    for shape in [[0, 3], [3, 0]] {
        assert_eq!(HostNoise::new(7).draw(shape, &Device::flex()).dims(), shape);
    }
    assert!(HostNoise::new(7).uniform(0).is_empty());
}
