//! Signatures of COS: COS, Request Signature (436/7778).

use secrecy::{ExposeSecret, SecretString};

use crate::dialect::addressing::strip_port;
use crate::dialect::credential::{check_single_credential, collect_authorization_lines, parse_seconds};
use crate::dialect::post_form::PostForm;
use crate::dialect::signature::{
    Auth, CLOCK_SKEW_SECONDS_MAX, Claim, Payload, ResourceAddress, Scheme, VerifiedSignature, VerifyOptions,
};
use crate::encoding::hash::{constant_time_eq, encode_hex, hmac_sha1, sha1_hex};
use crate::encoding::percent;
use crate::model::{Credentials, ErrorKind, OutgoingRequest, RawHead, Rejection, RequestScope, Timestamp};

/// The signature of COS, in the Authorization header or in the query.
pub struct CosAuth;

/// The signatures of COS.
pub static AUTH: CosAuth = CosAuth;

/// The lifetime of the signatures that the proxy creates, in seconds, and how far in the past it starts.
// A start in the past is required, because the clock of COS may be behind and it rejects a signature before its start.
const SIGNATURE_SECONDS: i64 = 900;
const SIGNATURE_BACKDATE_SECONDS: i64 = 60;

/// COS, Request Signature, Signature content: the fields of a credential, in the order in which they are written.
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

/// The name of the signature in the configuration.
pub(crate) const SCHEME: &str = "cos";

impl Auth for CosAuth {
    fn credential_parameters(&self) -> &'static [&'static str] {
        CREDENTIAL_PARAMETERS
    }

    fn parse_claim(&self, head: &RawHead) -> Result<Option<Claim>, Rejection> {
        let Some(credential) = CosCredential::from_head(head)? else { return Ok(None) };
        let scheme = Scheme { name: SCHEME, presigned: credential.presigned };
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
        // COS does not require that any header is signed. In a presigned URL only `host` may be unsigned; anything else
        // that is unsigned is rejected, because whoever receives the URL could have added it.
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

    /// COS, POST Object, signature: the condition on the field `q-key-time` has the name `q-sign-time`.
    fn form_alias(&self, name: &str) -> Option<&'static str> {
        (name == "q-sign-time").then_some("q-key-time")
    }

    fn parse_form_claim(&self, form: &PostForm) -> Result<Option<Claim>, Rejection> {
        if form.get("q-ak").is_none() && form.get("q-signature").is_none() {
            return Ok(None);
        }
        Ok(Some(Claim {
            scheme: Scheme { name: SCHEME, presigned: true },
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
        // Unlike S3 and OSS, COS signs the policy before it is encoded in base64, so it must be decoded first.
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
        // COS signs the decoded path. It does not contain the bucket, because that is always in the host.
        let path = match &request.scope {
            RequestScope::Service | RequestScope::Bucket(_) => "/".to_owned(),
            RequestScope::Object { key, .. } => format!("/{key}"),
        };
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

/// COS, Request Signature, UrlEncode.
fn new_pair(name: &str, value: &[u8]) -> CosPair {
    // The order matters: COS converts to lower case after the encoding, so the hex digits of a name are in lower case.
    (percent::encode(name).to_ascii_lowercase(), percent::encode_bytes(value))
}

fn sort_pairs(mut pairs: Vec<CosPair>) -> Vec<CosPair> {
    pairs.sort();
    pairs
}

/// The parts of a request that a signature covers.
struct CosSignedContent<'a> {
    method: &'a str,
    /// Decoded path with its leading slash.
    path: &'a str,
    parameters: &'a [CosPair],
    headers: &'a [CosPair],
}

impl CosSignedContent<'_> {
    /// COS, Request Signature, Signature steps.
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

/// A credential as received.
struct CosCredential {
    presigned: bool,
    access_key: String,
    sign_time: String,
    key_time: String,
    /// Names of the signed headers, decoded and in lower case.
    headers: Vec<String>,
    /// Names of the signed query parameters, decoded and in lower case.
    parameters: Vec<String>,
    signature: String,
}

impl CosCredential {
    /// Parses the credential from the Authorization header, from separate query parameters, or from the parameter
    /// `sign` with which the Java SDK creates presigned URLs.
    fn from_head(head: &RawHead) -> Result<Option<Self>, Rejection> {
        let lines = collect_authorization_lines(head);
        let header = lines.iter().find(|value| value.trim_start().starts_with("q-sign-algorithm="));
        let sign_parameter = find_sign_parameter(head)?;
        let in_query =
            head.query.raw_parameters().any(|(name, _)| name == "q-sign-algorithm" || name == "q-signature");
        check_single_credential(&[header.is_some(), sign_parameter.is_some(), in_query], &lines)?;
        match (header, sign_parameter, in_query) {
            (Some(header), ..) => {
                Self::from_fields(header.trim().split('&').map(str::to_owned), false).map(Some)
            }
            (_, Some(sign_parameter), _) => {
                Self::from_fields(sign_parameter.split('&').map(str::to_owned), true).map(Some)
            }
            (_, _, true) => {
                let fields = head.query.raw_parameters().filter(|(name, _)| CREDENTIAL_FIELDS.contains(name));
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
            // The fields may be in any order, but none may be repeated, because the values could contradict each other.
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

    /// COS, Request Signature, KeyTime: checks the validity periods of the signature and of the key.
    fn check_times(&self, now: Timestamp) -> Result<(), Rejection> {
        check_window(&self.sign_time, now)?;
        check_window(&self.key_time, now)
    }

    /// The error for a wrong signature. It contains the string to sign, which shows users what differs.
    fn build_mismatch_rejection(&self, parsed_head: &CosParsedHead<'_>, head: &RawHead) -> Rejection {
        let rejection = Rejection::new(ErrorKind::SignatureDoesNotMatch);
        // The string to sign would contain a token or a customer's key, and error documents are often logged.
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

    /// Whether the signature matches one of the forms in which SDKs sign the request.
    fn matches_signature(
        &self,
        parsed_head: &CosParsedHead<'_>,
        head: &RawHead,
        secret: &SecretString,
    ) -> bool {
        // cos-python-sdk-v5 signs the host without its port, although it sends the port.
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
            // cos-nodejs-sdk-v5 sorts the pairs by their names before the encoding, so the order can differ.
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

    /// The pairs of the listed names. A listed name that is missing in the request has an empty value.
    fn select_pairs<'v>(&self, names: &[String], values: impl Fn(&str) -> Vec<&'v [u8]>) -> Vec<CosPair> {
        let mut pairs = Vec::new();
        let mut names_done: Vec<&str> = Vec::new();
        // cos-go-sdk-v5 lists a repeated header once per value, so each name must be evaluated only once.
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

/// Checks a period `start;end` in Unix seconds.
// COS does not limit its length, so a long period is not rejected.
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

/// Parses the names of a list.
fn parse_names(list: &str) -> Result<Vec<String>, Rejection> {
    // A helper of cos-nodejs-sdk-v5 encodes the list twice, so an encoded separator is decoded here.
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
    for (name, value) in head.query.raw_parameters() {
        if name == "sign" {
            // A value that does not decode is ignored, because a client may use the parameter name for other purposes.
            let Ok(value) = percent::decode(value.unwrap_or_default()) else { continue };
            if value.starts_with("q-sign-algorithm=") && found.replace(value).is_some() {
                return Err(ErrorKind::SeveralCredentials.into());
            }
        }
    }
    Ok(found)
}

/// The session token in the header or, without the header, in the query.
fn find_session_token(head: &RawHead) -> Option<String> {
    // cos-nodejs-sdk-v5 does not encode a `+` in the parameter, so it must not be decoded as a space.
    let header = head.header_text("x-cos-security-token").filter(|token| !token.is_empty());
    let parameter = || {
        head.query.raw_parameters().find(|(name, _)| *name == "x-cos-security-token").and_then(|row| row.1)
    };
    header.map(str::to_owned).or_else(|| parameter().and_then(|token| percent::decode(token).ok()))
}

/// The decoded parts of a request head.
struct CosParsedHead<'a> {
    path: String,
    headers: Vec<(&'a str, &'a [u8])>,
    parameters: Vec<(String, String)>,
}

impl<'a> CosParsedHead<'a> {
    fn from_head(head: &'a RawHead) -> Result<Self, Rejection> {
        let build_rejection = |_| Rejection::from(ErrorKind::InvalidUri);
        let mut parameters = Vec::new();
        let decoded = head.query.parameters().map_err(build_rejection)?;
        for ((name, value), (_, raw_value)) in decoded.iter().zip(head.query.raw_parameters()) {
            let value = match name.as_str() {
                "x-cos-security-token" => {
                    percent::decode(raw_value.unwrap_or_default()).map_err(build_rejection)?
                }
                _ => value.clone().unwrap_or_default(),
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

/// The headers and parameters that affect the result and are not signed.
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
        // An empty value has no effect. cos-nodejs-sdk-v5 sends such headers without signing them.
        has_meaning(name) && !value.is_empty() && !credential.headers.iter().any(|own| own == name)
    });
    // Applications append this parameter to a presigned URL for downloads. It only sets the file name, so it is valid.
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
