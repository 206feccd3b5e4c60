//! Templates, variables that use each other, and what is known of the environment.

use serde_json::json;

use super::*;

fn scope_of(vars: &str, changes: &[(&str, &str)]) -> (Scope, Vec<Fault>) {
    let vars = Node::parse(vars).unwrap();
    let mut variables: BTreeMap<String, Variable> = vars
        .entries()
        .iter()
        .map(|entry| {
            (entry.key.clone(), Variable { place: entry.key_span.clone(), value: entry.node.clone() })
        })
        .collect();
    for (name, value) in changes {
        variables.get_mut(*name).unwrap().value = Node::parse(value).unwrap();
    }
    let scope = Scope::with_environment([("HOME".to_owned(), "/home/me".to_owned())]);
    let mut faults = Vec::new();
    let scope = scope.with_variables(&variables, &mut faults);
    (scope, faults)
}

fn scope() -> Scope {
    let vars =
        "raw: data\nk: 10\nfile: '{{ vars.raw }}/x-{{ vars.k }}.parquet'\nlist: [a, b]\nmap: { x: 1.5 }\n";
    let (scope, faults) = scope_of(vars, &[("k", "20")]);
    assert_eq!(faults, []);
    scope
}

fn rendered(text: &str) -> Result<serde_json::Value, String> {
    let mut faults = Vec::new();
    let node = scope().render(&Node::new(Value::Text(text.into()), (0..1).into()), &mut faults);
    faults.first().map_or_else(|| Ok(node.to_json()), |fault| Err(fault.message.clone()))
}

#[test]
fn a_whole_expression_keeps_its_type_and_a_mixed_text_is_text() {
    assert_eq!(rendered("{{ vars.k }}"), Ok(json!(20)));
    assert_eq!(rendered("{{ vars.k + 1 }}"), Ok(json!(21)));
    assert_eq!(rendered("{{ vars.list }}"), Ok(json!(["a", "b"])));
    assert_eq!(rendered("{{ vars.map }}"), Ok(json!({"x": 1.5})));
    assert_eq!(rendered("{{ vars.map.x }}"), Ok(json!(1.5)));
    assert_eq!(rendered("{{ vars.file }}"), Ok(json!("data/x-20.parquet")));
    assert_eq!(rendered("{{ env.NOPE | default('x') }}"), Ok(json!("x")));
    assert_eq!(rendered("{{ vars.k }}{{ vars.raw }} and {{ vars.map.x }}"), Ok(json!("20data and 1.5")));
    assert_eq!(rendered("{% raw %}{{ x }}{% endraw %}\n"), Ok(json!("{{ x }}\n")));
}

#[test]
fn the_short_way_and_the_engine_say_the_same() {
    for text in [
        "{{ vars.raw }}",
        "a {{ vars.raw }} b\n",
        "{{vars.k}}",
        "{{ vars.raw }}/{{ vars.k }}",
        "x{{ env.HOME }}",
    ] {
        // A comment is nothing, but keeps the short way from being taken.
        let long = rendered(&format!("{{# #}}{text}")).unwrap();
        let short = match rendered(text).unwrap() {
            serde_json::Value::String(text) => text,
            number => number.to_string(),
        };
        assert_eq!(long, json!(short), "{text}");
    }
}

#[test]
fn unknown_names_are_reported() {
    assert_eq!(rendered("{{ vars.rwa }}"), Err("unknown name `vars.rwa`".into()));
    assert_eq!(rendered("a {{ var.raw }}"), Err("unknown name `var`".into()));
    assert_eq!(rendered("{{ env.NOPE }}/x"), Err("the environment variable `NOPE` is not set".into()));
}

#[test]
fn variables_use_each_other_in_any_order() {
    let (scope, faults) = scope_of("a: '{{ vars.b }}!'\nb: '{{ vars.c }}?'\nc: x\n", &[]);
    assert_eq!(faults, []);
    let node = scope.render(&Node::new(Value::Text("{{ vars.a }}".into()), (0..1).into()), &mut Vec::new());
    assert_eq!(node.to_json(), json!("x?!"));
}

#[test]
fn a_circle_of_variables_is_shown_once_as_its_path() {
    let (scope, faults) =
        scope_of("a: '{{ vars.b }}'\nb: '{{ vars.c }}'\nc: '{{ vars.a }}'\nd: '{{ vars.c }}'\n", &[]);
    let messages: Vec<&str> = faults.iter().map(|fault| fault.message.as_str()).collect();
    assert_eq!(messages, ["the variables use each other: a → b → c → a"]);
    let mut faults = Vec::new();
    let node = scope.render(&Node::new(Value::Text("x{{ vars.d }}".into()), (0..1).into()), &mut faults);
    assert_eq!((node.value, faults), (Value::Unknown, Vec::new()), "what only follows is not told");
}

#[test]
fn what_was_looked_at_in_the_environment_is_known() {
    let scope = scope();
    let render =
        |text: &str| scope.render(&Node::new(Value::Text(text.into()), (0..1).into()), &mut Vec::new());
    render("{{ vars.raw }}");
    assert!(scope.environment_read().is_empty());
    render("{{ env.NOPE | default('') }}");
    assert_eq!(scope.environment_read(), BTreeMap::from([("NOPE".to_owned(), None)]));
    render("{% for name in env %}{{ name }}{% endfor %}");
    assert_eq!(scope.environment_read()["HOME"].as_deref(), Some("/home/me"), "a walk reads everything");
}

#[test]
fn a_template_without_an_end_is_stopped() {
    let endless = "{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}{% endfor %}{% endfor %}{% endfor %}";
    assert_eq!(rendered(endless), Err("this template does not come to an end".into()));
}
