//! Signatures of COS. Source: Tencent Cloud COS, "Request Signature" (436/7778); sections 2.1 to 2.8 of the COS
//! reference.

use secrecy::{ExposeSecret, SecretString};

use crate::dialect::addressing::strip_port;
use crate::dialect::credential::{check_single_credential, collect_authorization_lines, parse_seconds};
use crate::dialect::post_form::PostForm;
use crate::dialect::signature::{
    Auth, CLOCK_SKEW_SECONDS_MAX, Claim, Payload, ResourceAddress, Scheme, VerifiedSignature, VerifyOptions,
};
use crate::encoding::hash::{constant_time_eq, encode_hex, hmac_sha1, sha1_hex};
use crate::encoding::percent;
use crate::model::{Credentials, ErrorKind, OutgoingRequest, RawHead, Rejection, Timestamp};

/// The one way of signing, in its header and query forms.
pub struct CosAuth;

/// The signatures of COS.
pub static AUTH: CosAuth = CosAuth;

/// How long our own signatures hold, seconds, and how far back they begin.
const SIGNATURE_SECONDS: i64 = 900;
const SIGNATURE_BACKDATE_SECONDS: i64 = 60;

/// 2.1: the fields of a credential, in the order in which they are written.
const CREDENTIAL_FIELDS: [&str; 7] = [
    "q-sign-algorithm",
    "q-ak",
    "q-sign-time",
    "q-key-time",
    "q-header-list",
    "q-url-param-list",
    "q-signature",
];

const CREDENTIAL_PARAMETERS: &[&str] = &[
    "q-sign-algorithm",
    "q-ak",
    "q-sign-time",
    "q-key-time",
    "q-header-list",
    "q-url-param-list",
    "q-signature",
    "sign",
    "x-cos-security-token",
];

impl Auth for CosAuth {
    fn credential_parameters(&self) -> &'static [&'static str] {
        CREDENTIAL_PARAMETERS
    }

    fn parse_claim(&self, head: &RawHead) -> Result<Option<Claim>, Rejection> {
        let Some(credential) = CosCredential::from_head(head)? else { return Ok(None) };
        let scheme = Scheme { name: "cos", presigned: credential.presigned };
        Ok(Some(Claim {
            scheme,
            access_key_id: credential.access_key,
            session_token: find_session_token(head),
        }))
    }

    fn verify(
        &self,
        head: &RawHead,
        claim: &Claim,
        _place: &ResourceAddress,
        secret: &SecretString,
        terms: &VerifyOptions,
    ) -> Result<VerifiedSignature, Rejection> {
        let credential = CosCredential::from_head(head)?.ok_or(ErrorKind::AuthorizationMalformed)?;
        credential.check_times(terms.now)?;
        let parsed_head = CosParsedHead::from_head(head)?;
        if !credential.matches_signature(&parsed_head, head, secret) {
            return Err(credential.build_mismatch_rejection(&parsed_head, head));
        }
        let unsigned_names = find_unsigned_names(&credential, &parsed_head, head);
        // 2.4: COS asks for no header to be signed. Without its host a URL fits every bucket, of which its caller's
        // grants open some; what else was added to it by somebody is refused.
        let is_forbidden =
            |name: &&String| terms.requires_all_signed || (claim.scheme.presigned && name.as_str() != "host");
        if let Some(name) = unsigned_names.iter().find(is_forbidden) {
            return Err(Rejection::with_message(
                ErrorKind::HeadersNotSigned,
                format!("Strict signature missing: {name}"),
            ));
        }
        Ok(VerifiedSignature {
            payload: Payload::Unsigned,
            unsigned_names,
            credential_parameters: CREDENTIAL_PARAMETERS,
            signed_key: None,
        })
    }

    fn form_fields(&self) -> &'static [&'static str] {
        &["q-sign-algorithm", "q-ak", "q-key-time", "q-sign-time", "q-signature", "x-cos-security-token"]
    }

    /// 2.10: the policy calls the key's time that of the signature.
    fn form_alias(&self, name: &str) -> Option<&'static str> {
        (name == "q-sign-time").then_some("q-key-time")
    }

    fn parse_form_claim(&self, form: &PostForm) -> Result<Option<Claim>, Rejection> {
        if form.get("q-ak").is_none() && form.get("q-signature").is_none() {
            return Ok(None);
        }
        Ok(Some(Claim {
            scheme: Scheme { name: "cos", presigned: true },
            access_key_id: form.require_field("q-ak")?.to_owned(),
            session_token: form.get("x-cos-security-token").map(str::to_owned),
        }))
    }

    fn verify_form(
        &self,
        form: &PostForm,
        policy: &str,
        secret: &SecretString,
        now: Timestamp,
    ) -> Result<(), Rejection> {
        if form.require_field("q-sign-algorithm")? != "sha1" {
            return Err(ErrorKind::AuthorizationMalformed.into());
        }
        let key_time = form.require_field("q-key-time")?;
        check_window(key_time, now)?;
        let sign_key = encode_hex(&hmac_sha1(secret.expose_secret().as_bytes(), key_time.as_bytes()));
        let string_to_sign = sha1_hex(&crate::dialect::post_form::decode_policy(policy)?);
        let computed = encode_hex(&hmac_sha1(sign_key.as_bytes(), string_to_sign.as_bytes()));
        match constant_time_eq(computed.as_bytes(), form.require_field("q-signature")?.as_bytes()) {
            true => Ok(()),
            false => Err(ErrorKind::SignatureDoesNotMatch.into()),
        }
    }

    fn sign(&self, request: &mut OutgoingRequest, key: &Credentials, _region: &str, now: Timestamp) {
        request.headers.push(("host".to_owned(), request.host.clone().into_bytes()));
        if let Some(token) = &key.session_token {
            request.headers.push(("x-cos-security-token".to_owned(), token.expose_secret().into()));
        }
        let headers: Vec<CosPair> =
            request.headers.iter().map(|(name, value)| new_pair(name, value.trim_ascii())).collect();
        let parameters: Vec<CosPair> = request
            .query
            .iter()
            .map(|(name, value)| new_pair(name, value.as_deref().unwrap_or_default().as_bytes()))
            .collect();
        let (headers, parameters) = (sort_pairs(headers), sort_pairs(parameters));
        let path = format!("/{}", request.key.as_deref().unwrap_or_default());
        let time = format!(
            "{};{}",
            now.0.saturating_sub(SIGNATURE_BACKDATE_SECONDS),
            now.0.saturating_add(SIGNATURE_SECONDS)
        );
        let content = CosSignedContent {
            method: request.method,
            path: &path,
            parameters: &parameters,
            headers: &headers,
        };
        let signature = content.compute_signature(key.secret_key.expose_secret(), &time, &time);
        let join_names =
            |pairs: &[CosPair]| pairs.iter().map(|pair| pair.0.as_str()).collect::<Vec<_>>().join(";");
        let values = [
            "sha1",
            &key.access_key_id,
            &time,
            &time,
            &join_names(&headers),
            &join_names(&parameters),
            &signature,
        ];
        let fields = CREDENTIAL_FIELDS.iter().zip(values).map(|(name, value)| format!("{name}={value}"));
        let authorization = fields.collect::<Vec<_>>().join("&");
        request.headers.push(("authorization".to_owned(), authorization.into_bytes()));
    }
}

/// An encoded lower-case name and an encoded value.
type CosPair = (String, String);

/// 2.2: names are escaped first and lower-cased afterwards.
fn new_pair(name: &str, value: &[u8]) -> CosPair {
    (percent::encode(name).to_ascii_lowercase(), percent::encode_bytes(value))
}

fn sort_pairs(mut pairs: Vec<CosPair>) -> Vec<CosPair> {
    pairs.sort();
    pairs
}

/// What a signature covers.
struct CosSignedContent<'a> {
    method: &'a str,
    /// Decoded, with its leading slash.
    path: &'a str,
    parameters: &'a [CosPair],
    headers: &'a [CosPair],
}

impl CosSignedContent<'_> {
    /// 2.3
    fn compute_signature(&self, secret: &str, key_time: &str, sign_time: &str) -> String {
        let sign_key = encode_hex(&hmac_sha1(secret.as_bytes(), key_time.as_bytes()));
        encode_hex(&hmac_sha1(sign_key.as_bytes(), self.build_string_to_sign(sign_time).as_bytes()))
    }

    /// StringToSign
    fn build_string_to_sign(&self, sign_time: &str) -> String {
        format!("sha1\n{sign_time}\n{}\n", sha1_hex(self.build_http_string().as_bytes()))
    }

    /// HttpString
    fn build_http_string(&self) -> String {
        let join_pairs = |pairs: &[CosPair]| {
            pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
        };
        format!(
            "{}\n{}\n{}\n{}\n",
            self.method.to_ascii_lowercase(), // HttpMethod
            self.path,                        // UriPathname
            join_pairs(self.parameters),      // HttpParameters
            join_pairs(self.headers),         // HttpHeaders
        )
    }
}

/// A credential as sent.
struct CosCredential {
    presigned: bool,
    access_key: String,
    sign_time: String,
    key_time: String,
    /// Decoded, lower-case names.
    headers: Vec<String>,
    parameters: Vec<String>,
    signature: String,
}

impl CosCredential {
    /// 2.4, 2.6: the header form, the query form, or the merged one.
    fn from_head(head: &RawHead) -> Result<Option<Self>, Rejection> {
        let lines = collect_authorization_lines(head);
        let header = lines.iter().find(|value| value.trim_start().starts_with("q-sign-algorithm="));
        let sign_parameter = find_sign_parameter(head)?;
        let in_query = head.raw_query().any(|(name, _)| name == "q-sign-algorithm" || name == "q-signature");
        check_single_credential(&[header.is_some(), sign_parameter.is_some(), in_query], &lines)?;
        match (header, sign_parameter, in_query) {
            (Some(header), ..) => {
                Self::from_fields(header.trim().split('&').map(str::to_owned), false).map(Some)
            }
            (_, Some(sign_parameter), _) => {
                Self::from_fields(sign_parameter.split('&').map(str::to_owned), true).map(Some)
            }
            (_, _, true) => {
                let fields = head.raw_query().filter(|(name, _)| CREDENTIAL_FIELDS.contains(name));
                let decoded_fields = fields.map(|(name, value)| {
                    let value = percent::decode(value.unwrap_or_default()).unwrap_or_default();
                    format!("{name}={value}")
                });
                Self::from_fields(decoded_fields, true).map(Some)
            }
            _ => Ok(None),
        }
    }

    fn from_fields(fields: impl Iterator<Item = String>, presigned: bool) -> Result<Self, Rejection> {
        let build_rejection = || Rejection::from(ErrorKind::AuthorizationMalformed);
        let mut values: [Option<String>; 7] = Default::default();
        for field in fields {
            let (name, value) = field.split_once('=').ok_or_else(build_rejection)?;
            let at = CREDENTIAL_FIELDS.iter().position(|own| *own == name).ok_or_else(build_rejection)?;
            let slot = values.get_mut(at).ok_or_else(build_rejection)?;
            if slot.replace(value.to_owned()).is_some() {
                return Err(ErrorKind::SeveralCredentials.into());
            }
        }
        let [algorithm, ak, sign_time, key_time, headers, parameters, signature] = values;
        if algorithm.as_deref() != Some("sha1") {
            return Err(build_rejection());
        }
        Ok(Self {
            presigned,
            access_key: ak.filter(|ak| !ak.is_empty()).ok_or_else(build_rejection)?,
            sign_time: sign_time.ok_or_else(build_rejection)?,
            key_time: key_time.ok_or_else(build_rejection)?,
            headers: parse_names(&headers.ok_or_else(build_rejection)?)?,
            parameters: parse_names(&parameters.ok_or_else(build_rejection)?)?,
            signature: signature.ok_or_else(build_rejection)?,
        })
    }

    /// 2.8: end after start, not over, and not beginning later than clocks may differ.
    fn check_times(&self, now: Timestamp) -> Result<(), Rejection> {
        check_window(&self.sign_time, now)?;
        check_window(&self.key_time, now)
    }

    /// 2.11: what should have been signed is told, unless a token or a customer's key is part of it.
    fn build_mismatch_rejection(&self, parsed_head: &CosParsedHead<'_>, head: &RawHead) -> Rejection {
        let rejection = Rejection::new(ErrorKind::SignatureDoesNotMatch);
        let is_secret = |name: &str| name.contains("security-token") || name.ends_with("customer-key");
        let names = parsed_head.headers.iter().map(|row| row.0);
        if names.chain(parsed_head.parameters.iter().map(|row| row.0.as_str())).any(is_secret) {
            return rejection;
        }
        let headers = self.select_pairs(&self.headers, |name| match name {
            "host" => vec![head.host().as_bytes()],
            _ => parsed_head.header_values(name),
        });
        let parameters = self.select_pairs(&self.parameters, |name| parsed_head.parameter_values(name));
        let content = CosSignedContent {
            method: head.method.as_str(),
            path: &parsed_head.path,
            parameters: &sort_pairs(parameters),
            headers: &sort_pairs(headers),
        };
        rejection
            .with_detail("StringToSign", content.build_string_to_sign(&self.sign_time))
            .with_detail("FormatString", content.build_http_string())
    }

    /// Compares with what the caller may have signed: Python signs the host without its port, and Node builds its
    /// pairs in the order of the names before they were escaped.
    fn matches_signature(
        &self,
        parsed_head: &CosParsedHead<'_>,
        head: &RawHead,
        secret: &SecretString,
    ) -> bool {
        let hosts = [head.host(), strip_port(head.host())];
        let parameters = self.select_pairs(&self.parameters, |name| parsed_head.parameter_values(name));
        hosts.into_iter().any(|host| {
            let headers = self.select_pairs(&self.headers, |name| match name {
                "host" => vec![host.as_bytes()],
                _ => parsed_head.header_values(name),
            });
            let method = head.method.as_str();
            let sorted_content = CosSignedContent {
                method,
                path: &parsed_head.path,
                parameters: &sort_pairs(parameters.clone()),
                headers: &sort_pairs(headers.clone()),
            };
            let named_content = CosSignedContent {
                method,
                path: &parsed_head.path,
                parameters: &sort_by_name(&parameters),
                headers: &sort_by_name(&headers),
            };
            [sorted_content, named_content].iter().any(|content| {
                let computed =
                    content.compute_signature(secret.expose_secret(), &self.key_time, &self.sign_time);
                constant_time_eq(computed.as_bytes(), self.signature.as_bytes())
            })
        })
    }

    /// The pairs of the listed names; a listed name that is absent counts with an empty value.
    fn select_pairs<'v>(&self, names: &[String], values: impl Fn(&str) -> Vec<&'v [u8]>) -> Vec<CosPair> {
        let mut pairs = Vec::new();
        let mut names_done: Vec<&str> = Vec::new();
        for name in names {
            if names_done.contains(&name.as_str()) {
                continue;
            }
            names_done.push(name);
            let values_found = values(name);
            match values_found.is_empty() {
                true => pairs.push(new_pair(name, b"")),
                false => pairs.extend(values_found.iter().map(|value| new_pair(name, value))),
            }
        }
        pairs
    }
}

/// 2.8: `start;end`, in seconds since 1970.
fn check_window(window: &str, now: Timestamp) -> Result<(), Rejection> {
    let (start, end) = window.split_once(';').ok_or(ErrorKind::AuthorizationMalformed)?;
    let parse_time = |text: &str| parse_seconds(text).ok_or(ErrorKind::AuthorizationMalformed);
    let (start, end) = (parse_time(start)?, parse_time(end)?);
    if end <= start {
        return Err(ErrorKind::AuthorizationMalformed.into());
    }
    if now.0 > end {
        return Err(ErrorKind::RequestExpired.into());
    }
    if start > now.0.saturating_add(CLOCK_SKEW_SECONDS_MAX) {
        return Err(ErrorKind::RequestTimeTooSkewed.into());
    }
    Ok(())
}

fn sort_by_name(pairs: &[CosPair]) -> Vec<CosPair> {
    let mut pairs = pairs.to_vec();
    pairs.sort_by_key(|pair| percent::decode(&pair.0).unwrap_or_default());
    pairs
}

/// The names of a list; Node's helper escapes it twice.
fn parse_names(list: &str) -> Result<Vec<String>, Rejection> {
    let list = if list.contains("%3B") || list.contains("%3b") {
        percent::decode(list).map_err(|_| ErrorKind::AuthorizationMalformed)?
    } else {
        list.to_owned()
    };
    let names = list.split(';').filter(|name| !name.is_empty());
    names
        .map(|name| percent::decode(name).map(|name| name.to_ascii_lowercase()))
        .collect::<Result<_, _>>()
        .map_err(|_| ErrorKind::AuthorizationMalformed.into())
}

fn find_sign_parameter(head: &RawHead) -> Result<Option<String>, Rejection> {
    let mut found = None;
    for (name, value) in head.raw_query() {
        if name == "sign" {
            // What does not decode is no credential of ours.
            let Ok(value) = percent::decode(value.unwrap_or_default()) else { continue };
            if value.starts_with("q-sign-algorithm=") && found.replace(value).is_some() {
                return Err(ErrorKind::SeveralCredentials.into());
            }
        }
    }
    Ok(found)
}

/// 2.7: the header, else the parameter; Node leaves a `+` in that one unescaped.
fn find_session_token(head: &RawHead) -> Option<String> {
    let header = head.header_text("x-cos-security-token").filter(|token| !token.is_empty());
    let parameter =
        || head.raw_query().find(|(name, _)| *name == "x-cos-security-token").and_then(|row| row.1);
    header.map(str::to_owned).or_else(|| parameter().and_then(|token| percent::decode(token).ok()))
}

/// What the request says, decoded once.
struct CosParsedHead<'a> {
    path: String,
    headers: Vec<(&'a str, &'a [u8])>,
    parameters: Vec<(String, String)>,
}

impl<'a> CosParsedHead<'a> {
    fn from_head(head: &'a RawHead) -> Result<Self, Rejection> {
        let build_rejection = |_| Rejection::from(ErrorKind::InvalidUri);
        let mut parameters = Vec::new();
        for (name, value) in head.raw_query() {
            let name = percent::decode_form(name).map_err(build_rejection)?;
            let value = match name.as_str() {
                "x-cos-security-token" => {
                    percent::decode(value.unwrap_or_default()).map_err(build_rejection)?
                }
                _ => percent::decode_form(value.unwrap_or_default()).map_err(build_rejection)?,
            };
            parameters.push((name.to_ascii_lowercase(), value));
        }
        let headers = head.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice()));
        Ok(Self {
            path: percent::decode(&head.path).map_err(build_rejection)?,
            headers: headers.collect(),
            parameters,
        })
    }

    fn header_values(&self, name: &str) -> Vec<&[u8]> {
        self.headers.iter().filter(|row| row.0 == name).map(|row| row.1).collect()
    }

    fn parameter_values(&self, name: &str) -> Vec<&[u8]> {
        self.parameters.iter().filter(|row| row.0 == name).map(|row| row.1.as_bytes()).collect()
    }
}

/// What has meaning and is not covered. An appended content disposition on a GET is the one exception.
fn find_unsigned_names(
    credential: &CosCredential,
    parsed_head: &CosParsedHead<'_>,
    head: &RawHead,
) -> Vec<String> {
    let has_meaning = |name: &str| {
        name == "host"
            || (name.starts_with("x-cos-") && !super::headers::is_client_header(name))
            || name.starts_with("x-ci-")
            || matches!(name, "pic-operations" | "range")
            || name.starts_with("if-")
    };
    let headers = parsed_head.headers.iter().filter(|(name, value)| {
        // An empty value says nothing: Node sends such lines and leaves them out.
        has_meaning(name) && !value.is_empty() && !credential.headers.iter().any(|own| own == name)
    });
    let is_allowed_appendix = |name: &str, value: &str| {
        head.method == "GET" && name == "response-content-disposition" && !value.chars().any(char::is_control)
    };
    let parameters = parsed_head.parameters.iter().filter(|(name, value)| {
        !CREDENTIAL_PARAMETERS.contains(&name.as_str())
            && !credential.parameters.contains(name)
            && !is_allowed_appendix(name, value)
    });
    let headers = headers.map(|row| row.0.to_owned());
    headers.chain(parameters.map(|row| row.0.clone())).collect()
}
