//! Signatures of OSS, version 1 and 4. Sections 2.1 to 2.8 of the OSS reference.

use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use crate::engine::auth::{
    Auth, Claim, PRESIGNED_SECONDS_MAX, Payload, Place, SKEW_SECONDS, Scheme, Terms, Verified,
};
use crate::engine::credential::{
    Items, authorizations, header_lines, id_and_signature, one_form, pairs, seconds,
};
use crate::engine::form::Form;
use crate::engine::hosts;
use crate::model::{Credentials, Fault, Outgoing, RawHead, Refusal, Timestamp};
use crate::wire::hash::{base64, derived_key, hex, hmac_sha1, hmac_sha256, same, sha256_hex};
use crate::wire::{date, percent};

/// Both versions in; the one given out.
pub struct OssAuth {
    first_out: bool,
}

/// The signatures of OSS: version 4 out.
pub static AUTH: OssAuth = OssAuth { first_out: false };

/// The same with version 1 out, for targets configured so.
pub static V1_OUT: OssAuth = OssAuth { first_out: true };

const V1: &str = "ossv1";
const V4: &str = "ossv4";
const ALGORITHM: &str = "OSS4-HMAC-SHA256";
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

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
const SIGNED_V1: &[&str] = &[
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
const FILTERS_V1: &[&str] = &[
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

    fn claim(&self, head: &RawHead) -> Result<Option<Claim>, Refusal> {
        let Some(credential) = Credential::read(head)? else { return Ok(None) };
        let scheme = Scheme { name: credential.scheme(), presigned: credential.presigned() };
        Ok(Some(Claim { scheme, access_key: credential.access_key().to_owned(), token: token(head)? }))
    }

    fn verify(
        &self,
        head: &RawHead,
        _claim: &Claim,
        place: &Place,
        secret: &SecretString,
        terms: &Terms,
    ) -> Result<Verified, Refusal> {
        let credential = Credential::read(head)?.ok_or(Fault::AuthorizationMalformed)?;
        let verified = |key| Verified {
            payload: Payload::Unsigned,
            unsigned: Vec::new(),
            credential_parameters: CREDENTIAL_PARAMETERS,
            key,
        };
        let outcome = credential.verify(head, place, secret, terms.now);
        // 1.3: a `+` is a plus to most SDKs and a space to some; the decoded key is signed.
        match (outcome, hosts::key_with_spaces(head, place)) {
            (Ok(()), _) => Ok(verified(None)),
            (Err(refusal), Some(key)) if refusal.fault == Fault::SignatureDoesNotMatch => {
                let other = Place { key: Some(key.clone()), ..place.clone() };
                let outcome = credential.verify(head, &other, secret, terms.now);
                outcome.map(|()| verified(Some(key))).map_err(|_| refusal)
            }
            (Err(refusal), _) => Err(refusal),
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
    fn claim_form(&self, form: &Form) -> Result<Option<Claim>, Refusal> {
        let token = form.get("x-oss-security-token").map(str::to_owned);
        let claim = |name: &'static str, access_key: String| {
            Ok(Some(Claim { scheme: Scheme { name, presigned: true }, access_key, token: token.clone() }))
        };
        match (form.get("x-oss-signature"), form.get("OSSAccessKeyId"), form.get("Signature")) {
            (Some(_), None, None) => claim(V4, Scope::read(form.need("x-oss-credential")?)?.0),
            (None, Some(access_key), Some(_)) => claim(V1, access_key.to_owned()),
            (None, None, None) => Ok(None),
            (Some(_), ..) => Err(Fault::SeveralCredentials.into()),
            (None, None, Some(_)) => form.need("OSSAccessKeyId").map(|_| None),
            (None, Some(_), None) => form.need("Signature").map(|_| None),
        }
    }

    fn verify_form(
        &self,
        form: &Form,
        policy: &str,
        secret: &SecretString,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let secret = secret.expose_secret();
        let (found, sent) = match form.get("x-oss-signature") {
            Some(signature) => {
                if form.need("x-oss-signature-version")? != ALGORITHM {
                    return Err(Fault::UnsupportedSignature.into());
                }
                let (_, scope) = Scope::read(form.need("x-oss-credential")?)?;
                let at = date::parse_basic(form.need("x-oss-date")?).ok_or(Fault::InvalidArgument)?;
                if date::basic(at).get(..8) != Some(scope.date.as_str()) {
                    return Err(Fault::InvalidArgument.into());
                }
                if at.0 > now.0.saturating_add(SKEW_SECONDS) {
                    return Err(Fault::RequestNotYetValid.into());
                }
                if now.0 > at.0.saturating_add(PRESIGNED_SECONDS_MAX) {
                    return Err(expired(at.0.saturating_add(PRESIGNED_SECONDS_MAX), now));
                }
                (hex(&hmac_sha256(&scope.key(secret), policy.as_bytes())), signature)
            }
            None => (base64(&hmac_sha1(secret.as_bytes(), policy.as_bytes())), form.need("Signature")?),
        };
        if same(found.as_bytes(), sent.as_bytes()) {
            Ok(())
        } else {
            Err(Fault::SignatureDoesNotMatch.into())
        }
    }

    fn sign(&self, request: &mut Outgoing, key: &Credentials, region: &str, now: Timestamp) {
        request.headers.push(("host".to_owned(), request.host.clone().into_bytes()));
        if let Some(token) = &key.session_token {
            request.headers.push(("x-oss-security-token".to_owned(), token.expose_secret().into()));
        }
        let authorization = if self.first_out {
            sign_first(request, key, now)
        } else {
            sign_fourth(request, key, region, now)
        };
        request.headers.push(("authorization".to_owned(), authorization.into_bytes()));
    }
}

fn sign_first(request: &mut Outgoing, key: &Credentials, now: Timestamp) -> String {
    let date = date::http(now);
    request.headers.push(("date".to_owned(), date.clone().into_bytes()));
    let query = pairs(request);
    let resource = resource_first(request.bucket.as_deref(), request.key.as_deref(), &query, "");
    let string_to_sign = string_first(request.method, &request.headers, date.as_bytes(), &resource);
    let signature = base64(&hmac_sha1(key.secret_key.expose_secret().as_bytes(), &string_to_sign));
    format!("OSS {}:{signature}", key.access_key)
}

fn sign_fourth(request: &mut Outgoing, key: &Credentials, region: &str, now: Timestamp) -> String {
    let stamp = date::basic(now);
    request.headers.push(("x-oss-date".to_owned(), stamp.clone().into_bytes()));
    request.headers.push(("x-oss-content-sha256".to_owned(), UNSIGNED.into()));
    let scope = Scope {
        date: stamp.get(..8).unwrap_or_default().to_owned(),
        region: region.to_owned(),
        product: "oss".to_owned(),
    };
    let query = pairs(request);
    let additional = vec!["host".to_owned()];
    let canonical = Canonical {
        method: request.method,
        bucket: request.bucket.as_deref(),
        key: request.key.as_deref(),
        query: &query,
        headers: &request.headers,
        additional: &additional,
        payload: UNSIGNED.as_bytes(),
    };
    let signature = scope.signature(key.secret_key.expose_secret(), &stamp, &canonical.bytes(false));
    format!("{ALGORITHM} Credential={}/{scope},AdditionalHeaders=host,Signature={signature}", key.access_key)
}

enum Credential {
    V1(First),
    V4(Fourth),
}

/// A version 1 credential.
struct First {
    access_key: String,
    signature: String,
    /// Of the URL form: seconds since 1970.
    expires: Option<String>,
}

/// A version 4 credential.
struct Fourth {
    access_key: String,
    scope: Scope,
    additional: Vec<String>,
    signature: String,
    /// Of the URL form: seconds.
    expires: Option<String>,
}

impl Credential {
    /// 2.1
    fn read(head: &RawHead) -> Result<Option<Self>, Refusal> {
        let lines = authorizations(head);
        let header = lines
            .iter()
            .find(|line| line.starts_with("OSS ") || line.starts_with("OSS4-") || line.starts_with("OSS2 "));
        let parameter = |name: &str| -> Result<Option<String>, Refusal> {
            let mut found = head.raw_query().filter(|row| row.0 == name);
            let first = found.next().and_then(|row| row.1);
            match found.next() {
                Some(_) => Err(Fault::SeveralCredentials.into()),
                None => first
                    .map(|text| percent::decode_form(text).map_err(|_| Fault::InvalidUri.into()))
                    .transpose(),
            }
        };
        let version = parameter("x-oss-signature-version")?;
        let id = parameter("OSSAccessKeyId")?;
        one_form(&[header.is_some(), version.is_some(), id.is_some()], &lines)?;
        if let Some(header) = header {
            return Self::of_header(header).map(Some);
        }
        if let Some(version) = version {
            if version != ALGORITHM {
                return Err(Fault::UnsupportedSignature.into());
            }
            let all = [
                parameter("x-oss-credential")?,
                parameter("x-oss-expires")?,
                parameter("x-oss-signature")?,
                parameter("x-oss-date")?,
            ];
            let [Some(credential), Some(expires), Some(signature), Some(_)] = all else {
                return Err(Fault::AuthorizationQueryMalformed.into());
            };
            let (access_key, scope) = Scope::read(&credential)?;
            let additional = additional(&parameter("x-oss-additional-headers")?.unwrap_or_default())?;
            return Ok(Some(Self::V4(Fourth {
                access_key,
                scope,
                additional,
                signature,
                expires: Some(expires),
            })));
        }
        // Others have parameters of the names of the rest.
        let Some(access_key) = id else { return Ok(None) };
        match (parameter("Signature")?, parameter("Expires")?) {
            (Some(signature), Some(expires)) => {
                Ok(Some(Self::V1(First { access_key, signature, expires: Some(expires) })))
            }
            _ => Err(Fault::AuthorizationQueryMalformed.into()),
        }
    }

    fn of_header(line: &str) -> Result<Self, Refusal> {
        if let Some(rest) = line.strip_prefix("OSS ") {
            let (access_key, signature) = id_and_signature(rest)?;
            return Ok(Self::V1(First { access_key, signature, expires: None }));
        }
        let rest = line.strip_prefix(ALGORITHM).ok_or(Fault::UnsupportedSignature)?;
        let items = Items::read(rest)?;
        let (access_key, scope) = Scope::read(items.need("Credential")?)?;
        let signature = items.need("Signature")?.to_owned();
        let additional = additional(items.get("AdditionalHeaders").unwrap_or_default())?;
        Ok(Self::V4(Fourth { access_key, scope, additional, signature, expires: None }))
    }

    fn verify(
        &self,
        head: &RawHead,
        place: &Place,
        secret: &SecretString,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        match self {
            Self::V1(first) => first.verify(head, place, secret, now),
            Self::V4(fourth) => fourth.verify(head, place, secret, now),
        }
    }

    fn scheme(&self) -> &'static str {
        match self {
            Self::V1(_) => V1,
            Self::V4(_) => V4,
        }
    }

    fn presigned(&self) -> bool {
        match self {
            Self::V1(first) => first.expires.is_some(),
            Self::V4(fourth) => fourth.expires.is_some(),
        }
    }

    fn access_key(&self) -> &str {
        match self {
            Self::V1(first) => &first.access_key,
            Self::V4(fourth) => &fourth.access_key,
        }
    }
}

/// Names separated by `;`, none of them empty. SDKs list them in any order; they are signed sorted.
fn additional(list: &str) -> Result<Vec<String>, Refusal> {
    if list.is_empty() {
        return Ok(Vec::new());
    }
    let mut names: Vec<String> = list.split(';').map(|name| name.trim().to_ascii_lowercase()).collect();
    names.sort();
    names.dedup();
    if names.iter().any(String::is_empty) {
        return Err(Fault::AuthorizationMalformed.into());
    }
    Ok(names)
}

/// 2.8: header, or parameter of either version; Python's second SDK sends a bare name with version 1.
fn token(head: &RawHead) -> Result<Option<String>, Refusal> {
    let header = head.text("x-oss-security-token").or(head.text("security-token")).map(str::to_owned);
    let mut parameters = head
        .raw_query()
        .filter(|row| matches!(row.0, "security-token" | "x-oss-security-token"))
        .filter_map(|row| row.1);
    match (header, parameters.next()) {
        (Some(_), Some(_)) => Err(Fault::SeveralCredentials.into()),
        (Some(header), None) => Ok(Some(header)),
        (None, Some(token)) => percent::decode_form(token).map(Some).map_err(|_| Fault::InvalidUri.into()),
        (None, None) => Ok(None),
    }
}

fn query(head: &RawHead) -> Result<Vec<(String, String)>, Refusal> {
    let pairs = head.raw_query().map(|(name, value)| {
        Ok((percent::decode_form(name)?, percent::decode_form(value.unwrap_or_default())?))
    });
    pairs.collect::<Result<_, percent::BadEscape>>().map_err(|_| Fault::InvalidUri.into())
}

impl First {
    /// 2.2, 2.3
    fn verify(
        &self,
        head: &RawHead,
        place: &Place,
        secret: &SecretString,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let date = self.date(head, now)?;
        let query = query(head)?;
        // What selects an operation must be covered; anybody could have appended the rest.
        let stray = query
            .iter()
            .find(|(name, _)| super::route::SUB_RESOURCES.contains(&name.as_str()) && !covered_first(name));
        if let Some((name, _)) = stray {
            return Err(Refusal::new(Fault::HeadersNotSigned).with("HeadersNotSigned", name.clone()));
        }
        // An empty value is signed as `name` by most and as `name=` by Java.
        let strings = ["", "="].map(|empty| {
            let resource = resource_first(place.bucket.as_deref(), place.key.as_deref(), &query, empty);
            string_first(&head.method, &head.headers, &date, &resource)
        });
        let fits = strings.iter().any(|string| {
            let found = base64(&hmac_sha1(secret.expose_secret().as_bytes(), string));
            same(found.as_bytes(), self.signature.as_bytes())
        });
        if fits {
            return Ok(());
        }
        let [string, _] = strings;
        Err(mismatch(&self.access_key, &self.signature, &String::from_utf8_lossy(&string), head))
    }

    fn date(&self, head: &RawHead, now: Timestamp) -> Result<Vec<u8>, Refusal> {
        if let Some(expires) = &self.expires {
            let at = seconds(expires).ok_or_else(|| {
                Refusal::say(
                    Fault::AuthorizationQueryMalformed,
                    "Invalid date (should be seconds since epoch).",
                )
            })?;
            if now.0 > at {
                return Err(expired(at, now));
            }
            if at > now.0.saturating_add(PRESIGNED_SECONDS_MAX) {
                return Err(Refusal::say(
                    Fault::AuthorizationQueryMalformed,
                    "Expires is more than seven days ahead.",
                ));
            }
            return Ok(expires.as_bytes().to_vec());
        }
        let text = head.text("x-oss-date").or(head.text("date")).ok_or(Fault::MissingDate)?;
        let at = date::parse_http(text).ok_or(Fault::MissingDate)?;
        check_skew(at, now)?;
        Ok(text.as_bytes().to_vec())
    }
}

fn covered_first(name: &str) -> bool {
    SIGNED_V1.contains(&name) || (name.starts_with("x-oss-") && !FILTERS_V1.contains(&name))
}

/// 2.2: CanonicalizedResource, from the decoded key.
fn resource_first(
    bucket: Option<&str>,
    key: Option<&str>,
    query: &[(String, String)],
    empty: &str,
) -> String {
    let mut covered: Vec<&(String, String)> = query.iter().filter(|row| covered_first(&row.0)).collect();
    covered.sort();
    let pairs = covered.into_iter().map(|(name, value)| match value.as_str() {
        "" => format!("{name}{empty}"),
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
fn string_first(method: &str, headers: &[(String, Vec<u8>)], date: &[u8], resource: &str) -> Vec<u8> {
    let header =
        |name: &str| headers.iter().find(|row| row.0 == name).map_or(&b""[..], |row| row.1.as_slice());
    let own = canonical_headers(headers, |name| name.starts_with("x-oss-"));
    let lines = [method.as_bytes(), header("content-md5"), header("content-type"), date, &own];
    let mut string = lines.join(&b"\n"[..]);
    string.extend(resource.as_bytes());
    string
}

/// CanonicalizedOSSHeaders, and the headers of version 4.
fn canonical_headers(headers: &[(String, Vec<u8>)], wanted: impl Fn(&str) -> bool) -> Vec<u8> {
    let wanted = headers.iter().filter(|row| wanted(&row.0));
    header_lines(wanted.map(|(name, value)| (name.as_str(), value.trim_ascii())))
}

/// 2.5: what a version 4 key is good for.
struct Scope {
    date: String,
    region: String,
    product: String,
}

impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}/aliyun_v4_request", self.date, self.region, self.product)
    }
}

impl Scope {
    /// The last four parts are the scope; the key id may hold anything.
    fn read(credential: &str) -> Result<(String, Self), Refusal> {
        let parts: Vec<&str> = credential.rsplitn(5, '/').collect();
        let [end, product, region, date, access_key] = parts.as_slice() else {
            return Err(Fault::AuthorizationMalformed.into());
        };
        if *end != "aliyun_v4_request" || date.len() != 8 || access_key.is_empty() || region.is_empty() {
            return Err(Fault::AuthorizationMalformed.into());
        }
        if !matches!(*product, "oss" | "oss-cloudbox") {
            return Err(Refusal::say(
                Fault::AuthorizationMalformed,
                "Invalid signing product in Authorization header.",
            ));
        }
        let scope =
            Self { date: (*date).to_owned(), region: (*region).to_owned(), product: (*product).to_owned() };
        Ok(((*access_key).to_owned(), scope))
    }

    fn string_to_sign(&self, stamp: &str, canonical: &[u8]) -> String {
        format!("{ALGORITHM}\n{stamp}\n{self}\n{}", sha256_hex(canonical))
    }

    /// kSigning
    fn key(&self, secret: &str) -> Zeroizing<Vec<u8>> {
        let secret = Zeroizing::new(format!("aliyun_v4{secret}"));
        derived_key(secret.as_bytes(), &[&self.date, &self.region, &self.product, "aliyun_v4_request"])
    }

    fn signature(&self, secret: &str, stamp: &str, canonical: &[u8]) -> String {
        hex(&hmac_sha256(&self.key(secret), self.string_to_sign(stamp, canonical).as_bytes()))
    }
}

/// 2.5: what a version 4 signature covers.
struct Canonical<'a> {
    method: &'a str,
    bucket: Option<&'a str>,
    key: Option<&'a str>,
    query: &'a [(String, String)],
    headers: &'a [(String, Vec<u8>)],
    additional: &'a [String],
    payload: &'a [u8],
}

impl Canonical<'_> {
    /// CanonicalRequest. The rule has a bare name for an empty value; ali-oss signs `name=`.
    fn bytes(&self, equals: bool) -> Vec<u8> {
        let uri = match self.bucket {
            Some(bucket) => {
                format!("/{}/{}", percent::encode(bucket), percent::encode_path(self.key.unwrap_or_default()))
            }
            None => "/".to_owned(),
        };
        let mut pairs: Vec<(String, String)> =
            self.query.iter().map(|(name, value)| (percent::encode(name), percent::encode(value))).collect();
        pairs.sort();
        let pairs = pairs.into_iter().map(|(name, value)| match value.is_empty() && !equals {
            true => name,
            false => format!("{name}={value}"),
        });
        let wanted = |name: &str| {
            matches!(name, "content-type" | "content-md5")
                || name.starts_with("x-oss-")
                || self.additional.iter().any(|own| own == name)
        };
        let pairs = pairs.collect::<Vec<_>>().join("&");
        let headers = canonical_headers(self.headers, wanted);
        let additional = self.additional.join(";");
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

impl Fourth {
    /// 2.5, 2.6
    fn verify(
        &self,
        head: &RawHead,
        place: &Place,
        secret: &SecretString,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let stamp = self.stamp(head, now)?;
        let mut query = query(head)?;
        query.retain(|row| row.0 != "x-oss-signature");
        let headers = &head.headers;
        if let Some(name) = self.additional.iter().find(|name| !headers.iter().any(|row| row.0 == **name)) {
            return Err(Refusal::new(Fault::HeadersNotSigned).with("HeadersNotSigned", name.clone()));
        }
        let payload =
            headers.iter().find(|row| row.0 == "x-oss-content-sha256").filter(|_| self.expires.is_none());
        let canonical = Canonical {
            method: &head.method,
            bucket: place.bucket.as_deref(),
            key: place.key.as_deref(),
            query: &query,
            headers,
            additional: &self.additional,
            payload: payload.map_or(UNSIGNED.as_bytes(), |row| row.1.as_slice()),
        };
        let fits = [false, true].into_iter().any(|equals| {
            let found = self.scope.signature(secret.expose_secret(), &stamp, &canonical.bytes(equals));
            same(found.as_bytes(), self.signature.as_bytes())
        });
        if fits {
            return Ok(());
        }
        let string = self.scope.string_to_sign(&stamp, &canonical.bytes(false));
        Err(mismatch(&self.access_key, &self.signature, &string, head))
    }

    /// The time stamp line. The first Go SDK sends no `x-oss-date` and signs the text of `Date`.
    fn stamp(&self, head: &RawHead, now: Timestamp) -> Result<String, Refusal> {
        if let Some(expires) = &self.expires {
            let stamp = head.raw_query().find(|row| row.0 == "x-oss-date").and_then(|row| row.1);
            let stamp = stamp.ok_or(Fault::AuthorizationQueryMalformed)?;
            let at = date::parse_basic(stamp).ok_or(Fault::AuthorizationQueryMalformed)?;
            let life = seconds(expires).filter(|life| (1..=PRESIGNED_SECONDS_MAX).contains(life));
            let life = life.ok_or(Fault::AuthorizationQueryMalformed)?;
            if at.0 > now.0.saturating_add(SKEW_SECONDS) {
                return Err(Fault::RequestNotYetValid.into());
            }
            let end = at.0.saturating_add(life);
            if now.0 > end {
                return Err(expired(end, now));
            }
            self.check_scope_date(at)?;
            return Ok(stamp.to_owned());
        }
        let (text, at) = match head.text("x-oss-date") {
            Some(text) => (text, date::parse_basic(text)),
            None => {
                let text = head.text("date").ok_or(Fault::MissingDate)?;
                (text, date::parse_http(text))
            }
        };
        let at = at.ok_or(Fault::MissingDate)?;
        check_skew(at, now)?;
        self.check_scope_date(at)?;
        Ok(text.to_owned())
    }

    fn check_scope_date(&self, at: Timestamp) -> Result<(), Refusal> {
        let day = date::basic(at);
        if day.get(..8) == Some(self.scope.date.as_str()) {
            return Ok(());
        }
        Err(Refusal::say(Fault::AuthorizationMalformed, "Invalid signing date in Authorization header."))
    }
}

fn check_skew(at: Timestamp, now: Timestamp) -> Result<(), Refusal> {
    if at.0.abs_diff(now.0) <= SKEW_SECONDS.unsigned_abs() {
        return Ok(());
    }
    Err(Refusal::new(Fault::RequestTimeTooSkewed)
        .with("MaxAllowedSkewMilliseconds", "900000")
        .with("RequestTime", date::iso(at))
        .with("ServerTime", date::iso(now)))
}

fn expired(at: i64, now: Timestamp) -> Refusal {
    Refusal::new(Fault::RequestExpired)
        .with("Expires", date::iso(Timestamp(at)))
        .with("ServerTime", date::iso(now))
}

/// 6.3. What was signed is told, unless a token was part of it.
fn mismatch(access_key: &str, signature: &str, string_to_sign: &str, head: &RawHead) -> Refusal {
    let refusal = Refusal::new(Fault::SignatureDoesNotMatch)
        .with("OSSAccessKeyId", access_key)
        .with("SignatureProvided", signature);
    let secrets = head.headers.iter().any(|row| row.0.contains("security-token"))
        || head.raw_query().any(|row| row.0.contains("security-token"));
    if secrets { refusal } else { refusal.with("StringToSign", string_to_sign) }
}
