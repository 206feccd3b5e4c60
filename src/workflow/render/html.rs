//! A plan as a page of its own: the picture, and what there is to know of a step that is pointed at.
//! Nothing is loaded from anywhere.

use super::text::escaped;
use super::{StepState, json, svg};
use crate::workflow::plan::Plan;

/// The page; what stands between `{{` and `}}` is filled in.
const PAGE: &str = include_str!("page.html");

/// The plan as a page; with the state of each step, by position, when they are given.
pub fn html(plan: &Plan, states: Option<&[StepState]>) -> String {
    // Inside of a script a `<` could end it.
    let about = json(plan, states).to_string().replace('<', "\\u003c");
    let n = plan.steps.len();
    let steps = if n == 1 { "1 step".to_owned() } else { format!("{n} steps") };
    // One pass: what is filled in is not searched again.
    let mut page = String::new();
    let mut rest = PAGE;
    while let Some((before, (name, after))) =
        rest.split_once("{{").and_then(|(before, rest)| Some((before, rest.split_once("}}")?)))
    {
        page.push_str(before);
        match name {
            "name" => page.push_str(&escaped(&plan.name)),
            "steps" => page.push_str(&steps),
            "picture" => page.push_str(&svg(plan, states)),
            "about" => page.push_str(&about),
            other => unreachable!("page.html names `{other}`, which nothing fills in"),
        }
        rest = after;
    }
    page.push_str(rest);
    page
}
