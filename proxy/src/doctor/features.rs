//! What a target really does with objects, tried on scratch objects, beside what its dialect's table and the
//! configuration say of it.

use blobfish_dialects::engine::diagnosis;
use blobfish_dialects::engine::etag;
use blobfish_dialects::engine::relay::tags_of;
use blobfish_dialects::model::{
    ByteRange, Directive, Document, Fault, Field, Operation, Part, Reply, Request, Setting, Timestamp, Told,
    Value,
};
use blobfish_dialects::wire::{date, hash};
use tokio::time::{Duration, sleep};

use crate::doctor::Stop;
use crate::doctor::asking::Trouble;
use crate::doctor::limits;
use crate::doctor::report::Report;
use crate::doctor::scratch::Scratch;

/// What is written. Long enough for a range in the middle.
const CONTENT: &[u8] = b"blobfish doctor was here, and deletes this object again.\n";

/// The object that everything else is tried with.
const SOURCE: &str = "source";

/// An ETag that no content has.
const OTHER_ETAG: &str = "00000000000000000000000000000000";

/// Before and after any date that a scratch object can have, seconds.
const DAY: i64 = 24 * 3600;

/// Tries everything. What is made is deleted by whoever holds the scratch.
pub struct Features<'a> {
    /// Where findings go.
    pub report: &'a Report,
    /// The scratch objects.
    pub scratch: &'a Scratch<'a>,
    /// The buckets whose copies' conditions the configuration leaves to the target.
    pub native: &'a [String],
    /// Whether somebody wants it to end.
    pub stop: &'a Stop,
}

impl Features<'_> {
    /// Tries everything in turn, until somebody wants it to end.
    ///
    /// # Errors
    /// Why the rest was not tried.
    pub async fn run(&self) -> Result<(), String> {
        if !self.put().await {
            return Err("nothing could be written".to_owned());
        }
        let goes_on = || if self.stop.is_asked() { Err("it was interrupted".to_owned()) } else { Ok(()) };
        goes_on()?;
        let Some(head) = self.head().await else {
            return Err("what was written could not be looked at".to_owned());
        };
        goes_on()?;
        self.get().await;
        self.checksum(&head);
        goes_on()?;
        if self.copy().await {
            goes_on()?;
            self.conditions(&head).await?;
        } else {
            self.report.skipped("conditions", "There is no copy to put a condition on.");
        }
        goes_on()?;
        self.overwrite().await;
        goes_on()?;
        self.part_copy().await;
        goes_on()?;
        self.tags().await;
        goes_on()?;
        limits::tried(self).await;
        Ok(())
    }

    /// A write of a scratch object.
    pub fn scratch_put(&self, name: &str) -> Request {
        let mut request = self.scratch.request(Operation::PutObject, name);
        request.body_length = u64::try_from(CONTENT.len()).ok();
        request
    }

    /// Writes the content.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn written(&self, request: &Request) -> Result<Reply, Trouble> {
        let reply = self.scratch.asking.written(request, CONTENT).await?;
        self.scratch.note(request, &reply);
        Ok(reply)
    }

    async fn copied(&self, request: Request) -> Result<Reply, Trouble> {
        self.copied_by(false, request).await
    }

    async fn copied_by(&self, check: bool, request: Request) -> Result<Reply, Trouble> {
        let reply = self.scratch.asking.exchanged_by(check, request.clone()).await?;
        self.scratch.note(&request, &reply);
        Ok(reply)
    }

    async fn put(&self) -> bool {
        let mut request = self.scratch_put(SOURCE);
        request.metadata = vec![("doctor".to_owned(), b"was-here".to_vec())];
        match self.written(&request).await {
            Ok(_) => self.report.ok("put", format!("Wrote {}.", request.key.unwrap_or_default())),
            Err(trouble) => {
                self.report.problem("put", format!("Not written: {trouble}."), advice(&trouble));
                return false;
            }
        }
        true
    }

    async fn head(&self) -> Option<Reply> {
        let request = self.scratch.request(Operation::HeadObject, SOURCE);
        let reply = match self.scratch.asking.read(&request).await {
            Ok((reply, _)) => reply,
            Err(trouble) => {
                self.report.problem("head", format!("No head: {trouble}."), advice(&trouble));
                return None;
            }
        };
        let length = reply.text(Told::ContentLength).and_then(|text| text.parse().ok());
        let kept = reply.metadata.iter().any(|(name, value)| name == "doctor" && value == b"was-here");
        let dated = reply.text(Told::LastModified).and_then(date::parse_http).is_some();
        let missing = [
            (length == Some(CONTENT.len()), "the right length"),
            (kept, "the metadata"),
            (dated, "a date"),
            (reply.text(Told::Etag).is_some(), "an ETag"),
        ];
        let missing: Vec<&str> = missing.into_iter().filter(|row| !row.0).map(|row| row.1).collect();
        if missing.is_empty() {
            self.report.ok("head", "Length, date, ETag and metadata are what was written.");
            return Some(reply);
        }
        let message = format!("The head does not have {}.", missing.join(", "));
        self.report.problem("head", message, "Check dialect and profile; callers would miss it, too.");
        dated.then_some(reply)
    }

    async fn get(&self) {
        let mut request = self.scratch.request(Operation::GetObject, SOURCE);
        let whole = self.scratch.asking.read(&request).await;
        request.fields.set(Field::Range, Value::Bytes(ByteRange::Span(9, 14)));
        let part = self.scratch.asking.read(&request).await;
        match (whole, part) {
            (Ok((_, whole)), Ok((reply, part))) => {
                if whole != CONTENT {
                    let advice = "Do not use this target before it is known why.";
                    self.report.problem("get", "What is read is not what was written.", advice);
                } else if reply.status != 206 || CONTENT.get(9..15) != Some(&part) {
                    let advice = "Callers that read in parts get the whole object from this target.";
                    self.report.problem("get", "A range is answered with something else.", advice);
                } else {
                    self.report.ok("get", "The whole and a range are what was written.");
                }
            }
            (Err(trouble), _) | (_, Err(trouble)) => {
                self.report.problem("get", format!("Not read: {trouble}."), advice(&trouble));
            }
        }
    }

    /// Whether a copy that passes through us can be compared to what its source is.
    fn checksum(&self, head: &Reply) {
        let md5 = hash::md5_hex(CONTENT);
        let is_md5 = head.text(Told::Etag).map(etag::bare).is_some_and(|tag| tag.eq_ignore_ascii_case(&md5));
        let crc64 = head.text(Told::Crc64Ecma).is_some();
        // The table says for which targets an ETag is believed to be one.
        match (crc64, is_md5 && self.scratch.asking.way.target.dialect.etag_is_md5) {
            (true, _) => self.report.ok("checksum", "The target tells a CRC-64."),
            (false, true) => self.report.ok("checksum", "The ETag is the MD5 of the content."),
            (false, false) => self.report.warning(
                "checksum",
                "The target tells no checksum.",
                "Copies from it to another target are compared by length only.",
            ),
        }
    }

    async fn copy(&self) -> bool {
        let plain = self.copied(self.scratch.copy(Operation::CopyObject, SOURCE, "copy")).await;
        if let Err(trouble) = plain {
            self.report.problem("copy", format!("Not copied: {trouble}."), advice(&trouble));
            return false;
        }
        let mut request = self.scratch.copy(Operation::CopyObject, SOURCE, "copy-replaced");
        request.fields.set(Field::MetadataDirective, Value::Directive(Directive::Replace));
        request.metadata = vec![("doctor".to_owned(), b"replaced".to_vec())];
        let replaced = self.copied(request).await;
        let (copy, other) = (self.metadata("copy").await, self.metadata("copy-replaced").await);
        match (replaced, copy.as_deref(), other.as_deref()) {
            (Err(trouble), ..) => {
                let message = format!("Copied, but not with other metadata: {trouble}.");
                self.report.problem("copy", message, advice(&trouble));
            }
            (Ok(_), Some(b"was-here"), Some(b"replaced")) => {
                self.report.ok("copy", "Copied, with the source's metadata and with other metadata.");
            }
            _ => self.report.problem(
                "copy",
                "The copies do not have the metadata that was asked for.",
                "Check the profile; callers' directives are not kept by this target.",
            ),
        }
        true
    }

    async fn metadata(&self, name: &str) -> Option<Vec<u8>> {
        let request = self.scratch.request(Operation::HeadObject, name);
        let (reply, _) = self.scratch.asking.read(&request).await.ok()?;
        reply.metadata.into_iter().find(|row| row.0 == "doctor").map(|row| row.1)
    }

    /// Each condition once where it holds and once where it does not, beside what the configuration relies on.
    async fn conditions(&self, head: &Reply) -> Result<(), String> {
        let mut kept = Vec::new();
        for field in Field::SOURCE_CONDITIONS {
            if self.stop.is_asked() {
                return Err("it was interrupted".to_owned());
            }
            kept.push((self.field(field), self.condition(field, head, false).await));
        }
        let bad = bad(&kept);
        let is_refused = kept.iter().all(|(_, kept)| matches!(kept, Verdict::Kept | Verdict::Unsaid));
        let target = &self.scratch.asking.way.target.name;
        if bad.is_empty() {
            let spare = if self.native.is_empty() { " conditions = \"native\" would do." } else { "" };
            self.report.ok("conditions", format!("All four conditions on a copy's source are kept.{spare}"));
        } else if self.native.is_empty() {
            // What Blobfish looks at itself.
            let looked = self.condition(Field::SourceIfMatch, head, true).await;
            match looked.wrong() {
                None => self.report.ok(
                    "conditions",
                    "The target does not keep all conditions on a copy's source; Blobfish looks first, as configured.",
                ),
                Some(told) => self.report.problem(
                    "conditions",
                    format!("With conditions = \"check\", too: {told}"),
                    "Callers must not rely on conditions at this target.",
                ),
            }
        } else {
            let buckets = self.native.join(", ");
            let advice = format!(
                "Set conditions = \"check\" on the buckets at {target} that have \"native\": {buckets}."
            );
            // What is refused harms nobody who does not ask for it; what is ignored does.
            let tell = if is_refused { Report::warning } else { Report::problem };
            tell(self.report, "conditions", bad.join(" "), advice);
        }
        Ok(())
    }

    /// What callers of this target's dialect call a field.
    fn field(&self, field: Field) -> String {
        let name = (self.scratch.asking.way.target.dialect.name_of)(field);
        name.map_or_else(|| field.name(), |name| name.as_str().to_owned())
    }

    async fn condition(&self, field: Field, head: &Reply, check: bool) -> Verdict {
        let tag = head.text(Told::Etag).map(etag::bare).unwrap_or_default().to_owned();
        let dated = head.text(Told::LastModified).and_then(date::parse_http).map_or(0, |at| at.0);
        let (own, other) = (Value::Etags(vec![tag]), Value::Etags(vec![OTHER_ETAG.to_owned()]));
        let at = |seconds: i64| Value::Time(Timestamp(dated.saturating_add(seconds)));
        let (holds, fails) = match field {
            Field::SourceIfMatch => (own, other),
            Field::SourceIfNoneMatch => (other, own),
            Field::SourceIfUnmodifiedSince => (at(DAY), at(-DAY)),
            _ => (at(-DAY), at(0)),
        };
        let ask = async |value: Value| {
            let mut request = self.scratch.copy(Operation::CopyObject, SOURCE, "copy-on-condition");
            request.fields.set(field, value);
            self.copied_by(check, request).await
        };
        self.verdict(ask(holds).await, async || {
            let failed = ask(fails).await;
            if failed.is_err() || field != Field::SourceIfModifiedSince {
                return failed;
            }
            // A date in whole seconds may lie before that of a store that counts finer.
            sleep(Duration::from_secs(2)).await;
            ask(at(1)).await
        })
        .await
    }

    /// What a target does about a condition, from what became of a request on which it holds, and of one on which it
    /// does not.
    async fn verdict(
        &self,
        holds: Result<Reply, Trouble>,
        fails: impl AsyncFnOnce() -> Result<Reply, Trouble>,
    ) -> Verdict {
        match holds {
            Ok(_) => {}
            Err(Trouble::Unsaid(_)) => return Verdict::Unsaid,
            Err(trouble) => return Verdict::Refused(trouble.to_string()),
        }
        match fails().await {
            Ok(_) => Verdict::Ignored,
            Err(trouble) => match trouble.fault() {
                Some(Fault::PreconditionFailed | Fault::NotModified | Fault::ObjectExists) => Verdict::Kept,
                _ => Verdict::Refused(trouble.to_string()),
            },
        }
    }

    /// Writes on condition: one that must not replace what is there, and one that must replace a certain ETag only.
    async fn overwrite(&self) {
        let said = [
            (self.field(Field::ForbidOverwrite), self.written_once().await),
            (self.field(Field::OverwriteIfMatch), self.swapped().await),
        ];
        let bad = bad(said.iter().filter(|(_, verdict)| !matches!(verdict, Verdict::Unsaid)));
        let kept: Vec<&str> = said
            .iter()
            .filter(|(_, one)| matches!(one, Verdict::Kept))
            .map(|(name, _)| name.as_str())
            .collect();
        if !bad.is_empty() {
            self.report.problem("overwrite", bad.join(" "), "Callers must not rely on it at this target.");
        } else if kept.is_empty() {
            self.report.warning(
                "overwrite",
                "The dialect has no conditions of writes.",
                "Callers who ask for them are refused with 501.",
            );
        } else {
            let rest = if kept.len() < said.len() {
                " Others are not in the dialect, and refused with 501."
            } else {
                ""
            };
            self.report.ok("overwrite", format!("Conditions of writes are kept: {}.{rest}", kept.join(", ")));
        }
    }

    async fn written_once(&self) -> Verdict {
        let mut fresh = self.scratch_put("written-once");
        fresh.fields.set(Field::ForbidOverwrite, Value::Flag);
        let first = self.written(&fresh).await;
        self.verdict(first, async || self.written(&fresh).await).await
    }

    /// Replaces what [`Self::written_once`] wrote.
    async fn swapped(&self) -> Verdict {
        let on = |tag: String| {
            let mut request = self.scratch_put("swapped");
            request.fields.set(Field::OverwriteIfMatch, Value::Etags(vec![tag]));
            request
        };
        let tag = match self.written(&self.scratch_put("swapped")).await {
            Ok(reply) => reply.text(Told::Etag).map(etag::bare).unwrap_or_default().to_owned(),
            Err(trouble) => return Verdict::Refused(trouble.to_string()),
        };
        let first = self.written(&on(tag)).await;
        self.verdict(first, async || self.written(&on(OTHER_ETAG.to_owned())).await).await
    }

    async fn part_copy(&self) {
        match self.copied_in_parts().await {
            Ok(()) => self.report.ok("part copy", "An upload was completed from a copied part."),
            Err(trouble) => {
                let message = format!("No upload could be made of a copied part: {trouble}.");
                self.report.problem("part copy", message, advice(&trouble));
            }
        }
    }

    async fn copied_in_parts(&self) -> Result<(), Trouble> {
        const NAME: &str = "copy-in-parts";
        let unproven = || Trouble::Unproven("the target's document is another one".to_owned());
        let asking = self.scratch.asking;
        let begin = self.scratch.request(Operation::CreateMultipartUpload, NAME);
        let begun = asking.exchanged(begin.clone()).await?;
        let Some(Document::Initiated { upload_id, .. }) = begun.document else { return Err(unproven()) };
        self.scratch.note_upload(&begin, &upload_id);
        let mut part = self.scratch.copy(Operation::UploadPartCopy, SOURCE, NAME);
        part.fields.set(Field::UploadId, Value::Text(upload_id.clone()));
        part.fields.set(Field::PartNumber, Value::Number(1));
        let copied = asking.exchanged(part).await?;
        let Some(Document::CopyPart(result)) = copied.document else { return Err(unproven()) };
        let mut complete = self.scratch.request(Operation::CompleteMultipartUpload, NAME);
        complete.fields.set(Field::UploadId, Value::Text(upload_id));
        complete.parts = vec![Part::new(1, result.etag)];
        let reply = asking.exchanged(complete.clone()).await?;
        self.scratch.note(&complete, &reply);
        let (_, body) = asking.read(&self.scratch.request(Operation::GetObject, NAME)).await?;
        let why = || Trouble::Unproven("what was made of it is not the source".to_owned());
        if body == CONTENT { Ok(()) } else { Err(why()) }
    }

    async fn tags(&self) {
        let wanted = vec![("doctor".to_owned(), "was here".to_owned())];
        let mut request = self.scratch_put("tagged");
        request.fields.set(Field::Tagging, Value::Tags(wanted.clone()));
        let told = match self.written(&request).await {
            Ok(_) => {
                let get = Operation::Get(Setting::ObjectTagging);
                self.scratch.asking.exchanged(self.scratch.request(get, "tagged")).await
            }
            Err(trouble) => Err(trouble),
        };
        match told {
            Ok(Reply { document: Some(Document::Setting(_, tree)), .. }) if tags_of(&tree) == wanted => {
                self.report.ok("tags", "An object keeps the tags that it is written with.");
            }
            Ok(_) => self.report.problem(
                "tags",
                "The target took tags and does not have them.",
                "Callers must not rely on tags at this target.",
            ),
            Err(trouble) => self.report.warning(
                "tags",
                format!("No tags: {trouble}."),
                "Callers who tag get the same answer; allow it, or do without.",
            ),
        }
    }
}

/// What a target does about one condition.
#[derive(Debug)]
enum Verdict {
    /// It keeps it.
    Kept,
    /// It copies all the same.
    Ignored,
    /// It does not copy although the condition holds, or says something else.
    Refused(String),
    /// The dialect's table does not have it.
    Unsaid,
}

impl Verdict {
    /// What is wrong, if anything.
    fn wrong(&self) -> Option<String> {
        match self {
            Self::Kept => None,
            Self::Ignored => Some("the target does it although the condition does not hold".to_owned()),
            Self::Refused(why) => Some(why.clone()),
            Self::Unsaid => Some("the target has no such condition, copies with it are refused".to_owned()),
        }
    }
}

/// What is wrong with conditions, each thing once with the names of all that it is wrong with.
fn bad<'v>(said: impl IntoIterator<Item = &'v (String, Verdict)>) -> Vec<String> {
    let mut wrong: Vec<(Vec<&str>, String)> = Vec::new();
    for (name, verdict) in said {
        let Some(why) = verdict.wrong() else { continue };
        match wrong.iter_mut().find(|row| row.1 == why) {
            Some(row) => row.0.push(name),
            None => wrong.push((vec![name], why)),
        }
    }
    wrong.into_iter().map(|(names, why)| format!("{}: {why}.", names.join(", "))).collect()
}

/// Whether the bucket keeps versions, which decides how scratch objects are deleted.
pub async fn versioning(report: &Report, scratch: &Scratch<'_>, bucket: &str) {
    let mut request = Request::new(Operation::Get(Setting::Versioning));
    request.bucket = Some(bucket.to_owned());
    match scratch.asking.exchanged(request).await.map(|reply| diagnosis::versioning(&reply)) {
        Ok(None) => report.ok("versioning", "Never turned on."),
        Ok(Some(on)) => {
            scratch.versions.set(true);
            report.ok("versioning", if on { "On." } else { "Suspended." });
        }
        Err(trouble) => report.warning(
            "versioning",
            format!("Not known: {trouble}."),
            "Let the key read the bucket's versioning if callers do.",
        ),
    }
}

fn advice(trouble: &Trouble) -> &'static str {
    match trouble.fault() {
        Some(Fault::AccessDenied) => "Let the key read, write and delete objects in this bucket.",
        Some(Fault::NotImplemented | Fault::MethodNotAllowed) => {
            "Check the profile; the target does not have this."
        }
        Some(_) => "Look for the code in the vendor's documents; callers get the same refusal.",
        None => "Check the target's own log, and what stands between.",
    }
}
