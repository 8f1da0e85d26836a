//! The process: startup, listening sockets, hot reload, drain, zero-downtime upgrade, supervisor, configuration file
//! and demo.
//!
//! Uses: `admin`, `request`, `inbound`, `target`, `telemetry`.

pub mod config_file;
pub mod demo;
pub mod lifecycle;
pub mod reload;
pub mod sockets;
pub mod startup;
pub mod supervisor;
pub mod upgrade;
