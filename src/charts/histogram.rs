//! Columns over a logarithmic axis, as a picture.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::scale::{Axis, Scale};
use super::{FILL, GRID, INK, Labels, Picture, QUIET, load_font, text, width};

const WIDTH: u32 = 1200;
const HEIGHT: u32 = 640;
const TOP: i32 = 130;
const BOTTOM: i32 = 70;
const MARGIN: i32 = 24;
const SMALL: i32 = 15;
const LINE: i32 = 20;

/// A column: the values from `from` up to, not including, `to`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Column {
    /// Where it begins, above 0.
    pub from: f64,
    /// Where it ends.
    pub to: f64,
    /// How tall it is, at least 0.
    pub height: f64,
}

/// Draws columns, rising, and upright lines with labels over them; `unit` stands below, `of` beside the axis of
/// heights.
pub fn histogram(labels: Labels<'_>, of: &str, columns: &[Column], rules: &[(f64, String)]) -> Picture {
    load_font();
    let mut rgb = vec![255; (WIDTH * HEIGHT * 3) as usize];
    {
        let area = BitMapBackend::with_buffer(&mut rgb, (WIDTH, HEIGHT)).into_drawing_area();
        draw(&area, labels, of, columns, rules).expect("drawing into memory cannot fail");
    }
    Picture { width: WIDTH, height: HEIGHT, rgb }
}

fn draw<B: DrawingBackend>(
    area: &DrawingArea<B, plotters::coord::Shift>,
    labels: Labels<'_>,
    of: &str,
    columns: &[Column],
    rules: &[(f64, String)],
) -> Result<(), DrawingAreaErrorKind<B::ErrorType>> {
    let write = |words: &str, style: TextStyle<'static>, at: (i32, i32)| {
        area.draw(&Text::new(words.to_owned(), at, style))
    };
    write(labels.title, text(28, INK, HPos::Left, VPos::Top), (MARGIN, 20))?;
    write(labels.subtitle, text(16, QUIET, HPos::Left, VPos::Top), (MARGIN, 56))?;
    let top = TOP + LINE * rules.len() as i32;
    write(of, text(SMALL, QUIET, HPos::Left, VPos::Top), (MARGIN, top - 28))?;

    let low = columns.first().map_or(1.0, |column| column.from);
    let high = columns.last().map_or(10.0, |column| column.to);
    let across = Axis::new("", Scale::Log, low, high);
    let up =
        Axis::from_zero("", Scale::Linear, columns.iter().map(|column| column.height).fold(0.0, f64::max));
    let y_ticks = up.ticks(6);
    let left = MARGIN + y_ticks.iter().map(|tick| width(&tick.1, SMALL)).max().unwrap_or(0) + 10;
    let (right, bottom) = (WIDTH as i32 - 2 * MARGIN, HEIGHT as i32 - BOTTOM);
    let x = |value: f64| left + (across.place(value) * f64::from(right - left)).round() as i32;
    let y = |value: f64| bottom - (up.place(value) * f64::from(bottom - top)).round() as i32;
    for (value, label) in &y_ticks {
        area.draw(&PathElement::new([(left, y(*value)), (right, y(*value))], GRID))?;
        write(label, text(SMALL, QUIET, HPos::Right, VPos::Center), (left - 8, y(*value)))?;
    }
    for column in columns {
        let (start, end) = (x(column.from) + 1, (x(column.to) - 1).max(x(column.from) + 2));
        area.draw(&Rectangle::new([(start, y(column.height)), (end, bottom)], FILL.filled()))?;
    }
    area.draw(&PathElement::new([(left, bottom), (right, bottom)], QUIET))?;
    for (value, label) in across.ticks(16) {
        area.draw(&PathElement::new([(x(value), bottom), (x(value), bottom + 5)], QUIET))?;
        write(&label, text(SMALL, QUIET, HPos::Center, VPos::Top), (x(value), bottom + 10))?;
    }
    write(labels.unit, text(SMALL, QUIET, HPos::Right, VPos::Top), (right, bottom + 36))?;
    for (row, (value, label)) in rules.iter().enumerate() {
        let line = top - LINE * (rules.len() - row) as i32;
        area.draw(&PathElement::new([(x(*value), line), (x(*value), bottom)], INK))?;
        let (side, at) = if x(*value) + width(label, SMALL) + 12 < WIDTH as i32 {
            (HPos::Left, x(*value) + 6)
        } else {
            (HPos::Right, x(*value) - 6)
        };
        write(label, text(SMALL, INK, side, VPos::Top), (at, line - 2))?;
    }
    area.present()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taller_columns_color_more_pixels() {
        let columns =
            [Column { from: 1.0, to: 10.0, height: 50.0 }, Column { from: 10.0, to: 100.0, height: 100.0 }];
        let labels = Labels { title: "t", subtitle: "s", unit: "u" };
        let picture = histogram(labels, "users", &columns, &[(10.0, "median 10".to_owned())]);
        assert_eq!((picture.width, picture.height), (WIDTH, HEIGHT));
        let filled = |x: u32| {
            let pixel = |y: u32| ((y * WIDTH + x) * 3) as usize;
            (0..HEIGHT).filter(|&y| picture.rgb[pixel(y)..pixel(y) + 3] == [FILL.0, FILL.1, FILL.2]).count()
        };
        let (short, tall) = (filled(WIDTH / 4), filled(WIDTH * 3 / 4));
        assert!(tall > 300 && tall.abs_diff(2 * short) < 4, "{short} {tall}");
    }

    #[test]
    fn no_columns_are_an_empty_picture() {
        let picture = histogram(Labels { title: "t", subtitle: "", unit: "" }, "", &[], &[]);
        assert!(picture.rgb.iter().any(|&byte| byte != 255));
    }
}
