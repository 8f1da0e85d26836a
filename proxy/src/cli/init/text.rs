//! What is written, and what is said about it.

use std::fmt::Write as _;
use std::path::Path;

use secrecy::ExposeSecret as _;

use crate::cli::init::answers::{InitSettings, TargetSecret};
use crate::cli::init::caller_key::{CALLER_VARIABLE, CallerSecret, NewCallerKey};

/// The configuration.
pub fn render_configuration(settings: &InitSettings, key: &NewCallerKey) -> String {
    let mut out = String::new();
    let mut add = |line: &str| {
        let _ = writeln!(out, "{line}");
    };
    let format_assignment = |name: &str, value: &str| format!("{name} = {}", quote_toml(value));
    let (caller, target) = (&settings.caller_dialect, &settings.target_name);
    add("# Blobfish, written by `blobfish init`. docs/configuration.md has every key.");
    add("");
    add("[listen]");
    add("# Where callers connect. For more than this machine use https = [{ address, cert, key }].");
    add(&format!("http = [{}]", quote_toml(&settings.listen.to_string())));
    add("# What a request speaks that does not show it.");
    add(&format_assignment("dialect", caller));
    add("");
    add("[admin]");
    add("# Metrics, health and console, for operators only.");
    add(&format_assignment("listen", &settings.admin.to_string()));
    add("");
    add("[[target]]");
    add("# A name of your own: the label in metrics and logs.");
    add(&format_assignment("name", target));
    add(&format_assignment("dialect", &settings.target_dialect));
    if let Some(profile) = &settings.profile {
        add(&format_assignment("profile", profile));
    }
    add(&format_assignment("endpoint", &settings.endpoint));
    add(&format_assignment("region", &settings.region));
    add("# Where the bucket goes: \"virtual\" is bucket.endpoint, \"path\" is endpoint/bucket.");
    add(&format_assignment("addressing", if settings.path_style { "path" } else { "virtual" }));
    if settings.insecure {
        add("# Requests and objects travel unencrypted.");
        add("insecure = true");
    }
    if let Some(ca) = &settings.ca {
        add("# Authorities to trust beside the system's.");
        add(&format_assignment("ca", &ca.display().to_string()));
    }
    add(&format_assignment("access_key", &settings.access_key));
    match &settings.target_secret {
        TargetSecret::Env(variable) => {
            add("# Set this variable where Blobfish runs. { file = \"/run/secrets/...\" } is the other way.");
            add(&format!("secret_key = {{ env = {} }}", quote_toml(variable)));
        }
        TargetSecret::File(file) => {
            add("# Must be closed to others: chmod 600. { env = \"NAME\" } is the other way.");
            add(&format!("secret_key = {{ file = {} }}", quote_toml(&file.display().to_string())));
        }
    }
    for (index, bucket) in settings.buckets.iter().enumerate() {
        // What is said once of the first one is true of all.
        let mut add = |line: &str| {
            if index == 0 || !line.starts_with('#') {
                add(line)
            }
        };
        add("");
        add("[[bucket]]");
        add(
            "# As callers say it. \"photos-*\" is a pattern; \"*\" is every other bucket, under its own name.",
        );
        add(&format_assignment("name", &bucket.name));
        add(&format_assignment("target", target));
        if let Some(name) = &bucket.target_bucket {
            add("# Its name at the target.");
            add(&format_assignment("target_bucket", name));
        }
        add(
            "# What the target cannot express: \"refuse\" answers 501 and names it, \"report\" sends the rest and tells.",
        );
        add(&format_assignment("unsupported", "reject"));
        add(
            "# Conditions on the source of a copy: \"native\" leaves them to the target. \"check\" looks before and after",
        );
        add("# the copy, for targets that have none; one whose source was changed meanwhile fails.");
        add(&format_assignment("conditions", if settings.check_conditions { "check" } else { "native" }));
    }
    add("");
    add("[[caller]]");
    add(&format_assignment("name", "app"));
    add("# Give this key to the app, and to nobody else.");
    add(&format_assignment("access_key", &key.id));
    match &key.secret {
        CallerSecret::File(path, _) => {
            add(&format!("secret_key = {{ file = {} }}", quote_toml(&path.display().to_string())));
        }
        CallerSecret::Literal(secret) => add(&format_assignment("secret_key", secret.expose_secret())),
        CallerSecret::Env => add(&format!("secret_key = {{ env = {} }}", quote_toml(CALLER_VARIABLE))),
    }
    let names: Vec<String> = settings.buckets.iter().map(|bucket| quote_toml(&bucket.name)).collect();
    add("# read | write | read-write | admin. Creating buckets and changing their settings needs admin.");
    add(&format!("grants = [{{ buckets = [{}], access = \"read-write\" }}]", names.join(", ")));
    out
}

/// A TOML string. JSON's escapes are among TOML's; what TOML refuses besides is refused when the text is checked.
fn quote_toml(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// What to do next.
pub fn render_next_steps(output: &Path, settings: &InitSettings, key: &NewCallerKey) -> String {
    let mut out = String::new();
    let mut add = |line: &str| {
        let _ = writeln!(out, "{line}");
    };
    let file = quote_shell(&output.display().to_string());
    add(&format!("Wrote {}.", output.display()));
    if let CallerSecret::File(path, _) = &key.secret {
        add(&format!("Wrote {}: the app's new secret, readable by you only.", path.display()));
    }
    add("");
    add("Next:");
    let secret = format!("# the secret of {} at the target", settings.access_key);
    match &settings.target_secret {
        TargetSecret::Env(variable) => add(&format!("  export {variable}=...    {secret}")),
        TargetSecret::File(path) => {
            add(&format!("  chmod 600 {}    {secret}", quote_shell(&path.display().to_string())));
        }
    }
    if matches!(key.secret, CallerSecret::Env) {
        add(&format!(
            "  export {CALLER_VARIABLE}=...    # a new one for the app, such as openssl rand -hex 20 makes"
        ));
    }
    add(&format!("  blobfish check {file}"));
    add(&format!("  blobfish doctor --config {file}"));
    add(&format!("  blobfish serve --config {file}"));
    add("");
    let secret = match &key.secret {
        CallerSecret::File(path, _) => format!("the secret in {}", path.display()),
        CallerSecret::Literal(_) => format!("the secret in {}", output.display()),
        CallerSecret::Env => format!("the secret in {CALLER_VARIABLE}"),
    };
    add(&format!(
        "The app's end point is http://{}, its access key {}, with {secret}.",
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
    fn texts_cannot_leave_their_quotes() {
        assert_eq!(quote_toml("a\"b\\c\nd"), r#""a\"b\\c\nd""#);
        assert_eq!(quote_shell("/etc/blobfish.toml"), "/etc/blobfish.toml");
        assert_eq!(quote_shell("/a b/it's"), r"'/a b/it'\''s'");
    }
}
