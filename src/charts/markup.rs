//! The few pieces of HTML that a report is made of.

use std::fmt::Write;

/// A text as HTML or SVG, in elements and attributes.
pub fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            '\t' | '\n' | '\r' => safe.push(' '),
            // XML has no way to write most of these.
            c if c.is_control() => safe.push('\u{fffd}'),
            '\u{fffe}' | '\u{ffff}' => safe.push('\u{fffd}'),
            c => safe.push(c),
        }
    }
    safe
}

/// A name from the data, whatever its script and direction.
pub fn name(text: &str) -> String {
    format!("<bdi>{}</bdi>", escaped(text))
}

/// A sentence of another step, in which names stand in backticks.
pub fn words(text: &str) -> String {
    let mut html = String::new();
    let mut rest = text;
    while let Some((before, (name, after))) =
        rest.split_once('`').and_then(|(before, rest)| Some((before, rest.split_once('`')?)))
    {
        html.push_str(&format!("{}<code>{}</code>", escaped(before), escaped(name)));
        rest = after;
    }
    html + &escaped(rest)
}

/// A table; cells are HTML.
#[derive(Debug, Clone, Default)]
pub struct Table {
    caption: String,
    classes: &'static str,
    head: Vec<(String, bool)>,
    rows: Vec<String>,
}

impl Table {
    /// A table without rows; the caption is text.
    pub fn new(caption: impl Into<String>) -> Self {
        Self { caption: caption.into(), ..Self::default() }
    }

    /// With classes of the style sheet.
    pub fn class(mut self, classes: &'static str) -> Self {
        self.classes = classes;
        self
    }

    /// Adds a column of texts.
    pub fn text(mut self, title: impl Into<String>) -> Self {
        self.head.push((escaped(&title.into()), false));
        self
    }

    /// Adds a column of numbers.
    pub fn number(mut self, title: impl Into<String>) -> Self {
        self.head.push((escaped(&title.into()), true));
        self
    }

    /// Adds a column with a picture in the place of its title.
    pub fn picture(mut self, title: &str, svg: &str) -> Self {
        self.head.push((format!("<span class=\"unseen\">{}</span>{svg}", escaped(title)), false));
        self
    }

    /// Adds a row; its first cell is its heading.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let mut row = String::from("<tr>");
        for (place, cell) in cells.into_iter().enumerate() {
            let number = self.head.get(place).is_some_and(|(_, number)| *number);
            let class = if number { " class=\"n\"" } else { "" };
            // Writing to a String cannot fail.
            let _ = if place == 0 {
                write!(row, "<th scope=\"row\"{class}>{cell}</th>")
            } else {
                write!(row, "<td{class}>{cell}</td>")
            };
        }
        row.push_str("</tr>\n");
        self.rows.push(row);
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table; on narrow pages it is moved sideways by itself.
    pub fn html(&self) -> String {
        let caption = escaped(&self.caption);
        let mut html = format!(
            "<figure><figcaption>{caption}</figcaption>\n\
             <div class=\"scroll\" role=\"region\" aria-label=\"{caption}\" tabindex=\"0\">\
             <table class=\"{}\" aria-label=\"{caption}\">\n<thead><tr>",
            self.classes
        );
        for (title, number) in &self.head {
            let class = if *number { " class=\"n\"" } else { "" };
            let _ = write!(html, "<th scope=\"col\"{class}>{title}</th>");
        }
        html.push_str("</tr></thead>\n<tbody>\n");
        html.extend(self.rows.iter().map(String::as_str));
        html.push_str("</tbody></table></div></figure>\n");
        html
    }
}

/// A bar as long as a share of its cell.
pub fn bar(share: f64) -> String {
    let share = if share.is_finite() { share.clamp(0.0, 1.0) * 100.0 } else { 0.0 };
    format!(
        "<svg class=\"bar\" aria-hidden=\"true\"><rect class=\"fill1\" width=\"{share:.2}%\" height=\"100%\" rx=\"2\"/></svg>"
    )
}

/// What can be opened for more; on paper it is open.
pub fn details(summary: &str, content: &str) -> String {
    format!("<details><summary>{}</summary>\n{content}</details>\n", escaped(summary))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_cannot_leave_its_cell() {
        let mut table = Table::new("<i>").text("a & b").number("n");
        table.row([escaped("<script>alert(\"1\")</script>\u{0}"), "1".to_owned()]);
        let html = table.html();
        assert!(html.contains("<figcaption>&lt;i&gt;</figcaption>") && html.contains("a &amp; b"), "{html}");
        assert!(
            html.contains("<th scope=\"row\">&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;\u{fffd}</th>"),
            "{html}"
        );
        assert!(html.contains("<td class=\"n\">1</td>"), "{html}");
    }

    #[test]
    fn names_in_sentences_stand_out() {
        assert_eq!(words("`als` < `b`"), "<code>als</code> &lt; <code>b</code>");
        assert_eq!(words("no ` pair"), "no ` pair");
    }

    #[test]
    fn a_bar_stays_in_its_cell() {
        assert!(bar(0.25).contains("width=\"25.00%\""));
        assert!(bar(7.0).contains("width=\"100.00%\"") && bar(f64::NAN).contains("width=\"0.00%\""));
    }
}
