//! The example with every key, and the real [`OsSources`].

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod common;

use std::path::Path;
use std::time::Duration;

use blobfish_config::{
    Addressing, Conditions, GrantAccess, OsSources, SmallParts, Sources, UnsupportedFields,
};
use common::load;
use secrecy::ExposeSecret;

const FULL: &str = include_str!("../examples/full.toml");

#[test]
fn loads_the_full_example() {
    let config = load(FULL).unwrap();
    assert_eq!(config.listen.http.len(), 2);
    let https = &config.listen.https[0];
    assert_eq!(https.default.as_ref().unwrap().key, Path::new("/etc/blobfish/tls.key"));
    assert_eq!(https.certificates[0].cert, Path::new("/etc/blobfish/vendor.crt"));
    for (peer, is_listed) in [
        ("10.1.2.3", true),
        ("::ffff:10.1.2.3", true),
        ("11.0.0.1", false),
        ("fd12::1", true),
        ("fe80::1", false),
    ] {
        assert_eq!(config.listen.is_trusted_proxy(peer.parse().unwrap()), is_listed, "{peer}");
    }
    assert_eq!(config.listen.default_dialect, "s3");
    assert_eq!(config.admin.to_string(), "127.0.0.1:9090");
    assert_eq!(config.control.as_deref(), Some(Path::new("/run/blobfish/control.sock")));
    assert_eq!(blobfish_config::find_control_socket(FULL), config.control);
    assert_eq!(config.limits.upgrade_drain, Duration::from_secs(3600));
    assert_eq!(config.base_domains, ["storage.example.internal"]);
    assert_eq!((config.limits.head_bytes_max, config.limits.connections_max), (16_384, 10_000));

    let target = &config.targets[0];
    assert_eq!((target.dialect.as_str(), target.profile.as_deref()), ("oss", Some("aliyun")));
    assert_eq!(target.endpoint.authority(), "oss-cn-hangzhou.localhost:9100");
    assert_eq!((target.addressing, target.signing), (Addressing::Virtual, Some("v4")));
    assert_eq!(target.session_token.as_ref().unwrap().expose_secret(), "dummy-target-token");
    assert_eq!(target.kms_keys.len(), 1);
    assert_eq!(
        (target.small_parts, target.small_parts_bucket.as_deref()),
        (SmallParts::Combine, Some("parts"))
    );
    assert_eq!(
        (target.small_parts_prefix.as_str(), target.small_parts_cleanup.as_secs()),
        (".blobfish-parts/", 3600)
    );
    assert_eq!(config.limits.spool.dir.as_deref(), Some(Path::new("/var/tmp")));
    assert_eq!((config.limits.spool.bytes_max, config.limits.spool.files_max), (268_435_456, 32));
    assert_eq!(target.response_timeout, Duration::from_secs(15));

    let bucket = &config.buckets[0];
    assert_eq!(bucket.target_bucket.as_deref(), Some("photos"));
    assert_eq!((bucket.unsupported, bucket.conditions), (UnsupportedFields::Reject, Conditions::Native));

    let caller = &config.callers[0];
    assert_eq!(caller.grants[0].access, GrantAccess::ReadWrite);
    assert_eq!((caller.signatures.len(), caller.strict_dialects.len()), (5, 0));
}

/// Whether a line sets a key to the default value that its comment names.
fn sets_default_value(line: &str) -> bool {
    let Some((setting, default)) = line.rsplit_once("Default: ") else { return false };
    let value = setting.split_once(" = ").unwrap().1.split_once("  #").unwrap().0;
    let default = default.strip_suffix('.').expect("a default ends the comment");
    let is_same_number = value.parse::<f64>().is_ok_and(|value| default.parse() == Ok(value));
    value == default || value.replace('_', "") == default || is_same_number
}

/// Omitting the keys that the example sets to their default changes nothing.
#[test]
fn the_defaults_are_those_in_the_example() {
    let (defaults, others): (Vec<_>, Vec<_>) = FULL.lines().partition(|line| sets_default_value(line));
    assert!(defaults.len() > 45, "{defaults:?}");
    let (mut full, short) = (load(FULL).unwrap(), load(&others.join("\n")).unwrap());
    assert!(full.literal_secret_line > short.literal_secret_line, "lines before it were omitted");
    full.literal_secret_line = short.literal_secret_line;
    assert_eq!(format!("{full:?}"), format!("{short:?}"));
}

/// A command to a running process may have no access to its secrets, and the file may be invalid by now.
#[test]
fn finds_the_control_socket_of_an_invalid_file() {
    let find_socket = |text: &str| blobfish_config::find_control_socket(text);
    assert_eq!(
        find_socket("[admin]\ncontrol_socket = \"/c\"\n[target]\nnonsense = 1").as_deref(),
        Some(Path::new("/c"))
    );
    assert_eq!(
        (
            find_socket("[admin]\ncontrol_socket = 1"),
            find_socket("[admin]"),
            find_socket("control_socket = \"/c\""),
            find_socket("[[")
        ),
        (None, None, None, None)
    );
}

#[test]
fn debug_output_contains_no_secret() {
    let config = load(FULL).unwrap();
    let printed = format!("{config:?} {config:#?}");
    assert!(!printed.contains("dummy"), "{printed}");
    assert!(printed.contains("REDACTED"));
}

/// Keys are the same words in every file, so the source line of a mistake contains them.
#[test]
fn prints_every_key_in_its_source_line() {
    for (at, line) in
        FULL.lines().enumerate().filter(|(_, line)| line.contains(" = ") && !line.starts_with('#'))
    {
        let key = line.split(" = ").next().unwrap().trim_start_matches([' ', '{']);
        let changed = FULL.replacen(line, &line.replacen(" =", " = 99_99_", 1), 1);
        let mistakes = load(&changed).unwrap_err();
        let mistake = mistakes.iter().find(|mistake| mistake.line == at + 1).expect("a mistake on this line");
        let shown = mistake.render("f", &changed);
        assert!(shown.lines().nth(2).unwrap().contains(&format!("{key} = ")), "{shown}");
    }
}

#[test]
#[cfg(unix)]
fn checks_files_of_this_machine() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    std::fs::write(&path, "from-a-file\n").unwrap();
    let text = format!(
        "{}\n[[caller]]\nname = \"b\"\naccess_key = \"B\"\nsecret_key = {{ file = {path:?} }}\n",
        minimal_target()
    );
    let load = || blobfish_config::load(&text, &common::KNOWN, &OsSources);
    for (mode, is_private) in [(0o600, true), (0o440, true), (0o604, false), (0o644, false), (0o602, false)] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(OsSources.is_file_private(&path).unwrap(), is_private, "{mode:o}");
        match load() {
            Ok(config) => assert_eq!(config.callers[0].keys[0].secret_key.expose_secret(), "from-a-file"),
            Err(mistakes) => assert!(mistakes[0].message.contains("accessed by other users"), "{mistakes:?}"),
        }
        assert_eq!(load().is_ok(), is_private, "{mode:o}");
    }
    assert!(OsSources.read_file(folder.path()).is_err(), "a folder");
    assert!(OsSources.read_file(&folder.path().join("none")).is_err());
    assert!(OsSources.read_file(Path::new("/dev/zero")).is_err(), "a device");
    std::fs::write(&path, vec![b'a'; 1024 * 1024 + 1]).unwrap();
    assert!(OsSources.read_file(&path).is_err(), "too large");
    std::fs::write(&path, [0xff]).unwrap();
    assert!(OsSources.read_file(&path).is_err(), "not UTF-8");
}

fn minimal_target() -> &'static str {
    "[[target]]\nname = \"a\"\ndialect = \"s3\"\nendpoint = \"https://a.example\"\nregion = \"r\"\naccess_key = \"K\"\nsecret_key = \"S\""
}

#[test]
fn loads_the_minimal_file() {
    let config = load(minimal_target()).unwrap();
    assert_eq!(config.listen.http[0].to_string(), "127.0.0.1:9000");
    assert!(config.callers.is_empty() && config.buckets.is_empty());
}
