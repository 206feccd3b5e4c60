//! Horizontal bars with a name on the left and a value at the end, longest first.

use plotters::prelude::*;

use super::scale::{Axis, Scale};
use super::words::{Side, Words, fitted, width};
use super::{FILL, GRID, INK, Labels, Picture, QUIET};

const WIDTH: i32 = 1200;
const ROW: i32 = 30;
const BAR: i32 = 20;
const TOP: i32 = 92;
const BOTTOM: i32 = 52;
const MARGIN: i32 = 24;
const NAME: f32 = 14.5;
const SMALL: f32 = 13.0;
/// The widest name; longer ones are cut.
const WIDEST: f32 = 520.0;

/// One bar.
#[derive(Debug, Clone, PartialEq)]
pub struct Bar {
    /// On its left.
    pub name: String,
    /// Its length, at least 0.
    pub value: f64,
    /// At its end.
    pub label: String,
}

/// Draws `bars` in the order given.
pub fn bars(labels: Labels<'_>, bars: &[Bar]) -> Picture {
    let names: Vec<String> = bars.iter().map(|bar| fitted(&bar.name, NAME, WIDEST)).collect();
    let widest = names.iter().map(|name| width(name, NAME) as i32).max().unwrap_or(0).max(120);
    let left = MARGIN + widest + 12;
    let right =
        bars.iter().map(|bar| width(&bar.label, SMALL) as i32).max().unwrap_or(0).max(60) + MARGIN + 8;
    let height = TOP + BOTTOM + ROW * bars.len().max(1) as i32;
    let bottom = height - BOTTOM;
    let axis = Axis::from_zero("", Scale::Linear, bars.iter().map(|bar| bar.value).fold(0.0, f64::max));
    let x = |value: f64| left + (axis.place(value) * f64::from(WIDTH - left - right)).round() as i32;
    let row = |place: usize| TOP + place as i32 * ROW + ROW / 2;
    let end = |bar: &Bar| x(bar.value).max(left + 1);

    let mut texts = labels.heading(WIDTH, MARGIN);
    let mut write = |text: &str, size: f32, color: RGBColor, side: Side, at: (i32, i32)| {
        texts.push(Words { text: text.to_owned(), size, color, side, at });
    };
    for (value, label) in axis.ticks(6) {
        write(&label, SMALL, QUIET, Side::Middle, (x(value), bottom + 14));
    }
    write(labels.unit, SMALL, QUIET, Side::Middle, (i32::midpoint(x(0.0), x(axis.high)), bottom + 35));
    for ((place, bar), name) in bars.iter().enumerate().zip(&names) {
        write(name, NAME, INK, Side::End, (left - 12, row(place)));
        write(&bar.label, SMALL, INK, Side::Start, (end(bar) + 8, row(place)));
    }
    Picture::draw(
        (WIDTH as u32, height as u32),
        |area| {
            for (value, _) in axis.ticks(6) {
                area.draw(&PathElement::new([(x(value), TOP), (x(value), bottom)], GRID))?;
            }
            for (place, bar) in bars.iter().enumerate() {
                let corners = [(left, row(place) - BAR / 2), (end(bar), row(place) + BAR / 2)];
                area.draw(&Rectangle::new(corners, FILL.filled()))?;
            }
            Ok(())
        },
        &texts,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(name: &str, value: f64) -> Bar {
        Bar { name: name.to_owned(), value, label: format!("{value:.1}") }
    }

    #[test]
    fn longer_bars_color_more_pixels() {
        let labels = Labels { title: "t", subtitle: "s", unit: "%" };
        let picture = bars(labels, &[bar("long", 10.0), bar(&"very long name ".repeat(20), 2.5)]);
        assert_eq!(picture.rgb.len(), (picture.width * picture.height * 3) as usize);
        let filled = |row: i32| {
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
}
