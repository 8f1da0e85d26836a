//! Tests with scratch objects what a target supports, and compares that with its dialect's table and the configuration.

use blobfish_dialects::dialect::etag;
use blobfish_dialects::encoding::{date, hash};
use blobfish_dialects::engine::diagnosis;
use blobfish_dialects::engine::relay::parse_tag_set;
use blobfish_dialects::model::{
    ByteRange, Directive, Document, ErrorKind, Field, Operation, Part, Request, Response, ResponseField,
    Setting, Timestamp, Value,
};
use tokio::time::{Duration, sleep};

use crate::cli::doctor::asking::ProbeError;
use crate::cli::doctor::interrupt::InterruptSignal;
use crate::cli::doctor::report::Report;
use crate::cli::doctor::scratch::ScratchObjects;

/// The content of scratch objects, long enough for a range in the middle.
const SCRATCH_CONTENT: &[u8] = b"blobfish doctor was here, and deletes this object again.\n";

/// The object that the other checks use.
const SOURCE_NAME: &str = "source";

/// An ETag that does not match any content.
const OTHER_ETAG: &str = "00000000000000000000000000000000";

/// One day, in seconds: later or earlier than any modification time of a scratch object.
const DAY_SECONDS: i64 = 24 * 3600;

/// Runs the checks that write objects. The owner of the scratch objects deletes them.
pub(super) struct FeatureChecks<'a> {
    /// Where findings go.
    pub report: &'a Report,
    /// The scratch objects.
    pub scratch: &'a ScratchObjects<'a>,
    /// The buckets for which the target evaluates the conditions of copies.
    pub native_buckets: &'a [String],
    /// Interrupts by the user.
    pub interrupt: &'a InterruptSignal,
}

impl FeatureChecks<'_> {
    /// Runs the checks in order until the user interrupts them.
    ///
    /// # Errors
    /// Why the other checks were skipped.
    pub(super) async fn run_all(&self) -> Result<(), String> {
        if !self.check_put().await {
            return Err("The object could not be written.".to_owned());
        }
        let check_interrupted = || {
            if self.interrupt.is_interrupted() {
                Err("The examination was interrupted.".to_owned())
            } else {
                Ok(())
            }
        };
        check_interrupted()?;
        let Some(head) = self.check_head().await else {
            return Err("The head of the object could not be read.".to_owned());
        };
        check_interrupted()?;
        self.check_get().await;
        self.check_checksum(&head);
        check_interrupted()?;
        if self.check_copy().await {
            check_interrupted()?;
            self.check_conditions(&head).await?;
        } else {
            self.report.add_skipped("conditions", "Copies do not work.");
        }
        check_interrupted()?;
        self.check_overwrite().await;
        check_interrupted()?;
        self.check_part_copy().await;
        check_interrupted()?;
        self.check_tags().await;
        check_interrupted()
    }

    /// Builds a PutObject request for a scratch object.
    pub(super) fn build_put_request(&self, name: &str) -> Request {
        let mut request = self.scratch.build_request(Operation::PutObject, name);
        request.body_length = u64::try_from(SCRATCH_CONTENT.len()).ok();
        request
    }

    /// Writes a scratch object.
    ///
    /// # Errors
    /// [`ProbeError`].
    pub(super) async fn put_object(&self, request: &Request) -> Result<Response, ProbeError> {
        let response = self.scratch.probe.put_object(request, SCRATCH_CONTENT).await?;
        self.scratch.record_version(request, &response);
        Ok(response)
    }

    async fn copy_object(&self, request: Request) -> Result<Response, ProbeError> {
        self.copy_object_with(false, request).await
    }

    async fn copy_object_with(
        &self,
        check_conditions: bool,
        request: Request,
    ) -> Result<Response, ProbeError> {
        let response = self.scratch.probe.run_exchange_with(check_conditions, request.clone()).await?;
        self.scratch.record_version(&request, &response);
        Ok(response)
    }

    async fn check_put(&self) -> bool {
        let mut request = self.build_put_request(SOURCE_NAME);
        request.metadata = vec![("doctor".to_owned(), b"was-here".to_vec())];
        match self.put_object(&request).await {
            Ok(_) => self.report.add_ok("put", format!("Wrote {}.", self.scratch.key(SOURCE_NAME))),
            Err(error) => {
                self.report.add_problem("put", format!("PutObject failed: {error}."), advise(&error));
                return false;
            }
        }
        true
    }

    async fn check_head(&self) -> Option<Response> {
        let request = self.scratch.build_request(Operation::HeadObject, SOURCE_NAME);
        let response = match self.scratch.probe.get_object(&request).await {
            Ok((response, _)) => response,
            Err(error) => {
                self.report.add_problem("head", format!("HeadObject failed: {error}."), advise(&error));
                return None;
            }
        };
        let length = response.text(ResponseField::ContentLength).and_then(|text| text.parse().ok());
        let has_metadata =
            response.metadata.iter().any(|(name, value)| name == "doctor" && value == b"was-here");
        let has_date = response.text(ResponseField::LastModified).and_then(date::parse_http).is_some();
        let missing = [
            (length == Some(SCRATCH_CONTENT.len()), "the right length"),
            (has_metadata, "the metadata"),
            (has_date, "a date"),
            (response.text(ResponseField::Etag).is_some(), "an ETag"),
        ];
        let missing: Vec<&str> = missing.into_iter().filter(|row| !row.0).map(|row| row.1).collect();
        if missing.is_empty() {
            self.report.add_ok("head", "Length, date, ETag and metadata are correct.");
            return Some(response);
        }
        let message = format!("The response head lacks {}.", missing.join(", "));
        self.report.add_problem("head", message, "Check dialect and profile; clients would miss it too.");
        // The conditions need the date, so without one the other checks are skipped.
        has_date.then_some(response)
    }

    async fn check_get(&self) {
        let mut request = self.scratch.build_request(Operation::GetObject, SOURCE_NAME);
        let whole = self.scratch.probe.get_object(&request).await;
        // A range in the middle: a target that ignores ranges or counts them differently returns other bytes.
        request.fields.set(Field::Range, Value::ByteRange(ByteRange::Span(9, 14)));
        let part = self.scratch.probe.get_object(&request).await;
        match (whole, part) {
            (Ok((_, whole)), Ok((response, part))) => {
                if whole != SCRATCH_CONTENT {
                    let advice = "Do not use this target until the cause is known.";
                    self.report.add_problem(
                        "get",
                        "The content that was read differs from what was written.",
                        advice,
                    );
                } else if response.status != 206 || SCRATCH_CONTENT.get(9..15) != Some(&part) {
                    let advice = "Clients that read ranges get the whole object from this target.";
                    self.report.add_problem(
                        "get",
                        "The response to a range request does not contain the range.",
                        advice,
                    );
                } else {
                    self.report.add_ok("get", "The whole object and a range match what was written.");
                }
            }
            (Err(error), _) | (_, Err(error)) => {
                self.report.add_problem("get", format!("GetObject failed: {error}."), advise(&error));
            }
        }
    }

    /// Checks whether a relayed copy can be compared with its source.
    fn check_checksum(&self, head: &Response) {
        let md5 = hash::md5_hex(SCRATCH_CONTENT);
        let is_md5 = head
            .text(ResponseField::Etag)
            .map(etag::strip_quotes)
            .is_some_and(|tag| tag.eq_ignore_ascii_case(&md5));
        let crc64 = head.text(ResponseField::Crc64Ecma).is_some();
        // An ETag that looks like an MD5 counts only for targets that document it, according to the dialect's table.
        match (crc64, is_md5 && self.scratch.probe.route.target.dialect.etag_is_md5) {
            (true, _) => self.report.add_ok("checksum", "The target returns a CRC-64."),
            (false, true) => self.report.add_ok("checksum", "The ETag is the MD5 of the content."),
            (false, false) => self.report.add_warning(
                "checksum",
                "The target returns no checksum.",
                "Copies from this target to another one are compared by length only.",
            ),
        }
    }

    async fn check_copy(&self) -> bool {
        let outcome = self
            .copy_object(self.scratch.build_copy_request(Operation::CopyObject, SOURCE_NAME, "copy"))
            .await;
        if let Err(error) = outcome {
            self.report.add_problem("copy", format!("CopyObject failed: {error}."), advise(&error));
            return false;
        }
        let mut request =
            self.scratch.build_copy_request(Operation::CopyObject, SOURCE_NAME, "copy-replaced");
        request.fields.set(Field::MetadataDirective, Value::Directive(Directive::Replace));
        request.metadata = vec![("doctor".to_owned(), b"replaced".to_vec())];
        let replaced = self.copy_object(request).await;
        let (copy, other) = (self.read_metadata("copy").await, self.read_metadata("copy-replaced").await);
        match (replaced, copy.as_deref(), other.as_deref()) {
            (Err(error), ..) => {
                let message = format!("CopyObject with new metadata failed: {error}.");
                self.report.add_problem("copy", message, advise(&error));
            }
            (Ok(_), Some(b"was-here"), Some(b"replaced")) => {
                self.report
                    .add_ok("copy", "CopyObject works with the source's metadata and with new metadata.");
            }
            _ => self.report.add_problem(
                "copy",
                "The copies do not have the requested metadata.",
                "Check the profile; this target ignores the metadata directive.",
            ),
        }
        true
    }

    async fn read_metadata(&self, name: &str) -> Option<Vec<u8>> {
        let request = self.scratch.build_request(Operation::HeadObject, name);
        let (response, _) = self.scratch.probe.get_object(&request).await.ok()?;
        response.metadata.into_iter().find(|row| row.0 == "doctor").map(|row| row.1)
    }

    /// Tests each condition with a value that holds and with one that does not, and compares the results with the
    /// configuration.
    async fn check_conditions(&self, head: &Response) -> Result<(), String> {
        let mut verdicts = Vec::new();
        for field in Field::SOURCE_CONDITIONS {
            if self.interrupt.is_interrupted() {
                return Err("The examination was interrupted.".to_owned());
            }
            verdicts.push((self.find_field_name(field), self.probe_condition(field, head, false).await));
        }
        let problems = summarize_problems(&verdicts);
        let is_rejected = verdicts
            .iter()
            .all(|(_, verdict)| matches!(verdict, ConditionSupport::Honored | ConditionSupport::Unsupported));
        let target = &self.scratch.probe.route.target.name;
        if problems.is_empty() {
            let spare =
                if self.native_buckets.is_empty() { " conditions = \"native\" is possible." } else { "" };
            self.report.add_ok(
                "conditions",
                format!("The target honours all four conditions of a copy's source.{spare}"),
            );
        } else if self.native_buckets.is_empty() {
            // The configuration lets Blobfish evaluate the conditions, so only that has to work.
            let checked = self.probe_condition(Field::SourceIfMatch, head, true).await;
            match checked.describe_problem() {
                None => self.report.add_ok(
                    "conditions",
                    "The target does not honour all conditions of a copy's source; Blobfish evaluates them, as configured.",
                ),
                Some(problem) => self.report.add_problem(
                    "conditions",
                    format!("Also with conditions = \"check\": {problem}."),
                    "Clients must not rely on conditions at this target.",
                ),
            }
        } else {
            let buckets = self.native_buckets.join(", ");
            let advice = format!(
                "Set conditions = \"check\" on the buckets at {target} that have \"native\": {buckets}."
            );
            // A rejected condition is visible to the client. An ignored one may overwrite data, so it is a problem.
            let add_verdict = if is_rejected { Report::add_warning } else { Report::add_problem };
            add_verdict(self.report, "conditions", problems.join(" "), advice);
        }
        Ok(())
    }

    /// The header name of a field in the target's dialect.
    fn find_field_name(&self, field: Field) -> String {
        let name = (self.scratch.probe.route.target.dialect.field_name)(field);
        name.map_or_else(|| field.name(), |name| name.as_str().to_owned())
    }

    async fn probe_condition(
        &self,
        field: Field,
        head: &Response,
        check_conditions: bool,
    ) -> ConditionSupport {
        let tag = head.text(ResponseField::Etag).map(etag::strip_quotes).unwrap_or_default().to_owned();
        let modified = head.text(ResponseField::LastModified).and_then(date::parse_http).map_or(0, |at| at.0);
        let (own, other) = (Value::Etags(vec![tag]), Value::Etags(vec![OTHER_ETAG.to_owned()]));
        let time_at = |seconds: i64| Value::Time(Timestamp(modified.saturating_add(seconds)));
        let (holds, fails) = match field {
            Field::SourceIfMatch => (own, other),
            Field::SourceIfNoneMatch => (other, own),
            Field::SourceIfUnmodifiedSince => (time_at(DAY_SECONDS), time_at(-DAY_SECONDS)),
            _ => (time_at(-DAY_SECONDS), time_at(0)),
        };
        let send_copy = async |value: Value| {
            let mut request =
                self.scratch.build_copy_request(Operation::CopyObject, SOURCE_NAME, "copy-on-condition");
            request.fields.set(field, value);
            self.copy_object_with(check_conditions, request).await
        };
        self.judge_condition(send_copy(holds).await, async || {
            let failed = send_copy(fails).await;
            if failed.is_err() || field != Field::SourceIfModifiedSince {
                return failed;
            }
            // HTTP dates have whole seconds. A store with finer timestamps may have modified the object later in the
            // same second, so the condition may hold for the date of the object itself.
            sleep(Duration::from_secs(2)).await;
            send_copy(time_at(1)).await
        })
        .await
    }

    /// Determines how a target handles a condition, from a request in which the condition holds and one in which it does not.
    async fn judge_condition(
        &self,
        holds: Result<Response, ProbeError>,
        fails: impl AsyncFnOnce() -> Result<Response, ProbeError>,
    ) -> ConditionSupport {
        match holds {
            Ok(_) => {}
            Err(ProbeError::Unsupported(_)) => return ConditionSupport::Unsupported,
            Err(error) => return ConditionSupport::Rejected(error.to_string()),
        }
        // Only meaningful after the request with a condition that holds: a target that rejects every condition would look
        // as if it honoured them.
        match fails().await {
            Ok(_) => ConditionSupport::Ignored,
            Err(error) => match error.error_kind() {
                Some(ErrorKind::PreconditionFailed | ErrorKind::NotModified | ErrorKind::ObjectExists) => {
                    ConditionSupport::Honored
                }
                _ => ConditionSupport::Rejected(error.to_string()),
            },
        }
    }

    /// Checks conditional writes: one that must not overwrite, and one that may replace only a certain ETag.
    async fn check_overwrite(&self) {
        let verdicts = [
            (self.find_field_name(Field::ForbidOverwrite), self.probe_forbid_overwrite().await),
            (self.find_field_name(Field::OverwriteIfMatch), self.probe_overwrite_if_match().await),
        ];
        let problems = summarize_problems(
            verdicts.iter().filter(|(_, verdict)| !matches!(verdict, ConditionSupport::Unsupported)),
        );
        let honored: Vec<&str> = verdicts
            .iter()
            .filter(|(_, one)| matches!(one, ConditionSupport::Honored))
            .map(|(name, _)| name.as_str())
            .collect();
        if !problems.is_empty() {
            self.report.add_problem(
                "overwrite",
                problems.join(" "),
                "Clients must not rely on conditional writes at this target.",
            );
        } else if honored.is_empty() {
            self.report.add_warning(
                "overwrite",
                "The target's dialect has no conditional writes.",
                "Clients that use them get 501.",
            );
        } else {
            let rest = if honored.len() < verdicts.len() {
                " The dialect does not have the others; clients get 501."
            } else {
                ""
            };
            self.report
                .add_ok("overwrite", format!("Conditional writes work: {}.{rest}", honored.join(", ")));
        }
    }

    async fn probe_forbid_overwrite(&self) -> ConditionSupport {
        let mut fresh = self.build_put_request("written-once");
        fresh.fields.set(Field::ForbidOverwrite, Value::Flag);
        let first = self.put_object(&fresh).await;
        self.judge_condition(first, async || self.put_object(&fresh).await).await
    }

    /// Writes an object twice, with a matching and with another ETag.
    async fn probe_overwrite_if_match(&self) -> ConditionSupport {
        let build_conditional_put = |tag: String| {
            let mut request = self.build_put_request("swapped");
            request.fields.set(Field::OverwriteIfMatch, Value::Etags(vec![tag]));
            request
        };
        let tag = match self.put_object(&self.build_put_request("swapped")).await {
            Ok(response) => {
                response.text(ResponseField::Etag).map(etag::strip_quotes).unwrap_or_default().to_owned()
            }
            Err(error) => return ConditionSupport::Rejected(error.to_string()),
        };
        let first = self.put_object(&build_conditional_put(tag)).await;
        self.judge_condition(first, async || {
            self.put_object(&build_conditional_put(OTHER_ETAG.to_owned())).await
        })
        .await
    }

    async fn check_part_copy(&self) {
        match self.copy_in_parts().await {
            Ok(()) => self.report.add_ok("part copy", "A multipart upload from a copied part works."),
            Err(error) => {
                let message = format!("A multipart upload from a copied part failed: {error}.");
                self.report.add_problem("part copy", message, advise(&error));
            }
        }
    }

    async fn copy_in_parts(&self) -> Result<(), ProbeError> {
        const NAME: &str = "copy-in-parts";
        let new_unverified =
            || ProbeError::Unverified("the target returned an unexpected document".to_owned());
        let probe = self.scratch.probe;
        let create = self.scratch.build_request(Operation::CreateMultipartUpload, NAME);
        let created = probe.run_exchange(create).await?;
        let Some(Document::Initiated { upload_id, .. }) = created.document else {
            return Err(new_unverified());
        };
        self.scratch.record_upload(NAME, &upload_id);
        let mut part = self.scratch.build_copy_request(Operation::UploadPartCopy, SOURCE_NAME, NAME);
        part.fields.set(Field::UploadId, Value::Text(upload_id.clone()));
        part.fields.set(Field::PartNumber, Value::Number(1));
        let copied = probe.run_exchange(part).await?;
        let Some(Document::CopyPart(result)) = copied.document else { return Err(new_unverified()) };
        let mut complete = self.scratch.build_request(Operation::CompleteMultipartUpload, NAME);
        complete.fields.set(Field::UploadId, Value::Text(upload_id));
        complete.parts = vec![Part::new(1, result.etag)];
        let response = probe.run_exchange(complete.clone()).await?;
        self.scratch.record_version(&complete, &response);
        let (_, body) = probe.get_object(&self.scratch.build_request(Operation::GetObject, NAME)).await?;
        let new_mismatch =
            || ProbeError::Unverified("the content of the copy differs from its source".to_owned());
        if body == SCRATCH_CONTENT { Ok(()) } else { Err(new_mismatch()) }
    }

    async fn check_tags(&self) {
        let wanted = vec![("doctor".to_owned(), "was here".to_owned())];
        let mut request = self.build_put_request("tagged");
        request.fields.set(Field::Tagging, Value::Tags(wanted.clone()));
        let outcome = match self.put_object(&request).await {
            Ok(_) => {
                let get = Operation::Get(Setting::ObjectTagging);
                self.scratch.probe.run_exchange(self.scratch.build_request(get, "tagged")).await
            }
            Err(error) => Err(error),
        };
        match outcome {
            Ok(Response { document: Some(Document::Setting(_, tree)), .. })
                if parse_tag_set(&tree) == wanted =>
            {
                self.report.add_ok("tags", "The target keeps the tags of an object.");
            }
            Ok(_) => self.report.add_problem(
                "tags",
                "The target accepted tags but did not store them.",
                                "Clients must not rely on tags at this target.",
            ),
            Err(error) => self.report.add_warning(
                "tags",
                format!("Tags do not work: {error}."),
                "Clients that set tags get the same error; allow the access key to set tags, or do not use them.",
            ),
        }
    }
}

/// How a target handles a condition.
#[derive(Debug)]
enum ConditionSupport {
    /// The target honours it.
    Honored,
    /// The target ignores it.
    Ignored,
    /// The target rejects the request although the condition holds, or returns an unexpected error.
    Rejected(String),
    /// The target's dialect does not have it.
    Unsupported,
}

impl ConditionSupport {
    /// Describes the problem, if there is one.
    fn describe_problem(&self) -> Option<String> {
        match self {
            Self::Honored => None,
            Self::Ignored => Some("the target ignores the condition".to_owned()),
            Self::Rejected(why) => Some(why.clone()),
            Self::Unsupported => Some(
                "the target's dialect does not have this condition, and copies with it are rejected"
                    .to_owned(),
            ),
        }
    }
}

/// Summarizes the problems: each one once, with the names of all conditions that have it.
fn summarize_problems<'v>(verdicts: impl IntoIterator<Item = &'v (String, ConditionSupport)>) -> Vec<String> {
    let mut problems: Vec<(Vec<&str>, String)> = Vec::new();
    for (name, verdict) in verdicts {
        let Some(why) = verdict.describe_problem() else { continue };
        match problems.iter_mut().find(|row| row.1 == why) {
            Some(row) => row.0.push(name),
            None => problems.push((vec![name], why)),
        }
    }
    problems.into_iter().map(|(names, why)| format!("{}: {why}.", names.join(", "))).collect()
}

/// Checks the versioning of the bucket, which determines how scratch objects are deleted.
pub(super) async fn check_versioning(report: &Report, scratch: &ScratchObjects<'_>, bucket: &str) {
    let request = Request::for_bucket(Operation::Get(Setting::Versioning), bucket);
    match scratch.probe.run_exchange(request).await.map(|response| diagnosis::read_versioning(&response)) {
        Ok(None) => report.add_ok("versioning", "Never enabled."),
        Ok(Some(on)) => {
            scratch.is_versioned.set(true);
            report.add_ok("versioning", if on { "Enabled." } else { "Suspended." });
        }
        Err(error) => report.add_warning(
            "versioning",
            format!("The versioning status cannot be read: {error}."),
            "If clients read the bucket's versioning, allow the access key to read it.",
        ),
    }
}

fn advise(error: &ProbeError) -> &'static str {
    match error.error_kind() {
        Some(ErrorKind::AccessDenied) => {
            "Allow the access key to read, write and delete objects in this bucket."
        }
        Some(ErrorKind::NotImplemented | ErrorKind::MethodNotAllowed) => {
            "Check the profile; the target does not support this."
        }
        Some(_) => "Look up the error code in the vendor's documentation; clients get the same error.",
        None => "Check the target's log, and the network between.",
    }
}
