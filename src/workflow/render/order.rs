//! The order of nodes within the layers of a picture, so that few lines cross: each node goes to the
//! middle of its neighbours above, then below, again and again; the best order found is kept.

use super::layout::Node;

/// Rounds without improvement after which it is good enough.
const PATIENCE: usize = 4;
/// Nodes that may be looked at over all rounds: small pictures get many rounds, large ones few.
const EFFORT: usize = 60_000;

/// Orders each row.
pub fn order(nodes: &[Node], rows: &mut Vec<Vec<usize>>) {
    let mut position = vec![0; nodes.len()];
    rows.iter().for_each(|row| note(row, &mut position));
    let mut best = rows.clone();
    let mut fewest = crossings(nodes, rows, &position);
    let mut since = 0;
    let rounds = (EFFORT / nodes.len().max(1)).clamp(2, 60);
    for _ in 0..rounds {
        if fewest == 0 || since == PATIENCE {
            break;
        }
        for row in rows.iter_mut() {
            by_middle(row, |node| &nodes[node].above, &mut position);
        }
        for row in rows.iter_mut().rev() {
            by_middle(row, |node| &nodes[node].below, &mut position);
        }
        swap_neighbours(nodes, rows, &mut position);
        let found = crossings(nodes, rows, &position);
        since += 1;
        if found < fewest {
            fewest = found;
            best.clone_from(rows);
            since = 0;
        }
    }
    *rows = best;
}

fn note(row: &[usize], position: &mut [usize]) {
    for (index, &node) in row.iter().enumerate() {
        position[node] = index;
    }
}

/// Sorts a row by the mean position of each node's neighbours; a node without any stays about where it is.
fn by_middle<'a>(row: &mut [usize], neighbours: impl Fn(usize) -> &'a Vec<usize>, position: &mut [usize]) {
    let mut keyed: Vec<(f64, usize)> = row
        .iter()
        .map(|&node| {
            let around = neighbours(node);
            let sum: usize = around.iter().map(|&other| position[other]).sum();
            let middle =
                if around.is_empty() { position[node] as f64 } else { sum as f64 / around.len() as f64 };
            (middle, node)
        })
        .collect();
    keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
    for (place, (_, node)) in row.iter_mut().zip(keyed) {
        *place = node;
    }
    note(row, position);
}

/// Swaps two that lie side by side where that saves crossings.
fn swap_neighbours(nodes: &[Node], rows: &mut [Vec<usize>], position: &mut [usize]) {
    for row in rows {
        for index in 1..row.len() {
            let (left, right) = (row[index - 1], row[index]);
            let cost = |first: usize, second: usize| {
                crossed(&nodes[first].above, &nodes[second].above, position)
                    + crossed(&nodes[first].below, &nodes[second].below, position)
            };
            if cost(right, left) < cost(left, right) {
                row.swap(index - 1, index);
                position[left] = index;
                position[right] = index - 1;
            }
        }
    }
}

/// Neighbours looked at when two nodes are compared: a node with thousands of lines stays where it is.
const MOST_COMPARED: usize = 4_096;

/// Crossings between the lines of two nodes, the first of them to the left.
fn crossed(first: &[usize], second: &[usize], position: &[usize]) -> usize {
    if first.len().saturating_mul(second.len()) > MOST_COMPARED {
        return 0;
    }
    first.iter().map(|&one| second.iter().filter(|&&other| position[other] < position[one]).count()).sum()
}

/// Crossings in the whole picture: inversions, counted with a tree of sums.
fn crossings(nodes: &[Node], rows: &[Vec<usize>], position: &[usize]) -> usize {
    let pairs = rows.windows(2);
    pairs
        .map(|pair| {
            inversions(pair[0].iter().flat_map(|&node| sorted(&nodes[node].below, position)), pair[1].len())
        })
        .sum()
}

fn sorted(nodes: &[usize], position: &[usize]) -> Vec<usize> {
    let mut places: Vec<usize> = nodes.iter().map(|&node| position[node]).collect();
    places.sort_unstable();
    places
}

/// How many pairs of a sequence of numbers below `n` stand the wrong way round.
fn inversions(sequence: impl Iterator<Item = usize>, n: usize) -> usize {
    let mut sums = vec![0usize; n + 1];
    let mut total = 0;
    for (seen, value) in sequence.enumerate() {
        let mut not_greater = 0;
        let mut at = value + 1;
        while at > 0 {
            not_greater += sums[at];
            at &= at - 1;
        }
        total += seen - not_greater;
        let mut at = value + 1;
        while at <= n {
            sums[at] += 1;
            at += at & at.wrapping_neg();
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inversions_are_counted() {
        assert_eq!(inversions([0, 1, 2].into_iter(), 3), 0);
        assert_eq!(inversions([2, 1, 0, 0].into_iter(), 3), 5);
    }

    #[test]
    fn a_crossing_that_need_not_be_is_undone() {
        let node = |layer, above: &[usize], below: &[usize]| Node {
            width: 10.0,
            layer,
            above: above.to_vec(),
            below: below.to_vec(),
            x: 0.0,
        };
        // 0 → 3, 1 → 2
        let nodes = [node(0, &[], &[3]), node(0, &[], &[2]), node(1, &[1], &[]), node(1, &[0], &[])];
        let mut rows = vec![vec![0, 1], vec![2, 3]];
        order(&nodes, &mut rows);
        let mut position = vec![0; 4];
        rows.iter().for_each(|row| note(row, &mut position));
        assert_eq!(crossings(&nodes, &rows, &position), 0);
    }
}
