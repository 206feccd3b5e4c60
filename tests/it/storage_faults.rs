//! Servers and networks that misbehave, with a proxy in front of a real server or with one object of its own:
//! 1. 503 SlowDown, connections reset in the middle of a part, truncated and damaged bodies: the transfer goes on,
//!    and what arrives is what was sent;
//! 2. what does not get better is told, with what to do, and leaves nothing half-done behind;
//! 3. servers without ranges, with redirects, without an answer.

use std::time::Duration;

use miette::Diagnostic;
use recsys::storage::Condition;
use recsys::storage::error::Kind;

use crate::s3_servers::{self, Bucket, moto, seaweedfs, settings};
use crate::storage::{Files, noise, unfinished};
use crate::storage_proxy::{Asked, Proxy, Trouble};

/// What S3 says when it is asked too often.
fn slow_down() -> Trouble {
    let body = "<?xml version=\"1.0\"?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>";
    Trouble::Answer(format!(
        "HTTP/1.1 503 Slow Down\r\ncontent-type: application/xml\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    ))
}

/// A file of 17 MiB goes through a proxy with this rule and comes back through another one.
fn there_and_back(
    bucket: &Bucket,
    up: impl Fn(&Asked, usize) -> Trouble + Send + Sync + 'static,
    down: impl Fn(&Asked, usize) -> Trouble + Send + Sync + 'static,
) {
    let (files, bytes) = (Files::new(), noise((17 << 20) + 5));
    let file = files.with("large", &bytes);
    let proxy = Proxy::before(bucket.endpoint(), up);
    let object = s3_servers::remote(&bucket.address("large"), &settings(&proxy.endpoint(), &[]));
    files.upload(&object, &file).unwrap();
    let direct = bucket.remote("large");
    assert!(direct.bytes(bytes.len()).unwrap().0 == bytes, "{}", bucket.server());
    let proxy = Proxy::before(bucket.endpoint(), down);
    let object = s3_servers::remote(&bucket.address("large"), &settings(&proxy.endpoint(), &[]));
    let fetched = files.download(&object, &object.head().unwrap()).unwrap();
    assert!(files.fetched() == bytes, "{}", bucket.server());
    assert_eq!(fetched.verified.len(), 1);
    assert_eq!(unfinished(bucket), 0, "{}", bucket.server());
}

#[test]
fn a_server_that_asks_to_go_slower_is_obeyed() {
    for bucket in [seaweedfs(), moto()].into_iter().flatten() {
        let rule = |_: &Asked, before: usize| if before < 2 { slow_down() } else { Trouble::None };
        there_and_back(&bucket, rule, rule);
    }
}

#[test]
fn a_connection_that_is_reset_in_the_middle_of_a_part_costs_the_rest_of_the_part() {
    let Some(bucket) = seaweedfs() else { return };
    there_and_back(
        &bucket,
        |asked, before| {
            if asked.method == "PUT" && before % 3 == 1 { Trouble::ResetRequest } else { Trouble::None }
        },
        |asked, before| match asked.range {
            Some(_) if before % 2 == 0 => Trouble::ResetAfter(1 << 20),
            _ => Trouble::None,
        },
    );
}

#[test]
fn bodies_that_end_too_early_or_are_damaged_are_noticed() {
    let Some(bucket) = seaweedfs() else { return };
    there_and_back(
        &bucket,
        |asked, before| {
            if asked.length > 1 << 20 && before == 2 { Trouble::DamageRequest } else { Trouble::None }
        },
        |asked, before| match (&asked.range, before) {
            (Some(_), 0) => Trouble::EndAfter(1 << 20),
            // Every byte counts, also where the length is right: the whole is fetched once more.
            (Some(_), 2) => Trouble::Damage,
            _ => Trouble::None,
        },
    );
}

#[test]
fn bytes_that_are_damaged_each_time_are_refused() {
    let Some(bucket) = seaweedfs() else { return };
    let files = Files::new();
    bucket.remote("x").put(noise(12 << 20), &Condition::Always).unwrap();
    let proxy = Proxy::before(bucket.endpoint(), |asked, _| match asked.range {
        Some(_) => Trouble::Damage,
        None => Trouble::None,
    });
    let object = s3_servers::remote(&bucket.address("x"), &settings(&proxy.endpoint(), &[]));
    let refused = files.download(&object, &object.head().unwrap()).unwrap_err();
    assert_eq!(refused.kind, Kind::Checksum);
    assert!(!files.path("fetched").exists() && !files.path("partial").exists());
    let file = files.with("up", &noise(12 << 20));
    let proxy = Proxy::before(bucket.endpoint(), |asked, _| match asked.length {
        0..1024 => Trouble::None,
        _ => Trouble::DamageRequest,
    });
    let object = s3_servers::remote(&bucket.address("up"), &settings(&proxy.endpoint(), &[]));
    assert_eq!(files.upload(&object, &file).unwrap_err().kind, Kind::Checksum);
    assert_eq!(unfinished(&bucket), 0, "what cannot be completed is taken back");
    assert_eq!(bucket.remote("up").find().unwrap(), None);
}

#[test]
fn an_object_that_is_replaced_under_way_is_noticed() {
    let Some(bucket) = seaweedfs() else { return };
    let files = Files::new();
    let object = bucket.remote("x");
    object.put(noise(12 << 20), &Condition::Always).unwrap();
    let before = object.head().unwrap();
    object.put(noise(12 << 20).into_iter().rev().collect::<Vec<_>>(), &Condition::Always).unwrap();
    assert_eq!(files.download(&object, &before).unwrap_err().kind, Kind::Changed);
    assert!(!files.path("fetched").exists());
}

/// A clock that is wrong by an hour, as the server sees it.
fn skewed() -> Trouble {
    let date = (chrono::Utc::now() + chrono::TimeDelta::hours(1)).format("%a, %d %b %Y %H:%M:%S GMT");
    let body = "<?xml version=\"1.0\"?><Error><Code>RequestTimeTooSkewed</Code><Message>The difference between the request time and the current time is too large.</Message></Error>";
    Trouble::Answer(format!(
        "HTTP/1.1 403 Forbidden\r\ndate: {date}\r\ncontent-type: application/xml\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    ))
}

#[test]
fn a_clock_that_is_wrong_is_corrected_by_the_server_or_told() {
    let Some(bucket) = moto() else { return };
    bucket.remote("x").put(&b"x"[..], &Condition::Always).unwrap();
    // The server's answers tell its time: the second try is signed with that.
    let proxy =
        Proxy::before(bucket.endpoint(), |_, before| if before == 0 { skewed() } else { Trouble::None });
    let object = s3_servers::remote(&bucket.address("x"), &settings(&proxy.endpoint(), &[]));
    assert_eq!(object.bytes(10).unwrap().0, b"x");
    let proxy = Proxy::before(bucket.endpoint(), |_, _| skewed());
    let object = s3_servers::remote(&bucket.address("x"), &settings(&proxy.endpoint(), &[]));
    let error = object.bytes(10).unwrap_err();
    assert_eq!(error.kind, Kind::ClockSkew);
    assert!(error.help().unwrap().to_string().contains("set the clock"), "{error}");
    assert!(error.to_string().contains(" there, ") && error.to_string().contains(" here"), "{error}");
    assert!(proxy.asked().len() <= 3, "asking on does not help");
}

#[test]
fn a_server_that_stays_busy_is_given_up_and_what_came_is_kept() {
    let Some(bucket) = seaweedfs() else { return };
    let (files, bytes) = (Files::new(), noise(25 << 20));
    files.upload(&bucket.remote("x"), &files.with("up", &bytes)).unwrap();
    let proxy = Proxy::before(bucket.endpoint(), |asked, _| {
        // The first part comes, the others never do.
        match asked.range.as_deref() {
            Some(range) if !range.starts_with("bytes=0-") => slow_down(),
            _ => Trouble::None,
        }
    });
    let few = [("RECSYS_STORAGE_ATTEMPTS", "2"), ("RECSYS_STORAGE_PARTS", "1")];
    let object = s3_servers::remote(&bucket.address("x"), &settings(&proxy.endpoint(), &few));
    let error = files.download(&object, &object.head().unwrap()).unwrap_err();
    assert_eq!(error.kind, Kind::Busy);
    assert!(error.to_string().contains("SlowDown"), "{error}");
    let direct = bucket.remote("x");
    let fetched = files.download(&direct, &direct.head().unwrap()).unwrap();
    assert_eq!(fetched.resumed, 5 << 20);
    assert!(files.fetched() == bytes);
}

#[test]
fn a_web_server_serves_ranges_resumes_and_tells_changes() {
    let (files, bytes) = (Files::new(), noise(40 << 20));
    let proxy = Proxy::of(bytes.clone(), |asked, before| match (&asked.range, before) {
        (Some(_), 0) => Trouble::ResetAfter(100_000),
        (Some(_), 1) => Trouble::EndAfter(100_000),
        _ => Trouble::None,
    });
    let object = s3_servers::remote(&format!("{}/a/x.bin?token=1", proxy.endpoint()), &settings("", &[]));
    let found = object.head().unwrap();
    let fetched = files.download(&object, &found).unwrap();
    assert!(files.fetched() == bytes && fetched.verified.is_empty());
    let ranges = proxy.asked().iter().filter(|asked| asked.range.is_some()).count();
    assert!(ranges >= 4 + 2, "{ranges} ranges");
    let other = recsys::storage::Found { etag: Some("\"another\"".to_owned()), ..found };
    assert_eq!(files.download(&object, &other).unwrap_err().kind, Kind::Changed);
}

#[test]
fn a_server_that_ignores_ranges_is_read_as_a_stream() {
    let (files, bytes) = (Files::new(), noise(20 << 20));
    let proxy = Proxy::of(bytes.clone(), |asked, before| match (&asked.range, before) {
        (Some(_), _) => Trouble::IgnoreRange,
        // The stream breaks once, and begins anew.
        (None, _) if asked.method == "GET" && before < 12 => Trouble::EndAfter(3 << 20),
        _ => Trouble::None,
    });
    let object = s3_servers::remote(
        &format!("{}/x", proxy.endpoint()),
        &settings("", &[("RECSYS_STORAGE_ATTEMPTS", "20")]),
    );
    files.download(&object, &object.head().unwrap()).unwrap();
    assert!(files.fetched() == bytes);
}

#[test]
fn redirects_are_followed_and_refusals_told() {
    let files = Files::new();
    let target = Proxy::of(noise(6 << 20), |_, _| Trouble::None);
    let answer = |status: &str, extra: String| {
        Trouble::Answer(format!("HTTP/1.1 {status}\r\n{extra}content-length: 0\r\nconnection: close\r\n\r\n"))
    };
    let location = format!("location: {}/real?signature=c0ffee\r\n", target.endpoint());
    let proxy = Proxy::of(Vec::new(), move |_, _| answer("302 Found", location.clone()));
    let object = s3_servers::remote(&format!("{}/x", proxy.endpoint()), &settings("", &[]));
    files.download(&object, &object.head().unwrap()).unwrap();
    assert!(files.fetched() == noise(6 << 20));
    for (status, kind) in
        [("404 Not Found", Kind::NotFound), ("403 Forbidden", Kind::Denied), ("410 Gone", Kind::NotFound)]
    {
        let proxy = Proxy::of(Vec::new(), move |_, _| answer(status, String::new()));
        let object =
            s3_servers::remote(&format!("{}/x?signature=c0ffee", proxy.endpoint()), &settings("", &[]));
        let error = object.head().unwrap_err();
        assert_eq!(error.kind, kind, "{error}");
        assert!(!error.to_string().contains("c0ffee"), "{error}");
    }
    let circle = Proxy::of(Vec::new(), move |asked, _| {
        answer("302 Found", format!("location: {}1\r\n", asked.target))
    });
    let object = s3_servers::remote(&format!("{}/x", circle.endpoint()), &settings("", &[]));
    assert_eq!(object.head().unwrap_err().kind, Kind::Refused);
}

#[test]
fn a_presigned_url_that_knows_only_get_is_read() {
    let (files, bytes) = (Files::new(), noise(6 << 20));
    let proxy = Proxy::of(bytes.clone(), |asked, _| match asked.method.as_str() {
        "HEAD" => Trouble::Answer(
            "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned(),
        ),
        _ => Trouble::None,
    });
    let object = s3_servers::remote(&format!("{}/x?signature=1", proxy.endpoint()), &settings("", &[]));
    let found = object.head().unwrap();
    assert_eq!(found.size, Some(6 << 20));
    files.download(&object, &found).unwrap();
    assert!(files.fetched() == bytes);
}

#[test]
fn a_server_that_falls_silent_is_left_and_a_slow_one_is_not() {
    let files = Files::new();
    let impatient = [("RECSYS_STORAGE_TIMEOUT", "1"), ("RECSYS_STORAGE_ATTEMPTS", "2")];
    let proxy = Proxy::of(noise(6 << 20), |asked, _| match asked.range {
        Some(_) => Trouble::Silence,
        None => Trouble::None,
    });
    let object = s3_servers::remote(&format!("{}/x", proxy.endpoint()), &settings("", &impatient));
    let found = object.head().unwrap();
    assert_eq!(files.download(&object, &found).unwrap_err().kind, Kind::TimedOut);
    let slow = Proxy::of(noise(6 << 20), |_, _| Trouble::Delay(Duration::from_millis(300)));
    let object = s3_servers::remote(&format!("{}/x", slow.endpoint()), &settings("", &impatient));
    files.download(&object, &object.head().unwrap()).unwrap();
}

#[test]
fn a_disk_without_room_is_told_before_anything_is_fetched() {
    let files = Files::new();
    let proxy = Proxy::of(vec![0; 10], |_, _| Trouble::None);
    let object = s3_servers::remote(&format!("{}/x", proxy.endpoint()), &settings("", &[]));
    let found = recsys::storage::Found { size: Some(1 << 60), ..object.head().unwrap() };
    proxy.forget();
    let error = files.download(&object, &found).unwrap_err();
    assert_eq!(error.kind, Kind::NoSpace);
    assert!(error.to_string().contains("MiB free"), "{error}");
    assert_eq!(proxy.asked(), []);
}
