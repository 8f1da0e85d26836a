//! Header values that are no UTF-8, which S3 stores and signs as any other bytes.
//!
//! The protocol library leaves them out of the signature that it computes. Where one is signed, the signature is therefore
//! verified here, on the bytes; the library then gets the request without those values, signed anew. They travel beside it
//! and come back before anything is read. Wire rules: S3, "Signature Calculations for the Authorization Header".

use hmac::{Hmac, KeyInit as _, Mac as _};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue, request::Parts};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// What a canonical query keeps as it is.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// Stands in for the values that were taken out.
const PLACEHOLDER: HeaderValue = HeaderValue::from_static("bytes");

/// The one key that requests are signed with.
pub(crate) struct SigningKey {
    pub(crate) access_key: String,
    pub(crate) secret_key: SecretString,
}

/// Values that were taken out of a request.
#[derive(Clone)]
pub(crate) struct RawValues(Vec<(HeaderName, HeaderValue)>);

impl RawValues {
    /// Puts them back where the stand-ins are.
    pub(crate) fn restore(&self, headers: &mut HeaderMap) {
        for (name, _) in &self.0 {
            headers.remove(name);
        }
        for (name, value) in &self.0 {
            headers.append(name.clone(), value.clone());
        }
    }
}

/// Takes signed values that are no text out of a request whose signature is right. Every other request stays as it is, for
/// the library to judge.
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
    if raw.is_empty() || !signed.is_valid(head, key) {
        return;
    }
    let mut values = Vec::new();
    for name in raw {
        values.extend(head.headers.get_all(&name).iter().map(|value| (name.clone(), value.clone())));
        head.headers.insert(name, PLACEHOLDER);
    }
    if let Some(authorization) = signed.build_authorization(head, key) {
        head.headers.insert(AUTHORIZATION, authorization);
    }
    head.extensions.insert(RawValues(values));
}

/// A version 4 signature in the header, taken apart.
struct ParsedSignature {
    access_key: String,
    /// Date, region, service and end.
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
        let signature = crate::digests::decode_hex(field("Signature")?)?;
        Some(Self { access_key, scope, names, signature })
    }

    fn is_valid(&self, head: &Parts, key: &SigningKey) -> bool {
        let mac = self.compute_mac(head, key);
        mac.is_some_and(|mac| mac.verify_slice(&self.signature).is_ok())
    }

    /// The header for the request as it is now.
    fn build_authorization(&self, head: &Parts, key: &SigningKey) -> Option<HeaderValue> {
        let signature = crate::digests::encode_hex(&self.compute_mac(head, key)?.finalize().into_bytes());
        let (access_key, scope, names) = (&self.access_key, self.scope.join("/"), self.names.join(";"));
        let text = format!(
            "{ALGORITHM} Credential={access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
        );
        HeaderValue::try_from(text).ok()
    }

    /// The signature's MAC, over everything it covers.
    fn compute_mac(&self, head: &Parts, key: &SigningKey) -> Option<Hmac<Sha256>> {
        let stamp = head.headers.get("x-amz-date")?.to_str().ok()?;
        let canonical = crate::digests::encode_hex(&Sha256::digest(self.build_canonical_request(head)?));
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

/// Pairs in order, encoded once.
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
    pairs.sort();
    pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

/// Trimmed, and runs of spaces folded to one.
fn collapse_spaces(value: &[u8]) -> Vec<u8> {
    value.split(|byte| *byte == b' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(&b' ')
}
