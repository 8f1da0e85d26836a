//! Stand-in until the signatures are here.
use crate::engine::auth::*;
use crate::model::*;
use secrecy::SecretString;
/// x
pub struct S3Auth;
/// x
pub static AUTH: S3Auth = S3Auth;
impl Auth for S3Auth {
    fn credential_parameters(&self) -> &'static [&'static str] {
        &[]
    }
    fn claim(&self, _: &RawHead) -> Result<Option<Claim>, Refusal> {
        Ok(None)
    }
    fn verify(
        &self,
        _: &RawHead,
        _: &Claim,
        _: &Place,
        _: &SecretString,
        _: &Terms,
    ) -> Result<Verified, Refusal> {
        Err(Fault::NotImplemented.into())
    }
    fn sign(&self, _: &mut Outgoing, _: &Credentials, _: &str, _: Timestamp) {}
}
