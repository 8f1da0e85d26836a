//! Tells the program which commit it was built from.

#![allow(clippy::disallowed_methods, reason = "a build script is told its commit by the environment")]

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-env-changed=BLOBFISH_COMMIT");
    // Grows with every commit. A file that is not there would have this run at every build.
    if let Some(history) =
        git(&["rev-parse", "--git-path", "logs/HEAD"]).filter(|path| Path::new(path).exists())
    {
        println!("cargo::rerun-if-changed={history}");
    }
    let commit =
        std::env::var("BLOBFISH_COMMIT").ok().or_else(from_git).unwrap_or_else(|| "unknown".to_owned());
    println!("cargo::rustc-env=BLOBFISH_COMMIT={commit}");
}

/// A source package has no history, and a build machine perhaps no git: then the commit is unknown. A package that was
/// unpacked within somebody else's history is not of it.
fn from_git() -> Option<String> {
    git(&["ls-files", "--error-unmatch", "build.rs"])?;
    git(&["rev-parse", "--short=12", "HEAD"])
}

fn git(words: &[&str]) -> Option<String> {
    let output = Command::new("git").args(words).output().ok()?;
    let told = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !told.is_empty()).then_some(told)
}
