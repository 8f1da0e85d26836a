//! What the credentials of several schemes have in common. Used by each dialect's `auth.rs`.

use crate::model::{ErrorKind, OutgoingRequest, RawHead, Rejection};

/// The lines of `Authorization` that are text.
pub fn collect_authorization_lines(head: &RawHead) -> Vec<&str> {
    let lines = head.headers.iter().filter(|row| row.0 == "authorization");
    lines.filter_map(|row| std::str::from_utf8(&row.1).ok()).collect()
}

/// Holds a request to one credential: one of the `forms` in which it could be sent, in one line if in a header.
///
/// # Errors
/// [`Fault::SeveralCredentials`].
pub fn check_single_credential(forms: &[bool], lines: &[&str]) -> Result<(), Rejection> {
    let forms_count = forms.iter().filter(|form| **form).count();
    if forms_count > 1 || (forms_count == 1 && lines.len() > 1) {
        return Err(ErrorKind::SeveralCredentials.into());
    }
    Ok(())
}

/// `id:signature`, the credential of the older schemes.
///
/// # Errors
/// [`Fault::AuthorizationMalformed`].
pub fn parse_id_and_signature(text: &str) -> Result<(String, String), Rejection> {
    let (id, signature) = text.trim().split_once(':').ok_or(ErrorKind::AuthorizationMalformed)?;
    if id.is_empty() || signature.is_empty() {
        return Err(ErrorKind::AuthorizationMalformed.into());
    }
    Ok((id.to_owned(), signature.to_owned()))
}

/// `Name=value` items between commas, each name once: the credential of the newer schemes.
pub struct CredentialItems<'a>(Vec<(&'a str, &'a str)>);

impl<'a> CredentialItems<'a> {
    /// Takes a list apart.
    ///
    /// # Errors
    /// [`Fault::AuthorizationMalformed`], [`Fault::SeveralCredentials`] for a name that stands twice.
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

    /// The value of an item, if it is there.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|row| row.0 == name).map(|row| row.1)
    }

    /// The value of an item.
    ///
    /// # Errors
    /// [`Fault::AuthorizationMalformed`] where it is missing.
    pub fn get_required(&self, name: &str) -> Result<&'a str, Rejection> {
        self.get(name).ok_or_else(|| ErrorKind::AuthorizationMalformed.into())
    }
}

/// Seconds, written in digits only.
pub fn parse_seconds(text: &str) -> Option<i64> {
    text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Sorted `name:value` lines; the values of a repeated name are joined by commas. Values are signed as the bytes that
/// they are: a decoder that repairs makes several values one.
pub fn format_header_lines<'a>(headers: impl Iterator<Item = (&'a str, &'a [u8])>) -> Vec<u8> {
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

/// The query of a request of ours as pairs; a bare name has an empty value.
pub fn collect_query_pairs(request: &OutgoingRequest) -> Vec<(String, String)> {
    request.query.iter().map(|(name, value)| (name.clone(), value.clone().unwrap_or_default())).collect()
}
