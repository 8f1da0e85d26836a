//! Where secrets come from. They live in [`SecretString`]: printed as nothing, wiped when dropped.

use std::io::{self, Read};
use std::path::Path;

use secrecy::{ExposeSecret, SecretString};

use crate::mistake::ValueError;
use crate::read::{Item, TableReader};

/// Where secrets and other files come from; a trait so that tests need no process environment.
pub trait Sources {
    /// The value of an environment variable; `None` where it is not set or not Unicode.
    fn read_env(&self, name: &str) -> Option<String>;

    /// The content of a file.
    ///
    /// # Errors
    /// It cannot be read, or is not UTF-8.
    fn read_file(&self, path: &Path) -> io::Result<String>;

    /// Whether a file is closed to others than its owner and group.
    ///
    /// # Errors
    /// It cannot be looked at.
    fn is_file_private(&self, path: &Path) -> io::Result<bool>;

    /// What a listener could not do with a certificate and a key, whose files are there and hold PEM. `named`: it is
    /// to be chosen by the names in it. Nothing, where nobody knows cryptography, as this crate does not.
    ///
    /// # Errors
    /// What is wrong, as a mistake tells it.
    fn check_certificate(&self, _cert: &Path, _key: &Path, _named: bool) -> Result<(), String> {
        Ok(())
    }
}

/// The environment and files of this process.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsSources;

/// A secret, certificate or key file is smaller than this; a bundle of all public authorities has 250 KiB.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

impl Sources for OsSources {
    fn read_env(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    /// Regular files of at most 1 MiB only: a pipe or a device could hold up the start for ever.
    fn read_file(&self, path: &Path) -> io::Result<String> {
        if !std::fs::metadata(path)?.is_file() {
            return Err(io::Error::other("not a regular file"));
        }
        let mut text = String::new();
        let read = std::fs::File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
        let fits = u64::try_from(read).is_ok_and(|bytes| bytes <= FILE_BYTES_MAX);
        if fits { Ok(text) } else { Err(io::Error::other("larger than 1 MiB")) }
    }

    /// By the mode bits: others may neither read nor write. The group may, as orchestrators mount secrets so.
    /// On systems without mode bits every file counts as private.
    fn is_file_private(&self, path: &Path) -> io::Result<bool> {
        let metadata = std::fs::metadata(path)?;
        #[cfg(unix)]
        return Ok(std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o006 == 0);
        #[cfg(not(unix))]
        return Ok(metadata.is_file());
    }
}

/// Reads a secret: a literal, `{ env = "NAME" }` or `{ file = "PATH" }`.
pub(crate) fn read_secret(item: &Item<'_>, sources: &dyn Sources) -> Option<SecretString> {
    let secret = if item.is_text() {
        item.place.mark_secret();
        item.parse(parse_literal)?
    } else if item.is_table() {
        read_secret_source(item.as_table()?, sources)?
    } else {
        return item.reject_type("a string, { env = \"NAME\" } or { file = \"PATH\" }");
    };
    validate_secret(secret).map_err(|error| item.place.reject(error)).ok()
}

fn parse_literal(text: &str) -> Result<SecretString, ValueError> {
    if text.starts_with("${") && text.ends_with('}') {
        return Err(ValueError::new("variables are not expanded").with_hint("write { env = \"NAME\" }"));
    }
    Ok(SecretString::from(text))
}

fn read_secret_source(mut fields: TableReader<'_>, sources: &dyn Sources) -> Option<SecretString> {
    let (env, file) = (fields.get("env"), fields.get("file"));
    fields.require_exactly_one();
    let place = fields.place.clone();
    fields.finish();
    match (env, file) {
        (Some(env), None) => env.parse(|name| read_from_env(name, sources)),
        (None, Some(file)) => file.parse(|path| read_from_file(path, sources)),
        (Some(_), Some(_)) => {
            place.reject(ValueError::new("comes from env and file at once"));
            None
        }
        (None, None) => {
            place.reject(
                ValueError::new("comes from nowhere")
                    .with_hint("write { env = \"NAME\" } or { file = \"PATH\" }"),
            );
            None
        }
    }
}

fn read_from_env(name: &str, sources: &dyn Sources) -> Result<SecretString, ValueError> {
    // A secret pasted in the place of the name would be shown, so only what looks like a name is.
    let is_name =
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    let display_name = if is_name { name } else { "named here" };
    let is_valid_name = !name.is_empty() && !name.contains(['=', '\0']);
    let value = is_valid_name.then(|| sources.read_env(name)).flatten();
    value
        .map(SecretString::from)
        .ok_or_else(|| ValueError::new(format!("environment variable {display_name} is not set")))
}

fn read_from_file(path: &str, sources: &dyn Sources) -> Result<SecretString, ValueError> {
    let is_path = path.starts_with(['/', '.']);
    let mut text = read_private_file(path, if is_path { path } else { "named here" }, sources)?;
    let trimmed =
        text.strip_suffix('\n').map_or(text.len(), |line| line.strip_suffix('\r').unwrap_or(line).len());
    text.truncate(trimmed);
    Ok(SecretString::from(text))
}

/// The content of a file that others must not see. `shown` stands for the path in mistakes.
pub(crate) fn read_private_file(
    path: &str,
    display_path: &str,
    sources: &dyn Sources,
) -> Result<String, ValueError> {
    let to_error = |error: io::Error| ValueError::new(format!("file {display_path} cannot be read: {error}"));
    let path = Path::new(path);
    if !sources.is_file_private(path).map_err(to_error)? {
        let hint = format!("chmod o-rwx {display_path}");
        return Err(
            ValueError::new(format!("file {display_path} is open to others on this machine")).with_hint(hint)
        );
    }
    sources.read_file(path).map_err(to_error)
}

fn validate_secret(secret: SecretString) -> Result<SecretString, ValueError> {
    let text = secret.expose_secret();
    if text.is_empty() {
        return Err(ValueError::new("the secret is empty"));
    }
    if text.trim() != text || text.chars().any(char::is_control) {
        return Err(ValueError::new(
            "the secret has a space at an end, or a line break or control character in it",
        ));
    }
    Ok(secret)
}
