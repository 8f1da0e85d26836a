//! The process: startup, listening sockets, hot reload, drain, zero-downtime upgrade, supervisor, configuration file
//! and demo.
//!
//! Uses: `admin`, `request`, `inbound`, `target`, `telemetry`.

pub(crate) mod config_file;
pub(crate) mod demo;
pub(crate) mod lifecycle;
pub(crate) mod reload;
pub(crate) mod sockets;
pub(crate) mod startup;
pub(crate) mod supervisor;
pub(crate) mod upgrade;
