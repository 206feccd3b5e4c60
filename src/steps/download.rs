//! `download`: brings an object from S3, a web server or another folder; also what an input that is an address
//! stands for.
//!
//! The server is asked once in each run whether the object is still the same (its ETag, date and size), and
//! it is fetched when not. One that is pinned by a checksum is not asked for again.

pub(super) mod link;

use miette::Diagnostic;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::SystemTime;
use thiserror::Error;

use self::link::Link;
use crate::storage::checksum::Checksum;
use crate::storage::transfer::{self, Moved};
use crate::storage::{Address, Found, Remote, Settings};
use crate::workflow::digest::Digest;
use crate::workflow::kind::{
    ANY, Bridge, Context, InputPort, OutputPort, Outside, ParameterFault, Step, StepError,
};
use crate::workflow::values::environment_of_process;

/// Parameters of `download`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Download {
    /// The object: `https://…`, `s3://bucket/key` or `file:path`.
    url: Link,
    /// What its bytes must have: `sha256:`, `blake3:` or `md5:` and the digits. An object that is pinned like that is
    /// fetched once.
    #[serde(default)]
    checksum: Option<String>,
}

/// The object is not what it was when the step was decided on.
#[derive(Debug, Error, Diagnostic)]
#[error("`{0}` was replaced since this run looked at it")]
#[diagnostic(help("run again to take the new one"))]
struct Replaced(String);

impl Download {
    fn address(&self, environment: &BTreeMap<String, String>) -> Result<Address, StepError> {
        let checksum = self.checksum.as_deref().and_then(|text| text.parse::<Checksum>().ok());
        Ok(self.url.address(environment)?.with_checksum(checksum))
    }
}

impl Step for Download {
    const KIND: &'static str = "download";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "Brings an object from S3, a web server or a folder";
    const EXAMPLE: &'static str = "\
tracks:
  uses: download
  with: { url: https://storage.yandexcloud.net/mle-data/ym/tracks.parquet }
  outputs: { file: data/raw/tracks.parquet }
";
    const INPUTS: &'static [InputPort] = &[];
    const OUTPUTS: &'static [OutputPort] = &[OutputPort::new("file", ANY, "bin", "what was brought")];
    const BRIDGE: Option<Bridge> = Some(Bridge::In);
    const OUTSIDE: bool = true;

    fn check(&self) -> Result<(), ParameterFault> {
        let fault = |parameter| move |message: String| ParameterFault { parameter, message };
        self.url.check().map_err(fault("url"))?;
        match &self.checksum {
            Some(text) => text.parse::<Checksum>().map(drop).map_err(fault("checksum")),
            None => Ok(()),
        }
    }

    fn secrets(&self) -> BTreeMap<String, String> {
        self.url.secrets()
    }

    fn outside(&self, world: &Outside<'_>) -> Result<Option<(String, Digest)>, StepError> {
        let address = self.address(world.environment)?;
        if address.checksum().is_some() {
            return Ok(None);
        }
        let mut settings = settings(world.root);
        // The whole run waits for this answer.
        settings.attempts = settings.attempts.min(3);
        let remote = Remote::open(&address, &settings, world.stop)?;
        Ok(Some((address.to_string(), state(&remote.head()?))))
    }

    fn run(&self, ctx: &Context<'_>) -> Result<(), StepError> {
        let address = self.address(ctx.environment())?;
        let stop = || ctx.is_cancelled();
        let remote = Remote::open(&address, &settings(ctx.root()), &stop)?;
        let found = remote.head()?;
        if !found.tells_changes() && address.checksum().is_none() {
            ctx.warn(format!(
                "the server does not tell when `{address}` changes, so it is fetched in each run; pin it with `checksum:`"
            ));
        } else if ctx.outside().is_some_and(|outside| outside != state(&found)) {
            return Err(Replaced(address.to_string()).into());
        }
        let fetched = transfer::download(&transfer::Download {
            remote: &remote,
            found: &found,
            target: ctx.output("file"),
            partial: ctx.checkpoint(),
            tell: &|moved| tell(ctx, moved),
        })?;
        let verified: Vec<String> = fetched.verified.iter().map(ToString::to_string).collect();
        tracing::info!(
            bytes = fetched.size,
            resumed = fetched.resumed,
            verified = verified.join(", "),
            "fetched {address}"
        );
        ctx.metric("bytes", fetched.size as f64);
        Ok(())
    }
}

/// What the environment and `.env` say about reaching objects.
pub(super) fn settings(root: &Path) -> Settings {
    let environment = environment_of_process(root);
    Settings::from_lookup(|name| environment.get(name).cloned())
}

/// Tells how far a transfer is.
pub(super) fn tell(ctx: &Context<'_>, moved: Moved) {
    let note = match moved.left() {
        Some(left) if moved.done < moved.total.unwrap_or(0) => {
            format!("{:.1} MiB/s, {} s left", moved.rate / f64::from(1 << 20), left.as_secs())
        }
        _ => format!("{:.1} MiB/s", moved.rate / f64::from(1 << 20)),
    };
    ctx.progress(moved.done, moved.total, "bytes", note);
}

/// A digest of what the server says of an object; one that it says nothing about is another one each time.
fn state(found: &Found) -> Digest {
    let Found { etag, modified, size, .. } = found;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let nonce = (!found.tells_changes()).then_some((now, std::process::id()));
    Digest::of(format!("{etag:?} {modified:?} {size:?} {nonce:?}").as_bytes())
}
