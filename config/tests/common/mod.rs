//! Sources that read neither files nor the environment.

use std::collections::HashMap;
use std::io;
use std::path::Path;

use std::sync::LazyLock;

use blobfish_config::{Config, KnownDialect, KnownDialects, Mistake, Sources};

pub(crate) static KNOWN: LazyLock<KnownDialects> = LazyLock::new(|| KnownDialects {
    dialects: vec![
        KnownDialect {
            name: "s3",
            profiles: vec!["aws", "jdcloud", "minio"],
            signatures: vec!["s3v4", "s3v2"],
            ..KnownDialect::default()
        },
        KnownDialect {
            name: "cos",
            signatures: vec!["cos"],
            strict_signing_config_key: Some("cos_signing"),
            ..KnownDialect::default()
        },
        KnownDialect {
            name: "oss",
            profiles: vec!["aliyun"],
            signatures: vec!["ossv1", "ossv4"],
            signing_versions: vec!["v4", "v1"],
            ..KnownDialect::default()
        },
    ],
});

/// Environment variables and files. Other users can access a path that begins with `/open`.
#[derive(Default)]
pub(crate) struct FakeSources {
    pub env: HashMap<&'static str, &'static str>,
    pub files: HashMap<&'static str, &'static str>,
}

impl Sources for FakeSources {
    fn read_env(&self, name: &str) -> Option<String> {
        self.env.get(name).map(|&value| value.to_owned())
    }

    fn read_file(&self, path: &Path) -> io::Result<String> {
        let text = path.to_str().and_then(|path| self.files.get(path));
        text.map(|&text| text.to_owned()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn is_file_private(&self, path: &Path) -> io::Result<bool> {
        self.read_file(path).map(|_| !path.starts_with("/open"))
    }

    fn check_certificate(&self, cert: &Path, key: &Path, named: bool) -> Result<(), String> {
        let is_matching = cert.file_stem() == key.file_stem();
        let purpose = if named { "for its host names" } else { "as the default" };
        if is_matching { Ok(()) } else { Err(format!("not for {}, not usable {purpose}", key.display())) }
    }
}

pub(crate) fn make_sources() -> FakeSources {
    let cert = "-----BEGIN CERTIFICATE-----\n";
    let key = "-----BEGIN PRIVATE KEY-----\n";
    FakeSources {
        env: HashMap::from([("GOOD", "from-the-environment"), ("EMPTY", "")]),
        files: HashMap::from([
            ("/etc/blobfish/tls.crt", cert),
            ("/etc/blobfish/ca.pem", cert),
            ("/etc/blobfish/tls.key", key),
            ("/etc/blobfish/vendor.crt", cert),
            ("/etc/blobfish/vendor.key", key),
            ("/open/key", key),
            ("/run/secret", "from-a-file\n"),
            ("/run/dos", "from-dos\r\n"),
            ("/run/lines", "two\nlines\n"),
            ("/run/empty", "\n"),
            ("/open/secret", "seen"),
        ]),
    }
}

pub(crate) fn load(text: &str) -> Result<Config, Vec<Mistake>> {
    blobfish_config::load(text, &KNOWN, &make_sources())
}
