//! The colours of pictures, on light ground and on dark: the reader's settings decide, and a README
//! is read in both.

use std::fmt::Write;

/// A state, the class of its boxes, and colours (fill, line) on light and on dark ground.
struct Look {
    state: &'static str,
    class: &'static str,
    light: (&'static str, &'static str),
    dark: (&'static str, &'static str),
}

const LOOKS: [Look; 5] = [
    Look { state: "up to date", class: "fresh", light: ("#edfaf1", "#2f9e57"), dark: ("#10291b", "#3fae6a") },
    Look { state: "would run", class: "stale", light: ("#fff4e6", "#e07b18"), dark: ("#33210d", "#e8923a") },
    Look { state: "maybe", class: "maybe", light: ("#f6f1fe", "#8a63d2"), dark: ("#231a36", "#a585e6") },
    Look { state: "failed", class: "failed", light: ("#fdeeee", "#d33c3c"), dark: ("#351616", "#e86161") },
    Look { state: "running", class: "running", light: ("#eaf3fe", "#2673d9"), dark: ("#10233d", "#5b9df0") },
];

/// The class of a box in this state; none for a state without a colour of its own.
pub fn class(state: &str) -> &'static str {
    LOOKS.iter().find(|look| look.state == state).map_or("", |look| look.class)
}

/// The style sheet of a picture.
pub fn style() -> String {
    let ground = |[text, quiet, fill, line, edge]: [&str; 5]| {
        format!(
            ".name{{fill:{text}}}.more{{fill:{quiet}}}.step rect{{fill:{fill};stroke:{line}}}\
             .edge{{stroke:{edge}}}.head,.dot{{fill:{edge}}}"
        )
    };
    let mut light = ground(["#16202e", "#5c6b7e", "#f6f8fa", "#8c9bad", "#9aa7b6"]);
    let mut dark = ground(["#e8edf3", "#9fb0c3", "#1b2430", "#5d6f84", "#66788c"]);
    for Look { class, light: (fill, line), dark: (dark_fill, dark_line), .. } in LOOKS {
        // Writing to a String cannot fail.
        let _ = write!(light, ".{class} rect{{fill:{fill};stroke:{line}}}.{class} .dot{{fill:{line}}}");
        let _ = write!(
            dark,
            ".{class} rect{{fill:{dark_fill};stroke:{dark_line}}}.{class} .dot{{fill:{dark_line}}}"
        );
    }
    format!(
        "text{{font-family:ui-sans-serif,system-ui,-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif}}\
         .name{{font-size:13px;font-weight:600}}.more{{font-size:11px}}.step rect{{stroke-width:1.4}}\
         .service rect{{stroke-dasharray:5 3}}.edge{{fill:none;stroke-width:1.4}}{light}\
         @media(prefers-color-scheme:dark){{{dark}}}"
    )
}
