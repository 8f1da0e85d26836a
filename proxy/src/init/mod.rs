//! `blobfish init`: a commented configuration from flags, or from a few answers on a terminal. No secret is asked,
//! shown or taken from the command line.

mod answers;
mod files;
mod text;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use blobfish_config::{Known, OsSources, Sources};
use secrecy::{ExposeSecret as _, SecretString};

use crate::cli::{Init, Secrets};
use crate::init::answers::{Answers, TargetSecret};
use crate::snapshot::Snapshot;

/// The variable of the caller's secret, with `--secrets env`.
const CALLER_VARIABLE: &str = "BLOBFISH_APP_SECRET";

/// Stands for a secret that is not known yet.
const PLANNED: &str = "planned";

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
    /// Written into the configuration.
    Literal(SecretString),
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
    let free = |path: &Path, force: bool| match path.symlink_metadata() {
        Ok(_) if !force => bail!("{} is there already; --force replaces it", path.display()),
        _ => Ok(()),
    };
    free(&output, asked.force)?;
    let answers = Answers::complete(asked)?;
    let secret = match answers.secrets {
        Secrets::Env => CallerSecret::Env,
        Secrets::Literal => CallerSecret::Literal(SecretString::from(letters(40)?)),
        Secrets::File => {
            free(&beside, answers.force)?;
            CallerSecret::File(beside, SecretString::from(letters(40)?))
        }
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
    let planned = Planned { answers, key };
    let config = blobfish_config::load(text, &known, &planned).map_err(|mistakes| {
        let told: Vec<String> = mistakes.iter().map(|mistake| mistake.render(name, text)).collect();
        anyhow::anyhow!("nothing was written, for it could not be run:\n{}", told.join("\n"))
    })?;
    Snapshot::new(config).context("nothing was written, for it could not be run")?;
    Ok(())
}

/// The variables and files as they will be.
struct Planned<'a> {
    answers: &'a Answers,
    key: &'a CallerKey,
}

impl Planned<'_> {
    /// What a file will hold that is not there yet.
    fn content(&self, path: &Path) -> Option<String> {
        match (&self.key.secret, &self.answers.secret) {
            (CallerSecret::File(own, secret), _) if own == path => Some(secret.expose_secret().to_owned()),
            (_, TargetSecret::File(file)) if file == path && !path.exists() => Some(PLANNED.to_owned()),
            _ => None,
        }
    }
}

impl Sources for Planned<'_> {
    fn env(&self, name: &str) -> Option<String> {
        let own = matches!(&self.answers.secret, TargetSecret::Env(variable) if variable == name);
        (own || name == CALLER_VARIABLE).then(|| PLANNED.to_owned())
    }

    fn file(&self, path: &Path) -> std::io::Result<String> {
        self.content(path).map_or_else(|| OsSources.file(path), Ok)
    }

    fn file_is_private(&self, path: &Path) -> std::io::Result<bool> {
        self.content(path).map_or_else(|| OsSources.file_is_private(path), |_| Ok(true))
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
