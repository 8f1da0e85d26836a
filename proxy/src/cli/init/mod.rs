//! `blobfish init`: a commented configuration from flags, or from a few answers on a terminal. No secret is asked,
//! shown or taken from the command line.

mod answers;
mod files;
mod text;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use blobfish_config::{OsSources, Sources};
use secrecy::{ExposeSecret as _, SecretString};

use crate::cli::args::{InitArgs, SecretSource};
use crate::cli::init::answers::{InitSettings, TargetSecret};
use crate::request::active_config::{ActiveConfig, known_dialects};

/// The variable of the caller's secret, with `--secrets env`.
const CALLER_VARIABLE: &str = "BLOBFISH_APP_SECRET";

/// Stands for a secret that is not known yet.
const PLANNED_SECRET: &str = "planned";

/// Letters of keys: 32, so that five random bits are one. None looks like another.
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// The caller's key, made here.
pub struct NewCallerKey {
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
pub fn run_init(args: InitArgs) -> anyhow::Result<String> {
    let output = std::path::absolute(&args.output).context("--output")?;
    let secret_file = output.with_extension("app.secret");
    if secret_file == output {
        bail!("{}: that is the name of the secret's file; choose another", output.display());
    }
    let check_free = |path: &Path, force: bool| match path.symlink_metadata() {
        Ok(_) if !force => bail!("{} is there already; --force replaces it", path.display()),
        _ => Ok(()),
    };
    check_free(&output, args.force)?;
    let settings = InitSettings::from_args(args)?;
    let secret = match settings.caller_secret_source {
        SecretSource::Env => CallerSecret::Env,
        SecretSource::Literal => CallerSecret::Literal(SecretString::from(generate_letters(40)?)),
        SecretSource::File => {
            check_free(&secret_file, settings.force)?;
            CallerSecret::File(secret_file, SecretString::from(generate_letters(40)?))
        }
    };
    let key = NewCallerKey { id: format!("AKID{}", generate_letters(16)?.to_uppercase()), secret };
    let text = text::render_configuration(&settings, &key);
    check_config(&display_path(&output), &text, &settings, &key)?;
    files::write_files(&output, &text, &key, settings.force)?;
    Ok(text::render_next_steps(&output, &settings, &key))
}

fn display_path(output: &Path) -> String {
    output.display().to_string()
}

/// Random letters, from the system's source and no other.
fn generate_letters(count: usize) -> anyhow::Result<String> {
    let mut bytes = vec![0_u8; count];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("no randomness: {error}"))?;
    let to_letter = |byte: &u8| LETTERS.get(usize::from(byte % 32)).copied().map(char::from);
    Ok(bytes.iter().filter_map(to_letter).collect())
}

/// What `blobfish check` would say, once the variables are set.
fn check_config(name: &str, text: &str, answers: &InitSettings, key: &NewCallerKey) -> anyhow::Result<()> {
    let known = known_dialects();
    let sources = PlannedSources { settings: answers, key };
    let config = blobfish_config::load(text, &known, &sources).map_err(|mistakes| {
        let rendered: Vec<String> = mistakes.iter().map(|mistake| mistake.render(name, text)).collect();
        anyhow::anyhow!("nothing was written, for it could not be run:\n{}", rendered.join("\n"))
    })?;
    ActiveConfig::new(config).context("nothing was written, for it could not be run")?;
    Ok(())
}

/// The variables and files as they will be.
struct PlannedSources<'a> {
    settings: &'a InitSettings,
    key: &'a NewCallerKey,
}

impl PlannedSources<'_> {
    /// What a file will hold that is not there yet.
    fn planned_content(&self, path: &Path) -> Option<String> {
        match (&self.key.secret, &self.settings.target_secret) {
            (CallerSecret::File(own, secret), _) if own == path => Some(secret.expose_secret().to_owned()),
            (_, TargetSecret::File(file)) if file == path && !path.exists() => {
                Some(PLANNED_SECRET.to_owned())
            }
            _ => None,
        }
    }
}

impl Sources for PlannedSources<'_> {
    fn read_env(&self, name: &str) -> Option<String> {
        let own = matches!(&self.settings.target_secret, TargetSecret::Env(variable) if variable == name);
        (own || name == CALLER_VARIABLE).then(|| PLANNED_SECRET.to_owned())
    }

    fn read_file(&self, path: &Path) -> std::io::Result<String> {
        self.planned_content(path).map_or_else(|| OsSources.read_file(path), Ok)
    }

    fn is_file_private(&self, path: &Path) -> std::io::Result<bool> {
        self.planned_content(path).map_or_else(|| OsSources.is_file_private(path), |_| Ok(true))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_of_the_alphabet_and_never_the_same() {
        let (one, other) = (generate_letters(40).unwrap(), generate_letters(40).unwrap());
        assert_eq!(one.len(), 40);
        assert_ne!(one, other);
        assert!(one.bytes().all(|byte| LETTERS.contains(&byte)));
        let distinct: std::collections::BTreeSet<&u8> = LETTERS.iter().collect();
        assert_eq!(distinct.len(), 32);
    }
}
