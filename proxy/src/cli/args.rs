//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("BLOBFISH_COMMIT"), ")");

const EXAMPLES: &str = "\
Examples:
  blobfish                                     demo mode: an embedded store on 127.0.0.1:9000
  blobfish init                                write a configuration, after a few questions
  blobfish check blobfish.toml                 find every mistake in a file
  blobfish doctor --config blobfish.toml       ask the targets what they can do
  blobfish serve --config blobfish.toml        serve what the file says
  blobfish upgrade --config blobfish.toml      replace the running process, without a request lost
  blobfish explain --from cos --to oss r.http  show how a request is translated
  blobfish losses                              show what is lost between which dialects
  blobfish schema                              print the JSON Schema of configurations
  blobfish completions bash                    print completions for a shell

Exit codes: 0 fine, 1 the input is wrong, 2 usage.";

const INIT_EXAMPLES: &str = "\
Examples:
  blobfish init
  blobfish init --caller-dialect cos --target-dialect oss --region cn-hangzhou \\
      --bucket photos-1250000000=photos --access-key LTAIEXAMPLE
  blobfish init --caller-dialect s3 --target-dialect seaweedfs --endpoint http://127.0.0.1:8333 \\
      --region us-east-1 --bucket '*' --access-key ADMIN --secrets file

The secret of the access key is never asked: the file names the variable or file that it comes from.";

const DOCTOR_EXAMPLES: &str = "\
Examples:
  blobfish doctor --config blobfish.toml
  blobfish doctor --config blobfish.toml --target aliyun --bucket photos --json
  blobfish doctor --config blobfish.toml --read-only

Scratch objects below blobfish-doctor-... are written to the bucket and deleted afterwards.
Exit codes: 0 fine (warnings allowed), 1 a problem, 2 usage.";

const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  blobfish completions bash > /etc/bash_completion.d/blobfish
  blobfish completions zsh > ~/.zfunc/_blobfish
  blobfish completions fish > ~/.config/fish/completions/blobfish.fish";

/// A reverse proxy for object storage that speaks several vendors' dialects.
#[derive(Debug, Parser)]
#[command(name = "blobfish", version = VERSION, after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// What to do; `serve` where nothing is said.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// How to serve, where no command is named.
    #[command(flatten)]
    pub serve: ServeArgs,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve. Without a configuration: demo mode, with an embedded store, on this machine only
    #[command(
        after_help = "Examples:\n  blobfish serve\n  blobfish serve --memory --listen 127.0.0.1:9100\n  blobfish serve --config /etc/blobfish/blobfish.toml"
    )]
    Serve(ServeArgs),
    /// Replace the running process by a new one of the program and configuration that are there now
    #[command(
        after_help = "Examples:\n  blobfish upgrade --config /etc/blobfish/blobfish.toml\n  blobfish upgrade --socket /run/blobfish/control.sock\n\nNo connection is refused and no request cut: the new process takes the listeners over once it serves, the old one\nends when its last request does. Where the new one cannot serve, the old one serves on, and the exit code is 1."
    )]
    Upgrade(UpgradeArgs),
    /// Check a configuration file and report every mistake
    #[command(after_help = "Examples:\n  blobfish check blobfish.toml")]
    Check {
        /// The file
        file: PathBuf,
    },
    /// Write a commented configuration, from flags or, on a terminal, from a few answers
    #[command(after_help = INIT_EXAMPLES)]
    Init(Box<InitArgs>),
    /// Ask each target what it is and can do, and compare that to what the configuration relies on
    #[command(after_help = DOCTOR_EXAMPLES)]
    Doctor(DoctorArgs),
    /// Show what a request means and how it is translated, without sending it
    #[command(
        after_help = "Examples:\n  blobfish explain --from cos --to oss request.http\n  blobfish explain --from s3 --to cos --json < request.http\n  blobfish explain --from cos --config blobfish.toml request.http\n\nThe request is the text of HTTP or a curl command. Signatures are not checked.\nExit codes: 0 the request is accepted, 1 it would be rejected, 2 usage."
    )]
    Explain(ExplainArgs),
    /// Show which fields are native, emulated, lost or rejected between which dialects
    #[command(after_help = "Examples:\n  blobfish losses > losses.md\n  blobfish losses --json")]
    Losses {
        /// JSON instead of Markdown
        #[arg(long)]
        json: bool,
    },
    /// Print the JSON Schema of the configuration, for editors
    #[command(
        after_help = "Examples:\n  blobfish schema > blobfish.schema.json\n  blobfish schema --markdown"
    )]
    Schema {
        /// The same as tables of Markdown, for people
        #[arg(long)]
        markdown: bool,
    },
    /// Print completions for a shell
    #[command(after_help = COMPLETIONS_EXAMPLES)]
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// How to serve.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Configuration file
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Folder of the demo's embedded store
    #[arg(long, value_name = "DIR", default_value = "blobfish-data", conflicts_with = "config")]
    pub data: PathBuf,
    /// Keep the demo's objects in memory
    #[arg(long, conflicts_with_all = ["config", "data"])]
    pub memory: bool,
    /// Address of the demo, on loopback [default: 127.0.0.1:9000 and [::1]:9000]
    #[arg(long, value_name = "ADDR", conflicts_with = "config")]
    pub listen: Vec<SocketAddr>,
    /// Address of the demo's console and metrics, on loopback
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9090", conflicts_with = "config")]
    pub admin: SocketAddr,
}

/// What to replace.
#[derive(Debug, Args)]
pub struct UpgradeArgs {
    /// Configuration file of the running process, whose `[admin] control` is used
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Control socket of the running process
    #[arg(long, value_name = "PATH", conflicts_with = "config")]
    pub socket: Option<PathBuf>,
}

/// What to explain.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// Dialect that the caller speaks
    #[arg(long, value_name = "DIALECT")]
    pub from: String,
    /// Dialect or profile of a sample target
    #[arg(long, value_name = "DIALECT", required_unless_present = "config", conflicts_with = "config")]
    pub to: Option<String>,
    /// Configuration whose routes, targets and policies are used
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// JSON instead of text
    #[arg(long)]
    pub json: bool,
    /// The request as it would be sent, with its document after an empty line, or a curl command [default: standard input]
    #[arg(value_name = "REQUEST.http")]
    pub request: Option<PathBuf>,
}

/// Whom to ask, and how.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Configuration file
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Only this target; may be repeated [default: all]
    #[arg(long, value_name = "NAME")]
    pub target: Vec<String>,
    /// Bucket to try, as callers say it [default: the first one of each target that is no pattern]
    #[arg(long, value_name = "NAME")]
    pub bucket: Option<String>,
    /// Write nothing
    #[arg(long)]
    pub read_only: bool,
    /// JSON instead of text
    #[arg(long)]
    pub json: bool,
}

/// What to write into a configuration.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// File to write
    #[arg(long, value_name = "FILE", default_value = "blobfish.toml")]
    pub output: PathBuf,
    /// Dialect that the app speaks: s3, jdcloud, cos, oss
    #[arg(long, value_name = "DIALECT")]
    pub caller_dialect: Option<String>,
    /// Dialect of the store, or one of its profiles: s3, aws, jdcloud, seaweedfs, cos, oss
    #[arg(long, value_name = "DIALECT")]
    pub target_dialect: Option<String>,
    /// Variety of the dialect
    #[arg(long, value_name = "PROFILE")]
    pub profile: Option<String>,
    /// End point of the store [default: the vendor's own in the region]
    #[arg(long, value_name = "URL")]
    pub endpoint: Option<String>,
    /// Region of the store [default: what the end point's name says]
    #[arg(long, value_name = "REGION")]
    pub region: Option<String>,
    /// Where the bucket goes [default: virtual, but path for an IP address]
    #[arg(long, value_enum, value_name = "WHERE")]
    pub addressing: Option<AddressingArg>,
    /// Plain http beyond this machine is meant
    #[arg(long)]
    pub insecure: bool,
    /// PEM file of authorities to trust beside the system's
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Bucket as the app says it, and its name at the store where that differs; `*` is every bucket. May be repeated
    #[arg(long, value_name = "NAME[=NAME THERE]")]
    pub bucket: Vec<String>,
    /// Who evaluates conditions of copies [default: the target, where it has any]
    #[arg(long, value_name = "WHO")]
    pub conditions: Option<ConditionsArg>,
    /// Access key id at the store
    #[arg(long, value_name = "ID")]
    pub access_key: Option<String>,
    /// Variable that the secret of that key comes from [default: the target's name and _SECRET]
    #[arg(long, value_name = "VARIABLE")]
    pub secret_env: Option<String>,
    /// File that the secret of that key comes from, instead of a variable
    #[arg(long, value_name = "FILE", conflicts_with = "secret_env")]
    pub secret_file: Option<PathBuf>,
    /// Where the secret of the app comes from [default: env]
    #[arg(long, value_enum, value_name = "WHERE")]
    pub secrets: Option<SecretSource>,
    /// Address for callers
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9000")]
    pub listen: SocketAddr,
    /// Address for operators
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9090")]
    pub admin: SocketAddr,
    /// Replace files that are there
    #[arg(long)]
    pub force: bool,
}

/// Where the bucket goes in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AddressingArg {
    /// In the host
    Virtual,
    /// In the path
    Path,
}

/// Who evaluates conditions of copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ConditionsArg {
    /// The target
    Native,
    /// Blobfish, which looks first
    Check,
}

/// Where the secret of the caller comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SecretSource {
    /// A variable that you set
    Env,
    /// A new one is made, in a file of its own that only its owner can read
    File,
    /// A new one is made, in the configuration itself
    Literal,
}

/// A command line that cannot be followed.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(pub String);

/// The completions of a shell.
pub fn generate_completions(shell: Shell) -> Vec<u8> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "blobfish", &mut text);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_shows_examples() {
        for command in Cli::command().get_subcommands() {
            let name = command.get_name();
            let help = command.clone().render_long_help().to_string();
            assert!(help.contains(&format!("Examples:\n  blobfish {name}")), "{name}");
            assert!(EXAMPLES.contains(&format!("  blobfish {name}")), "{name}");
        }
    }

    #[test]
    fn the_demo_is_what_runs_without_words() {
        let cli = Cli::try_parse_from(["blobfish", "--memory", "--listen", "127.0.0.1:9100"]).unwrap();
        assert!(cli.command.is_none() && cli.serve.memory);
        assert!(Cli::try_parse_from(["blobfish", "serve", "--config", "f", "--memory"]).is_err());
        assert!(Cli::try_parse_from(["blobfish", "serve", "--config", "f"]).is_ok());
    }
}
