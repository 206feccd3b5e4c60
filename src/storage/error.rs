//! What goes wrong with objects far away, in words that say what to do.
//!
//! A [`Failure`] is about one request and knows whether trying again can help. A [`StorageError`] is what
//! people see: it names the object (without secrets), what was tried and the next action.

use std::fmt;
use std::time::Duration;

use miette::Diagnostic;
use thiserror::Error;

use super::address::without_secrets;

/// What kind of trouble a request met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// There is no such object.
    NotFound,
    /// There is no such bucket.
    NoBucket,
    /// No keys were found.
    NoKeys,
    /// The server does not know the key.
    UnknownKey,
    /// The secret does not belong to the key.
    WrongSecret,
    /// The key is known and may not do this.
    Denied,
    /// The clocks of this machine and of the server differ too much.
    ClockSkew,
    /// The bucket lives in another region.
    WrongRegion,
    /// What was asked for as a condition does not hold.
    Condition,
    /// The object is not what it was when the transfer began.
    Changed,
    /// The server asks to go slower, or is out of order for the moment.
    Busy,
    /// Nobody answers at the address.
    Unreachable,
    /// The server fell silent.
    TimedOut,
    /// The connection broke, or fewer bytes came than were announced.
    Broken,
    /// What the server answers cannot be understood.
    Garbled,
    /// The bytes do not have the checksum that they should have.
    Checksum,
    /// The server answers a range with the whole.
    NoRanges,
    /// The server cannot do this at all.
    Unsupported,
    /// The server refused for another reason.
    Refused,
    /// There is no room for the object.
    NoSpace,
    /// A file could not be read or written.
    Disk,
    /// The run was stopped.
    Stopped,
}

impl Kind {
    /// Whether the same request can go well a moment later.
    pub fn is_transient(self) -> bool {
        matches!(
            self,
            Self::Busy | Self::Unreachable | Self::TimedOut | Self::Broken | Self::Checksum | Self::ClockSkew
        )
    }

    /// Whether the network, and not the request, is to blame.
    pub fn is_about_the_connection(self) -> bool {
        matches!(self, Self::Busy | Self::Unreachable | Self::TimedOut | Self::Broken)
    }

    fn help(self) -> &'static str {
        match self {
            Self::NotFound => "check the address: the name of the bucket, the key and its capitals",
            Self::NoBucket => {
                "check the name of the bucket and the endpoint (`S3_ENDPOINT_URL`), or make the bucket"
            }
            Self::NoKeys => {
                "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, in the environment or in `.env` (see `.env.example`)"
            }
            Self::UnknownKey => {
                "AWS_ACCESS_KEY_ID is not known to this server: check it, and that `S3_ENDPOINT_URL` is the server it is from"
            }
            Self::WrongSecret => {
                "AWS_SECRET_ACCESS_KEY does not belong to AWS_ACCESS_KEY_ID: check both for lost or extra signs"
            }
            Self::Denied => {
                "the server knows the key and refuses this: ask the owner of the bucket for the permission, or check that a presigned URL has not expired; `recsys storage check` tells what is missing"
            }
            Self::ClockSkew => "set the clock of this machine (`timedatectl set-ntp true`), then run again",
            Self::WrongRegion => "set AWS_REGION to the region of the bucket",
            Self::Condition => "somebody else was quicker: look at what is there now",
            Self::Changed => "somebody replaces the object: run again to take the new one",
            Self::Busy => {
                "the server is overloaded: run again later, or lower RECSYS_STORAGE_PARTS; what has arrived is kept"
            }
            Self::Unreachable => {
                "check the network, the name of the host and `S3_ENDPOINT_URL`; `--skip-download` goes on with the local copies"
            }
            Self::TimedOut => {
                "check the network, or raise RECSYS_STORAGE_TIMEOUT (seconds of silence); what has arrived is kept: run again to go on"
            }
            Self::Broken => "check the network; what has arrived is kept: run again to go on",
            Self::Checksum => {
                "the bytes were damaged on their way, or are not those that were asked for: compare the checksum with what the publisher says"
            }
            Self::Garbled => "the server does not speak as S3 does: check `S3_ENDPOINT_URL`",
            Self::NoRanges | Self::Unsupported => {
                "this server cannot do that: use another one, or another kind of address"
            }
            Self::Refused => "the reason above is what the server said; mend that and run again",
            Self::NoSpace => "free some space on this disk and run again; what has arrived is kept",
            Self::Disk => "the reason above is what the operating system said; mend that and run again",
            Self::Stopped => "run again to go on where it stopped",
        }
    }
}

/// Why one request failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What kind of trouble.
    pub kind: Kind,
    /// What the server or the system said, without secrets.
    pub message: String,
    /// How long the server asks to wait.
    pub retry_after: Option<Duration>,
}

impl Failure {
    /// A failure of this kind.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: without_secrets(&message.into()), retry_after: None }
    }

    /// The run was stopped.
    pub fn stopped() -> Self {
        Self::new(Kind::Stopped, "stopped before it was done")
    }

    /// For `map_err` after a system call about `what`.
    pub fn disk(what: impl fmt::Display) -> impl FnOnce(std::io::Error) -> Self {
        move |error| {
            let kind = match error.kind() {
                std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Kind::NoSpace,
                _ => Kind::Disk,
            };
            Self::new(kind, format!("{what}: {error}"))
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Something that was to be done with an object was not done.
#[derive(Debug, Clone, PartialEq, Eq, Error, Diagnostic)]
#[error("cannot {action} `{address}`: {message}")]
#[diagnostic(code(recsys::storage), help("{}", .kind.help()))]
pub struct StorageError {
    /// What kind of trouble.
    pub kind: Kind,
    action: &'static str,
    address: String,
    message: String,
}

impl StorageError {
    /// For `map_err` after trying to `action` an object at `address`.
    pub fn new<A: fmt::Display>(action: &'static str, address: A) -> impl FnOnce(Failure) -> Self {
        move |failure| Self {
            kind: failure.kind,
            action,
            address: address.to_string(),
            message: failure.message,
        }
    }
}
