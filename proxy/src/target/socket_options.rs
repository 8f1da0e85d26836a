//! TCP socket options that Pingora does not set. They are set on connections to targets, and on listening sockets
//! (`process/sockets.rs`), from which client connections inherit them.

use std::io;

/// Maximum number of unsent bytes in the send buffer of a connection.
#[cfg(target_os = "linux")]
const UNSENT_BYTES_MAX: u32 = 128 * 1024;

/// Limits the unsent bytes in the send buffer. Otherwise a receiver that never reads would occupy megabytes of kernel
/// memory. Bytes in flight are not counted, so the throughput over long distances does not suffer.
///
/// # Errors
/// The system's.
#[cfg(target_os = "linux")]
pub(crate) fn limit_unsent_bytes(socket: &impl std::os::fd::AsFd) -> io::Result<()> {
    socket2::SockRef::from(socket).set_tcp_notsent_lowat(UNSENT_BYTES_MAX)
}

/// Does nothing: this system has no such option.
///
/// # Errors
/// Never.
#[cfg(not(target_os = "linux"))]
pub fn limit_unsent_bytes(_: &impl std::os::fd::AsFd) -> io::Result<()> {
    Ok(())
}
