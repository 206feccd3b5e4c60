//! No input makes the reader or the planner panic, hang or talk about itself: arbitrary bytes, YAML
//! made of what pipelines are made of, and right files with a piece changed.

use proptest::prelude::*;

use super::told;

/// A file that uses the whole language and is right.
const WHOLE: &str = "\
name: whole
vars: { n: 3, sizes: [1, 2], raw: data, path: '{{ vars.raw }}/x' }
steps:
  made: { uses: make, with: { rows: 5, noise: 0.25, mode: fancy, columns: [a, b] } }
  learned: &learn
    uses: learn
    foreach: '{{ vars.sizes }}'
    inputs: { train: made.table }
    with: { low: '{{ item }}', high: 9 }
    resources: { threads: 2, memory: 4GiB }
    retries: { times: 2, wait: 5s, factor: 1.5 }
  grid: { <<: *learn, foreach: [7], matrix: }
  compared:
    uses: compare
    inputs: { models: learned.model, truth: made.truth }
    timeout: 90s
  off: { when: \"{{ env.NONE | default('') != '' }}\", run: x, outputs: { o: artifacts/o } }
  shell:
    inputs: { report: compared.report, many: { a: learned-1.model } }
    outputs: { out: artifacts/out.txt }
    run: |
      cat {{ inputs.report }} {{ inputs.many }} > {{ outputs.out }}
    needs: [learned, off]
    env: [HOME]
";

/// What pipelines are made of.
const WORDS: [&str; 48] = [
    "steps",
    "vars",
    "include",
    "name",
    "uses",
    "inputs",
    "outputs",
    "with",
    "run",
    "needs",
    "env",
    "resources",
    "threads",
    "memory",
    "timeout",
    "retries",
    "times",
    "wait",
    "factor",
    "when",
    "foreach",
    "matrix",
    "make",
    "learn",
    "compare",
    "shell",
    "train",
    "models",
    "truth",
    "model",
    "a",
    "b",
    "a.model",
    "b.table",
    "'{{ item }}'",
    "'{{ vars.a }}'",
    "'{{ matrix.a }}'",
    "'{% for'",
    "4GiB",
    "90s",
    "1",
    "-1",
    "0.5",
    "true",
    "null",
    "''",
    "*x",
    "&x",
];

#[test]
fn the_whole_language_is_right() {
    assert_eq!(told(WHOLE), "");
}

fn tree() -> impl Strategy<Value = String> {
    let word = prop::sample::select(&WORDS[..]).prop_map(str::to_owned);
    word.prop_recursive(5, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(", "))),
            prop::collection::vec((prop::sample::select(&WORDS[..]), inner), 0..5).prop_map(|entries| {
                let entries: Vec<String> =
                    entries.iter().map(|(key, value)| format!("{key}: {value}")).collect();
                format!("{{{}}}", entries.join(", "))
            }),
        ]
    })
}

/// A few hundred cases of each, or as many as `PROPTEST_CASES` says.
fn config() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(300);
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn arbitrary_text_is_answered(text in "\\PC*") {
        told(&text);
    }

    #[test]
    fn text_of_yaml_signs_is_answered(text in "[-:{}\\[\\],&*!|>'\"%#?a1. \n\t]{0,120}") {
        told(&text);
    }

    #[test]
    fn pipelines_of_known_words_are_answered(steps in prop::collection::vec(tree(), 1..4), vars in tree()) {
        let steps: Vec<String> = steps.iter().enumerate().map(|(n, step)| format!("  s{n}: {step}\n")).collect();
        told(&format!("vars: {vars}\nsteps:\n{}", steps.concat()));
    }

    #[test]
    fn a_right_file_with_a_piece_changed_is_answered(
        start in 0..WHOLE.len(),
        length in 0..40_usize,
        word in prop::sample::select(&WORDS[..]),
    ) {
        let end = (start + length).min(WHOLE.len());
        told(&format!("{}{word}{}", &WHOLE[..start], &WHOLE[end..]));
    }

    #[test]
    fn a_right_file_with_a_line_moved_is_answered(from in 0..40_usize, to in 0..40_usize) {
        let mut lines: Vec<&str> = WHOLE.lines().collect();
        let line = lines.remove(from % lines.len());
        lines.insert(to % lines.len(), line);
        told(&lines.join("\n"));
    }
}
