//! The edges of a picture: those that no others imply.
//!
//! When `rank` reads `als` and `split`, and `als` reads `split`, the picture is as true and clearer
//! without the line from `split` to `rank`.

use crate::workflow::plan::Plan;

/// Edges looked at for one step before the rest of its dependencies are all drawn. It is what keeps a
/// picture linear: a step may be implied over any distance, and looking for it may take the whole plan.
const LOOK: usize = 400;

/// For each step the dependencies that are not implied by its other dependencies, ascending.
pub fn direct(plan: &Plan) -> Vec<Vec<usize>> {
    let parents: Vec<&[usize]> = plan.steps.iter().map(|step| step.dependencies.as_slice()).collect();
    reduce(&parents)
}

/// The same of any steps that come after those that they depend on.
pub fn reduce(parents: &[&[usize]]) -> Vec<Vec<usize>> {
    // The step for which another was last seen: a set that needs no clearing.
    let mut seen_for = vec![usize::MAX; parents.len()];
    let mut stack = Vec::new();
    let reduced = parents.iter().enumerate().map(|(reader, own)| {
        let nearest = own.iter().copied().min().unwrap_or(0);
        let mut looks = 0;
        stack.clear();
        stack.extend_from_slice(own);
        while let Some(step) = stack.pop() {
            for &before in parents[step] {
                looks += 1;
                // Steps are ordered: what comes before the first dependency implies none of them.
                if before >= nearest && seen_for[before] != reader {
                    seen_for[before] = reader;
                    stack.push(before);
                }
            }
            if looks > LOOK {
                break;
            }
        }
        let mut direct: Vec<usize> = own.iter().copied().filter(|&step| seen_for[step] != reader).collect();
        direct.sort_unstable();
        direct
    });
    reduced.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edge_that_others_imply_is_left_out() {
        // 0 → 1 → 2 → 3, 0 → 3, 1 → 3; 4 stands alone and 3 reads it.
        let parents: [&[usize]; 5] = [&[], &[0], &[1], &[], &[0, 1, 2, 3]];
        assert_eq!(reduce(&parents), [vec![], vec![0], vec![1], vec![], vec![2, 3]]);
    }

    #[test]
    fn what_is_too_far_to_be_found_is_drawn() {
        let reduced_end = |length: usize| {
            let mut chain: Vec<Vec<usize>> =
                (0..length).map(|n| n.checked_sub(1).into_iter().collect()).collect();
            chain[length - 1].insert(0, 0);
            let parents: Vec<&[usize]> = chain.iter().map(Vec::as_slice).collect();
            reduce(&parents).pop().unwrap()
        };
        assert_eq!(reduced_end(50), [48]);
        assert_eq!(reduced_end(2000), [0, 1998]);
    }
}
