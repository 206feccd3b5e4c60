//! Charts with two axes as SVG for a page: its colours come from the page's style sheet, its texts stand in
//! the reader's fonts, and it is drawn twice, for wide pages and for narrow ones, so that texts keep their size.

use std::fmt::Write;

use super::markup::escaped;
use super::scale::Axis;

/// The drawing for narrow pages: class of the style sheet, width and height in pixels.
const NARROW: (&str, f64, f64) = ("narrow", 350.0, 290.0);
/// For wide pages, over the whole of a section.
const WIDE: (&str, f64, f64) = ("wide", 760.0, 320.0);
/// For wide pages, beside another one.
const HALF: (&str, f64, f64) = ("wide half", 540.0, 290.0);
/// The font size of all texts.
const FONT: f64 = 12.0;
/// The height of a line of text.
const LINE: f64 = 15.0;
/// Below the chart: ticks and the title of the axis.
const BOTTOM: f64 = 42.0;
/// Colours of the style sheet, `line1` and so on; one more line begins again.
const COLORS: usize = 8;

/// A chart.
#[derive(Debug, Clone, PartialEq)]
pub struct Plot {
    /// What it shows, for those who do not see it.
    pub about: String,
    /// From left to right.
    pub x: Axis,
    /// From bottom to top.
    pub y: Axis,
    /// What is drawn, later over earlier.
    pub marks: Vec<Mark>,
    /// Upright lines with a label each.
    pub rules: Vec<(f64, String)>,
}

/// Something drawn in a chart; colours are numbered from 0.
#[derive(Debug, Clone, PartialEq)]
pub enum Mark {
    /// A line through points, named at its end.
    Line {
        /// Its name, or nothing.
        name: String,
        /// Its colour.
        color: usize,
        /// Points, x rising.
        points: Vec<(f64, f64)>,
    },
    /// The same, filled down to the axis.
    Area {
        /// Its colour.
        color: usize,
        /// Points, x rising.
        points: Vec<(f64, f64)>,
    },
    /// Columns on the axis: from, to, height.
    Columns {
        /// Their colour.
        color: usize,
        /// Each with what a pointer is told of it.
        columns: Vec<(f64, f64, f64, String)>,
    },
    /// A point with its name beside it and intervals.
    Dot {
        /// Its name.
        name: String,
        /// Its colour.
        color: usize,
        /// Where it is.
        at: (f64, f64),
        /// From left to right.
        x_interval: Option<(f64, f64)>,
        /// From bottom to top.
        y_interval: Option<(f64, f64)>,
    },
}

impl Plot {
    /// The chart in two widths, of which a page shows one.
    pub fn svg(&self) -> String {
        self.drawn([WIDE, NARROW])
    }

    /// The same for a chart that stands beside another one.
    pub fn half(&self) -> String {
        self.drawn([HALF, NARROW])
    }

    fn drawn(&self, sizes: [(&str, f64, f64); 2]) -> String {
        sizes.iter().map(|&(class, width, height)| Drawing::new(self, width, height).svg(class)).collect()
    }
}

/// The width of a text in pixels, about; no font is at hand.
pub fn width(text: &str) -> f64 {
    let em = |c: char| match c {
        'i' | 'j' | 'l' | '.' | ',' | ':' | ' ' | '|' | 'I' | 'f' | 't' | 'r' => 0.34,
        'm' | 'w' | 'M' | 'W' | '%' => 0.9,
        'A'..='Z' => 0.7,
        '\u{1100}'.. => 1.05,
        _ => 0.59,
    };
    text.chars().map(em).sum::<f64>() * FONT
}

/// The same of a name, which is bold.
fn name_width(name: &str) -> f64 {
    width(name) * 1.16
}

/// A text that is cut where it would be wider than `most` pixels.
pub fn fitted(text: &str, most: f64) -> String {
    if width(text) <= most {
        return text.to_owned();
    }
    let mut kept = String::new();
    for c in text.chars() {
        kept.push(c);
        if width(&kept) > most - FONT {
            kept.pop();
            break;
        }
    }
    kept + "…"
}

/// One drawing of a plot: where its plane lies.
struct Drawing<'a> {
    plot: &'a Plot,
    width: f64,
    height: f64,
    left: f64,
    right: f64,
    top: f64,
    x_ticks: Vec<(f64, String)>,
    y_ticks: Vec<(f64, String)>,
}

/// A box that a text takes.
type Place = (f64, f64, f64, f64);

impl<'a> Drawing<'a> {
    fn new(plot: &'a Plot, width: f64, height: f64) -> Self {
        let y_ticks = plot.y.ticks(5);
        let widest =
            |texts: &[(f64, String)]| texts.iter().map(|tick| self::width(&tick.1)).fold(0.0, f64::max);
        let left = widest(&y_ticks) + 12.0;
        let names = plot.marks.iter().map(|mark| match mark {
            Mark::Line { name, .. } => name_width(name),
            _ => 0.0,
        });
        let room = width * 0.36;
        let names = names.fold(0.0, f64::max).min(room);
        let mut x_ticks = plot.x.ticks(((width - left) / 70.0) as usize);
        let fits = |ticks: &[(f64, String)]| widest(ticks) * 1.15 * (ticks.len() as f64) < width - left;
        while x_ticks.len() > 2 && !fits(&x_ticks) {
            let mut keep = false;
            x_ticks.retain(|_| {
                keep = !keep;
                keep
            });
        }
        // Half of the last tick hangs over the end of the axis.
        let overhang = x_ticks.last().map_or(0.0, |tick| self::width(&tick.1) / 2.0);
        let right = if names > 0.0 { names + 14.0 } else { overhang.max(10.0) };
        let title = if plot.y.title.is_empty() { 6.0 } else { LINE + 13.0 };
        let top = title + plot.rules.len() as f64 * LINE;
        Self { plot, width, height, left, right, top, x_ticks, y_ticks }
    }

    fn x(&self, value: f64) -> f64 {
        self.left + self.plot.x.place(value) * (self.width - self.left - self.right)
    }

    fn y(&self, value: f64) -> f64 {
        self.bottom() - self.plot.y.place(value) * (self.bottom() - self.top)
    }

    fn bottom(&self) -> f64 {
        self.height - BOTTOM
    }

    fn svg(&self, class: &str) -> String {
        let Self { width, height, .. } = self;
        let mut svg = format!(
            "<svg class=\"plot {class}\" viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\" aria-label=\"{}\">\n",
            escaped(&self.plot.about)
        );
        self.axes(&mut svg);
        for mark in &self.plot.marks {
            self.mark(mark, &mut svg);
        }
        self.rules(&mut svg);
        self.names(&mut svg);
        svg.push_str("</svg>\n");
        svg
    }

    fn axes(&self, svg: &mut String) {
        let (left, end, bottom) = (self.left, self.width - self.right, self.bottom());
        for (value, label) in &self.y_ticks {
            let y = self.y(*value);
            // Writing to a String cannot fail.
            let _ = write!(
                svg,
                "<path class=\"grid\" d=\"M{left:.1} {y:.1}H{end:.1}\"/><text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\n",
                left - 6.0,
                y + 4.0,
                escaped(label)
            );
        }
        for (value, label) in &self.x_ticks {
            let x = self.x(*value);
            let _ = write!(
                svg,
                "<path class=\"axis\" d=\"M{x:.1} {bottom:.1}v4\"/><text class=\"tick\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\n",
                bottom + 17.0,
                escaped(label)
            );
        }
        let _ = write!(
            svg,
            "<path class=\"axis\" d=\"M{left:.1} {bottom:.1}H{end:.1}\"/>\
             <text class=\"title\" x=\"{end:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\
             <text class=\"title\" x=\"2\" y=\"12\">{}</text>\n",
            bottom + 35.0,
            escaped(&fitted(&self.plot.x.title, end)),
            escaped(&fitted(&self.plot.y.title, self.width - 4.0))
        );
    }

    fn mark(&self, mark: &Mark, svg: &mut String) {
        match mark {
            Mark::Line { color, points, .. } => {
                let _ =
                    writeln!(svg, "<path class=\"line{}\" d=\"{}\"/>", color % COLORS + 1, self.path(points));
            }
            Mark::Area { color, points } => {
                let (Some(first), Some(last)) = (points.first(), points.last()) else { return };
                let (color, bottom) = (color % COLORS + 1, self.bottom());
                let path = self.path(points);
                let _ = writeln!(
                    svg,
                    "<path class=\"area{color}\" d=\"{path}L{:.1} {bottom:.1}L{:.1} {bottom:.1}z\"/><path class=\"line{color} solid\" d=\"{path}\"/>",
                    self.x(last.0),
                    self.x(first.0)
                );
            }
            Mark::Columns { color, columns } => {
                for (from, to, height, told) in columns {
                    let (start, end, top) = (self.x(*from), self.x(*to), self.y(*height));
                    let gap = ((end - start) * 0.08).min(1.5);
                    let _ = writeln!(
                        svg,
                        "<rect class=\"fill{}\" x=\"{:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{:.1}\"><title>{}</title></rect>",
                        color % COLORS + 1,
                        start + gap,
                        (end - start - 2.0 * gap).max(0.5),
                        (self.bottom() - top).max(0.0),
                        escaped(told)
                    );
                }
            }
            Mark::Dot { name, color, at, x_interval, y_interval } => {
                let (x, y, color) = (self.x(at.0), self.y(at.1), color % COLORS + 1);
                if let Some((low, high)) = x_interval {
                    let _ = write!(
                        svg,
                        "<path class=\"whisker{color}\" d=\"M{:.1} {y:.1}H{:.1}\"/>",
                        self.x(*low),
                        self.x(*high)
                    );
                }
                if let Some((low, high)) = y_interval {
                    let _ = write!(
                        svg,
                        "<path class=\"whisker{color}\" d=\"M{x:.1} {:.1}V{:.1}\"/>",
                        self.y(*low),
                        self.y(*high)
                    );
                }
                let _ = writeln!(
                    svg,
                    "<circle class=\"fill{color}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4.5\"><title>{}</title></circle>",
                    escaped(name)
                );
            }
        }
    }

    fn path(&self, points: &[(f64, f64)]) -> String {
        let mut path = String::new();
        for (place, &(x, y)) in points.iter().enumerate() {
            let letter = if place == 0 { 'M' } else { 'L' };
            let _ = write!(path, "{letter}{:.1} {:.1}", self.x(x), self.y(y));
        }
        path
    }

    /// Upright lines; each label has a line of its own above the plane.
    fn rules(&self, svg: &mut String) {
        let mut rules: Vec<&(f64, String)> = self.plot.rules.iter().collect();
        rules.sort_by(|a, b| a.0.total_cmp(&b.0));
        // All on one side where they fit: the first line reaches highest on the right, the last on the left.
        let to_right = rules.iter().all(|(value, label)| self.x(*value) + width(label) + 6.0 < self.width);
        if !to_right {
            rules.reverse();
        }
        for (row, (value, label)) in rules.into_iter().enumerate() {
            let x = self.x(*value);
            let top = self.top - (self.plot.rules.len() - row) as f64 * LINE;
            let fits_left = x - width(label) - 6.0 > 0.0;
            let (anchor, text_x) = if to_right || !fits_left { ("start", x + 4.0) } else { ("end", x - 4.0) };
            let _ = writeln!(
                svg,
                "<path class=\"rule\" d=\"M{x:.1} {:.1}V{:.1}\"/><text class=\"label\" x=\"{text_x:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{}</text>",
                top + 2.0,
                self.bottom(),
                top + 12.0,
                escaped(label)
            );
        }
    }

    /// Names at the ends of lines, moved apart, and beside dots, where nothing else stands.
    fn names(&self, svg: &mut String) {
        let mut ends: Vec<(f64, f64, usize, &str)> = Vec::new();
        let mut taken: Vec<Place> = Vec::new();
        for mark in &self.plot.marks {
            match mark {
                Mark::Line { name, color, points } if !name.is_empty() => {
                    let Some(&(x, y)) = points.last() else { continue };
                    ends.push((self.y(y), self.x(x), color % COLORS + 1, name));
                }
                Mark::Dot { at, x_interval, y_interval, .. } => {
                    let (x, y) = (self.x(at.0), self.y(at.1));
                    taken.push((x - 6.0, y - 6.0, x + 6.0, y + 6.0));
                    taken.extend(x_interval.map(|(low, high)| (self.x(low), y - 1.0, self.x(high), y + 1.0)));
                    taken.extend(y_interval.map(|(low, high)| (x - 1.0, self.y(high), x + 1.0, self.y(low))));
                }
                _ => {}
            }
        }
        ends.sort_by(|a, b| a.0.total_cmp(&b.0));
        let wanted: Vec<f64> = ends.iter().map(|end| end.0).collect();
        for ((_, x, color, name), y) in ends.iter().zip(apart(&wanted, self.top, self.bottom())) {
            let most = (self.right - 6.0) / 1.16;
            let _ = writeln!(
                svg,
                "<text class=\"name{color}\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                x.max(self.width - self.right) + 6.0,
                y + 4.0,
                escaped(&fitted(name, most))
            );
        }
        for mark in &self.plot.marks {
            let Mark::Dot { name, color, at, x_interval, y_interval } = mark else { continue };
            if name.is_empty() {
                continue;
            }
            let (x, y, wide) = (self.x(at.0), self.y(at.1), name_width(name));
            // Beside the intervals, not over them.
            let (left, right) = x_interval.map_or((x, x), |(low, high)| (self.x(low), self.x(high)));
            let (high, low) = y_interval.map_or((y, y), |(low, high)| (self.y(high), self.y(low)));
            let box_at = |left: f64, middle: f64| (left, middle - 7.0, left + wide, middle + 7.0);
            let places = [
                box_at(right.max(x + 3.0) + 5.0, y),
                box_at(left.min(x - 3.0) - 5.0 - wide, y),
                box_at(x - wide / 2.0, high.min(y - 4.0) - 10.0),
                box_at(x - wide / 2.0, low.max(y + 4.0) + 10.0),
                box_at(x + 5.0, y - 12.0),
                box_at(x + 5.0, y + 12.0),
                box_at(x - 5.0 - wide, y - 12.0),
                box_at(x - 5.0 - wide, y + 12.0),
            ];
            let inside = |place: &&Place| {
                place.0 >= self.left && place.2 <= self.width && place.1 >= 14.0 && place.3 <= self.bottom()
            };
            let free = |place: &&Place| !taken.iter().any(|other| touch(place, other));
            let place =
                places.iter().filter(inside).find(free).or(places.iter().find(inside)).unwrap_or(&places[0]);
            taken.push(*place);
            let _ = writeln!(
                svg,
                "<text class=\"name{}\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                color % COLORS + 1,
                place.0,
                place.1 + 11.0,
                escaped(name)
            );
        }
    }
}

fn touch(a: &Place, b: &Place) -> bool {
    a.0 < b.2 && b.0 < a.2 && a.1 < b.3 && b.1 < a.3
}

/// Rising places as near to the wanted ones as a line's height between them allows.
fn apart(wanted: &[f64], top: f64, bottom: f64) -> Vec<f64> {
    let mut places = wanted.to_vec();
    for index in 1..places.len() {
        places[index] = places[index].max(places[index - 1] + LINE);
    }
    // What was pushed over the end pushes back.
    let mut limit = bottom;
    for place in places.iter_mut().rev() {
        *place = place.min(limit);
        limit = *place - LINE;
    }
    if places.first().is_some_and(|&first| first < top) && places.len() as f64 * LINE <= bottom - top {
        places[0] = top;
        for index in 1..places.len() {
            places[index] = places[index].max(places[index - 1] + LINE);
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use super::super::scale::Scale;
    use super::*;

    fn plot(marks: Vec<Mark>) -> Plot {
        Plot {
            about: "a <chart>".to_owned(),
            x: Axis::new("x", Scale::Linear, 0.0, 10.0),
            y: Axis::new("y", Scale::Linear, 0.0, 1.0),
            marks,
            rules: vec![(5.0, "half".to_owned())],
        }
    }

    #[test]
    fn points_lie_where_the_ticks_say() {
        let line = Mark::Line { name: String::new(), color: 0, points: vec![(0.0, 0.0), (10.0, 1.0)] };
        let plot = plot(vec![line]);
        let drawing = Drawing::new(&plot, 700.0, 300.0);
        let tick =
            |ticks: &[(f64, String)], label: &str| ticks.iter().find(|tick| tick.1 == label).unwrap().0;
        assert_eq!(drawing.x(tick(&drawing.x_ticks, "0")), drawing.left);
        assert_eq!(drawing.y(tick(&drawing.y_ticks, "0.0")), 300.0 - BOTTOM);
        assert_eq!(drawing.y(tick(&drawing.y_ticks, "1.0")), drawing.top);
        let svg = plot.svg();
        assert_eq!(svg.matches("<svg").count(), 2);
        assert!(svg.contains("a &lt;chart&gt;") && svg.contains(">half</text>"), "{svg}");
    }

    #[test]
    fn names_at_the_ends_of_lines_never_touch() {
        let lines = (0..6).map(|line| Mark::Line {
            name: format!("model {line}"),
            color: line,
            points: vec![(0.0, 0.5), (10.0, 0.5 + line as f64 * 0.001)],
        });
        let svg = Drawing::new(&plot(lines.collect()), 700.0, 300.0).svg("wide");
        let mut places: Vec<f64> = (svg.lines().filter(|line| line.contains("class=\"name")))
            .map(|line| line.split(" y=\"").nth(1).unwrap().split('"').next().unwrap().parse().unwrap())
            .collect();
        places.sort_by(f64::total_cmp);
        assert_eq!(places.len(), 6);
        assert!(places.windows(2).all(|pair| pair[1] - pair[0] >= LINE - 0.11), "{places:?}");
        assert_eq!(apart(&[95.0, 96.0], 0.0, 100.0), [85.0, 100.0]);
        assert_eq!(apart(&[1.0, 1.0, 1.0], 0.0, 100.0), [1.0, 16.0, 31.0]);
    }

    #[test]
    fn names_of_dots_keep_out_of_each_others_way() {
        let dot = |name: &str, x: f64| Mark::Dot {
            name: name.to_owned(),
            color: 0,
            at: (x, 0.5),
            x_interval: None,
            y_interval: None,
        };
        let svg = Drawing::new(&plot(vec![dot("one", 5.0), dot("two", 5.2)]), 700.0, 300.0).svg("wide");
        let places: Vec<&str> = svg.lines().filter(|line| line.contains("class=\"name1")).collect();
        assert_eq!(places.len(), 2, "{svg}");
        let y = |line: &str| line.split(" y=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        let x = |line: &str| line.split(" x=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        assert!(y(places[0]) != y(places[1]) || x(places[0]) != x(places[1]), "{places:?}");
    }

    #[test]
    fn a_long_name_is_cut() {
        let cut = fitted("a name that is much too long for this", 80.0);
        assert!(cut.ends_with('…') && width(&cut) <= 80.0, "{cut}");
    }
}
