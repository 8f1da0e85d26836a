//! The admin port: metrics, health checks, the console and its API.
//!
//! Uses: `request`, `target`, `telemetry`.

pub mod admin_api;
pub mod config_view;
pub mod explain;
pub mod status;
