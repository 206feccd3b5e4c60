//! Where boxes and lines of a picture lie: layers from top to bottom, each step below everything that
//! it waits for.
//!
//! The way of Sugiyama, Tagawa and Toda (1981): layers by the longest path, a line that passes a layer
//! takes a place of its own there ([`Node`] without a step), the order within layers keeps crossings
//! few ([`super::order`]), then places are chosen that make lines straight ([`super::place`]).

use super::order::order;
use super::place::place;

/// Height of a box.
pub const BOX_HEIGHT: f64 = 46.0;
/// Between the layers.
const LAYER_GAP: f64 = 50.0;
/// Lines through layers that get places of their own; more of them than this no picture can show.
const MOST_PASSES: usize = 20_000;

/// A place in a layer: a box, or where a line passes.
#[derive(Debug, Clone)]
pub struct Node {
    /// Width of the box; nothing for a line.
    pub width: f64,
    /// Which layer, from the top.
    pub layer: usize,
    /// Nodes of the layer above with a line to this one.
    pub above: Vec<usize>,
    /// Nodes of the layer below with a line from this one.
    pub below: Vec<usize>,
    /// Middle, from the left.
    pub x: f64,
}

impl Node {
    /// Whether a line passes here, not a box.
    pub fn is_pass(&self) -> bool {
        self.width == 0.0
    }

    /// The upper end.
    pub fn top(&self) -> f64 {
        self.layer as f64 * (BOX_HEIGHT + LAYER_GAP)
    }
}

/// A line from a step to one that waits for it, by the nodes that it passes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The first is the writer, the last the reader.
    pub nodes: Vec<usize>,
}

/// A picture without its texts.
#[derive(Debug)]
pub struct Layout {
    /// The steps by position, then where lines pass.
    pub nodes: Vec<Node>,
    /// The lines.
    pub lines: Vec<Line>,
    /// Of the whole picture.
    pub width: f64,
    /// Of the whole picture.
    pub height: f64,
}

/// Places boxes of these widths; `parents` of each come before it.
pub fn layout(widths: &[f64], parents: &[Vec<usize>]) -> Layout {
    let layers = layers(parents);
    let node = |width: f64, layer| Node { width, layer, above: Vec::new(), below: Vec::new(), x: 0.0 };
    let mut nodes: Vec<Node> =
        widths.iter().zip(&layers).map(|(&width, &layer)| node(width.max(1.0), layer)).collect();
    let mut lines = Vec::new();
    for (reader, writers) in parents.iter().enumerate() {
        for &writer in writers {
            let between = layers[writer] + 1..layers[reader];
            let mut line = vec![writer];
            if nodes.len() + between.len() <= widths.len() + MOST_PASSES {
                for layer in between {
                    line.push(nodes.len());
                    nodes.push(node(0.0, layer));
                }
            }
            line.push(reader);
            lines.push(Line { nodes: line });
        }
    }
    for line in &lines {
        for pair in line.nodes.windows(2) {
            // A line that got no places would pull its ends across the picture.
            if nodes[pair[0]].layer + 1 == nodes[pair[1]].layer {
                nodes[pair[0]].below.push(pair[1]);
                nodes[pair[1]].above.push(pair[0]);
            }
        }
    }
    let mut rows: Vec<Vec<usize>> = vec![Vec::new(); layers.iter().max().map_or(0, |last| last + 1)];
    for (index, node) in nodes.iter().enumerate() {
        rows[node.layer].push(index);
    }
    order(&nodes, &mut rows);
    let width = place(&mut nodes, &rows);
    let height = rows.len() as f64 * (BOX_HEIGHT + LAYER_GAP) - LAYER_GAP;
    Layout { nodes, lines, width, height: height.max(0.0) }
}

/// The layer of each step: one below the lowest of what it waits for; a step that waits for nothing
/// lies just above the first that waits for it.
fn layers(parents: &[Vec<usize>]) -> Vec<usize> {
    let mut layers: Vec<usize> = Vec::with_capacity(parents.len());
    for writers in parents {
        layers.push(writers.iter().map(|&writer| layers[writer] + 1).max().unwrap_or(0));
    }
    let mut first_reader: Vec<Option<usize>> = vec![None; parents.len()];
    for (reader, writers) in parents.iter().enumerate() {
        for &writer in writers {
            let layer = first_reader[writer].map_or(layers[reader], |layer: usize| layer.min(layers[reader]));
            first_reader[writer] = Some(layer);
        }
    }
    for (step, writers) in parents.iter().enumerate() {
        if let (true, Some(layer)) = (writers.is_empty(), first_reader[step]) {
            layers[step] = layer - 1;
        }
    }
    layers
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_source_lies_just_above_its_reader() {
        // 0 → 1 → 2, 3 → 2
        assert_eq!(layers(&[vec![], vec![0], vec![1], vec![]]), [0, 1, 2, 0]);
        assert_eq!(layers(&[vec![], vec![0], vec![], vec![1, 2]]), [0, 1, 1, 2]);
    }

    #[test]
    fn nothing_has_a_picture() {
        let empty = layout(&[], &[]);
        assert_eq!((empty.width, empty.height, empty.nodes.len()), (0.0, 0.0, 0));
    }

    proptest! {
        #[test]
        fn boxes_never_touch_and_lines_go_down(
            wanted in proptest::collection::vec((40.0..200.0f64, proptest::collection::vec(any::<prop::sample::Index>(), 0..4)), 1..40)
        ) {
            let widths: Vec<f64> = wanted.iter().map(|(width, _)| *width).collect();
            let parents: Vec<Vec<usize>> = wanted.iter().enumerate().map(|(step, (_, chosen))| {
                let mut parents: Vec<usize> =
                    chosen.iter().filter(|_| step > 0).map(|index| index.index(step)).collect();
                parents.sort_unstable();
                parents.dedup();
                parents
            }).collect();
            let layout = layout(&widths, &parents);
            for (a, one) in layout.nodes.iter().enumerate() {
                prop_assert!(one.x - one.width / 2.0 >= -1e-6 && one.x + one.width / 2.0 <= layout.width + 1e-6);
                for two in layout.nodes.iter().skip(a + 1).filter(|two| two.layer == one.layer) {
                    prop_assert!((one.x - two.x).abs() >= (one.width + two.width) / 2.0);
                }
            }
            for line in &layout.lines {
                for pair in line.nodes.windows(2) {
                    prop_assert_eq!(layout.nodes[pair[0]].layer + 1, layout.nodes[pair[1]].layer);
                }
            }
        }
    }
}
