//! Keys that a machine, a container or a cluster is given by its vendor, and that end after some hours.
//!
//! Where they come from, in which order, is each vendor's own chain as its SDKs have it: environment, profile files,
//! a token file that is exchanged, the container's and the machine's metadata. This crate opens no connection and no
//! file: whoever uses it gives a [`Context`] that does.

mod machine;

pub use reqsign_core::{Context, Error, FileRead, HttpSend, OsEnv, Result};

use reqsign_core::ProvideCredential as _;
use reqsign_core::time::Timestamp;
use secrecy::SecretString;

use machine::MachineRole;

/// A key as it was issued.
pub struct TemporaryCredentials {
    /// Access key id.
    pub access_key: String,
    /// Secret access key.
    pub secret_key: SecretString,
    /// Token that goes with it.
    pub session_token: Option<SecretString>,
    /// When it ends, in seconds of Unix time; `None` where nobody says.
    pub expires_at: Option<i64>,
}

/// A vendor's chain.
pub enum CredentialProvider {
    /// Environment, profiles, web identity, container, instance metadata.
    Aws(reqsign_aws_core::DefaultCredentialProvider),
    /// Environment, profiles, credentials URI, RAM role of the machine, OIDC file.
    Aliyun(reqsign_aliyun_oss::DefaultCredentialProvider),
    /// Environment, web identity, then the role of the machine.
    Tencent(reqsign_tencent_cos::DefaultCredentialProvider, MachineRole),
}

impl CredentialProvider {
    /// A chain by its name in the configuration. `metadata` takes the place of the address at which a machine finds its
    /// metadata.
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

    /// Asks along the chain. `None` where nobody has a key for us.
    ///
    /// # Errors
    /// The last place was asked, and did not give what it is known to give.
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
                None => machine.issue(context).await.map(Some),
            },
        }
    }
}

fn to_token(text: Option<String>) -> Option<SecretString> {
    text.filter(|text| !text.is_empty()).map(SecretString::from)
}

fn build_aws_chain(metadata: Option<&str>) -> reqsign_aws_core::DefaultCredentialProvider {
    // Commands of a profile are not run: a proxy starts no other programs.
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
