//! The dialects that a configuration may name. `blobfish-config` depends on no dialect, so the program passes them to it.

use blobfish_config::{KnownDialect, KnownDialects};
use blobfish_dialects::ConfigurableDialect;

/// Lists the dialects that exist, as `blobfish-config` needs them.
pub(crate) fn list_known_dialects() -> KnownDialects {
    let describe = |dialect: ConfigurableDialect| KnownDialect {
        name: dialect.name,
        profiles: dialect.profiles,
        signatures: dialect.signatures.to_vec(),
        signing_versions: dialect.signing_versions,
        strict_signing_config_key: dialect.strict_signing_config_key,
    };
    KnownDialects {
        dialects: blobfish_dialects::list_configurable_dialects().into_iter().map(describe).collect(),
    }
}

/// Lists the same for demo mode, with the profile of the embedded store.
// Only demo mode configures the embedded store, so no configuration file can name its profile.
pub(crate) fn list_known_dialects_of_demo() -> KnownDialects {
    let mut known = list_known_dialects();
    for dialect in &mut known.dialects {
        let table = blobfish_dialects::find_dialect(dialect.name, None);
        let embedded = table.and_then(|table| table.embedded_store).map(|store| store.name);
        dialect.profiles = embedded.into_iter().collect();
    }
    known
}
