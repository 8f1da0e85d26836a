//! The subject of a line in a request head.

use crate::model::{Field, ValueKind};

/// The subject of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LineSubject {
    /// The operation and its object.
    Operation,
    /// The host.
    Host,
    /// The source of a copy.
    CopySource,
    /// A field.
    Field(Field),
    /// An entry of user metadata, by name.
    Metadata(String),
    /// A checksum of the body.
    Checksum,
    /// The credential and the signature.
    Credential,
    /// Anything else; the dialect gives it no meaning.
    Other,
}

impl LineSubject {
    pub(crate) fn pair_key(&self) -> Option<String> {
        match self {
            Self::Operation => Some("target".to_owned()),
            Self::Host => Some("host".to_owned()),
            Self::CopySource => Some("source".to_owned()),
            Self::Field(field) => Some(field.name()),
            Self::Metadata(name) => Some(format!("metadata {name}")),
            Self::Checksum | Self::Credential | Self::Other => None,
        }
    }

    pub(crate) fn is_secret(&self) -> bool {
        match self {
            Self::Credential => true,
            Self::Field(field) => field.kind() == ValueKind::Secret,
            _ => false,
        }
    }
}
