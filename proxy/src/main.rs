//! The `blobfish` program: the shell around the translation core. It does the IO, reads the clock and holds the
//! credentials.
//!
//! Everything about vendors is in `blobfish-dialects`. `blobfish-config` reads the configuration file.

mod admin;
mod chunked_body;
mod cli;
mod clock;
mod content_length;
mod header_syntax;
mod inbound;
mod known_dialects;
mod process;
mod request;
mod target;
mod telemetry;

use std::io::Write as _;
use std::process::ExitCode;

use blobfish_store::Location;
use clap::Parser as _;

use crate::cli::args::{self, Cli, Command, ServeArgs, UsageError};
use crate::cli::{doctor, explain, init, losses};
use crate::process::{config_file, demo, sockets, startup, upgrade};
use crate::request::active_config::ActiveConfig;
use crate::telemetry::access_log;

/// jemalloc, because its background thread returns free memory to the system within ten seconds, even when the
/// process is idle. Other allocators keep the memory that a thread freed until this thread allocates again.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut succeeded = true;
    let outcome = match cli.command.unwrap_or(Command::Serve(cli.serve)) {
        Command::Serve(options) => run_serve(options),
        Command::Upgrade(args) => upgrade::run_upgrade(args.socket.as_deref(), args.config.as_deref()),
        Command::Check { file } => {
            config_file::load_active_config(&file).map(report_warnings).map_err(Into::into)
        }
        Command::Init(args) => init::run_init(*args),
        Command::Doctor(args) => config_file::load_active_config(&args.config)
            .map_err(Into::into)
            .and_then(|config| doctor::run_doctor(&args, &config))
            .map(|(text, no_problem)| {
                succeeded = no_problem;
                text
            }),
        Command::Explain(args) => {
            let config = args.config.as_deref().map(config_file::load_active_config).transpose();
            // Exit code 1 means that the request would be rejected, so an invalid configuration counts as wrong usage.
            config
                .map_err(|error| UsageError(format!("{:#}", anyhow::Error::from(error))).into())
                .and_then(|config| explain::run_explain(&args, config.as_ref()))
                .map(|(text, is_accepted)| {
                    succeeded = is_accepted;
                    text
                })
        }
        Command::Losses { json } => Ok(losses::run_losses(json)),
        Command::Schema { markdown } => {
            let known = known_dialects::list_known_dialects();
            let schema = blobfish_config::build_schema(&known);
            Ok(if markdown { blobfish_config::render_reference(&schema) } else { format!("{schema:#}\n") })
        }
        Command::Completions { shell } => {
            Ok(String::from_utf8_lossy(&args::generate_completions(shell)).into_owned())
        }
    };
    let (text, code) = match outcome {
        Ok(text) => (text, ExitCode::from(u8::from(!succeeded))),
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{error:#}");
            (String::new(), ExitCode::from(if error.is::<UsageError>() { 2 } else { 1 }))
        }
    };
    // If the reader of a pipe has exited, no error can be reported to it.
    let _ = std::io::stdout().write_all(text.as_bytes());
    code
}

fn report_warnings(config: ActiveConfig) -> String {
    for warning in config.warnings() {
        let _ = writeln!(std::io::stderr(), "warning: {warning}");
    }
    "The configuration is valid.\n".to_owned()
}

fn run_serve(options: ServeArgs) -> anyhow::Result<String> {
    // Taking the sockets changes the environment, which is safe only while no other thread runs.
    let inherited = sockets::InheritedSockets::take();
    access_log::start();
    let result = inherited.and_then(|inherited| serve_with_sockets(options, inherited));
    if let Err(error) = &result {
        // During an upgrade the error goes to the running process, which reports it to `blobfish upgrade`.
        let _ = upgrade::notify_predecessor(&format!("{error:#}"));
    }
    result.map(|()| String::new())
}

fn serve_with_sockets(options: ServeArgs, inherited: sockets::InheritedSockets) -> anyhow::Result<()> {
    match options.config {
        Some(file) => {
            let (config, files) = config_file::read_config(&file);
            startup::run_server(config?, startup::ConfigSource::File(file, files), inherited)
        }
        None => {
            let location = if options.memory { Location::Memory } else { Location::Dir(options.data) };
            let options = demo::DemoOptions { listen: options.listen, admin: options.admin, location };
            let (config, store) = demo::prepare_demo(options)?;
            startup::run_server(config, startup::ConfigSource::Demo(Box::new(store)), inherited)
        }
    }
}
