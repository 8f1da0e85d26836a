//! Blobfish, the program: a shell around the pure engine. It moves bytes, tells the time, holds keys and counts.
//!
//! Everything that knows a vendor is in `blobfish-dialects`; what an operator writes is read by `blobfish-config`.

mod admin;
mod behalf;
mod breaker;
mod buckets;
mod budget;
mod caller;
mod certificates;
mod chunks;
mod cli;
mod client_cert;
mod clock;
mod collector;
mod copies;
mod copy;
mod cors;
mod demo;
mod doctor;
mod events;
mod exchange;
mod explain;
mod failed;
mod fetch;
mod file;
mod flood;
mod form;
mod framing;
mod front;
mod handover;
mod health;
mod http2;
mod init;
mod job;
mod keys;
mod lifecycle;
mod log;
mod losses;
mod metrics;
mod patience;
mod peers;
mod plan;
mod preflight;
mod proxies;
mod relay;
mod reload;
mod resolve;
mod seats;
mod serve;
mod shown;
mod snapshot;
mod sockets;
mod status;
mod stream;
mod supervisor;
mod throttle;
mod traces;
mod upstream;
mod wire;

use std::io::Write as _;
use std::process::ExitCode;

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
        Command::Upgrade(asked) => handover::run(&asked),
        Command::Check { file } => file::snapshot(&file).map(checked).map_err(Into::into),
        Command::Init(asked) => init::run(*asked),
        Command::Doctor(asked) => file::snapshot(&asked.config)
            .map_err(Into::into)
            .and_then(|snapshot| doctor::run(&asked, &snapshot))
            .map(|(text, no_problem)| {
                fine = no_problem;
                text
            }),
        Command::Explain(asked) => {
            let snapshot = asked.config.as_deref().map(file::snapshot).transpose();
            snapshot.map_err(Into::into).and_then(|snapshot| explain::run(&asked, snapshot.as_ref()))
        }
        Command::Losses { json } => Ok(losses::run(json)),
        Command::Schema { markdown } => {
            let known = blobfish_config::Known { dialects: blobfish_dialects::NAMES };
            let schema = blobfish_config::schema(&known);
            Ok(if markdown { blobfish_config::reference(&schema) } else { format!("{schema:#}\n") })
        }
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

fn checked(snapshot: Snapshot) -> String {
    for warning in snapshot.warnings() {
        let _ = writeln!(std::io::stderr(), "warning: {warning}");
    }
    "fine\n".to_owned()
}

fn serve(options: Serve) -> anyhow::Result<String> {
    let inherited = sockets::Inherited::take();
    log::start();
    let served = inherited.and_then(|inherited| serve_on(options, inherited));
    if let Err(error) = &served {
        let _ = handover::tell_predecessor(&format!("{error:#}"));
    }
    served.map(|()| String::new())
}

fn serve_on(options: Serve, inherited: sockets::Inherited) -> anyhow::Result<()> {
    match options.config {
        Some(file) => {
            let (config, files) = file::read(&file);
            serve::run(config?, serve::Origin::File(file, files), inherited)
        }
        None => {
            let (config, store) = demo::prepared(&options)?;
            serve::run(config, serve::Origin::Demo(Box::new(store)), inherited)
        }
    }
}
