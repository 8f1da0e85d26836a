//! What can go wrong between us and a target, as metrics count it and callers are told.

use blobfish_dialects::model::{Fault, Refusal};
use pingora_core::{Error, ErrorType};

use crate::breaker::Outcome;
use crate::metrics::METRICS;
use crate::snapshot::Upstream;

/// An exchange with a target that failed. The kinds are the metric's labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Failed {
    /// What the engine gave cannot be written.
    #[error("the request cannot be written")]
    Unwritable,
    /// The host has no address.
    #[error("the host has no address")]
    Resolve,
    /// It failed too often of late: nothing was sent.
    #[error("the target is left alone for a while")]
    Paused,
    /// All connections that it may have are in use: nothing was sent.
    #[error("all connections to the target are in use")]
    Busy,
    /// No key was issued yet, or it ended: nothing was sent.
    #[error("there is no key for the target")]
    NoKey,
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
    Cut,
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
    Early,
}

impl Failed {
    /// The metric's label.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Unwritable => "unwritable",
            Self::Resolve => "resolve",
            Self::Paused => "paused",
            Self::Busy => "busy",
            Self::NoKey => "no_key",
            Self::Connect => "connect",
            Self::ConnectTimeout => "connect_timeout",
            Self::Tls => "tls",
            Self::Write => "write",
            Self::Read => "read",
            Self::ResponseTimeout => "response_timeout",
            Self::BodyTimeout => "body_timeout",
            Self::Cut => "cut",
            Self::TooLarge => "too_large",
            Self::Redirect => "redirect",
            Self::Malformed => "malformed",
            Self::Early => "early",
        }
    }

    /// What the caller is told: that it failed, and nothing of the target (O4).
    pub fn refusal(self) -> Refusal {
        match self {
            Self::Paused => Fault::TargetUnavailable.into(),
            Self::Busy => Fault::TargetBusy.into(),
            Self::NoKey
            | Self::Resolve
            | Self::Connect
            | Self::ConnectTimeout
            | Self::Tls
            | Self::Write
            | Self::Read
            | Self::ResponseTimeout
            | Self::BodyTimeout
            | Self::Cut => Fault::ServiceUnavailable.into(),
            Self::Unwritable | Self::TooLarge | Self::Redirect | Self::Malformed | Self::Early => {
                Fault::InternalError.into()
            }
        }
    }

    /// What it says about the target. What is cut had begun; and whether a bucket's own host has an address is decided
    /// by the name that a caller chose, as is whether a certificate fits it, where the name has labels of its own.
    pub fn outcome(self, name_is_plain: bool) -> Option<Outcome> {
        match self {
            Self::Connect | Self::ConnectTimeout => Some(Outcome::Unreachable),
            Self::Tls if name_is_plain => Some(Outcome::Unreachable),
            Self::Write | Self::Read => Some(Outcome::Broken),
            Self::ResponseTimeout => Some(Outcome::Silent),
            _ => None,
        }
    }

    /// Counts and logs a failure.
    pub fn at(self, upstream: &Upstream) -> Self {
        if matches!(self, Self::Paused | Self::Busy | Self::NoKey) {
            return self; // Nothing was exchanged; it is counted as refused.
        }
        let target = upstream.target.name.as_str();
        METRICS.upstream_errors.with_label_values(&[target, self.kind()]).inc();
        upstream.health.failed(self.kind());
        tracing::warn!(target_name = target, kind = self.kind(), "exchange with a target failed: {self}");
        self
    }

    /// Why no connection came about.
    pub fn to_connect(error: &Error) -> Self {
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
    pub fn to_exchange(error: &Error, otherwise: Self) -> Self {
        match error.etype() {
            ErrorType::InvalidHTTPHeader => Self::Malformed,
            ErrorType::WriteTimedout => Self::Write,
            ErrorType::ReadTimedout => Self::ResponseTimeout,
            _ => otherwise,
        }
    }
}
