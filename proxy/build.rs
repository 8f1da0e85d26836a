//! Tells the program which commit it was built from.

use std::process::Command;

const HISTORY: &str = "../.git/logs/HEAD";

fn main() {
    println!("cargo::rerun-if-env-changed=BLOBFISH_COMMIT");
    // Grows with every commit. A file that is not there would have this run at every build.
    if std::path::Path::new(HISTORY).exists() {
        println!("cargo::rerun-if-changed={HISTORY}");
    }
    let commit =
        std::env::var("BLOBFISH_COMMIT").ok().or_else(from_git).unwrap_or_else(|| "unknown".to_owned());
    println!("cargo::rustc-env=BLOBFISH_COMMIT={commit}");
}

/// A source package has no history, and a build machine perhaps no git: then the commit is unknown.
fn from_git() -> Option<String> {
    let output = Command::new("git").args(["rev-parse", "--short=12", "HEAD"]).output().ok()?;
    let commit = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !commit.is_empty()).then_some(commit)
}
