//! The command line: its arguments, and the commands doctor, init, explain and losses.
//!
//! Uses: `process`, `admin`, `request`, `inbound`, `target`, `telemetry`.

pub mod args;
pub mod doctor;
pub mod explain;
pub mod init;
pub mod losses;
