//! Uploads by a form of a web page: the fields in front of the file, the policy that somebody signed for them, and
//! the file's bytes as they arrive.

use crate::engine::accept::Keys;
use crate::engine::auth::{Decode, Payload, Place, Verified};
use crate::engine::dialect::{Dialect, Name};
use crate::engine::{policy, read};
use crate::model::{Fault, Field, RawHead, Refusal, Reply, Request, Timestamp, Told};
use crate::wire::{percent, xml};

/// What the fields in front of the file may take, bytes.
const FIELDS_BYTES_MAX: usize = 64 * 1024;

/// What is read of a file before it is decided, bytes: a form that ends within them may have fields behind its file.
pub const AHEAD_BYTES: usize = 256 * 1024;

/// The fields of a form, and what is said of its file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Form {
    /// Names as sent, and values.
    pub fields: Vec<(String, String)>,
    /// Name of the file on the caller's disk.
    pub file_name: String,
    /// Its type as the browser says it.
    pub file_type: Option<String>,
}

impl Form {
    /// The value of a field, whatever the letter case of its name.
    pub fn get(&self, name: &str) -> Option<&str> {
        let row = self.fields.iter().find(|row| row.0.eq_ignore_ascii_case(name))?;
        Some(&row.1)
    }

    /// The value of a field that must be there.
    ///
    /// # Errors
    /// [`Fault::FormFieldMissing`].
    pub fn need(&self, name: &'static str) -> Result<&str, Refusal> {
        self.get(name).ok_or_else(|| {
            Refusal::say(
                Fault::FormFieldMissing,
                format!(
                    "Bucket POST must contain a field named '{name}'.  If it is specified, please check the order of the fields."
                ),
            )
            .with("ArgumentName", name)
        })
    }
}

/// Reads a form piece by piece until its file begins.
#[derive(Debug)]
pub struct FormReader {
    /// With the line end in front of it.
    delimiter: Vec<u8>,
    buffer: Vec<u8>,
    form: Form,
    begun: bool,
    /// Bytes of the wire so far.
    taken: u64,
}

/// How far a form has been read.
#[derive(Debug, PartialEq, Eq)]
pub enum Progress {
    /// More is needed.
    Fields,
    /// The file has begun.
    File,
}

impl FormReader {
    /// For a form of this content type.
    ///
    /// # Errors
    /// [`Fault::MalformedForm`] without a boundary.
    pub fn new(content_type: &str) -> Result<Self, Refusal> {
        let parameters = content_type.split(';').skip(1).map(str::trim);
        let boundary = parameters
            .filter_map(|parameter| parameter.split_once('='))
            .find(|(name, _)| name.trim().eq_ignore_ascii_case("boundary"))
            .map(|(_, value)| value.trim().trim_matches('"'))
            .filter(|boundary| (1..=70).contains(&boundary.len()))
            .ok_or(Fault::MalformedForm)?;
        Ok(Self {
            delimiter: format!("\r\n--{boundary}").into_bytes(),
            // The first boundary has no line in front of it; it is read as if it had.
            buffer: b"\r\n".to_vec(),
            form: Form::default(),
            begun: false,
            taken: 0,
        })
    }

    /// Takes bytes.
    ///
    /// # Errors
    /// [`Fault::MalformedForm`], [`Fault::FormTooLarge`], [`Fault::NotOneFile`].
    pub fn push(&mut self, wire: &[u8]) -> Result<Progress, Refusal> {
        self.taken = self.taken.saturating_add(u64::try_from(wire.len()).unwrap_or(u64::MAX));
        self.buffer.extend_from_slice(wire);
        if self.begun {
            return Ok(Progress::File);
        }
        while let Some(part) = self.next_part()? {
            if part.name.eq_ignore_ascii_case("file") {
                self.begun = true;
                self.form.file_name = part.file_name.unwrap_or_default();
                self.form.file_type = part.kind;
                return Ok(Progress::File);
            }
            let Some(end) = find(&self.buffer, &self.delimiter) else {
                // Put the head of the part back: its value has not arrived.
                self.buffer.splice(..0, part.head);
                break;
            };
            let value: Vec<u8> = self.buffer.drain(..end).collect();
            let value = String::from_utf8(value).map_err(|_| Fault::MalformedForm)?;
            if self.form.get(&part.name).is_some() {
                return Err(Fault::MalformedForm.into());
            }
            self.form.fields.push((part.name, value));
        }
        if self.buffer.len() > FIELDS_BYTES_MAX {
            return Err(Fault::FormTooLarge.into());
        }
        let size: usize = self.form.fields.iter().map(|row| row.0.len().saturating_add(row.1.len())).sum();
        if size > FIELDS_BYTES_MAX {
            return Err(Fault::FormTooLarge.into());
        }
        Ok(Progress::Fields)
    }

    /// The head of the next part, taken from the buffer once it is there whole.
    fn next_part(&mut self) -> Result<Option<Part>, Refusal> {
        let Some(rest) = self.buffer.strip_prefix(self.delimiter.as_slice()) else {
            let whole = self.buffer.len() >= self.delimiter.len();
            return if whole { Err(Fault::MalformedForm.into()) } else { Ok(None) };
        };
        if rest.starts_with(b"--") {
            return Err(Fault::NotOneFile.into());
        }
        let Some(end) = find(rest, b"\r\n\r\n") else { return Ok(None) };
        let head = rest.get(..end).and_then(|head| std::str::from_utf8(head).ok());
        let head = head.and_then(|head| head.strip_prefix("\r\n")).ok_or(Fault::MalformedForm)?;
        let mut part = Part::read(head)?;
        let length = self.delimiter.len().saturating_add(end).saturating_add(4);
        part.head = self.buffer.drain(..length).collect();
        Ok(Some(part))
    }

    /// What stands in front of the file.
    pub fn form(&self) -> &Form {
        &self.form
    }

    /// How much of the form is held.
    pub fn held(&self) -> usize {
        self.buffer.len()
    }

    /// The form's file as a body to be decoded. `length` is the whole request's, where the caller said it;
    /// `ended` says that all of it was pushed.
    ///
    /// # Errors
    /// A file whose length nobody can know.
    pub fn file(self, length: Option<u64>, ended: bool, bounds: (u64, u64)) -> Result<File, Refusal> {
        let bytes = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
        let known = find(&self.buffer, &self.delimiter).map(bytes);
        if ended && known.is_none() {
            return Err(Fault::IncompleteBody.into());
        }
        // Behind the last part stand two dashes and a line end.
        let closing = bytes(self.delimiter.len()).saturating_add(4);
        let guessed = length.map(|length| {
            length.saturating_sub(self.taken).saturating_add(bytes(self.buffer.len())).saturating_sub(closing)
        });
        let length = known.or(guessed).ok_or(Fault::MissingContentLength)?;
        let (least, most) = bounds;
        if length > most {
            return Err(Refusal::new(Fault::EntityTooLarge)
                .with("ProposedSize", length.to_string())
                .with("MaxSizeAllowed", most.to_string()));
        }
        if length < least {
            return Err(Refusal::new(Fault::EntityTooSmall)
                .with("ProposedSize", length.to_string())
                .with("MinSizeAllowed", least.to_string()));
        }
        Ok(File { delimiter: self.delimiter, buffer: self.buffer, length, ended: false })
    }
}

struct Part {
    /// As it arrived, with the delimiter.
    head: Vec<u8>,
    name: String,
    file_name: Option<String>,
    kind: Option<String>,
}

impl Part {
    fn read(head: &str) -> Result<Self, Refusal> {
        let mut part = Self { head: Vec::new(), name: String::new(), file_name: None, kind: None };
        for line in head.split("\r\n") {
            let (name, value) = line.split_once(':').ok_or(Fault::MalformedForm)?;
            match name.trim().to_ascii_lowercase().as_str() {
                "content-disposition" => {
                    part.name = parameter(value, "name").ok_or(Fault::MalformedForm)?;
                    part.file_name = parameter(value, "filename");
                }
                "content-type" => part.kind = Some(value.trim().to_owned()),
                _ => {}
            }
        }
        if part.name.is_empty() { Err(Fault::MalformedForm.into()) } else { Ok(part) }
    }
}

/// A parameter of a header's value, with or without quotes.
fn parameter(value: &str, wanted: &str) -> Option<String> {
    let mut rest = value.split_once(';')?.1;
    loop {
        let (name, after) = rest.split_once('=')?;
        let (text, next) = match after.trim_start().strip_prefix('"') {
            Some(quoted) => {
                let end = quoted.char_indices().find(|(at, c)| {
                    *c == '"' && !quoted.get(..*at).is_some_and(|before| before.ends_with('\\'))
                })?;
                let next = quoted.get(end.0..)?.split_once(';').map_or("", |row| row.1);
                (quoted.get(..end.0)?.replace("\\\"", "\""), next)
            }
            None => {
                let (text, next) = after.split_once(';').unwrap_or((after, ""));
                (text.trim().to_owned(), next)
            }
        };
        if name.trim().eq_ignore_ascii_case(wanted) {
            return Some(text);
        }
        rest = next;
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

/// A form's file as it arrives, up to the next boundary. What stands behind it says nothing.
pub struct File {
    delimiter: Vec<u8>,
    /// What may be the beginning of the boundary.
    buffer: Vec<u8>,
    length: u64,
    ended: bool,
}

impl Decode for File {
    fn decoded_length(&self) -> u64 {
        self.length
    }

    fn push(&mut self, wire: &[u8], out: &mut Vec<u8>) -> Result<(), Refusal> {
        if self.ended {
            return Ok(());
        }
        self.buffer.extend_from_slice(wire);
        let safe = match find(&self.buffer, &self.delimiter) {
            Some(at) => {
                self.ended = true;
                at
            }
            None => self.buffer.len().saturating_sub(self.delimiter.len()),
        };
        out.extend(self.buffer.drain(..safe));
        Ok(())
    }

    fn finish(&mut self) -> Result<Vec<(String, String)>, Refusal> {
        if self.ended { Ok(Vec::new()) } else { Err(Fault::MalformedForm.into()) }
    }
}

/// A form that is believed.
pub struct Posted {
    /// Who sent it.
    pub access_key: String,
    /// The upload that it means.
    pub request: Request,
    /// How success is told.
    pub success: Success,
    /// Bounds of the file's size, bytes.
    pub bounds: (u64, u64),
}

/// How success is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Success {
    /// By a status alone.
    Bare(u16),
    /// By a document.
    Document,
    /// By sending the browser on.
    Redirect(String),
}

/// Believes a form, or says why not.
///
/// # Errors
/// Each fault of its signature, policy and fields.
pub fn accept(
    dialect: &'static Dialect,
    form: &Form,
    place: &Place,
    keys: &dyn Keys,
    now: Timestamp,
) -> Result<Posted, Refusal> {
    let bucket = place.bucket.as_deref().ok_or(Fault::MethodNotAllowed)?;
    let claim = dialect.auth.claim_form(form)?.ok_or(Fault::AnonymousDenied)?;
    let text = form.need("policy")?;
    let key = keys.key(&claim.access_key);
    let dummy = secrecy::SecretString::from("0000000000000000000000000000000000000000");
    let secret = key.as_ref().map_or(&dummy, |key| key.secret);
    let outcome = dialect.auth.verify_form(form, text, secret, now);
    let Some(key) = key else { return Err(Fault::InvalidAccessKeyId.into()) };
    outcome?;
    if !key.schemes.is_empty() && !key.schemes.iter().any(|scheme| scheme == claim.scheme.name) {
        return Err(Fault::UnsupportedSignature.into());
    }
    crate::engine::accept::check_token(key.token, claim.token.as_deref())?;
    let bounds = policy::check(dialect, text, form, bucket, now)?;
    let most = dialect.limits.upload_bytes_max;
    let request = upload(dialect, form, place)?;
    let bounds = bounds.map_or((0, most), |(least, greatest)| (least, greatest.min(most)));
    Ok(Posted { access_key: claim.access_key, request, success: success(form), bounds })
}

fn success(form: &Form) -> Success {
    let redirect = form.get("success_action_redirect").or(form.get("redirect"));
    if let Some(url) = redirect.filter(|url| url.starts_with("http://") || url.starts_with("https://")) {
        return Success::Redirect(url.to_owned());
    }
    match form.get("success_action_status") {
        Some("200") => Success::Bare(200),
        Some("201") => Success::Document,
        _ => Success::Bare(204),
    }
}

/// Fields that say nothing of the object.
const ABOUT_THE_FORM: [&str; 8] = [
    "policy",
    "key",
    "file",
    "bucket",
    "submit",
    "success_action_status",
    "success_action_redirect",
    "redirect",
];

/// The upload that a form means: its fields are read as the headers of a PUT.
fn upload(dialect: &'static Dialect, form: &Form, place: &Place) -> Result<Request, Refusal> {
    let key = form.need("key")?.replace("${filename}", base_name(&form.file_name));
    let mut headers: Vec<(String, Vec<u8>)> = Vec::new();
    let own = dialect.auth.form_fields();
    for (name, value) in &form.fields {
        let lower = name.to_ascii_lowercase();
        let says_nothing = ABOUT_THE_FORM.contains(&lower.as_str())
            || lower.starts_with("x-ignore-")
            || own.iter().any(|own| own.eq_ignore_ascii_case(&lower));
        if says_nothing {
            continue;
        }
        match lower.as_str() {
            "acl" => push(dialect, Field::Acl, value.clone(), &mut headers),
            "tagging" => push(dialect, Field::Tagging, tags(value)?, &mut headers),
            _ => headers.push((lower, value.clone().into_bytes())),
        }
    }
    let typed = headers.iter().any(|row| row.0 == "content-type");
    if let Some(kind) = form.file_type.as_ref().filter(|_| dialect.form_file_type && !typed) {
        headers.push(("content-type".to_owned(), kind.clone().into_bytes()));
    }
    let head = RawHead {
        method: "PUT".to_owned(),
        path: format!("/{}", percent::encode_path(&key)),
        query: None,
        headers,
        secure: false,
    };
    let place = Place { key: Some(key), ..place.clone() };
    let verified =
        Verified { payload: Payload::Unsigned, unsigned: Vec::new(), credential_parameters: &[], key: None };
    read::request(dialect, &head, &place, &verified)
}

fn push(dialect: &Dialect, field: Field, value: String, headers: &mut Vec<(String, Vec<u8>)>) {
    if let Some(Name::Header(name)) = (dialect.name_of)(field) {
        headers.push((name.to_owned(), value.into_bytes()));
    }
}

/// Browsers of old send whole paths.
fn base_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or_default()
}

/// Tags of a form are a document; those of a header are pairs.
fn tags(document: &str) -> Result<String, Refusal> {
    let root = xml::read(document.as_bytes()).map_err(|_| Fault::MalformedXml)?;
    let set = root.child("TagSet").ok_or(Fault::MalformedXml)?;
    let pairs = set.all("Tag").map(|tag| {
        let text = |name: &str| tag.text_of(name).map(percent::encode);
        Some(format!("{}={}", text("Key")?, text("Value")?))
    });
    Ok(pairs.collect::<Option<Vec<_>>>().ok_or(Fault::MalformedXml)?.join("&"))
}

/// Tells the success of a form as it asked for it.
pub fn told(mut reply: Reply, success: &Success, bucket: &str, key: &str, location: &str) -> Reply {
    let etag = reply.text(Told::Etag).unwrap_or_default().to_owned();
    match success {
        Success::Bare(status) => reply.status = *status,
        Success::Document => {
            reply.status = 201;
            reply.document = Some(crate::model::Document::Posted {
                location: location.to_owned(),
                bucket: bucket.to_owned(),
                key: key.to_owned(),
                etag,
            });
        }
        Success::Redirect(url) => {
            reply.status = 303;
            let joint = if url.contains('?') { '&' } else { '?' };
            let url = format!(
                "{url}{joint}bucket={}&key={}&etag={}",
                percent::encode(bucket),
                percent::encode(key),
                percent::encode(&etag)
            );
            reply.set(Told::Location, url);
            return reply;
        }
    }
    reply.set(Told::Location, location);
    reply
}
