//! Loads secrets into [`SecretString`], which does not print its content and is zeroed when dropped.

use std::io::{self, Read};
use std::path::Path;

use secrecy::{ExposeSecret, SecretString};

use crate::mistake::ValueError;
use crate::read::{Item, TableReader};

/// Provides environment variables and files. It is a trait so that tests do not depend on the process environment.
pub trait Sources {
    /// The value of an environment variable; `None` if it is not set or not Unicode.
    fn read_env(&self, name: &str) -> Option<String>;

    /// The content of a file.
    ///
    /// # Errors
    /// The file cannot be read, or is not UTF-8.
    fn read_file(&self, path: &Path) -> io::Result<String>;

    /// Whether only the owner and the group of a file can access it.
    ///
    /// # Errors
    /// The file's metadata cannot be read.
    fn is_file_private(&self, path: &Path) -> io::Result<bool>;

    /// Checks whether a listener can use a certificate and a key; both files exist and contain PEM. `named`: the
    /// certificate is selected by the host names in it. The default accepts everything, because this crate has no
    /// cryptography.
    ///
    /// # Errors
    /// The message of the mistake.
    fn check_certificate(&self, _cert: &Path, _key: &Path, _named: bool) -> Result<(), String> {
        Ok(())
    }
}

/// The environment and files of this process.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsSources;

/// The maximum size of a secret, certificate or key file. A bundle of all public authorities has 250 KiB.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

impl Sources for OsSources {
    fn read_env(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    /// Reads only regular files of at most 1 MiB: a pipe or a device could block the start indefinitely.
    fn read_file(&self, path: &Path) -> io::Result<String> {
        if !std::fs::metadata(path)?.is_file() {
            return Err(io::Error::other("not a regular file"));
        }
        let mut text = String::new();
        let read = std::fs::File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
        let fits = u64::try_from(read).is_ok_and(|bytes| bytes <= FILE_BYTES_MAX);
        if fits { Ok(text) } else { Err(io::Error::other("larger than 1 MiB")) }
    }

    /// Checks the mode bits: other users may neither read nor write. The group may, because orchestrators mount
    /// secrets so. On systems without mode bits every file counts as private.
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
    // Other programs expand this form. Taken literally, it would only cause signature errors later.
    if text.starts_with("${") && text.ends_with('}') {
        return Err(
            ValueError::new("variables in a string are not expanded").with_hint("write { env = \"NAME\" }")
        );
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
            place.reject(ValueError::new("both env and file are set; remove one of them"));
            None
        }
        (None, None) => {
            place.reject(
                ValueError::new("neither env nor file is set")
                    .with_hint("write { env = \"NAME\" } or { file = \"PATH\" }"),
            );
            None
        }
    }
}

fn read_from_env(name: &str, sources: &dyn Sources) -> Result<SecretString, ValueError> {
    // An operator may paste the secret itself here by mistake, so only text that looks like a name is printed.
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
    // As above: text that does not look like a path may be the secret itself.
    let is_path = path.starts_with(['/', '.']);
    let mut text = read_private_file(path, if is_path { path } else { "named here" }, sources)?;
    // Editors and `echo` end a file with a line break, which is not part of the secret.
    let trimmed =
        text.strip_suffix('\n').map_or(text.len(), |line| line.strip_suffix('\r').unwrap_or(line).len());
    text.truncate(trimmed);
    Ok(SecretString::from(text))
}

/// The content of a file that other users must not be able to access. Messages contain `display_path` instead of the
/// path.
pub(crate) fn read_private_file(
    path: &str,
    display_path: &str,
    sources: &dyn Sources,
) -> Result<String, ValueError> {
    let to_error = |error: io::Error| ValueError::new(format!("file {display_path} cannot be read: {error}"));
    let path = Path::new(path);
    if !sources.is_file_private(path).map_err(to_error)? {
        let hint = format!("run chmod o-rwx {display_path}");
        return Err(
            ValueError::new(format!("file {display_path} can be accessed by other users")).with_hint(hint)
        );
    }
    sources.read_file(path).map_err(to_error)
}

fn validate_secret(secret: SecretString) -> Result<SecretString, ValueError> {
    let text = secret.expose_secret();
    if text.is_empty() {
        return Err(ValueError::new("the secret is empty"));
    }
    // No vendor issues such secrets; they result from copying, and would only cause signature errors later.
    if text.trim() != text || text.chars().any(char::is_control) {
        return Err(ValueError::new(
            "the secret begins or ends with white space, or contains a control character",
        ));
    }
    Ok(secret)
}
