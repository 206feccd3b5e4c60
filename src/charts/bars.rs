//! Horizontal bars with a name on the left and a value at the end, longest first.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::{FONT, Picture, load_font};

const WIDTH: u32 = 1200;
const ROW: u32 = 30;
const BAR: i32 = 20;
const TOP: u32 = 92;
const BOTTOM: u32 = 52;
const LEFT: i32 = 300;
const RIGHT: i32 = 100;

const INK: RGBColor = RGBColor(38, 43, 51);
const QUIET: RGBColor = RGBColor(115, 122, 133);
const GRID: RGBColor = RGBColor(228, 231, 236);
const FILL: RGBColor = RGBColor(47, 111, 187);

/// The texts around the bars.
#[derive(Debug, Clone, Copy)]
pub struct Labels<'a> {
    /// Large, on top.
    pub title: &'a str,
    /// Small, below the title.
    pub subtitle: &'a str,
    /// Below the axis.
    pub unit: &'a str,
}

/// Draws `bars` in the order given; values are at least 0.
pub fn bars(labels: Labels<'_>, bars: &[(String, f64)]) -> Picture {
    load_font();
    let height = TOP + BOTTOM + ROW * bars.len().max(1) as u32;
    let mut rgb = vec![255; (WIDTH * height * 3) as usize];
    {
        let area = BitMapBackend::with_buffer(&mut rgb, (WIDTH, height)).into_drawing_area();
        draw(&area, labels, bars, height as i32).expect("drawing into memory cannot fail");
    }
    Picture { width: WIDTH, height, rgb }
}

fn draw<B: DrawingBackend>(
    area: &DrawingArea<B, plotters::coord::Shift>,
    labels: Labels<'_>,
    bars: &[(String, f64)],
    height: i32,
) -> Result<(), DrawingAreaErrorKind<B::ErrorType>> {
    let text = |size: i32, color: RGBColor, horizontal: HPos, vertical: VPos| -> TextStyle<'static> {
        TextStyle {
            font: (FONT, size).into_font(),
            color: color.to_backend_color(),
            pos: Pos::new(horizontal, vertical),
        }
    };
    let write = |words: &str, style: TextStyle<'static>, at: (i32, i32)| {
        area.draw(&Text::new(words.to_owned(), at, style))
    };
    write(labels.title, text(28, INK, HPos::Left, VPos::Top), (24, 20))?;
    write(labels.subtitle, text(16, QUIET, HPos::Left, VPos::Top), (24, 56))?;

    let (top, bottom) = (TOP as i32, height - BOTTOM as i32);
    let largest = bars.iter().map(|bar| bar.1).fold(0.0, f64::max);
    let step = tick_step(largest);
    let ticks = (largest / step).ceil().max(1.0);
    let scale = f64::from(WIDTH as i32 - LEFT - RIGHT) / (ticks * step);
    let x = |value: f64| LEFT + (value * scale).round() as i32;
    for tick in 0..=ticks as i32 {
        let value = f64::from(tick) * step;
        area.draw(&PathElement::new([(x(value), top), (x(value), bottom)], GRID))?;
        write(&number(value, step), text(15, QUIET, HPos::Center, VPos::Top), (x(value), bottom + 6))?;
    }
    write(labels.unit, text(15, QUIET, HPos::Center, VPos::Top), (x(ticks * step / 2.0), bottom + 27))?;

    for (row, (name, value)) in bars.iter().enumerate() {
        let middle = top + row as i32 * ROW as i32 + ROW as i32 / 2;
        let bar = [(LEFT, middle - BAR / 2), (x(*value).max(LEFT + 1), middle + BAR / 2)];
        area.draw(&Rectangle::new(bar, FILL.filled()))?;
        write(name, text(17, INK, HPos::Right, VPos::Center), (LEFT - 12, middle))?;
        write(&format!("{value:.2}"), text(15, INK, HPos::Left, VPos::Center), (x(*value) + 8, middle))?;
    }
    area.present()
}

/// A round distance between ticks: 1, 2 or 5 times a power of ten, four to nine ticks in all.
fn tick_step(largest: f64) -> f64 {
    if largest <= 0.0 {
        return 1.0;
    }
    let power = 10f64.powf((largest / 5.0).log10().floor());
    let wanted = largest / 5.0 / power;
    power
        * if wanted <= 1.0 {
            1.0
        } else if wanted <= 2.0 {
            2.0
        } else if wanted <= 5.0 {
            5.0
        } else {
            10.0
        }
}

fn number(value: f64, step: f64) -> String {
    let decimals = (-step.log10().floor()).max(0.0) as usize;
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longer_bars_color_more_pixels() {
        let labels = Labels { title: "t", subtitle: "s", unit: "%" };
        let picture = bars(labels, &[("long".to_owned(), 10.0), ("short".to_owned(), 2.5)]);
        assert_eq!(picture.rgb.len(), (picture.width * picture.height * 3) as usize);
        let filled = |row: u32| {
            let start = ((TOP + ROW * row + ROW / 2) * WIDTH * 3) as usize;
            let line = &picture.rgb[start..start + WIDTH as usize * 3];
            line.chunks(3).filter(|pixel| *pixel == [FILL.0, FILL.1, FILL.2]).count()
        };
        assert!(filled(0).abs_diff(4 * filled(1)) < 8, "{} {}", filled(0), filled(1));
    }

    #[test]
    fn no_bars_are_an_empty_picture() {
        let picture = bars(Labels { title: "t", subtitle: "", unit: "" }, &[]);
        assert!(picture.rgb.iter().any(|&byte| byte != 255));
    }

    #[test]
    fn ticks_are_round_numbers() {
        assert_eq!([37.0, 4.1, 0.03].map(tick_step), [10.0, 1.0, 0.01]);
        assert_eq!(number(0.02, 0.01), "0.02");
    }
}
