//! A request and its response with small bodies, as a state machine that the proxy drives: it returns the next
//! request to send, or the response to the client.

use crate::dialect::route::Route;
use crate::dialect::{SelfCopyRule, etag};
use crate::documents::{listing, settings_documents};
use crate::encoding::{date, xml};
use crate::engine::conditions::{self, SourceState};
use crate::engine::copy_source::{build_copy_range_rejection, merge_kept_metadata};
use crate::engine::emulation::MissingDetail;
use crate::engine::loss::Loss;
use crate::engine::read_response::{self, TargetError};
use crate::engine::target_response::TargetResponse;
use crate::engine::{
    copy_source, crc64, emulation, encoded_words, relay, request_documents, target_response,
    validate_response, write_request,
};
use crate::model::{
    ByteRange, CopySource, Directive, Document, ErrorKind, Field, Fields, Operation, OutgoingRequest,
    Rejection, Request, Response, ResponseField, Setting, Timestamp, Value,
};

/// The next step for the proxy.
#[derive(Debug)]
pub enum Step {
    /// Send this signed request, and call [`Exchange::handle_response`] with the complete response.
    Send(Box<OutgoingRequest>),
    /// Send this response to the client; the exchange has ended.
    Respond(Box<Response>),
}

/// One exchange with a target.
pub struct Exchange<'a> {
    route: Route<'a>,
    /// The client's request. Conditions are evaluated, and errors are reported, with its fields and names.
    client_request: Request,
    /// The request as it is sent to the target.
    target_request: Request,
    losses: Vec<Loss>,
    checks: NeededSourceFacts,
    /// The state of the source with which the conditions were evaluated.
    source_state: Option<SourceState>,
    /// Whether a HEAD after the copy has shown that the source is unchanged.
    is_source_unchanged: bool,
    /// The ACL of a completed object, if the target accepts it only in a request of its own.
    deferred_acl: Option<Value>,
    state: ExchangeState,
    /// The last request, unsigned.
    last_unsigned: Option<Box<OutgoingRequest>>,
}

/// What has to be known about a copy's source before the copy.
#[derive(Debug, Clone, Copy, Default)]
struct NeededSourceFacts {
    /// Its ETag and date, to evaluate the conditions by the rules of the caller's dialect.
    conditions: bool,
    /// Its metadata, because the target uses that of the request instead of copying it.
    metadata: bool,
    /// Those entries of its metadata that the caller's vendor keeps although the rest is replaced.
    kept_metadata: bool,
    /// Its length, because caller and target treat a range past the end differently.
    length: bool,
    /// The total size of an upload's parts, because the client stated it and the target does not check it.
    parts_size: bool,
}

enum ExchangeState {
    /// Nothing has been sent.
    New,
    /// A HEAD of the source was sent before the copy.
    ReadingSource,
    /// A HEAD returned 404 without a code, and a HEAD of the bucket was sent to find out whether the bucket is
    /// missing. If it exists, this rejection is returned.
    CheckingBucket(Rejection),
    /// The request itself was sent.
    AwaitingResponse,
    /// The copy succeeded, and a HEAD of the source was sent to find out whether it still is in the state with which
    /// the conditions were evaluated.
    RereadingSource(Box<Response>),
    /// The upload was completed, and its ACL was sent.
    SettingAcl(Box<Response>),
    /// A condition of the copy failed, and a HEAD of the source was sent to find out which one.
    DecidingCondition(TargetError),
    /// The target rejected the range of a part copy, and a HEAD of the source was sent for its size.
    MeasuringSource(TargetError),
    /// The copy succeeded, and a HEAD of the destination was sent to check that its metadata was replaced.
    CheckingMetadata(Box<Response>),
    /// The response needs a detail that the target returns for another request.
    CollectingDetail(Box<Response>, MissingDetail),
    /// Before a setting is changed, it was requested to find out whether the target supports it.
    ProbingSetting(Setting),
    /// The uploads of a bucket were requested before its deletion.
    ListingUploads,
    /// The parts of an upload were requested before its completion: the marker, and the total size of the parts up to
    /// it.
    MeasuringParts(u64, u64),
    /// The setting was sent, and then requested to check that the target stored it.
    VerifyingSetting(Setting, Box<Response>),
}

impl<'a> Exchange<'a> {
    /// Prepares an exchange without sending anything. `body` is the complete, verified request body.
    ///
    /// # Errors
    /// The request is rejected before any target is contacted.
    pub fn new(route: Route<'a>, mut request: Request, body: &[u8]) -> Result<Self, Rejection> {
        request_documents::read_request_body(&route, &mut request, body)?;
        Self::from_request(route, request)
    }

    /// Prepares an exchange for a request that already has its document, or of which only the head is known.
    ///
    /// # Errors
    /// As [`Exchange::new`].
    pub fn from_request(route: Route<'a>, request: Request) -> Result<Self, Rejection> {
        let parts_size = request.operation == Operation::CompleteMultipartUpload
            && request.fields.has(Field::ObjectSize)
            && route.target.dialect.target_field_name(Field::ObjectSize, request.operation).is_none();
        let mut checks = NeededSourceFacts { parts_size, ..NeededSourceFacts::default() };
        if request.operation.is_copy() {
            conditions::check_combination(route.caller, &request.fields)?;
            check_self_copy(&route, &request)?;
            checks = find_source_checks(&route, &request);
        }
        // The client's request is kept unchanged beside the adapted one, because errors have to name its fields.
        let mut target_request =
            emulation::adapt_to_target(&route, listing::adapt_listing(&route, &request)?);
        // The target gets a different body, which has another digest.
        target_request.fields.remove(Field::ContentMd5);
        if checks.conditions {
            Field::SOURCE_CONDITIONS.iter().for_each(|field| drop(target_request.fields.remove(*field)));
        }
        if checks.parts_size {
            target_request.fields.remove(Field::ObjectSize);
        }
        // Before the losses are determined, because a deferred ACL is not lost.
        let deferred_acl = emulation::take_deferred_acl(&route, &mut target_request);
        let (_, losses) = write_request::write_request(&route, &target_request)?;
        Ok(Self {
            route,
            client_request: request,
            target_request,
            losses,
            checks,
            source_state: None,
            is_source_unchanged: false,
            deferred_acl,
            state: ExchangeState::New,
            last_unsigned: None,
        })
    }

    /// The request to the target, without the values that a lookup adds.
    pub fn target_request(&self) -> &Request {
        &self.target_request
    }

    /// The fields of the request that the target does not support.
    pub fn losses(&self) -> &[Loss] {
        &self.losses
    }

    /// Returns the first step.
    ///
    /// # Errors
    /// As [`Exchange::new`].
    pub fn start(&mut self, now: Timestamp) -> Result<Step, Rejection> {
        if self.client_request.operation.is_copy()
            && !conditions::has_same_future_date_rule(
                self.route.caller,
                self.route.target.dialect,
                &self.client_request.fields,
                now,
            )
        {
            self.checks.conditions = true;
            Field::SOURCE_CONDITIONS.iter().for_each(|field| drop(self.target_request.fields.remove(*field)));
        }
        // A server that ignores the parameter would delete the bucket instead of its setting.
        if let Some(setting) = self.find_setting_to_verify().filter(|_| self.changes_setting()) {
            return self.send_bucket_request(
                Operation::Get(setting),
                ExchangeState::ProbingSetting(setting),
                now,
            );
        }
        // The target would delete the bucket with its unfinished uploads, which the client's vendor protects.
        if self.client_request.operation == Operation::DeleteBucket && self.needs_upload_check() {
            return self.send_bucket_request(
                Operation::ListMultipartUploads,
                ExchangeState::ListingUploads,
                now,
            );
        }
        if self.checks.parts_size {
            return self.request_part_sizes(0, 0, now);
        }
        let checks = self.checks;
        let needs_source_head = checks.conditions || checks.metadata || checks.kept_metadata || checks.length;
        if needs_source_head {
            self.send_source_head(ExchangeState::ReadingSource, now)
        } else {
            self.send_request(now)
        }
    }

    /// Returns the step after a response.
    ///
    /// # Errors
    /// The target's error in canonical form.
    pub fn handle_response(
        &mut self,
        target_response: &TargetResponse,
        now: Timestamp,
    ) -> Result<Step, Rejection> {
        match std::mem::replace(&mut self.state, ExchangeState::New) {
            // No request was sent, so no response can arrive; an error is safer than a panic.
            ExchangeState::New => Err(target_response::reject_incomplete_response()),
            ExchangeState::ReadingSource
                if read_response::is_unspecified_not_found(self.route.target.dialect, target_response) =>
            {
                let rejection = self
                    .build_source_rejection(read_response::read_target_error(&self.route, target_response));
                let bucket = self.route.require_source_bucket()?.to_owned();
                self.send_bucket_head(&bucket, rejection, now)
            }
            ExchangeState::ReadingSource => {
                self.apply_source_head(target_response, now)?;
                self.send_request(now)
            }
            ExchangeState::CheckingBucket(_) if target_response.status == 404 => {
                Err(ErrorKind::NoSuchBucket.into())
            }
            ExchangeState::CheckingBucket(rejection) => Err(rejection),
            ExchangeState::AwaitingResponse
                if self.target_request.operation == Operation::HeadObject
                    && read_response::is_unspecified_not_found(
                        self.route.target.dialect,
                        target_response,
                    ) =>
            {
                let rejection = read_response::read_target_error(&self.route, target_response).rejection;
                let bucket = self.route.require_bucket()?.to_owned();
                self.send_bucket_head(&bucket, rejection, now)
            }
            ExchangeState::AwaitingResponse => self.handle_main_response(target_response, now),
            ExchangeState::RereadingSource(response) => {
                self.check_source_unchanged(&response, target_response)?;
                self.is_source_unchanged = true;
                self.handle_success(*response, now)
            }
            ExchangeState::SettingAcl(response) => {
                let put = read_response::read_response(
                    &self.route,
                    Operation::Put(Setting::ObjectAcl),
                    target_response,
                );
                put.map_err(|target_error| build_acl_not_set_rejection(&target_error))?;
                self.handle_success(*response, now)
            }
            ExchangeState::DecidingCondition(target_error) => {
                Err(self.find_failed_condition(&target_error, target_response, now))
            }
            ExchangeState::MeasuringSource(target_error) => {
                Err(self.build_range_rejection(&target_error, target_response))
            }
            ExchangeState::CheckingMetadata(response) => {
                self.verify_replaced_metadata(response, target_response)
            }
            ExchangeState::CollectingDetail(response, detail) => {
                self.handle_detail(*response, detail, target_response, now)
            }
            ExchangeState::ProbingSetting(setting) => {
                self.handle_setting_probe(setting, target_response, now)
            }
            ExchangeState::MeasuringParts(marker, bytes_before) => {
                self.handle_part_sizes(marker, bytes_before, target_response, now)
            }
            ExchangeState::ListingUploads => self.handle_upload_list(target_response, now),
            ExchangeState::VerifyingSetting(setting, reply) => {
                self.check_stored_setting(setting, reply, target_response)
            }
        }
    }

    fn sign_and_send(&mut self, outgoing: OutgoingRequest, now: Timestamp) -> Step {
        self.last_unsigned = Some(Box::new(outgoing.clone()));
        Step::Send(Box::new(write_request::sign_request(&self.route, outgoing, now)))
    }

    /// The last request, signed for another time; `None` if it changes something and must not be repeated.
    pub fn resign_last_read(&self, now: Timestamp) -> Option<OutgoingRequest> {
        let unsigned = self
            .last_unsigned
            .as_ref()
            // A repeated write could be executed twice.
            .filter(|last_unsigned| matches!(last_unsigned.method, "GET" | "HEAD"))?;
        Some(write_request::sign_request(&self.route, (**unsigned).clone(), now))
    }

    /// The main request, unsigned, without the values that a lookup adds.
    ///
    /// # Errors
    /// As [`Exchange::new`].
    pub fn build_main_request(&self) -> Result<OutgoingRequest, Rejection> {
        // The losses were determined in `from_request`; lookups do not change them.
        let (mut outgoing, _) = write_request::write_request(&self.route, &self.target_request)?;
        outgoing.body = request_documents::write_request_body(&self.route, &self.target_request);
        outgoing.headers.extend(request_documents::build_bucket_headers(&self.route, &self.target_request));
        Ok(outgoing)
    }

    /// Sends the main request.
    fn send_request(&mut self, now: Timestamp) -> Result<Step, Rejection> {
        let outgoing = self.build_main_request()?;
        self.state = ExchangeState::AwaitingResponse;
        Ok(self.sign_and_send(outgoing, now))
    }

    /// Requests the parts of the upload after a marker; `bytes_before` is the total size of those up to it.
    fn request_part_sizes(
        &mut self,
        marker: u64,
        bytes_before: u64,
        now: Timestamp,
    ) -> Result<Step, Rejection> {
        let mut request = Request { operation: Operation::ListParts, ..self.client_request.clone() };
        request.fields = relay::retain_applicable_fields(request.fields, Operation::ListParts);
        if marker > 0 {
            request.fields.set(Field::PartNumberMarker, Value::Number(marker));
        }
        let (outgoing, _) =
            write_request::write_request(&self.route, &listing::adapt_listing(&self.route, &request)?)?;
        self.state = ExchangeState::MeasuringParts(marker, bytes_before);
        Ok(Step::Send(Box::new(write_request::sign_request(&self.route, outgoing, now))))
    }

    /// Adds up the sizes of the named parts, and completes the upload if they match the size that the client stated.
    fn handle_part_sizes(
        &mut self,
        marker: u64,
        bytes_before: u64,
        target_response: &TargetResponse,
        now: Timestamp,
    ) -> Result<Step, Rejection> {
        let response = read_response::read_response(&self.route, Operation::ListParts, target_response)
            .map_err(|target_error| target_error.rejection)?;
        let Some(Document::Parts(list)) = response.document else {
            return Err(target_response::reject_incomplete_response());
        };
        let is_named = |number: u64| self.client_request.parts.iter().any(|part| part.number == number);
        let sizes = list.parts.iter().filter(|row| is_named(row.0.number)).map(|row| row.2);
        let size = sizes.fold(bytes_before, u64::saturating_add);
        // A marker that does not advance would repeat the same page without end.
        if list.truncated && list.next_marker > marker {
            return self.request_part_sizes(list.next_marker, size, now);
        }
        match self.client_request.fields.number(Field::ObjectSize) {
            Some(expected_size) if expected_size != size => {
                let name = self.route.caller.field_name_in(Field::ObjectSize, self.client_request.operation);
                let name = name.map_or("", |name| name.as_str());
                let message = format!(
                    "The provided '{name}' header value {expected_size} does not match what was computed: {size}"
                );
                Err(Rejection::with_message(ErrorKind::InvalidRequest, message))
            }
            _ => self.send_request(now),
        }
    }

    /// Sends a HEAD of the bucket to find out whether it is the bucket that is missing.
    fn send_bucket_head(
        &mut self,
        bucket: &str,
        rejection: Rejection,
        now: Timestamp,
    ) -> Result<Step, Rejection> {
        let outgoing = write_request::build_signed_bucket_head(&self.route, bucket, now)?;
        self.state = ExchangeState::CheckingBucket(rejection);
        Ok(Step::Send(Box::new(outgoing)))
    }

    /// Sends a HEAD of the copy's source.
    fn send_source_head(&mut self, next_state: ExchangeState, now: Timestamp) -> Result<Step, Rejection> {
        let Some(source) = &self.client_request.source else {
            return Err(target_response::reject_incomplete_response());
        };
        let fields = copy_source::build_source_head_request(&self.client_request)?.fields;
        let bucket = self.route.require_source_bucket()?.to_owned();
        self.send_head(bucket, source.key.clone(), fields, next_state, now)
    }

    fn send_head(
        &mut self,
        bucket: String,
        key: String,
        fields: Fields,
        next_state: ExchangeState,
        now: Timestamp,
    ) -> Result<Step, Rejection> {
        let route = self.route.to_bucket(bucket.as_str());
        let head = Request::for_object(Operation::HeadObject, bucket, key, fields);
        let (outgoing, _) = write_request::write_request(&route, &head)?;
        self.state = next_state;
        Ok(self.sign_and_send(outgoing, now))
    }

    /// Applies the source's head to the request to the target.
    fn apply_source_head(
        &mut self,
        target_response: &TargetResponse,
        now: Timestamp,
    ) -> Result<(), Rejection> {
        let state = self.read_source_state(target_response)?;
        if self.checks.conditions {
            conditions::evaluate_conditions(self.route.caller, &self.client_request.fields, &state, now)?;
            // The copy must fail if the source has changed since the conditions were evaluated.
            if self.route.target.dialect.supports_field(Field::SourceIfMatch) {
                self.target_request.fields.set(Field::SourceIfMatch, Value::Etags(vec![state.etag.clone()]));
            }
        }
        if self.checks.metadata {
            let source_head =
                read_response::read_response_head(&self.route, Operation::HeadObject, target_response);
            self.target_request.metadata = source_head.metadata.clone();
            for (field, response_field) in CONTENT_FIELDS {
                if let Some(value) = source_head.to_request_value(response_field) {
                    self.target_request.fields.set(field, value);
                }
            }
            self.target_request.fields.set(Field::MetadataDirective, Value::Directive(Directive::Replace));
        }
        if self.checks.kept_metadata {
            let source_head =
                read_response::read_response_head(&self.route, Operation::HeadObject, target_response);
            let count_before = self.target_request.metadata.len();
            merge_kept_metadata(self.route.caller, &mut self.target_request.metadata, &source_head.metadata);
            // The metadata added here belongs to this state of the source only.
            let needs_pin = self.target_request.metadata.len() > count_before
                && conditions::count_conditions(&self.client_request.fields) == 0;
            if needs_pin && self.route.target.dialect.supports_field(Field::SourceIfMatch) {
                self.target_request.fields.set(Field::SourceIfMatch, Value::Etags(vec![state.etag.clone()]));
            }
        }
        if self.checks.length {
            self.fit_range(target_response)?;
        }
        if self.checks.conditions {
            self.source_state = Some(state);
        }
        Ok(())
    }

    fn read_source_state(&self, target_response: &TargetResponse) -> Result<SourceState, Rejection> {
        if target_response.status != 200 {
            return Err(
                self.build_source_rejection(read_response::read_target_error(&self.route, target_response))
            );
        }
        let target = self.route.target.dialect;
        let get_header = |field: ResponseField| {
            (target.response_field_name)(field).and_then(|name| target_response.header_text(name))
        };
        let etag = get_header(ResponseField::Etag).map(etag::strip_quotes).filter(|etag| !etag.is_empty());
        let modified = get_header(ResponseField::LastModified).and_then(date::parse_http);
        match (etag, modified) {
            (Some(etag), Some(modified)) => Ok(SourceState { etag: etag.to_owned(), modified }),
            _ => Err(target_response::reject_incomplete_response()),
        }
    }

    /// An error of the source's HEAD becomes the error of the copy, with the key of a missing object.
    fn build_source_rejection(&self, target_error: TargetError) -> Rejection {
        match (&self.client_request.source, target_error.kind) {
            (Some(source), ErrorKind::NoSuchKey) => {
                Rejection::new(ErrorKind::NoSuchKey).with_detail("Key", source.key.clone())
            }
            _ => target_error.rejection,
        }
    }

    /// Applies the rules of the caller's dialect to a range that ends after the source: strict dialects reject it,
    /// others copy the whole source.
    fn fit_range(&mut self, target_response: &TargetResponse) -> Result<(), Rejection> {
        let length = target_response.header_text("content-length").and_then(|text| text.parse::<u64>().ok());
        let Some(length) = length else { return Err(target_response::reject_incomplete_response()) };
        let Some(Value::ByteRange(range)) = self.client_request.fields.get(Field::SourceRange) else {
            return Ok(());
        };
        let last = length.saturating_sub(1);
        match *range {
            ByteRange::Span(first, end) if first <= end && end < length => {}
            ByteRange::From(first) if first < length => {
                self.target_request
                    .fields
                    .set(Field::SourceRange, Value::ByteRange(ByteRange::Span(first, last)));
            }
            _ if self.route.caller.copy.strict_range => {
                return Err(build_copy_range_rejection(*range, length));
            }
            _ => drop(self.target_request.fields.remove(Field::SourceRange)),
        }
        Ok(())
    }

    /// Handles the response to the main request.
    fn handle_main_response(
        &mut self,
        target_response: &TargetResponse,
        now: Timestamp,
    ) -> Result<Step, Rejection> {
        match read_response::read_response(&self.route, self.target_request.operation, target_response) {
            Ok(response) => {
                validate_response::check_response_head(&self.route, &self.target_request, target_response)?;
                if let Some(document) = &response.document {
                    validate_response::check_response_document(&self.route, &self.target_request, document)?;
                }
                self.handle_success(response, now)
            }
            Err(target_error) if self.is_setting_parameter_ignored(&target_error, target_response) => {
                Err(build_setting_not_stored_rejection())
            }
            Err(target_error) => self.handle_failure(target_error, now),
        }
    }

    fn handle_success(&mut self, mut response: Response, now: Timestamp) -> Result<Step, Rejection> {
        if let Some(acl) = self.deferred_acl.take() {
            return self.set_acl(acl, response, now);
        }
        // Without reliable conditions at the target, the source may have changed between the HEAD and the copy.
        if self.source_state.is_some() && self.route.check_conditions && !self.is_source_unchanged {
            return self.send_source_head(ExchangeState::RereadingSource(Box::new(response)), now);
        }
        if let (Operation::Put(_), Some(setting)) =
            (self.client_request.operation, self.find_setting_to_verify())
        {
            let next_state = ExchangeState::VerifyingSetting(setting, Box::new(response));
            return self.send_bucket_request(Operation::Get(setting), next_state, now);
        }
        // The CRC-64 values of the parts were in the ETags of the client's request.
        if self.client_request.operation == Operation::CompleteMultipartUpload {
            crc64::set_combined_crc64(&self.client_request, &mut response)?;
        }
        emulation::adapt_to_caller(&self.route, &self.client_request, &mut response)?;
        if let Some(detail) = emulation::find_missing_detail(&self.route, &response) {
            return self.send_bucket_request(
                detail.operation(),
                ExchangeState::CollectingDetail(Box::new(response), detail),
                now,
            );
        }
        let scope = &self.client_request.scope;
        if self.client_request.operation == Operation::CreateBucket {
            // The target's header contains the name of its own bucket.
            response.set(ResponseField::Location, format!("/{}", scope.require_bucket()?));
            (self.route.caller.complete_response)(self.client_request.operation, &mut response);
        }
        if let Some(document) = &mut response.document {
            read_response::set_document_names(document, scope)?;
            listing::complete_listing(&self.route, &self.client_request, document)?;
            if let Document::CopyObject(result) | Document::CopyPart(result) = document {
                // A target may not return the date of a copy, but clients' parsers require it.
                result.modified = result.modified.or(Some(now));
            }
        }
        // Some servers accept the directive and copy the old metadata nevertheless.
        let is_replaced =
            self.target_request.fields.directive(Field::MetadataDirective) == Some(Directive::Replace);
        if self.target_request.operation == Operation::CopyObject
            && is_replaced
            && self.route.target.dialect.copy.needs_metadata_check
        {
            let bucket = self.route.require_bucket()?.to_owned();
            let key = scope.require_key()?.to_owned();
            return self.send_head(
                bucket,
                key,
                Fields::default(),
                ExchangeState::CheckingMetadata(Box::new(response)),
                now,
            );
        }
        Ok(Step::Respond(Box::new(response)))
    }

    /// Sets the ACL of the completed object.
    fn set_acl(&mut self, acl: Value, response: Response, now: Timestamp) -> Result<Step, Rejection> {
        let mut fields = Fields::default();
        fields.set(Field::Acl, acl);
        let operation = Operation::Put(Setting::ObjectAcl);
        let request = Request { fields, ..Request::new(operation, self.client_request.scope.clone()) };
        let (outgoing, _) = write_request::write_request(&self.route, &request)?;
        self.state = ExchangeState::SettingAcl(Box::new(response));
        Ok(Step::Send(Box::new(write_request::sign_request(&self.route, outgoing, now))))
    }

    /// Checks that the source is in the same state as before the copy.
    ///
    /// # Errors
    /// `SourceChanged`. The client gets no ETag of a copied part, so it cannot complete an upload with it. A copied
    /// object already exists.
    fn check_source_unchanged(
        &self,
        response: &Response,
        target_response: &TargetResponse,
    ) -> Result<(), Rejection> {
        let is_same = match (&self.source_state, &response.document) {
            // The source is the destination, so its date has changed. Its ETag stays the same if it is the MD5 of the
            // bytes.
            (Some(source_state), Some(Document::CopyObject(result)))
                if is_self_copy(&self.client_request) =>
            {
                let encrypts = [Field::Encryption, Field::CustomerKey, Field::SourceCustomerKey];
                let is_md5_of_bytes = self.route.target.dialect.etag_is_md5
                    && !source_state.etag.contains('-')
                    && !encrypts.into_iter().any(|field| self.client_request.fields.has(field));
                !is_md5_of_bytes || etag::is_same_etag(&source_state.etag, &result.etag)
            }
            (source_state, _) => self.read_source_state(target_response).ok() == *source_state,
        };
        match (is_same, self.client_request.operation) {
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

    /// The bucket setting of the request, if the target may ignore the parameter that selects it and list, create or
    /// delete the bucket instead.
    fn find_setting_to_verify(&self) -> Option<Setting> {
        match self.client_request.operation {
            Operation::Get(setting) | Operation::Put(setting) | Operation::Delete(setting)
                if !setting.is_on_object() && !self.route.target.dialect.honours_subresources =>
            {
                Some(setting)
            }
            _ => None,
        }
    }

    fn changes_setting(&self) -> bool {
        matches!(self.client_request.operation, Operation::Put(_) | Operation::Delete(_))
    }

    /// Whether the target treated a request for a setting as one for the bucket itself.
    fn is_setting_parameter_ignored(
        &self,
        target_error: &TargetError,
        target_response: &TargetResponse,
    ) -> bool {
        let bucket_errors =
            [ErrorKind::BucketAlreadyExists, ErrorKind::BucketAlreadyOwnedByYou, ErrorKind::BucketNotEmpty];
        // A listing in response to a request for a setting shows that the server ignored the parameter.
        let is_other_document = target_response.status / 100 == 2
            && target_error.kind == ErrorKind::InternalError
            && xml::parse(&target_response.body).is_ok();
        self.find_setting_to_verify().is_some()
            && (is_other_document || bucket_errors.contains(&target_error.kind))
    }

    /// Whether unfinished uploads prevent the deletion of a bucket for the caller's vendor, but not at the target.
    fn needs_upload_check(&self) -> bool {
        let target = self.route.target.dialect;
        let can_list_uploads = target.find_route(Operation::ListMultipartUploads).is_some();
        self.route.caller.open_uploads_block_deletion
            && !target.open_uploads_block_deletion
            && can_list_uploads
    }

    fn handle_upload_list(
        &mut self,
        target_response: &TargetResponse,
        now: Timestamp,
    ) -> Result<Step, Rejection> {
        match read_response::read_response(&self.route, Operation::ListMultipartUploads, target_response) {
            Ok(Response { document: Some(Document::Uploads(page)), .. }) if !page.uploads.is_empty() => {
                Err(ErrorKind::BucketNotEmpty.into())
            }
            Ok(_) => self.send_request(now),
            // A target without multipart uploads has no unfinished ones.
            Err(target_error) if target_error.kind == ErrorKind::NotImplemented => self.send_request(now),
            Err(target_error) => Err(target_error.rejection),
        }
    }

    /// Sends an additional request for the bucket.
    fn send_bucket_request(
        &mut self,
        operation: Operation,
        next_state: ExchangeState,
        now: Timestamp,
    ) -> Result<Step, Rejection> {
        let bucket = self.client_request.scope.require_bucket()?;
        let mut request = match operation {
            Operation::ListBuckets => Request::for_bucket_list(),
            _ => Request::for_bucket(operation, bucket),
        };
        // A bucket can have several of these settings; the ID selects the one that the request changes.
        if let Some(id) = self.client_request.fields.get(Field::ConfigurationId) {
            request.fields.set(Field::ConfigurationId, id.clone());
        }
        let (outgoing, _) = write_request::write_request(&self.route, &request)?;
        self.state = next_state;
        Ok(self.sign_and_send(outgoing, now))
    }

    /// Handles the response to the probe of a setting. A setting that does not exist need not be deleted.
    fn handle_setting_probe(
        &mut self,
        setting: Setting,
        target_response: &TargetResponse,
        now: Timestamp,
    ) -> Result<Step, Rejection> {
        let is_unset =
            match read_response::read_response(&self.route, Operation::Get(setting), target_response) {
                Ok(_) => false,
                Err(target_error) if settings_documents::is_not_set_error(target_error.kind) => true,
                Err(target_error) if self.is_setting_parameter_ignored(&target_error, target_response) => {
                    return Err(build_setting_not_stored_rejection());
                }
                Err(target_error) => return Err(target_error.rejection),
            };
        match self.client_request.operation {
            Operation::Delete(_) if is_unset => {
                let status = self.route.caller.success_status(self.client_request.operation);
                Ok(Step::Respond(Box::new(Response::with_status(status))))
            }
            _ => self.send_request(now),
        }
    }

    fn check_stored_setting(
        &self,
        setting: Setting,
        response: Box<Response>,
        target_response: &TargetResponse,
    ) -> Result<Step, Rejection> {
        match read_response::read_response(&self.route, Operation::Get(setting), target_response) {
            Ok(_) => Ok(Step::Respond(response)),
            Err(_) => Err(build_setting_not_stored_rejection()),
        }
    }

    fn handle_detail(
        &mut self,
        mut response: Response,
        detail: MissingDetail,
        target_response: &TargetResponse,
        now: Timestamp,
    ) -> Result<Step, Rejection> {
        let detail_response = read_response::read_response(&self.route, detail.operation(), target_response);
        emulation::apply_detail(
            &mut response,
            &self.route,
            detail,
            detail_response.map_err(|target_error| target_error.rejection),
        )?;
        self.handle_success(response, now)
    }

    fn handle_failure(&mut self, target_error: TargetError, now: Timestamp) -> Result<Step, Rejection> {
        if !validate_response::is_error_possible(&self.client_request, target_error.kind) {
            return Err(target_response::reject_incomplete_response());
        }
        // Some dialects return an empty document, not an error, for a setting that does not exist.
        if let Operation::Get(setting) = self.client_request.operation
            && settings_documents::is_not_set_error(target_error.kind)
            && let Some(form) = self.route.caller.setting_schema(setting)
        {
            let tree = settings_documents::build_unset_setting(form).map_err(Rejection::from)?;
            let mut response = Response::with_status(200);
            response.document = Some(Document::Setting(setting, tree));
            return Ok(Step::Respond(Box::new(response)));
        }
        let is_range_error =
            matches!(target_error.kind, ErrorKind::InvalidRange | ErrorKind::InvalidCopyRange);
        let copies_part = self.client_request.operation == Operation::UploadPartCopy;
        if is_range_error && copies_part && self.client_request.fields.has(Field::SourceRange) {
            return self.send_source_head(ExchangeState::MeasuringSource(target_error), now);
        }
        if !matches!(target_error.kind, ErrorKind::PreconditionFailed | ErrorKind::NotModified) {
            return Err(target_error.rejection);
        }
        let conditions = self.client_request.operation.is_copy()
            && conditions::count_conditions(&self.client_request.fields) > 0;
        let overwrite = find_overwrite_error(&self.client_request.fields);
        match (conditions, overwrite) {
            (true, None) => {
                match conditions::identify_failed_condition(self.route.caller, &self.client_request.fields) {
                    Some(rejection) => Err(rejection),
                    None => self.send_source_head(ExchangeState::DecidingCondition(target_error), now),
                }
            }
            // A condition on the source and one on the destination have the same status, so the source decides.
            (true, Some(_)) => self.send_source_head(ExchangeState::DecidingCondition(target_error), now),
            (false, Some(error_kind)) => Err(error_kind.into()),
            (false, None) => Err(target_error.rejection),
        }
    }

    /// Finds out which of several conditions failed.
    fn find_failed_condition(
        &self,
        target_error: &TargetError,
        target_response: &TargetResponse,
        now: Timestamp,
    ) -> Rejection {
        let state = match self.read_source_state(target_response) {
            Ok(state) => state,
            Err(rejection) => return rejection,
        };
        match (
            conditions::evaluate_conditions(self.route.caller, &self.client_request.fields, &state, now),
            find_overwrite_error(&self.client_request.fields),
        ) {
            (Err(rejection), _) => rejection,
            (Ok(()), Some(error_kind)) => error_kind.into(),
            // No condition fails now, so the source has changed between the two requests.
            (Ok(()), None) => target_error.rejection.clone(),
        }
    }

    /// Builds the rejection for the range of a part copy. Vendors have different errors for the reasons, so the
    /// source's size decides.
    fn build_range_rejection(
        &self,
        target_error: &TargetError,
        target_response: &TargetResponse,
    ) -> Rejection {
        let length = target_response.header_text("content-length").and_then(|text| text.parse::<u64>().ok());
        let range = self.client_request.fields.get(Field::SourceRange);
        match (target_response.status, length, range) {
            (200, Some(length), Some(Value::ByteRange(range))) => build_copy_range_rejection(*range, length),
            _ => target_error.rejection.clone(),
        }
    }

    /// Checks that the destination has the metadata of the request.
    fn verify_replaced_metadata(
        &self,
        response: Box<Response>,
        target_response: &TargetResponse,
    ) -> Result<Step, Rejection> {
        let destination =
            read_response::read_response_head(&self.route, Operation::HeadObject, target_response);
        let is_same_type = self
            .target_request
            .fields
            .text(Field::ContentType)
            .is_none_or(|kind| destination.text(ResponseField::ContentType) == Some(kind));
        // A server may return the metadata as encoded words, in any order.
        let decode_all = |metadata: Vec<(String, Vec<u8>)>| -> Vec<(String, Vec<u8>)> {
            metadata.into_iter().map(|(name, value)| (name, encoded_words::decode_words(&value))).collect()
        };
        let mut expected_metadata = decode_all(self.target_request.metadata.clone());
        let mut stored_metadata = decode_all(destination.metadata);
        expected_metadata.sort();
        stored_metadata.sort();
        if target_response.status == 200 && is_same_type && expected_metadata == stored_metadata {
            return Ok(Step::Respond(response));
        }
        Err(Rejection::with_message(
            ErrorKind::InternalError,
            "The object was copied, but its metadata was not replaced.",
        ))
    }
}

/// The content headers, as fields of requests and of responses.
const CONTENT_FIELDS: [(Field, ResponseField); 6] = [
    (Field::ContentType, ResponseField::ContentType),
    (Field::CacheControl, ResponseField::CacheControl),
    (Field::ContentDisposition, ResponseField::ContentDisposition),
    (Field::ContentEncoding, ResponseField::ContentEncoding),
    (Field::ContentLanguage, ResponseField::ContentLanguage),
    (Field::Expires, ResponseField::Expires),
];

/// The error for a failed condition on the destination.
pub(crate) fn find_overwrite_error(fields: &Fields) -> Option<ErrorKind> {
    if fields.has(Field::ForbidOverwrite) {
        return Some(ErrorKind::ObjectExists);
    }
    fields.has(Field::OverwriteIfMatch).then_some(ErrorKind::PreconditionFailed)
}

fn build_acl_not_set_rejection(target_error: &TargetError) -> Rejection {
    Rejection::with_message(
        target_error.rejection.kind,
        "The object was completed, but its ACL could not be set.",
    )
}

fn build_setting_not_stored_rejection() -> Rejection {
    Rejection::with_message(
        ErrorKind::NotImplemented,
        "The storage behind this service does not store this setting.",
    )
}

fn is_self_copy(request: &Request) -> bool {
    request.source.as_ref().is_some_and(|CopySource { bucket, key, version }| {
        version.is_none()
            && Some(bucket.as_str()) == request.scope.bucket()
            && Some(key.as_str()) == request.scope.key()
    })
}

fn has_replace_directive(request: &Request, field: Field) -> bool {
    request.fields.directive(field) == Some(Directive::Replace)
}

/// Rejects a copy of an object onto itself that the caller's vendor rejects, whatever the target does with it.
fn check_self_copy(route: &Route<'_>, request: &Request) -> Result<(), Rejection> {
    if request.operation != Operation::CopyObject || !is_self_copy(request) {
        return Ok(());
    }
    let change_fields = [
        Field::StorageClass,
        Field::Encryption,
        Field::CustomerAlgorithm,
        Field::SourceCustomerAlgorithm,
        Field::WebsiteRedirect,
    ];
    let is_allowed = match route.caller.copy.self_copy {
        SelfCopyRule::AlwaysReplacesMetadata => true,
        SelfCopyRule::Replaced => {
            has_replace_directive(request, Field::MetadataDirective)
                || has_replace_directive(request, Field::TaggingDirective)
        }
        SelfCopyRule::NeedsChange => {
            has_replace_directive(request, Field::MetadataDirective)
                || change_fields.iter().any(|field| request.fields.has(*field))
        }
    };
    if is_allowed { Ok(()) } else { Err(ErrorKind::SelfCopy.into()) }
}

/// When a HEAD of a copy's source is sent. A date condition in the future can need one more, which depends on the time
/// of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceLookup {
    /// Never: the target evaluates everything itself.
    None,
    /// Before the copy.
    Before,
    /// Before and after it, because the target's own conditions are not reliable.
    BeforeAndAfter,
}

/// Decides when a HEAD of this copy's source has to be sent.
pub(crate) fn find_source_lookup(route: &Route<'_>, request: &Request) -> SourceLookup {
    let checks = find_source_checks(route, request);
    if checks.conditions && route.check_conditions {
        SourceLookup::BeforeAndAfter
    } else if checks.conditions || checks.metadata || checks.kept_metadata || checks.length {
        SourceLookup::Before
    } else {
        SourceLookup::None
    }
}

fn find_source_checks(route: &Route<'_>, request: &Request) -> NeededSourceFacts {
    let target = route.target.dialect;
    let has_conditions = conditions::count_conditions(&request.fields) > 0;
    let can_express_conditions = Field::SOURCE_CONDITIONS
        .iter()
        .all(|field| !request.fields.has(*field) || target.supports_field(*field));
    // Evaluating conditions in the proxy leaves a moment in which the source can change. For conditions that the
    // target lacks, the operator has to accept this.
    let needs_conditions = has_conditions
        && (route.check_conditions
            || (can_express_conditions
                && !conditions::has_same_rules(route.caller, target, &request.fields)));
    let needs_metadata = request.operation == Operation::CopyObject
        && is_self_copy(request)
        && !has_replace_directive(request, Field::MetadataDirective)
        && match target.copy.self_copy {
            SelfCopyRule::AlwaysReplacesMetadata | SelfCopyRule::Replaced => true,
            SelfCopyRule::NeedsChange => route.caller.copy.self_copy != SelfCopyRule::NeedsChange,
        };
    // Only strict dialects reject a range that does not fit, so the length matters if exactly one of the two is
    // strict.
    let needs_length =
        request.fields.has(Field::SourceRange) && route.caller.copy.strict_range != target.copy.strict_range;
    let needs_kept_metadata = request.operation == Operation::CopyObject
        && has_replace_directive(request, Field::MetadataDirective)
        && route
            .caller
            .metadata_kept_prefixes
            .iter()
            .any(|start| !target.metadata_kept_prefixes.contains(start));
    NeededSourceFacts {
        conditions: needs_conditions,
        metadata: needs_metadata,
        kept_metadata: needs_kept_metadata,
        length: needs_length,
        parts_size: false,
    }
}
