//! The admin port: metrics, health checks, the console and its API, the explanation of a request.
//!
//! Uses: `request`, `target`, `telemetry`.

pub mod admin_api;
pub mod config_view;
pub mod explain;
pub mod status;
