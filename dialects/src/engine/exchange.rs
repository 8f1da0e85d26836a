//! Everything with small bodies both ways, as a machine that the shell drives: what to send, then what to tell.

use crate::engine::answer::{self, TargetError};
use crate::engine::conditions::{self, SourceState};
use crate::engine::dialect::{Dialect, SelfCopyRule};
use crate::engine::loss::Loss;
use crate::engine::way::Route;
use crate::engine::{bodies, crc64, emulate, etag, listing, relay, settings, sound, words, write};
use crate::model::{
    ByteRange, CopySource, Directive, Document, ErrorKind, Field, Fields, Operation, OutgoingRequest,
    Rejection, Request, Response, ResponseField, Setting, Timestamp, Value,
};
use crate::wire::{date, xml};

use crate::engine::emulate::MissingDetail;

/// A target's whole answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetResponse {
    /// HTTP status.
    pub status: u16,
    /// Lower-case names and values.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The whole body. The shell has checked that it is complete.
    pub body: Vec<u8>,
}

impl TargetResponse {
    /// The first value of a header, whatever the letter case of its name.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        let row = self.headers.iter().find(|row| row.0.eq_ignore_ascii_case(name))?;
        Some(&row.1)
    }

    /// The same where it is text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.header(name).and_then(|value| std::str::from_utf8(value).ok())
    }
}

/// What the shell has to do next.
#[derive(Debug)]
pub enum Step {
    /// Send this, already signed, and come back with the whole answer.
    Send(Box<OutgoingRequest>),
    /// Tell the caller; the exchange is over.
    Respond(Box<Response>),
}

/// One small exchange with a target.
pub struct Exchange<'a> {
    way: Route<'a>,
    /// The request as the caller meant it: conditions and names are told from it.
    asked: Request,
    /// The request as it is sent.
    sent: Request,
    losses: Vec<Loss>,
    needs: SourceNeeds,
    /// What the conditions were evaluated on.
    source_state: Option<SourceState>,
    /// Whether the source was found unchanged after the copy.
    unchanged: bool,
    /// The access of a completed object that the target is told in a request of its own.
    access_after: Option<Value>,
    state: ExchangeState,
    /// What was sent last, before it was signed.
    unsigned: Option<Box<OutgoingRequest>>,
}

/// What has to be known of a copy's source before the copy.
#[derive(Debug, Clone, Copy, Default)]
struct SourceNeeds {
    /// Its ETag and date, to evaluate the conditions by the caller's rules.
    conditions: bool,
    /// Its metadata, because the target takes the request's.
    metadata: bool,
    /// Some of its metadata, which the caller's vendor keeps where the rest is replaced.
    kept: bool,
    /// Its length, because caller and target treat a range past the end differently.
    length: bool,
    /// What the parts of an upload come to, because the caller said it and the target does not compare it.
    size: bool,
}

enum ExchangeState {
    /// Nothing was sent yet.
    New,
    /// The source is being looked at before the copy.
    ReadingSource,
    /// A HEAD found nothing, and its bucket tells whether that is missing too. Then this is what is missing.
    Missing(Rejection),
    /// The request itself was sent.
    AwaitingResponse,
    /// The copy was made, and the source tells whether it is still what the conditions were evaluated on.
    RereadingSource(Box<Response>),
    /// The object was completed, and its access is set.
    SettingAccess(Box<Response>),
    /// The copy was refused, and the source tells which condition it was.
    DecidingCondition(TargetError),
    /// The range of a part copy was refused, and the source tells how far it is beyond.
    MeasuringSource(TargetError),
    /// The copy was made, and the destination tells whether the directive was honoured.
    Checking(Box<Response>),
    /// What the target does not tell in one answer is gathered from several.
    CollectingDetail(Box<Response>, MissingDetail),
    /// A target shows whether it tells settings by their parameters, before one is changed.
    Probing(Setting),
    /// The target shows whether uploads were begun in a bucket that is to be deleted.
    Counting,
    /// The parts of an upload are added up before it is completed: what is behind the marker, and what came before.
    Measuring(u64, u64),
    /// The setting was set, and the target shows whether it kept it.
    VerifyingSetting(Setting, Box<Response>),
}

impl<'a> Exchange<'a> {
    /// Prepares; nothing is sent yet. `body` is the request's whole body, verified.
    ///
    /// # Errors
    /// What is refused before any target is contacted.
    pub fn new(route: Route<'a>, mut request: Request, body: &[u8]) -> Result<Self, Rejection> {
        bodies::read_request_body(&route, &mut request, body)?;
        let size = request.operation == Operation::CompleteMultipartUpload
            && request.fields.has(Field::ObjectSize)
            && route.target.dialect.target_field_name(Field::ObjectSize, request.operation).is_none();
        let mut needs = SourceNeeds { size, ..SourceNeeds::default() };
        if request.operation.is_copy() {
            conditions::check_combination(route.caller, &request.fields)?;
            check_onto_itself(&route, &request)?;
            needs = needs_of(&route, &request);
        }
        let mut sent = emulate::adapt_to_target(&route, listing::adapt_listing(&route, &request)?);
        // That of another body.
        sent.fields.remove(Field::ContentMd5);
        if needs.conditions {
            Field::SOURCE_CONDITIONS.iter().for_each(|field| drop(sent.fields.remove(*field)));
        }
        if needs.size {
            sent.fields.remove(Field::ObjectSize);
        }
        let access_after = emulate::take_deferred_acl(&route, &mut sent);
        let (_, losses) = write::write_request(&route, &sent)?;
        Ok(Self {
            way: route,
            asked: request,
            sent,
            losses,
            needs,
            source_state: None,
            unchanged: false,
            access_after,
            state: ExchangeState::New,
            unsigned: None,
        })
    }

    /// What the target cannot be told, of the request as it is sent.
    pub fn losses(&self) -> &[Loss] {
        &self.losses
    }

    /// The first step.
    ///
    /// # Errors
    /// As [`Exchange::new`].
    pub fn start(&mut self, now: Timestamp) -> Result<Step, Rejection> {
        if self.asked.operation.is_copy()
            && !conditions::has_same_future_rule(
                self.way.caller,
                self.way.target.dialect,
                &self.asked.fields,
                now,
            )
        {
            self.needs.conditions = true;
            Field::SOURCE_CONDITIONS.iter().for_each(|field| drop(self.sent.fields.remove(*field)));
        }
        if let Some(setting) = self.ambiguous_setting().filter(|_| self.changes_state()) {
            return self.ask_bucket(Operation::Get(setting), ExchangeState::Probing(setting), now);
        }
        if self.asked.operation == Operation::DeleteBucket && self.counts_uploads() {
            return self.ask_bucket(Operation::ListMultipartUploads, ExchangeState::Counting, now);
        }
        if self.needs.size {
            return self.ask_part_sizes(0, 0, now);
        }
        let needs = self.needs;
        let look = needs.conditions || needs.metadata || needs.kept || needs.length;
        if look { self.send_source_head(ExchangeState::ReadingSource, now) } else { self.send_request(now) }
    }

    /// The step after an answer.
    ///
    /// # Errors
    /// The target's fault in canonical form.
    pub fn next(&mut self, answer: &TargetResponse, now: Timestamp) -> Result<Step, Rejection> {
        match std::mem::replace(&mut self.state, ExchangeState::New) {
            ExchangeState::New => Err(answer::reject_incomplete_response()),
            ExchangeState::ReadingSource
                if answer::is_unspecified_not_found(self.way.target.dialect, answer) =>
            {
                let refusal = self.build_source_rejection(answer::read_target_error(&self.way, answer));
                self.ask_missing(self.way.source_bucket.clone().unwrap_or_default(), refusal, now)
            }
            ExchangeState::ReadingSource => {
                self.take_source(answer, now)?;
                self.send_request(now)
            }
            ExchangeState::Missing(_) if answer.status == 404 => Err(ErrorKind::NoSuchBucket.into()),
            ExchangeState::Missing(refusal) => Err(refusal),
            ExchangeState::AwaitingResponse
                if self.sent.operation == Operation::HeadObject
                    && answer::is_unspecified_not_found(self.way.target.dialect, answer) =>
            {
                let refusal = answer::read_target_error(&self.way, answer).rejection;
                self.ask_missing(self.way.bucket.clone(), refusal, now)
            }
            ExchangeState::AwaitingResponse => self.handle_response(answer, now),
            ExchangeState::RereadingSource(reply) => {
                self.check_unchanged(&reply, answer)?;
                self.unchanged = true;
                self.handle_success(*reply, now)
            }
            ExchangeState::SettingAccess(reply) => {
                let put = answer::read_response(&self.way, Operation::Put(Setting::ObjectAcl), answer);
                put.map_err(|refused| access_not_set(&refused))?;
                self.handle_success(*reply, now)
            }
            ExchangeState::DecidingCondition(refused) => {
                Err(self.decide_failed_condition(&refused, answer, now))
            }
            ExchangeState::MeasuringSource(refused) => Err(self.refuse_range(&refused, answer)),
            ExchangeState::Checking(reply) => self.check_directive(reply, answer),
            ExchangeState::CollectingDetail(reply, what) => self.handle_detail(*reply, what, answer, now),
            ExchangeState::Probing(setting) => self.handle_probe(setting, answer, now),
            ExchangeState::Measuring(marker, before) => self.handle_part_sizes(marker, before, answer, now),
            ExchangeState::Counting => self.handle_upload_count(answer, now),
            ExchangeState::VerifyingSetting(setting, reply) => {
                self.check_stored_setting(setting, reply, answer)
            }
        }
    }

    fn sign_and_send(&mut self, outgoing: OutgoingRequest, now: Timestamp) -> Step {
        self.unsigned = Some(Box::new(outgoing.clone()));
        Step::Send(Box::new(write::sign_request(&self.way, outgoing, now)))
    }

    /// What was sent last, signed for another time; `None` where it changes something and may not be sent again.
    pub fn resend(&self, now: Timestamp) -> Option<OutgoingRequest> {
        let unsigned = self.unsigned.as_ref().filter(|sent| matches!(sent.method, "GET" | "HEAD"))?;
        Some(write::sign_request(&self.way, (**unsigned).clone(), now))
    }

    /// Sends the request itself.
    fn send_request(&mut self, now: Timestamp) -> Result<Step, Rejection> {
        let (mut outgoing, _) = write::write_request(&self.way, &self.sent)?;
        outgoing.body = bodies::write_request_body(&self.way, &self.sent);
        outgoing.headers.extend(bodies::build_bucket_headers(&self.way, &self.sent));
        self.state = ExchangeState::AwaitingResponse;
        Ok(self.sign_and_send(outgoing, now))
    }

    /// Asks for the parts of the upload behind a marker; `before` is what those up to it come to.
    fn ask_part_sizes(&mut self, marker: u64, before: u64, now: Timestamp) -> Result<Step, Rejection> {
        let mut request = Request { operation: Operation::ListParts, ..self.asked.clone() };
        request.fields = relay::keep_applicable(request.fields, Operation::ListParts);
        if marker > 0 {
            request.fields.set(Field::PartNumberMarker, Value::Number(marker));
        }
        let (outgoing, _) = write::write_request(&self.way, &listing::adapt_listing(&self.way, &request)?)?;
        self.state = ExchangeState::Measuring(marker, before);
        Ok(Step::Send(Box::new(write::sign_request(&self.way, outgoing, now))))
    }

    /// Adds up those parts that are to be the object, and completes it where they come to what the caller says.
    fn handle_part_sizes(
        &mut self,
        marker: u64,
        before: u64,
        answer: &TargetResponse,
        now: Timestamp,
    ) -> Result<Step, Rejection> {
        let reply = answer::read_response(&self.way, Operation::ListParts, answer)
            .map_err(|refused| refused.rejection)?;
        let Some(Document::Parts(list)) = reply.document else {
            return Err(answer::reject_incomplete_response());
        };
        let named = |number: u64| self.asked.parts.iter().any(|part| part.number == number);
        let sizes = list.parts.iter().filter(|row| named(row.0.number)).map(|row| row.2);
        let size = sizes.fold(before, u64::saturating_add);
        if list.truncated && list.next_marker > marker {
            return self.ask_part_sizes(list.next_marker, size, now);
        }
        match self.asked.fields.number(Field::ObjectSize) {
            Some(said) if said != size => {
                let name = self.way.caller.field_name_in(Field::ObjectSize, self.asked.operation);
                let name = name.map_or("", |name| name.as_str());
                let message = format!(
                    "The provided '{name}' header value {said} does not match what was computed: {size}"
                );
                Err(Rejection::with_message(ErrorKind::InvalidRequest, message))
            }
            _ => self.send_request(now),
        }
    }

    /// Asks whether it is the bucket that is missing.
    fn ask_missing(&mut self, bucket: String, refusal: Rejection, now: Timestamp) -> Result<Step, Rejection> {
        let outgoing = write::bucket_head(&self.way, bucket, now)?;
        self.state = ExchangeState::Missing(refusal);
        Ok(Step::Send(Box::new(outgoing)))
    }

    /// Sends a HEAD of the copy's source.
    fn send_source_head(&mut self, then: ExchangeState, now: Timestamp) -> Result<Step, Rejection> {
        let Some(source) = &self.asked.source else { return Err(answer::reject_incomplete_response()) };
        let fields = relay::look(&self.asked).fields;
        let bucket = self.way.source_bucket.clone().unwrap_or_default();
        self.send_head(bucket, source.key.clone(), fields, then, now)
    }

    fn send_head(
        &mut self,
        bucket: String,
        key: String,
        fields: Fields,
        then: ExchangeState,
        now: Timestamp,
    ) -> Result<Step, Rejection> {
        let way = Route { bucket, ..self.way.clone() };
        let head = Request::for_object(Operation::HeadObject, way.bucket.clone(), key, fields);
        let (outgoing, _) = write::write_request(&way, &head)?;
        self.state = then;
        Ok(self.sign_and_send(outgoing, now))
    }

    /// Takes what the source told into the request to be sent.
    fn take_source(&mut self, answer: &TargetResponse, now: Timestamp) -> Result<(), Rejection> {
        let state = self.source_state(answer)?;
        if self.needs.conditions {
            conditions::evaluate_conditions(self.way.caller, &self.asked.fields, &state, now)?;
            // What was looked at is what must be copied.
            if self.way.target.dialect.supports_field(Field::SourceIfMatch) {
                self.sent.fields.set(Field::SourceIfMatch, Value::Etags(vec![state.etag.clone()]));
            }
        }
        if self.needs.metadata {
            let told = answer::read_response_head(&self.way, Operation::HeadObject, answer);
            self.sent.metadata = told.metadata.clone();
            for (field, told_as) in CONTENT {
                if let Some(value) = told.to_request_value(told_as) {
                    self.sent.fields.set(field, value);
                }
            }
            self.sent.fields.set(Field::MetadataDirective, Value::Directive(Directive::Replace));
        }
        if self.needs.kept {
            let told = answer::read_response_head(&self.way, Operation::HeadObject, answer);
            let before = self.sent.metadata.len();
            keep_metadata(self.way.caller, &mut self.sent.metadata, &told.metadata);
            // It opens what was looked at, and nothing else.
            let pins =
                self.sent.metadata.len() > before && conditions::count_conditions(&self.asked.fields) == 0;
            if pins && self.way.target.dialect.supports_field(Field::SourceIfMatch) {
                self.sent.fields.set(Field::SourceIfMatch, Value::Etags(vec![state.etag.clone()]));
            }
        }
        if self.needs.length {
            self.fit_range(answer)?;
        }
        if self.needs.conditions {
            self.source_state = Some(state);
        }
        Ok(())
    }

    fn source_state(&self, answer: &TargetResponse) -> Result<SourceState, Rejection> {
        if answer.status != 200 {
            return Err(self.build_source_rejection(answer::read_target_error(&self.way, answer)));
        }
        let target = self.way.target.dialect;
        let told =
            |field: ResponseField| (target.response_field_name)(field).and_then(|name| answer.text(name));
        let etag = told(ResponseField::Etag).map(etag::strip_quotes).filter(|etag| !etag.is_empty());
        let modified = told(ResponseField::LastModified).and_then(date::parse_http);
        match (etag, modified) {
            (Some(etag), Some(modified)) => Ok(SourceState { etag: etag.to_owned(), modified }),
            _ => Err(answer::reject_incomplete_response()),
        }
    }

    /// A failed look at the source is the copy's own failure; a missing object is named.
    fn build_source_rejection(&self, refused: TargetError) -> Rejection {
        match (&self.asked.source, refused.kind) {
            (Some(source), ErrorKind::NoSuchKey) => {
                Rejection::new(ErrorKind::NoSuchKey).with_detail("Key", source.key.clone())
            }
            _ => refused.rejection,
        }
    }

    /// A range that ends past the source is an error to one dialect and the whole source to another.
    fn fit_range(&mut self, answer: &TargetResponse) -> Result<(), Rejection> {
        let length = answer.text("content-length").and_then(|text| text.parse::<u64>().ok());
        let Some(length) = length else { return Err(answer::reject_incomplete_response()) };
        let Some(Value::ByteRange(range)) = self.asked.fields.get(Field::SourceRange) else { return Ok(()) };
        let last = length.saturating_sub(1);
        match *range {
            ByteRange::Span(first, end) if first <= end && end < length => {}
            ByteRange::From(first) if first < length => {
                self.sent.fields.set(Field::SourceRange, Value::ByteRange(ByteRange::Span(first, last)));
            }
            _ if self.way.caller.copy.strict_range => {
                return Err(build_range_rejection(*range, length));
            }
            _ => drop(self.sent.fields.remove(Field::SourceRange)),
        }
        Ok(())
    }

    /// The answer to the request itself.
    fn handle_response(&mut self, answer: &TargetResponse, now: Timestamp) -> Result<Step, Rejection> {
        match answer::read_response(&self.way, self.sent.operation, answer) {
            Ok(reply) => {
                sound::check_head(&self.way, &self.sent, answer)?;
                if let Some(document) = &reply.document {
                    sound::check_document(&self.way, &self.sent, document)?;
                }
                self.handle_success(reply, now)
            }
            Err(refused) if self.misunderstood(&refused, answer) => Err(build_setting_not_stored_rejection()),
            Err(refused) => self.handle_failure(refused, now),
        }
    }

    fn handle_success(&mut self, mut reply: Response, now: Timestamp) -> Result<Step, Rejection> {
        if let Some(acl) = self.access_after.take() {
            return self.set_access(acl, reply, now);
        }
        // A target whose own conditions cannot be relied on may have copied something newer.
        if self.source_state.is_some() && self.way.check_conditions && !self.unchanged {
            return self.send_source_head(ExchangeState::RereadingSource(Box::new(reply)), now);
        }
        if let (Operation::Put(_), Some(setting)) = (self.asked.operation, self.ambiguous_setting()) {
            let then = ExchangeState::VerifyingSetting(setting, Box::new(reply));
            return self.ask_bucket(Operation::Get(setting), then, now);
        }
        if self.asked.operation == Operation::CompleteMultipartUpload {
            crc64::set_combined_crc64(&self.asked, &mut reply)?;
        }
        emulate::adapt_to_caller(&self.way, &self.asked, &mut reply)?;
        if let Some(what) = emulate::find_missing_detail(&self.way, &reply) {
            return self.ask_bucket(
                what.operation(),
                ExchangeState::CollectingDetail(Box::new(reply), what),
                now,
            );
        }
        let (bucket, key) = (self.asked.bucket.clone(), self.asked.key.clone());
        if self.asked.operation == Operation::CreateBucket {
            // The target's names its own bucket.
            reply.set(ResponseField::Location, format!("/{}", bucket.as_deref().unwrap_or_default()));
            (self.way.caller.complete_response)(self.asked.operation, &mut reply);
        }
        if let Some(document) = &mut reply.document {
            let bucket = bucket.as_deref().unwrap_or_default();
            let key = key.as_deref().unwrap_or_default();
            answer::set_document_names(document, bucket, key);
            listing::complete_listing(&self.way, &self.asked, document);
            if let Document::CopyObject(result) | Document::CopyPart(result) = document {
                result.modified = result.modified.or(Some(now));
            }
        }
        let replaced = self.sent.fields.directive(Field::MetadataDirective) == Some(Directive::Replace);
        if self.sent.operation == Operation::CopyObject
            && replaced
            && self.way.target.dialect.copy.needs_metadata_check
        {
            let bucket = self.way.bucket.clone();
            let key = key.unwrap_or_default();
            return self.send_head(
                bucket,
                key,
                Fields::default(),
                ExchangeState::Checking(Box::new(reply)),
                now,
            );
        }
        Ok(Step::Respond(Box::new(reply)))
    }

    /// Sets the access of the object that was completed.
    fn set_access(&mut self, acl: Value, reply: Response, now: Timestamp) -> Result<Step, Rejection> {
        let (bucket, key) = (self.way.bucket.clone(), self.asked.key.clone().unwrap_or_default());
        let mut fields = Fields::default();
        fields.set(Field::Acl, acl);
        let request = Request::for_object(Operation::Put(Setting::ObjectAcl), bucket, key, fields);
        let (outgoing, _) = write::write_request(&self.way, &request)?;
        self.state = ExchangeState::SettingAccess(Box::new(reply));
        Ok(Step::Send(Box::new(write::sign_request(&self.way, outgoing, now))))
    }

    /// Whether the source is what it was before the copy.
    ///
    /// # Errors
    /// `SourceChanged`. A part is not told, so that nobody completes with it; a destination is written already.
    fn check_unchanged(&self, reply: &Response, answer: &TargetResponse) -> Result<(), Rejection> {
        let is_same = match (&self.source_state, &reply.document) {
            // The source is the destination: its ETag stays where it is that of the bytes.
            (Some(looked), Some(Document::CopyObject(made))) if onto_itself(&self.asked) => {
                let encrypts = [Field::Encryption, Field::CustomerKey, Field::SourceCustomerKey];
                let of_bytes = self.way.target.dialect.etag_is_md5
                    && !looked.etag.contains('-')
                    && !encrypts.into_iter().any(|field| self.asked.fields.has(field));
                !of_bytes || etag::is_same_etag(&looked.etag, &made.etag)
            }
            (looked, _) => self.source_state(answer).ok() == *looked,
        };
        match (is_same, self.asked.operation) {
            (true, _) => Ok(()),
            (false, Operation::UploadPartCopy) => Err(Rejection::with_message(
                ErrorKind::SourceChanged,
                "The source was changed while it was copied. The part is discarded.",
            )),
            (false, _) => Err(Rejection::with_message(
                ErrorKind::SourceChanged,
                "The source was changed while it was copied. The destination was already written.",
            )),
        }
    }

    /// The setting of a bucket at a target which may take the request for another: listing the bucket, making or
    /// deleting it.
    fn ambiguous_setting(&self) -> Option<Setting> {
        match self.asked.operation {
            Operation::Get(setting) | Operation::Put(setting) | Operation::Delete(setting)
                if !setting.is_on_object() && !self.way.target.dialect.distinguishes_settings =>
            {
                Some(setting)
            }
            _ => None,
        }
    }

    fn changes_state(&self) -> bool {
        matches!(self.asked.operation, Operation::Put(_) | Operation::Delete(_))
    }

    /// Whether a request about a setting was taken for one about the bucket itself.
    fn misunderstood(&self, refused: &TargetError, answer: &TargetResponse) -> bool {
        let of_bucket =
            [ErrorKind::BucketAlreadyExists, ErrorKind::BucketAlreadyOwnedByYou, ErrorKind::BucketNotEmpty];
        let another = answer.status / 100 == 2
            && refused.kind == ErrorKind::InternalError
            && xml::parse(&answer.body).is_ok();
        self.ambiguous_setting().is_some() && (another || of_bucket.contains(&refused.kind))
    }

    /// Whether uploads keep a bucket from being deleted for the caller's vendor, and not for the target.
    fn counts_uploads(&self) -> bool {
        let target = self.way.target.dialect;
        let lists = target.find_route(Operation::ListMultipartUploads).is_some();
        self.way.caller.uploads_fill_bucket && !target.uploads_fill_bucket && lists
    }

    fn handle_upload_count(&mut self, answer: &TargetResponse, now: Timestamp) -> Result<Step, Rejection> {
        match answer::read_response(&self.way, Operation::ListMultipartUploads, answer) {
            Ok(Response { document: Some(Document::Uploads(page)), .. }) if !page.uploads.is_empty() => {
                Err(ErrorKind::BucketNotEmpty.into())
            }
            Ok(_) => self.send_request(now),
            // A target that has no uploads has none that were not completed.
            Err(refused) if refused.kind == ErrorKind::NotImplemented => self.send_request(now),
            Err(refused) => Err(refused.rejection),
        }
    }

    /// Asks the bucket for something beside the request itself.
    fn ask_bucket(
        &mut self,
        operation: Operation,
        then: ExchangeState,
        now: Timestamp,
    ) -> Result<Step, Rejection> {
        let bucket = self.asked.bucket.clone();
        let mut request = Request { bucket, ..Request::new(operation) };
        if let Some(id) = self.asked.fields.get(Field::ConfigurationId) {
            request.fields.set(Field::ConfigurationId, id.clone());
        }
        let (outgoing, _) = write::write_request(&self.way, &request)?;
        self.state = then;
        Ok(self.sign_and_send(outgoing, now))
    }

    /// What is not set need not be removed.
    fn handle_probe(
        &mut self,
        setting: Setting,
        answer: &TargetResponse,
        now: Timestamp,
    ) -> Result<Step, Rejection> {
        let unset = match answer::read_response(&self.way, Operation::Get(setting), answer) {
            Ok(_) => false,
            Err(refused) if settings::is_not_set_error(refused.kind) => true,
            Err(refused) if self.misunderstood(&refused, answer) => {
                return Err(build_setting_not_stored_rejection());
            }
            Err(refused) => return Err(refused.rejection),
        };
        match self.asked.operation {
            Operation::Delete(_) if unset => {
                let status = self.way.caller.success_status(self.asked.operation);
                Ok(Step::Respond(Box::new(Response::with_status(status))))
            }
            _ => self.send_request(now),
        }
    }

    fn check_stored_setting(
        &self,
        setting: Setting,
        reply: Box<Response>,
        answer: &TargetResponse,
    ) -> Result<Step, Rejection> {
        match answer::read_response(&self.way, Operation::Get(setting), answer) {
            Ok(_) => Ok(Step::Respond(reply)),
            Err(_) => Err(build_setting_not_stored_rejection()),
        }
    }

    fn handle_detail(
        &mut self,
        mut reply: Response,
        what: MissingDetail,
        answer: &TargetResponse,
        now: Timestamp,
    ) -> Result<Step, Rejection> {
        let told = answer::read_response(&self.way, what.operation(), answer);
        emulate::apply_detail(&mut reply, &self.way, what, told.map_err(|refused| refused.rejection))?;
        self.handle_success(reply, now)
    }

    fn handle_failure(&mut self, refused: TargetError, now: Timestamp) -> Result<Step, Rejection> {
        if !sound::may_fail_so(&self.asked, refused.kind) {
            return Err(answer::reject_incomplete_response());
        }
        if let Operation::Get(setting) = self.asked.operation
            && settings::is_not_set_error(refused.kind)
            && let Some(form) = self.way.caller.setting_schema(setting)
        {
            let tree = settings::build_unset_setting(form).map_err(Rejection::from)?;
            let mut reply = Response::with_status(200);
            reply.document = Some(Document::Setting(setting, tree));
            return Ok(Step::Respond(Box::new(reply)));
        }
        let range = matches!(refused.kind, ErrorKind::InvalidRange | ErrorKind::InvalidCopyRange);
        let copies_part = self.asked.operation == Operation::UploadPartCopy;
        if range && copies_part && self.asked.fields.has(Field::SourceRange) {
            return self.send_source_head(ExchangeState::MeasuringSource(refused), now);
        }
        if !matches!(refused.kind, ErrorKind::PreconditionFailed | ErrorKind::NotModified) {
            return Err(refused.rejection);
        }
        let conditions =
            self.asked.operation.is_copy() && conditions::count_conditions(&self.asked.fields) > 0;
        let overwrite = overwrite_fault(&self.asked.fields);
        match (conditions, overwrite) {
            (true, None) => {
                match conditions::identify_failed_condition(self.way.caller, &self.asked.fields) {
                    Some(refusal) => Err(refusal),
                    None => self.send_source_head(ExchangeState::DecidingCondition(refused), now),
                }
            }
            (true, Some(_)) => self.send_source_head(ExchangeState::DecidingCondition(refused), now),
            (false, Some(fault)) => Err(fault.into()),
            (false, None) => Err(refused.rejection),
        }
    }

    /// Which of several conditions it was that failed.
    fn decide_failed_condition(
        &self,
        refused: &TargetError,
        answer: &TargetResponse,
        now: Timestamp,
    ) -> Rejection {
        let state = match self.source_state(answer) {
            Ok(state) => state,
            Err(refusal) => return refusal,
        };
        match (
            conditions::evaluate_conditions(self.way.caller, &self.asked.fields, &state, now),
            overwrite_fault(&self.asked.fields),
        ) {
            (Err(refusal), _) => refusal,
            (Ok(()), Some(fault)) => fault.into(),
            // The source has changed between the two requests.
            (Ok(()), None) => refused.rejection.clone(),
        }
    }

    /// What is wrong with the range of a part copy, which vendors tell apart differently.
    fn refuse_range(&self, refused: &TargetError, answer: &TargetResponse) -> Rejection {
        let length = answer.text("content-length").and_then(|text| text.parse::<u64>().ok());
        let range = self.asked.fields.get(Field::SourceRange);
        match (answer.status, length, range) {
            (200, Some(length), Some(Value::ByteRange(range))) => build_range_rejection(*range, length),
            _ => refused.rejection.clone(),
        }
    }

    /// Whether the destination has what the directive asked for.
    fn check_directive(&self, reply: Box<Response>, answer: &TargetResponse) -> Result<Step, Rejection> {
        let made = answer::read_response_head(&self.way, Operation::HeadObject, answer);
        let same_type = self
            .sent
            .fields
            .text(Field::ContentType)
            .is_none_or(|kind| made.text(ResponseField::ContentType) == Some(kind));
        let plain = |metadata: Vec<(String, Vec<u8>)>| -> Vec<(String, Vec<u8>)> {
            metadata.into_iter().map(|(name, value)| (name, words::decode(&value))).collect()
        };
        let mut wanted = plain(self.sent.metadata.clone());
        let mut found = plain(made.metadata);
        wanted.sort();
        found.sort();
        if answer.status == 200 && same_type && wanted == found {
            return Ok(Step::Respond(reply));
        }
        Err(Rejection::with_message(
            ErrorKind::InternalError,
            "The storage behind this service copied the object but did not replace its metadata.",
        ))
    }
}

/// The content headers, as requests and as answers name them.
const CONTENT: [(Field, ResponseField); 6] = [
    (Field::ContentType, ResponseField::ContentType),
    (Field::CacheControl, ResponseField::CacheControl),
    (Field::ContentDisposition, ResponseField::ContentDisposition),
    (Field::ContentEncoding, ResponseField::ContentEncoding),
    (Field::ContentLanguage, ResponseField::ContentLanguage),
    (Field::Expires, ResponseField::Expires),
];

/// The refusal of a part copy whose range does not fit its source.
pub fn build_range_rejection(range: ByteRange, length: u64) -> Rejection {
    match range {
        ByteRange::Span(first, _) | ByteRange::From(first) if first >= length => {
            ErrorKind::CopyRangeBeyond.into()
        }
        _ => Rejection::with_message(
            ErrorKind::InvalidCopyRange,
            format!("Range specified is not valid for source object of size: {length}"),
        ),
    }
}

/// Adds what a copy keeps of its source's metadata although it replaces the rest.
pub fn keep_metadata(caller: &Dialect, metadata: &mut Vec<(String, Vec<u8>)>, source: &[(String, Vec<u8>)]) {
    let kept = |name: &str| caller.metadata_kept_prefixes.iter().any(|start| name.starts_with(start));
    for (name, value) in source.iter().filter(|row| kept(&row.0)) {
        if metadata.iter().all(|row| row.0 != *name) {
            metadata.push((name.clone(), value.clone()));
        }
    }
}

/// What a failed precondition on the destination is called.
pub fn overwrite_fault(fields: &Fields) -> Option<ErrorKind> {
    if fields.has(Field::ForbidOverwrite) {
        return Some(ErrorKind::ObjectExists);
    }
    fields.has(Field::OverwriteIfMatch).then_some(ErrorKind::PreconditionFailed)
}

fn access_not_set(refused: &TargetError) -> Rejection {
    Rejection::with_message(
        refused.rejection.kind,
        "The object was completed, but its access could not be set.",
    )
}

fn build_setting_not_stored_rejection() -> Rejection {
    Rejection::with_message(
        ErrorKind::NotImplemented,
        "The storage behind this service does not keep this setting.",
    )
}

fn onto_itself(request: &Request) -> bool {
    request.source.as_ref().is_some_and(|CopySource { bucket, key, version }| {
        version.is_none() && Some(bucket) == request.bucket.as_ref() && Some(key) == request.key.as_ref()
    })
}

fn replaces(request: &Request, field: Field) -> bool {
    request.fields.directive(field) == Some(Directive::Replace)
}

/// A copy onto itself that the caller's vendor would refuse is refused here, whatever the target would do.
fn check_onto_itself(way: &Route<'_>, request: &Request) -> Result<(), Rejection> {
    if request.operation != Operation::CopyObject || !onto_itself(request) {
        return Ok(());
    }
    let changes = [
        Field::StorageClass,
        Field::Encryption,
        Field::CustomerAlgorithm,
        Field::SourceCustomerAlgorithm,
        Field::WebsiteRedirect,
    ];
    let allowed = match way.caller.copy.self_copy {
        SelfCopyRule::TakesRequest => true,
        SelfCopyRule::Replaced => {
            replaces(request, Field::MetadataDirective) || replaces(request, Field::TaggingDirective)
        }
        SelfCopyRule::AnyChange => {
            replaces(request, Field::MetadataDirective)
                || changes.iter().any(|field| request.fields.has(*field))
        }
    };
    if allowed { Ok(()) } else { Err(ErrorKind::SelfCopy.into()) }
}

fn needs_of(way: &Route<'_>, request: &Request) -> SourceNeeds {
    let target = way.target.dialect;
    let given = conditions::count_conditions(&request.fields) > 0;
    let sayable = Field::SOURCE_CONDITIONS
        .iter()
        .all(|field| !request.fields.has(*field) || target.supports_field(*field));
    // Conditions that the target does not have, or does not keep, are evaluated here only where the operator accepts
    // the race.
    let conditions = given
        && (way.check_conditions
            || (sayable && !conditions::has_same_rules(way.caller, target, &request.fields)));
    let metadata = request.operation == Operation::CopyObject
        && onto_itself(request)
        && !replaces(request, Field::MetadataDirective)
        && match target.copy.self_copy {
            SelfCopyRule::TakesRequest | SelfCopyRule::Replaced => true,
            SelfCopyRule::AnyChange => way.caller.copy.self_copy != SelfCopyRule::AnyChange,
        };
    let length =
        request.fields.has(Field::SourceRange) && way.caller.copy.strict_range != target.copy.strict_range;
    let kept = request.operation == Operation::CopyObject
        && replaces(request, Field::MetadataDirective)
        && way
            .caller
            .metadata_kept_prefixes
            .iter()
            .any(|start| !target.metadata_kept_prefixes.contains(start));
    SourceNeeds { conditions, metadata, kept, length, size: false }
}
