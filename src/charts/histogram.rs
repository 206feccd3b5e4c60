//! Columns over a logarithmic axis, as a picture.

use plotters::prelude::*;

use super::scale::{Axis, Scale};
use super::words::{Side, Words, width};
use super::{FILL, GRID, INK, Labels, Picture, QUIET};

const WIDTH: i32 = 1200;
const HEIGHT: i32 = 640;
const TOP: i32 = 116;
const BOTTOM: i32 = 70;
const MARGIN: i32 = 24;
const SMALL: f32 = 13.0;
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

/// Draws columns, rising, and upright lines with labels over them; `of` stands over the axis of heights.
pub fn histogram(labels: Labels<'_>, of: &str, columns: &[Column], rules: &[(f64, String)]) -> Picture {
    let top = TOP + LINE * rules.len() as i32;
    let low = columns.first().map_or(1.0, |column| column.from);
    let high = columns.last().map_or(10.0, |column| column.to);
    let across = Axis::new("", Scale::Log, low, high);
    let up =
        Axis::from_zero("", Scale::Linear, columns.iter().map(|column| column.height).fold(0.0, f64::max));
    let y_ticks = up.ticks(6);
    let x_ticks = across.ticks(16);
    let left = MARGIN + y_ticks.iter().map(|tick| width(&tick.1, SMALL) as i32).max().unwrap_or(0) + 10;
    let (right, bottom) = (WIDTH - 2 * MARGIN, HEIGHT - BOTTOM);
    let x = |value: f64| left + (across.place(value) * f64::from(right - left)).round() as i32;
    let y = |value: f64| bottom - (up.place(value) * f64::from(bottom - top)).round() as i32;
    let rule_top = |row: usize| top - LINE * (rules.len() - row) as i32;

    let mut texts = labels.heading(WIDTH, MARGIN);
    let mut write = |text: &str, color: RGBColor, side: Side, at: (i32, i32)| {
        texts.push(Words { text: text.to_owned(), size: SMALL, color, side, at });
    };
    write(of, QUIET, Side::Start, (MARGIN, top - 18));
    write(labels.unit, QUIET, Side::End, (right, bottom + 44));
    for (value, label) in &y_ticks {
        write(label, QUIET, Side::End, (left - 8, y(*value)));
    }
    for (value, label) in &x_ticks {
        write(label, QUIET, Side::Middle, (x(*value), bottom + 17));
    }
    for (row, (value, label)) in rules.iter().enumerate() {
        let fits = x(*value) + (width(label, SMALL) as i32) + 12 < WIDTH;
        let (side, at) = if fits { (Side::Start, x(*value) + 6) } else { (Side::End, x(*value) - 6) };
        write(label, INK, side, (at, rule_top(row) + 6));
    }
    Picture::draw(
        (WIDTH as u32, HEIGHT as u32),
        |area| {
            for (value, _) in &y_ticks {
                area.draw(&PathElement::new([(left, y(*value)), (right, y(*value))], GRID))?;
            }
            for column in columns {
                let (start, end) = (x(column.from) + 1, (x(column.to) - 1).max(x(column.from) + 2));
                area.draw(&Rectangle::new([(start, y(column.height)), (end, bottom)], FILL.filled()))?;
            }
            area.draw(&PathElement::new([(left, bottom), (right, bottom)], QUIET))?;
            for (value, _) in &x_ticks {
                area.draw(&PathElement::new([(x(*value), bottom), (x(*value), bottom + 5)], QUIET))?;
            }
            for (row, (value, _)) in rules.iter().enumerate() {
                area.draw(&PathElement::new([(x(*value), rule_top(row)), (x(*value), bottom)], INK))?;
            }
            Ok(())
        },
        &texts,
    )
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
        assert_eq!((picture.width as i32, picture.height as i32), (WIDTH, HEIGHT));
        let filled = |x: i32| {
            let pixel = |y: i32| ((y * WIDTH + x) * 3) as usize;
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
