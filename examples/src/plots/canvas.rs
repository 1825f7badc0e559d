//! A canvas: everything is drawn large and then reduced, so edges are smooth.

use std::sync::Once;

use image::{RgbImage, imageops};
use plotters::backend::{BitMapBackend, DrawingBackend};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontDesc, FontFamily, FontStyle, RGBColor, TextStyle, register_font};

use super::palette::PAPER;

/// The factor by which everything is drawn larger.
const ENLARGED: u32 = 4;
const FAMILY: &str = "DejaVu Sans";
/// plotters measures type from ascender to descender; in DejaVu Sans that is 1.164 em.
const EM: f64 = 1.164;

/// The alignment of text to its position.
#[derive(Clone, Copy, Debug)]
pub(super) enum Align {
    Left,
    Centre,
    Right,
}

/// The style of text; the size is in pixels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Type {
    pub(super) size: f64,
    pub(super) bold: bool,
    pub(super) colour: RGBColor,
}

impl Type {
    fn style(&self, align: Align) -> TextStyle<'static> {
        let weight = if self.bold { FontStyle::Bold } else { FontStyle::Normal };
        let size = self.size * EM * f64::from(ENLARGED);
        let h_pos = match align {
            Align::Left => HPos::Left,
            Align::Centre => HPos::Center,
            Align::Right => HPos::Right,
        };
        FontDesc::new(FontFamily::Name(FAMILY), size, weight)
            .color(&self.colour)
            .pos(Pos { h_pos, v_pos: VPos::Top })
    }
}

/// A white canvas, measured in pixels of the finished picture.
pub(super) struct Canvas {
    size: (u32, u32),
    pixels: Vec<u8>,
}

impl Canvas {
    pub(super) fn new(width: u32, height: u32) -> Self {
        static FONTS: Once = Once::new();
        FONTS.call_once(|| {
            let fonts = [
                (FontStyle::Normal, dejavu::sans::regular()),
                (FontStyle::Bold, dejavu::sans::bold()),
            ];
            for (style, bytes) in fonts {
                if register_font(FAMILY, style, bytes).is_err() {
                    unreachable!("DejaVu Sans is a font");
                }
            }
        });
        let size = (width * ENLARGED, height * ENLARGED);
        Self { size, pixels: vec![PAPER.0; (size.0 * size.1 * 3) as usize] }
    }

    /// Returns the picture in its true size.
    pub(super) fn finish(self) -> RgbImage {
        let (width, height) = self.size;
        let large = RgbImage::from_raw(width, height, self.pixels).expect("made to measure");
        imageops::thumbnail(&large, width / ENLARGED, height / ENLARGED)
    }

    /// Draws a filled disc; `opacity` 1 covers everything below.
    pub(super) fn disc(&mut self, at: (f64, f64), radius: f64, colour: RGBColor, opacity: f64) {
        let radius = (radius * f64::from(ENLARGED)).round() as u32;
        self.draw(|sheet| {
            sheet.draw_circle(enlarge(at), radius, &colour.mix(opacity).to_backend_color(), true)
        });
    }

    /// Draws a straight line with round ends.
    pub(super) fn line(&mut self, from: (f64, f64), to: (f64, f64), width: f64, colour: RGBColor) {
        let half = width / 2.0;
        let (dx, dy) = (to.0 - from.0, to.1 - from.1);
        let length = dx.hypot(dy);
        self.disc(from, half, colour, 1.0);
        if length > 0.0 {
            let (nx, ny) = (-dy / length * half, dx / length * half);
            self.polygon(
                &[
                    (from.0 + nx, from.1 + ny),
                    (to.0 + nx, to.1 + ny),
                    (to.0 - nx, to.1 - ny),
                    (from.0 - nx, from.1 - ny),
                ],
                colour,
            );
            self.disc(to, half, colour, 1.0);
        }
    }

    pub(super) fn polygon(&mut self, corners: &[(f64, f64)], colour: RGBColor) {
        let corners: Vec<_> = corners.iter().copied().map(enlarge).collect();
        self.draw(|sheet| sheet.fill_polygon(corners, &colour.to_backend_color()));
    }

    /// Draws a filled rectangle from its upper left to its lower right corner.
    pub(super) fn rectangle(&mut self, corner: (f64, f64), opposite: (f64, f64), colour: RGBColor) {
        self.draw(|sheet| {
            sheet.draw_rect(enlarge(corner), enlarge(opposite), &colour.to_backend_color(), true)
        });
    }

    /// Draws the outline of a rectangle, one pixel wide.
    pub(super) fn frame(&mut self, corner: (f64, f64), opposite: (f64, f64), colour: RGBColor) {
        for (from, to) in [
            (corner, (opposite.0, corner.1)),
            ((opposite.0, corner.1), opposite),
            (opposite, (corner.0, opposite.1)),
            ((corner.0, opposite.1), corner),
        ] {
            self.line(from, to, 1.0, colour);
        }
    }

    /// Draws text whose baseline is at `at.1`.
    pub(super) fn text(&mut self, text: &str, at: (f64, f64), align: Align, look: Type) {
        let style = look.style(align);
        // plotters puts the baseline half a size below the top.
        let top = (at.0, at.1 - look.size * EM / 2.0);
        self.draw(|sheet| sheet.draw_text(text, &style, enlarge(top)));
    }

    pub(super) fn text_width(&mut self, text: &str, look: Type) -> f64 {
        let style = look.style(Align::Left);
        let mut width = 0;
        self.draw(|sheet| sheet.estimate_text_size(text, &style).map(|size| width = size.0));
        f64::from(width) / f64::from(ENLARGED)
    }

    fn draw<E: std::fmt::Debug>(
        &mut self,
        draw: impl FnOnce(&mut BitMapBackend<'_>) -> Result<(), E>,
    ) {
        let mut sheet = BitMapBackend::with_buffer(&mut self.pixels, self.size);
        draw(&mut sheet).expect("drawing in memory, with a registered font, cannot fail");
    }
}

fn enlarge(at: (f64, f64)) -> (i32, i32) {
    let enlarge = |value: f64| (value * f64::from(ENLARGED)).round() as i32;
    (enlarge(at.0), enlarge(at.1))
}
