//! `recsys recommend`: what a user would be recommended, without a server.

use std::path::PathBuf;

use axum::http::Method;
use clap::{Args, ValueEnum};
use comfy_table::CellAlignment;
use miette::Diagnostic;
use serde_json::Value;
use thiserror::Error;

use super::CommandError;
use super::format::Format;
use crate::console::{plain_table, remark, say};
use crate::serve::{Service, local};

/// Show what a user would be recommended, from the release, without a server.
///
/// The answer is that of the routes of `recsys serve`, by the same code, with the events on the disk.
/// While a service runs it alone has the events: the answer is then from the release, and says so.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "Examples:
  recsys recommend --user 7 -k 10 --names
  recsys recommend --user 7 --list offline             the precomputed list
  recsys recommend --user 7 --ask genre=rock --ask max_per_artist=1
  recsys recommend --user 7 --format json | jq .recommendations")]
pub struct RecommendArgs {
    /// Whom to recommend to; any id, known or not
    #[arg(long, short, value_name = "ID", allow_negative_numbers = true)]
    user: i64,
    /// How many tracks
    #[arg(short, value_name = "K", default_value_t = 10)]
    k: usize,
    /// Say what the tracks are called
    #[arg(long)]
    names: bool,
    /// Which list
    #[arg(long, value_enum, default_value_t = List::Final)]
    list: List,
    /// Another parameter of the route; `recsys serve` describes them under /docs
    #[arg(long, value_name = "NAME=VALUE", value_parser = name_and_value)]
    ask: Vec<(String, String)>,
    /// The service file
    #[arg(long, value_name = "SERVICE", default_value = "services/default.yaml")]
    service: PathBuf,
    /// How to say it
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum List {
    /// The final one: blended and filled up
    Final,
    /// The precomputed one
    Offline,
    /// The one from the last events alone
    Online,
}

#[derive(Debug, Error, Diagnostic)]
#[error("{message}")]
#[diagnostic(help("`recsys recommend --help` shows what can be asked"))]
struct Refused {
    message: String,
}

/// Prints the list.
///
/// # Errors
/// When the release cannot be read or the request cannot be answered.
pub fn recommend(args: &RecommendArgs) -> Result<(), CommandError> {
    let service = Service::read(&args.service).map_err(CommandError::usage)?;
    let route = match args.list {
        List::Final => "/recommendations",
        List::Offline => "/recommendations_offline",
        List::Online => "/recommendations_online",
    };
    let mut uri = format!("{route}?user_id={}&k={}&names={}", args.user, args.k, args.names);
    for (name, value) in &args.ask {
        uri.push_str(&format!("&{}={}", encoded(name), encoded(value)));
    }
    let answer = local::answer(&service, Method::POST, &uri)?;
    if answer.is_without_events {
        remark("note: a running service has the events; this is the answer without them");
    }
    if !answer.status.is_success() {
        let message = answer.body["message"].as_str().unwrap_or("the request cannot be answered").to_owned();
        return Err(CommandError::usage(Refused { message }));
    }
    say(&match args.format {
        Format::Json => format!("{:#}", answer.body),
        Format::Text => text(args, &answer.body),
    });
    Ok(())
}

/// The list as a table, below a line that says what it was made of.
fn text(args: &RecommendArgs, answer: &Value) -> String {
    let items = answer["items"].as_array().map_or(&[][..], Vec::as_slice);
    let made_of = match answer["source"].as_str().unwrap_or_default() {
        "default" => "popular tracks: nothing is known of this user",
        "personal" => "the precomputed list",
        "similar" => "tracks similar to the last events",
        _ => "the precomputed list and the last events",
    };
    let head = format!("user {}: {} tracks from {made_of}", args.user, items.len());
    if items.is_empty() {
        return head;
    }
    let mut header = vec!["", "track", "score", "source"];
    if args.names {
        header.extend(["name", "artists", "genre"]);
    }
    let mut table = plain_table(&header);
    for column in 0..3 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for (rank, item) in (1..).zip(items) {
        let mut cells = vec![
            rank.to_string(),
            item["track_id"].to_string(),
            item["score"].as_f64().map_or_else(String::new, |score| format!("{score:.4}")),
            item["source"].as_str().unwrap_or_default().to_owned(),
        ];
        if args.names {
            let names = &item["names"];
            let artists = names["artists"].as_array().into_iter().flatten().filter_map(Value::as_str);
            cells.push(names["track"].as_str().unwrap_or_default().to_owned());
            cells.push(artists.collect::<Vec<_>>().join(", "));
            cells.push(names["genre"].as_str().unwrap_or_default().to_owned());
        }
        table.add_row(cells);
    }
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    format!("{head}\n{}", lines.join("\n"))
}

/// A text as it stands in a query.
fn encoded(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b',' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}

fn name_and_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE, for example `genre=rock`".to_owned()),
    }
}
