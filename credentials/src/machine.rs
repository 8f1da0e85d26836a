//! Credentials of the role of a Tencent CVM instance. Source: Tencent Cloud CVM, "Querying Instance Metadata", document
//! 213/4934: the name of the role is at `cam/security-credentials/`, its credentials are below that as JSON.

use bytes::Bytes;
use reqsign_core::{Context, Error, Result};

use crate::{TemporaryCredentials, to_token};

const ORIGIN: &str = "http://metadata.tencentyun.com";
const PATH: &str = "/latest/meta-data/cam/security-credentials/";

/// The role of the instance that this process runs on.
pub struct MachineRole {
    origin: String,
}

impl MachineRole {
    /// Uses the vendor's address of the metadata service, or another origin.
    pub fn new(origin: Option<&str>) -> Self {
        Self { origin: origin.unwrap_or(ORIGIN).trim_end_matches('/').to_owned() }
    }

    /// Requests the name of the role, then its credentials.
    ///
    /// # Errors
    /// The instance has no role, or the response contains no credentials.
    pub async fn issue(&self, context: &Context) -> Result<TemporaryCredentials> {
        let names = self.fetch_metadata(context, "").await?;
        let names = String::from_utf8_lossy(&names);
        let name = names.lines().next().unwrap_or_default().trim();
        // The name becomes part of the next path, so it must not contain separators.
        let is_name =
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.@+=,".contains(&b));
        if !is_name {
            return Err(Error::unexpected("the instance has no role"));
        }
        parse_credentials(&self.fetch_metadata(context, name).await?)
            .ok_or_else(|| Error::unexpected("the metadata service returned no credentials of the role"))
    }

    async fn fetch_metadata(&self, context: &Context, name: &str) -> Result<Bytes> {
        let request = http::Request::get(format!("{}{PATH}{name}", self.origin)).body(Bytes::new());
        let request =
            request.map_err(|_| Error::config_invalid("invalid address of the metadata service"))?;
        let response = context.http_send(request).await?;
        if response.status() != http::StatusCode::OK {
            return Err(Error::unexpected(format!(
                "the metadata service responded with status {}",
                response.status()
            )));
        }
        Ok(response.into_body())
    }
}

fn parse_credentials(json: &[u8]) -> Option<TemporaryCredentials> {
    let document: serde_json::Value = serde_json::from_slice(json).ok()?;
    let get_text =
        |name: &str| document.get(name)?.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    if get_text("Code")? != "Success" {
        return None;
    }
    Some(TemporaryCredentials {
        access_key: get_text("TmpSecretId")?,
        secret_key: get_text("TmpSecretKey")?.into(),
        session_token: to_token(Some(get_text("Token")?)),
        expires_at: Some(document.get("ExpiredTime")?.as_i64()?),
    })
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;
    use crate::HttpSend;

    /// The vendor's example, shortened.
    const KEY: &str = r#"{"TmpSecretId":"AKIDx","TmpSecretKey":"secret","ExpiredTime":1615590047,
        "Expiration":"2021-03-12T23:00:47Z","Token":"token","Code":"Success"}"#;

    #[derive(Debug)]
    struct Metadata(&'static str);

    impl HttpSend for Metadata {
        async fn http_send(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>> {
            let body = match request.uri().path() {
                PATH => "role-of-the-machine\n",
                path if path.strip_prefix(PATH) == Some("role-of-the-machine") => self.0,
                _ => return Err(Error::unexpected("another path")),
            };
            assert_eq!(request.uri().host(), Some("metadata.tencentyun.com"));
            Ok(http::Response::new(Bytes::from_static(body.as_bytes())))
        }
    }

    fn issue_from(json: &'static str) -> Result<TemporaryCredentials> {
        let context = Context::new().with_http_send(Metadata(json));
        futures_executor::block_on(MachineRole::new(None).issue(&context))
    }

    #[test]
    fn reads_the_vendors_example() {
        let key = issue_from(KEY).unwrap();
        assert_eq!((key.access_key.as_str(), key.secret_key.expose_secret()), ("AKIDx", "secret"));
        assert_eq!(key.session_token.unwrap().expose_secret(), "token");
        assert_eq!(key.expires_at, Some(1_615_590_047));
    }

    #[test]
    fn rejects_invalid_documents() {
        for json in [
            "",
            "[]",
            "{}",
            r#"{"Code":"Success"}"#,
            r#"{"TmpSecretId":"a","TmpSecretKey":"b","Code":"Failed"}"#,
        ] {
            assert!(issue_from(json).is_err(), "{json}");
        }
    }
}
