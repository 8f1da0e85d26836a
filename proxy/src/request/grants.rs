//! Authorization: which accesses the grants of a caller allow.

use blobfish_config::{Access, Caller};
use blobfish_dialects::model::{ErrorKind, Rejection, Request, RequiredAccess};

/// Whether a caller's grants give the access to a bucket that an operation requires.
pub(crate) fn has_access(caller: &Caller, bucket: &str, required_access: RequiredAccess) -> bool {
    match required_access {
        RequiredAccess::Read => caller.can_access(bucket, Access::Read),
        RequiredAccess::Write => caller.can_access(bucket, Access::Write),
        RequiredAccess::Admin => caller.can_access(bucket, Access::Admin),
        RequiredAccess::None => true,
    }
}

/// Checks every bucket that a request touches. It comes before anything is looked up or sent, so that the response does
/// not reveal which buckets and objects exist.
///
/// # Errors
/// `AccessDenied`.
pub(crate) fn authorize(caller: &Caller, request: &Request) -> Result<(), Rejection> {
    let required_access = request.operation.required_access();
    // A copy would reveal the content of its source, so the source requires read access.
    let may_access_destination =
        request.scope.bucket().is_none_or(|bucket| has_access(caller, bucket, required_access));
    let may_access_source =
        request.source.as_ref().is_none_or(|source| has_access(caller, &source.bucket, RequiredAccess::Read));
    if may_access_destination && may_access_source { Ok(()) } else { Err(ErrorKind::AccessDenied.into()) }
}
