//! The first words of the paths, and who may use them: what the front of a service knows of its routes
//! before a request reaches one.
//!
//! Metrics go by these words, so that no client can make up new series.

/// What a client must show to use a route, when keys are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Nothing: probes, pages, documentation.
    Open,
    /// A key that reads.
    Read,
    /// A key that writes.
    Write,
}

/// Some routes that begin with one word.
#[derive(Debug, PartialEq, Eq)]
pub struct Route {
    /// The word with its slash.
    pub name: &'static str,
    /// Who may use it.
    pub access: Access,
}

/// Where everything is counted that has no route.
pub const OTHER: usize = ROUTES.len() - 1;

/// Every first word; the last stands for all others.
pub const ROUTES: &[Route] = &[
    read("/recommendations"),
    read("/get_recs"),
    read("/recommendations_offline"),
    read("/recommendations_online"),
    read("/similar_tracks"),
    read("/similar"),
    read("/top_popular"),
    write("/put"),
    write("/add_event"),
    write("/events"),
    read("/get"),
    read("/get_events"),
    read("/history"),
    read("/lists"),
    read("/search"),
    read("/pipeline"),
    read("/pipeline.svg"),
    read("/evaluation"),
    read("/pictures"),
    read("/stats"),
    read("/metrics"),
    open("/"),
    open("/healthy"),
    open("/ready"),
    open("/page"),
    open("/docs"),
    open("/openapi.json"),
    read("other"),
];

/// The place in [`ROUTES`] of a path.
pub fn route_of(path: &str) -> usize {
    let word = path.get(1..).unwrap_or_default();
    let end = match word.find('/') {
        Some(0) => return OTHER,
        Some(end) => end + 1,
        None => path.len(),
    };
    ROUTES[..OTHER].iter().position(|route| route.name == &path[..end]).unwrap_or(OTHER)
}

const fn open(name: &'static str) -> Route {
    Route { name, access: Access::Open }
}

const fn read(name: &'static str) -> Route {
    Route { name, access: Access::Read }
}

const fn write(name: &'static str) -> Route {
    Route { name, access: Access::Write }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_belongs_to_its_first_word() {
        for (path, name) in [
            ("/", "/"),
            ("/recommendations", "/recommendations"),
            ("/recommendations/7/10", "/recommendations"),
            ("/recommendations_online", "/recommendations_online"),
            ("/put", "/put"),
            ("/put/", "/put"),
            ("//put", "other"),
            ("/é/x", "other"),
            ("", "other"),
            ("*", "other"),
            ("/getx", "other"),
        ] {
            assert_eq!(ROUTES[route_of(path)].name, name, "{path}");
        }
    }
}
