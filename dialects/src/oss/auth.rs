//! Signature versions 1 and 4 of OSS: OSS, Include signatures in the Authorization header (V1, V4); Include signatures
//! in a URL (V1, V4).

use secrecy::{ExposeSecret, SecretString};

use crate::dialect::addressing;
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
use crate::model::{Credentials, ErrorKind, OutgoingRequest, RawHead, Rejection, RequestScope, Timestamp};

/// Verifies versions 1 and 4, and signs with one of them.
pub struct OssAuth {
    signs_with_v1: bool,
}

/// The signatures of OSS; requests are signed with version 4.
pub static AUTH: OssAuth = OssAuth { signs_with_v1: false };

/// The signatures of OSS; requests are signed with version 1, for targets that are configured for it.
// Version 1 remains selectable, because a server that is compatible with OSS may not support version 4.
pub static AUTH_V1: OssAuth = OssAuth { signs_with_v1: true };

/// The name of version 1 in the configuration.
pub(crate) const SCHEME_V1: &str = "ossv1";
/// The name of version 4 in the configuration.
pub(crate) const SCHEME_V4: &str = "ossv4";
const ALGORITHM: V4Algorithm =
    V4Algorithm { name: "OSS4-HMAC-SHA256", key_prefix: "aliyun_v4", scope_end: "aliyun_v4_request" };
const PRODUCT: &str = "oss";
const UNSIGNED_PAYLOAD: &str = "UNSIGNED-PAYLOAD";

const CREDENTIAL_PARAMETERS: &[&str] = &[
    "OSSAccessKeyId",
    "Expires",
    "Signature",
    "security-token",
    "x-oss-signature-version",
    "x-oss-credential",
    "x-oss-date",
    "x-oss-expires",
    "x-oss-additional-headers",
    "x-oss-security-token",
    "x-oss-signature",
];

/// The query parameters that a version 1 signature covers, besides every `x-oss-*`: OSS, Include signatures in the
/// Authorization header (V1), CanonicalizedResource.
// The documentation lists only some of them. The others are signed by the official SDKs, so their signatures would not
// match without them.
const SIGNED_PARAMETERS_V1: &[&str] = &[
    "acl",
    "append",
    "bucketInfo",
    "callback",
    "callback-var",
    "continuation-token",
    "delete",
    "location",
    "objectMeta",
    "partNumber",
    "position",
    "regionList",
    "restore",
    "security-token",
    "sequential",
    "stat",
    "symlink",
    "tagging",
    "uploadId",
    "uploads",
    "versionId",
    "versioning",
    "versions",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
    "asyncFetch",
    "cname",
    "comp",
    "cors",
    "encryption",
    "inventory",
    "inventoryId",
    "lifecycle",
    "logging",
    "metaQuery",
    "policy",
    "qos",
    "qosInfo",
    "referer",
    "replication",
    "replicationLocation",
    "replicationProgress",
    "requestPayment",
    "resourceGroup",
    "style",
    "styleName",
    "transferAcceleration",
    "website",
    "worm",
    "wormExtend",
    "wormId",
    "endTime",
    "live",
    "startTime",
    "status",
    "vod",
    "accessPoint",
    "accessPointPolicy",
    "bucketArchiveDirectRead",
    "httpsConfig",
    "publicAccessBlock",
    "redundancyTransition",
    "policyStatus",
    "processConfiguration",
    "seal",
    "cloudboxes",
    "rtc",
    "responseHeader",
    "withHashContext",
    "cleanRestoredObject",
    "legalHold",
    "objectWorm",
    "overwriteConfig",
    "retention",
    "userDefinedLogFieldsConfig",
    "img",
    "udf",
    "vip",
    "group",
    "link",
    "objectInfo",
];

/// Query parameters that version 1 does not cover. They only select a page of a listing, so they are harmless.
const FILTER_PARAMETERS_V1: &[&str] = &[
    "prefix",
    "marker",
    "max-keys",
    "delimiter",
    "encoding-type",
    "list-type",
    "start-after",
    "fetch-owner",
    "key-marker",
    "version-id-marker",
    "upload-id-marker",
    "max-uploads",
    "max-parts",
    "part-number-marker",
    "OSSAccessKeyId",
    "Expires",
    "Signature",
];

impl Auth for OssAuth {
    fn credential_parameters(&self) -> &'static [&'static str] {
        CREDENTIAL_PARAMETERS
    }

    fn parse_claim(&self, head: &RawHead) -> Result<Option<Claim>, Rejection> {
        let Some(credential) = OssCredential::from_head(head)? else { return Ok(None) };
        let scheme = Scheme { name: credential.scheme(), presigned: credential.is_presigned() };
        Ok(Some(Claim {
            scheme,
            access_key_id: credential.access_key().to_owned(),
            session_token: find_session_token(head)?,
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
        let credential = OssCredential::from_head(head)?.ok_or(ErrorKind::AuthorizationMalformed)?;
        let new_verified = |key| VerifiedSignature {
            payload: Payload::Unsigned,
            unsigned_names: Vec::new(),
            credential_parameters: CREDENTIAL_PARAMETERS,
            signed_key: key,
        };
        let outcome = credential.verify(head, place, secret, terms.now);
        // Most SDKs send a `+` in a path as a plus sign, but the Ruby SDK and older Go SDKs send it as a space. The
        // decoded key is signed, so the signature shows which of them is meant.
        match (outcome, addressing::decode_key_plus_as_space(head, place)) {
            (Ok(()), _) => Ok(new_verified(None)),
            (Err(rejection), Some(key)) if rejection.kind == ErrorKind::SignatureDoesNotMatch => {
                let other = ResourceAddress { scope: place.scope.with_key(&key), ..place.clone() };
                let outcome = credential.verify(head, &other, secret, terms.now);
                outcome.map(|()| new_verified(Some(key))).map_err(|_| rejection)
            }
            (Err(rejection), _) => Err(rejection),
        }
    }

    fn form_fields(&self) -> &'static [&'static str] {
        &[
            "OSSAccessKeyId",
            "Signature",
            "x-oss-signature-version",
            "x-oss-credential",
            "x-oss-date",
            "x-oss-signature",
            "x-oss-security-token",
        ]
    }

    /// OSS, PostObject, form fields.
    fn parse_form_claim(&self, form: &PostForm) -> Result<Option<Claim>, Rejection> {
        let token = form.get("x-oss-security-token").map(str::to_owned);
        let build_claim = |name: &'static str, access_key: String| {
            Ok(Some(Claim {
                scheme: Scheme { name, presigned: true },
                access_key_id: access_key,
                session_token: token.clone(),
            }))
        };
        match (form.get("x-oss-signature"), form.get("OSSAccessKeyId"), form.get("Signature")) {
            (Some(_), None, None) => {
                build_claim(SCHEME_V4, parse_credential(form.require_field("x-oss-credential")?)?.0)
            }
            (None, Some(access_key), Some(_)) => build_claim(SCHEME_V1, access_key.to_owned()),
            (None, None, None) => Ok(None),
            (Some(_), ..) => Err(ErrorKind::SeveralCredentials.into()),
            (None, None, Some(_)) => form.require_field("OSSAccessKeyId").map(|_| None),
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
        let secret = secret.expose_secret();
        let (computed, received) = match form.get("x-oss-signature") {
            Some(signature) => {
                if form.require_field("x-oss-signature-version")? != ALGORITHM.name {
                    return Err(ErrorKind::UnsupportedSignature.into());
                }
                let (_, scope) = parse_credential(form.require_field("x-oss-credential")?)?;
                let at =
                    date::parse_basic(form.require_field("x-oss-date")?).ok_or(ErrorKind::InvalidArgument)?;
                if !scope.has_date_of(at) {
                    return Err(ErrorKind::InvalidArgument.into());
                }
                if at.0 > now.0.saturating_add(CLOCK_SKEW_SECONDS_MAX) {
                    return Err(ErrorKind::RequestNotYetValid.into());
                }
                if now.0 > at.0.saturating_add(PRESIGNED_SECONDS_MAX) {
                    return Err(build_expired_rejection(at.0.saturating_add(PRESIGNED_SECONDS_MAX), now));
                }
                (scope.sign_text(secret, policy), signature)
            }
            None => (
                encode_base64(&hmac_sha1(secret.as_bytes(), policy.as_bytes())),
                form.require_field("Signature")?,
            ),
        };
        if constant_time_eq(computed.as_bytes(), received.as_bytes()) {
            Ok(())
        } else {
            Err(ErrorKind::SignatureDoesNotMatch.into())
        }
    }

    fn sign(&self, request: &mut OutgoingRequest, key: &Credentials, region: &str, now: Timestamp) {
        request.headers.push(("host".to_owned(), request.host.clone().into_bytes()));
        if let Some(token) = &key.session_token {
            request.headers.push(("x-oss-security-token".to_owned(), token.expose_secret().into()));
        }
        let authorization =
            if self.signs_with_v1 { sign_v1(request, key, now) } else { sign_v4(request, key, region, now) };
        request.headers.push(("authorization".to_owned(), authorization.into_bytes()));
    }
}

fn sign_v1(request: &mut OutgoingRequest, key: &Credentials, now: Timestamp) -> String {
    let date = date::format_http(now);
    request.headers.push(("date".to_owned(), date.clone().into_bytes()));
    let query = collect_query_pairs(request);
    let resource = build_v1_resource(&request.scope, &query, "");
    let string_to_sign =
        build_v1_string_to_sign(request.method, &request.headers, date.as_bytes(), &resource);
    let signature = encode_base64(&hmac_sha1(key.secret_key.expose_secret().as_bytes(), &string_to_sign));
    format!("OSS {}:{signature}", key.access_key_id)
}

fn sign_v4(request: &mut OutgoingRequest, key: &Credentials, region: &str, now: Timestamp) -> String {
    let stamp = date::format_basic(now);
    request.headers.push(("x-oss-date".to_owned(), stamp.clone().into_bytes()));
    request.headers.push(("x-oss-content-sha256".to_owned(), UNSIGNED_PAYLOAD.into()));
    let scope = V4Scope::new(ALGORITHM, &stamp, region, PRODUCT);
    let query = collect_query_pairs(request);
    // Version 4 does not cover `host` by default. It is added, so that the request is not valid for another host.
    let additional_headers = vec!["host".to_owned()];
    let canonical = V4CanonicalRequest {
        method: request.method,
        uri: &build_v4_uri(&request.scope),
        query: &query,
        keeps_equals_sign: false,
        header_lines: &write_v4_headers(&request.headers, &additional_headers),
        header_names: &additional_headers,
        payload: UNSIGNED_PAYLOAD.as_bytes(),
    };
    let signature = scope.compute_signature(key.secret_key.expose_secret(), &stamp, &canonical.to_bytes());
    format!(
        "{} Credential={}/{scope},AdditionalHeaders=host,Signature={signature}",
        ALGORITHM.name, key.access_key_id
    )
}

enum OssCredential {
    V1(OssSignatureV1),
    V4(OssSignatureV4),
}

/// A version 1 credential.
struct OssSignatureV1 {
    access_key: String,
    signature: String,
    /// Expiration of a presigned URL in Unix seconds.
    expires: Option<String>,
}

/// A version 4 credential.
struct OssSignatureV4 {
    access_key: String,
    scope: V4Scope,
    additional_headers: Vec<String>,
    signature: String,
    /// Lifetime of a presigned URL in seconds.
    expires: Option<String>,
}

impl OssCredential {
    /// Parses the credential of a request, from the Authorization header or the query.
    fn from_head(head: &RawHead) -> Result<Option<Self>, Rejection> {
        let lines = collect_authorization_lines(head);
        let header = lines
            .iter()
            .find(|line| line.starts_with("OSS ") || line.starts_with("OSS4-") || line.starts_with("OSS2 "));
        let find_parameter = |name: &str| -> Result<Option<String>, Rejection> {
            // A repeated parameter is ambiguous, so that another value could be verified than is used afterwards.
            let mut matches = head.query.raw_parameters().filter(|row| row.0 == name);
            let first = matches.next().and_then(|row| row.1);
            match matches.next() {
                Some(_) => Err(ErrorKind::SeveralCredentials.into()),
                None => first
                    .map(|text| percent::decode_form(text).map_err(|_| ErrorKind::InvalidUri.into()))
                    .transpose(),
            }
        };
        let version = find_parameter("x-oss-signature-version")?;
        let id = find_parameter("OSSAccessKeyId")?;
        check_single_credential(&[header.is_some(), version.is_some(), id.is_some()], &lines)?;
        if let Some(header) = header {
            return Self::from_header(header).map(Some);
        }
        if let Some(version) = version {
            if version != ALGORITHM.name {
                return Err(ErrorKind::UnsupportedSignature.into());
            }
            let all = [
                find_parameter("x-oss-credential")?,
                find_parameter("x-oss-expires")?,
                find_parameter("x-oss-signature")?,
                find_parameter("x-oss-date")?,
            ];
            let [Some(credential), Some(expires), Some(signature), Some(_)] = all else {
                return Err(ErrorKind::AuthorizationQueryMalformed.into());
            };
            let (access_key, scope) = parse_credential(&credential)?;
            let additional_headers =
                parse_additional_headers(&find_parameter("x-oss-additional-headers")?.unwrap_or_default())?;
            return Ok(Some(Self::V4(OssSignatureV4 {
                access_key,
                scope,
                additional_headers,
                signature,
                expires: Some(expires),
            })));
        }
        // Only OSSAccessKeyId identifies version 1, because S3 also has the parameters Expires and Signature.
        let Some(access_key) = id else { return Ok(None) };
        match (find_parameter("Signature")?, find_parameter("Expires")?) {
            (Some(signature), Some(expires)) => {
                Ok(Some(Self::V1(OssSignatureV1 { access_key, signature, expires: Some(expires) })))
            }
            _ => Err(ErrorKind::AuthorizationQueryMalformed.into()),
        }
    }

    fn from_header(line: &str) -> Result<Self, Rejection> {
        if let Some(rest) = line.strip_prefix("OSS ") {
            let (access_key, signature) = parse_id_and_signature(rest)?;
            return Ok(Self::V1(OssSignatureV1 { access_key, signature, expires: None }));
        }
        let rest = line.strip_prefix(ALGORITHM.name).ok_or(ErrorKind::UnsupportedSignature)?;
        let items = CredentialItems::parse(rest)?;
        let (access_key, scope) = parse_credential(items.get_required("Credential")?)?;
        let signature = items.get_required("Signature")?.to_owned();
        let additional_headers =
            parse_additional_headers(items.get("AdditionalHeaders").unwrap_or_default())?;
        Ok(Self::V4(OssSignatureV4 { access_key, scope, additional_headers, signature, expires: None }))
    }

    fn verify(
        &self,
        head: &RawHead,
        place: &ResourceAddress,
        secret: &SecretString,
        now: Timestamp,
    ) -> Result<(), Rejection> {
        match self {
            Self::V1(signature) => signature.verify(head, place, secret, now),
            Self::V4(signature) => signature.verify(head, place, secret, now),
        }
    }

    fn scheme(&self) -> &'static str {
        match self {
            Self::V1(_) => SCHEME_V1,
            Self::V4(_) => SCHEME_V4,
        }
    }

    fn is_presigned(&self) -> bool {
        match self {
            Self::V1(signature) => signature.expires.is_some(),
            Self::V4(signature) => signature.expires.is_some(),
        }
    }

    fn access_key(&self) -> &str {
        match self {
            Self::V1(signature) => &signature.access_key,
            Self::V4(signature) => &signature.access_key,
        }
    }
}

/// Parses AdditionalHeaders: names separated by `;`, none of them empty.
fn parse_additional_headers(list: &str) -> Result<Vec<String>, Rejection> {
    if list.is_empty() {
        return Ok(Vec::new());
    }
    let mut names: Vec<String> = list.split(';').map(|name| name.trim().to_ascii_lowercase()).collect();
    // SDKs list the names in any order, but sign them sorted.
    names.sort();
    names.dedup();
    if names.iter().any(String::is_empty) {
        return Err(ErrorKind::AuthorizationMalformed.into());
    }
    Ok(names)
}

/// The session token in a header or in the query parameter of either version.
fn find_session_token(head: &RawHead) -> Result<Option<String>, Rejection> {
    // alibabacloud-oss-v2 for Python sends the header without its prefix in version 1, so both names are accepted.
    let header =
        head.header_text("x-oss-security-token").or(head.header_text("security-token")).map(str::to_owned);
    let mut parameters = head
        .query
        .raw_parameters()
        .filter(|row| matches!(row.0, "security-token" | "x-oss-security-token"))
        .filter_map(|row| row.1);
    match (header, parameters.next()) {
        (Some(_), Some(_)) => Err(ErrorKind::SeveralCredentials.into()),
        (Some(header), None) => Ok(Some(header)),
        (None, Some(token)) => {
            percent::decode_form(token).map(Some).map_err(|_| ErrorKind::InvalidUri.into())
        }
        (None, None) => Ok(None),
    }
}

impl OssSignatureV1 {
    /// OSS, Include signatures in the Authorization header (V1); Include signatures in a URL (V1).
    fn verify(
        &self,
        head: &RawHead,
        place: &ResourceAddress,
        secret: &SecretString,
        now: Timestamp,
    ) -> Result<(), Rejection> {
        let date = self.find_date(head, now)?;
        let query = collect_head_pairs(head)?;
        // A parameter that selects an operation must be signed, because anyone can append it to a presigned URL.
        let unsigned_parameter = query
            .iter()
            .find(|(name, _)| super::route::SUB_RESOURCES.contains(name) && !is_signed_by_v1(name));
        if let Some((name, _)) = unsigned_parameter {
            return Err(Rejection::new(ErrorKind::HeadersNotSigned)
                .with_detail("HeadersNotSigned", (*name).to_owned()));
        }
        // Most SDKs sign a parameter with an empty value as `name`, but the Java SDK signs `name=`.
        let strings = ["", "="].map(|empty| {
            let resource = build_v1_resource(&place.scope, &query, empty);
            build_v1_string_to_sign(&head.method, &head.headers, &date, &resource)
        });
        let is_match = strings.iter().any(|string| {
            let computed = encode_base64(&hmac_sha1(secret.expose_secret().as_bytes(), string));
            constant_time_eq(computed.as_bytes(), self.signature.as_bytes())
        });
        if is_match {
            return Ok(());
        }
        let [string, _] = strings;
        Err(build_mismatch_rejection(
            &self.access_key,
            &self.signature,
            &String::from_utf8_lossy(&string),
            head,
        ))
    }

    fn find_date(&self, head: &RawHead, now: Timestamp) -> Result<Vec<u8>, Rejection> {
        if let Some(expires) = &self.expires {
            let at = parse_seconds(expires).ok_or_else(|| {
                Rejection::with_message(
                    ErrorKind::AuthorizationQueryMalformed,
                    "Invalid date (should be seconds since epoch).",
                )
            })?;
            if now.0 > at {
                return Err(build_expired_rejection(at, now));
            }
            // Version 1 has no limit. That of version 4 applies, so that a URL that leaks is not valid for years.
            if at > now.0.saturating_add(PRESIGNED_SECONDS_MAX) {
                return Err(Rejection::with_message(
                    ErrorKind::AuthorizationQueryMalformed,
                    "Expires is more than seven days ahead.",
                ));
            }
            return Ok(expires.as_bytes().to_vec());
        }
        let text =
            head.header_text("x-oss-date").or(head.header_text("date")).ok_or(ErrorKind::MissingDate)?;
        let at = date::parse_http(text).ok_or(ErrorKind::MissingDate)?;
        check_skew(at, now)?;
        Ok(text.as_bytes().to_vec())
    }
}

fn is_signed_by_v1(name: &str) -> bool {
    SIGNED_PARAMETERS_V1.contains(&name)
        || (name.starts_with("x-oss-") && !FILTER_PARAMETERS_V1.contains(&name))
}

/// CanonicalizedResource, with the decoded key.
fn build_v1_resource(scope: &RequestScope, query: &[ParameterPair<'_>], empty_value_suffix: &str) -> String {
    let mut signed_parameters: Vec<&ParameterPair<'_>> =
        query.iter().filter(|row| is_signed_by_v1(row.0)).collect();
    signed_parameters.sort();
    let pairs = signed_parameters.into_iter().map(|(name, value)| match *value {
        "" => format!("{name}{empty_value_suffix}"),
        value => format!("{name}={value}"),
    });
    let pairs = pairs.collect::<Vec<_>>().join("&");
    let path = match scope {
        RequestScope::Service => "/".to_owned(),
        RequestScope::Bucket(bucket) => format!("/{bucket}/"),
        RequestScope::Object { bucket, key } => format!("/{bucket}/{key}"),
    };
    if pairs.is_empty() { path } else { format!("{path}?{pairs}") }
}

/// StringToSign of version 1.
fn build_v1_string_to_sign(
    method: &str,
    headers: &[(String, Vec<u8>)],
    date: &[u8],
    resource: &str,
) -> Vec<u8> {
    let find_header =
        |name: &str| headers.iter().find(|row| row.0 == name).map_or(&b""[..], |row| row.1.as_slice());
    let oss_headers = write_canonical_headers(headers, |name| name.starts_with("x-oss-"));
    let lines =
        [method.as_bytes(), find_header("content-md5"), find_header("content-type"), date, &oss_headers];
    let mut string = lines.join(&b"\n"[..]);
    string.extend(resource.as_bytes());
    string
}

/// CanonicalizedOSSHeaders of version 1, and CanonicalHeaders of version 4.
fn write_canonical_headers(headers: &[(String, Vec<u8>)], is_wanted: impl Fn(&str) -> bool) -> Vec<u8> {
    let covered_headers = headers.iter().filter(|row| is_wanted(&row.0));
    format_header_lines(covered_headers.map(|(name, value)| (name.as_str(), value.trim_ascii())))
}

/// Parses `ID/DATE/REGION/PRODUCT/aliyun_v4_request`.
fn parse_credential(credential: &str) -> Result<(String, V4Scope), Rejection> {
    let parts = V4CredentialParts::split(credential).ok_or(ErrorKind::AuthorizationMalformed)?;
    let is_complete = parts.date.len() == 8 && !parts.access_key.is_empty() && !parts.region.is_empty();
    if parts.end != ALGORITHM.scope_end || !is_complete {
        return Err(ErrorKind::AuthorizationMalformed.into());
    }
    if !matches!(parts.service, PRODUCT | "oss-cloudbox") {
        return Err(Rejection::with_message(
            ErrorKind::AuthorizationMalformed,
            "Invalid signing product in Authorization header.",
        ));
    }
    Ok((parts.access_key.to_owned(), V4Scope::from_parts(ALGORITHM, &parts)))
}

/// CanonicalURI. It contains the bucket even if the request has the bucket in the host.
fn build_v4_uri(scope: &RequestScope) -> String {
    match scope {
        RequestScope::Service => "/".to_owned(),
        RequestScope::Bucket(bucket) => format!("/{}/", percent::encode(bucket)),
        RequestScope::Object { bucket, key } => {
            format!("/{}/{}", percent::encode(bucket), percent::encode_path(key))
        }
    }
}

/// CanonicalHeaders: the content type, the content MD5, all `x-oss-*` headers, and the additional headers.
fn write_v4_headers(headers: &[(String, Vec<u8>)], additional_headers: &[String]) -> Vec<u8> {
    let is_covered = |name: &str| {
        matches!(name, "content-type" | "content-md5")
            || name.starts_with("x-oss-")
            || additional_headers.iter().any(|own| own == name)
    };
    write_canonical_headers(headers, is_covered)
}

impl OssSignatureV4 {
    /// OSS, Include signatures in the Authorization header (V4); Include signatures in a URL (V4).
    fn verify(
        &self,
        head: &RawHead,
        place: &ResourceAddress,
        secret: &SecretString,
        now: Timestamp,
    ) -> Result<(), Rejection> {
        let stamp = self.find_timestamp(head, now)?;
        let mut query = collect_head_pairs(head)?;
        query.retain(|row| row.0 != "x-oss-signature");
        let headers = &head.headers;
        // A listed header that is missing is rejected, because it would otherwise count as signed with an empty value.
        if let Some(name) =
            self.additional_headers.iter().find(|name| !headers.iter().any(|row| row.0 == **name))
        {
            return Err(Rejection::new(ErrorKind::HeadersNotSigned)
                .with_detail("HeadersNotSigned", (*name).to_owned()));
        }
        let payload =
            headers.iter().find(|row| row.0 == "x-oss-content-sha256").filter(|_| self.expires.is_none());
        let uri = build_v4_uri(&place.scope);
        let header_lines = write_v4_headers(headers, &self.additional_headers);
        let canonical = |keeps_equals_sign: bool| {
            let canonical = V4CanonicalRequest {
                method: &head.method,
                uri: &uri,
                query: &query,
                keeps_equals_sign,
                header_lines: &header_lines,
                header_names: &self.additional_headers,
                payload: payload.map_or(UNSIGNED_PAYLOAD.as_bytes(), |row| row.1.as_slice()),
            };
            canonical.to_bytes()
        };
        // The documentation signs a parameter with an empty value as `name`, but ali-oss signs `name=`.
        let is_match = [false, true].into_iter().any(|keeps_equals_sign| {
            let canonical = canonical(keeps_equals_sign);
            self.scope.is_signature(&self.signature, secret.expose_secret(), &stamp, &canonical)
        });
        if is_match {
            return Ok(());
        }
        let string = self.scope.build_string_to_sign(&stamp, &canonical(false));
        Err(build_mismatch_rejection(&self.access_key, &self.signature, &string, head))
    }

    /// The time stamp of the string to sign.
    fn find_timestamp(&self, head: &RawHead, now: Timestamp) -> Result<String, Rejection> {
        if let Some(expires) = &self.expires {
            let stamp = head.query.raw_parameters().find(|row| row.0 == "x-oss-date").and_then(|row| row.1);
            let stamp = stamp.ok_or(ErrorKind::AuthorizationQueryMalformed)?;
            let at = date::parse_basic(stamp).ok_or(ErrorKind::AuthorizationQueryMalformed)?;
            let life = parse_seconds(expires).filter(|life| (1..=PRESIGNED_SECONDS_MAX).contains(life));
            let life = life.ok_or(ErrorKind::AuthorizationQueryMalformed)?;
            if at.0 > now.0.saturating_add(CLOCK_SKEW_SECONDS_MAX) {
                return Err(ErrorKind::RequestNotYetValid.into());
            }
            let end = at.0.saturating_add(life);
            if now.0 > end {
                return Err(build_expired_rejection(end, now));
            }
            self.check_scope_date(at)?;
            return Ok(stamp.to_owned());
        }
        let (text, at) = match head.header_text("x-oss-date") {
            Some(text) => (text, date::parse_basic(text)),
            // aliyun-oss-go-sdk does not send x-oss-date and signs the value of Date unchanged.
            None => {
                let text = head.header_text("date").ok_or(ErrorKind::MissingDate)?;
                (text, date::parse_http(text))
            }
        };
        let at = at.ok_or(ErrorKind::MissingDate)?;
        check_skew(at, now)?;
        self.check_scope_date(at)?;
        Ok(text.to_owned())
    }

    fn check_scope_date(&self, at: Timestamp) -> Result<(), Rejection> {
        if self.scope.has_date_of(at) {
            return Ok(());
        }
        Err(Rejection::with_message(
            ErrorKind::AuthorizationMalformed,
            "Invalid signing date in Authorization header.",
        ))
    }
}

fn check_skew(at: Timestamp, now: Timestamp) -> Result<(), Rejection> {
    if at.0.abs_diff(now.0) <= CLOCK_SKEW_SECONDS_MAX.unsigned_abs() {
        return Ok(());
    }
    Err(Rejection::new(ErrorKind::RequestTimeTooSkewed)
        .with_detail("MaxAllowedSkewMilliseconds", "900000")
        .with_detail("RequestTime", date::format_iso(at))
        .with_detail("ServerTime", date::format_iso(now)))
}

fn build_expired_rejection(at: i64, now: Timestamp) -> Rejection {
    Rejection::new(ErrorKind::RequestExpired)
        .with_detail("Expires", date::format_iso(Timestamp(at)))
        .with_detail("ServerTime", date::format_iso(now))
}

/// The error for a wrong signature. Like that of OSS it contains the string to sign, which shows users what differs.
fn build_mismatch_rejection(
    access_key: &str,
    signature: &str,
    string_to_sign: &str,
    head: &RawHead,
) -> Rejection {
    let rejection = Rejection::new(ErrorKind::SignatureDoesNotMatch)
        .with_detail("OSSAccessKeyId", access_key)
        .with_detail("SignatureProvided", signature);
    // The string to sign would contain the token, and error documents are often logged.
    let has_secrets = head.headers.iter().any(|row| row.0.contains("security-token"))
        || head.query.raw_parameters().any(|row| row.0.contains("security-token"));
    if has_secrets { rejection } else { rejection.with_detail("StringToSign", string_to_sign) }
}
