//! What a pipeline file says: groups, off steps, overrides, units, and which mistakes are told.

use std::path::Path;

use super::*;
use crate::workflow::yaml::Value;

fn read(text: &str, overrides: &Overrides) -> Spec {
    let scope = Scope::with_environment([("BUCKET".to_owned(), "b".to_owned())]);
    Spec::parse(Path::new("pipelines/p.yaml"), text, scope, overrides).unwrap()
}

fn spec(text: &str) -> Spec {
    read(text, &Overrides::default())
}

fn messages(spec: &Spec) -> Vec<&str> {
    spec.faults.iter().map(|fault| fault.message.as_str()).collect()
}

fn names(spec: &Spec) -> Vec<&str> {
    assert_eq!(messages(spec), [""; 0]);
    spec.steps.iter().map(|step| step.name.as_str()).collect()
}

fn command(step: &StepSpec) -> String {
    text(step.parameters.get("command").unwrap())
}

#[test]
fn resources_timeout_and_retries_are_read() {
    let spec = spec(
        "steps: { a: { run: x, resources: { threads: 2, memory: 4GiB }, timeout: 1.5h, retries: { times: 3, wait: 100ms, factor: 3 } }, b: { run: x, retries: 2 } }",
    );
    assert_eq!(names(&spec), ["a", "b"]);
    let [a, b] = &spec.steps[..] else { panic!("two steps") };
    assert_eq!((a.threads, a.memory, a.timeout), (Some(2), Some(4 << 30), Some(Duration::from_secs(5400))));
    assert_eq!(a.retries, Retries { times: 3, wait: Duration::from_millis(100), factor: 3.0 });
    assert_eq!(b.retries, Retries { times: 2, ..Retries::default() });
}

#[test]
fn waits_grow_up_to_five_minutes() {
    let retries = Retries { times: 40, ..Retries::default() };
    let seconds = |retry| retries.wait_before(retry).map(|wait| wait.as_secs());
    assert_eq!([seconds(0), seconds(1), seconds(2), seconds(5)], [None, Some(1), Some(2), Some(16)]);
    assert_eq!([seconds(10), seconds(40), seconds(41)], [Some(300), Some(300), None]);
}

#[test]
fn foreach_makes_a_step_for_each_value_and_a_reference_to_all_is_a_map() {
    let spec = spec(
        "vars: { sizes: [32, 64] }
steps:
  als: { foreach: '{{ vars.sizes }}', run: 'train {{ item }}', outputs: { model: 'artifacts/{{ item }}' } }
  all: { inputs: { models: als.model, best: als-64.model, named: { x: als.model } }, run: 'join {{ inputs.models }}', needs: [als] }
",
    );
    assert_eq!(names(&spec), ["als-32", "als-64", "all"]);
    let [first, _, all] = &spec.steps[..] else { panic!("three steps") };
    assert_eq!((first.group.as_deref(), command(first)), (Some("als"), "train 32".to_owned()));
    let inputs: Vec<_> = all
        .inputs
        .iter()
        .map(|i| (i.port.value.as_str(), i.name.as_deref(), i.reference.value.as_str()))
        .collect();
    assert_eq!(
        inputs,
        [
            ("models", Some("als-32"), "als-32.model"),
            ("models", Some("als-64"), "als-64.model"),
            ("best", None, "als-64.model"),
            ("named", Some("x-32"), "als-32.model"),
            ("named", Some("x-64"), "als-64.model"),
        ]
    );
    assert_eq!(command(all), "join ⟦inputs.models.als-32⟧ ⟦inputs.models.als-64⟧");
    let needs: Vec<&str> = all.needs.iter().map(|need| need.value.as_str()).collect();
    assert_eq!(needs, ["als-32", "als-64"]);
}

#[test]
fn matrix_makes_every_combination_and_maps_are_named_by_their_name() {
    let spec = spec(
        "steps: { m: { matrix: { a: [1, 2.5], b: [x, { name: y z, q: 3 }] }, run: '{{ matrix.a }} {{ matrix.b }}' } }",
    );
    assert_eq!(names(&spec), ["m-1-x", "m-1-y_z", "m-2_5-x", "m-2_5-y_z"]);
    assert_eq!(command(&spec.steps[0]), "1 x");
}

#[test]
fn two_instances_with_one_name_are_refused() {
    let spec = spec("steps: { a: { foreach: [0.5, 0_5], run: x }, a-7: { run: x }, b: { run: x } }");
    assert_eq!(messages(&spec), ["the name `a-0_5` is used twice: here and at pipelines/p.yaml:1"]);
}

#[test]
fn too_many_steps_are_refused_before_they_are_made() {
    let line = "[0,1,2,3,4,5,6,7,8,9]";
    let axes: Vec<String> = (0..30).map(|axis| format!("a{axis}: {line}")).collect();
    let spec = spec(&format!("steps: {{ big: {{ matrix: {{ {} }}, run: x }} }}", axes.join(", ")));
    assert_eq!(
        messages(&spec),
        ["`big` expands to more than can be counted steps, and a pipeline has at most 10000"]
    );
}

#[test]
fn a_step_that_is_off_is_not_there_and_nothing_waits_for_it() {
    let spec = spec(
        "steps:
  a: { when: \"{{ env.NONE | default('') != '' }}\", run: x, outputs: { o: artifacts/o } }
  b: { when: \"{{ env.BUCKET | default('') != '' }}\", run: x, needs: [a] }
  c: { inputs: { x: a.o, y: ./artifacts/o, z: artifacts/a/other }, run: x }
  d: { foreach: [], run: x }
  e: { foreach: [1, 2], when: '{{ item > 1 }}', run: x }
",
    );
    assert_eq!(names(&spec), ["b", "c", "e-2"]);
    assert!(spec.steps[0].needs.is_empty());
    assert!(spec.steps[1].inputs.iter().all(|input| input.off.as_ref().is_some_and(|off| off.name == "a")));
    let off: Vec<_> = spec.off.iter().map(|off| (off.name.as_str(), off.reason.as_str())).collect();
    assert_eq!(
        off,
        [("a", "its `when:` is false"), ("d", "its `foreach:` is empty"), ("e-1", "its `when:` is false")]
    );
    assert_eq!(
        spec.environment_read,
        BTreeMap::from([("BUCKET".to_owned(), Some("b".to_owned())), ("NONE".to_owned(), None)])
    );
}

#[test]
fn a_text_is_no_answer_to_when() {
    let spec = spec("steps: { a: { when: '{{ env.BUCKET }}', run: x } }");
    assert_eq!(messages(&spec), ["`when` must be true or false, found the text `b`"]);
    assert_eq!(
        spec.faults[0].help.as_deref(),
        Some("write `when: \"{{ env.BUCKET | default('') != '' }}\"`")
    );
}

#[test]
fn a_value_for_a_group_is_for_all_of_it_and_later_values_win() {
    let set = ["als.factors=3", "als-2.factors=5", "als.names=[a, b]", "als.note={{ item }}!"];
    let overrides = Overrides { set: set.map(str::to_owned).into(), ..Overrides::default() };
    let spec = read("steps: { als: { foreach: [1, 2], uses: als, with: { factors: 1 } } }", &overrides);
    assert_eq!(names(&spec), ["als-1", "als-2"]);
    let values: Vec<_> = spec.steps.iter().map(|step| step.parameters.to_json()).collect();
    assert_eq!(values[0], serde_json::json!({ "factors": 3, "names": ["a", "b"], "note": "1!" }));
    assert_eq!(values[1], serde_json::json!({ "factors": 5, "names": ["a", "b"], "note": "2!" }));
}

#[test]
fn a_mistake_on_the_command_line_is_at_its_place_there() {
    let overrides = Overrides {
        vars: vec!["q=1".to_owned()],
        set: vec!["tow.x=1".to_owned(), "one.x={{ vars.no }}".to_owned()],
        ..Overrides::default()
    };
    let spec = read("vars: { k: 1 }\nsteps: { one: { run: x } }", &overrides);
    let shown: Vec<String> = spec
        .faults
        .iter()
        .map(|fault| {
            format!(
                "{}: {}",
                &spec.sources.text(fault.span.source)[fault.span.start..fault.span.end],
                fault.message
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            "q: the variable `q` is set, but `vars:` does not declare it",
            "tow.x: `--set` sets `tow.x`, but the pipeline has no step `tow`",
            "{{ vars.no }}: unknown name `vars.no`",
        ]
    );
}

#[test]
fn what_only_follows_from_a_mistake_is_not_told() {
    let spec = spec(
        "nam: x
vars: { a: '{{ vars.none }}', b: '{{ vars.a }}' }
steps:
  one: { imputs: { x: y }, run: 'cat {{ inputs.x }} {{ vars.b }}', timeout: '{{ vars.b }}' }
  two: { outputs: 3, run: 'cat > {{ outputs.x }}' }
  three: { resources: { threads: many }, retries: [1] }
",
    );
    assert_eq!(
        messages(&spec),
        [
            "unknown key `nam`",
            "unknown key `imputs`",
            "`outputs` must be a map, found `3`",
            "`threads` must be a whole number ≥ 1 and ≤ 1024, found the text `many`",
            "`retries` must be a whole number ≥ 0 and ≤ 100 or a map, found a list",
            "unknown name `vars.none`",
        ]
    );
    assert!(spec.steps.iter().all(|step| step.incomplete));
}

#[test]
fn templates_may_stand_for_numbers_and_are_checked_when_they_are_known() {
    let good = spec(
        "vars: { n: 3 }\nsteps: { a: { run: x, resources: { threads: '{{ vars.n }}' }, retries: '{{ vars.n }}' } }",
    );
    assert_eq!(names(&good), ["a"]);
    assert_eq!((good.steps[0].threads, good.steps[0].retries.times), (Some(3), 3));
    let bad = spec("vars: { n: -3 }\nsteps: { a: { run: x, resources: { threads: '{{ vars.n }}' } } }");
    assert_eq!(messages(&bad), ["`threads` must be a whole number ≥ 1 and ≤ 1024, found `-3`"]);
}

#[test]
fn a_name_is_checked_when_given_and_made_plain_when_not() {
    assert_eq!(spec("name: a.b-1\nsteps: { a: { run: x } }").name, "a.b-1");
    for wrong in ["../x", "''", "a b", "é", ".hidden"] {
        assert_eq!(
            messages(&spec(&format!("name: {wrong}\nsteps: {{ a: {{ run: x }} }}"))).len(),
            1,
            "{wrong}"
        );
    }
    let scope = Scope::with_environment([]);
    let path = Path::new("pipelines/_my pipe é.yaml");
    let spec = Spec::parse(path, "steps: { a: { run: x } }", scope, &Overrides::default()).unwrap();
    assert_eq!(spec.name, "my_pipe__");
}

#[test]
fn a_command_is_the_same_however_it_is_quoted() {
    let commands: Vec<String> = [
        "run: echo a",
        "run: 'echo a'",
        "run: \"echo a\"",
        "run: |\n      echo a",
        "run: >\n      echo\n      a",
    ]
    .iter()
    .map(|run| command(&spec(&format!("steps:\n  a:\n    {run}\n")).steps[0]))
    .collect();
    assert!(commands.iter().all(|command| command == "echo a"), "{commands:?}");
}

#[test]
fn unknown_parts_are_marked_in_parameters() {
    let spec = spec("steps: { a: { uses: als, with: { x: '{{ vars.no }}', y: 1 } } }");
    assert_eq!(spec.steps[0].parameters.get("x").unwrap().value, Value::Unknown);
    assert_eq!(spec.steps[0].parameters.get("y").unwrap().value, Value::Integer(1));
}
