//! The arguments of the command line, and the `--help` texts.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("BLOBFISH_COMMIT"), ")");

const EXAMPLES: &str = "\
Examples:
  blobfish                                     demo mode: an embedded store on 127.0.0.1:9000
  blobfish init                                write a configuration interactively
  blobfish check blobfish.toml                 validate a configuration file
  blobfish doctor --config blobfish.toml       test the targets
  blobfish serve --config blobfish.toml        serve with this configuration
  blobfish upgrade --config blobfish.toml      replace the running process with zero downtime
  blobfish explain --from cos --to oss r.http  show how a request is translated
  blobfish losses                              show which fields are lost between dialects
  blobfish schema                              print the JSON Schema of configurations
  blobfish completions bash                    print shell completions

Exit codes: 0 success, 1 invalid input or failure, 2 wrong usage.";

const INIT_EXAMPLES: &str = "\
Examples:
  blobfish init
  blobfish init --caller-dialect cos --target-dialect oss --region cn-hangzhou \\
      --bucket photos-1250000000=photos --access-key LTAIEXAMPLE
  blobfish init --caller-dialect s3 --target-dialect seaweedfs --endpoint http://127.0.0.1:8333 \\
      --region us-east-1 --bucket '*' --access-key ADMIN --secrets file

Blobfish never asks for the secret key: the configuration names the environment variable or file that contains it.";

const DOCTOR_EXAMPLES: &str = "\
Examples:
  blobfish doctor --config blobfish.toml
  blobfish doctor --config blobfish.toml --target aliyun --bucket photos --json
  blobfish doctor --config blobfish.toml --read-only

Scratch objects with the prefix blobfish-doctor- are written to the bucket and deleted afterwards.
Exit codes: 0 no problem (warnings are allowed), 1 a problem, 2 wrong usage.";

const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  blobfish completions bash > /etc/bash_completion.d/blobfish
  blobfish completions zsh > ~/.zfunc/_blobfish
  blobfish completions fish > ~/.config/fish/completions/blobfish.fish";

/// A reverse proxy that translates between the object storage dialects of S3, COS, OSS and JD Cloud
#[derive(Debug, Parser)]
// `blobfish --memory` is `blobfish serve --memory`, so the options of `serve` are also options of the program.
#[command(name = "blobfish", version = VERSION, after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    /// The command; `serve` by default.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The options of `serve`, if no command is given.
    #[command(flatten)]
    pub serve: ServeArgs,
}

/// A command.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start the proxy. Without a configuration: demo mode with an embedded store, on loopback only
    #[command(
        after_help = "Examples:\n  blobfish serve\n  blobfish serve --memory --listen 127.0.0.1:9100\n  blobfish serve --config /etc/blobfish/blobfish.toml"
    )]
    Serve(ServeArgs),
    /// Replace the running process, with zero downtime, by the installed program and the current configuration
    #[command(
        after_help = "Examples:\n  blobfish upgrade --config /etc/blobfish/blobfish.toml\n  blobfish upgrade --socket /run/blobfish/control.sock\n\nNo connection is rejected and no request is aborted: the new process inherits the listening sockets, and the old one drains\nand exits after its last request. If the new process cannot start, the old one continues to serve and the exit code is 1."
    )]
    Upgrade(UpgradeArgs),
    /// Validate a configuration file and report every error
    #[command(after_help = "Examples:\n  blobfish check blobfish.toml")]
    Check {
        /// The configuration file
        file: PathBuf,
    },
    /// Write a commented configuration, from flags or interactively on a terminal
    #[command(after_help = INIT_EXAMPLES)]
    Init(Box<InitArgs>),
    /// Test each target, and compare what it supports with what the configuration relies on
    #[command(after_help = DOCTOR_EXAMPLES)]
    Doctor(DoctorArgs),
    /// Show how a request is translated, without sending it
    #[command(
        after_help = "Examples:\n  blobfish explain --from cos --to oss request.http\n  blobfish explain --from s3 --to cos --json < request.http\n  blobfish explain --from cos --config blobfish.toml request.http\n\nThe request is the text of HTTP or a curl command. Signatures are not verified.\nExit codes: 0 the request is accepted, 1 it would be rejected, 2 wrong usage."
    )]
    Explain(ExplainArgs),
    /// Show which fields are native, emulated, lost or rejected between dialects
    #[command(after_help = "Examples:\n  blobfish losses > losses.md\n  blobfish losses --json")]
    Losses {
        /// Print JSON instead of Markdown
        #[arg(long)]
        json: bool,
    },
    /// Print the JSON Schema of the configuration file, for editors
    #[command(
        after_help = "Examples:\n  blobfish schema > blobfish.schema.json\n  blobfish schema --markdown"
    )]
    Schema {
        /// Print Markdown tables instead
        #[arg(long)]
        markdown: bool,
    },
    /// Print shell completions
    #[command(after_help = COMPLETIONS_EXAMPLES)]
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// The options of `serve`.
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Configuration file
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Directory of the embedded store (demo mode)
    #[arg(long, value_name = "DIR", default_value = "blobfish-data", conflicts_with = "config")]
    pub data: PathBuf,
    /// Keep the objects in memory (demo mode)
    #[arg(long, conflicts_with_all = ["config", "data"])]
    pub memory: bool,
    #[allow(rustdoc::broken_intra_doc_links, reason = "help shows this text as it is, with an IPv6 address")]
    /// Listen address, loopback only (demo mode) [default: 127.0.0.1:9000 and [::1]:9000]
    #[arg(long, value_name = "ADDR", conflicts_with = "config")]
    pub listen: Vec<SocketAddr>,
    /// Admin address for console and metrics, loopback only (demo mode)
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9090", conflicts_with = "config")]
    pub admin: SocketAddr,
}

/// The options of `upgrade`.
#[derive(Debug, Args)]
pub(crate) struct UpgradeArgs {
    /// Configuration file of the running process; its `[admin] control_socket` is used
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Control socket of the running process
    #[arg(long, value_name = "PATH", conflicts_with = "config")]
    pub socket: Option<PathBuf>,
}

/// The options of `explain`.
#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// Dialect of the client
    #[arg(long, value_name = "DIALECT")]
    pub from: String,
    /// Dialect or profile of a sample target
    #[arg(long, value_name = "DIALECT", required_unless_present = "config", conflicts_with = "config")]
    pub to: Option<String>,
    /// Configuration file with the routes, targets and policies to use
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print JSON instead of text
    #[arg(long)]
    pub json: bool,
    /// The request as it would be sent, with its document after an empty line, or a curl command [default: standard input]
    #[arg(value_name = "REQUEST.http")]
    pub request: Option<PathBuf>,
}

/// The options of `doctor`.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Configuration file
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Test only this target; may be repeated [default: all]
    #[arg(long, value_name = "NAME")]
    pub target: Vec<String>,
    /// Bucket to test, by the name that clients use [default: the first bucket of each target that is not a pattern]
    #[arg(long, value_name = "NAME")]
    pub bucket: Option<String>,
    /// Do not write objects
    #[arg(long)]
    pub read_only: bool,
    /// Print JSON instead of text
    #[arg(long)]
    pub json: bool,
}

/// The options of `init`.
#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// Configuration file to write
    #[arg(long, value_name = "FILE", default_value = "blobfish.toml")]
    pub output: PathBuf,
    // Generated, because a doc comment cannot list the dialects that exist.
    #[arg(long, value_name = "DIALECT", help = format!("Dialect of the application: {}", list_caller_dialects().join(", ")))]
    pub caller_dialect: Option<String>,
    #[arg(long, value_name = "DIALECT", help = format!("Dialect or profile of the target: {}", list_target_dialects().join(", ")))]
    pub target_dialect: Option<String>,
    /// Profile of the dialect
    #[arg(long, value_name = "PROFILE")]
    pub profile: Option<String>,
    /// Endpoint of the target [default: the vendor's endpoint of the region]
    #[arg(long, value_name = "URL")]
    pub endpoint: Option<String>,
    /// Region of the target [default: the region in the endpoint's host name]
    #[arg(long, value_name = "REGION")]
    pub region: Option<String>,
    /// Where the bucket is in a request [default: virtual, or path for an IP address]
    #[arg(long, value_enum, value_name = "WHERE")]
    pub addressing: Option<AddressingArg>,
    /// Allow plain HTTP to a target on another machine
    #[arg(long)]
    pub insecure: bool,
    /// PEM file of certificate authorities to trust in addition to the system's
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Bucket name that the application uses, and its name at the target if different; `*` is every bucket. May be repeated
    #[arg(long, value_name = "NAME[=TARGET NAME]")]
    pub bucket: Vec<String>,
    /// Who evaluates the conditions of copies [default: the target, if it supports them]
    #[arg(long, value_name = "WHO")]
    pub conditions: Option<ConditionsArg>,
    /// Access key ID at the target
    #[arg(long, value_name = "ID")]
    pub access_key: Option<String>,
    /// Environment variable with the secret key [default: the target's name and _SECRET]
    #[arg(long, value_name = "VARIABLE")]
    pub secret_env: Option<String>,
    /// File with the secret key, instead of an environment variable
    #[arg(long, value_name = "FILE", conflicts_with = "secret_env")]
    pub secret_file: Option<PathBuf>,
    /// Where the application's secret key is stored [default: env]
    #[arg(long, value_enum, value_name = "WHERE")]
    pub secrets: Option<SecretSource>,
    /// Listen address for clients
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9000")]
    pub listen: SocketAddr,
    /// Listen address of the admin port
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9090")]
    pub admin: SocketAddr,
    /// Replace existing files
    #[arg(long)]
    pub force: bool,
}

/// Where a request contains the bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum AddressingArg {
    /// In the host: bucket.endpoint
    Virtual,
    /// In the path: endpoint/bucket
    Path,
}

/// Who evaluates the conditions of copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ConditionsArg {
    /// The target
    Native,
    /// Blobfish, with a HEAD request before the copy
    Check,
}

/// Where the caller's secret key is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SecretSource {
    /// In an environment variable that you set
    Env,
    /// Generated, in a file that only its owner can read
    File,
    /// Generated, in the configuration file: everyone who can read the file can read the key
    Literal,
}

/// Wrong usage of the command line; the exit code is 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct UsageError(pub String);

/// Generates the completions of a shell.
pub(crate) fn generate_completions(shell: Shell) -> Vec<u8> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "blobfish", &mut text);
    text
}

/// Lists the dialects of clients.
pub(crate) fn list_caller_dialects() -> Vec<&'static str> {
    blobfish_dialects::DIALECTS.iter().map(|dialect| dialect.name).collect()
}

/// Lists the dialects of targets, each followed by its profiles.
pub(crate) fn list_target_dialects() -> Vec<&'static str> {
    let dialects = blobfish_dialects::list_configurable_dialects().into_iter();
    dialects.flat_map(|dialect| std::iter::once(dialect.name).chain(dialect.profiles)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_line_definition_is_valid() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_examples() {
        for command in Cli::command().get_subcommands() {
            let name = command.get_name();
            let help = command.clone().render_long_help().to_string();
            assert!(help.contains(&format!("Examples:\n  blobfish {name}")), "{name}");
            assert!(EXAMPLES.contains(&format!("  blobfish {name}")), "{name}");
        }
    }

    #[test]
    fn demo_mode_starts_without_arguments() {
        let cli = Cli::try_parse_from(["blobfish", "--memory", "--listen", "127.0.0.1:9100"]).unwrap();
        assert!(cli.command.is_none() && cli.serve.memory);
        assert!(Cli::try_parse_from(["blobfish", "serve", "--config", "f", "--memory"]).is_err());
        assert!(Cli::try_parse_from(["blobfish", "serve", "--config", "f"]).is_ok());
    }
}
