//! Errors of exchanges with targets, with their metric labels and the error responses that clients get.

use blobfish_dialects::model::{ErrorKind, Rejection};
use pingora::{Error, ErrorType};

use crate::target::circuit_breaker::BreakerOutcome;
use crate::target::runtime::TargetRuntime;
use crate::telemetry::metrics::METRICS;

/// Too many open files in this process (EMFILE) or in the system (ENFILE).
const OPEN_FILES_ERRNOS: [i32; 2] = [24, 23];

/// Why an exchange with a target failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ExchangeError {
    /// The request contains a value that cannot be sent over HTTP.
    #[error("the request cannot be sent over HTTP")]
    Unwritable,
    /// The host has no address.
    #[error("the host has no address")]
    Resolve,
    /// The circuit breaker is open. Nothing was sent.
    #[error("the circuit breaker is open")]
    CircuitOpen,
    /// The connection limit of the target is reached. Nothing was sent.
    #[error("all connections to the target are in use")]
    ConnectionLimitReached,
    /// No credentials were issued yet, or they have expired. Nothing was sent.
    #[error("there are no valid credentials for the target")]
    NoCredentials,
    /// The limit of open files is reached. Nothing was sent.
    #[error("the limit of open files is reached")]
    FileDescriptorLimit,
    /// The target rejected the time of the signature. The next request is signed with the target's time.
    #[error("the target's clock differs from the clock of this machine")]
    ClockSkew,
    /// The target did not accept a connection.
    #[error("no connection")]
    Connect,
    /// The connect timeout expired.
    #[error("no connection in time")]
    ConnectTimeout,
    /// The TLS handshake failed: the certificate is not trusted, or there is no common protocol version or cipher.
    #[error("the TLS handshake failed")]
    Tls,
    /// The connection broke while the request was written.
    #[error("the connection broke while the request was written")]
    Write,
    /// The connection broke before the response head was complete.
    #[error("the connection broke before the response")]
    Read,
    /// The response timeout expired.
    #[error("no response in time")]
    ResponseTimeout,
    /// The response body stopped or is too slow.
    #[error("the response body stopped or is too slow")]
    BodyTimeout,
    /// The response body ended before its announced end.
    #[error("the response body is truncated")]
    Truncated,
    /// The response exceeds the size limit.
    #[error("the response is too large")]
    TooLarge,
    /// The response is a redirect. Redirects are not followed, because signed requests may go only to the configured host.
    #[error("the target responded with a redirect")]
    Redirect,
    /// The response is malformed, or the end of its body is ambiguous.
    #[error("the response is malformed")]
    Malformed,
    /// The target reported success before the request was complete.
    #[error("the target reported success before the request was complete")]
    EarlyResponse,
}

impl ExchangeError {
    /// The metric's label.
    pub(crate) fn kind(self) -> &'static str {
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

    /// The rejection to send to the client. It names neither the target nor its vendor: the client cannot act on a failed
    /// transport, and must not learn the target's address. The rejection of a field that the target does not support does
    /// name the target and its dialect, because the client has to change its request for them: see
    /// `blobfish_dialects::engine::loss::describe_target`.
    pub(crate) fn to_rejection(self) -> Rejection {
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

    /// Whether the target may have performed the operation, because only the response is missing or unusable.
    pub(crate) fn is_outcome_unknown(self) -> bool {
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

    /// The outcome for the circuit breaker, if the error indicates the state of the target. A truncated response shows
    /// that the target works. DNS and TLS errors of a bucket's host may result from the bucket name that the client chose.
    pub(crate) fn breaker_outcome(self, certificate_can_match: bool) -> Option<BreakerOutcome> {
        match self {
            // Errors without an outcome, such as `FileDescriptorLimit`, do not show whether the target works.
            Self::Connect | Self::ConnectTimeout => Some(BreakerOutcome::Unreachable),
            Self::Tls if certificate_can_match => Some(BreakerOutcome::Unreachable),
            Self::Write | Self::Read => Some(BreakerOutcome::ConnectionBroken),
            Self::ResponseTimeout => Some(BreakerOutcome::TimedOut),
            _ => None,
        }
    }

    /// Counts and logs a failure.
    pub(crate) fn record_for(self, target: &TargetRuntime) -> Self {
        if matches!(self, Self::CircuitOpen | Self::ConnectionLimitReached | Self::NoCredentials) {
            return self; // Nothing was sent, and the request is counted as a rejection.
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

    /// Classifies a connect error.
    pub(crate) fn from_connect_error(error: &Error) -> Self {
        let cause =
            error.root_cause().downcast_ref::<std::io::Error>().and_then(std::io::Error::raw_os_error);
        // Checked before the error type, because Pingora reports this as an ordinary connect error.
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
}
