//! Where nodes of an ordered layer lie from left to right: as near as possible to the middle of their
//! neighbours, in the least squares of the distances, without touching each other.
//!
//! With `x[i + 1] − x[i] ≥ gap[i]` and `y[i] = x[i] − gap[0] − … − gap[i − 1]` that is isotonic
//! regression of `y`, which pooling adjacent violators solves exactly in linear time.
//! Source: Barlow, Bartholomew, Bremner and Brunk, Statistical Inference under Order Restrictions, 1972.

use super::layout::Node;

/// Between two boxes.
const BOX_GAP: f64 = 26.0;
/// Between a line and what lies beside it.
const PASS_GAP: f64 = 18.0;
/// How often all layers are gone through, down and up.
const ROUNDS: usize = 14;
/// A bend in a long line hurts more than a short line that is not upright.
const STRAIGHT: f64 = 6.0;

/// Places every node; tells the width of the picture.
pub fn place(nodes: &mut [Node], rows: &[Vec<usize>]) -> f64 {
    for row in rows {
        let wanted = vec![(0.0, 1.0); row.len()];
        settle(nodes, row, &wanted);
    }
    for round in 0..ROUNDS {
        let last = round + 2 >= ROUNDS;
        for row in rows {
            let wanted = wanted(nodes, row, true, last);
            settle(nodes, row, &wanted);
        }
        for row in rows.iter().rev() {
            let wanted = wanted(nodes, row, last, true);
            settle(nodes, row, &wanted);
        }
    }
    let left = nodes.iter().map(|node| node.x - node.width / 2.0).fold(f64::INFINITY, f64::min);
    let right = nodes.iter().map(|node| node.x + node.width / 2.0).fold(f64::NEG_INFINITY, f64::max);
    nodes.iter_mut().for_each(|node| node.x -= left);
    (right - left).max(0.0)
}

/// Where each node of a row wants to be, and how much it matters.
fn wanted(nodes: &[Node], row: &[usize], above: bool, below: bool) -> Vec<(f64, f64)> {
    let places = row.iter().map(|&index| {
        let node = &nodes[index];
        let neighbours = node.above.iter().filter(|_| above).chain(node.below.iter().filter(|_| below));
        let (mut sum, mut weights) = (0.0, 0.0);
        for &other in neighbours {
            let weight = if node.is_pass() && nodes[other].is_pass() { STRAIGHT } else { 1.0 };
            sum += nodes[other].x * weight;
            weights += weight;
        }
        if weights > 0.0 { (sum / weights, weights) } else { (node.x, 0.1) }
    });
    places.collect()
}

/// Moves the nodes of a row to where they want to be, as far as they leave each other room.
fn settle(nodes: &mut [Node], row: &[usize], wanted: &[(f64, f64)]) {
    /// Nodes pushed together: the mean of what they want, the weight of it, and how many they are.
    struct Block {
        mean: f64,
        weight: f64,
        count: usize,
    }
    let mut offsets = Vec::with_capacity(row.len());
    let mut offset = 0.0;
    for (index, &node) in row.iter().enumerate() {
        if let Some(&before) = index.checked_sub(1).map(|before| &row[before]) {
            let (one, two) = (&nodes[before], &nodes[node]);
            let gap = if one.is_pass() || two.is_pass() { PASS_GAP } else { BOX_GAP };
            offset += (one.width + two.width) / 2.0 + gap;
        }
        offsets.push(offset);
    }
    let mut blocks: Vec<Block> = Vec::new();
    for (&(place, weight), offset) in wanted.iter().zip(&offsets) {
        let mut block = Block { mean: place - offset, weight, count: 1 };
        while let Some(before) = blocks.pop_if(|before| before.mean > block.mean) {
            let weight = before.weight + block.weight;
            let mean = (before.mean * before.weight + block.mean * block.weight) / weight;
            block = Block { mean, weight, count: before.count + block.count };
        }
        blocks.push(block);
    }
    let means = blocks.iter().flat_map(|block| std::iter::repeat_n(block.mean, block.count));
    for ((&node, offset), mean) in row.iter().zip(offsets).zip(means) {
        nodes[node].x = mean + offset;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_that_want_one_place_stand_around_it() {
        let node = || Node { width: 10.0, layer: 0, above: vec![], below: vec![], x: 0.0 };
        let mut nodes = vec![node(), node(), node()];
        settle(&mut nodes, &[0, 1, 2], &[(50.0, 1.0), (50.0, 1.0), (200.0, 1.0)]);
        let places: Vec<f64> = nodes.iter().map(|node| node.x).collect();
        assert_eq!(places, [50.0 - 18.0, 50.0 + 18.0, 200.0]);
    }
}
