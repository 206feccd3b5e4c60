//! Values worked by hand on a data set of five users and six items.

use proptest::prelude::*;

use super::super::diversity::ItemVectors;
use super::*;

/// Items 0 … 5; item 5 has no user in the history. Items 0 and 1 are versions of one song.
fn catalog() -> Catalog {
    Catalog {
        track_groups: [0, 0, 2, 3, 4, 5].map(Some).to_vec(),
        categories: vec![Some(0), Some(1), Some(0), None, Some(1), Some(0)],
        vectors: ItemVectors::new(
            2,
            [[(0, 1.0)], [(1, 1.0)], [(0, 1.0)], [(1, 1.0)], [(1, 1.0)], [(0, 1.0)]],
        ),
    }
}

fn matrix(pairs: &[(u32, u32)]) -> Interactions {
    Interactions::from_triplets(5, 6, pairs.iter().map(|&(user, item)| (user, item, 1.0))).unwrap()
}

/// User 3 has no history, user 4 no test item.
fn history() -> Interactions {
    matrix(&[(0, 0), (0, 1), (1, 0), (1, 2), (2, 0), (2, 3), (4, 0), (4, 4)])
}

/// User 0 hears item 1 again, user 2 hears only what they know.
fn test_period() -> Interactions {
    matrix(&[(0, 1), (0, 2), (0, 5), (1, 3), (2, 0), (3, 0)])
}

fn protocol(k: &[usize]) -> Protocol {
    Protocol {
        k: k.to_vec(),
        novel_only: true,
        users: UsersCounted::Warm,
        items: ItemsCounted::All,
        seen_items: SeenItems::Keep,
        bootstrap_samples: 100,
        seed: 7,
    }
}

fn value(evaluation: &Evaluation, metric: Metric, k: usize) -> f64 {
    evaluation.get(metric, k).unwrap().value
}

#[test]
fn the_protocol_decides_who_and_what_counts() {
    let (history, test, catalog) = (history(), test_period(), catalog());
    let counts = |change: &dyn Fn(&mut Protocol)| {
        let mut protocol = protocol(&[2]);
        change(&mut protocol);
        *Evaluator::new(protocol, &test, &history, &catalog).unwrap().counts()
    };
    let warm = counts(&|_| ());
    assert_eq!((warm.users_with_test_items, warm.users_without_relevant_items, warm.cold_users), (4, 1, 1));
    // Users 0 (items 2, 5) and 1 (item 3); item 5 is known to nobody.
    assert_eq!((warm.evaluated_users, warm.relevant_items, warm.relevant_items_without_history), (2, 3, 1));
    assert_eq!((warm.catalogue, counts(&|p| p.items = ItemsCounted::Warm).catalogue), (6, 5));
    assert_eq!(counts(&|p| p.items = ItemsCounted::Warm).relevant_items, 2);
    assert_eq!(counts(&|p| p.users = UsersCounted::All).evaluated_users, 3);
    let again = counts(&|p| p.novel_only = false);
    assert_eq!((again.evaluated_users, again.relevant_items), (3, 5));
}

#[test]
fn values_worked_by_hand() {
    let (history, test, catalog) = (history(), test_period(), catalog());
    let evaluator = Evaluator::new(protocol(&[2, 4]), &test, &history, &catalog).unwrap();
    // User 0 gets 2 (hit), 1 (seen, a miss), 4; user 1 gets nothing.
    let lists = Lists::from_nested(6, &[vec![2, 1, 4], vec![], vec![0], vec![], vec![]]).unwrap();
    let evaluation = evaluator.evaluate(&lists).unwrap();
    assert_eq!((evaluation.users_without_list, evaluation.longest_list), (1, 3));
    // Misses of user 1 halve the means of accuracy.
    assert_eq!(value(&evaluation, Metric::Precision, 2), 0.5 / 2.0);
    assert_eq!(value(&evaluation, Metric::Precision, 4), 0.25 / 2.0);
    assert_eq!(value(&evaluation, Metric::Recall, 2), 0.5 / 2.0);
    assert_eq!(value(&evaluation, Metric::Mrr, 2), 1.0 / 2.0);
    // Ideal of user 0: two hits = 1.6309297535714573.
    for ndcg in &evaluation.ndcg {
        assert!((ndcg[0] - 1.0 / 1.6309297535714573).abs() < 1e-12 && ndcg[1] == 0.0, "{ndcg:?}");
    }
    // What lists are worth is a mean over the one list there is.
    assert_eq!(value(&evaluation, Metric::Unseen, 2), 0.5);
    assert_eq!(value(&evaluation, Metric::Unseen, 4), 2.0 / 3.0);
    // Users of items 2, 1, 4 in the history: 1 each, of 4 users: 2 bits.
    assert_eq!(value(&evaluation, Metric::PopularityBias, 4), 1.0);
    assert_eq!(value(&evaluation, Metric::Novelty, 4), 2.0);
    assert_eq!(value(&evaluation, Metric::Diversity, 4), 1.0);
    // Categories 0, 1, 1 and genre vectors x, y, y: pairs at distance 1, 1, 0.
    assert_eq!(value(&evaluation, Metric::CategoryDiversity, 4), 2.0 / 3.0);
    assert!((value(&evaluation, Metric::IntraListDiversity, 4) - 2.0 / 3.0).abs() < 1e-12);
    // Items 2 and 1 of six; user 2 does not count.
    assert_eq!(value(&evaluation, Metric::CoverageItems, 2), 2.0 / 6.0);
    assert_eq!(
        (value(&evaluation, Metric::CoverageUsers, 2), value(&evaluation, Metric::CoverageUsers, 4)),
        (0.5, 0.0)
    );
    // Item 2 at place 1: 6/6 − (6 + 1 − 2)/6, over k = 2, over two users.
    assert!((value(&evaluation, Metric::Serendipity, 2) - 1.0 / 6.0 / 2.0 / 2.0).abs() < 1e-12);
}

#[test]
fn seen_items_can_be_skipped() {
    let (history, test, catalog) = (history(), test_period(), catalog());
    let skip = Protocol { seen_items: SeenItems::Skip, ..protocol(&[1]) };
    let evaluator = Evaluator::new(skip, &test, &history, &catalog).unwrap();
    let lists = Lists::from_nested(6, &[vec![0, 1, 2], vec![3], vec![], vec![], vec![]]).unwrap();
    let evaluation = evaluator.evaluate(&lists).unwrap();
    assert_eq!((value(&evaluation, Metric::Mrr, 1), value(&evaluation, Metric::Unseen, 1)), (1.0, 1.0));
}

#[test]
fn nobody_to_evaluate_is_an_error_with_a_remedy() {
    let (history, catalog) = (history(), catalog());
    let help = |test: &Interactions| {
        let error = Evaluator::new(protocol(&[2]), test, &history, &catalog).err().unwrap();
        error.help().unwrap().to_string()
    };
    assert!(help(&matrix(&[])).contains("split.test_from"));
    assert!(help(&matrix(&[(3, 1)])).contains("users: all"));
    assert!(help(&matrix(&[(0, 0)])).contains("novel_only: false"));
}

#[test]
fn tables_of_different_data_are_refused() {
    let (history, catalog) = (history(), catalog());
    let other = Interactions::from_triplets(5, 7, [(0, 6, 1.0)]).unwrap();
    let message = Evaluator::new(protocol(&[2]), &other, &history, &catalog).err().unwrap().to_string();
    assert_eq!(message, "the test matrix has 7 items, but the history (`train`) has 6");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn shares_lie_between_zero_and_one_inside_their_interval(
        pairs in prop::collection::vec((0u32..5, 0u32..6), 1..15),
        lists in prop::collection::vec(prop::sample::subsequence(vec![4u32, 2, 0, 5, 1, 3], 0..6), 5),
        novel_only in any::<bool>(),
    ) {
        let (history, test, catalog) = (history(), matrix(&pairs), catalog());
        let protocol = Protocol { novel_only, users: UsersCounted::All, ..protocol(&[1, 3, 7]) };
        let Ok(evaluator) = Evaluator::new(protocol, &test, &history, &catalog) else { return Ok(()) };
        let lists = Lists::from_nested(6, &lists).unwrap();
        let evaluation = evaluator.evaluate(&lists).unwrap();
        prop_assert_eq!(&evaluation, &evaluator.evaluate(&lists).unwrap());
        for estimate in &evaluation.estimates {
            let unbounded = matches!(estimate.metric, Metric::Novelty | Metric::PopularityBias);
            prop_assert!(estimate.value >= 0.0 && (unbounded || estimate.value <= 1.0 + 1e-12), "{:?}", estimate);
            if let Some((low, high)) = estimate.interval {
                prop_assert!(low >= -1e-12 && low <= high, "{:?}", estimate);
            }
        }
    }
}
