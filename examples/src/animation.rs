//! Animations: GIF files that repeat.

use std::collections::HashMap;
use std::time::Duration;

use gif::{DisposalMethod, Encoder, Frame, Repeat};
use image::{Rgb, RgbImage};

/// Colours in the palette; the remaining index means "as in the previous frame".
const COLOURS: usize = 255;
const UNCHANGED: u8 = 255;

/// The duration of the frames of an animation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Each frame but the last.
    pub frame: Duration,
    /// The last frame, before the repetition.
    pub last: Duration,
}

impl Default for Timing {
    /// 60 ms per frame, and a second and a half for the last.
    fn default() -> Self {
        Self { frame: Duration::from_millis(60), last: Duration::from_millis(1500) }
    }
}

/// Pictures that cannot be a GIF.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GifError {
    /// No frames.
    #[error("an animation needs at least one frame")]
    NoFrames,
    /// A frame of another size than the first.
    #[error("frame {index} is {found:?} pixels large, but the first is {first:?}")]
    Sizes {
        /// The frame, counted from 0.
        index: usize,
        /// Its width and height.
        found: (u32, u32),
        /// The first frame's width and height.
        first: (u32, u32),
    },
    /// Larger than the format allows.
    #[error("frames of {0:?} pixels are too large: a GIF has at most 65535 by 65535")]
    TooLarge((u32, u32)),
    /// The encoder failed.
    #[error("the encoder failed")]
    Encode(#[from] gif::EncodingError),
}

/// Returns the bytes of a GIF that repeats. All frames share one palette, so nothing flickers.
///
/// # Errors
///
/// Returns an error if there are no frames, or they differ in size, or are larger than the format allows.
pub fn gif(frames: &[RgbImage], timing: Timing) -> Result<Vec<u8>, GifError> {
    let first = frames.first().ok_or(GifError::NoFrames)?.dimensions();
    if let Some(index) = frames.iter().position(|frame| frame.dimensions() != first) {
        return Err(GifError::Sizes { index, found: frames[index].dimensions(), first });
    }
    let (Ok(width), Ok(height)) = (first.0.try_into(), first.1.try_into()) else {
        return Err(GifError::TooLarge(first));
    };
    let (palette, index_of) = palette(frames);
    let mut encoder = Encoder::new(Vec::new(), width, height, palette.as_flattened())?;
    encoder.set_repeat(Repeat::Infinite)?;
    let mut before: Vec<u8> = Vec::new();
    for (number, picture) in frames.iter().enumerate() {
        let now: Vec<u8> = picture.pixels().map(|colour| index_of[colour]).collect();
        let mut pixels = now.clone();
        for (pixel, _) in pixels.iter_mut().zip(&before).filter(|(now, before)| now == before) {
            *pixel = UNCHANGED;
        }
        let last = number + 1 == frames.len();
        encoder.write_frame(&Frame {
            width,
            height,
            delay: hundredths(if last { timing.last } else { timing.frame }),
            dispose: DisposalMethod::Keep,
            transparent: Some(UNCHANGED),
            buffer: pixels.into(),
            ..Frame::default()
        })?;
        before = now;
    }
    Ok(encoder.into_inner()?)
}

/// Converts to the unit of a GIF's clock. Players do not honour less than two.
fn hundredths(time: Duration) -> u16 {
    u16::try_from(time.as_millis() / 10).unwrap_or(u16::MAX).max(2)
}

/// Colours that share one place in the palette, with their counts.
struct Group {
    colours: Vec<(Rgb<u8>, u64)>,
    mean: [f64; 3],
    /// The summed squared distance from the mean, in each channel.
    spread: [f64; 3],
}

impl Group {
    fn new(colours: Vec<(Rgb<u8>, u64)>) -> Self {
        let sum = |f: &dyn Fn(&Rgb<u8>) -> f64| -> f64 {
            colours.iter().map(|(colour, count)| f(colour) * *count as f64).sum()
        };
        let total = sum(&|_| 1.0);
        let mean = [0, 1, 2].map(|channel| sum(&|colour| f64::from(colour[channel])) / total);
        let spread = [0, 1, 2].map(|c| sum(&|colour| (f64::from(colour[c]) - mean[c]).powi(2)));
        Self { colours, mean, spread }
    }

    fn worst(&self) -> f64 {
        self.spread.into_iter().fold(0.0, f64::max)
    }

    /// Splits at the mean of the channel that varies most.
    fn split(self) -> [Self; 2] {
        let channel =
            (0..3).max_by(|a, b| self.spread[*a].total_cmp(&self.spread[*b])).unwrap_or(0);
        let mean = self.mean[channel];
        let (low, high) =
            self.colours.into_iter().partition(|(colour, _)| f64::from(colour[channel]) <= mean);
        [Self::new(low), Self::new(high)]
    }
}

/// Returns at most 255 colours, and the index of each colour's representative. Up to 255 colours stay
/// exact; more are split, group by group, where the error is largest.
fn palette(frames: &[RgbImage]) -> (Vec<[u8; 3]>, HashMap<Rgb<u8>, u8>) {
    let mut counts = HashMap::new();
    for colour in frames.iter().flat_map(RgbImage::pixels) {
        *counts.entry(*colour).or_insert(0) += 1;
    }
    let mut colours: Vec<_> = counts.into_iter().collect();
    colours.sort_unstable_by_key(|(colour, _)| colour.0);
    let mut groups = vec![Group::new(colours)];
    while groups.len() < COLOURS {
        let worst = (0..groups.len())
            .max_by(|a, b| groups[*a].worst().total_cmp(&groups[*b].worst()))
            .filter(|index| groups[*index].colours.len() > 1);
        let Some(index) = worst else { break };
        let halves = groups.swap_remove(index).split();
        groups.extend(halves);
    }
    let index_of = groups
        .iter()
        .zip(0..)
        .flat_map(|(group, index)| group.colours.iter().map(move |(colour, _)| (*colour, index)))
        .collect();
    let palette = groups.iter().map(|group| group.mean.map(|value| value.round() as u8)).collect();
    (palette, index_of)
}
