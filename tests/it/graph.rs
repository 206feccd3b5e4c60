//! A plan is drawn for people and for tools:
//! 1. as a tree, each step once; 2. in Mermaid, DOT and JSON, every edge in it;
//! 3. as a picture and a page that are well formed whatever things are called, and need no network.

use recsys::steps::KINDS;
use recsys::workflow::plan::Plan;
use recsys::workflow::render::{self, StepState};
use recsys::workflow::spec::{Overrides, Spec};
use recsys::workflow::values::Scope;

use crate::project::Project;

const DIAMOND: &str = "
name: diamond
steps:
  top: { run: 'echo > {{ outputs.out }}', outputs: { out: artifacts/top } }
  left: { run: 'true', inputs: { x: top.out } }
  right: { run: 'true', inputs: { x: top.out }, outputs: { out: artifacts/right } }
  bottom: { run: 'true', needs: [left], inputs: { x: artifacts/right } }
";

#[test]
fn a_tree_shows_each_step_once_and_what_else_it_waits_for() {
    let call = Project::with(DIAMOND).call(&["graph"]);
    insta::assert_snapshot!(call.stdout, @r"
    diamond
    └─ top (shell)
       ├─ left (shell)
       └─ right (shell)
          └─ bottom (shell)  ← left
    ");
}

#[test]
fn mermaid_dot_and_json_have_every_edge() {
    let project = Project::with(DIAMOND);
    let call = project.call(&["graph", "--format", "mermaid"]);
    insta::assert_snapshot!(call.stdout, @r#"
    flowchart LR
      s0["top (shell)"]
      s1["left (shell)"]
      s2["right (shell)"]
      s3["bottom (shell)"]
      s0 --> s1
      s0 --> s2
      s1 --> s3
      s2 --> s3
    "#);
    assert!(project.call(&["graph", "--format", "dot"]).stdout.contains("s1 -> s3;"));
    let json: serde_json::Value =
        serde_json::from_str(&project.call(&["graph", "--format", "json"]).stdout).unwrap();
    assert_eq!(json["steps"][3]["after"], serde_json::json!(["left", "right"]));
}

/// The plan of the diamond, under a name that means something in every language it is written in; no file can give
/// such a name, but what draws it should not rely on that.
fn plan_of(project: &Project) -> Plan {
    project.write("pipelines/music.yaml", DIAMOND);
    let path = project.path("pipelines/music.yaml");
    let spec = Spec::read(&path, Scope::from_environment(&project.path("")), &Overrides::default());
    let plan = Plan::new(&spec.unwrap_or_else(|error| panic!("{error:?}")), KINDS, &project.path(""));
    let mut plan = plan.unwrap_or_else(|error| panic!("{error:?}"));
    // A file cannot call a pipeline so; the drawings do not rely on that.
    plan.name = r#"a <b> & "c" \ </script>"#.to_owned();
    plan
}

/// Every element of an XML text, opened and closed in order; attributes quoted.
fn assert_well_formed(xml: &str) {
    let mut open = Vec::new();
    let mut rest = xml;
    while let Some(start) = rest.find('<') {
        assert!(!rest[..start].contains('>'), "a bare `>` in {:?}", &rest[..start]);
        let end = start + rest[start..].find('>').unwrap();
        let tag = &rest[start + 1..end];
        assert!(!tag.contains('<') && tag.matches('"').count().is_multiple_of(2), "{tag}");
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name));
        } else if !tag.ends_with('/') {
            open.push(tag.split([' ', '\n']).next().unwrap());
        }
        rest = &rest[end + 1..];
    }
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn a_picture_has_every_step_with_its_state() {
    let project = Project::new();
    let plan = plan_of(&project);
    let state = |state: &str, seconds| StepState {
        state: state.to_owned(),
        reason: "x < 3 → \"4\"".to_owned(),
        seconds,
    };
    let states = [
        state("up to date", Some(12.34)),
        state("would run", None),
        state("would run", Some(f64::NAN)),
        state("maybe", Some(0.001)),
    ];
    let svg = render::svg(&plan, Some(&states));
    assert_well_formed(&svg);
    for text in [
        "<title>top (shell): up to date, x &lt; 3 → &quot;4&quot;</title>",
        "shell · up to date · 12.3 s",
        "shell · maybe · 1 ms",
        "would run: 2",
        "class=\"step fresh\"",
        "prefers-color-scheme:dark",
        "<title>a &lt;b&gt; &amp; &quot;c&quot; \\ &lt;/script&gt;</title>",
        "data-from=\"1\" data-to=\"3\"",
    ] {
        assert!(svg.contains(text), "{text} in {svg}");
    }
    let bare = render::svg(&plan, None);
    assert_well_formed(&bare);
    assert!(!bare.contains("up to date") && bare.matches("data-step").count() == 4);
}

#[test]
fn a_page_needs_nothing_from_anywhere_and_knows_every_step() {
    let project = Project::new();
    let plan = plan_of(&project);
    let page = render::html(&plan, None);
    let outside = page.replace("http://www.w3.org/2000/svg", "");
    assert!(!outside.contains("http") && !outside.contains("src=") && !outside.contains("url(\""));
    let (_, rest) = page.split_once("id=\"about\">").unwrap();
    let (about, _) = rest.split_once("</script>").unwrap();
    let about: serde_json::Value = serde_json::from_str(about).unwrap();
    assert_eq!(about["name"], plan.name);
    assert_eq!(about["steps"][0]["parameters"]["command"], "echo > {{ outputs.out }}");
    assert_eq!(about["steps"][3]["inputs"]["x"], "right.out");
}

#[test]
fn names_cannot_leave_their_quotes() {
    let project = Project::new();
    let plan = plan_of(&project);
    assert!(render::dot(&plan).starts_with(r#"digraph "a <b> & \"c\" \\ </script>" {"#));
}

#[test]
fn a_thousand_steps_and_a_long_chain_are_drawn() {
    let step = |n: usize| match n {
        0 => "  s0: { run: 'true', outputs: { out: artifacts/s0 } }\n".to_owned(),
        _ => format!(
            "  s{n}: {{ run: 'true', inputs: {{ a: s{}.out, b: s{}.out }}, outputs: {{ out: artifacts/s{n} }} }}\n",
            n - 1,
            n / 2
        ),
    };
    let project = Project::with(&format!("steps:\n{}", (0..1000).map(step).collect::<String>()));
    let svg = project.call(&["graph", "--format", "svg"]).stdout;
    assert_well_formed(&svg);
    assert_eq!(svg.matches("data-step").count(), 1000);
    let tree = project.call(&["graph"]).stdout;
    assert!(tree.len() < 200_000, "{} bytes of tree", tree.len());
    for n in 0..1000 {
        assert!(tree.lines().any(|line| line.trim_start().starts_with(&format!("└─ s{n} "))), "s{n}");
    }
}

#[test]
fn states_are_those_of_the_project() {
    let project = Project::with(DIAMOND);
    let states = || {
        let call = project.call(&["graph", "--status", "--format", "json"]);
        let json: serde_json::Value = serde_json::from_str(&call.stdout).unwrap();
        let steps = json["steps"].as_array().unwrap().clone();
        steps.iter().map(|step| step["state"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(states(), ["would run"; 4]);
    project.call(&["run", "--until", "left"]);
    assert_eq!(states()[..2], ["up to date", "up to date"]);
    let svg = project.call(&["graph", "--status", "--format", "svg"]).stdout;
    assert!(svg.contains("class=\"step fresh\"") && svg.contains("up to date: 2"), "{svg}");
    let call = project.call(&["graph", "--status"]);
    assert_eq!(call.code, 2);
    call.says("this format cannot show the state of steps").says("`--format svg`");
}
