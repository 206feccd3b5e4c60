//! What a service counts, and how it tells Prometheus.
//!
//! A request touches a handful of atomic counters and nothing else; text is made only when it is
//! asked for. Series are fixed when the program is compiled: no request can make a new one.

use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::routes::ROUTES;

/// Upper bounds of the buckets of latencies, in microseconds.
const BOUNDS_US: [u64; 15] = [
    100, 250, 500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    10_000_000,
];
const CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];

/// Why a request was turned away before its handler saw it, or taken from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The artifacts are being read.
    Loading,
    /// Too many requests are in work.
    Overload,
    /// No key, or a wrong one.
    Unauthorized,
    /// The query or the body is too long.
    TooLong,
    /// It took longer than a request may.
    Timeout,
}

const REFUSALS: [&str; 5] = ["loading", "overload", "unauthorized", "too_long", "timeout"];

/// Counters of a process.
#[derive(Debug)]
pub struct Metrics {
    routes: [RouteMetrics; ROUTES.len()],
    refused: [AtomicU64; REFUSALS.len()],
    /// Requests in work.
    pub in_work: AtomicUsize,
    /// Open connections.
    pub connections: AtomicUsize,
    started: SystemTime,
}

#[derive(Debug, Default)]
struct RouteMetrics {
    by_class: [AtomicU64; CLASSES.len()],
    latency: Histogram,
}

/// How long something took, how often.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [AtomicU64; BOUNDS_US.len() + 1],
    sum_ns: AtomicU64,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            routes: std::array::from_fn(|_| RouteMetrics::default()),
            refused: Default::default(),
            in_work: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
            started: SystemTime::now(),
        }
    }
}

impl Metrics {
    /// Counts a request of a route of [`ROUTES`].
    pub fn answered(&self, route: usize, status: u16, took: Duration) {
        let Some(of_route) = self.routes.get(route) else { return };
        let class = usize::from(status / 100).clamp(2, 5) - 2;
        of_route.by_class[class].fetch_add(1, Relaxed);
        of_route.latency.observe(took);
    }

    /// Counts a request that was turned away.
    pub fn refused(&self, refusal: Refusal) {
        self.refused[refusal as usize].fetch_add(1, Relaxed);
    }

    /// Everything in the text format of Prometheus.
    pub fn write(&self, page: &mut Page) {
        page.family("recsys_requests_total", "counter", "Requests by route and class of status.");
        for (route, metrics) in ROUTES.iter().zip(&self.routes) {
            for (class, count) in CLASSES.iter().zip(&metrics.by_class) {
                let count = count.load(Relaxed);
                if count > 0 {
                    page.sample(&[("route", route.name), ("status", class)], count);
                }
            }
        }
        let help = "How long requests took, by route.";
        page.family("recsys_request_duration_seconds", "histogram", help);
        for (route, metrics) in ROUTES.iter().zip(&self.routes) {
            metrics.latency.write(page, &[("route", route.name)]);
        }
        page.family(
            "recsys_requests_refused_total",
            "counter",
            "Requests that no handler answered, by reason.",
        );
        for (reason, count) in REFUSALS.iter().zip(&self.refused) {
            page.sample(&[("reason", reason)], count.load(Relaxed));
        }
        page.one("recsys_requests_in_work", "gauge", "Requests in work.", self.in_work.load(Relaxed));
        page.one("recsys_connections", "gauge", "Open connections.", self.connections.load(Relaxed));
        let started = self.started.duration_since(UNIX_EPOCH).unwrap_or_default();
        let help = "When the process started, in seconds since 1970.";
        page.one("process_start_time_seconds", "gauge", help, started.as_secs_f64());
        if let Some(bytes) = resident_bytes() {
            page.one("process_resident_memory_bytes", "gauge", "Resident memory.", bytes);
        }
    }
}

impl Histogram {
    /// Counts a duration.
    pub fn observe(&self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS_US.iter().position(|&bound| us <= bound).unwrap_or(BOUNDS_US.len());
        self.buckets[bucket].fetch_add(1, Relaxed);
        self.sum_ns.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Relaxed);
    }

    /// Its samples, when anything was counted; the family is announced before.
    pub fn write(&self, page: &mut Page, labels: &[(&str, &str)]) {
        let counts = self.buckets.each_ref().map(|count| count.load(Relaxed));
        let total: u64 = counts.iter().sum();
        if total == 0 {
            return;
        }
        let mut so_far = 0;
        for (count, bound) in counts.iter().zip(BOUNDS_US) {
            so_far += count;
            let bound = (bound as f64 / 1e6).to_string();
            page.part("_bucket", &[labels, &[("le", &bound)]].concat(), so_far);
        }
        page.part("_bucket", &[labels, &[("le", "+Inf")]].concat(), total);
        page.part("_sum", labels, self.sum_ns.load(Relaxed) as f64 / 1e9);
        page.part("_count", labels, total);
    }
}

/// A page of metrics while it is written.
#[derive(Debug, Default)]
pub struct Page {
    text: String,
    family: &'static str,
}

impl Page {
    /// Begins a metric.
    pub fn family(&mut self, name: &'static str, kind: &str, help: &str) {
        self.family = name;
        let _ = write!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    /// A metric with one sample.
    pub fn one(&mut self, name: &'static str, kind: &str, help: &str, value: impl fmt::Display) {
        self.family(name, kind, help);
        self.sample(&[], value);
    }

    /// A sample of the metric that was begun; no label needs escaping, all are names of this program.
    pub fn sample(&mut self, labels: &[(&str, &str)], value: impl fmt::Display) {
        self.part("", labels, value);
    }

    fn part(&mut self, suffix: &str, labels: &[(&str, &str)], value: impl fmt::Display) {
        let _ = write!(self.text, "{}{suffix}", self.family);
        for (position, (name, text)) in labels.iter().enumerate() {
            let before = if position == 0 { '{' } else { ',' };
            let _ = write!(self.text, "{before}{name}=\"{text}\"");
        }
        let end = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.text, "{end} {value}");
    }

    /// The text of the page.
    pub fn into_text(self) -> String {
        self.text
    }
}

/// What the process has in memory, where Linux tells.
fn resident_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split(' ').nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::routes::route_of;

    #[test]
    fn requests_are_counted_by_route_class_and_time() {
        let metrics = Metrics::default();
        metrics.answered(route_of("/get_recs"), 200, Duration::from_micros(100));
        metrics.answered(route_of("/get_recs"), 422, Duration::from_micros(101));
        metrics.answered(route_of("/get_recs"), 200, Duration::from_secs(60));
        metrics.answered(route_of("/no/such"), 404, Duration::ZERO);
        metrics.refused(Refusal::Timeout);
        let mut page = Page::default();
        metrics.write(&mut page);
        let text = page.into_text();
        for line in [
            "# TYPE recsys_requests_total counter",
            "recsys_requests_total{route=\"/get_recs\",status=\"2xx\"} 2",
            "recsys_requests_total{route=\"/get_recs\",status=\"4xx\"} 1",
            "recsys_requests_total{route=\"other\",status=\"4xx\"} 1",
            "recsys_request_duration_seconds_bucket{route=\"/get_recs\",le=\"0.0001\"} 1",
            "recsys_request_duration_seconds_bucket{route=\"/get_recs\",le=\"0.00025\"} 2",
            "recsys_request_duration_seconds_bucket{route=\"/get_recs\",le=\"10\"} 2",
            "recsys_request_duration_seconds_bucket{route=\"/get_recs\",le=\"+Inf\"} 3",
            "recsys_request_duration_seconds_count{route=\"/get_recs\"} 3",
            "recsys_requests_refused_total{reason=\"timeout\"} 1",
            "recsys_requests_refused_total{reason=\"overload\"} 0",
        ] {
            assert!(text.lines().any(|other| other == line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("route=\"/put\""), "what was never asked for takes no room");
    }
}
