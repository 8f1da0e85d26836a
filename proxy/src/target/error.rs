//! What can go wrong between us and a target, as metrics count it and callers are told.

use blobfish_dialects::model::{ErrorKind, Rejection};
use pingora_core::{Error, ErrorType};

use crate::target::circuit_breaker::BreakerOutcome;
use crate::target::runtime::TargetRuntime;
use crate::telemetry::metrics::METRICS;

/// Too many open files of this process (EMFILE), or of the machine (ENFILE).
const OPEN_FILES_ERRNOS: [i32; 2] = [24, 23];

/// An exchange with a target that failed. The kinds are the metric's labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ExchangeError {
    /// What the engine gave cannot be written.
    #[error("the request cannot be written")]
    Unwritable,
    /// The host has no address.
    #[error("the host has no address")]
    Resolve,
    /// It failed too often of late: nothing was sent.
    #[error("the target is left alone for a while")]
    CircuitOpen,
    /// All connections that it may have are in use: nothing was sent.
    #[error("all connections to the target are in use")]
    ConnectionLimitReached,
    /// No key was issued yet, or it ended: nothing was sent.
    #[error("there is no key for the target")]
    NoCredentials,
    /// This process may open no more connections: nothing was sent.
    #[error("this process may have no more open files")]
    FileDescriptorLimit,
    /// The target does not accept the time that the request was signed with. The next one has its own.
    #[error("the target's clock differs from ours")]
    ClockSkew,
    /// No connection.
    #[error("no connection")]
    Connect,
    /// No connection in time.
    #[error("no connection in time")]
    ConnectTimeout,
    /// The certificate is not trusted, or no common way of encryption.
    #[error("no encrypted connection")]
    Tls,
    /// The connection broke while the request was written.
    #[error("the connection broke while the request was written")]
    Write,
    /// The connection broke before the answer's head was there.
    #[error("the connection broke before the answer")]
    Read,
    /// No answer in time.
    #[error("no answer in time")]
    ResponseTimeout,
    /// The answer's body stopped.
    #[error("the answer's body stopped")]
    BodyTimeout,
    /// The answer's body ended too early.
    #[error("the answer was cut")]
    Truncated,
    /// The answer is larger than anything that speaks this protocol sends.
    #[error("the answer is too large")]
    TooLarge,
    /// The answer sends us elsewhere.
    #[error("the target redirects")]
    Redirect,
    /// Nobody can tell where the answer ends.
    #[error("the answer is framed ambiguously")]
    Malformed,
    /// The target answered success before it had the whole request.
    #[error("an answer before the request was complete")]
    EarlyResponse,
}

impl ExchangeError {
    /// The metric's label.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Unwritable => "invalid_request",
            Self::Resolve => "dns",
            Self::CircuitOpen => "circuit_open",
            Self::ConnectionLimitReached => "connection_limit",
            Self::NoCredentials => "no_key",
            Self::FileDescriptorLimit => "file_descriptors",
            Self::ClockSkew => "clock",
            Self::Connect => "connect",
            Self::ConnectTimeout => "connect_timeout",
            Self::Tls => "tls",
            Self::Write => "write",
            Self::Read => "read",
            Self::ResponseTimeout => "response_timeout",
            Self::BodyTimeout => "body_timeout",
            Self::Truncated => "truncated",
            Self::TooLarge => "too_large",
            Self::Redirect => "redirect",
            Self::Malformed => "malformed",
            Self::EarlyResponse => "early_response",
        }
    }

    /// What the caller is told: that it failed, and nothing of the target (O4).
    pub fn to_rejection(self) -> Rejection {
        match self {
            Self::CircuitOpen => ErrorKind::TargetUnavailable.into(),
            Self::ConnectionLimitReached => ErrorKind::TargetBusy.into(),
            Self::NoCredentials
            | Self::FileDescriptorLimit
            | Self::ClockSkew
            | Self::Resolve
            | Self::Connect
            | Self::ConnectTimeout
            | Self::Tls
            | Self::Write
            | Self::Read
            | Self::ResponseTimeout
            | Self::BodyTimeout
            | Self::Truncated => ErrorKind::ServiceUnavailable.into(),
            Self::Unwritable | Self::TooLarge | Self::Redirect | Self::Malformed | Self::EarlyResponse => {
                ErrorKind::InternalError.into()
            }
        }
    }

    /// Whether the target may have done what it was asked for: only its answer is missing, or cannot be read.
    pub fn is_outcome_unknown(self) -> bool {
        matches!(
            self,
            Self::Read
                | Self::ResponseTimeout
                | Self::BodyTimeout
                | Self::Truncated
                | Self::TooLarge
                | Self::Malformed
        )
    }

    /// What it says about the target. What is cut had begun; and whether a bucket's own host has an address is decided
    /// by the name that a caller chose, as is whether a certificate fits it, where the name has labels of its own.
    pub fn breaker_outcome(self, has_plain_name: bool) -> Option<BreakerOutcome> {
        match self {
            Self::Connect | Self::ConnectTimeout => Some(BreakerOutcome::Unreachable),
            Self::Tls if has_plain_name => Some(BreakerOutcome::Unreachable),
            Self::Write | Self::Read => Some(BreakerOutcome::ConnectionBroken),
            Self::ResponseTimeout => Some(BreakerOutcome::TimedOut),
            _ => None,
        }
    }

    /// Counts and logs a failure.
    pub fn record_at(self, target: &TargetRuntime) -> Self {
        if matches!(self, Self::CircuitOpen | Self::ConnectionLimitReached | Self::NoCredentials) {
            return self; // Nothing was exchanged; it is counted as refused.
        }
        let target_name = target.spec.name.as_str();
        METRICS.target_errors.with_label_values(&[target_name, self.kind()]).inc();
        target.health.record_failure(self.kind());
        tracing::warn!(
            target_name = target_name,
            kind = self.kind(),
            "exchange with a target failed: {self}"
        );
        self
    }

    /// Why no connection came about.
    pub fn from_connect_error(error: &Error) -> Self {
        let cause =
            error.root_cause().downcast_ref::<std::io::Error>().and_then(std::io::Error::raw_os_error);
        if cause.is_some_and(|errno| OPEN_FILES_ERRNOS.contains(&errno)) {
            return Self::FileDescriptorLimit;
        }
        match error.etype() {
            ErrorType::ConnectTimedout => Self::ConnectTimeout,
            ErrorType::TLSHandshakeFailure
            | ErrorType::TLSHandshakeTimedout
            | ErrorType::InvalidCert
            | ErrorType::HandshakeError => Self::Tls,
            _ => Self::Connect,
        }
    }

    /// Why an exchange broke off, or what it is called where the connector says nothing special.
    pub fn from_exchange_error(error: &Error, fallback: Self) -> Self {
        match error.etype() {
            ErrorType::InvalidHTTPHeader => Self::Malformed,
            ErrorType::WriteTimedout => Self::Write,
            ErrorType::ReadTimedout => Self::ResponseTimeout,
            _ => fallback,
        }
    }
}
