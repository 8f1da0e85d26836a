//! Telemetry: metrics, access log, traces and their exporter, recent events. It takes plain values, so that every
//! other folder can use it.
//!
//! Uses: nothing.

pub mod access_log;
pub mod exporter;
pub mod metrics;
pub mod recent_events;
pub mod traces;
