//! Header values that are not UTF-8. S3 stores and signs them like any others.
//!
//! The s3s library leaves them out of the signature that it computes. If one is signed, the signature is therefore
//! verified here, and the library gets the request without these values and with a new signature. The values are kept
//! separately and restored before the headers are read. Source: S3, "Signature Calculations for the Authorization
//! Header".

use blobfish_dialects::encoding::hash::{decode_hex, encode_hex};
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue, request::Parts};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// The characters that a canonical query does not encode.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// The placeholder for a removed value.
const PLACEHOLDER: HeaderValue = HeaderValue::from_static("bytes");

/// The one key that requests are signed with.
pub(crate) struct SigningKey {
    pub(crate) access_key: String,
    pub(crate) secret_key: SecretString,
}

/// The values that were removed from a request.
#[derive(Clone)]
pub(crate) struct RawValues(Vec<(HeaderName, HeaderValue)>);

impl RawValues {
    /// Restores them in place of the placeholders.
    pub(crate) fn restore(&self, headers: &mut HeaderMap) {
        for (name, _) in &self.0 {
            headers.remove(name);
        }
        for (name, value) in &self.0 {
            headers.append(name.clone(), value.clone());
        }
    }
}

/// Removes signed values that are not UTF-8 from a request with a valid signature. Every other request stays
/// unchanged, so that the library verifies it.
pub(crate) fn extract_raw_values(head: &mut Parts, key: &SigningKey) {
    let is_raw = |value: &HeaderValue| std::str::from_utf8(value.as_bytes()).is_err();
    if !head.headers.values().any(is_raw) {
        return;
    }
    let Some(signed) =
        ParsedSignature::read(&head.headers).filter(|signed| signed.access_key == key.access_key)
    else {
        return;
    };
    let raw: Vec<HeaderName> = head
        .headers
        .keys()
        .filter(|name| signed.names.iter().any(|signed| signed == name.as_str()))
        .filter(|name| head.headers.get_all(*name).iter().any(is_raw))
        .cloned()
        .collect();
    // An invalid request stays unchanged, so that the library rejects it with its own error.
    if raw.is_empty() || !signed.is_valid(head, key) {
        return;
    }
    let mut values = Vec::new();
    for name in raw {
        values.extend(head.headers.get_all(&name).iter().map(|value| (name.clone(), value.clone())));
        // The placeholder keeps the name in the list of signed headers.
        head.headers.insert(name, PLACEHOLDER);
    }
    if let Some(authorization) = signed.build_authorization(head, key) {
        head.headers.insert(AUTHORIZATION, authorization);
    }
    head.extensions.insert(RawValues(values));
}

/// A parsed Authorization header of signature version 4.
struct ParsedSignature {
    access_key: String,
    /// The credential scope: date, region, service and terminator.
    scope: [String; 4],
    names: Vec<String>,
    signature: Vec<u8>,
}

impl ParsedSignature {
    fn read(headers: &HeaderMap) -> Option<Self> {
        let text = headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix(ALGORITHM)?;
        let field = |name: &str| {
            let mut fields = text.split(',').map(str::trim);
            fields.find_map(|field| field.strip_prefix(name)?.strip_prefix('='))
        };
        let mut credential = field("Credential")?.split('/').map(str::to_owned);
        let access_key = credential.next()?;
        let scope = <[String; 4]>::try_from(credential.collect::<Vec<_>>()).ok()?;
        let names = field("SignedHeaders")?.split(';').map(str::to_owned).collect();
        let signature = decode_hex(field("Signature")?)?;
        Some(Self { access_key, scope, names, signature })
    }

    fn is_valid(&self, head: &Parts, key: &SigningKey) -> bool {
        // `verify_slice` compares in constant time.
        let mac = self.compute_mac(head, key);
        mac.is_some_and(|mac| mac.verify_slice(&self.signature).is_ok())
    }

    /// The Authorization header for the changed request.
    fn build_authorization(&self, head: &Parts, key: &SigningKey) -> Option<HeaderValue> {
        let signature = encode_hex(&self.compute_mac(head, key)?.finalize().into_bytes());
        let (access_key, scope, names) = (&self.access_key, self.scope.join("/"), self.names.join(";"));
        let text = format!(
            "{ALGORITHM} Credential={access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
        );
        HeaderValue::try_from(text).ok()
    }

    /// The HMAC over the string to sign.
    fn compute_mac(&self, head: &Parts, key: &SigningKey) -> Option<Hmac<Sha256>> {
        let stamp = head.headers.get("x-amz-date")?.to_str().ok()?;
        let canonical = encode_hex(&Sha256::digest(self.build_canonical_request(head)?));
        let text = format!("{ALGORITHM}\n{stamp}\n{}\n{canonical}", self.scope.join("/"));
        let mut secret = format!("AWS4{}", key.secret_key.expose_secret()).into_bytes();
        for piece in &self.scope {
            secret = start_hmac(&secret, piece.as_bytes())?.finalize().into_bytes().to_vec();
        }
        start_hmac(&secret, text.as_bytes())
    }

    fn build_canonical_request(&self, head: &Parts) -> Option<Vec<u8>> {
        let mut canonical =
            format!("{}\n{}\n{}\n", head.method, head.uri.path(), build_canonical_query(head.uri.query()))
                .into_bytes();
        for name in &self.names {
            let values: Vec<Vec<u8>> = head
                .headers
                .get_all(name.as_str())
                .iter()
                .map(|value| collapse_spaces(value.as_bytes()))
                .collect();
            canonical.extend([name.as_bytes(), b":", &values.join(&b','), b"\n"].concat());
        }
        let payload = head.headers.get("x-amz-content-sha256")?.to_str().ok()?;
        canonical.extend(format!("\n{}\n{payload}", self.names.join(";")).into_bytes());
        Some(canonical)
    }
}

fn start_hmac(key: &[u8], bytes: &[u8]) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    mac.update(bytes);
    Some(mac)
}

/// The sorted query parameters, encoded once.
fn build_canonical_query(query: Option<&str>) -> String {
    let encode = |text: &str| {
        let decoded: Vec<u8> = percent_decode_str(text).collect();
        utf8_percent_encode(&String::from_utf8_lossy(&decoded), UNRESERVED).to_string()
    };
    let pairs = query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    let mut pairs: Vec<(String, String)> = pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (encode(name), encode(value)))
        .collect();
    // The canonical query is sorted after the encoding (S3, "Signature Calculations for the Authorization Header", task 1).
    pairs.sort();
    pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

/// The value without surrounding spaces, with every run of spaces replaced by one.
fn collapse_spaces(value: &[u8]) -> Vec<u8> {
    value.split(|byte| *byte == b' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(&b' ')
}
