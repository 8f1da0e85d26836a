//! Signature versions 4 and 2 of S3: Amazon S3, Authenticating requests (AWS Signature Version 4); Signing and
//! authenticating REST requests (AWS signature version 2).

use secrecy::{ExposeSecret, SecretString};

use crate::dialect::credential::{
    CredentialItems, ParameterPair, check_single_credential, collect_authorization_lines, collect_head_pairs,
    collect_query_pairs, format_header_lines, parse_id_and_signature, parse_seconds,
};
use crate::dialect::post_form::PostForm;
use crate::dialect::signature::{
    Auth, CLOCK_SKEW_SECONDS_MAX, Claim, PRESIGNED_SECONDS_MAX, Payload, ResourceAddress, Scheme,
    VerifiedSignature, VerifyOptions,
};
use crate::dialect::signature_v4::{V4Algorithm, V4CanonicalRequest, V4CredentialParts, V4Scope};
use crate::encoding::hash::{constant_time_eq, encode_base64, hmac_sha1};
use crate::encoding::{date, percent};
use crate::model::{Credentials, ErrorKind, OutgoingRequest, PayloadHash, RawHead, Rejection, Timestamp};
use crate::s3::chunked::{AwsChunkedDecoder, ChunkKey};

/// Verifies versions 4 and 2, and signs with version 4.
pub struct S3Auth;

/// The signatures of S3.
pub static AUTH: S3Auth = S3Auth;

/// The name of version 4 in the configuration.
pub(crate) const SCHEME_V4: &str = "s3v4";
/// The name of version 2 in the configuration.
pub(crate) const SCHEME_V2: &str = "s3v2";
const ALGORITHM: V4Algorithm =
    V4Algorithm { name: "AWS4-HMAC-SHA256", key_prefix: "AWS4", scope_end: "aws4_request" };
const SERVICE: &str = "s3";
const UNSIGNED_PAYLOAD: &str = "UNSIGNED-PAYLOAD";

const CREDENTIAL_PARAMETERS: &[&str] = &[
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-SignedHeaders",
    "X-Amz-Security-Token",
    "X-Amz-Signature",
    "X-Amz-Content-Sha256",
    "AWSAccessKeyId",
    "Signature",
    "Expires",
];

/// The query parameters that a version 2 signature covers: the sub-resources in Signing and authenticating REST
/// requests, Constructing the CanonicalizedResource element, and those that SDKs add.
const SIGNED_PARAMETERS_V2: &[&str] = &[
    "accelerate",
    "acl",
    "analytics",
    "cors",
    "defaultObjectAcl",
    "delete",
    "encryption",
    "inventory",
    "lifecycle",
    "location",
    "logging",
    "metrics",
    "notification",
    "object-lock",
    "partNumber",
    "policy",
    "replication",
    "requestPayment",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
    "restore",
    "select",
    "select-type",
    "storageClass",
    "tagging",
    "torrent",
    "uploadId",
    "uploads",
    "versionId",
    "versioning",
    "versions",
    "website",
];

impl Auth for S3Auth {
    fn credential_parameters(&self) -> &'static [&'static str] {
        CREDENTIAL_PARAMETERS
    }

    fn parse_claim(&self, head: &RawHead) -> Result<Option<Claim>, Rejection> {
        let Some(credential) = S3Credential::from_head(head)? else { return Ok(None) };
        Ok(Some(match credential {
            S3Credential::V4(own) => Claim {
                scheme: Scheme { name: SCHEME_V4, presigned: own.presigned.is_some() },
                access_key_id: own.access_key,
                session_token: find_session_token(head)?,
            },
            S3Credential::V2(own) => Claim {
                scheme: Scheme { name: SCHEME_V2, presigned: own.expires.is_some() },
                access_key_id: own.access_key,
                session_token: find_session_token(head)?,
            },
        }))
    }

    fn verify(
        &self,
        head: &RawHead,
        _claim: &Claim,
        place: &ResourceAddress,
        secret: &SecretString,
        terms: &VerifyOptions,
    ) -> Result<VerifiedSignature, Rejection> {
        let payload = match S3Credential::from_head(head)?.ok_or(ErrorKind::AuthorizationMalformed)? {
            S3Credential::V4(own) => own.verify(head, place, secret, terms.now)?,
            S3Credential::V2(own) => own.verify(head, place, secret, terms.now)?,
        };
        Ok(VerifiedSignature {
            payload,
            unsigned_names: Vec::new(),
            credential_parameters: CREDENTIAL_PARAMETERS,
            signed_key: None,
        })
    }

    fn form_fields(&self) -> &'static [&'static str] {
        &[
            "x-amz-algorithm",
            "x-amz-credential",
            "x-amz-date",
            "x-amz-signature",
            "x-amz-security-token",
            "awsaccesskeyid",
            "signature",
        ]
    }

    /// Amazon S3, Browser-based uploads using POST, form fields.
    fn parse_form_claim(&self, form: &PostForm) -> Result<Option<Claim>, Rejection> {
        let token = form.get("x-amz-security-token").map(str::to_owned);
        let build_claim = |name: &'static str, access_key: String| {
            Ok(Some(Claim {
                scheme: Scheme { name, presigned: true },
                access_key_id: access_key,
                session_token: token.clone(),
            }))
        };
        match (form.get("x-amz-signature"), form.get("AWSAccessKeyId"), form.get("signature")) {
            (Some(_), None, None) => {
                let credential = form.require_field("X-Amz-Credential")?;
                build_claim(SCHEME_V4, parse_credential(credential, ErrorKind::InvalidArgument)?.0)
            }
            (None, Some(access_key), Some(_)) => build_claim(SCHEME_V2, access_key.to_owned()),
            (None, None, None) => Ok(None),
            (Some(_), ..) => Err(ErrorKind::SeveralCredentials.into()),
            (None, None, Some(_)) => form.require_field("AWSAccessKeyId").map(|_| None),
            (None, Some(_), None) => form.require_field("Signature").map(|_| None),
        }
    }

    fn verify_form(
        &self,
        form: &PostForm,
        policy: &str,
        secret: &SecretString,
        now: Timestamp,
    ) -> Result<(), Rejection> {
        let (computed, received) = match form.get("x-amz-signature") {
            Some(signature) => {
                if form.require_field("X-Amz-Algorithm")? != ALGORITHM.name {
                    return Err(ErrorKind::UnsupportedSignature.into());
                }
                let (_, scope) =
                    parse_credential(form.require_field("X-Amz-Credential")?, ErrorKind::InvalidArgument)?;
                let at =
                    date::parse_basic(form.require_field("X-Amz-Date")?).ok_or(ErrorKind::InvalidArgument)?;
                if !scope.has_date_of(at) {
                    return Err(ErrorKind::InvalidArgument.into());
                }
                // The policy has an expiration of its own, but a signing key is only valid for seven days.
                if now.0 > at.0.saturating_add(PRESIGNED_SECONDS_MAX) {
                    return Err(ErrorKind::RequestExpired.into());
                }
                (scope.sign_text(secret.expose_secret(), policy), signature)
            }
            None => {
                let computed = hmac_sha1(secret.expose_secret().as_bytes(), policy.as_bytes());
                (encode_base64(&computed), form.require_field("Signature")?)
            }
        };
        if constant_time_eq(computed.as_bytes(), received.as_bytes()) {
            Ok(())
        } else {
            Err(ErrorKind::SignatureDoesNotMatch.into())
        }
    }

    fn sign(&self, request: &mut OutgoingRequest, key: &Credentials, region: &str, now: Timestamp) {
        let stamp = date::format_basic(now);
        let payload = match &request.payload_hash {
            PayloadHash::Sha256(hash) => hash.clone(),
            PayloadHash::Unsigned => UNSIGNED_PAYLOAD.to_owned(),
        };
        let mut add_header = |name: &str, value: &str| request.headers.push((name.to_owned(), value.into()));
        add_header("x-amz-date", &stamp);
        add_header("x-amz-content-sha256", &payload);
        if let Some(token) = &key.session_token {
            add_header("x-amz-security-token", token.expose_secret());
        }
        let host = request.host.clone();
        add_header("host", &host);
        // transfer-encoding is not signed, because it is a hop-by-hop header that the connection may change.
        let mut names: Vec<String> = request
            .headers
            .iter()
            .map(|row| row.0.clone())
            .filter(|name| name != "transfer-encoding")
            .collect();
        names.sort();
        names.dedup();
        let query = collect_query_pairs(request);
        let header_lines = write_signed_headers(&request.headers, &names);
        let canonical = V4CanonicalRequest {
            method: request.method,
            uri: &request.path,
            query: &query,
            keeps_equals_sign: true,
            header_lines: &header_lines,
            header_names: &names,
            payload: payload.as_bytes(),
        };
        let scope = V4Scope::new(ALGORITHM, &stamp, region, SERVICE);
        let signature =
            scope.compute_signature(key.secret_key.expose_secret(), &stamp, &canonical.to_bytes());
        let authorization = format!(
            "{} Credential={}/{scope}, SignedHeaders={}, Signature={signature}",
            ALGORITHM.name,
            key.access_key_id,
            names.join(";"),
        );
        request.headers.push(("authorization".to_owned(), authorization.into_bytes()));
    }
}

enum S3Credential {
    V4(S3SignatureV4),
    V2(S3SignatureV2),
}

/// A version 4 credential.
struct S3SignatureV4 {
    access_key: String,
    scope: V4Scope,
    signed_headers: Vec<String>,
    signature: String,
    /// Date and lifetime in seconds of a presigned URL.
    presigned: Option<(String, String)>,
}

/// A version 2 credential.
struct S3SignatureV2 {
    access_key: String,
    signature: String,
    /// Expiration of a presigned URL in Unix seconds.
    expires: Option<String>,
}

impl S3Credential {
    /// Parses the credential of a request, from the Authorization header or the query.
    fn from_head(head: &RawHead) -> Result<Option<Self>, Rejection> {
        let lines = collect_authorization_lines(head);
        let header = lines.iter().find(|line| line.starts_with("AWS4-") || line.starts_with("AWS "));
        // One name at a time: a query with another part that does not decode is still one with this credential, and
        // is rejected as such.
        let has_parameter = |is_wanted: fn(&str) -> bool| {
            let mut names =
                head.query.raw_parameters().filter_map(|(name, _)| percent::decode_form(name).ok());
            names.any(|name| is_wanted(&name))
        };
        let is_v4 = has_parameter(|name| {
            name.eq_ignore_ascii_case("X-Amz-Algorithm") || name.eq_ignore_ascii_case("X-Amz-Signature")
        });
        let is_v2 = has_parameter(|name| name == "AWSAccessKeyId");
        check_single_credential(&[header.is_some(), is_v4, is_v2], &lines)?;
        match (header, is_v4, is_v2) {
            (Some(header), ..) => Self::from_header(header).map(Some),
            (_, true, _) => {
                S3SignatureV4::from_query(&collect_unambiguous_pairs(head)?).map(|own| Some(Self::V4(own)))
            }
            (_, _, true) => {
                S3SignatureV2::from_query(&collect_unambiguous_pairs(head)?).map(|own| Some(Self::V2(own)))
            }
            _ => Ok(None),
        }
    }

    fn from_header(line: &str) -> Result<Self, Rejection> {
        if let Some(rest) = line.strip_prefix("AWS ") {
            let (access_key, signature) = parse_id_and_signature(rest)?;
            return Ok(Self::V2(S3SignatureV2 { access_key, signature, expires: None }));
        }
        let rest = line.strip_prefix(ALGORITHM.name).ok_or(classify_algorithm_error(line))?;
        let items = CredentialItems::parse(rest)?;
        let (access_key, scope) =
            parse_credential(items.get_required("Credential")?, ErrorKind::AuthorizationMalformed)?;
        let signed_headers = parse_signed_headers(items.get_required("SignedHeaders")?)?;
        let signature = items.get_required("Signature")?.to_owned();
        Ok(Self::V4(S3SignatureV4 { access_key, scope, signed_headers, signature, presigned: None }))
    }
}

/// The error for a signature algorithm that is not verified.
fn classify_algorithm_error(algorithm: &str) -> ErrorKind {
    // AWS SDKs use the asymmetric algorithm for multi-region access points, so it has an error of its own.
    match algorithm.starts_with("AWS4-ECDSA-P256-SHA256") {
        true => ErrorKind::NotImplemented,
        false => ErrorKind::UnsupportedSignature,
    }
}

/// The decoded query, when the credential is parsed. A parameter of the credential must not be repeated; the signature is
/// verified only after this check.
fn collect_unambiguous_pairs(head: &RawHead) -> Result<Vec<ParameterPair<'_>>, Rejection> {
    let query = collect_head_pairs(head)?;
    let is_repeated = |own: &&str| query.iter().filter(|row| row.0.eq_ignore_ascii_case(own)).count() > 1;
    // A repeated parameter is ambiguous: the signature would be verified with one value, and another one be used.
    match CREDENTIAL_PARAMETERS.iter().any(is_repeated) {
        true => Err(ErrorKind::SeveralCredentials.into()),
        false => Ok(query),
    }
}

/// Parses SignedHeaders: lower-case names, sorted and unique.
fn parse_signed_headers(list: &str) -> Result<Vec<String>, Rejection> {
    let names: Vec<String> = list.split(';').map(str::to_owned).collect();
    let is_ordered = names.windows(2).all(|pair| matches!(pair, [one, other] if one < other));
    let is_lower_case =
        names.iter().all(|name| !name.is_empty() && name.bytes().all(|byte| !byte.is_ascii_uppercase()));
    if is_ordered && is_lower_case { Ok(names) } else { Err(ErrorKind::AuthorizationMalformed.into()) }
}

fn find_session_token(head: &RawHead) -> Result<Option<String>, Rejection> {
    let header = head.header_text("x-amz-security-token").map(str::to_owned);
    let query = collect_unambiguous_pairs(head)?;
    let parameter = query.iter().find(|row| row.0.eq_ignore_ascii_case("x-amz-security-token"));
    match (header, parameter) {
        (Some(_), Some(_)) => Err(ErrorKind::SeveralCredentials.into()),
        (header, parameter) => Ok(header.or(parameter.map(|row| row.1.to_owned()))),
    }
}

/// Parses `ID/DATE/REGION/s3/aws4_request`.
fn parse_credential(credential: &str, error_kind: ErrorKind) -> Result<(String, V4Scope), Rejection> {
    let Some(parts) = V4CredentialParts::split(credential) else {
        return Err(Rejection::with_message(
            error_kind,
            "The authorization header is malformed; the Credential is mal-formed; expecting \
             \"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\".",
        ));
    };
    if parts.service != SERVICE {
        return Err(Rejection::with_message(
            error_kind,
            format!(
                "The authorization header is malformed; incorrect service \"{}\". This endpoint belongs to \"s3\".",
                parts.service
            ),
        ));
    }
    let is_date = parts.date.len() == 8 && parts.date.bytes().all(|byte| byte.is_ascii_digit());
    if parts.end != ALGORITHM.scope_end || !is_date || parts.access_key.is_empty() {
        return Err(error_kind.into());
    }
    Ok((parts.access_key.to_owned(), V4Scope::from_parts(ALGORITHM, &parts)))
}

/// CanonicalHeaders: the signed headers in the order of the list, each with all its values.
fn write_signed_headers(headers: &[(String, Vec<u8>)], signed_headers: &[String]) -> Vec<u8> {
    let mut lines = Vec::with_capacity(SIGNED_HEADERS_BYTES);
    for name in signed_headers {
        lines.extend_from_slice(name.as_bytes());
        lines.push(b':');
        for (index, (_, value)) in headers.iter().filter(|row| row.0 == *name).enumerate() {
            if index > 0 {
                lines.push(b',');
            }
            fold_spaces(value, &mut lines);
        }
        lines.push(b'\n');
    }
    lines
}

/// The size of most requests' signed headers.
const SIGNED_HEADERS_BYTES: usize = 512;

/// Appends a value in which each run of spaces is a single space.
fn fold_spaces(value: &[u8], lines: &mut Vec<u8>) {
    // Only spaces are folded. If a tab were treated as a space, two values that differ would have the same signature.
    let words = value.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
    for (index, word) in words.enumerate() {
        if index > 0 {
            lines.push(b' ');
        }
        lines.extend_from_slice(word);
    }
}

impl S3SignatureV4 {
    /// Amazon S3, Authenticating requests: using query parameters.
    fn from_query(query: &[ParameterPair<'_>]) -> Result<Self, Rejection> {
        let find_parameter = |name: &str| {
            query.iter().find(|row| row.0.eq_ignore_ascii_case(name)).map(|row| row.1.to_owned())
        };
        let error_kind = ErrorKind::AuthorizationQueryMalformed;
        let all = [
            find_parameter("X-Amz-Algorithm"),
            find_parameter("X-Amz-Credential"),
            find_parameter("X-Amz-Signature"),
            find_parameter("X-Amz-Date"),
            find_parameter("X-Amz-SignedHeaders"),
            find_parameter("X-Amz-Expires"),
        ];
        let [Some(algorithm), Some(credential), Some(signature), Some(stamp), Some(signed), Some(expires)] =
            all
        else {
            return Err(error_kind.into());
        };
        if algorithm != ALGORITHM.name {
            return Err(classify_algorithm_error(&algorithm).into());
        }
        let (access_key, scope) = parse_credential(&credential, error_kind)?;
        let signed_headers = parse_signed_headers(&signed).map_err(|_| Rejection::from(error_kind))?;
        Ok(Self { access_key, scope, signed_headers, signature, presigned: Some((stamp, expires)) })
    }

    fn verify(
        &self,
        head: &RawHead,
        place: &ResourceAddress,
        secret: &SecretString,
        now: Timestamp,
    ) -> Result<Payload, Rejection> {
        let (stamp, at) = self.find_timestamp(head)?;
        self.check_times(at, now)?;
        self.check_signed_headers(head)?;
        let payload = self.find_payload_hash(head)?;
        let path = percent::decode(&head.path).map_err(|_| ErrorKind::InvalidUri)?;
        let mut query = collect_head_pairs(head)?;
        query.retain(|row| !row.0.eq_ignore_ascii_case("X-Amz-Signature"));
        let uri = percent::encode_path(&path);
        let header_lines = write_signed_headers(&head.headers, &self.signed_headers);
        let canonical = V4CanonicalRequest {
            method: &head.method,
            uri: &uri,
            query: &query,
            keeps_equals_sign: true,
            header_lines: &header_lines,
            header_names: &self.signed_headers,
            payload: payload.as_bytes(),
        };
        let canonical = canonical.to_bytes();
        if !self.scope.is_signature(&self.signature, secret.expose_secret(), &stamp, &canonical) {
            return Err(self.build_mismatch_rejection(head, &stamp, &canonical));
        }
        self.classify_payload(head, place, secret, &stamp, &payload)
    }

    /// The time of the signature. `x-amz-date` takes precedence over `Date`.
    fn find_timestamp(&self, head: &RawHead) -> Result<(String, Timestamp), Rejection> {
        if let Some((stamp, _)) = &self.presigned {
            let at = date::parse_basic(stamp).ok_or(ErrorKind::AuthorizationQueryMalformed)?;
            return Ok((stamp.clone(), at));
        }
        match (head.header_text("x-amz-date"), head.header_text("date")) {
            (Some(stamp), _) => {
                Ok((stamp.to_owned(), date::parse_basic(stamp).ok_or(ErrorKind::MissingDate)?))
            }
            (None, Some(text)) => {
                let at = date::parse_http(text)
                    .or_else(|| date::parse_basic(text))
                    .ok_or(ErrorKind::MissingDate)?;
                Ok((date::format_basic(at), at))
            }
            (None, None) => Err(ErrorKind::MissingDate.into()),
        }
    }

    fn check_times(&self, at: Timestamp, now: Timestamp) -> Result<(), Rejection> {
        match &self.presigned {
            None => check_skew(at, now)?,
            Some((_, expires)) => {
                let seconds = parse_lifetime(expires)?;
                if at.0 > now.0.saturating_add(CLOCK_SKEW_SECONDS_MAX) {
                    return Err(ErrorKind::RequestNotYetValid.into());
                }
                let end = at.0.saturating_add(seconds);
                if now.0 > end {
                    return Err(Rejection::new(ErrorKind::RequestExpired)
                        .with_detail("X-Amz-Expires", expires.clone())
                        .with_detail("Expires", date::format_iso_seconds(Timestamp(end)))
                        .with_detail("ServerTime", date::format_iso_seconds(now)));
                }
            }
        }
        if self.scope.has_date_of(at) {
            return Ok(());
        }
        let error_kind = match self.presigned {
            Some(_) => ErrorKind::AuthorizationQueryMalformed,
            None => ErrorKind::AuthorizationMalformed,
        };
        Err(Rejection::with_message(
            error_kind,
            "Invalid credential date: it is not the date of the request.",
        ))
    }

    /// Amazon S3, Authenticating requests: using the Authorization header, SignedHeaders: `host` and every `x-amz-*`
    /// header of the request must be signed, and every signed header must be present.
    fn check_signed_headers(&self, head: &RawHead) -> Result<(), Rejection> {
        // x-amz-content-sha256 may be missing in the list, because its value is the last line of the canonical request.
        let is_signed = |name: &str| self.signed_headers.iter().any(|own| own == name);
        let is_always_covered = |name: &str| name == "x-amz-content-sha256" && self.presigned.is_none();
        let mut unsigned: Vec<&str> = head
            .headers
            .iter()
            .map(|row| row.0.as_str())
            .filter(|name| {
                (*name == "host" || name.starts_with("x-amz-"))
                    && !is_signed(name)
                    && !is_always_covered(name)
            })
            .collect();
        let is_present = |name: &String| head.header(name).is_some();
        unsigned.extend(self.signed_headers.iter().filter(|name| !is_present(name)).map(String::as_str));
        if unsigned.is_empty() {
            return Ok(());
        }
        Err(Rejection::new(ErrorKind::HeadersNotSigned).with_detail("HeadersNotSigned", unsigned.join(", ")))
    }

    /// The payload hash: the last line of the canonical request.
    fn find_payload_hash(&self, head: &RawHead) -> Result<String, Rejection> {
        let header = head.header_text("x-amz-content-sha256");
        if self.presigned.is_none() {
            return header.map(str::to_owned).ok_or_else(|| ErrorKind::MissingPayloadHash.into());
        }
        let query = collect_head_pairs(head)?;
        let parameter = query.iter().find(|row| row.0.eq_ignore_ascii_case("X-Amz-Content-Sha256"));
        // The header of a presigned request is trusted, because `check_signed_headers` rejects one that is not signed.
        Ok(parameter.map(|row| row.1).or(header).unwrap_or(UNSIGNED_PAYLOAD).to_owned())
    }

    /// Amazon S3, Authenticating requests: using the Authorization header, x-amz-content-sha256: the values that are
    /// valid.
    fn classify_payload(
        &self,
        head: &RawHead,
        place: &ResourceAddress,
        secret: &SecretString,
        stamp: &str,
        word: &str,
    ) -> Result<Payload, Rejection> {
        let new_chunk_key = || ChunkKey {
            key: self.scope.derive_key(secret.expose_secret()),
            stamp: stamp.to_owned(),
            scope: self.scope.to_string(),
            previous: self.signature.clone(),
        };
        let find_trailer = || head.header_text("x-amz-trailer").map(|name| name.trim().to_ascii_lowercase());
        let check_chunked = || check_chunked_request(head, place);
        match word {
            UNSIGNED_PAYLOAD => Ok(Payload::Unsigned),
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" => {
                check_chunked()?;
                Ok(Payload::Chunked(Box::new(AwsChunkedDecoder::new(Some(new_chunk_key()), None, parse_decoded_length(head)?))))
            }
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER" => {
                check_chunked()?;
                Ok(Payload::Chunked(Box::new(AwsChunkedDecoder::new(Some(new_chunk_key()), find_trailer(), parse_decoded_length(head)?))))
            }
            "STREAMING-UNSIGNED-PAYLOAD-TRAILER" => {
                check_chunked()?;
                Ok(Payload::Chunked(Box::new(AwsChunkedDecoder::new(None, find_trailer(), parse_decoded_length(head)?))))
            }
            "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD" | "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER" => {
                Err(Rejection::new(ErrorKind::NotImplemented).with_detail("Header", "x-amz-content-sha256"))
            }
            hash if hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
                Ok(Payload::Sha256(hash.to_ascii_lowercase()))
            }
            _ => Err(Rejection::with_message(
                ErrorKind::InvalidArgument,
                "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD, \
                 STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER, STREAMING-UNSIGNED-PAYLOAD-TRAILER, or a valid sha256 value.",
            )
            .with_detail("ArgumentName", "x-amz-content-sha256")),
        }
    }

    /// The error for a wrong signature. Like that of S3 it contains the string to sign, which shows users what differs.
    fn build_mismatch_rejection(&self, head: &RawHead, stamp: &str, canonical: &[u8]) -> Rejection {
        let rejection = Rejection::new(ErrorKind::SignatureDoesNotMatch)
            .with_detail("AWSAccessKeyId", self.access_key.clone())
            .with_detail("SignatureProvided", self.signature.clone());
        // The canonical request would contain a token or a customer's key, and error documents are often logged.
        if has_secrets(head) {
            return rejection;
        }
        let string_to_sign = self.scope.build_string_to_sign(stamp, canonical);
        let canonical = String::from_utf8_lossy(canonical);
        rejection.with_detail("StringToSign", string_to_sign).with_detail("CanonicalRequest", canonical)
    }
}

/// Whether a head contains a secret in its headers or query parameters.
fn has_secrets(head: &RawHead) -> bool {
    let is_secret = |name: &str| {
        let name = name.to_ascii_lowercase();
        name.contains("security-token") || name.ends_with("customer-key")
    };
    head.headers.iter().any(|row| is_secret(&row.0))
        || head.query.raw_parameters().any(|row| is_secret(row.0))
}

/// Rejects chunked framing in operations other than uploads of objects and parts.
fn check_chunked_request(head: &RawHead, place: &ResourceAddress) -> Result<(), Rejection> {
    // SDKs only use this framing in uploads, so the documents of other operations are read without a decoder.
    if head.method == "PUT" && place.scope.key().is_some() && head.header("x-amz-copy-source").is_none() {
        return Ok(());
    }
    Err(Rejection::new(ErrorKind::InvalidArgument).with_detail("ArgumentName", "x-amz-content-sha256"))
}

fn parse_decoded_length(head: &RawHead) -> Result<u64, Rejection> {
    let text = head.header_text("x-amz-decoded-content-length").unwrap_or_default();
    let is_number = !text.is_empty() && text.len() <= 19 && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number).ok_or_else(|| ErrorKind::MissingContentLength.into())
}

/// Parses X-Amz-Expires: 1 to 604,800 seconds, digits only.
fn parse_lifetime(text: &str) -> Result<i64, Rejection> {
    let build_rejection =
        |message: &str| Rejection::with_message(ErrorKind::AuthorizationQueryMalformed, message);
    if text.starts_with('-') {
        return Err(build_rejection("X-Amz-Expires must be non-negative"));
    }
    let life = parse_seconds(text).ok_or_else(|| build_rejection("X-Amz-Expires should be a number"))?;
    if (1..=PRESIGNED_SECONDS_MAX).contains(&life) {
        return Ok(life);
    }
    Err(build_rejection(
        "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 seconds",
    ))
}

fn check_skew(at: Timestamp, now: Timestamp) -> Result<(), Rejection> {
    if at.0.abs_diff(now.0) <= CLOCK_SKEW_SECONDS_MAX.unsigned_abs() {
        return Ok(());
    }
    Err(Rejection::new(ErrorKind::RequestTimeTooSkewed)
        .with_detail("RequestTime", date::format_basic(at))
        .with_detail("ServerTime", date::format_iso_seconds(now))
        .with_detail("MaxAllowedSkewMilliseconds", "900000"))
}

impl S3SignatureV2 {
    /// Amazon S3, Signing and authenticating REST requests, Query string request authentication alternative.
    fn from_query(query: &[ParameterPair<'_>]) -> Result<Self, Rejection> {
        let find_parameter = |name: &str| query.iter().find(|row| row.0 == name).map(|row| row.1.to_owned());
        match (find_parameter("AWSAccessKeyId"), find_parameter("Signature"), find_parameter("Expires")) {
            (Some(access_key), Some(signature), Some(expires)) => {
                Ok(Self { access_key, signature, expires: Some(expires) })
            }
            _ => Err(Rejection::with_message(
                ErrorKind::AccessDenied,
                "Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters",
            )),
        }
    }

    /// Amazon S3, Signing and authenticating REST requests, The authentication header.
    fn verify(
        &self,
        head: &RawHead,
        place: &ResourceAddress,
        secret: &SecretString,
        now: Timestamp,
    ) -> Result<Payload, Rejection> {
        self.check_times(head, now)?;
        let query = collect_head_pairs(head)?;
        // The signature does not cover sub-resources that are missing in the list, so anyone could append one to a
        // presigned URL and turn its request into another operation.
        let unsigned_parameter = query.iter().find(|(name, _)| {
            super::route::SUB_RESOURCES.contains(name) && !SIGNED_PARAMETERS_V2.contains(name)
        });
        if let Some((name, _)) = unsigned_parameter {
            return Err(Rejection::new(ErrorKind::HeadersNotSigned)
                .with_detail("HeadersNotSigned", (*name).to_owned()));
        }
        let string = self.build_string_to_sign(head, place, &query, "");
        // botocore signs the path of a bucket in path style with a final slash, although it sends it without one.
        let bare_bucket = place.scope.key().is_none() && !place.virtual_host && !head.path.ends_with('/');
        let with_slash = bare_bucket.then(|| self.build_string_to_sign(head, place, &query, "/"));
        let is_match = std::iter::once(&string).chain(&with_slash).any(|string| {
            let computed = encode_base64(&hmac_sha1(secret.expose_secret().as_bytes(), string));
            constant_time_eq(computed.as_bytes(), self.signature.as_bytes())
        });
        if is_match {
            return classify_v2_payload(head, place);
        }
        let rejection = Rejection::new(ErrorKind::SignatureDoesNotMatch)
            .with_detail("AWSAccessKeyId", self.access_key.clone())
            .with_detail("SignatureProvided", self.signature.clone());
        Err(if has_secrets(head) {
            rejection
        } else {
            rejection.with_detail("StringToSign", String::from_utf8_lossy(&string))
        })
    }

    fn check_times(&self, head: &RawHead, now: Timestamp) -> Result<(), Rejection> {
        if let Some(expires) = &self.expires {
            let end = parse_seconds(expires).ok_or_else(|| {
                Rejection::with_message(
                    ErrorKind::AccessDenied,
                    "Invalid date (should be seconds since epoch)",
                )
            })?;
            if now.0 > end {
                return Err(Rejection::new(ErrorKind::RequestExpired)
                    .with_detail("Expires", date::format_iso_seconds(Timestamp(end)))
                    .with_detail("ServerTime", date::format_iso_seconds(now)));
            }
            // Version 2 has no limit. That of version 4 applies, so that a URL that leaks is not valid for years.
            if end > now.0.saturating_add(PRESIGNED_SECONDS_MAX) {
                return Err(Rejection::with_message(
                    ErrorKind::AccessDenied,
                    "Expires is more than seven days ahead.",
                ));
            }
            return Ok(());
        }
        let text =
            head.header_text("x-amz-date").or(head.header_text("date")).ok_or(ErrorKind::MissingDate)?;
        let at = date::parse_http(text).or_else(|| date::parse_basic(text)).ok_or(ErrorKind::MissingDate)?;
        check_skew(at, now)
    }

    fn build_string_to_sign(
        &self,
        head: &RawHead,
        place: &ResourceAddress,
        query: &[ParameterPair<'_>],
        suffix: &str,
    ) -> Vec<u8> {
        let find_parameter = |name: &str| {
            let row = query.iter().find(|row| row.0.eq_ignore_ascii_case(name));
            row.filter(|_| self.expires.is_some()).map(|row| row.1.as_bytes())
        };
        let find_line = |name: &str| head.header(name).or(find_parameter(name)).unwrap_or_default();
        let date = match &self.expires {
            Some(expires) => expires.as_bytes(),
            // x-amz-date is signed with the other x-amz-* headers, so the line for the date must be empty.
            None if head.header("x-amz-date").is_some() => b"",
            None => head.header("date").unwrap_or_default(),
        };
        let (digest, kind) = (find_line("content-md5"), find_line("content-type"));
        let lines = [head.method.as_bytes(), digest, kind, date, &write_canonical_headers(head, query)];
        let mut string = lines.join(&b"\n"[..]);
        string.extend(build_v2_resource(head, place, query, suffix).into_bytes());
        string
    }
}

/// CanonicalizedAmzHeaders, including query parameters that replace headers.
fn write_canonical_headers(head: &RawHead, query: &[ParameterPair<'_>]) -> Vec<u8> {
    let headers = head.headers.iter().map(|(name, value)| (name.clone(), value.as_slice()));
    let header_parameters =
        query.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.as_bytes().trim_ascii()));
    let all: Vec<_> = headers.chain(header_parameters).filter(|row| row.0.starts_with("x-amz-")).collect();
    format_header_lines(all.iter().map(|(name, value)| (name.as_str(), *value)))
}

/// CanonicalizedResource: the bucket of a virtual host, the path as sent, and the parameters that the signature covers.
fn build_v2_resource(
    head: &RawHead,
    place: &ResourceAddress,
    query: &[ParameterPair<'_>],
    suffix: &str,
) -> String {
    // In path style the path already contains the bucket.
    let bucket_prefix = match place.scope.bucket() {
        Some(name) if place.virtual_host => format!("/{name}"),
        _ => String::new(),
    };
    let mut signed_parameters: Vec<&ParameterPair<'_>> =
        query.iter().filter(|row| SIGNED_PARAMETERS_V2.contains(&row.0)).collect();
    signed_parameters.sort();
    let pairs = signed_parameters.into_iter().map(|(name, value)| match *value {
        "" => (*name).to_owned(),
        value => format!("{name}={value}"),
    });
    let pairs = pairs.collect::<Vec<_>>().join("&");
    let path = format!("{bucket_prefix}{}{suffix}", head.path);
    if pairs.is_empty() { path } else { format!("{path}?{pairs}") }
}

/// How the body of a version 2 request is verified.
// Version 2 does not cover the payload hash and has no chunk signatures, so only chunks without signatures are valid.
fn classify_v2_payload(head: &RawHead, place: &ResourceAddress) -> Result<Payload, Rejection> {
    match head.header_text("x-amz-content-sha256") {
        Some("STREAMING-UNSIGNED-PAYLOAD-TRAILER") => {
            check_chunked_request(head, place)?;
            let trailer = head.header_text("x-amz-trailer").map(|name| name.trim().to_ascii_lowercase());
            Ok(Payload::Chunked(Box::new(AwsChunkedDecoder::new(None, trailer, parse_decoded_length(head)?))))
        }
        Some(word) if word.starts_with("STREAMING-") => {
            Err(Rejection::new(ErrorKind::InvalidArgument)
                .with_detail("ArgumentName", "x-amz-content-sha256"))
        }
        Some(hash) if hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            Ok(Payload::Sha256(hash.to_ascii_lowercase()))
        }
        _ => Ok(Payload::Unsigned),
    }
}
