//! Everything with small bodies both ways, as a machine that the shell drives: what to send, then what to tell.

use crate::engine::answer::{self, Refused};
use crate::engine::conditions::{self, SourceState};
use crate::engine::dialect::SelfCopy;
use crate::engine::loss::Loss;
use crate::engine::way::Way;
use crate::engine::{bodies, crc64, emulate, etag, listing, relay, settings, write};
use crate::model::{
    ByteRange, Directive, Document, Fault, Field, Fields, Operation, Outgoing, Refusal, Reply, Request,
    Setting, Source, Timestamp, Told, Value,
};
use crate::wire::{date, xml};

use crate::engine::emulate::Gather;

/// A target's whole answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Lower-case names and values.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The whole body. The shell has checked that it is complete.
    pub body: Vec<u8>,
}

impl Answer {
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
    Send(Box<Outgoing>),
    /// Tell the caller; the exchange is over.
    Tell(Box<Reply>),
}

/// One small exchange with a target.
pub struct Exchange<'a> {
    way: Way<'a>,
    /// The request as the caller meant it: conditions and names are told from it.
    asked: Request,
    /// The request as it is sent.
    sent: Request,
    losses: Vec<Loss>,
    needs: Needs,
    /// What the conditions were evaluated on.
    looked: Option<SourceState>,
    /// Whether the source was found unchanged after the copy.
    unchanged: bool,
    /// The access of a completed object that the target is told in a request of its own.
    access_after: Option<Value>,
    state: State,
}

/// What has to be known of a copy's source before the copy.
#[derive(Debug, Clone, Copy, Default)]
struct Needs {
    /// Its ETag and date, to evaluate the conditions by the caller's rules.
    conditions: bool,
    /// Its metadata, because the target takes the request's.
    metadata: bool,
    /// Its length, because caller and target treat a range past the end differently.
    length: bool,
}

enum State {
    /// Nothing was sent yet.
    New,
    /// The source is being looked at before the copy.
    Looking,
    /// A HEAD found nothing, and its bucket tells whether that is missing too. Then this is what is missing.
    Missing(Refusal),
    /// The request itself was sent.
    Asking,
    /// The copy was made, and the source tells whether it is still what the conditions were evaluated on.
    LookingAgain(Box<Reply>),
    /// The object was completed, and its access is set.
    SettingAccess(Box<Reply>),
    /// The copy was refused, and the source tells which condition it was.
    Deciding(Refused),
    /// The copy was made, and the destination tells whether the directive was honoured.
    Checking(Box<Reply>),
    /// What the target does not tell in one answer is gathered from several.
    Gathering(Box<Reply>, Gather),
    /// A target shows whether it tells settings by their parameters, before one is changed.
    Probing(Setting),
    /// The target shows whether uploads were begun in a bucket that is to be deleted.
    Counting,
    /// The setting was set, and the target shows whether it kept it.
    Keeping(Setting, Box<Reply>),
}

impl<'a> Exchange<'a> {
    /// Prepares; nothing is sent yet. `body` is the request's whole body, verified.
    ///
    /// # Errors
    /// What is refused before any target is contacted.
    pub fn new(way: Way<'a>, mut asked: Request, body: &[u8]) -> Result<Self, Refusal> {
        bodies::read(&way, &mut asked, body)?;
        let mut needs = Needs::default();
        if asked.operation.copies() {
            conditions::check_pairs(way.caller, &asked.fields)?;
            check_onto_itself(&way, &asked)?;
            needs = needs_of(&way, &asked);
        }
        let mut sent = emulate::adapted(&way, listing::adapted(&way, &asked)?);
        // That of another body.
        sent.fields.remove(Field::ContentMd5);
        if needs.conditions {
            Field::SOURCE_CONDITIONS.iter().for_each(|field| drop(sent.fields.remove(*field)));
        }
        let access_after = emulate::access_after(&way, &mut sent);
        let (_, losses) = write::request(&way, &sent)?;
        Ok(Self {
            way,
            asked,
            sent,
            losses,
            needs,
            looked: None,
            unchanged: false,
            access_after,
            state: State::New,
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
    pub fn start(&mut self, now: Timestamp) -> Result<Step, Refusal> {
        if self.asked.operation.copies()
            && !conditions::same_future(self.way.caller, self.way.target.dialect, &self.asked.fields, now)
        {
            self.needs.conditions = true;
            Field::SOURCE_CONDITIONS.iter().for_each(|field| drop(self.sent.fields.remove(*field)));
        }
        if let Some(setting) = self.unsure_setting().filter(|_| self.changes()) {
            return self.ask_bucket(Operation::Get(setting), State::Probing(setting), now);
        }
        if self.asked.operation == Operation::DeleteBucket && self.uploads_count() {
            return self.ask_bucket(Operation::ListMultipartUploads, State::Counting, now);
        }
        let look = self.needs.conditions || self.needs.metadata || self.needs.length;
        if look { self.look(State::Looking, now) } else { self.ask(now) }
    }

    /// The step after an answer.
    ///
    /// # Errors
    /// The target's fault in canonical form.
    pub fn next(&mut self, answer: &Answer, now: Timestamp) -> Result<Step, Refusal> {
        match std::mem::replace(&mut self.state, State::New) {
            State::New => Err(answer::unproven()),
            State::Looking if answer::is_missing_unsaid(self.way.target.dialect, answer) => {
                let refusal = self.told_of_source(answer::failure(&self.way, answer));
                self.ask_missing(self.way.source_bucket.clone().unwrap_or_default(), refusal, now)
            }
            State::Looking => {
                self.take_source(answer, now)?;
                self.ask(now)
            }
            State::Missing(_) if answer.status == 404 => Err(Fault::NoSuchBucket.into()),
            State::Missing(refusal) => Err(refusal),
            State::Asking
                if self.sent.operation == Operation::HeadObject
                    && answer::is_missing_unsaid(self.way.target.dialect, answer) =>
            {
                let refusal = answer::failure(&self.way, answer).refusal;
                self.ask_missing(self.way.bucket.clone(), refusal, now)
            }
            State::Asking => self.answered(answer, now),
            State::LookingAgain(reply) => {
                self.check_unchanged(&reply, answer)?;
                self.unchanged = true;
                self.succeeded(*reply, now)
            }
            State::SettingAccess(reply) => {
                let put = answer::whole(&self.way, Operation::Put(Setting::ObjectAcl), answer);
                put.map_err(|refused| access_not_set(&refused))?;
                self.succeeded(*reply, now)
            }
            State::Deciding(refused) => Err(self.decided(&refused, answer, now)),
            State::Checking(reply) => self.checked(reply, answer),
            State::Gathering(reply, what) => self.gathered(*reply, what, answer, now),
            State::Probing(setting) => self.probed(setting, answer, now),
            State::Counting => self.counted(answer, now),
            State::Keeping(setting, reply) => self.kept(setting, reply, answer),
        }
    }

    /// Sends the request itself.
    fn ask(&mut self, now: Timestamp) -> Result<Step, Refusal> {
        let (mut outgoing, _) = write::request(&self.way, &self.sent)?;
        outgoing.body = bodies::write(&self.way, &self.sent);
        outgoing.headers.extend(bodies::bucket_headers(&self.way, &self.sent));
        self.state = State::Asking;
        Ok(Step::Send(Box::new(write::sign(&self.way, outgoing, now))))
    }

    /// Asks whether it is the bucket that is missing.
    fn ask_missing(&mut self, bucket: String, refusal: Refusal, now: Timestamp) -> Result<Step, Refusal> {
        let outgoing = write::bucket_head(&self.way, bucket, now)?;
        self.state = State::Missing(refusal);
        Ok(Step::Send(Box::new(outgoing)))
    }

    /// Sends a HEAD of the copy's source.
    fn look(&mut self, then: State, now: Timestamp) -> Result<Step, Refusal> {
        let Some(source) = &self.asked.source else { return Err(answer::unproven()) };
        let fields = relay::look(&self.asked).fields;
        let bucket = self.way.source_bucket.clone().unwrap_or_default();
        self.send_head(bucket, source.key.clone(), fields, then, now)
    }

    fn send_head(
        &mut self,
        bucket: String,
        key: String,
        fields: Fields,
        then: State,
        now: Timestamp,
    ) -> Result<Step, Refusal> {
        let way = Way { bucket, ..self.way.clone() };
        let head = Request::of_object(Operation::HeadObject, way.bucket.clone(), key, fields);
        let (outgoing, _) = write::request(&way, &head)?;
        self.state = then;
        Ok(Step::Send(Box::new(write::sign(&way, outgoing, now))))
    }

    /// Takes what the source told into the request to be sent.
    fn take_source(&mut self, answer: &Answer, now: Timestamp) -> Result<(), Refusal> {
        let state = self.source_state(answer)?;
        if self.needs.conditions {
            conditions::evaluate(self.way.caller, &self.asked.fields, &state, now)?;
            // What was looked at is what must be copied.
            if self.way.target.dialect.can_say(Field::SourceIfMatch) {
                self.sent.fields.set(Field::SourceIfMatch, Value::Etags(vec![state.etag.clone()]));
            }
            self.looked = Some(state);
        }
        if self.needs.metadata {
            let told = answer::head(&self.way, Operation::HeadObject, answer);
            self.sent.metadata = told.metadata.clone();
            for (field, told_as) in CONTENT {
                if let Some(text) = told.text(told_as) {
                    self.sent.fields.set(field, Value::Text(text.to_owned()));
                }
            }
            self.sent.fields.set(Field::MetadataDirective, Value::Directive(Directive::Replace));
        }
        if self.needs.length {
            self.fit_range(answer)?;
        }
        Ok(())
    }

    fn source_state(&self, answer: &Answer) -> Result<SourceState, Refusal> {
        if answer.status != 200 {
            return Err(self.told_of_source(answer::failure(&self.way, answer)));
        }
        let target = self.way.target.dialect;
        let told = |field: Told| (target.told)(field).and_then(|name| answer.text(name));
        let etag = told(Told::Etag).map(etag::bare).filter(|etag| !etag.is_empty());
        let modified = told(Told::LastModified).and_then(date::parse_http);
        match (etag, modified) {
            (Some(etag), Some(modified)) => Ok(SourceState { etag: etag.to_owned(), modified }),
            _ => Err(answer::unproven()),
        }
    }

    /// A failed look at the source is the copy's own failure; a missing object is named.
    fn told_of_source(&self, refused: Refused) -> Refusal {
        match (&self.asked.source, refused.fault) {
            (Some(source), Fault::NoSuchKey) => {
                Refusal::new(Fault::NoSuchKey).with("Key", source.key.clone())
            }
            _ => refused.refusal,
        }
    }

    /// A range that ends past the source is an error to one dialect and the whole source to another.
    fn fit_range(&mut self, answer: &Answer) -> Result<(), Refusal> {
        let length = answer.text("content-length").and_then(|text| text.parse::<u64>().ok());
        let Some(length) = length else { return Err(answer::unproven()) };
        let Some(Value::Bytes(range)) = self.asked.fields.get(Field::SourceRange) else { return Ok(()) };
        let last = length.saturating_sub(1);
        match *range {
            ByteRange::Span(first, end) if first <= end && end < length => {}
            ByteRange::From(first) if first < length => {
                self.sent.fields.set(Field::SourceRange, Value::Bytes(ByteRange::Span(first, last)));
            }
            _ if self.way.caller.copy.strict_range => {
                return Err(Refusal::say(
                    Fault::InvalidCopyRange,
                    format!("Range specified is not valid for source object of size: {length}"),
                ));
            }
            _ => drop(self.sent.fields.remove(Field::SourceRange)),
        }
        Ok(())
    }

    /// The answer to the request itself.
    fn answered(&mut self, answer: &Answer, now: Timestamp) -> Result<Step, Refusal> {
        match answer::whole(&self.way, self.sent.operation, answer) {
            Ok(reply) => self.succeeded(reply, now),
            Err(refused) if self.misunderstood(&refused, answer) => Err(not_kept()),
            Err(refused) => self.failed(refused, now),
        }
    }

    fn succeeded(&mut self, mut reply: Reply, now: Timestamp) -> Result<Step, Refusal> {
        if let Some(acl) = self.access_after.take() {
            return self.set_access(acl, reply, now);
        }
        // A target whose own conditions cannot be relied on may have copied something newer.
        if self.looked.is_some() && self.way.check_conditions && !self.unchanged {
            return self.look(State::LookingAgain(Box::new(reply)), now);
        }
        if let (Operation::Put(_), Some(setting)) = (self.asked.operation, self.unsure_setting()) {
            let then = State::Keeping(setting, Box::new(reply));
            return self.ask_bucket(Operation::Get(setting), then, now);
        }
        if self.asked.operation == Operation::CompleteMultipartUpload {
            crc64::complete(&self.asked, &mut reply)?;
        }
        emulate::completed(&self.way, &self.asked, &mut reply)?;
        if let Some(what) = emulate::missing(&self.way, &reply) {
            return self.ask_bucket(what.operation(), State::Gathering(Box::new(reply), what), now);
        }
        let (bucket, key) = (self.asked.bucket.clone(), self.asked.key.clone());
        if self.asked.operation == Operation::CreateBucket {
            // The target's names its own bucket.
            reply.set(Told::Location, format!("/{}", bucket.as_deref().unwrap_or_default()));
            (self.way.caller.complete_reply)(self.asked.operation, &mut reply);
        }
        if let Some(document) = &mut reply.document {
            let bucket = bucket.as_deref().unwrap_or_default();
            let key = key.as_deref().unwrap_or_default();
            answer::name_document(document, bucket, key);
            listing::completed(&self.way, &self.asked, document);
            if let Document::CopyObject(result) | Document::CopyPart(result) = document {
                result.modified = result.modified.or(Some(now));
            }
        }
        let replaced = self.sent.fields.directive(Field::MetadataDirective) == Some(Directive::Replace);
        if self.sent.operation == Operation::CopyObject
            && replaced
            && self.way.target.dialect.copy.check_metadata
        {
            let bucket = self.way.bucket.clone();
            let key = key.unwrap_or_default();
            return self.send_head(bucket, key, Fields::default(), State::Checking(Box::new(reply)), now);
        }
        Ok(Step::Tell(Box::new(reply)))
    }

    /// Sets the access of the object that was completed.
    fn set_access(&mut self, acl: Value, reply: Reply, now: Timestamp) -> Result<Step, Refusal> {
        let (bucket, key) = (self.way.bucket.clone(), self.asked.key.clone().unwrap_or_default());
        let mut fields = Fields::default();
        fields.set(Field::Acl, acl);
        let request = Request::of_object(Operation::Put(Setting::ObjectAcl), bucket, key, fields);
        let (outgoing, _) = write::request(&self.way, &request)?;
        self.state = State::SettingAccess(Box::new(reply));
        Ok(Step::Send(Box::new(write::sign(&self.way, outgoing, now))))
    }

    /// Whether the source is what it was before the copy.
    ///
    /// # Errors
    /// `SourceChanged`. A part is not told, so that nobody completes with it; a destination is written already.
    fn check_unchanged(&self, reply: &Reply, answer: &Answer) -> Result<(), Refusal> {
        let is_same = match (&self.looked, &reply.document) {
            // The source is the destination: its ETag stays where it is that of the bytes.
            (Some(looked), Some(Document::CopyObject(made))) if onto_itself(&self.asked) => {
                let encrypts = [Field::Encryption, Field::CustomerKey, Field::SourceCustomerKey];
                let of_bytes = self.way.target.dialect.etag_is_md5
                    && !looked.etag.contains('-')
                    && !encrypts.into_iter().any(|field| self.asked.fields.has(field));
                !of_bytes || etag::same(&looked.etag, &made.etag)
            }
            (looked, _) => self.source_state(answer).ok() == *looked,
        };
        match (is_same, self.asked.operation) {
            (true, _) => Ok(()),
            (false, Operation::UploadPartCopy) => Err(Refusal::say(
                Fault::SourceChanged,
                "The source was changed while it was copied. The part is discarded.",
            )),
            (false, _) => Err(Refusal::say(
                Fault::SourceChanged,
                "The source was changed while it was copied. The destination was already written.",
            )),
        }
    }

    /// The setting of a bucket at a target which may take the request for another: listing the bucket, making or
    /// deleting it.
    fn unsure_setting(&self) -> Option<Setting> {
        match self.asked.operation {
            Operation::Get(setting) | Operation::Put(setting) | Operation::Delete(setting)
                if !setting.on_object() && !self.way.target.dialect.settings_known =>
            {
                Some(setting)
            }
            _ => None,
        }
    }

    fn changes(&self) -> bool {
        matches!(self.asked.operation, Operation::Put(_) | Operation::Delete(_))
    }

    /// Whether a request about a setting was taken for one about the bucket itself.
    fn misunderstood(&self, refused: &Refused, answer: &Answer) -> bool {
        let of_bucket = [Fault::BucketAlreadyExists, Fault::BucketAlreadyOwnedByYou, Fault::BucketNotEmpty];
        let another = answer.status / 100 == 2
            && refused.fault == Fault::InternalError
            && xml::read(&answer.body).is_ok();
        self.unsure_setting().is_some() && (another || of_bucket.contains(&refused.fault))
    }

    /// Whether uploads keep a bucket from being deleted for the caller's vendor, and not for the target.
    fn uploads_count(&self) -> bool {
        let target = self.way.target.dialect;
        let lists = target.route(Operation::ListMultipartUploads).is_some();
        self.way.caller.uploads_fill_bucket && !target.uploads_fill_bucket && lists
    }

    fn counted(&mut self, answer: &Answer, now: Timestamp) -> Result<Step, Refusal> {
        match answer::whole(&self.way, Operation::ListMultipartUploads, answer) {
            Ok(Reply { document: Some(Document::Uploads(page)), .. }) if !page.uploads.is_empty() => {
                Err(Fault::BucketNotEmpty.into())
            }
            Ok(_) => self.ask(now),
            // A target that has no uploads has none that were not completed.
            Err(refused) if refused.fault == Fault::NotImplemented => self.ask(now),
            Err(refused) => Err(refused.refusal),
        }
    }

    /// Asks the bucket for something beside the request itself.
    fn ask_bucket(&mut self, operation: Operation, then: State, now: Timestamp) -> Result<Step, Refusal> {
        let bucket = self.asked.bucket.clone();
        let mut request = Request { bucket, ..Request::new(operation) };
        if let Some(id) = self.asked.fields.get(Field::ConfigurationId) {
            request.fields.set(Field::ConfigurationId, id.clone());
        }
        let (outgoing, _) = write::request(&self.way, &request)?;
        self.state = then;
        Ok(Step::Send(Box::new(write::sign(&self.way, outgoing, now))))
    }

    /// What is not set need not be removed.
    fn probed(&mut self, setting: Setting, answer: &Answer, now: Timestamp) -> Result<Step, Refusal> {
        let unset = match answer::whole(&self.way, Operation::Get(setting), answer) {
            Ok(_) => false,
            Err(refused) if settings::says_unset(refused.fault) => true,
            Err(refused) if self.misunderstood(&refused, answer) => return Err(not_kept()),
            Err(refused) => return Err(refused.refusal),
        };
        match self.asked.operation {
            Operation::Delete(_) if unset => {
                let status = self.way.caller.success_status(self.asked.operation);
                Ok(Step::Tell(Box::new(Reply::status(status))))
            }
            _ => self.ask(now),
        }
    }

    fn kept(&self, setting: Setting, reply: Box<Reply>, answer: &Answer) -> Result<Step, Refusal> {
        match answer::whole(&self.way, Operation::Get(setting), answer) {
            Ok(_) => Ok(Step::Tell(reply)),
            Err(_) => Err(not_kept()),
        }
    }

    fn gathered(
        &mut self,
        mut reply: Reply,
        what: Gather,
        answer: &Answer,
        now: Timestamp,
    ) -> Result<Step, Refusal> {
        let told = answer::whole(&self.way, what.operation(), answer);
        emulate::take(&mut reply, &self.way, what, told.map_err(|refused| refused.refusal))?;
        self.succeeded(reply, now)
    }

    fn failed(&mut self, refused: Refused, now: Timestamp) -> Result<Step, Refusal> {
        if let Operation::Get(setting) = self.asked.operation
            && settings::says_unset(refused.fault)
            && let Some(form) = self.way.caller.form(setting)
        {
            let tree = settings::unset(form).map_err(Refusal::from)?;
            let mut reply = Reply::status(200);
            reply.document = Some(Document::Setting(setting, tree));
            return Ok(Step::Tell(Box::new(reply)));
        }
        if !matches!(refused.fault, Fault::PreconditionFailed | Fault::NotModified) {
            return Err(refused.refusal);
        }
        let conditions = self.asked.operation.copies() && conditions::count(&self.asked.fields) > 0;
        let overwrite = overwrite_fault(&self.asked.fields);
        match (conditions, overwrite) {
            (true, None) => match conditions::told_failed(self.way.caller, &self.asked.fields) {
                Some(refusal) => Err(refusal),
                None => self.look(State::Deciding(refused), now),
            },
            (true, Some(_)) => self.look(State::Deciding(refused), now),
            (false, Some(fault)) => Err(fault.into()),
            (false, None) => Err(refused.refusal),
        }
    }

    /// Which of several conditions it was that failed.
    fn decided(&self, refused: &Refused, answer: &Answer, now: Timestamp) -> Refusal {
        let state = match self.source_state(answer) {
            Ok(state) => state,
            Err(refusal) => return refusal,
        };
        match (
            conditions::evaluate(self.way.caller, &self.asked.fields, &state, now),
            overwrite_fault(&self.asked.fields),
        ) {
            (Err(refusal), _) => refusal,
            (Ok(()), Some(fault)) => fault.into(),
            // The source has changed between the two requests.
            (Ok(()), None) => refused.refusal.clone(),
        }
    }

    /// Whether the destination has what the directive asked for.
    fn checked(&self, reply: Box<Reply>, answer: &Answer) -> Result<Step, Refusal> {
        let made = answer::head(&self.way, Operation::HeadObject, answer);
        let same_type = self
            .sent
            .fields
            .text(Field::ContentType)
            .is_none_or(|kind| made.text(Told::ContentType) == Some(kind));
        let mut wanted = self.sent.metadata.clone();
        let mut found = made.metadata;
        wanted.sort();
        found.sort();
        if answer.status == 200 && same_type && wanted == found {
            return Ok(Step::Tell(reply));
        }
        Err(Refusal::say(
            Fault::InternalError,
            "The storage behind this service copied the object but did not replace its metadata.",
        ))
    }
}

/// The content headers, as requests and as answers name them.
const CONTENT: [(Field, Told); 6] = [
    (Field::ContentType, Told::ContentType),
    (Field::CacheControl, Told::CacheControl),
    (Field::ContentDisposition, Told::ContentDisposition),
    (Field::ContentEncoding, Told::ContentEncoding),
    (Field::ContentLanguage, Told::ContentLanguage),
    (Field::Expires, Told::Expires),
];

/// What a failed precondition on the destination is called.
pub fn overwrite_fault(fields: &Fields) -> Option<Fault> {
    if fields.has(Field::ForbidOverwrite) {
        return Some(Fault::ObjectExists);
    }
    fields.has(Field::OverwriteIfMatch).then_some(Fault::PreconditionFailed)
}

fn access_not_set(refused: &Refused) -> Refusal {
    Refusal::say(refused.refusal.fault, "The object was completed, but its access could not be set.")
}

fn not_kept() -> Refusal {
    Refusal::say(Fault::NotImplemented, "The storage behind this service does not keep this setting.")
}

fn onto_itself(request: &Request) -> bool {
    request.source.as_ref().is_some_and(|Source { bucket, key, version }| {
        version.is_none() && Some(bucket) == request.bucket.as_ref() && Some(key) == request.key.as_ref()
    })
}

fn replaces(request: &Request, field: Field) -> bool {
    request.fields.directive(field) == Some(Directive::Replace)
}

/// A copy onto itself that the caller's vendor would refuse is refused here, whatever the target would do.
fn check_onto_itself(way: &Way<'_>, request: &Request) -> Result<(), Refusal> {
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
    let allowed = match way.caller.copy.onto_itself {
        SelfCopy::TakesRequest => true,
        SelfCopy::Replaced => {
            replaces(request, Field::MetadataDirective) || replaces(request, Field::TaggingDirective)
        }
        SelfCopy::AnyChange => {
            replaces(request, Field::MetadataDirective)
                || changes.iter().any(|field| request.fields.has(*field))
        }
    };
    if allowed { Ok(()) } else { Err(Fault::SelfCopy.into()) }
}

fn needs_of(way: &Way<'_>, request: &Request) -> Needs {
    let target = way.target.dialect;
    let given = conditions::count(&request.fields) > 0;
    let sayable =
        Field::SOURCE_CONDITIONS.iter().all(|field| !request.fields.has(*field) || target.can_say(*field));
    // Conditions that the target does not have, or does not keep, are evaluated here only where the operator accepts
    // the race.
    let conditions = given
        && (way.check_conditions
            || (sayable && !conditions::same_rules(way.caller, target, &request.fields)));
    let metadata = request.operation == Operation::CopyObject
        && onto_itself(request)
        && !replaces(request, Field::MetadataDirective)
        && match target.copy.onto_itself {
            SelfCopy::TakesRequest | SelfCopy::Replaced => true,
            SelfCopy::AnyChange => way.caller.copy.onto_itself != SelfCopy::AnyChange,
        };
    let length =
        request.fields.has(Field::SourceRange) && way.caller.copy.strict_range != target.copy.strict_range;
    Needs { conditions, metadata, length }
}
