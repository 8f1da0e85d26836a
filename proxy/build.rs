//! Passes the commit of the build to the compiler in an environment variable.

#![allow(clippy::disallowed_methods, reason = "the environment may provide the commit")]

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-env-changed=BLOBFISH_COMMIT");
    // This file changes with every commit. Cargo would run the script in every build if the file did not exist.
    if let Some(history) =
        git(&["rev-parse", "--git-path", "logs/HEAD"]).filter(|path| Path::new(path).exists())
    {
        println!("cargo::rerun-if-changed={history}");
    }
    let commit =
        std::env::var("BLOBFISH_COMMIT").ok().or_else(from_git).unwrap_or_else(|| "unknown".to_owned());
    println!("cargo::rustc-env=BLOBFISH_COMMIT={commit}");
}

/// The commit of the working tree, if there is one: a source package has no history, and a build machine may have no git.
fn from_git() -> Option<String> {
    // A source package may be unpacked inside another repository. The commit of that repository would be wrong.
    git(&["ls-files", "--error-unmatch", "build.rs"])?;
    git(&["rev-parse", "--short=12", "HEAD"])
}

fn git(args: &[&str]) -> Option<String> {
    let output = Command::new("git").args(args).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}
