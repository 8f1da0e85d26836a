//! Reads the configuration file and the files that it refers to, and reports errors in them.

use std::cell::RefCell;
use std::io;
use std::path::{Path, PathBuf};

use blobfish_config::{Config, Mistake, OsSources, Sources};

use crate::inbound::certificates;
use crate::known_dialects::list_known_dialects;
use crate::request::active_config::{ActivationError, ActiveConfig};

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigFileError {
    /// The file cannot be read.
    #[error("{0}: {1}")]
    Io(String, #[source] io::Error),
    /// The file is invalid. The message has every error with its line and a caret.
    #[error("{}", render_mistakes(name, text, mistakes))]
    Invalid {
        /// The file's name.
        name: String,
        /// The file's content.
        text: String,
        /// The errors.
        mistakes: Vec<Mistake>,
    },
    /// This build does not support it.
    #[error(transparent)]
    Unsupported(#[from] ActivationError),
}

fn render_mistakes(name: &str, text: &str, mistakes: &[Mistake]) -> String {
    let rendered: Vec<String> = mistakes.iter().map(|mistake| mistake.render(name, text)).collect();
    rendered.join("\n")
}

impl ConfigFileError {
    /// The first error, on one line.
    pub(crate) fn summarize(&self) -> String {
        match self {
            Self::Invalid { name, mistakes, .. } => {
                let first = mistakes.first().map(ToString::to_string).unwrap_or_default();
                match mistakes.len() {
                    0 | 1 => format!("{name}: {first}"),
                    all => format!("{name}: {first} (first of {all} errors)"),
                }
            }
            other => other.to_string(),
        }
    }
}

/// Reads a configuration. Also returns the files that it was read from.
pub(crate) fn read_config(file: &Path) -> (Result<Config, ConfigFileError>, Vec<PathBuf>) {
    let name = file.display().to_string();
    let sources = RecordingSources { files: RefCell::new(vec![file.to_owned()]) };
    let config = match std::fs::read_to_string(file) {
        Ok(text) => {
            let known = list_known_dialects();
            blobfish_config::load(&text, &known, &sources).map_err(|mistakes| ConfigFileError::Invalid {
                name,
                text,
                mistakes,
            })
        }
        Err(error) => Err(ConfigFileError::Io(name, error)),
    };
    (config, sources.files.into_inner())
}

/// Reads a configuration and resolves every name in it.
///
/// # Errors
/// [`ConfigFileError`].
pub(crate) fn load_active_config(file: &Path) -> Result<ActiveConfig, ConfigFileError> {
    let config = read_config(file).0?;
    let warnings = find_warnings(file, &config);
    let mut active = ActiveConfig::new(config)?;
    active.warnings = warnings;
    Ok(active)
}

/// Finds the warnings for a valid file.
pub(crate) fn find_warnings(file: &Path, config: &Config) -> Vec<String> {
    let (Some(line), Ok(false)) = (config.literal_secret_line, OsSources.is_file_private(file)) else {
        return Vec::new();
    };
    let name = file.display();
    vec![format!(
        "{name}:{line}: this file contains a secret and other users of this machine can access it; run chmod o-rwx {name}, or \
         use {{ file = \"PATH\" }} or {{ env = \"NAME\" }}"
    )]
}

/// The environment and files of this process. Records which files were read, so that changes to them trigger a reload.
struct RecordingSources {
    files: RefCell<Vec<PathBuf>>,
}

impl Sources for RecordingSources {
    fn read_env(&self, name: &str) -> Option<String> {
        OsSources.read_env(name)
    }

    fn read_file(&self, path: &Path) -> io::Result<String> {
        self.files.borrow_mut().push(path.to_owned());
        OsSources.read_file(path)
    }

    fn is_file_private(&self, path: &Path) -> io::Result<bool> {
        OsSources.is_file_private(path)
    }

    fn check_certificate(&self, cert: &Path, key: &Path, named: bool) -> Result<(), String> {
        certificates::load_certified_key(cert, key, named).map(|_| ()).map_err(|error| error.to_string())
    }
}
