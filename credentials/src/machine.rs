//! The role of a Tencent machine (CVM). Source: Tencent Cloud CVM, "Querying Instance Metadata", document 213/4934: the
//! name of the role under `cam/security-credentials/`, its key as JSON below that.

use bytes::Bytes;
use reqsign_core::{Context, Error, Result};

use crate::{Issued, token};

const ORIGIN: &str = "http://metadata.tencentyun.com";
const PATH: &str = "/latest/meta-data/cam/security-credentials/";

/// The role of the machine that this runs on.
pub struct MachineRole {
    origin: String,
}

impl MachineRole {
    /// As the vendor has it, or at another origin.
    pub fn new(origin: Option<&str>) -> Self {
        Self { origin: origin.unwrap_or(ORIGIN).trim_end_matches('/').to_owned() }
    }

    /// Asks for the role's name, then for its key.
    ///
    /// # Errors
    /// There is no role, or what is told is no key.
    pub async fn issue(&self, context: &Context) -> Result<Issued> {
        let names = self.told(context, "").await?;
        let names = String::from_utf8_lossy(&names);
        let name = names.lines().next().unwrap_or_default().trim();
        let is_name =
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.@+=,".contains(&b));
        if !is_name {
            return Err(Error::unexpected("the machine has no role"));
        }
        read(&self.told(context, name).await?)
            .ok_or_else(|| Error::unexpected("not a key of the machine's role"))
    }

    async fn told(&self, context: &Context, name: &str) -> Result<Bytes> {
        let request = http::Request::get(format!("{}{PATH}{name}", self.origin)).body(Bytes::new());
        let request = request.map_err(|_| Error::config_invalid("not an address of metadata"))?;
        let answer = context.http_send(request).await?;
        if answer.status() != http::StatusCode::OK {
            return Err(Error::unexpected(format!("the machine's metadata answered {}", answer.status())));
        }
        Ok(answer.into_body())
    }
}

fn read(json: &[u8]) -> Option<Issued> {
    let told: serde_json::Value = serde_json::from_slice(json).ok()?;
    let text = |name: &str| told.get(name)?.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    if text("Code")? != "Success" {
        return None;
    }
    Some(Issued {
        access_key: text("TmpSecretId")?,
        secret_key: text("TmpSecretKey")?.into(),
        session_token: token(Some(text("Token")?)),
        ends: Some(told.get("ExpiredTime")?.as_i64()?),
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

    fn issued(json: &'static str) -> Result<Issued> {
        let context = Context::new().with_http_send(Metadata(json));
        futures_executor::block_on(MachineRole::new(None).issue(&context))
    }

    #[test]
    fn the_vendors_example() {
        let key = issued(KEY).unwrap();
        assert_eq!((key.access_key.as_str(), key.secret_key.expose_secret()), ("AKIDx", "secret"));
        assert_eq!(key.session_token.unwrap().expose_secret(), "token");
        assert_eq!(key.ends, Some(1_615_590_047));
    }

    #[test]
    fn what_is_no_key() {
        for json in [
            "",
            "[]",
            "{}",
            r#"{"Code":"Success"}"#,
            r#"{"TmpSecretId":"a","TmpSecretKey":"b","Code":"Failed"}"#,
        ] {
            assert!(issued(json).is_err(), "{json}");
        }
    }
}
