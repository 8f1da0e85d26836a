//! Signatures of S3, version 4 and 2. Sections 2.1 to 2.9 of the S3 reference.

use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use crate::dialect::credential::{
    CredentialItems, check_single_credential, collect_authorization_lines, collect_query_pairs,
    format_header_lines, parse_id_and_signature, parse_seconds,
};
use crate::dialect::post_form::PostForm;
use crate::dialect::signature::{
    Auth, CLOCK_SKEW_SECONDS_MAX, Claim, PRESIGNED_SECONDS_MAX, Payload, ResourceAddress, Scheme,
    VerifiedSignature, VerifyOptions,
};
use crate::encoding::hash::{
    constant_time_eq, derive_key, encode_base64, encode_hex, hmac_sha1, hmac_sha256, sha256_hex,
};
use crate::encoding::{date, percent};
use crate::model::{Credentials, ErrorKind, OutgoingRequest, PayloadHash, RawHead, Rejection, Timestamp};
use crate::s3::chunked::{AwsChunkedDecoder, ChunkKey};

/// Version 4 both ways, version 2 in.
pub struct S3Auth;

/// The signatures of S3.
pub static AUTH: S3Auth = S3Auth;

const SCHEME_V4: &str = "s3v4";
const SCHEME_V2: &str = "s3v2";
const ALGORITHM: &str = "AWS4-HMAC-SHA256";
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

/// 2.6: what a version 2 signature covers of the query.
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

    /// 2.8
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
                build_claim(SCHEME_V4, S3Scope::parse(credential, ErrorKind::InvalidArgument)?.0)
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
                if form.require_field("X-Amz-Algorithm")? != ALGORITHM {
                    return Err(ErrorKind::UnsupportedSignature.into());
                }
                let (_, scope) =
                    S3Scope::parse(form.require_field("X-Amz-Credential")?, ErrorKind::InvalidArgument)?;
                let at =
                    date::parse_basic(form.require_field("X-Amz-Date")?).ok_or(ErrorKind::InvalidArgument)?;
                if date::format_basic(at).get(..8) != Some(scope.date.as_str()) {
                    return Err(ErrorKind::InvalidArgument.into());
                }
                if now.0 > at.0.saturating_add(PRESIGNED_SECONDS_MAX) {
                    return Err(ErrorKind::RequestExpired.into());
                }
                (
                    encode_hex(&hmac_sha256(&scope.derive_key(secret.expose_secret()), policy.as_bytes())),
                    signature,
                )
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
        // Hop by hop: a connection may change it.
        let mut names: Vec<String> = request
            .headers
            .iter()
            .map(|row| row.0.clone())
            .filter(|name| name != "transfer-encoding")
            .collect();
        names.sort();
        names.dedup();
        let query = collect_query_pairs(request);
        let canonical = S3CanonicalRequest {
            method: request.method,
            uri: &request.path,
            query: &query,
            headers: &request.headers,
            signed_headers: &names,
            payload: &payload,
        };
        let scope =
            S3Scope { date: stamp.get(..8).unwrap_or_default().to_owned(), region: region.to_owned() };
        let signature =
            scope.compute_signature(key.secret_key.expose_secret(), &stamp, &canonical.to_bytes());
        let authorization = format!(
            "{ALGORITHM} Credential={}/{scope}, SignedHeaders={}, Signature={signature}",
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
    scope: S3Scope,
    signed_headers: Vec<String>,
    signature: String,
    /// Of the query form: date and seconds of life.
    presigned: Option<(String, String)>,
}

/// A version 2 credential.
struct S3SignatureV2 {
    access_key: String,
    signature: String,
    /// Of the query form: seconds since 1970.
    expires: Option<String>,
}

impl S3Credential {
    /// 2.1
    fn from_head(head: &RawHead) -> Result<Option<Self>, Rejection> {
        let lines = collect_authorization_lines(head);
        let header = lines.iter().find(|line| line.starts_with("AWS4-") || line.starts_with("AWS "));
        // A parameter that does not decode may be of a request of another dialect, which is to say so itself.
        let names: Vec<String> =
            head.raw_query().filter_map(|(name, _)| percent::decode_form(name).ok()).collect();
        let is_v4 = names.iter().any(|name| {
            name.eq_ignore_ascii_case("X-Amz-Algorithm") || name.eq_ignore_ascii_case("X-Amz-Signature")
        });
        let is_v2 = names.iter().any(|name| name == "AWSAccessKeyId");
        check_single_credential(&[header.is_some(), is_v4, is_v2], &lines)?;
        match (header, is_v4, is_v2) {
            (Some(header), ..) => Self::from_header(header).map(Some),
            (_, true, _) => S3SignatureV4::from_query(&decode_query(head)?).map(|own| Some(Self::V4(own))),
            (_, _, true) => S3SignatureV2::from_query(&decode_query(head)?).map(|own| Some(Self::V2(own))),
            _ => Ok(None),
        }
    }

    fn from_header(line: &str) -> Result<Self, Rejection> {
        if let Some(rest) = line.strip_prefix("AWS ") {
            let (access_key, signature) = parse_id_and_signature(rest)?;
            return Ok(Self::V2(S3SignatureV2 { access_key, signature, expires: None }));
        }
        let rest = line.strip_prefix(ALGORITHM).ok_or(classify_algorithm_error(line))?;
        let items = CredentialItems::parse(rest)?;
        let (access_key, scope) =
            S3Scope::parse(items.get_required("Credential")?, ErrorKind::AuthorizationMalformed)?;
        let signed_headers = parse_signed_headers(items.get_required("SignedHeaders")?)?;
        let signature = items.get_required("Signature")?.to_owned();
        Ok(Self::V4(S3SignatureV4 { access_key, scope, signed_headers, signature, presigned: None }))
    }
}

/// 2.1: signatures of elliptic curves are known and not verified; of the rest nothing is known.
fn classify_algorithm_error(algorithm: &str) -> ErrorKind {
    match algorithm.starts_with("AWS4-ECDSA-P256-SHA256") {
        true => ErrorKind::NotImplemented,
        false => ErrorKind::UnsupportedSignature,
    }
}

/// The decoded query. A parameter of the credential stands once.
fn decode_query(head: &RawHead) -> Result<Vec<(String, String)>, Rejection> {
    let mut query: Vec<(String, String)> = Vec::new();
    for (name, value) in head.raw_query() {
        let name = percent::decode_form(name).map_err(|_| ErrorKind::InvalidUri)?;
        let value = percent::decode_form(value.unwrap_or_default()).map_err(|_| ErrorKind::InvalidUri)?;
        let is_own = CREDENTIAL_PARAMETERS.iter().any(|own| own.eq_ignore_ascii_case(&name));
        if is_own && query.iter().any(|row| row.0.eq_ignore_ascii_case(&name)) {
            return Err(ErrorKind::SeveralCredentials.into());
        }
        query.push((name, value));
    }
    Ok(query)
}

/// V4: lower case, sorted, unique.
fn parse_signed_headers(list: &str) -> Result<Vec<String>, Rejection> {
    let names: Vec<String> = list.split(';').map(str::to_owned).collect();
    let is_ordered = names.windows(2).all(|pair| matches!(pair, [one, other] if one < other));
    let is_lower_case =
        names.iter().all(|name| !name.is_empty() && name.bytes().all(|byte| !byte.is_ascii_uppercase()));
    if is_ordered && is_lower_case { Ok(names) } else { Err(ErrorKind::AuthorizationMalformed.into()) }
}

fn find_session_token(head: &RawHead) -> Result<Option<String>, Rejection> {
    let header = head.header_text("x-amz-security-token").map(str::to_owned);
    let query = decode_query(head)?;
    let parameter = query.into_iter().find(|row| row.0.eq_ignore_ascii_case("x-amz-security-token"));
    match (header, parameter) {
        (Some(_), Some(_)) => Err(ErrorKind::SeveralCredentials.into()),
        (header, parameter) => Ok(header.or(parameter.map(|row| row.1))),
    }
}

/// What a version 4 key is good for.
struct S3Scope {
    date: String,
    region: String,
}

impl std::fmt::Display for S3Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/s3/aws4_request", self.date, self.region)
    }
}

impl S3Scope {
    /// Four fields from the right: key ids of some servers hold slashes.
    fn parse(credential: &str, error_kind: ErrorKind) -> Result<(String, Self), Rejection> {
        let parts: Vec<&str> = credential.rsplitn(5, '/').collect();
        let [end, service, region, date, access_key] = parts.as_slice() else {
            return Err(Rejection::with_message(
                error_kind,
                "The authorization header is malformed; the Credential is mal-formed; expecting \
                 \"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\".",
            ));
        };
        if *service != "s3" {
            return Err(Rejection::with_message(
                error_kind,
                format!(
                    "The authorization header is malformed; incorrect service \"{service}\". \
                     This endpoint belongs to \"s3\"."
                ),
            ));
        }
        let is_date = date.len() == 8 && date.bytes().all(|byte| byte.is_ascii_digit());
        if *end != "aws4_request" || !is_date || access_key.is_empty() {
            return Err(error_kind.into());
        }
        Ok(((*access_key).to_owned(), Self { date: (*date).to_owned(), region: (*region).to_owned() }))
    }

    /// kSigning
    fn derive_key(&self, secret: &str) -> Zeroizing<Vec<u8>> {
        let secret = Zeroizing::new(format!("AWS4{secret}"));
        derive_key(secret.as_bytes(), &[&self.date, &self.region, "s3", "aws4_request"])
    }

    fn build_string_to_sign(&self, stamp: &str, canonical: &[u8]) -> String {
        format!("{ALGORITHM}\n{stamp}\n{self}\n{}", sha256_hex(canonical))
    }

    fn compute_signature(&self, secret: &str, stamp: &str, canonical: &[u8]) -> String {
        encode_hex(&hmac_sha256(
            &self.derive_key(secret),
            self.build_string_to_sign(stamp, canonical).as_bytes(),
        ))
    }
}

/// 2.2: what a version 4 signature covers.
struct S3CanonicalRequest<'a> {
    method: &'a str,
    /// Percent-encoded once, nothing normalised.
    uri: &'a str,
    /// Decoded.
    query: &'a [(String, String)],
    headers: &'a [(String, Vec<u8>)],
    signed_headers: &'a [String],
    payload: &'a str,
}

impl S3CanonicalRequest<'_> {
    /// CanonicalRequest
    fn to_bytes(&self) -> Vec<u8> {
        let mut pairs: Vec<(String, String)> =
            self.query.iter().map(|(name, value)| (percent::encode(name), percent::encode(value))).collect();
        pairs.sort();
        let pairs: Vec<String> = pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut canonical = format!("{}\n{}\n{}\n", self.method, self.uri, pairs.join("&")).into_bytes();
        for name in self.signed_headers {
            let values = self.headers.iter().filter(|row| row.0 == *name).map(|row| fold_spaces(&row.1));
            let values = values.collect::<Vec<_>>().join(&b","[..]);
            canonical.extend([name.as_bytes(), b":", &values, b"\n"].concat());
        }
        canonical.extend(format!("\n{}\n{}", self.signed_headers.join(";"), self.payload).into_bytes());
        canonical
    }
}

/// Inner runs of spaces folded to one. A tab stays what it is, as no other byte may stand for a space.
fn fold_spaces(value: &[u8]) -> Vec<u8> {
    let words = value.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(&b" "[..])
}

impl S3SignatureV4 {
    /// 2.3
    fn from_query(query: &[(String, String)]) -> Result<Self, Rejection> {
        let find_parameter =
            |name: &str| query.iter().find(|row| row.0.eq_ignore_ascii_case(name)).map(|row| row.1.clone());
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
        if algorithm != ALGORITHM {
            return Err(classify_algorithm_error(&algorithm).into());
        }
        let (access_key, scope) = S3Scope::parse(&credential, error_kind)?;
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
        let mut query = decode_query(head)?;
        query.retain(|row| !row.0.eq_ignore_ascii_case("X-Amz-Signature"));
        let uri = percent::encode_path(&path);
        let canonical = S3CanonicalRequest {
            method: &head.method,
            uri: &uri,
            query: &query,
            headers: &head.headers,
            signed_headers: &self.signed_headers,
            payload: &payload,
        };
        let canonical = canonical.to_bytes();
        let computed = self.scope.compute_signature(secret.expose_secret(), &stamp, &canonical);
        if !constant_time_eq(computed.as_bytes(), self.signature.as_bytes()) {
            return Err(self.build_mismatch_rejection(head, &stamp, &canonical));
        }
        self.classify_payload(head, place, secret, &stamp, &payload)
    }

    /// The time of signing: `x-amz-date` wins over `Date`.
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
        if date::format_basic(at).get(..8) == Some(self.scope.date.as_str()) {
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

    /// 2.2: host and every header of ours that is there must be signed, and what is signed must be there. The
    /// payload word of the header form is part of the canonical request whatever the list says.
    fn check_signed_headers(&self, head: &RawHead) -> Result<(), Rejection> {
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

    /// The last line of the canonical request.
    fn find_payload_hash(&self, head: &RawHead) -> Result<String, Rejection> {
        let header = head.header_text("x-amz-content-sha256");
        if self.presigned.is_none() {
            return header.map(str::to_owned).ok_or_else(|| ErrorKind::MissingPayloadHash.into());
        }
        let query = decode_query(head)?;
        let parameter = query.into_iter().find(|row| row.0.eq_ignore_ascii_case("X-Amz-Content-Sha256"));
        // On a presigned URL the header counts only where it is signed, which was checked.
        Ok(parameter
            .map(|row| row.1)
            .or(header.map(str::to_owned))
            .unwrap_or_else(|| UNSIGNED_PAYLOAD.to_owned()))
    }

    /// 2.4: every word there is, and nothing else.
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

    /// 2.9. What was signed is told, unless a token or a customer's key was part of it.
    fn build_mismatch_rejection(&self, head: &RawHead, stamp: &str, canonical: &[u8]) -> Rejection {
        let rejection = Rejection::new(ErrorKind::SignatureDoesNotMatch)
            .with_detail("AWSAccessKeyId", self.access_key.clone())
            .with_detail("SignatureProvided", self.signature.clone());
        if has_secrets(head) {
            return rejection;
        }
        let string_to_sign = self.scope.build_string_to_sign(stamp, canonical);
        let canonical = String::from_utf8_lossy(canonical);
        rejection.with_detail("StringToSign", string_to_sign).with_detail("CanonicalRequest", canonical)
    }
}

/// Whether a head carries what must not be told back, in headers or in parameters.
fn has_secrets(head: &RawHead) -> bool {
    let is_secret = |name: &str| {
        let name = name.to_ascii_lowercase();
        name.contains("security-token") || name.ends_with("customer-key")
    };
    head.headers.iter().any(|row| is_secret(&row.0)) || head.raw_query().any(|row| is_secret(row.0))
}

/// Chunks may only carry what is stored: objects and parts.
fn check_chunked_request(head: &RawHead, place: &ResourceAddress) -> Result<(), Rejection> {
    if head.method == "PUT" && place.key.is_some() && head.header("x-amz-copy-source").is_none() {
        return Ok(());
    }
    Err(Rejection::new(ErrorKind::InvalidArgument).with_detail("ArgumentName", "x-amz-content-sha256"))
}

fn parse_decoded_length(head: &RawHead) -> Result<u64, Rejection> {
    let text = head.header_text("x-amz-decoded-content-length").unwrap_or_default();
    let is_number = !text.is_empty() && text.len() <= 19 && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number).ok_or_else(|| ErrorKind::MissingContentLength.into())
}

/// 2.3: 1 to 604,800 seconds, digits only.
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
    /// 2.7
    fn from_query(query: &[(String, String)]) -> Result<Self, Rejection> {
        let find_parameter = |name: &str| query.iter().find(|row| row.0 == name).map(|row| row.1.clone());
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

    /// 2.6
    fn verify(
        &self,
        head: &RawHead,
        place: &ResourceAddress,
        secret: &SecretString,
        now: Timestamp,
    ) -> Result<Payload, Rejection> {
        self.check_times(head, now)?;
        let query = decode_query(head)?;
        let unsigned_parameter = query.iter().find(|(name, _)| {
            super::route::SUB_RESOURCES.contains(&name.as_str())
                && !SIGNED_PARAMETERS_V2.contains(&name.as_str())
        });
        if let Some((name, _)) = unsigned_parameter {
            return Err(
                Rejection::new(ErrorKind::HeadersNotSigned).with_detail("HeadersNotSigned", name.clone())
            );
        }
        let string = self.build_string_to_sign(head, place, &query, "");
        // botocore signs a bucket in path style as if it ended in a slash.
        let bare_bucket = place.key.is_none() && !place.virtual_host && !head.path.ends_with('/');
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
        query: &[(String, String)],
        suffix: &str,
    ) -> Vec<u8> {
        let find_parameter = |name: &str| {
            let row = query.iter().find(|row| row.0.eq_ignore_ascii_case(name));
            row.filter(|_| self.expires.is_some()).map(|row| row.1.as_bytes())
        };
        let find_line = |name: &str| head.header(name).or(find_parameter(name)).unwrap_or_default();
        let date = match &self.expires {
            Some(expires) => expires.as_bytes(),
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

/// CanonicalizedAmzHeaders, parameters that stand for headers among them.
fn write_canonical_headers(head: &RawHead, query: &[(String, String)]) -> Vec<u8> {
    let headers = head.headers.iter().map(|(name, value)| (name.clone(), value.as_slice()));
    let header_parameters =
        query.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.as_bytes().trim_ascii()));
    let all: Vec<_> = headers.chain(header_parameters).filter(|row| row.0.starts_with("x-amz-")).collect();
    format_header_lines(all.iter().map(|(name, value)| (name.as_str(), *value)))
}

/// CanonicalizedResource: the bucket of a virtual host, then the path as sent, then the covered parameters.
fn build_v2_resource(
    head: &RawHead,
    place: &ResourceAddress,
    query: &[(String, String)],
    suffix: &str,
) -> String {
    let bucket = place.bucket.as_deref().filter(|_| place.virtual_host).map(|name| format!("/{name}"));
    let mut signed_parameters: Vec<&(String, String)> =
        query.iter().filter(|row| SIGNED_PARAMETERS_V2.contains(&row.0.as_str())).collect();
    signed_parameters.sort();
    let pairs = signed_parameters.into_iter().map(|(name, value)| match value.as_str() {
        "" => name.clone(),
        value => format!("{name}={value}"),
    });
    let pairs = pairs.collect::<Vec<_>>().join("&");
    let path = format!("{}{}{suffix}", bucket.unwrap_or_default(), head.path);
    if pairs.is_empty() { path } else { format!("{path}?{pairs}") }
}

/// 2.6: no payload hash; chunks without signatures are possible.
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
