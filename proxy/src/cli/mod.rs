//! The command line: its arguments, and the commands doctor, init, explain and losses.
//!
//! Uses: `process`, `admin`, `request`, `inbound`, `target`, `telemetry`.

pub(crate) mod args;
pub(crate) mod doctor;
pub(crate) mod explain;
pub(crate) mod init;
pub(crate) mod losses;
