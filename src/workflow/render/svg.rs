//! A plan as an SVG picture for a README: rounded boxes in layers, light or dark as its reader is.

use std::fmt::Write;
use std::time::Duration;

use super::StepState;
use super::colors::{class, style};
use super::edges::{direct, reduce};
use super::layout::{BOX_HEIGHT, Layout, Line, layout};
use super::text::{escaped, fitted, width};
use crate::workflow::lineage::Ancestor;
use crate::workflow::plan::Plan;
use crate::workflow::units::seconds;

/// Around everything.
const MARGIN: f64 = 12.0;
/// Left and right of the text in a box.
const PADDING: f64 = 14.0;
/// Font sizes of the name and of the line below it.
const NAME: f64 = 13.0;
const MORE: f64 = 11.0;
/// Bold text is wider.
const BOLD: f64 = 1.08;
/// The narrowest and the widest box.
const BOX_WIDTH: (f64, f64) = (96.0, 250.0);
/// Between the ends of two lines at one box, where there is room.
const LINE_GAP: f64 = 13.0;
/// A line that is nearly upright is drawn upright.
const NEARLY: f64 = 9.0;
/// The arrow at the end of a line.
const HEAD: f64 = 7.0;
/// Height of the line that explains the colours.
const LEGEND: f64 = 34.0;

/// The plan as an SVG picture; with the state of each step, by position, when they are given.
pub fn svg(plan: &Plan, states: Option<&[StepState]>) -> String {
    let texts = plan.steps.iter().enumerate().map(|(position, step)| {
        let state = states.and_then(|states| states.get(position));
        Texts::new(&step.name, step.kind.name, step.kind.service, state)
    });
    picture(&plan.name, &texts.collect::<Vec<_>>(), &direct(plan), &states.map(legend).unwrap_or_default())
}

/// The steps that a step comes from as an SVG picture, with how long each took; `title` is its name for
/// those who do not see it.
pub fn lineage(title: &str, steps: &[Ancestor]) -> String {
    let texts = steps.iter().map(|step| {
        let seconds = step.made.as_ref().map(|made| made.seconds);
        let state = StepState { state: String::new(), reason: String::new(), seconds };
        Texts::new(&step.name, &step.kind, false, Some(&state))
    });
    let parents: Vec<&[usize]> = steps.iter().map(|step| step.after.as_slice()).collect();
    picture(title, &texts.collect::<Vec<_>>(), &reduce(&parents), "")
}

fn picture(title: &str, texts: &[Texts], parents: &[Vec<usize>], legend: &str) -> String {
    let widths: Vec<f64> = texts.iter().map(|texts| texts.width).collect();
    let layout = layout(&widths, parents);
    let legend_height = if legend.is_empty() { 0.0 } else { LEGEND };
    let (wide, high) = (layout.width + 2.0 * MARGIN, layout.height + 2.0 * MARGIN + legend_height);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{wide:.0}\" height=\"{high:.0}\" \
         viewBox=\"{0} {0} {wide:.0} {high:.0}\" role=\"img\">\n<title>{1}</title>\n<style>{2}</style>\n\
         <defs><marker id=\"head\" viewBox=\"0 0 8 8\" refX=\"1\" refY=\"4\" markerWidth=\"{HEAD}\" \
         markerHeight=\"{HEAD}\" markerUnits=\"userSpaceOnUse\" orient=\"auto\">\
         <path class=\"head\" d=\"M0 0.5 8 4 0 7.5z\"/></marker></defs>\n",
        -MARGIN,
        escaped(title),
        style(),
    );
    let ends = Ends::new(&layout);
    for (index, line) in layout.lines.iter().enumerate() {
        let path = path(&layout, line, ends.start[index], ends.end[index]);
        let (from, to) = (line.nodes[0], line.nodes[line.nodes.len() - 1]);
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "<path class=\"edge\" data-from=\"{from}\" data-to=\"{to}\" d=\"{path}\" marker-end=\"url(#head)\"/>"
        );
    }
    for (position, texts) in texts.iter().enumerate() {
        let node = &layout.nodes[position];
        texts.draw(position, node.x - node.width / 2.0, node.top(), &mut text);
    }
    if !legend.is_empty() {
        let _ =
            writeln!(text, "<g transform=\"translate(0 {:.1})\">{legend}</g>", layout.height + LEGEND - 8.0);
    }
    text.push_str("</svg>\n");
    text
}

/// What stands in a box, and how it looks.
struct Texts {
    name: String,
    more: String,
    tip: String,
    classes: String,
    width: f64,
}

impl Texts {
    fn new(name: &str, kind: &str, service: bool, state: Option<&StepState>) -> Self {
        let mut more = kind.to_owned();
        let mut tip = format!("{name} ({kind})");
        if let Some(StepState { state, reason, seconds: took }) = state {
            if !state.is_empty() {
                let _ = write!(more, " · {state}");
                let _ = write!(tip, ": {state}");
            }
            if !reason.is_empty() {
                let _ = write!(tip, ", {reason}");
            }
            if let Some(took) = took.and_then(|took| Duration::try_from_secs_f64(took).ok()) {
                let _ = write!(more, " · {}", seconds(took));
            }
        }
        let classes =
            ["step", state.map_or("", |state| class(&state.state)), if service { "service" } else { "" }];
        let classes: Vec<&str> = classes.into_iter().filter(|class| !class.is_empty()).collect();
        let most = BOX_WIDTH.1 - 2.0 * PADDING;
        let (name, more) = (fitted(name, NAME * BOLD, most), fitted(&more, MORE, most));
        let widest = (width(&name, NAME) * BOLD).max(width(&more, MORE));
        Self {
            name,
            more,
            tip,
            classes: classes.join(" "),
            width: (widest + 2.0 * PADDING).max(BOX_WIDTH.0).ceil(),
        }
    }

    fn draw(&self, position: usize, left: f64, top: f64, text: &mut String) {
        let Self { name, more, tip, classes, width } = self;
        let middle = left + width / 2.0;
        let _ = writeln!(
            text,
            "<g class=\"{classes}\" data-step=\"{position}\"><title>{}</title>\
             <rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{BOX_HEIGHT}\" rx=\"9\"/>\
             <text class=\"name\" x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\
             <text class=\"more\" x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text></g>",
            escaped(tip),
            top + 20.0,
            escaped(name),
            top + 36.0,
            escaped(more)
        );
    }
}

/// Where lines leave and reach boxes: beside each other, in the order of where they come from and go.
struct Ends {
    start: Vec<f64>,
    end: Vec<f64>,
}

impl Ends {
    fn new(layout: &Layout) -> Self {
        let n = layout.lines.len();
        let mut leaving: Vec<Vec<(f64, usize)>> = vec![Vec::new(); layout.nodes.len()];
        let mut reaching = leaving.clone();
        for (index, line) in layout.lines.iter().enumerate() {
            let [first, second] = [line.nodes[0], line.nodes[1]];
            let [before, last] = [line.nodes[line.nodes.len() - 2], line.nodes[line.nodes.len() - 1]];
            leaving[first].push((layout.nodes[second].x, index));
            reaching[last].push((layout.nodes[before].x, index));
        }
        let spread = |at: Vec<Vec<(f64, usize)>>| {
            let mut places = vec![0.0; n];
            for (node, mut lines) in layout.nodes.iter().zip(at) {
                lines.sort_by(|a, b| a.0.total_cmp(&b.0));
                let between = lines.len().saturating_sub(1) as f64;
                let gap =
                    if between > 0.0 { ((node.width - 2.0 * PADDING) / between).min(LINE_GAP) } else { 0.0 };
                for (index, (_, line)) in lines.into_iter().enumerate() {
                    places[line] = node.x + (index as f64 - between / 2.0) * gap;
                }
            }
            places
        };
        let (mut start, mut end) = (spread(leaving), spread(reaching));
        for (index, line) in layout.lines.iter().enumerate() {
            if line.nodes.len() == 2 && (start[index] - end[index]).abs() < NEARLY {
                let middle = f64::midpoint(start[index], end[index]);
                (start[index], end[index]) = (middle, middle);
            }
        }
        Self { start, end }
    }
}

/// A line: curves between the layers, upright where it passes one.
fn path(layout: &Layout, line: &Line, start: f64, end: f64) -> String {
    let nodes = line.nodes.iter().map(|&node| &layout.nodes[node]);
    let last = line.nodes.len() - 1;
    let mut path = String::new();
    let (mut x, mut y) = (start, 0.0);
    for (index, node) in nodes.enumerate() {
        if index == 0 {
            y = node.top() + BOX_HEIGHT;
            let _ = write!(path, "M{x:.1} {y:.1}");
            continue;
        }
        let (to, top) = if index == last { (end, node.top() - HEAD) } else { (node.x, node.top()) };
        let half = (y + top) / 2.0;
        let _ = if (to - x).abs() < 0.05 {
            write!(path, "V{top:.1}")
        } else {
            write!(path, "C{x:.1} {half:.1} {to:.1} {half:.1} {to:.1} {top:.1}")
        };
        (x, y) = (to, top);
        if index != last {
            y = top + BOX_HEIGHT;
            let _ = write!(path, "V{y:.1}");
        }
    }
    path
}

/// Each state that occurs, with its colour and how many steps are in it.
fn legend(states: &[StepState]) -> String {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for StepState { state, .. } in states {
        match counts.iter_mut().find(|(known, _)| known == state) {
            Some((_, count)) => *count += 1,
            None => counts.push((state, 1)),
        }
    }
    let mut x = 0.0;
    let mut text = String::new();
    for (state, count) in counts {
        let words = format!("{state}: {count}");
        let _ = write!(
            text,
            "<g class=\"{}\"><circle class=\"dot\" cx=\"{:.1}\" cy=\"-4\" r=\"5\"/>\
             <text class=\"more\" x=\"{:.1}\" y=\"0\">{}</text></g>",
            class(state),
            x + 5.0,
            x + 15.0,
            escaped(&words)
        );
        x += 15.0 + width(&words, MORE) + 16.0;
    }
    text
}
