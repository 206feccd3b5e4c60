//! Retrieval: a round is the preparation of the items and the lists of all queries.

use std::convert::Infallible;
use std::io::Write;
use std::path::PathBuf;

use recsys::codec::factors;
use recsys::models::lists::Lists;
use recsys::models::recommender::{Request, recommend_by_factors};
use recsys::models::top_k::TopK;

use crate::clock::{Clock, answer, next_round};
use crate::options::Options;

/// `--model FACTORS.npz --queries 10000 --lists OUT`: the best 100 unseen items of users.
pub fn recommend(options: &Options) {
    let model: PathBuf = options.get("model", PathBuf::new());
    let user_factors = factors::read_user_factors(&model).unwrap();
    let item_factors = factors::read_item_factors(&model).unwrap();
    let history = options.interactions();
    let users = spread(user_factors.n_rows(), options.get("queries", 10_000));
    rounds(options, || {
        let mut lists = Lists::new();
        let request = Request { users: &users, history: &history, n: 100, filter_seen: true };
        let Ok(()) = recommend_by_factors(&user_factors, &item_factors, &request, |block| {
            lists.append(block.lists);
            Ok::<(), Infallible>(())
        });
        lists
    });
}

/// `--model FACTORS.npz --queries 10000 --lists OUT`: the 10 nearest items of items, themselves among them,
/// by cosine.
pub fn similar(options: &Options) {
    let item_factors = factors::read_item_factors(&options.get("model", PathBuf::new())).unwrap();
    let queries = spread(item_factors.n_rows(), options.get("queries", 10_000));
    rounds(options, || {
        let mut lists = Lists::new();
        let Ok(()) = TopK::cosine(&item_factors).search_rows(
            &item_factors,
            &queries,
            10,
            |_| &[],
            |block| {
                lists.append(block.lists);
                Ok::<(), Infallible>(())
            },
        );
        lists
    });
}

/// `n` of the rows, evenly spread.
fn spread(n_rows: usize, n: usize) -> Vec<u32> {
    (0..n.min(n_rows)).map(|at| (at * n_rows / n.min(n_rows)) as u32).collect()
}

/// Answers round by round; the last lists go to the file, their lengths and items as `u32`.
fn rounds(options: &Options, work: impl Fn() -> Lists) {
    answer("\"ready\": true");
    let mut lists = Lists::new();
    while next_round() {
        let clock = Clock::start();
        lists = work();
        answer(&clock.read());
    }
    let path: PathBuf = options.get("lists", PathBuf::new());
    let mut file = std::io::BufWriter::new(std::fs::File::create(path).unwrap());
    for (items, _) in lists.iter() {
        file.write_all(&(items.len() as u32).to_le_bytes()).unwrap();
        items.iter().for_each(|item| file.write_all(&item.to_le_bytes()).unwrap());
    }
    file.flush().unwrap();
}
