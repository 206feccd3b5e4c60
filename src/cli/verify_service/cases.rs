//! The four cases of a user: new, with events only, with a precomputed list only, with both.

use serde_json::Value;

use super::Writes;
use super::http::{Answer, ask};
use super::report::{Asked, Outcome, Report};
use super::target::{Known, Target, made_up_user};

/// How many popular tracks and known users are looked at for one that fits.
const CANDIDATES: usize = 25;

/// Goes through one case; the error says what was not as it should be.
type Case = fn(&mut Asker<'_>, Writes) -> Result<Outcome, String>;

/// Finds a user, a track and a picture.
pub fn known(targets: &[Target]) -> Known {
    let mut asker = Asker { targets, asked: Asked::default() };
    let picture =
        asker.get("/pictures", "/pictures").ok().and_then(|answer| Some(answer[0].as_str()?.to_owned()));
    Known { user_id: asker.users().first().copied(), track_id: asker.track(), picture }
}

/// Goes through the four cases.
pub fn check(targets: &[Target], writes: Writes, report: &mut Report) {
    let cases: [(&str, Case); 4] = [
        ("new user", new_user),
        ("events only", events_only),
        ("precomputed list only", list_only),
        ("both", both),
    ];
    for (name, case) in cases {
        let mut asker = Asker { targets, asked: Asked::default() };
        let outcome = case(&mut asker, writes).unwrap_or_else(Outcome::Failed);
        report.add("the four cases", name, outcome, asker.asked);
    }
}

fn new_user(asker: &mut Asker<'_>, _: Writes) -> Result<Outcome, String> {
    let answer = asker.final_list(made_up_user(), "default")?;
    let popular = asker.get("/top_popular", "/top_popular?k=10")?;
    let tracks = tracks(&answer);
    if tracks.is_empty() || answer["recommendations"] != popular["recommendations"] {
        return Err(format!("expected the popular tracks {}, found {tracks:?}", popular["recommendations"]));
    }
    Ok(Outcome::Passed(format!("default: the {} most popular tracks", tracks.len())))
}

fn events_only(asker: &mut Asker<'_>, writes: Writes) -> Result<Outcome, String> {
    if writes == Writes::Nothing {
        return Ok(Outcome::Left("it would add an event".to_owned()));
    }
    let Some(track_id) = asker.track() else {
        return Ok(Outcome::Left("no popular track has similar ones".to_owned()));
    };
    let user_id = made_up_user();
    asker.add_event(user_id, track_id)?;
    let answer = asker.final_list(user_id, "similar")?;
    let first = &answer["items"][0]["source"];
    if first != "online" {
        return Err(format!("expected a track similar to {track_id} first, found one from {first}"));
    }
    Ok(Outcome::Passed(format!(
        "similar: {} tracks after an event of track {track_id}",
        tracks(&answer).len()
    )))
}

fn list_only(asker: &mut Asker<'_>, _: Writes) -> Result<Outcome, String> {
    let users = asker.users();
    let Some(user_id) = users.into_iter().find(|&user_id| asker.events_of(user_id) == Some(0)) else {
        return Ok(Outcome::Left("no user with a precomputed list and without events was found".to_owned()));
    };
    let answer = asker.final_list(user_id, "personal")?;
    let offline = asker
        .post("/recommendations_offline", &format!("/recommendations_offline?user_id={user_id}&k=10"))?;
    let (found, expected) = (tracks(&answer), tracks(&offline));
    if expected.is_empty() || !found.starts_with(&expected) {
        return Err(format!("expected {expected:?} first, found {found:?}"));
    }
    Ok(Outcome::Passed(format!("personal: the list of user {user_id}")))
}

fn both(asker: &mut Asker<'_>, writes: Writes) -> Result<Outcome, String> {
    let users = asker.users();
    let user_id = if writes == Writes::AnyUser {
        let (Some(&user_id), Some(track_id)) = (users.last(), asker.track()) else {
            return Ok(Outcome::Left("no user with a list, or no track with similar ones".to_owned()));
        };
        asker.add_event(user_id, track_id)?;
        user_id
    } else {
        let with_events = users.into_iter().find(|&user_id| asker.events_of(user_id).is_some_and(|n| n > 0));
        let Some(user_id) = with_events else {
            return Ok(Outcome::Left("it would add an event of a real user; --write allows it".to_owned()));
        };
        user_id
    };
    let answer = asker.final_list(user_id, "blend")?;
    let of = |source: &str| {
        let items = answer["items"].as_array().into_iter().flatten();
        items.filter(|item| item["source"] == source).count()
    };
    Ok(Outcome::Passed(format!(
        "blend: {} tracks of the list of user {user_id}, {} from the events",
        of("personal"),
        of("online")
    )))
}

/// Asks whichever service has the route, and keeps what was said.
struct Asker<'a> {
    targets: &'a [Target],
    asked: Asked,
}

impl Asker<'_> {
    fn get(&mut self, route: &str, uri: &str) -> Result<Value, String> {
        self.ask("GET", route, uri)
    }

    fn post(&mut self, route: &str, uri: &str) -> Result<Value, String> {
        self.ask("POST", route, uri)
    }

    fn ask(&mut self, method: &str, route: &str, uri: &str) -> Result<Value, String> {
        let target = self.targets.iter().find(|target| target.has(method, route));
        let target = target.ok_or_else(|| format!("no service has {method} {route}"))?;
        let answer = ask(&target.place, method, uri, None);
        self.asked.note(&format!("{method} {uri}"), &answer);
        match answer {
            Answer { status: 200, json, .. } => Ok(json),
            Answer { status, text, .. } => {
                Err(format!("{method} {uri}: expected 200, found {status} {text}"))
            }
        }
    }

    /// The final list of a user, which must have been made of this.
    fn final_list(&mut self, user_id: i64, source: &str) -> Result<Value, String> {
        let answer = self.post("/recommendations", &format!("/recommendations?user_id={user_id}&k=10"))?;
        let tracks = tracks(&answer);
        let distinct: std::collections::HashSet<&i64> = tracks.iter().collect();
        if distinct.len() != tracks.len() || tracks.len() > 10 {
            return Err(format!("expected at most 10 different tracks, found {tracks:?}"));
        }
        if answer["source"] == source {
            Ok(answer)
        } else {
            Err(format!("user {user_id}: expected `source` to be `{source}`, found {}", answer["source"]))
        }
    }

    /// Adds an event, which must then be the newest.
    fn add_event(&mut self, user_id: i64, track_id: i64) -> Result<(), String> {
        self.post("/put", &format!("/put?user_id={user_id}&track_id={track_id}"))?;
        let history = self.get("/history/{user_id}", &format!("/history/{user_id}?k=1"))?;
        if history["events"][0] == track_id {
            Ok(())
        } else {
            Err(format!("expected track {track_id} to be the newest event, found {}", history["events"]))
        }
    }

    fn events_of(&mut self, user_id: i64) -> Option<usize> {
        let history = self.get("/history/{user_id}", &format!("/history/{user_id}?k=1")).ok()?;
        Some(history["events"].as_array()?.len())
    }

    /// Users with a precomputed list.
    fn users(&mut self) -> Vec<i64> {
        let found = self.get("/search", &format!("/search?k={CANDIDATES}")).unwrap_or_default();
        let users = found["users"].as_array().into_iter().flatten();
        users.filter_map(|user| user["user_id"].as_i64()).collect()
    }

    /// A track with similar ones.
    fn track(&mut self) -> Option<i64> {
        let popular = self.get("/top_popular", &format!("/top_popular?k={CANDIDATES}")).unwrap_or_default();
        tracks(&popular).into_iter().find(|track_id| {
            let similar = self.get("/similar/{track_id}", &format!("/similar/{track_id}?k=1"));
            similar.is_ok_and(|answer| !tracks(&answer).is_empty())
        })
    }
}

fn tracks(answer: &Value) -> Vec<i64> {
    answer["recommendations"].as_array().into_iter().flatten().filter_map(Value::as_i64).collect()
}
