//! Writes the files. Existing files are replaced only with `--force`, and only the owner can read the secret.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use secrecy::ExposeSecret as _;

use crate::cli::init::caller_key::{CallerSecret, NewCallerKey};

/// Readable by the owner only.
const SECRET_MODE: u32 = 0o600;

/// Readable by everybody: the file contains no secret.
const PLAIN_MODE: u32 = 0o644;

/// Writes the configuration and, if there is one, the secret's file.
///
/// # Errors
/// One of the files cannot be written; then neither of them exists.
pub(super) fn write_files(output: &Path, text: &str, key: &NewCallerKey, force: bool) -> anyhow::Result<()> {
    let format_path = |path: &Path| path.display().to_string();
    let (path, secret) = match &key.secret {
        CallerSecret::File(path, secret) => (path, secret),
        // This configuration contains the secret itself.
        CallerSecret::Literal(_) => {
            return create_file(output, text, SECRET_MODE, force).with_context(|| format_path(output));
        }
        CallerSecret::Env => {
            return create_file(output, text, PLAIN_MODE, force).with_context(|| format_path(output));
        }
    };
    // The secret first: a configuration that names a missing file would not start.
    create_file(path, &format!("{}\n", secret.expose_secret()), SECRET_MODE, force)
        .with_context(|| format_path(path))?;
    create_file(output, text, PLAIN_MODE, force)
        .inspect_err(|_| drop(fs::remove_file(path)))
        .with_context(|| format_path(output))
}

fn create_file(path: &Path, text: &str, mode: u32, force: bool) -> io::Result<()> {
    if force {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    // create_new does not follow a symbolic link, and the file has its mode before it has content.
    let mut file: File = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(text.as_bytes())?;
    // A crash must not leave an empty secret behind.
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use secrecy::SecretString;

    use super::*;

    fn make_key(path: &Path) -> NewCallerKey {
        let secret = CallerSecret::File(path.to_owned(), SecretString::from("hush"));
        NewCallerKey { id: "AKID".to_owned(), secret }
    }

    #[test]
    fn existing_files_are_replaced_only_with_force() {
        let folder = tempfile::tempdir().unwrap();
        let (output, secret) = (folder.path().join("a.toml"), folder.path().join("a.secret"));
        write_files(&output, "one", &make_key(&secret), false).unwrap();
        assert_eq!(fs::metadata(&secret).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(write_files(&output, "two", &make_key(&secret), false).is_err());
        assert_eq!(fs::read_to_string(&output).unwrap(), "one");
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o644)).unwrap();
        write_files(&output, "two", &make_key(&secret), true).unwrap();
        assert_eq!(fs::read_to_string(&output).unwrap(), "two");
        assert_eq!(fs::metadata(&secret).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn secret_file_is_removed_if_the_configuration_cannot_be_written() {
        let folder = tempfile::tempdir().unwrap();
        let (output, secret) = (folder.path().join("taken"), folder.path().join("a.secret"));
        fs::write(&output, "another's").unwrap();
        assert!(write_files(&output, "one", &make_key(&secret), false).is_err());
        assert!(!secret.exists());
        assert_eq!(fs::read_to_string(&output).unwrap(), "another's");
    }
}
