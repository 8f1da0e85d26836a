//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;

const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("BLOBFISH_COMMIT"), ")");

const EXAMPLES: &str = "\
Examples:
  blobfish                                     demo mode: an embedded store on 127.0.0.1:9000
  blobfish serve --config blobfish.toml        serve what the file says
  blobfish upgrade --config blobfish.toml      replace the running process, without a request lost
  blobfish check blobfish.toml                 find every mistake in a file
  blobfish explain --from cos --to oss r.http  show how a request is translated
  blobfish losses                              show what is lost between which dialects
  blobfish completions bash                    print completions for a shell

Exit codes: 0 fine, 1 the input is wrong, 2 usage.";

/// A reverse proxy for object storage that speaks several vendors' dialects.
#[derive(Debug, Parser)]
#[command(name = "blobfish", version = VERSION, after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// What to do; `serve` where nothing is said.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// How to serve, where no command is named.
    #[command(flatten)]
    pub serve: Serve,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve. Without a configuration: demo mode, with an embedded store, on this machine only
    #[command(
        after_help = "Examples:\n  blobfish serve\n  blobfish serve --memory --listen 127.0.0.1:9100\n  blobfish serve --config /etc/blobfish/blobfish.toml"
    )]
    Serve(Serve),
    /// Replace the running process by a new one of the program and configuration that are there now
    #[command(
        after_help = "Examples:\n  blobfish upgrade --config /etc/blobfish/blobfish.toml\n  blobfish upgrade --socket /run/blobfish/control.sock\n\nNo connection is refused and no request cut: the new process takes the listeners over once it serves, the old one\nends when its last request does. Where the new one cannot serve, the old one serves on, and the exit code is 1."
    )]
    Upgrade(Upgrade),
    /// Check a configuration file and report every mistake
    #[command(after_help = "Examples:\n  blobfish check blobfish.toml")]
    Check {
        /// The file
        file: PathBuf,
    },
    /// Show what a request means and how it is translated, without sending it
    #[command(
        after_help = "Examples:\n  blobfish explain --from cos --to oss request.http\n  blobfish explain --from s3 --to cos --json < request.http"
    )]
    Explain(Explain),
    /// Show which fields are native, emulated, lost or refused between which dialects
    Losses {
        /// JSON instead of Markdown
        #[arg(long)]
        json: bool,
    },
    /// Print completions for a shell
    #[command(after_help = "Examples:\n  blobfish completions zsh > ~/.zfunc/_blobfish")]
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// How to serve.
#[derive(Debug, Args)]
pub struct Serve {
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
    /// Address of the demo's metrics, on loopback
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9090", conflicts_with = "config")]
    pub admin: SocketAddr,
}

/// What to replace.
#[derive(Debug, Args)]
pub struct Upgrade {
    /// Configuration file of the running process, whose `[admin] control` is used
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Control socket of the running process
    #[arg(long, value_name = "PATH", conflicts_with = "config")]
    pub socket: Option<PathBuf>,
}

/// What to explain.
#[derive(Debug, Args)]
pub struct Explain {
    /// Dialect that the caller speaks
    #[arg(long, value_name = "DIALECT")]
    pub from: String,
    /// Dialect or profile of the target
    #[arg(long, value_name = "DIALECT")]
    pub to: String,
    /// Configuration whose buckets are used
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// JSON instead of text
    #[arg(long)]
    pub json: bool,
    /// The request as it would be sent; standard input where absent or `-`
    #[arg(value_name = "REQUEST.http")]
    pub request: Option<PathBuf>,
}

/// The completions of a shell.
pub fn completions(shell: Shell) -> Vec<u8> {
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
    fn the_demo_is_what_runs_without_words() {
        let cli = Cli::try_parse_from(["blobfish", "--memory", "--listen", "127.0.0.1:9100"]).unwrap();
        assert!(cli.command.is_none() && cli.serve.memory);
        assert!(Cli::try_parse_from(["blobfish", "serve", "--config", "f", "--memory"]).is_err());
        assert!(Cli::try_parse_from(["blobfish", "serve", "--config", "f"]).is_ok());
    }
}
