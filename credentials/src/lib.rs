//! Temporary credentials that a vendor issues to a machine, a container or a cluster, and that expire after some hours.
//!
//! Each vendor's SDKs define a chain of credential providers: environment, profile files, a token file that is
//! exchanged, the metadata service of the container and of the machine. This crate opens no connection and no file:
//! the caller of [`CredentialProvider::issue`] passes a [`Context`] that does.

mod machine;

pub use reqsign_core::{Context, Error, FileRead, HttpSend, OsEnv, Result};

use reqsign_core::ProvideCredential as _;
use reqsign_core::time::Timestamp;
use secrecy::SecretString;

use machine::MachineRole;

/// Temporary credentials as they were issued.
pub struct TemporaryCredentials {
    /// Access key ID.
    pub access_key: String,
    /// Secret key.
    pub secret_key: SecretString,
    /// Session token.
    pub session_token: Option<SecretString>,
    /// Expiry in seconds of Unix time; `None` if the provider does not report it.
    pub expires_at: Option<i64>,
}

/// The chain of credential providers of a vendor.
pub enum CredentialProvider {
    /// Environment, profiles, web identity, container metadata, instance metadata.
    Aws(reqsign_aws_core::DefaultCredentialProvider),
    /// Environment, profiles, credentials URI, RAM role of the machine, OIDC file.
    Aliyun(reqsign_aliyun_oss::DefaultCredentialProvider),
    /// Environment, web identity, then the role of the machine.
    Tencent(reqsign_tencent_cos::DefaultCredentialProvider, MachineRole),
}

impl CredentialProvider {
    /// The chain with this name in the configuration. `metadata` replaces the vendor's address of the metadata service.
    pub fn from_name(name: &str, metadata: Option<&str>) -> Option<Self> {
        match name {
            "aws" => Some(Self::Aws(build_aws_chain(metadata))),
            "aliyun" => Some(Self::Aliyun(build_aliyun_chain(metadata))),
            "tencent" => {
                let chain = reqsign_tencent_cos::DefaultCredentialProvider::new();
                Some(Self::Tencent(chain, MachineRole::new(metadata)))
            }
            _ => None,
        }
    }

    /// Queries the providers of the chain in order. `None` if none of them has credentials.
    ///
    /// # Errors
    /// A provider that applies to this machine returned an error or an invalid document.
    pub async fn issue(&self, context: &Context) -> Result<Option<TemporaryCredentials>> {
        let to_seconds = |expires_at: Option<Timestamp>| expires_at.map(Timestamp::as_second);
        match self {
            Self::Aws(chain) => {
                Ok(chain.provide_credential(context).await?.map(|key| TemporaryCredentials {
                    access_key: key.access_key_id,
                    secret_key: key.secret_access_key.into(),
                    session_token: to_token(key.session_token),
                    expires_at: to_seconds(key.expires_in),
                }))
            }
            Self::Aliyun(chain) => {
                Ok(chain.provide_credential(context).await?.map(|key| TemporaryCredentials {
                    access_key: key.access_key_id,
                    secret_key: key.access_key_secret.into(),
                    session_token: to_token(key.security_token),
                    expires_at: to_seconds(key.expires_in),
                }))
            }
            Self::Tencent(chain, machine) => match chain.provide_credential(context).await? {
                Some(key) => Ok(Some(TemporaryCredentials {
                    access_key: key.secret_id,
                    secret_key: key.secret_key.into(),
                    session_token: to_token(key.security_token),
                    expires_at: to_seconds(key.expires_in),
                })),
                // The chain of the reqsign crate has no provider for the role of a CVM instance.
                None => machine.issue(context).await.map(Some),
            },
        }
    }
}

// Some providers return an empty token instead of none. An empty token header would make the signature invalid.
fn to_token(text: Option<String>) -> Option<SecretString> {
    text.filter(|text| !text.is_empty()).map(SecretString::from)
}

fn build_aws_chain(metadata: Option<&str>) -> reqsign_aws_core::DefaultCredentialProvider {
    // An AWS profile may name a command that prints credentials. It is not run, because a proxy starts no other
    // programs.
    let chain = reqsign_aws_core::DefaultCredentialProvider::builder().no_process();
    let Some(metadata) = metadata else { return chain.build() };
    chain.imds(reqsign_aws_core::IMDSv2CredentialProvider::new().with_endpoint(metadata)).build()
}

fn build_aliyun_chain(metadata: Option<&str>) -> reqsign_aliyun_oss::DefaultCredentialProvider {
    let chain = reqsign_aliyun_oss::DefaultCredentialProvider::builder();
    let Some(metadata) = metadata else { return chain.build() };
    chain
        .ecs_ram_role(reqsign_aliyun_oss::EcsRamRoleCredentialProvider::new().with_endpoint(metadata))
        .build()
}
