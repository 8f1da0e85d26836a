//! The configuration file: read with everything that it refers to, and what is told when it cannot be.

use std::cell::RefCell;
use std::io;
use std::path::{Path, PathBuf};

use blobfish_config::{Config, Known, Mistake, OsSources, Sources};

use crate::certificates;
use crate::snapshot::{NotRunnable, Snapshot};

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// The file cannot be read.
    #[error("{0}: {1}")]
    Unread(String, #[source] io::Error),
    /// It is wrong. All of it, each mistake with its line and a caret.
    #[error("{}", all(name, text, mistakes))]
    Wrong {
        /// The file.
        name: String,
        /// What was in it.
        text: String,
        /// What is wrong with it.
        mistakes: Vec<Mistake>,
    },
    /// This build cannot do it.
    #[error(transparent)]
    NotRunnable(#[from] NotRunnable),
}

fn all(name: &str, text: &str, mistakes: &[Mistake]) -> String {
    let told: Vec<String> = mistakes.iter().map(|mistake| mistake.render(name, text)).collect();
    told.join("\n")
}

impl Unusable {
    /// The first mistake, on one line.
    pub fn in_short(&self) -> String {
        match self {
            Self::Wrong { name, mistakes, .. } => {
                let first = mistakes.first().map(ToString::to_string).unwrap_or_default();
                match mistakes.len() {
                    0 | 1 => format!("{name}: {first}"),
                    all => format!("{name}: {first} (the first of {all} mistakes)"),
                }
            }
            other => other.to_string(),
        }
    }
}

/// Reads a configuration. Gives also the files that it was read from.
pub fn read(file: &Path) -> (Result<Config, Unusable>, Vec<PathBuf>) {
    let name = file.display().to_string();
    let sources = Noting { files: RefCell::new(vec![file.to_owned()]) };
    let config = match std::fs::read_to_string(file) {
        Ok(text) => {
            let known = Known { dialects: blobfish_dialects::NAMES };
            blobfish_config::load(&text, &known, &sources).map_err(|mistakes| Unusable::Wrong {
                name,
                text,
                mistakes,
            })
        }
        Err(error) => Err(Unusable::Unread(name, error)),
    };
    (config, sources.files.into_inner())
}

/// The same, with every name resolved.
///
/// # Errors
/// [`Unusable`].
pub fn snapshot(file: &Path) -> Result<Snapshot, Unusable> {
    let config = read(file).0?;
    let warnings = warnings(file, &config);
    let mut snapshot = Snapshot::new(config)?;
    snapshot.warnings = warnings;
    Ok(snapshot)
}

/// What is to be said of a file that can be used.
pub fn warnings(file: &Path, config: &Config) -> Vec<String> {
    let (Some(line), Ok(false)) = (config.secret_line, OsSources.file_is_private(file)) else {
        return Vec::new();
    };
    let name = file.display();
    vec![format!(
        "{name}:{line}: a secret stands in this file, which is open to others on this machine; chmod o-rwx {name}, or write \
         {{ file = \"PATH\" }} or {{ env = \"NAME\" }} instead"
    )]
}

/// This process's sources; remembers which files were asked for.
struct Noting {
    files: RefCell<Vec<PathBuf>>,
}

impl Sources for Noting {
    fn env(&self, name: &str) -> Option<String> {
        OsSources.env(name)
    }

    fn file(&self, path: &Path) -> io::Result<String> {
        self.files.borrow_mut().push(path.to_owned());
        OsSources.file(path)
    }

    fn file_is_private(&self, path: &Path) -> io::Result<bool> {
        OsSources.file_is_private(path)
    }

    fn certificate(&self, cert: &Path, key: &Path, named: bool) -> Result<(), String> {
        certificates::usable(cert, key, named).map(|_| ()).map_err(|unfit| unfit.to_string())
    }
}
