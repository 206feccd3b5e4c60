//! `upload`: sends files to S3, a web server or another folder; also what an output that is an address stands
//! for.
//!
//! Only what is not there yet is sent. Without a bucket the step says so and does nothing: a pipeline that ends
//! with an upload runs everywhere.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::data_type::REPORT;
use super::download::link::Link;
use super::download::{settings, tell};
use crate::codec::json;
use crate::storage::Remote;
use crate::storage::settings::BUCKET;
use crate::storage::transfer::{self, Moved, pending};
use crate::workflow::kind::{ANY, Bridge, Context, InputPort, OutputPort, ParameterFault, Step, StepError};

/// Parameters of `upload`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Upload {
    /// The folder: `s3://bucket/folder`, `https://…` or `file:path`. Nothing is sent when it is empty or its bucket
    /// is, as in `s3://{{ env.S3_BUCKET_NAME | default('') }}/` where no bucket is set.
    to: Link,
}

/// What became of one file.
#[derive(Serialize)]
struct Sent {
    address: String,
    bytes: u64,
    blake3: String,
}

/// What was uploaded.
#[derive(Serialize)]
struct Receipt {
    to: String,
    /// Why nothing was.
    skipped: Option<&'static str>,
    files: Vec<Sent>,
}

/// Why nothing was uploaded.
const NO_BUCKET: &str = "no bucket is set: S3_BUCKET_NAME is empty";

impl Step for Upload {
    const KIND: &'static str = "upload";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "Sends files to S3, a web server or a folder, as far as they are not there";
    const EXAMPLE: &'static str = "\
upload:
  uses: upload
  inputs:
    files:
      data/items.parquet: preprocess.items
      model/als_model.npz: als.model
  with: { to: \"s3://bucket/recsys\" }
";
    const INPUTS: &'static [InputPort] =
        &[InputPort::new("files", &[ANY], "files by the names that they get there, folders included").many()];
    const OUTPUTS: &'static [OutputPort] =
        &[OutputPort::new("receipt", REPORT, "json", "what is there now: addresses, sizes, digests")];
    const BRIDGE: Option<Bridge> = Some(Bridge::Out);

    fn check(&self) -> Result<(), ParameterFault> {
        if self.to.is_off() {
            return Ok(());
        }
        self.to.check().map_err(|message| ParameterFault { parameter: "to", message })
    }

    fn secrets(&self) -> BTreeMap<String, String> {
        self.to.secrets()
    }

    fn run(&self, ctx: &Context<'_>) -> Result<(), StepError> {
        let mut receipt = Receipt { to: self.to.to_string(), skipped: None, files: Vec::new() };
        if self.to.is_off() {
            ctx.summary(format!(
                "nothing was uploaded: set {BUCKET} in `.env` to switch that on (see `.env.example`)"
            ));
            receipt.skipped = Some(NO_BUCKET);
            json::write(ctx.output("receipt"), &receipt)?;
            return Ok(());
        }
        let settings = settings(ctx.root());
        let stop = || ctx.is_cancelled();
        let folder = Remote::open(&self.to.address(ctx.environment())?, &settings, &stop)?;
        let notes = ctx.lasting().join("uploads");
        let mut total = 0;
        for (_, path) in ctx.inputs("files") {
            total += std::fs::metadata(path).map_or(0, |found| found.len());
        }
        let (mut done, mut sent, mut changed) = (0, 0, 0);
        for (name, path) in ctx.inputs("files") {
            ctx.check_cancelled()?;
            let remote = folder.join(name);
            let there = transfer::upload(&transfer::Upload {
                remote: &remote,
                file: path,
                blake3: None,
                notes: &notes,
                tell: &|moved| {
                    let moved = Moved { done: done + moved.done, total: Some(total), ..moved };
                    tell(ctx, moved);
                },
            })?;
            tracing::info!(bytes = there.size, sent = there.sent, "uploaded {}", remote.address());
            done += there.size;
            sent += there.sent;
            changed += usize::from(there.sent > 0);
            let address = remote.address().to_string();
            receipt.files.push(Sent { address, bytes: there.size, blake3: there.blake3 });
        }
        for note in pending::sweep(&notes, &settings, &stop)? {
            ctx.warn(format!("an upload to `{}` that was broken off is taken back", note.address));
        }
        ctx.metric("bytes_sent", sent as f64);
        ctx.summary(format!(
            "{} files are in {}; {changed} of them had changed ({:.1} MiB sent)",
            receipt.files.len(),
            folder.address(),
            sent as f64 / f64::from(1 << 20)
        ));
        json::write(ctx.output("receipt"), &receipt)?;
        Ok(())
    }
}
