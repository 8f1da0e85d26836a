//! Helpers for reading and writing credentials, shared by the `auth.rs` of the dialects.

use crate::model::{ErrorKind, OutgoingRequest, QueryParameter, RawHead, Rejection};

/// The `Authorization` header lines that are UTF-8.
pub(crate) fn collect_authorization_lines(head: &RawHead) -> Vec<&str> {
    let lines = head.headers.iter().filter(|row| row.0 == "authorization");
    lines.filter_map(|row| std::str::from_utf8(&row.1).ok()).collect()
}

/// Checks that a request has one credential: in only one of the `forms` in which it could be sent, and on only one
/// line if it is in a header.
///
/// # Errors
/// `ErrorKind::SeveralCredentials`.
pub(crate) fn check_single_credential(forms: &[bool], lines: &[&str]) -> Result<(), Rejection> {
    // With two credentials, a proxy in front and this code could each verify another one.
    let forms_count = forms.iter().filter(|form| **form).count();
    if forms_count > 1 || (forms_count == 1 && lines.len() > 1) {
        return Err(ErrorKind::SeveralCredentials.into());
    }
    Ok(())
}

/// Splits `id:signature`, the credential of the older schemes.
///
/// # Errors
/// `ErrorKind::AuthorizationMalformed`.
pub(crate) fn parse_id_and_signature(text: &str) -> Result<(String, String), Rejection> {
    let (id, signature) = text.trim().split_once(':').ok_or(ErrorKind::AuthorizationMalformed)?;
    if id.is_empty() || signature.is_empty() {
        return Err(ErrorKind::AuthorizationMalformed.into());
    }
    Ok((id.to_owned(), signature.to_owned()))
}

/// `Name=value` items separated by commas, each name once: the credential of the newer schemes.
pub struct CredentialItems<'a>(Vec<(&'a str, &'a str)>);

impl<'a> CredentialItems<'a> {
    /// Splits a list into its items.
    ///
    /// # Errors
    /// `ErrorKind::AuthorizationMalformed`; `ErrorKind::SeveralCredentials` for a repeated name.
    pub fn parse(list: &'a str) -> Result<Self, Rejection> {
        let mut items: Vec<(&str, &str)> = Vec::new();
        for item in list.split(',') {
            let (name, value) = item.trim().split_once('=').ok_or(ErrorKind::AuthorizationMalformed)?;
            if items.iter().any(|row| row.0 == name) {
                return Err(ErrorKind::SeveralCredentials.into());
            }
            items.push((name, value));
        }
        Ok(Self(items))
    }

    /// The value of an item, if present.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|row| row.0 == name).map(|row| row.1)
    }

    /// The value of a required item.
    ///
    /// # Errors
    /// `ErrorKind::AuthorizationMalformed` if it is missing.
    pub fn get_required(&self, name: &str) -> Result<&'a str, Rejection> {
        self.get(name).ok_or_else(|| ErrorKind::AuthorizationMalformed.into())
    }
}

/// Parses seconds. Only digits are accepted.
pub(crate) fn parse_seconds(text: &str) -> Option<i64> {
    // `parse` alone also accepts `+` and `-`, which no vendor's document allows here.
    text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Sorted `name:value` lines. The values of a repeated name are joined by commas.
pub(crate) fn format_header_lines<'a>(headers: impl Iterator<Item = (&'a str, &'a [u8])>) -> Vec<u8> {
    // Bytes and not text: a lossy decoder maps different values to the same text, and one signature would fit them
    // all.
    let mut rows: Vec<(&str, Vec<u8>)> = Vec::new();
    for (name, value) in headers {
        match rows.iter_mut().find(|row| row.0 == name) {
            Some(row) => row.1 = [row.1.as_slice(), b",", value].concat(),
            None => rows.push((name, value.to_vec())),
        }
    }
    rows.sort();
    rows.iter().flat_map(|(name, value)| [name.as_bytes(), b":", value, b"\n"].concat()).collect()
}

/// Decoded query parameters as signatures cover them: a name without `=` has an empty value.
pub type ParameterPair<'a> = (&'a str, &'a str);

/// The parameters of an outgoing request.
pub(crate) fn collect_query_pairs(request: &OutgoingRequest) -> Vec<ParameterPair<'_>> {
    to_parameter_pairs(&request.query)
}

/// The decoded parameters of a request head.
///
/// # Errors
/// `InvalidUri`: a name or a value does not decode.
pub(crate) fn collect_head_pairs(head: &RawHead) -> Result<Vec<ParameterPair<'_>>, Rejection> {
    Ok(to_parameter_pairs(head.query.parameters().map_err(|_| ErrorKind::InvalidUri)?))
}

fn to_parameter_pairs(parameters: &[QueryParameter]) -> Vec<ParameterPair<'_>> {
    parameters.iter().map(|(name, value)| (name.as_str(), value.as_deref().unwrap_or_default())).collect()
}
