//! Blobfish, the program: a shell around the pure engine. It moves bytes, tells the time, holds keys and counts.
//!
//! Everything that knows a vendor is in `blobfish-dialects`; what an operator writes is read by `blobfish-config`.

mod admin;
mod buckets;
mod caller;
mod chunks;
mod cli;
mod clock;
mod copies;
mod copy;
mod demo;
mod doctor;
mod exchange;
mod explain;
mod failed;
mod form;
mod framing;
mod front;
mod init;
mod job;
mod log;
mod losses;
mod metrics;
mod patience;
mod plan;
mod preflight;
mod relay;
mod resolve;
mod serve;
mod snapshot;
mod stream;
mod upstream;
mod wire;

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use blobfish_config::{Config, Known, OsSources};
use clap::Parser as _;

use crate::cli::{Cli, Command, Serve, Usage};
use crate::snapshot::Snapshot;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut fine = true;
    let outcome = match cli.command.unwrap_or(Command::Serve(cli.serve)) {
        Command::Serve(options) => serve(options),
        Command::Check { file } => snapshot(&file).map(|_| "fine\n".to_owned()),
        Command::Init(asked) => init::run(*asked),
        Command::Doctor(asked) => {
            let examined = snapshot(&asked.config).and_then(|snapshot| doctor::run(&asked, &snapshot));
            examined.map(|(text, no_problem)| {
                fine = no_problem;
                text
            })
        }
        Command::Explain(asked) => {
            let snapshot = asked.config.as_deref().map(snapshot).transpose();
            snapshot.and_then(|snapshot| explain::run(&asked, snapshot.as_ref()))
        }
        Command::Losses { json } => Ok(losses::run(json)),
        Command::Completions { shell } => Ok(String::from_utf8_lossy(&cli::completions(shell)).into_owned()),
    };
    let (text, code) = match outcome {
        Ok(text) => (text, ExitCode::from(u8::from(!fine))),
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{error:#}");
            (String::new(), ExitCode::from(if error.is::<Usage>() { 2 } else { 1 }))
        }
    };
    // A reader that went is no fault of ours.
    let _ = std::io::stdout().write_all(text.as_bytes());
    code
}

fn serve(options: Serve) -> anyhow::Result<String> {
    log::start();
    match &options.config {
        Some(file) => serve::run(config(file)?, None)?,
        None => {
            let (config, store) = demo::prepared(&options)?;
            serve::run(config, Some(store))?;
        }
    }
    Ok(String::new())
}

/// A configuration that can be run.
fn snapshot(file: &Path) -> anyhow::Result<Snapshot> {
    Ok(Snapshot::new(config(file)?)?)
}

/// Reads a configuration; every mistake in it is the error.
fn config(file: &Path) -> anyhow::Result<Config> {
    let name = file.display().to_string();
    let text = std::fs::read_to_string(file).with_context(|| name.clone())?;
    let known = Known { dialects: blobfish_dialects::NAMES };
    blobfish_config::load(&text, &known, &OsSources).map_err(|mistakes| {
        let told: Vec<String> = mistakes.iter().map(|mistake| mistake.render(&name, &text)).collect();
        anyhow::anyhow!(told.join("\n"))
    })
}
