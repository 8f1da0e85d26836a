//! The generated configuration file, and the next steps that `blobfish init` prints.

use std::fmt::Write as _;
use std::path::Path;

use secrecy::ExposeSecret as _;

use crate::cli::init::answers::{InitSettings, TargetSecret};
use crate::cli::init::caller_key::{CALLER_VARIABLE, CallerSecret, NewCallerKey};

/// Renders the configuration file.
pub(super) fn render_configuration(settings: &InitSettings, key: &NewCallerKey) -> String {
    let mut out = String::new();
    let mut add = |line: &str| {
        let _ = writeln!(out, "{line}");
    };
    let format_assignment = |name: &str, value: &str| format!("{name} = {}", quote_toml(value));
    let (caller, target) = (&settings.caller_dialect, &settings.target_name);
    add("# Blobfish configuration, written by `blobfish init`. docs/configuration.md describes every key.");
    add("");
    add("[listen]");
    add("# Where clients connect. To serve other machines use https = [{ address, cert, key }].");
    add(&format!("http = [{}]", quote_toml(&settings.listen.to_string())));
    add("# The dialect of requests that do not identify their own.");
    add(&format_assignment("dialect", caller));
    add("");
    add("[admin]");
    add("# Metrics, health checks and the console. For operators only.");
    add(&format_assignment("listen", &settings.admin.to_string()));
    add("");
    add("[[target]]");
    add("# A name of your choice. It is used in metrics and logs.");
    add(&format_assignment("name", target));
    add(&format_assignment("dialect", &settings.target_dialect));
    if let Some(profile) = &settings.profile {
        add(&format_assignment("profile", profile));
    }
    add(&format_assignment("endpoint", &settings.endpoint));
    add(&format_assignment("region", &settings.region));
    add("# Addressing of buckets: \"virtual\" is bucket.endpoint, \"path\" is endpoint/bucket.");
    add(&format_assignment("addressing", if settings.path_style { "path" } else { "virtual" }));
    if settings.insecure {
        add("# Requests and objects are sent unencrypted.");
        add("insecure = true");
    }
    if let Some(ca) = &settings.ca {
        add("# Certificate authorities to trust in addition to the system's.");
        add(&format_assignment("ca", &ca.display().to_string()));
    }
    add(&format_assignment("access_key", &settings.access_key));
    match &settings.target_secret {
        TargetSecret::Env(variable) => {
            add("# Set this environment variable for Blobfish, or use { file = \"/run/secrets/...\" }.");
            add(&format!("secret_key = {{ env = {} }}", quote_toml(variable)));
        }
        TargetSecret::File(file) => {
            add("# Only the owner may be able to read this file: chmod 600. Or use { env = \"NAME\" }.");
            add(&format!("secret_key = {{ file = {} }}", quote_toml(&file.display().to_string())));
        }
    }
    for (index, bucket) in settings.buckets.iter().enumerate() {
        // The comments apply to every bucket, so only the first one has them.
        let mut add = |line: &str| {
            if index == 0 || !line.starts_with('#') {
                add(line)
            }
        };
        add("");
        add("[[bucket]]");
        add(
            "# The name that clients use. \"photos-*\" is a pattern; \"*\" is every other bucket, under its own name.",
        );
        add(&format_assignment("name", &bucket.name));
        add(&format_assignment("target", target));
        if let Some(name) = &bucket.target_bucket {
            add("# The bucket's name at the target.");
            add(&format_assignment("target_bucket", name));
        }
        add(
            "# Fields that the target does not support: \"reject\" returns 501 and names the field, \"report\" drops and reports it.",
        );
        add(&format_assignment("unsupported", "reject"));
        add(
            "# Conditions of a copy's source: \"native\" passes them to the target. \"check\" verifies them before and after the",
        );
        add("# copy, for targets without such conditions; the copy fails if its source changes meanwhile.");
        add(&format_assignment("conditions", if settings.check_conditions { "check" } else { "native" }));
    }
    add("");
    add("[[caller]]");
    add(&format_assignment("name", "app"));
    add("# The credentials of the application. Do not share them.");
    add(&format_assignment("access_key", &key.id));
    match &key.secret {
        CallerSecret::File(path, _) => {
            add(&format!("secret_key = {{ file = {} }}", quote_toml(&path.display().to_string())));
        }
        CallerSecret::Literal(secret) => add(&format_assignment("secret_key", secret.expose_secret())),
        CallerSecret::Env => add(&format!("secret_key = {{ env = {} }}", quote_toml(CALLER_VARIABLE))),
    }
    let names: Vec<String> = settings.buckets.iter().map(|bucket| quote_toml(&bucket.name)).collect();
    add("# read | write | read-write | admin. Creating buckets and changing their settings requires admin.");
    add(&format!("grants = [{{ buckets = [{}], access = \"read-write\" }}]", names.join(", ")));
    out
}

/// Quotes a TOML string. TOML has all escapes of JSON; what TOML rejects beyond that is found when the text is
/// validated.
fn quote_toml(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Renders the next steps.
pub(super) fn render_next_steps(output: &Path, settings: &InitSettings, key: &NewCallerKey) -> String {
    let mut out = String::new();
    let mut add = |line: &str| {
        let _ = writeln!(out, "{line}");
    };
    let file = quote_shell(&output.display().to_string());
    add(&format!("Wrote {}.", output.display()));
    if let CallerSecret::File(path, _) = &key.secret {
        add(&format!("Wrote {}: the application's new secret key, readable only by you.", path.display()));
    }
    add("");
    add("Next:");
    let secret = format!("# the secret key of {} at the target", settings.access_key);
    match &settings.target_secret {
        TargetSecret::Env(variable) => add(&format!("  export {variable}=...    {secret}")),
        TargetSecret::File(path) => {
            add(&format!("  chmod 600 {}    {secret}", quote_shell(&path.display().to_string())));
        }
    }
    if matches!(key.secret, CallerSecret::Env) {
        add(&format!(
            "  export {CALLER_VARIABLE}=...    # a new one for the application, for example from openssl rand -hex 20"
        ));
    }
    add(&format!("  blobfish check {file}"));
    add(&format!("  blobfish doctor --config {file}"));
    add(&format!("  blobfish serve --config {file}"));
    add("");
    let secret = match &key.secret {
        CallerSecret::File(path, _) => format!("the secret key in {}", path.display()),
        CallerSecret::Literal(_) => format!("the secret key in {}", output.display()),
        CallerSecret::Env => format!("the secret key in {CALLER_VARIABLE}"),
    };
    add(&format!(
        "The application's endpoint is http://{}, its access key ID {}, with {secret}.",
        settings.listen, key.id
    ));
    out
}

fn quote_shell(path: &str) -> String {
    let plain = path.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._-".contains(&b));
    if plain { path.to_owned() } else { format!("'{}'", path.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_texts_are_escaped() {
        assert_eq!(quote_toml("a\"b\\c\nd"), r#""a\"b\\c\nd""#);
        assert_eq!(quote_shell("/etc/blobfish.toml"), "/etc/blobfish.toml");
        assert_eq!(quote_shell("/a b/it's"), r"'/a b/it'\''s'");
    }
}
