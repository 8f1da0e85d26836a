//! Options of TCP sockets that the framework does not set. Connections to targets have them, and so have those of clients,
//! which inherit them from the listening socket (`process/sockets.rs`).

use std::io;

/// Bytes that the system holds for one connection before they are sent.
#[cfg(target_os = "linux")]
const UNSENT_BYTES_MAX: u32 = 128 * 1024;

/// Limits the bytes that the system accepts for a connection to what can be sent soon: a receiver that never reads would
/// otherwise have it hold megabytes. Bytes in flight are not counted, so that a long distance is no slower.
///
/// # Errors
/// The system's.
#[cfg(target_os = "linux")]
pub fn limit_unsent_bytes(socket: &impl std::os::fd::AsFd) -> io::Result<()> {
    socket2::SockRef::from(socket).set_tcp_notsent_lowat(UNSENT_BYTES_MAX)
}

/// There is no such bound.
///
/// # Errors
/// None.
#[cfg(not(target_os = "linux"))]
pub fn limit_unsent_bytes(_: &impl std::os::fd::AsFd) -> io::Result<()> {
    Ok(())
}
