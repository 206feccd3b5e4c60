//! A table as a page of its own: nothing is fetched from elsewhere, it opens from a file and prints.
//!
//! Intervals are drawn to one scale a column, and a click on a title sorts by it.

use std::fmt::Write;

use super::sheet::{Cell, Sheet};

const STYLE: &str = "\
:root{color-scheme:light dark;--line:#d4d9e2;--dim:#5b6577;--mark:#2563eb;--paper:#fff;--ink:#17202e}\
@media(prefers-color-scheme:dark){:root{--line:#39414f;--dim:#9aa6b8;--mark:#7aa7ff;--paper:#14181f;--ink:#e6eaf1}}\
@media print{:root{--line:#bbb;--dim:#444;--mark:#114;--paper:#fff;--ink:#000}}\
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;padding:0 1.2rem;max-width:90rem;background:var(--paper);color:var(--ink)}\
h1{font-size:1.4rem;margin:0 0 1rem}.wide{overflow-x:auto}\
table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.92rem}\
th,td{padding:.35rem .8rem;text-align:left;white-space:nowrap;border-bottom:1px solid var(--line)}\
th{white-space:normal;vertical-align:bottom;position:sticky;top:0;background:var(--paper);color:var(--dim);font-weight:600}\
th button{all:unset;cursor:pointer}th button:focus-visible{outline:2px solid var(--mark)}\
th[aria-sort=ascending] button::after{content:' ↑'}th[aria-sort=descending] button::after{content:' ↓'}\
.n{text-align:right}svg{display:block}svg line{stroke:var(--mark);stroke-width:2}svg circle{fill:var(--mark)}\
p{margin:.5rem 0;color:var(--dim);max-width:60rem}";

const SCRIPT: &str = "\
document.querySelectorAll('th button').forEach((b,i)=>b.onclick=()=>{\
const th=b.parentNode,up=th.getAttribute('aria-sort')!=='ascending',body=document.querySelector('tbody');\
document.querySelectorAll('th').forEach(t=>t.removeAttribute('aria-sort'));\
th.setAttribute('aria-sort',up?'ascending':'descending');\
const key=r=>r.cells[i].dataset.v,rows=[...body.rows];\
rows.sort((a,b)=>{const x=key(a),y=key(b);if(x===''||y==='')return(x==='')-(y==='');\
const n=Number(x)-Number(y);return(up?1:-1)*(Number.isNaN(n)?x.localeCompare(y):n)});\
body.append(...rows)})";

/// Width of a drawn interval in pixels.
const WIDTH: f64 = 140.0;

/// The page with these columns of a sheet.
pub fn page(sheet: &Sheet, columns: &[usize]) -> String {
    let title = escaped(&sheet.title);
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>{title}</title><style>{STYLE}</style></head><body>\n<h1>{title}</h1>\n\
         <div class=\"wide\"><table><thead><tr>"
    );
    let class = |column: usize| if sheet.columns[column].is_number { " class=\"n\"" } else { "" };
    for &column in columns {
        // Names of metrics are long: they may break where a part of them ends.
        let title = escaped(&sheet.columns[column].title).replace('.', ".<wbr>").replace('_', "_<wbr>");
        let _ = write!(html, "<th scope=\"col\"{}><button>{title}</button></th>", class(column));
    }
    html.push_str("</tr></thead><tbody>\n");
    let scales: Vec<Option<(f64, f64)>> = columns.iter().map(|&column| scale(sheet, column)).collect();
    for row in &sheet.rows {
        html.push_str("<tr>");
        for (&column, scale) in columns.iter().zip(&scales) {
            let cell = &row[column];
            let key = if cell.data.is_empty() { &cell.text } else { &cell.data };
            let _ = write!(
                html,
                "<td{} data-v=\"{}\">{}{}</td>",
                class(column),
                escaped(key),
                escaped(&cell.text).replace('\n', "<br>"),
                drawn(cell, *scale)
            );
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</tbody></table></div>\n");
    for note in &sheet.notes {
        let _ = writeln!(html, "<p>{}</p>", escaped(note));
    }
    let _ = writeln!(html, "<script>{SCRIPT}</script></body></html>");
    html
}

/// The ends of all intervals of a column.
fn scale(sheet: &Sheet, column: usize) -> Option<(f64, f64)> {
    let ends = sheet.rows.iter().filter_map(|row| row[column].interval).flatten();
    let (low, high) =
        ends.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), end| (low.min(end), high.max(end)));
    (low < high).then_some((low, high))
}

fn drawn(cell: &Cell, scale: Option<(f64, f64)>) -> String {
    let (Some([low, value, high]), Some((from, to))) = (cell.interval, scale) else { return String::new() };
    let x = |value: f64| 4.0 + (value - from) / (to - from) * (WIDTH - 8.0);
    format!(
        "<svg width=\"{WIDTH}\" height=\"12\" role=\"img\" aria-label=\"{low:.4} to {high:.4}\"><line x1=\"{:.1}\" \
         x2=\"{:.1}\" y1=\"6\" y2=\"6\"/><circle cx=\"{:.1}\" cy=\"6\" r=\"3.5\"/></svg>",
        x(low),
        x(high),
        x(value)
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
