//! Handing the listeners to a new process of the same program, so that no connection is refused and no request is cut.
//!
//! Whoever runs `blobfish upgrade` asks for it on a private socket. The running process starts its own command line
//! again, hands over duplicates of its listening sockets, and serves on until the new process says on its standard
//! input, which is a socket, that it accepts connections. Both accept from one queue then, so that nothing in it is
//! lost when the old one closes its duplicates. A new process that says anything else, or nothing, is ended.

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

/// What a new process says once it accepts connections.
pub const READY: &str = "ready\n";

/// What the running process is asked for.
const UPGRADE_REQUEST: &str = "upgrade\n";

/// How answers begin.
const DONE_PREFIX: &str = "done: ";

/// Tells a new process that it was started to take over, and that its standard input is the way to say so.
const PREDECESSOR_VARIABLE: &str = "BLOBFISH_PREDECESSOR";

/// A new process is ready within this, or it is ended. Reading a configuration takes milliseconds, unless its files are
/// on a machine that does not answer.
const START_TIME_MAX: Duration = Duration::from_secs(60);

/// Whoever connects says what it wants within this, and takes the answer.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(5);

/// All the mistakes of a long configuration.
const REPORT_BYTES_MAX: u64 = 256 * 1024;

/// The process that a container ends with.
const FIRST_PROCESS: u32 = 1;

/// The socket on which this process is asked to hand over. Its file goes with it.
pub struct ControlSocket {
    listener: UnixListener,
    path: PathBuf,
    inode: u64,
    owner: u32,
}

impl ControlSocket {
    /// Opens it. What another process had open there is replaced in one step.
    ///
    /// # Errors
    /// Something else than a socket is there, or the folder cannot be written to.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        if fs::symlink_metadata(path).is_ok_and(|there| !there.file_type().is_socket()) {
            bail!("there is a file that is no socket");
        }
        let mut new = path.as_os_str().to_owned();
        new.push(format!(".{}", process::id()));
        let listener = UnixListener::bind(&new)?;
        fs::set_permissions(&new, fs::Permissions::from_mode(0o600))?;
        let metadata = fs::symlink_metadata(&new)?;
        fs::rename(&new, path)?;
        Ok(Self { listener, path: path.to_owned(), inode: metadata.ino(), owner: metadata.uid() })
    }

    /// The next one who asks to hand over and may.
    async fn accept_upgrade_request(&self) -> io::Result<UnixStream> {
        loop {
            let (mut stream, _) = self.listener.accept().await?;
            let peer = stream.peer_cred()?.uid();
            let mut request = [0; UPGRADE_REQUEST.len()];
            let read = timeout(REQUEST_TIME_MAX, stream.read_exact(&mut request)).await;
            if peer != self.owner {
                tracing::warn!(uid = peer, "another user asked for an upgrade");
                let _ = stream.write_all(b"only the user that it runs as may ask for an upgrade").await;
            } else if matches!(read, Ok(Ok(_))) && request == UPGRADE_REQUEST.as_bytes() {
                return Ok(stream);
            } else {
                let _ = stream.write_all(b"not understood").await;
            }
        }
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|there| there.ino() == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The process that has taken over.
pub struct Successor {
    pid: u32,
    /// Open for as long as it lives.
    stream: UnixStream,
}

impl Successor {
    /// Waits until it is no more.
    pub async fn wait_for_exit(&mut self) {
        let _ = self.stream.read_u8().await;
    }
}

/// Waits to be asked to hand over, until that was done; the new process.
pub async fn wait_for_upgrade(
    control: Option<&ControlSocket>,
    sockets: &Sockets,
    shutdown: &Shutdown,
) -> Successor {
    let Some(control) = control else { return std::future::pending().await };
    loop {
        let mut stream = match control.accept_upgrade_request().await {
            Ok(stream) => stream,
            Err(error) => {
                tracing::error!(%error, "the control socket");
                sleep(Duration::from_secs(1)).await;
                continue;
            }
        };
        tracing::info!("an upgrade was asked for");
        match hand_over(sockets, shutdown).await {
            Ok(successor) => {
                let pid = successor.pid;
                supervisor::notify_main_pid(pid);
                let own = process::id();
                tracing::info!("process {pid} has taken over");
                let response = format!(
                    "{DONE_PREFIX}process {pid} serves, process {own} ends when its last request does\n"
                );
                let _ = stream.write_all(response.as_bytes()).await;
                shutdown.request(ShutdownReason::Upgrade);
                return successor;
            }
            Err(error) => {
                tracing::error!("no upgrade, this process serves on: {error:#}");
                let serves_on =
                    if shutdown.reason().is_none() { "; the running process serves on" } else { "" };
                let response = format!("not upgraded{serves_on}\n{error:#}");
                let _ = timeout(REQUEST_TIME_MAX, stream.write_all(response.as_bytes())).await;
            }
        }
    }
}

/// Starts a new process and waits until it serves.
async fn hand_over(sockets: &Sockets, shutdown: &Shutdown) -> anyhow::Result<Successor> {
    if process::id() == FIRST_PROCESS {
        bail!(
            "this process is the first of a container, which ends with it: start another container instead"
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
        _ = shutdown.wait() => Some(anyhow!("the running process was told to stop")),
    };
    // One that has said why ends by itself: it may be written down how.
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

/// Starts this process's command line again, whatever program is there now. Gives also the socket that it reports to.
fn start_successor(sockets: &Sockets) -> anyhow::Result<(Child, UnixStream)> {
    let mut arguments = env::args_os();
    let program = arguments.next().context("this process does not know its own program")?;
    let (ours, theirs) = BlockingStream::pair().context("a socket for the new process")?;
    ours.set_nonblocking(true).context("a socket for the new process")?;
    let listeners = sockets.duplicate().context("the listening sockets")?;
    let mut command = Command::new(&program);
    command
        .args(arguments)
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .env(PREDECESSOR_VARIABLE, "1")
        .env("LISTEN_FDS", listeners.len().to_string())
        // These name this process, and the new one is meant as well.
        .env_remove("LISTEN_PID")
        .env_remove("WATCHDOG_PID")
        .fd_mappings(listeners)
        .context("the listening sockets")?;
    let child = command.spawn().with_context(|| format!("{} cannot be started", program.display()))?;
    Ok((child, UnixStream::from_std(ours).context("a socket for the new process")?))
}

/// Whether a new process serves; `false` where it went without a word.
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

/// Says something to the process that started this one to take over; `false` where it was started by anybody else.
///
/// # Errors
/// That process does not listen any more.
pub fn notify_predecessor(text: &str) -> io::Result<bool> {
    if env::var_os(PREDECESSOR_VARIABLE).is_none() {
        return Ok(false);
    }
    let stdin = io::stdin().as_fd().try_clone_to_owned()?;
    BlockingStream::from(stdin).write_all(text.as_bytes())?;
    Ok(true)
}

/// `blobfish upgrade`: asks the running process to hand over, and tells what came of it.
///
/// # Errors
/// There is none, or it serves on, with the reason.
pub fn run_upgrade(socket: Option<&Path>, config: Option<&Path>) -> anyhow::Result<String> {
    let path = match (socket, config) {
        (Some(socket), _) => socket.to_owned(),
        (None, Some(config)) => read_control_path(config)?,
        (None, None) => bail!(
            "say --config FILE or --socket PATH. Demo mode cannot be upgraded, as its store belongs to one process: \
             stop it and start it again"
        ),
    };
    let mut stream = BlockingStream::connect(&path)
        .with_context(|| format!("{}: no running process can be asked there", path.display()))?;
    stream.set_read_timeout(Some(START_TIME_MAX * 2)).context("the control socket")?;
    stream.write_all(UPGRADE_REQUEST.as_bytes()).context("the running process cannot be asked")?;
    let mut response = String::new();
    let read = stream.take(REPORT_BYTES_MAX + 1024).read_to_string(&mut response);
    match response.strip_prefix(DONE_PREFIX) {
        Some(message) => Ok(message.to_owned()),
        None if response.is_empty() => {
            read.context("the running process did not answer")?;
            bail!(
                "the running process did not answer: it may be ending, or another upgrade may have come first"
            )
        }
        None => bail!("{}", response.trim_end()),
    }
}

/// The control socket that a configuration names. Nothing else in the file has to be right: the new process reads it.
fn read_control_path(config: &Path) -> anyhow::Result<PathBuf> {
    let text = fs::read_to_string(config).with_context(|| config.display().to_string())?;
    blobfish_config::find_control_socket(&text).with_context(|| {
        format!(
            "{}: no [admin] control_socket: add control_socket = \"/run/blobfish/control.sock\" and restart",
            config.display()
        )
    })
}
