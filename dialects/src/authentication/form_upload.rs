//! Form uploads (POST Object) from web pages: the fields before the file, the signed policy for them, and a decoder
//! of the file that follows.

use memchr::memmem;

use crate::authentication::authenticate::CredentialStore;
use crate::authentication::policy;
use crate::dialect::post_form::PostForm;
use crate::dialect::signature::{BodyDecoder, Payload, ResourceAddress, VerifiedSignature};
use crate::dialect::{Dialect, FieldName};
use crate::encoding::{percent, xml};
use crate::engine::read_request;
use crate::model::{
    ErrorKind, Field, RawHead, RawQuery, Rejection, Request, Response, ResponseField, Timestamp,
};

/// The largest size of the fields before the file, bytes.
const FIELDS_BYTES_MAX: usize = 64 * 1024;

/// Bytes of a file that are read before the upload begins. A form that ends within them has a known file length.
pub const READ_AHEAD_BYTES: usize = 256 * 1024;

/// Reads a form incrementally until its file begins.
#[derive(Debug)]
pub struct FormReader {
    /// The boundary with the line end before it.
    delimiter: Vec<u8>,
    buffer: Vec<u8>,
    form: PostForm,
    file_started: bool,
    /// Bytes of the body received so far.
    received_bytes: u64,
}

/// How far a form has been read.
#[derive(Debug, PartialEq, Eq)]
pub enum FormProgress {
    /// More bytes are needed.
    Fields,
    /// The file has begun.
    File,
}

impl FormReader {
    /// Creates a reader for a form with this content type.
    ///
    /// # Errors
    /// `ErrorKind::MalformedForm` if there is no boundary.
    pub fn new(content_type: &str) -> Result<Self, Rejection> {
        let parameters = content_type.split(';').skip(1).map(str::trim);
        let boundary = parameters
            .filter_map(|parameter| parameter.split_once('='))
            .find(|(name, _)| name.trim().eq_ignore_ascii_case("boundary"))
            .map(|(_, value)| value.trim().trim_matches('"'))
            // RFC 2046, section 5.1.1: at most 70 characters.
            .filter(|boundary| (1..=70).contains(&boundary.len()))
            .ok_or(ErrorKind::MalformedForm)?;
        Ok(Self {
            delimiter: format!("\r\n--{boundary}").into_bytes(),
            // The first boundary has no line end before it. With this one all boundaries are read by the same code.
            buffer: b"\r\n".to_vec(),
            form: PostForm::default(),
            file_started: false,
            received_bytes: 0,
        })
    }

    /// Adds bytes of the body.
    ///
    /// # Errors
    /// `ErrorKind::MalformedForm`, `ErrorKind::FormTooLarge`, `ErrorKind::NotOneFile`.
    pub fn push(&mut self, wire: &[u8]) -> Result<FormProgress, Rejection> {
        self.received_bytes =
            self.received_bytes.saturating_add(u64::try_from(wire.len()).unwrap_or(u64::MAX));
        self.buffer.extend_from_slice(wire);
        if self.file_started {
            return Ok(FormProgress::File);
        }
        while let Some(part) = self.take_part_head()? {
            if part.name.eq_ignore_ascii_case("file") {
                self.file_started = true;
                self.form.file_name = part.file_name.unwrap_or_default();
                self.form.file_type = part.content_type;
                return Ok(FormProgress::File);
            }
            let Some(end) = find_bytes(&self.buffer, &self.delimiter) else {
                // Put the head of the part back: its value has not arrived.
                self.buffer.splice(..0, part.head);
                break;
            };
            let value: Vec<u8> = self.buffer.drain(..end).collect();
            let value = String::from_utf8(value).map_err(|_| ErrorKind::MalformedForm)?;
            // The policy would be checked against one of the values, and the upload could have the other.
            if self.form.get(&part.name).is_some() {
                return Err(ErrorKind::MalformedForm.into());
            }
            self.form.fields.push((part.name, value));
        }
        if self.buffer.len() > FIELDS_BYTES_MAX {
            return Err(ErrorKind::FormTooLarge.into());
        }
        let size: usize = self.form.fields.iter().map(|row| row.0.len().saturating_add(row.1.len())).sum();
        if size > FIELDS_BYTES_MAX {
            return Err(ErrorKind::FormTooLarge.into());
        }
        Ok(FormProgress::Fields)
    }

    /// Removes the head of the next part from the buffer, once it is complete.
    fn take_part_head(&mut self) -> Result<Option<FormPart>, Rejection> {
        let Some(rest) = self.buffer.strip_prefix(self.delimiter.as_slice()) else {
            let is_complete = self.buffer.len() >= self.delimiter.len();
            return if is_complete { Err(ErrorKind::MalformedForm.into()) } else { Ok(None) };
        };
        if rest.starts_with(b"--") {
            return Err(ErrorKind::NotOneFile.into());
        }
        let Some(end) = find_bytes(rest, b"\r\n\r\n") else { return Ok(None) };
        let head = rest.get(..end).and_then(|head| std::str::from_utf8(head).ok());
        let head = head.and_then(|head| head.strip_prefix("\r\n")).ok_or(ErrorKind::MalformedForm)?;
        let mut part = FormPart::parse(head)?;
        let length = self.delimiter.len().saturating_add(end).saturating_add(4);
        part.head = self.buffer.drain(..length).collect();
        Ok(Some(part))
    }

    /// The fields before the file.
    pub fn form(&self) -> &PostForm {
        &self.form
    }

    /// Bytes of the form in memory.
    pub fn buffered_len(&self) -> usize {
        self.buffer.len()
    }

    /// Creates the decoder of the form's file. `length` is the request's `Content-Length`, if it has one. `is_complete`
    /// means that the whole body was pushed. `bounds` are the least and the greatest allowed size of the file.
    ///
    /// # Errors
    /// The file has an unknown length, or one outside the bounds.
    pub fn into_file_decoder(
        self,
        length: Option<u64>,
        is_complete: bool,
        bounds: (u64, u64),
    ) -> Result<FormFileDecoder, Rejection> {
        let bytes = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
        let exact_length = find_bytes(&self.buffer, &self.delimiter).map(bytes);
        if is_complete && exact_length.is_none() {
            return Err(ErrorKind::IncompleteBody.into());
        }
        // Two dashes and a line end follow the last boundary.
        let closing = bytes(self.delimiter.len()).saturating_add(4);
        let estimated_length = length.map(|length| {
            length
                .saturating_sub(self.received_bytes)
                .saturating_add(bytes(self.buffer.len()))
                .saturating_sub(closing)
        });
        let length = exact_length.or(estimated_length).ok_or(ErrorKind::MissingContentLength)?;
        let (least, most) = bounds;
        if length > most {
            return Err(Rejection::new(ErrorKind::EntityTooLarge)
                .with_detail("ProposedSize", length.to_string())
                .with_detail("MaxSizeAllowed", most.to_string()));
        }
        if length < least {
            return Err(Rejection::new(ErrorKind::EntityTooSmall)
                .with_detail("ProposedSize", length.to_string())
                .with_detail("MinSizeAllowed", least.to_string()));
        }
        Ok(FormFileDecoder { delimiter: self.delimiter, buffer: self.buffer, length, ended: false })
    }
}

struct FormPart {
    /// The part's head as received, with the delimiter.
    head: Vec<u8>,
    name: String,
    file_name: Option<String>,
    content_type: Option<String>,
}

impl FormPart {
    fn parse(head: &str) -> Result<Self, Rejection> {
        let mut part = Self { head: Vec::new(), name: String::new(), file_name: None, content_type: None };
        for line in head.split("\r\n") {
            let (name, value) = line.split_once(':').ok_or(ErrorKind::MalformedForm)?;
            match name.trim().to_ascii_lowercase().as_str() {
                "content-disposition" => {
                    part.name = parse_header_parameter(value, "name").ok_or(ErrorKind::MalformedForm)?;
                    part.file_name = parse_header_parameter(value, "filename");
                }
                "content-type" => part.content_type = Some(value.trim().to_owned()),
                _ => {}
            }
        }
        if part.name.is_empty() { Err(ErrorKind::MalformedForm.into()) } else { Ok(part) }
    }
}

/// A parameter of a header value, quoted or not.
fn parse_header_parameter(value: &str, wanted: &str) -> Option<String> {
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

fn find_bytes(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    // Every byte of a file passes here. A comparison at each position takes forty times as long.
    memmem::find(bytes, wanted)
}

/// Decodes a form's file up to the next boundary. Fields after the file are ignored.
pub struct FormFileDecoder {
    delimiter: Vec<u8>,
    /// Bytes that may be the start of the boundary.
    buffer: Vec<u8>,
    length: u64,
    ended: bool,
}

impl BodyDecoder for FormFileDecoder {
    fn decoded_length(&self) -> u64 {
        self.length
    }

    fn push(&mut self, wire: &[u8], out: &mut Vec<u8>) -> Result<(), Rejection> {
        if self.ended {
            return Ok(());
        }
        self.buffer.extend_from_slice(wire);
        let safe = match find_bytes(&self.buffer, &self.delimiter) {
            Some(at) => {
                self.ended = true;
                at
            }
            None => self.buffer.len().saturating_sub(self.delimiter.len()),
        };
        out.extend(self.buffer.drain(..safe));
        Ok(())
    }

    fn finish(&mut self) -> Result<Vec<(String, String)>, Rejection> {
        if self.ended { Ok(Vec::new()) } else { Err(ErrorKind::MalformedForm.into()) }
    }
}

/// An authenticated form.
pub struct AuthenticatedForm {
    /// The access key ID that signed the policy.
    pub access_key: String,
    /// The upload.
    pub request: Request,
    /// The response to a successful upload.
    pub success_response: SuccessResponse,
    /// The least and the greatest size of the file, bytes.
    pub bounds: (u64, u64),
}

/// The response to a successful form upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SuccessResponse {
    /// A status without a body.
    StatusOnly(u16),
    /// Status 201 with a document.
    Document,
    /// A redirect of the browser.
    Redirect(String),
}

/// Authenticates a form.
///
/// # Errors
/// An error in its signature, policy or fields.
pub fn authenticate_form(
    dialect: &'static Dialect,
    form: &PostForm,
    address: &ResourceAddress,
    keys: &dyn CredentialStore,
    now: Timestamp,
) -> Result<AuthenticatedForm, Rejection> {
    let bucket = address.scope.bucket().ok_or(ErrorKind::MethodNotAllowed)?;
    let claim = dialect.auth.parse_form_claim(form)?.ok_or(ErrorKind::AnonymousDenied)?;
    let policy_text = form.require_field("policy")?;
    let key = keys.find_credentials(&claim.access_key_id);
    // As for other requests: the response time must not show which access key IDs exist.
    let dummy = secrecy::SecretString::from("0000000000000000000000000000000000000000");
    let secret = key.as_ref().map_or(&dummy, |key| key.secret_key);
    let outcome = dialect.auth.verify_form(form, policy_text, secret, now);
    let Some(key) = key else { return Err(ErrorKind::InvalidAccessKeyId.into()) };
    outcome?;
    if !key.schemes.is_empty() && !key.schemes.iter().any(|scheme| scheme == claim.scheme.name) {
        return Err(ErrorKind::UnsupportedSignature.into());
    }
    crate::authentication::authenticate::check_session_token(
        key.session_token,
        claim.session_token.as_deref(),
    )?;
    let bounds = policy::check_policy(dialect, policy_text, form, bucket, now)?;
    let most = dialect.limits.upload_bytes_max;
    let request = build_upload_request(dialect, form, address)?;
    let bounds = bounds.map_or((0, most), |(least, greatest)| (least, greatest.min(most)));
    Ok(AuthenticatedForm {
        access_key: claim.access_key_id,
        request,
        success_response: parse_success_response(form),
        bounds,
    })
}

fn parse_success_response(form: &PostForm) -> SuccessResponse {
    // `redirect` is the older name of the same field.
    let redirect = form.get("success_action_redirect").or(form.get("redirect"));
    // Vendors ignore a URL that a browser could not open, and respond as if there were none.
    if let Some(url) = redirect.filter(|url| url.starts_with("http://") || url.starts_with("https://")) {
        return SuccessResponse::Redirect(url.to_owned());
    }
    match form.get("success_action_status") {
        Some("200") => SuccessResponse::StatusOnly(200),
        Some("201") => SuccessResponse::Document,
        _ => SuccessResponse::StatusOnly(204),
    }
}

/// Fields that do not describe the object.
const FORM_CONTROL_FIELDS: [&str; 8] = [
    "policy",
    "key",
    "file",
    "bucket",
    "submit",
    "success_action_status",
    "success_action_redirect",
    "redirect",
];

/// The upload of a form. Its fields are read as the headers of a PUT, which have the same names.
fn build_upload_request(
    dialect: &'static Dialect,
    form: &PostForm,
    address: &ResourceAddress,
) -> Result<Request, Rejection> {
    let key = form.require_field("key")?.replace("${filename}", strip_directories(&form.file_name));
    let mut headers: Vec<(String, Vec<u8>)> = Vec::new();
    let credential_fields = dialect.auth.form_fields();
    for (name, value) in &form.fields {
        let lower = name.to_ascii_lowercase();
        let is_control_field = FORM_CONTROL_FIELDS.contains(&lower.as_str())
            || lower.starts_with("x-ignore-")
            || credential_fields.iter().any(|own| own.eq_ignore_ascii_case(&lower));
        if is_control_field {
            continue;
        }
        match lower.as_str() {
            "acl" => push_header(dialect, Field::Acl, value.clone(), &mut headers),
            "tagging" => push_header(dialect, Field::Tagging, convert_tagging_to_pairs(value)?, &mut headers),
            _ => headers.push((lower, value.clone().into_bytes())),
        }
    }
    let has_content_type = headers.iter().any(|row| row.0 == "content-type");
    if let Some(kind) = form.file_type.as_ref().filter(|_| dialect.uses_form_file_type && !has_content_type) {
        headers.push(("content-type".to_owned(), kind.clone().into_bytes()));
    }
    let head = RawHead {
        method: "PUT".to_owned(),
        path: format!("/{}", percent::encode_path(&key)),
        query: RawQuery::default(),
        headers,
        over_tls: false,
    };
    let address = ResourceAddress { scope: address.scope.with_key(&key), ..address.clone() };
    let verified = VerifiedSignature {
        payload: Payload::Unsigned,
        unsigned_names: Vec::new(),
        credential_parameters: &[],
        signed_key: None,
    };
    read_request::read_request(dialect, &head, &address, &verified)
}

fn push_header(dialect: &Dialect, field: Field, value: String, headers: &mut Vec<(String, Vec<u8>)>) {
    if let Some(FieldName::Header(name)) = (dialect.field_name)(field) {
        headers.push((name.to_owned(), value.into_bytes()));
    }
}

/// The file name of a path.
fn strip_directories(path: &str) -> &str {
    // Old browsers send the whole path of the file.
    path.rsplit(['/', '\\']).next().unwrap_or_default()
}

/// Converts the tagging document of a form to the pairs of the tagging header.
fn convert_tagging_to_pairs(document: &str) -> Result<String, Rejection> {
    let root = xml::parse(document.as_bytes()).map_err(|_| ErrorKind::MalformedXml)?;
    let set = root.child("TagSet").ok_or(ErrorKind::MalformedXml)?;
    let pairs = set.children_named("Tag").map(|tag| {
        let text = |name: &str| tag.child_text(name).map(percent::encode);
        Some(format!("{}={}", text("Key")?, text("Value")?))
    });
    Ok(pairs.collect::<Option<Vec<_>>>().ok_or(ErrorKind::MalformedXml)?.join("&"))
}

/// Writes the response to a successful form upload in the form that the request selected.
pub fn write_form_response(
    mut response: Response,
    success_response: &SuccessResponse,
    bucket: &str,
    key: &str,
    location: &str,
) -> Response {
    let etag = response.text(ResponseField::Etag).unwrap_or_default().to_owned();
    match success_response {
        SuccessResponse::StatusOnly(status) => response.status = *status,
        SuccessResponse::Document => {
            response.status = 201;
            response.document = Some(crate::model::Document::PostResponse {
                location: location.to_owned(),
                bucket: bucket.to_owned(),
                key: key.to_owned(),
                etag,
            });
        }
        SuccessResponse::Redirect(url) => {
            response.status = 303;
            let joint = if url.contains('?') { '&' } else { '?' };
            let url = format!(
                "{url}{joint}bucket={}&key={}&etag={}",
                percent::encode(bucket),
                percent::encode(key),
                percent::encode(&etag)
            );
            response.set(ResponseField::Location, url);
            return response;
        }
    }
    response.set(ResponseField::Location, location);
    response
}
