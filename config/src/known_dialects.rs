//! The dialects and profiles that a configuration may name, and the keys that depend on them.

/// The dialects that exist. The program passes them in, because this crate depends on no dialect.
#[derive(Debug, Clone)]
pub struct KnownDialects {
    /// Every dialect. The first is the default dialect of a listener.
    pub dialects: Vec<KnownDialect>,
}

/// One dialect, with what the keys of a configuration need of it.
#[derive(Debug, Clone, Default)]
pub struct KnownDialect {
    /// Its name.
    pub name: &'static str,
    /// Its profiles.
    pub profiles: Vec<&'static str>,
    /// The signatures that a caller can be allowed to use.
    pub signatures: Vec<&'static str>,
    /// The signature versions for requests to targets, the default first. Empty for a dialect with one version.
    pub signing_versions: Vec<&'static str>,
    /// The key of a caller that rejects signatures which do not cover every meaningful part of the request.
    pub strict_signing_config_key: Option<&'static str>,
}

impl KnownDialects {
    pub(crate) fn find(&self, name: &str) -> Option<&KnownDialect> {
        self.dialects.iter().find(|dialect| dialect.name == name)
    }

    /// The default dialect of a listener. Examples in messages use it too.
    pub(crate) fn default_name(&self) -> &'static str {
        self.dialects.first().map_or("", |dialect| dialect.name)
    }

    pub(crate) fn list_names(&self) -> Vec<&'static str> {
        self.dialects.iter().map(|dialect| dialect.name).collect()
    }

    pub(crate) fn list_signatures(&self) -> Vec<&'static str> {
        self.dialects.iter().flat_map(|dialect| dialect.signatures.iter().copied()).collect()
    }
}
