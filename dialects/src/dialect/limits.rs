//! Checks bucket names, keys and metadata against a dialect's limits.

use crate::dialect::definition::Dialect;
use crate::model::{ErrorKind, Rejection};

/// Rejects a bucket name that no vendor allows, before it is used anywhere.
///
/// # Errors
/// `InvalidBucketName`.
pub fn check_bucket_name(bucket: &str) -> Result<(), Rejection> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    // The name may become part of a host, where empty labels are not valid.
    let labels = bucket.split('.').all(|label| !label.is_empty());
    if !labels || bucket.len() > 255 || !bucket.bytes().all(is_plain) {
        return Err(Rejection::new(ErrorKind::InvalidBucketName).with_detail("BucketName", bucket));
    }
    Ok(())
}

/// Checks a key against a dialect's limits.
///
/// # Errors
/// `KeyTooLong` or `InvalidObjectName`.
pub fn check_key(dialect: &Dialect, key: &str) -> Result<(), Rejection> {
    let limits = &dialect.limits;
    if key.len() > limits.key_bytes_max {
        return Err(Rejection::new(ErrorKind::KeyTooLong)
            .with_detail("Size", key.len().to_string())
            .with_detail("MaxSizeAllowed", limits.key_bytes_max.to_string()));
    }
    let first = key.bytes().next();
    let mut segments = key.strip_suffix('/').unwrap_or(key).split('/');
    // XML cannot contain NUL, so no listing could contain the key.
    let has_nul = key.contains('\0');
    if has_nul
        || first.is_none_or(|byte| limits.key_first_bytes_forbidden.contains(&byte))
        || key.bytes().any(|byte| limits.key_bytes_forbidden.contains(&byte))
        || segments.any(|segment| limits.key_segments_forbidden.contains(&segment))
    {
        return Err(Rejection::new(ErrorKind::InvalidObjectName).with_detail("ObjectName", key));
    }
    Ok(())
}

/// Checks the size of metadata against a dialect's limit.
///
/// # Errors
/// `MetadataTooLarge`.
pub(crate) fn check_metadata(dialect: &Dialect, metadata: &[(String, Vec<u8>)]) -> Result<(), Rejection> {
    let size: usize = metadata.iter().map(|row| row.0.len().saturating_add(row.1.len())).sum();
    let max = dialect.limits.metadata_bytes_max;
    if size > max {
        return Err(Rejection::new(ErrorKind::MetadataTooLarge)
            .with_detail("Size", size.to_string())
            .with_detail("MaxSizeAllowed", max.to_string()));
    }
    Ok(())
}
