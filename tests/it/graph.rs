//! A plan is drawn as a tree for people and in three languages for tools.

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
