//! Uploads in parts to S3.

use aws_sdk_s3::primitives::{ByteStream, DateTime};
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use base64::Engine as _;
use bytes::Bytes;

use super::failure::failure;
use super::{BASE64, DIGEST, S3, own_key, same_as_sent};
use crate::storage::checksum::md5;
use crate::storage::error::{Failure, Kind};
use crate::storage::runtime::within;
use crate::storage::{Multipart, Part, Unfinished};

impl Multipart for S3<'_> {
    fn begin(&self, key: &str, blake3: Option<&str>) -> Result<String, Failure> {
        self.ask_briefly(async |client| {
            let request = client.create_multipart_upload().bucket(&self.bucket).key(key);
            let request = match blake3 {
                Some(digest) => request.metadata(DIGEST, digest),
                None => request,
            };
            let begun = request.send().await.map_err(failure)?;
            let no_id = || Failure::new(Kind::Broken, "the server begins an upload without an id");
            begun.upload_id().map(str::to_owned).ok_or_else(no_id)
        })
    }

    fn part(&self, key: &str, upload: &str, number: u32, bytes: Bytes) -> Result<String, Failure> {
        let sum = md5(&bytes);
        self.ask(async |client| {
            let limit = self.time_for(bytes.len());
            let request = client
                .upload_part()
                .bucket(&self.bucket)
                .key(key)
                .upload_id(upload)
                .part_number(i32::try_from(number).unwrap_or(i32::MAX))
                .content_md5(BASE64.encode(sum))
                .body(ByteStream::from(bytes));
            let send = request.customize().disable_payload_signing();
            let sent = within(limit, async { send.send().await.map_err(failure) }).await?;
            if !own_key!(sent) {
                same_as_sent(sent.e_tag(), &sum)?;
            }
            let no_etag = || Failure::new(Kind::Broken, "the server takes a part without an ETag");
            sent.e_tag().map(str::to_owned).ok_or_else(no_etag)
        })
    }

    fn parts(&self, key: &str, upload: &str) -> Result<Vec<Part>, Failure> {
        self.ask(async |client| {
            let mut parts = Vec::new();
            let mut marker: Option<String> = None;
            loop {
                let request = client.list_parts().bucket(&self.bucket).key(key).upload_id(upload);
                let request = request.set_part_number_marker(marker.take());
                let page =
                    within(self.settings.timeout, async { request.send().await.map_err(failure) }).await?;
                parts.extend(page.parts().iter().filter_map(|part| {
                    Some(Part {
                        number: u32::try_from(part.part_number()?).ok()?,
                        size: u64::try_from(part.size()?).ok()?,
                        etag: part.e_tag()?.to_owned(),
                    })
                }));
                marker = page.next_part_number_marker().map(str::to_owned);
                if marker.is_none() || page.is_truncated() != Some(true) {
                    return Ok(parts);
                }
            }
        })
    }

    fn complete(&self, key: &str, upload: &str, parts: &[Part]) -> Result<Option<String>, Failure> {
        let parts = parts.iter().map(|part| {
            let number = i32::try_from(part.number).unwrap_or(i32::MAX);
            CompletedPart::builder().part_number(number).e_tag(&part.etag).build()
        });
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts.collect())).build();
        self.ask(async |client| {
            // The server may put the parts together before it answers.
            let limit = self.settings.timeout * 10;
            let request = client.complete_multipart_upload().bucket(&self.bucket).key(key).upload_id(upload);
            let send = request.multipart_upload(parts).send();
            let done = within(limit, async { send.await.map_err(failure) }).await?;
            Ok(done.e_tag().map(str::to_owned))
        })
    }

    fn abort(&self, key: &str, upload: &str) -> Result<(), Failure> {
        let aborted = self.ask_briefly(async |client| {
            let request = client.abort_multipart_upload().bucket(&self.bucket).key(key).upload_id(upload);
            request.send().await.map_err(failure)
        });
        match aborted {
            Err(Failure { kind: Kind::NotFound, .. }) => Ok(()),
            aborted => aborted.map(drop),
        }
    }

    fn unfinished(&self, prefix: &str) -> Result<Vec<Unfinished>, Failure> {
        self.ask(async |client| {
            let mut found = Vec::new();
            let mut markers: (Option<String>, Option<String>) = (None, None);
            loop {
                let (key, upload) = std::mem::take(&mut markers);
                let request = client.list_multipart_uploads().bucket(&self.bucket).prefix(prefix);
                let request = request.set_key_marker(key).set_upload_id_marker(upload);
                let page =
                    within(self.settings.timeout, async { request.send().await.map_err(failure) }).await?;
                found.extend(page.uploads().iter().filter_map(|upload| {
                    Some(Unfinished {
                        key: upload.key()?.to_owned(),
                        upload: upload.upload_id()?.to_owned(),
                        begun: upload.initiated().map(DateTime::secs),
                    })
                }));
                markers = (
                    page.next_key_marker().map(str::to_owned),
                    page.next_upload_id_marker().map(str::to_owned),
                );
                if page.is_truncated() != Some(true) || markers.0.is_none() {
                    return Ok(found);
                }
            }
        })
    }
}
