//! Layouts: which service of a file answers what, on which port, and how it is reached.
//!
//! A file without `services` is one service that answers everything. With them, one process hosts
//! all, or those that are named when it starts; what it does not host it asks for by URL.

use std::fmt;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::service::{Artifacts, Service, port};

/// What a service can answer: groups of routes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    /// Final recommendations: offline and online blended.
    Final,
    /// Precomputed lists.
    Offline,
    /// Recommendations from the last events.
    Online,
    /// Similar tracks.
    Similar,
    /// Popular tracks.
    Popular,
    /// Adding and reading events.
    Events,
}

impl Resource {
    /// Every resource.
    pub const ALL: [Self; 6] =
        [Self::Final, Self::Offline, Self::Online, Self::Similar, Self::Popular, Self::Events];

    /// Its name in service files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Final => "final",
            Self::Offline => "offline",
            Self::Online => "online",
            Self::Similar => "similar",
            Self::Popular => "popular",
            Self::Events => "events",
        }
    }

    /// What it is made of, beside the popular tracks.
    fn needs(self) -> &'static [Self] {
        match self {
            Self::Final => &[Self::Offline, Self::Similar, Self::Events],
            Self::Online => &[Self::Similar, Self::Events],
            _ => &[],
        }
    }
}

/// A service of a layout as written.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Its name: the key.
    #[serde(skip)]
    pub name: String,
    /// The address to listen on, in place of the file's.
    #[serde(default)]
    pub host: Option<String>,
    /// The port to listen on; 0 takes a free one.
    #[serde(deserialize_with = "port")]
    pub port: u16,
    /// What it answers.
    pub answers: Vec<Resource>,
    /// Where other services reach it, `http://host:port`; by default its host and port.
    #[serde(default, deserialize_with = "url")]
    pub url: Option<String>,
}

impl Member {
    /// Where other services reach it.
    fn reached_at(&self, host: &str) -> String {
        let own = || {
            let host = match self.host.as_deref().unwrap_or(host) {
                "0.0.0.0" => "127.0.0.1",
                "::" => "[::1]",
                host => host,
            };
            format!("http://{host}:{}", self.port)
        };
        self.url.clone().unwrap_or_else(own)
    }
}

/// A service that is asked for and is not in the layout.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, miette::Diagnostic)]
#[error("there is no service `{name}` in this layout")]
#[diagnostic(help("{}", help(names)))]
pub struct UnknownService {
    /// What was asked for.
    pub name: String,
    /// What there is.
    pub names: Vec<String>,
}

/// One port is given for several services.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, miette::Diagnostic)]
#[error("one port cannot be given to {} services: {}", names.len(), names.join(", "))]
#[diagnostic(help("say with --only which one is meant, or change the ports in the file"))]
pub struct ManyPorts {
    /// The services.
    pub names: Vec<String>,
}

fn help(names: &[String]) -> String {
    if names.is_empty() {
        "the file has no `services`: start it without --only".to_owned()
    } else {
        format!("its services are {}", names.join(", "))
    }
}

impl Service {
    /// The same, with only these services of the layout in this process.
    ///
    /// # Errors
    /// When one of them is not in the layout.
    pub fn only(mut self, names: &[String]) -> Result<Self, UnknownService> {
        let all = || self.services.iter().map(|member| member.name.clone());
        if let Some(name) = names.iter().find(|name| !all().any(|other| other == **name)) {
            return Err(UnknownService { name: name.clone(), names: all().collect() });
        }
        self.hosted = names.to_vec();
        let answers = |resource| self.answers(resource);
        let needs = |resource, by: &[Resource]| answers(resource) || by.iter().any(|&by| answers(by));
        let artifacts = Artifacts {
            without_recommendations: !answers(Resource::Offline),
            without_similar: !answers(Resource::Similar),
            without_top_popular: !needs(Resource::Popular, &[Resource::Final, Resource::Offline]),
            ..self.artifacts
        };
        Ok(Self { artifacts, ..self })
    }

    /// The same, listening elsewhere; a port can be given to one service only.
    ///
    /// # Errors
    /// When a port is given to a layout with several.
    pub fn listening(mut self, host: Option<String>, port: Option<u16>) -> Result<Self, ManyPorts> {
        let hosted: Vec<String> = self.members().into_iter().map(|member| member.name).collect();
        if port.is_some() && hosted.len() > 1 {
            return Err(ManyPorts { names: hosted });
        }
        for member in self.services.iter_mut().filter(|member| hosted.contains(&member.name)) {
            member.host = host.clone().or(member.host.take());
            member.port = port.unwrap_or(member.port);
        }
        self.host = host.unwrap_or(self.host);
        self.port = port.unwrap_or(self.port);
        Ok(self)
    }

    /// The services of this process.
    pub fn members(&self) -> Vec<Member> {
        if self.services.is_empty() {
            let Self { host, port, .. } = self;
            let (name, host, answers) = ("recsys".to_owned(), Some(host.clone()), Resource::ALL.to_vec());
            return vec![Member { name, host, port: *port, answers, url: None }];
        }
        let is_hosted = |member: &&Member| self.hosted.is_empty() || self.hosted.contains(&member.name);
        self.services.iter().filter(is_hosted).cloned().collect()
    }

    /// Whether this process answers a resource.
    pub fn answers(&self, resource: Resource) -> bool {
        self.members().iter().any(|member| member.answers.contains(&resource))
    }

    /// The service that this process must ask for a resource; none when it need not ask.
    pub fn peer(&self, resource: Resource) -> Option<String> {
        let is_needed = Resource::ALL.iter().any(|&by| by.needs().contains(&resource) && self.answers(by));
        if !is_needed || self.answers(resource) {
            return None;
        }
        let member = self.services.iter().find(|member| member.answers.contains(&resource))?;
        Some(member.reached_at(&self.host))
    }
}

/// Reads the services and checks that each resource has one place and finds what it needs.
pub(super) fn services<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Member>, D::Error> {
    struct Members;

    impl<'de> Visitor<'de> for Members {
        type Value = Vec<Member>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("services by name")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vec<Member>, A::Error> {
            let mut members = Vec::new();
            while let Some(name) = map.next_key::<String>()? {
                members.push(Member { name, ..map.next_value()? });
            }
            Ok(members)
        }
    }

    let members = deserializer.deserialize_map(Members)?;
    match fault(&members) {
        Some(fault) => Err(D::Error::custom(fault)),
        None => Ok(members),
    }
}

fn fault(members: &[Member]) -> Option<String> {
    let owner = |resource| members.iter().find(|member| member.answers.contains(&resource));
    for (position, member) in members.iter().enumerate() {
        let Member { name, port, host, answers, .. } = member;
        if answers.is_empty() {
            return Some(format!("expected `answers` of `{name}` to name something, found nothing"));
        }
        let same_door = |other: &&Member| *port != 0 && other.port == *port && other.host == *host;
        if let Some(other) = members[..position].iter().find(same_door) {
            return Some(format!(
                "expected ports that differ, found {port} for `{}` and `{name}`",
                other.name
            ));
        }
        for &resource in answers {
            let twice = answers.iter().filter(|&&other| other == resource).count() > 1;
            let other = owner(resource).filter(|owner| owner.name != *name || twice);
            let resource_name = resource.name();
            if let Some(other) = other {
                let other = &other.name;
                return Some(format!(
                    "expected one service to answer `{resource_name}`, found `{other}` and `{name}`"
                ));
            }
            if let Some(need) = resource.needs().iter().find(|&&need| owner(need).is_none()) {
                return Some(format!(
                    "expected a service that answers `{}`, which `{resource_name}` of `{name}` needs",
                    need.name()
                ));
            }
        }
    }
    None
}

fn url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let Some(url) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
    let parsed = url.parse::<axum::http::Uri>().ok();
    let is_base = parsed.is_some_and(|uri| {
        uri.scheme_str() == Some("http") && uri.host().is_some() && matches!(uri.path(), "" | "/")
    });
    if !is_base {
        return Err(D::Error::custom(format_args!("expected http://host:port, found `{url}`")));
    }
    Ok(Some(url.trim_end_matches('/').to_owned()))
}
