//! Signatures of OSS, version 1 and 4. Sections 2.1 to 2.8 of the OSS reference.

use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use crate::dialect::addressing;
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
use crate::model::{Credentials, ErrorKind, OutgoingRequest, RawHead, Rejection, Timestamp};

/// Both versions in; the one given out.
pub struct OssAuth {
    signs_with_v1: bool,
}

/// The signatures of OSS: version 4 out.
pub static AUTH: OssAuth = OssAuth { signs_with_v1: false };

/// The same with version 1 out, for targets configured so.
pub static AUTH_V1: OssAuth = OssAuth { signs_with_v1: true };

const SCHEME_V1: &str = "ossv1";
const SCHEME_V4: &str = "ossv4";
const ALGORITHM: &str = "OSS4-HMAC-SHA256";
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

/// 2.2.1: what a version 1 signature covers of the query, besides every `x-oss-*`.
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

/// What version 1 leaves unsigned and only filters a page: harmless to append.
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
        // 1.3: a `+` is a plus to most SDKs and a space to some; the decoded key is signed.
        match (outcome, addressing::decode_key_plus_as_space(head, place)) {
            (Ok(()), _) => Ok(new_verified(None)),
            (Err(rejection), Some(key)) if rejection.kind == ErrorKind::SignatureDoesNotMatch => {
                let other = ResourceAddress { key: Some(key.clone()), ..place.clone() };
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

    /// 2.7
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
                build_claim(SCHEME_V4, OssScope::parse(form.require_field("x-oss-credential")?)?.0)
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
                if form.require_field("x-oss-signature-version")? != ALGORITHM {
                    return Err(ErrorKind::UnsupportedSignature.into());
                }
                let (_, scope) = OssScope::parse(form.require_field("x-oss-credential")?)?;
                let at =
                    date::parse_basic(form.require_field("x-oss-date")?).ok_or(ErrorKind::InvalidArgument)?;
                if date::format_basic(at).get(..8) != Some(scope.date.as_str()) {
                    return Err(ErrorKind::InvalidArgument.into());
                }
                if at.0 > now.0.saturating_add(CLOCK_SKEW_SECONDS_MAX) {
                    return Err(ErrorKind::RequestNotYetValid.into());
                }
                if now.0 > at.0.saturating_add(PRESIGNED_SECONDS_MAX) {
                    return Err(build_expired_rejection(at.0.saturating_add(PRESIGNED_SECONDS_MAX), now));
                }
                (encode_hex(&hmac_sha256(&scope.derive_key(secret), policy.as_bytes())), signature)
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
    let resource = build_v1_resource(request.bucket.as_deref(), request.key.as_deref(), &query, "");
    let string_to_sign =
        build_v1_string_to_sign(request.method, &request.headers, date.as_bytes(), &resource);
    let signature = encode_base64(&hmac_sha1(key.secret_key.expose_secret().as_bytes(), &string_to_sign));
    format!("OSS {}:{signature}", key.access_key_id)
}

fn sign_v4(request: &mut OutgoingRequest, key: &Credentials, region: &str, now: Timestamp) -> String {
    let stamp = date::format_basic(now);
    request.headers.push(("x-oss-date".to_owned(), stamp.clone().into_bytes()));
    request.headers.push(("x-oss-content-sha256".to_owned(), UNSIGNED_PAYLOAD.into()));
    let scope = OssScope {
        date: stamp.get(..8).unwrap_or_default().to_owned(),
        region: region.to_owned(),
        product: "oss".to_owned(),
    };
    let query = collect_query_pairs(request);
    let additional_headers = vec!["host".to_owned()];
    let canonical = OssCanonicalRequest {
        method: request.method,
        bucket: request.bucket.as_deref(),
        key: request.key.as_deref(),
        query: &query,
        headers: &request.headers,
        additional_headers: &additional_headers,
        payload: UNSIGNED_PAYLOAD.as_bytes(),
    };
    let signature =
        scope.compute_signature(key.secret_key.expose_secret(), &stamp, &canonical.to_bytes(false));
    format!(
        "{ALGORITHM} Credential={}/{scope},AdditionalHeaders=host,Signature={signature}",
        key.access_key_id
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
    /// Of the URL form: seconds since 1970.
    expires: Option<String>,
}

/// A version 4 credential.
struct OssSignatureV4 {
    access_key: String,
    scope: OssScope,
    additional_headers: Vec<String>,
    signature: String,
    /// Of the URL form: seconds.
    expires: Option<String>,
}

impl OssCredential {
    /// 2.1
    fn from_head(head: &RawHead) -> Result<Option<Self>, Rejection> {
        let lines = collect_authorization_lines(head);
        let header = lines
            .iter()
            .find(|line| line.starts_with("OSS ") || line.starts_with("OSS4-") || line.starts_with("OSS2 "));
        let find_parameter = |name: &str| -> Result<Option<String>, Rejection> {
            let mut matches = head.raw_query().filter(|row| row.0 == name);
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
            if version != ALGORITHM {
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
            let (access_key, scope) = OssScope::parse(&credential)?;
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
        // Others have parameters of the names of the rest.
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
        let rest = line.strip_prefix(ALGORITHM).ok_or(ErrorKind::UnsupportedSignature)?;
        let items = CredentialItems::parse(rest)?;
        let (access_key, scope) = OssScope::parse(items.get_required("Credential")?)?;
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

/// Names separated by `;`, none of them empty. SDKs list them in any order; they are signed sorted.
fn parse_additional_headers(list: &str) -> Result<Vec<String>, Rejection> {
    if list.is_empty() {
        return Ok(Vec::new());
    }
    let mut names: Vec<String> = list.split(';').map(|name| name.trim().to_ascii_lowercase()).collect();
    names.sort();
    names.dedup();
    if names.iter().any(String::is_empty) {
        return Err(ErrorKind::AuthorizationMalformed.into());
    }
    Ok(names)
}

/// 2.8: header, or parameter of either version; Python's second SDK sends a bare name with version 1.
fn find_session_token(head: &RawHead) -> Result<Option<String>, Rejection> {
    let header =
        head.header_text("x-oss-security-token").or(head.header_text("security-token")).map(str::to_owned);
    let mut parameters = head
        .raw_query()
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

fn decode_query(head: &RawHead) -> Result<Vec<(String, String)>, Rejection> {
    let pairs = head.raw_query().map(|(name, value)| {
        Ok((percent::decode_form(name)?, percent::decode_form(value.unwrap_or_default())?))
    });
    pairs.collect::<Result<_, percent::BadEscape>>().map_err(|_| ErrorKind::InvalidUri.into())
}

impl OssSignatureV1 {
    /// 2.2, 2.3
    fn verify(
        &self,
        head: &RawHead,
        place: &ResourceAddress,
        secret: &SecretString,
        now: Timestamp,
    ) -> Result<(), Rejection> {
        let date = self.find_date(head, now)?;
        let query = decode_query(head)?;
        // What selects an operation must be covered; anybody could have appended the rest.
        let unsigned_parameter = query
            .iter()
            .find(|(name, _)| super::route::SUB_RESOURCES.contains(&name.as_str()) && !is_signed_by_v1(name));
        if let Some((name, _)) = unsigned_parameter {
            return Err(
                Rejection::new(ErrorKind::HeadersNotSigned).with_detail("HeadersNotSigned", name.clone())
            );
        }
        // An empty value is signed as `name` by most and as `name=` by Java.
        let strings = ["", "="].map(|empty| {
            let resource = build_v1_resource(place.bucket.as_deref(), place.key.as_deref(), &query, empty);
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

/// 2.2: CanonicalizedResource, from the decoded key.
fn build_v1_resource(
    bucket: Option<&str>,
    key: Option<&str>,
    query: &[(String, String)],
    empty_value_suffix: &str,
) -> String {
    let mut signed_parameters: Vec<&(String, String)> =
        query.iter().filter(|row| is_signed_by_v1(&row.0)).collect();
    signed_parameters.sort();
    let pairs = signed_parameters.into_iter().map(|(name, value)| match value.as_str() {
        "" => format!("{name}{empty_value_suffix}"),
        value => format!("{name}={value}"),
    });
    let pairs = pairs.collect::<Vec<_>>().join("&");
    let path = match bucket {
        Some(bucket) => format!("/{bucket}/{}", key.unwrap_or_default()),
        None => "/".to_owned(),
    };
    if pairs.is_empty() { path } else { format!("{path}?{pairs}") }
}

/// 2.2: StringToSign.
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

/// CanonicalizedOSSHeaders, and the headers of version 4.
fn write_canonical_headers(headers: &[(String, Vec<u8>)], is_wanted: impl Fn(&str) -> bool) -> Vec<u8> {
    let covered_headers = headers.iter().filter(|row| is_wanted(&row.0));
    format_header_lines(covered_headers.map(|(name, value)| (name.as_str(), value.trim_ascii())))
}

/// 2.5: what a version 4 key is good for.
struct OssScope {
    date: String,
    region: String,
    product: String,
}

impl std::fmt::Display for OssScope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}/aliyun_v4_request", self.date, self.region, self.product)
    }
}

impl OssScope {
    /// The last four parts are the scope; the key id may hold anything.
    fn parse(credential: &str) -> Result<(String, Self), Rejection> {
        let parts: Vec<&str> = credential.rsplitn(5, '/').collect();
        let [end, product, region, date, access_key] = parts.as_slice() else {
            return Err(ErrorKind::AuthorizationMalformed.into());
        };
        if *end != "aliyun_v4_request" || date.len() != 8 || access_key.is_empty() || region.is_empty() {
            return Err(ErrorKind::AuthorizationMalformed.into());
        }
        if !matches!(*product, "oss" | "oss-cloudbox") {
            return Err(Rejection::with_message(
                ErrorKind::AuthorizationMalformed,
                "Invalid signing product in Authorization header.",
            ));
        }
        let scope =
            Self { date: (*date).to_owned(), region: (*region).to_owned(), product: (*product).to_owned() };
        Ok(((*access_key).to_owned(), scope))
    }

    fn build_string_to_sign(&self, stamp: &str, canonical: &[u8]) -> String {
        format!("{ALGORITHM}\n{stamp}\n{self}\n{}", sha256_hex(canonical))
    }

    /// kSigning
    fn derive_key(&self, secret: &str) -> Zeroizing<Vec<u8>> {
        let secret = Zeroizing::new(format!("aliyun_v4{secret}"));
        derive_key(secret.as_bytes(), &[&self.date, &self.region, &self.product, "aliyun_v4_request"])
    }

    fn compute_signature(&self, secret: &str, stamp: &str, canonical: &[u8]) -> String {
        encode_hex(&hmac_sha256(
            &self.derive_key(secret),
            self.build_string_to_sign(stamp, canonical).as_bytes(),
        ))
    }
}

/// 2.5: what a version 4 signature covers.
struct OssCanonicalRequest<'a> {
    method: &'a str,
    bucket: Option<&'a str>,
    key: Option<&'a str>,
    query: &'a [(String, String)],
    headers: &'a [(String, Vec<u8>)],
    additional_headers: &'a [String],
    payload: &'a [u8],
}

impl OssCanonicalRequest<'_> {
    /// CanonicalRequest. The rule has a bare name for an empty value; ali-oss signs `name=`.
    fn to_bytes(&self, keeps_equals_sign: bool) -> Vec<u8> {
        let uri = match self.bucket {
            Some(bucket) => {
                format!("/{}/{}", percent::encode(bucket), percent::encode_path(self.key.unwrap_or_default()))
            }
            None => "/".to_owned(),
        };
        let mut pairs: Vec<(String, String)> =
            self.query.iter().map(|(name, value)| (percent::encode(name), percent::encode(value))).collect();
        pairs.sort();
        let pairs = pairs.into_iter().map(|(name, value)| match value.is_empty() && !keeps_equals_sign {
            true => name,
            false => format!("{name}={value}"),
        });
        let is_covered = |name: &str| {
            matches!(name, "content-type" | "content-md5")
                || name.starts_with("x-oss-")
                || self.additional_headers.iter().any(|own| own == name)
        };
        let pairs = pairs.collect::<Vec<_>>().join("&");
        let headers = write_canonical_headers(self.headers, is_covered);
        let additional = self.additional_headers.join(";");
        [
            self.method.as_bytes(),
            uri.as_bytes(),
            pairs.as_bytes(),
            &headers,
            additional.as_bytes(),
            self.payload,
        ]
        .join(&b"\n"[..])
    }
}

impl OssSignatureV4 {
    /// 2.5, 2.6
    fn verify(
        &self,
        head: &RawHead,
        place: &ResourceAddress,
        secret: &SecretString,
        now: Timestamp,
    ) -> Result<(), Rejection> {
        let stamp = self.find_timestamp(head, now)?;
        let mut query = decode_query(head)?;
        query.retain(|row| row.0 != "x-oss-signature");
        let headers = &head.headers;
        if let Some(name) =
            self.additional_headers.iter().find(|name| !headers.iter().any(|row| row.0 == **name))
        {
            return Err(
                Rejection::new(ErrorKind::HeadersNotSigned).with_detail("HeadersNotSigned", name.clone())
            );
        }
        let payload =
            headers.iter().find(|row| row.0 == "x-oss-content-sha256").filter(|_| self.expires.is_none());
        let canonical = OssCanonicalRequest {
            method: &head.method,
            bucket: place.bucket.as_deref(),
            key: place.key.as_deref(),
            query: &query,
            headers,
            additional_headers: &self.additional_headers,
            payload: payload.map_or(UNSIGNED_PAYLOAD.as_bytes(), |row| row.1.as_slice()),
        };
        let is_match = [false, true].into_iter().any(|keeps_equals_sign| {
            let computed = self.scope.compute_signature(
                secret.expose_secret(),
                &stamp,
                &canonical.to_bytes(keeps_equals_sign),
            );
            constant_time_eq(computed.as_bytes(), self.signature.as_bytes())
        });
        if is_match {
            return Ok(());
        }
        let string = self.scope.build_string_to_sign(&stamp, &canonical.to_bytes(false));
        Err(build_mismatch_rejection(&self.access_key, &self.signature, &string, head))
    }

    /// The time stamp line. The first Go SDK sends no `x-oss-date` and signs the text of `Date`.
    fn find_timestamp(&self, head: &RawHead, now: Timestamp) -> Result<String, Rejection> {
        if let Some(expires) = &self.expires {
            let stamp = head.raw_query().find(|row| row.0 == "x-oss-date").and_then(|row| row.1);
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
        let day = date::format_basic(at);
        if day.get(..8) == Some(self.scope.date.as_str()) {
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

/// 6.3. What was signed is told, unless a token was part of it.
fn build_mismatch_rejection(
    access_key: &str,
    signature: &str,
    string_to_sign: &str,
    head: &RawHead,
) -> Rejection {
    let rejection = Rejection::new(ErrorKind::SignatureDoesNotMatch)
        .with_detail("OSSAccessKeyId", access_key)
        .with_detail("SignatureProvided", signature);
    let has_secrets = head.headers.iter().any(|row| row.0.contains("security-token"))
        || head.raw_query().any(|row| row.0.contains("security-token"));
    if has_secrets { rejection } else { rejection.with_detail("StringToSign", string_to_sign) }
}
