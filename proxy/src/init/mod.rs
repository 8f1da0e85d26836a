//! `blobfish init`: a commented configuration from flags, or from a few answers on a terminal. No secret is asked, shown
//! or taken from the command line.

mod answers;
mod files;
mod text;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use blobfish_config::{Known, OsSources, Sources};
use secrecy::{ExposeSecret as _, SecretString};

use crate::cli::{Init, Secrets};
use crate::init::answers::Answers;
use crate::snapshot::Snapshot;

/// The variable of the caller's secret, with `--secrets env`.
const CALLER_VARIABLE: &str = "BLOBFISH_APP_SECRET";

/// Letters of keys: 32, so that five random bits are one. None looks like another.
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// The caller's key, made here.
pub struct CallerKey {
    /// Its id.
    pub id: String,
    /// Where its secret comes from.
    pub secret: CallerSecret,
}

/// Where the caller's secret comes from.
pub enum CallerSecret {
    /// From this file, with this content.
    File(PathBuf, SecretString),
    /// From a variable that the operator sets.
    Env,
}

/// Writes the files. Gives what to do next.
///
/// # Errors
/// Answers are missing; a file is there already; what would be written could not be run.
pub fn run(asked: Init) -> anyhow::Result<String> {
    let output = std::path::absolute(&asked.output).context("--output")?;
    let beside = output.with_extension("app.secret");
    if beside == output {
        bail!("{}: that is the name of the secret's file; choose another", output.display());
    }
    let secret_file = (asked.secrets == Secrets::File).then_some(beside);
    for path in secret_file.iter().chain([&output]).filter(|_| !asked.force) {
        if path.symlink_metadata().is_ok() {
            bail!("{} is there already; --force replaces it", path.display());
        }
    }
    let answers = Answers::complete(asked)?;
    let secret = match secret_file {
        Some(path) => CallerSecret::File(path, SecretString::from(letters(40)?)),
        None => CallerSecret::Env,
    };
    let key = CallerKey { id: format!("AKID{}", letters(16)?.to_uppercase()), secret };
    let text = text::configuration(&answers, &key);
    check(&asked_name(&output), &text, &answers, &key)?;
    files::write(&output, &text, &key, answers.force)?;
    Ok(text::next_steps(&output, &answers, &key))
}

fn asked_name(output: &Path) -> String {
    output.display().to_string()
}

/// Random letters, from the system's source and no other.
fn letters(count: usize) -> anyhow::Result<String> {
    let mut bytes = vec![0_u8; count];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("no randomness: {error}"))?;
    let letter = |byte: &u8| LETTERS.get(usize::from(byte % 32)).copied().map(char::from);
    Ok(bytes.iter().filter_map(letter).collect())
}

/// What `blobfish check` would say, once the variables are set.
fn check(name: &str, text: &str, answers: &Answers, key: &CallerKey) -> anyhow::Result<()> {
    let known = Known { dialects: blobfish_dialects::NAMES };
    let planned = Planned { variables: [&answers.secret_env, CALLER_VARIABLE], key };
    let config = blobfish_config::load(text, &known, &planned).map_err(|mistakes| {
        let told: Vec<String> = mistakes.iter().map(|mistake| mistake.render(name, text)).collect();
        anyhow::anyhow!("nothing was written, for it could not be run:\n{}", told.join("\n"))
    })?;
    Snapshot::new(config).context("nothing was written, for it could not be run")?;
    Ok(())
}

/// The variables and the file as they will be.
struct Planned<'a> {
    variables: [&'a str; 2],
    key: &'a CallerKey,
}

impl Sources for Planned<'_> {
    fn env(&self, name: &str) -> Option<String> {
        self.variables.contains(&name).then(|| "planned".to_owned())
    }

    fn file(&self, path: &Path) -> std::io::Result<String> {
        match &self.key.secret {
            CallerSecret::File(own, secret) if own == path => Ok(secret.expose_secret().to_owned()),
            _ => OsSources.file(path),
        }
    }

    fn file_is_private(&self, path: &Path) -> std::io::Result<bool> {
        match &self.key.secret {
            CallerSecret::File(own, _) if own == path => Ok(true),
            _ => OsSources.file_is_private(path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_of_the_alphabet_and_never_the_same() {
        let (one, other) = (letters(40).unwrap(), letters(40).unwrap());
        assert_eq!(one.len(), 40);
        assert_ne!(one, other);
        assert!(one.bytes().all(|byte| LETTERS.contains(&byte)));
        let distinct: std::collections::BTreeSet<&u8> = LETTERS.iter().collect();
        assert_eq!(distinct.len(), 32);
    }
}
