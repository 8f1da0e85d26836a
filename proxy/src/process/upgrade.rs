//! Zero-downtime upgrade: a new process takes over the listening sockets, so that no connection is rejected and no
//! request is aborted.
//!
//! `blobfish upgrade` requests it on the control socket. The running process starts its own command line again,
//! passes duplicates of its listening sockets to the new process, and continues to serve until the new process
//! reports on its standard input, which is a socket, that it accepts connections. From then on both accept from the
//! same queue, so no queued connection is lost when the old process closes its duplicates. A new process that reports
//! anything else is terminated.

use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use std::{env, fs, process};

use anyhow::{Context as _, anyhow, bail};
use command_fds::CommandFdExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::{sleep, timeout};

use crate::inbound::shutdown::{Shutdown, ShutdownReason};
use crate::process::sockets::Sockets;
use crate::process::supervisor;

/// The report of a new process that accepts connections.
pub(crate) const READY: &str = "ready\n";

/// The request on the control socket.
const UPGRADE_REQUEST: &str = "upgrade\n";

/// The prefix of successful responses on the control socket.
const DONE_PREFIX: &str = "done: ";

/// Set for a new process that is started for an upgrade: its standard input is the socket for its report.
const PREDECESSOR_VARIABLE: &str = "BLOBFISH_PREDECESSOR";

/// Time limit for a new process to become ready. Reading a configuration takes milliseconds, unless its files are on
/// a network file system that does not respond.
const START_TIME_MAX: Duration = Duration::from_secs(60);

/// Time limit for a request on the control socket, and for its response.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(5);

/// Size limit of a report: enough for every error of a long configuration.
const REPORT_BYTES_MAX: u64 = 256 * 1024;

/// The process ID of the main process of a container.
const CONTAINER_MAIN_PID: u32 = 1;

/// The control socket. Dropping it removes its file.
pub(crate) struct ControlSocket {
    listener: UnixListener,
    path: PathBuf,
    inode: u64,
    owner: u32,
}

impl ControlSocket {
    /// Opens the socket, and replaces the socket of another process atomically.
    ///
    /// # Errors
    /// The path is an existing file that is not a socket, or the directory is not writable.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        if fs::symlink_metadata(path).is_ok_and(|there| !there.file_type().is_socket()) {
            bail!("the file exists and is not a socket");
        }
        // Bind to a temporary name and rename it: the predecessor's socket stays reachable until this one is ready.
        let mut new = path.as_os_str().to_owned();
        new.push(format!(".{}", process::id()));
        let listener = UnixListener::bind(&new)?;
        fs::set_permissions(&new, fs::Permissions::from_mode(0o600))?;
        let metadata = fs::symlink_metadata(&new)?;
        fs::rename(&new, path)?;
        Ok(Self { listener, path: path.to_owned(), inode: metadata.ino(), owner: metadata.uid() })
    }

    /// Waits for the next permitted upgrade request.
    async fn accept_upgrade_request(&self) -> io::Result<UnixStream> {
        loop {
            let (mut stream, _) = self.listener.accept().await?;
            let peer = stream.peer_cred()?.uid();
            let mut request = [0; UPGRADE_REQUEST.len()];
            let read = timeout(REQUEST_TIME_MAX, stream.read_exact(&mut request)).await;
            if peer != self.owner {
                tracing::warn!(uid = peer, "rejected an upgrade request of another user");
                let _ = stream.write_all(b"only the user that Blobfish runs as may request an upgrade").await;
            } else if matches!(read, Ok(Ok(_))) && request == UPGRADE_REQUEST.as_bytes() {
                return Ok(stream);
            } else {
                let _ = stream.write_all(b"unknown request").await;
            }
        }
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        // After an upgrade the path belongs to the new process and has another inode.
        if fs::symlink_metadata(&self.path).is_ok_and(|there| there.ino() == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The process that has taken over.
pub(crate) struct Successor {
    pid: u32,
    /// Open while the process lives.
    stream: UnixStream,
}

impl Successor {
    /// Waits until the process exits.
    pub(crate) async fn wait_for_exit(&mut self) {
        let _ = self.stream.read_u8().await;
    }
}

/// Waits for an upgrade request that succeeds, and returns the new process.
pub(crate) async fn wait_for_upgrade(
    control: Option<&ControlSocket>,
    sockets: &Sockets,
    shutdown: &Shutdown,
) -> Successor {
    let Some(control) = control else { return std::future::pending().await };
    loop {
        let mut stream = match control.accept_upgrade_request().await {
            Ok(stream) => stream,
            Err(error) => {
                tracing::error!(%error, "cannot accept on the control socket");
                sleep(Duration::from_secs(1)).await;
                continue;
            }
        };
        tracing::info!("upgrade requested");
        match hand_over(sockets, shutdown).await {
            Ok(successor) => {
                let pid = successor.pid;
                supervisor::notify_main_pid(pid);
                let own = process::id();
                tracing::info!("process {pid} has taken over");
                let response = format!(
                    "{DONE_PREFIX}process {pid} serves; process {own} drains and exits after its last request\n"
                );
                let _ = stream.write_all(response.as_bytes()).await;
                shutdown.request(ShutdownReason::Upgrade);
                return successor;
            }
            Err(error) => {
                tracing::error!("the upgrade failed; this process continues to serve: {error:#}");
                let serves_on =
                    if shutdown.reason().is_none() { "; the running process continues to serve" } else { "" };
                let response = format!("The upgrade failed{serves_on}.\n{error:#}");
                let _ = timeout(REQUEST_TIME_MAX, stream.write_all(response.as_bytes())).await;
            }
        }
    }
}

/// Starts a new process and waits until it is ready.
async fn hand_over(sockets: &Sockets, shutdown: &Shutdown) -> anyhow::Result<Successor> {
    if process::id() == CONTAINER_MAIN_PID {
        bail!(
            "this is the main process of a container, and the container ends with it; start another container instead"
        );
    }
    let (mut child, mut report_stream) = start_successor(sockets)?;
    let outcome = tokio::select! {
        ready = timeout(START_TIME_MAX, wait_for_ready(&mut report_stream)) => match ready {
            Ok(Ok(true)) => return Ok(Successor { pid: child.id(), stream: report_stream }),
            Ok(Ok(false)) => None,
            Ok(Err(error)) => Some(error),
            Err(_) => Some(anyhow!("the new process was not ready within {} seconds", START_TIME_MAX.as_secs())),
        },
        _ = shutdown.wait() => Some(anyhow!("the running process is shutting down")),
    };
    // A process that reported an error is killed. One that closed its socket is exiting, and has a useful exit status.
    if outcome.is_some() {
        let _ = child.kill();
    }
    let status =
        tokio::task::spawn_blocking(move || wait_for_exit_status(child)).await.context("the new process")?;
    match outcome {
        Some(error) => Err(error),
        None => bail!("the new process ended before it was ready ({status})"),
    }
}

/// Starts this process's command line again, with the program that is installed now. Also returns the socket for its
/// report.
fn start_successor(sockets: &Sockets) -> anyhow::Result<(Child, UnixStream)> {
    let mut arguments = env::args_os();
    let program = arguments.next().context("the path of this program is unknown")?;
    let (ours, theirs) = BlockingStream::pair().context("a socket for the new process")?;
    ours.set_nonblocking(true).context("a socket for the new process")?;
    let listeners = sockets.duplicate().context("the listening sockets")?;
    let mut command = Command::new(&program);
    command
        .args(arguments)
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .env(PREDECESSOR_VARIABLE, "1")
        .env("LISTEN_FDS", listeners.len().to_string())
        // These contain the process ID of this process. Without them they apply to the new one too.
        .env_remove("LISTEN_PID")
        .env_remove("WATCHDOG_PID")
        .fd_mappings(listeners)
        .context("the listening sockets")?;
    let child = command.spawn().with_context(|| format!("cannot start {}", program.display()))?;
    Ok((child, UnixStream::from_std(ours).context("a socket for the new process")?))
}

/// Whether a new process is ready; `false` if it closed its socket without a report.
async fn wait_for_ready(stream: &mut UnixStream) -> anyhow::Result<bool> {
    let mut report = Vec::new();
    let mut stream = stream.take(REPORT_BYTES_MAX);
    while report != READY.as_bytes() {
        if stream.read_buf(&mut report).await.unwrap_or(0) == 0 {
            let report = String::from_utf8_lossy(&report);
            return if report.is_empty() { Ok(false) } else { bail!("{report}") };
        }
    }
    Ok(true)
}

fn wait_for_exit_status(mut child: Child) -> String {
    child.wait().map_or_else(|error| error.to_string(), |status| status.to_string())
}

/// Reports to the predecessor; `false` if this process was not started for an upgrade.
///
/// # Errors
/// The predecessor has closed the socket.
pub(crate) fn notify_predecessor(text: &str) -> io::Result<bool> {
    if env::var_os(PREDECESSOR_VARIABLE).is_none() {
        return Ok(false);
    }
    let stdin = io::stdin().as_fd().try_clone_to_owned()?;
    BlockingStream::from(stdin).write_all(text.as_bytes())?;
    Ok(true)
}

/// Runs `blobfish upgrade`: requests an upgrade from the running process and returns its response.
///
/// # Errors
/// There is none, or it serves on, with the reason.
pub(crate) fn run_upgrade(socket: Option<&Path>, config: Option<&Path>) -> anyhow::Result<String> {
    let path = match (socket, config) {
        (Some(socket), _) => socket.to_owned(),
        (None, Some(config)) => read_control_path(config)?,
        (None, None) => bail!(
            "Use --config FILE or --socket PATH. Demo mode cannot be upgraded, because its store belongs to one process: \
             restart it instead."
        ),
    };
    let mut stream = BlockingStream::connect(&path)
        .with_context(|| format!("{}: no running process listens on this socket", path.display()))?;
    stream.set_read_timeout(Some(START_TIME_MAX * 2)).context("the control socket")?;
    stream.write_all(UPGRADE_REQUEST.as_bytes()).context("cannot send the request to the running process")?;
    let mut response = String::new();
    let read = stream.take(REPORT_BYTES_MAX + 1024).read_to_string(&mut response);
    match response.strip_prefix(DONE_PREFIX) {
        Some(message) => Ok(message.to_owned()),
        None if response.is_empty() => {
            read.context("the running process did not respond")?;
            bail!(
                "the running process did not respond: it may be shutting down, or another upgrade may have come first"
            )
        }
        None => bail!("{}", response.trim_end()),
    }
}

/// Reads the path of the control socket from a configuration. The rest of the file is validated by the new process.
fn read_control_path(config: &Path) -> anyhow::Result<PathBuf> {
    let text = fs::read_to_string(config).with_context(|| config.display().to_string())?;
    blobfish_config::find_control_socket(&text).with_context(|| {
        format!(
            "{}: [admin] control_socket is missing; add control_socket = \"/run/blobfish/control.sock\" and restart",
            config.display()
        )
    })
}
