//! `blobfish init`: writes a commented configuration from flags, or from a dialog on a terminal. It never asks for a
//! secret, prints one, or accepts one on the command line.

mod answers;
mod caller_key;
mod files;
mod text;

use std::path::Path;

use anyhow::{Context as _, bail};
use blobfish_config::{OsSources, Sources};
use secrecy::{ExposeSecret as _, SecretString};

use crate::cli::args::{InitArgs, SecretSource};
use crate::cli::init::answers::{InitSettings, TargetSecret};
use crate::cli::init::caller_key::{CALLER_VARIABLE, CallerSecret, NewCallerKey};
use crate::known_dialects::list_known_dialects;
use crate::request::active_config::ActiveConfig;

/// The placeholder for a secret that does not exist yet.
const PLANNED_SECRET: &str = "planned";

/// The alphabet of generated keys: 32 letters, so that five random bits select one. No two of them look alike.
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// Writes the files. Returns the next steps for the operator.
///
/// # Errors
/// Values are missing; a file exists already; the resulting configuration would be invalid.
pub(crate) fn run_init(args: InitArgs) -> anyhow::Result<String> {
    // Absolute, because the printed commands must work from any directory.
    let output = std::path::absolute(&args.output).context("--output")?;
    let secret_file = output.with_extension("app.secret");
    if secret_file == output {
        bail!("{}: this name is reserved for the secret's file; choose another", output.display());
    }
    let check_free = |path: &Path, force: bool| match path.symlink_metadata() {
        Ok(_) if !force => bail!("{} already exists; use --force to replace it.", path.display()),
        _ => Ok(()),
    };
    // Before the dialog, so that an existing file is reported before the operator answers questions.
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
    // Validated before anything is written, so that a mistake in the flags leaves no files.
    check_config(&display_path(&output), &text, &settings, &key)?;
    files::write_files(&output, &text, &key, settings.force)?;
    Ok(text::render_next_steps(&output, &settings, &key))
}

fn display_path(output: &Path) -> String {
    output.display().to_string()
}

/// Generates random letters from the system's random source. There is no fallback, because they become a secret.
fn generate_letters(count: usize) -> anyhow::Result<String> {
    let mut bytes = vec![0_u8; count];
    getrandom::fill(&mut bytes)
        .map_err(|error| anyhow::anyhow!("the system's random source failed: {error}"))?;
    // 256 is a multiple of 32, so every letter is equally likely.
    let to_letter = |byte: &u8| LETTERS.get(usize::from(byte % 32)).copied().map(char::from);
    Ok(bytes.iter().filter_map(to_letter).collect())
}

/// Validates the configuration as `blobfish check` would after the environment variables are set.
fn check_config(name: &str, text: &str, answers: &InitSettings, key: &NewCallerKey) -> anyhow::Result<()> {
    let known = list_known_dialects();
    let sources = PlannedSources { settings: answers, key };
    let config = blobfish_config::load(text, &known, &sources).map_err(|mistakes| {
        let rendered: Vec<String> = mistakes.iter().map(|mistake| mistake.render(name, text)).collect();
        anyhow::anyhow!(
            "no file was written, because the configuration would be invalid:\n{}",
            rendered.join("\n")
        )
    })?;
    ActiveConfig::new(config).context("no file was written, because the configuration would be invalid")?;
    Ok(())
}

/// The environment variables and files as they will be when the proxy starts.
struct PlannedSources<'a> {
    settings: &'a InitSettings,
    key: &'a NewCallerKey,
}

impl PlannedSources<'_> {
    /// The future content of a file that does not exist yet.
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
    fn generated_keys_use_the_alphabet_and_are_unique() {
        let (one, other) = (generate_letters(40).unwrap(), generate_letters(40).unwrap());
        assert_eq!(one.len(), 40);
        assert_ne!(one, other);
        assert!(one.bytes().all(|byte| LETTERS.contains(&byte)));
        let distinct: std::collections::BTreeSet<&u8> = LETTERS.iter().collect();
        assert_eq!(distinct.len(), 32);
    }
}
