//! One row per mistake: the change of a valid file, and all messages that it causes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod common;

use common::load;

/// A valid file that each row changes. The line numbers below refer to it.
const GOOD: &str = r#"[listen]
http = ["127.0.0.1:9000"]
[[target]]
name = "aliyun"
dialect = "oss"
endpoint = "https://oss-cn-hangzhou.aliyuncs.com"
region = "cn-hangzhou"
access_key = "LTAI"
secret_key = "TOPSECRET-1"
[[bucket]]
name = "photos"
target = "aliyun"
[[caller]]
name = "app"
access_key = "AKID"
secret_key = "TOPSECRET-2"
grants = [{ buckets = ["photos-*"], access = "read" }]
"#;

fn list_mistakes(text: &str) -> Vec<String> {
    let Err(mistakes) = load(text) else { return Vec::new() };
    assert!(!mistakes.is_empty(), "a rejected file has at least one mistake");
    for mistake in &mistakes {
        let shown = format!("{mistake} {mistake:?} {}", mistake.render("f.toml", text));
        assert!(!shown.contains("TOPSECRET"), "{shown}");
        assert!((1..=text.lines().count().max(1) + 1).contains(&mistake.line), "{shown}");
    }
    mistakes.iter().map(ToString::to_string).collect()
}

/// Replaces a part of the valid file.
#[track_caller]
fn check_replaced(from: &str, to: &str, expected: &[&str]) {
    assert!(GOOD.contains(from), "{from}");
    assert_eq!(list_mistakes(&GOOD.replacen(from, to, 1)), expected, "{from} -> {to}");
}

/// Adds lines to the valid file, after the line that contains `after`.
#[track_caller]
fn check_added(after: &str, lines: &str, expected: &[&str]) {
    let at = GOOD.find(after).unwrap();
    let end = at + GOOD[at..].find('\n').unwrap();
    let text = format!("{}\n{lines}{}", &GOOD[..end], &GOOD[end..]);
    assert_eq!(list_mistakes(&text), expected, "{lines}");
}

#[test]
fn the_valid_file_is_accepted() {
    assert_eq!(list_mistakes(GOOD), [""; 0]);
}

#[test]
fn reports_all_mistakes_together() {
    let text = GOOD
        .replace("dialect = \"oss\"", "dialect = \"osss\"\ncolour = 1")
        .replace("region = \"cn-hangzhou\"", "region = 7")
        .replace("target = \"aliyun\"", "target = \"aliun\"\ntarget = \"aliyun\"")
        .replace("access = \"read\"", "access = \"reed\"");
    assert_eq!(
        list_mistakes(&text),
        [
            r#"line 5: target "aliyun": dialect = "osss": unknown dialect; did you mean "oss"?"#,
            r#"line 6: target "aliyun": colour: unknown key; known: name, dialect, profile, endpoint, region, addressing, credentials, metadata_endpoint, access_key, secret_key, session_token, insecure, ca, client_cert, client_key, kms_keys, signing, connect_timeout_seconds, response_timeout_seconds, body_timeout_seconds, dns_ttl_seconds, small_parts, small_parts_bucket, small_parts_prefix, small_parts_cleanup_seconds, connections_max, circuit_breaker_failures, circuit_breaker_open_seconds"#,
            r#"line 8: target "aliyun": region = 7: must be a string, not a whole number"#,
            r#"line 13: bucket "photos": target = "aliun": unknown target; did you mean "aliyun"?"#,
            r#"line 14: target: duplicate key"#,
            r#"line 19: caller "app": grants[0].access = "reed": unknown access; did you mean "read"?"#,
        ]
    );
}

#[test]
fn reports_a_file_without_targets() {
    let what = "no [[target]] is configured; run `blobfish init` to write a first configuration";
    assert_eq!(list_mistakes(""), [format!("line 1: {what}")]);
    assert_eq!(list_mistakes("target = []"), [format!("line 1: {what}")]);
}

#[test]
fn reports_syntax_errors() {
    let mistakes = list_mistakes("[listen\nhttp = [\"127.0.0.1:9000\"]\n");
    assert_eq!(mistakes, ["line 1: invalid TOML: unclosed table, expected `]`"]);
}

#[test]
fn checks_keys_and_types() {
    check_replaced("[listen]", "[lisen]", &["line 1: lisen: unknown key; did you mean \"listen\"?"]);
    check_replaced(
        "[[target]]",
        "[target]",
        &["line 3: target: must be a list of tables; write [[target]] instead of [target]"],
    );
    check_replaced(
        "region = \"cn-hangzhou\"\n",
        "",
        &["line 3: target \"aliyun\": region: missing; add region = \"us-east-1\""],
    );
    check_replaced(
        "[\"127.0.0.1:9000\"]",
        "\"127.0.0.1:9000\"",
        &["line 2: listen.http = \"127.0.0.1:9000\": must be a list, not a string"],
    );
    check_added(
        "region",
        "insecure = \"yes\"",
        &["line 8: target \"aliyun\": insecure = \"yes\": must be true or false, not a string"],
    );
    check_added(
        "region",
        "body_timeout_seconds = 0",
        &["line 8: target \"aliyun\": body_timeout_seconds = 0: must be from 1 to 3600"],
    );
    check_added(
        "region",
        "body_timeout_seconds = 1.5",
        &["line 8: target \"aliyun\": body_timeout_seconds = 1.5: must be a whole number, not a fraction"],
    );
    let issued =
        |written: &str| GOOD.replacen("access_key = \"LTAI\"\nsecret_key = \"TOPSECRET-1\"", written, 1);
    assert_eq!(list_mistakes(&issued("credentials = \"aliyun\"")), [""; 0]);
    assert_eq!(
        list_mistakes(&issued(
            "credentials = \"aliyn\"\nmetadata_endpoint = \"metadata\"\nsecret_key = \"TOPSECRET-1\""
        )),
        [
            "line 8: target \"aliyun\": credentials = \"aliyn\": unknown value; did you mean \"aliyun\"?",
            "line 9: target \"aliyun\": metadata_endpoint = \"metadata\": invalid URL; write https://host or http://host:port",
            "line 10: target \"aliyun\": secret_key = (secret): not allowed together with credentials; remove this key, or remove credentials",
        ]
    );
    check_added(
        "region",
        "metadata_endpoint = \"http://127.0.0.1:1\"",
        &[
            "line 8: target \"aliyun\": metadata_endpoint = \"http://127.0.0.1:1\": this key requires credentials; add credentials, or remove this key",
        ],
    );
    check_added(
        "region",
        "client_cert = \"/etc/blobfish/tls.crt\"\nclient_key = \"/etc/blobfish/tls.key\"",
        &[],
    );
    check_added(
        "region",
        "client_cert = \"/etc/blobfish/tls.key\"\nclient_key = \"/open/key\"",
        &[
            "line 8: target \"aliyun\": client_cert = \"/etc/blobfish/tls.key\": the file contains no PEM certificate",
            "line 9: target \"aliyun\": client_key = \"/open/key\": file /open/key can be accessed by other users; run chmod o-rwx /open/key",
        ],
    );
    check_added(
        "region",
        "client_cert = \"/etc/blobfish/tls.crt\"",
        &["line 3: target \"aliyun\": client_key: missing; add client_key = \"/etc/blobfish/client.key\""],
    );
    check_replaced(
        "https://oss-cn-hangzhou.aliyuncs.com\"",
        "http://oss.localhost\"\nclient_cert = \"/etc/blobfish/tls.crt\"\nclient_key = \"/etc/blobfish/tls.key\"",
        &[
            "line 7: target \"aliyun\": client_cert = \"/etc/blobfish/tls.crt\": a client certificate requires an https endpoint",
        ],
    );
    check_added(
        "region",
        "dns_ttl_seconds = 0",
        &["line 8: target \"aliyun\": dns_ttl_seconds = 0: must be from 1 to 3600"],
    );
    check_added(
        "region",
        "connections_max = 1",
        &[
            "line 8: target \"aliyun\": connections_max = 1: a copy needs two connections, one to read and one to write; use 2 or more, or 0 for no limit",
        ],
    );
    check_added(
        "region",
        "circuit_breaker_failures = 1_000_001\ncircuit_breaker_open_seconds = 0",
        &[
            "line 8: target \"aliyun\": circuit_breaker_failures = 1_000_001: must be from 0 to 1000000",
            "line 9: target \"aliyun\": circuit_breaker_open_seconds = 0: must be from 1 to 3600",
        ],
    );
    check_added(
        "region",
        "small_parts = \"join\"\nsmall_parts_prefix = \"parts\"\nsmall_parts_bucket = \"a/b\"\nsmall_parts_cleanup_seconds = 604_801",
        &[
            "line 8: target \"aliyun\": small_parts = \"join\": unknown value; known: combine, reject",
            "line 9: target \"aliyun\": small_parts_prefix = \"parts\": invalid key prefix; use letters, digits, dots, hyphens and underscores, and end with a slash",
            "line 10: target \"aliyun\": small_parts_bucket = \"a/b\": invalid bucket name; use letters, digits, dots, underscores and hyphens",
            "line 11: target \"aliyun\": small_parts_cleanup_seconds = 604_801: must be from 0 to 604800",
        ],
    );
    check_added(
        "http",
        "[limits]\nspool_dir = \"tmp\"\nspool_bytes_max = 1",
        &[
            "line 4: limits.spool_dir = \"tmp\": not the absolute path of a directory; write \"/var/tmp\"",
            "line 5: limits.spool_bytes_max = 1: must be from 5242880 to 5368709120",
        ],
    );
    check_added(
        "http",
        "[log]\nformat = \"xml\"\nlevel = \"inof\"",
        &[
            "line 4: log.format = \"xml\": unknown value; known: json, logfmt",
            "line 5: log.level = \"inof\": unknown value; did you mean \"info\"?",
        ],
    );
    check_added(
        "secret_key = \"TOPSECRET-2\"",
        "[limits]\nhead_bytes_max = -1\nheaders_max = 0x1_0000\nconnections = 5",
        &[
            "line 18: limits.head_bytes_max = -1: must be from 1024 to 1048576",
            "line 19: limits.headers_max = 0x1_0000: must be from 8 to 10000",
            "line 20: limits.connections: unknown key; did you mean \"connections_max\"?",
            "line 21: limits.grants: unknown key; known: head_bytes_max, headers_max, body_idle_timeout_seconds, keepalive_timeout_seconds, connections_max, connections_per_address_max, buffer_bytes_max, buffer_bytes_per_caller_max, shutdown_delay_seconds, drain_timeout_seconds, upgrade_drain_timeout_seconds, copies_max, copies_per_caller_max, copy_multipart_threshold_bytes, copy_part_bytes, copy_concurrency, copy_bytes_per_second, copy_bytes_per_second_per_caller, copies_on_disconnect, spool_dir, spool_bytes_max, spool_files_max",
        ],
    );
}

#[test]
fn checks_traces() {
    let at = "http = ";
    check_added(
        at,
        "[traces]\nratio = 1",
        &[
            "line 3: traces.endpoint: missing; add endpoint = \"http://127.0.0.1:4318\"",
            "line 4: traces.ratio: unknown key; known: endpoint, headers, sample_ratio, trust_incoming_context, propagate, insecure, ca",
        ],
    );
    for (ratio, why) in [
        ("1.1", "must be from 0 to 1"),
        ("-1", "must be from 0 to 1"),
        ("nan", "must be from 0 to 1"),
        ("true", "must be a number, not true or false"),
    ] {
        let lines = format!("[traces]\nendpoint = \"http://[::1]:4318/a/b\"\nsample_ratio = {ratio}");
        check_added(at, &lines, &[&format!("line 5: traces.sample_ratio = {ratio}: {why}")]);
    }
    for (url, why) in [
        (
            "\"http://collector:4318\"",
            "traces to another machine would not be encrypted; use https, or set insecure = true to allow plain HTTP",
        ),
        ("\"collector:4318\"", "invalid URL; write https://host or http://host:port"),
        ("\"grpc://collector:4318\"", "unknown scheme; write http or https"),
        ("\"https://collector/a b\"", "invalid path; use only visible ASCII characters"),
    ] {
        check_added(
            at,
            &format!("[traces]\nendpoint = {url}"),
            &[&format!("line 4: traces.endpoint = {url}: {why}")],
        );
    }
    for (url, why) in [
        ("https://me:TOPSECRET@collector", "the URL must not contain a user name or password; use headers"),
        (
            "https://collector/?key=TOPSECRET",
            "the endpoint must not contain a query or a fragment; use headers",
        ),
    ] {
        let lines = format!("[traces]\nendpoint = \"{url}\"");
        check_added(at, &lines, &[&format!("line 4: traces.endpoint = (secret): {why}")]);
    }
    check_added(
        at,
        "[traces]\nendpoint = \"https://collector\"\nca = \"/none\"",
        &["line 5: traces.ca = \"/none\": the file cannot be read: entity not found"],
    );
    for good in ["0", "1", "0.25", "1.0"] {
        check_added(
            at,
            &format!("[traces]\nendpoint = \"http://collector\"\ninsecure = true\nsample_ratio = {good}"),
            &[],
        );
    }
    let with_header =
        |header: &str| format!("[traces]\nendpoint = \"https://collector\"\nheaders = [{header}]");
    for (row, why) in [
        (
            "{ name = \"x-key\", value = 7 }",
            "headers \"x-key\": value = (secret): must be a string, { env = \"NAME\" } or { file = \"PATH\" }, not a whole number",
        ),
        (
            "{ name = \"x-key\", value = \"TOPSECRET\\u00e9\" }",
            "headers \"x-key\": value = (secret): the header value must contain only ASCII characters",
        ),
        (
            "{ name = \"x-key\", value = \"TOPSECRET\\r\\nx: y\" }",
            "headers \"x-key\": value = (secret): the secret begins or ends with white space, or contains a control character",
        ),
        (
            "{ name = \"x key\", value = \"TOPSECRET\" }",
            "headers \"x key\": name = \"x key\": invalid header name; use letters, digits, hyphens, underscores and dots",
        ),
        (
            "{ name = \"Host\", value = \"TOPSECRET\" }",
            "headers \"Host\": name = \"Host\": this header is set by Blobfish",
        ),
        (
            "{ name = \"a\", value = \"TOPSECRET\" }, { name = \"A\", value = \"TOPSECRET\" }",
            "headers \"A\": name = \"A\": already used by another header on line 5",
        ),
    ] {
        let mistakes =
            list_mistakes(&GOOD.replacen("[[target]]", &format!("{}\n[[target]]", with_header(row)), 1));
        assert_eq!(mistakes, [format!("line 5: {why}")], "{row}");
    }
}

#[test]
fn checks_shutdown_times() {
    for (key, most) in [
        ("shutdown_delay_seconds", "0 to 3600"),
        ("drain_timeout_seconds", "1 to 3600"),
        ("upgrade_drain_timeout_seconds", "1 to 86400"),
    ] {
        let message = format!("line 4: limits.{key} = -1: must be from {most}");
        check_replaced("[[target]]", &format!("[limits]\n{key} = -1\n[[target]]"), &[&message]);
    }
}

#[test]
fn messages_contain_no_control_characters() {
    let mistakes = list_mistakes("\"\\u001b[31m\" = 1\n");
    assert!(mistakes.iter().all(|line| !line.contains('\u{1b}')), "{mistakes:?}");
}

#[test]
fn checks_listeners() {
    check_replaced(
        "127.0.0.1:9000",
        "localhost:9000",
        &[
            "line 2: listen.http[0] = \"localhost:9000\": invalid address; write \"127.0.0.1:9000\" or \"[::1]:9000\"",
        ],
    );
    check_replaced(
        "\"127.0.0.1:9000\"",
        "\"127.0.0.1:9000\", \"127.0.0.1:9000\"",
        &["line 2: listen.http[1] = \"127.0.0.1:9000\": already used by 127.0.0.1:9000 on line 2"],
    );
    check_replaced(
        "\"127.0.0.1:9000\"",
        "\"127.0.0.1:9000\", \"[::]:9000\"",
        &["line 2: listen.http[1] = \"[::]:9000\": already used by 127.0.0.1:9000 on line 2"],
    );
    check_replaced(
        "127.0.0.1:9000",
        "0.0.0.0:9090",
        &[
            "line 2: listen.http[0] = \"0.0.0.0:9090\": conflicts with the admin port, which listens on 127.0.0.1:9090 by default; set [admin] listen = \"127.0.0.1:9091\"",
        ],
    );
    check_replaced(
        "[[target]]",
        "[admin]\nlisten = \"127.0.0.1:9000\"\n[[target]]",
        &["line 4: admin.listen = \"127.0.0.1:9000\": already used by 127.0.0.1:9000 on line 2"],
    );
    for wrong in ["control.sock", "/", ""] {
        let what = "not the absolute path of a socket; write \"/run/blobfish/control.sock\"";
        let message = format!("line 4: admin.control_socket = \"{wrong}\": {what}");
        check_replaced(
            "[[target]]",
            &format!("[admin]\ncontrol_socket = \"{wrong}\"\n[[target]]"),
            &[&message],
        );
    }
    let long = format!("/{}", "a".repeat(90));
    let mistakes = list_mistakes(
        &GOOD.replace("[[target]]", &format!("[admin]\ncontrol_socket = \"{long}\"\n[[target]]")),
    );
    assert!(mistakes.len() == 1 && mistakes[0].ends_with("longer than 90 bytes"), "{mistakes:?}");
    check_replaced(
        "http = [\"127.0.0.1:9000\"]",
        "http = []",
        &["line 1: listen: no address to listen on; add http = [\"127.0.0.1:9000\"]"],
    );
    check_added(
        "http",
        "dialect = \"swift\"",
        &["line 3: listen.dialect = \"swift\": unknown dialect; known: s3, cos, oss"],
    );
    check_replaced(
        "[[target]]",
        "[hosts]\nbase = [\"a b\", \"x.example\", \"X.example\"]\n[[target]]",
        &[
            "line 4: hosts.base[0] = \"a b\": invalid host; write a DNS name or an IP address",
            "line 4: hosts.base[2] = \"X.example\": already used by another name on line 4",
        ],
    );
    // Listening on all addresses is allowed. Port 0 twice is two different free ports.
    check_replaced(
        "\"127.0.0.1:9000\"",
        "\"0.0.0.0:80\", \"127.0.0.1:0\", \"127.0.0.1:0\", \"[::1]:80\"",
        &[],
    );
}

#[test]
fn checks_trusted_proxies() {
    check_added(
        "http",
        "trusted_proxies = [\"10.0.0.0/8\", \"192.0.2.1\", \"fd00::/8\"]\nproxy_protocol = true",
        &[],
    );
    check_added("http", "trusted_proxies = []\nproxy_protocol = false", &[]);
    check_added(
        "http",
        "trusted_proxies = [\"10.0.0.0/33\", \"proxy.example\", \"10.1.2.3/8\"]\nproxy_protocol = 1",
        &[
            "line 3: listen.trusted_proxies[0] = \"10.0.0.0/33\": not a network or an address; write \"10.0.0.0/8\", \"fd00::/8\" or an address",
            "line 3: listen.trusted_proxies[1] = \"proxy.example\": not a network or an address; write \"10.0.0.0/8\", \"fd00::/8\" or an address",
            "line 3: listen.trusted_proxies[2] = \"10.1.2.3/8\": the address has bits set after the prefix; write \"10.0.0.0/8\" or \"10.1.2.3\"",
            "line 4: listen.proxy_protocol = 1: must be true or false, not a whole number",
        ],
    );
    check_added(
        "http",
        "proxy_protocol = true",
        &[
            "line 3: listen.proxy_protocol = true: proxy_protocol requires trusted_proxies; add trusted_proxies = [\"10.0.0.0/8\"]",
        ],
    );
}

#[test]
fn checks_certificates() {
    let good =
        "{ address = \"0.0.0.0:1\", cert = \"/etc/blobfish/tls.crt\", key = \"/etc/blobfish/tls.key\" }";
    check_added("http", &format!("https = [{good}]"), &[]);
    let check_https = |from: &str, to: &str, expected: &[&str]| {
        assert!(good.contains(from));
        check_added("http", &format!("https = [{}]", good.replace(from, to)), expected);
    };
    check_https(
        ", key = \"/etc/blobfish/tls.key\"",
        "",
        &["line 3: listen.https[0].key: missing; add key = \"/etc/blobfish/tls.key\""],
    );
    check_https(
        "cert = \"/etc/blobfish/tls.crt\", ",
        "",
        &["line 3: listen.https[0].cert: missing; add cert = \"/etc/blobfish/tls.crt\""],
    );
    check_https(
        "/etc/blobfish/tls.crt",
        "/nowhere",
        &["line 3: listen.https[0].cert = \"/nowhere\": the file cannot be read: entity not found"],
    );
    check_https(
        "/etc/blobfish/tls.crt",
        "/etc/blobfish/tls.key",
        &["line 3: listen.https[0].cert = \"/etc/blobfish/tls.key\": the file contains no PEM certificate"],
    );
    check_https(
        "/etc/blobfish/tls.key",
        "/etc/blobfish/tls.crt",
        &["line 3: listen.https[0].key = \"/etc/blobfish/tls.crt\": the file contains no PEM private key"],
    );
    check_https(
        "/etc/blobfish/tls.key",
        "/open/key",
        &[
            "line 3: listen.https[0].key = \"/open/key\": file /open/key can be accessed by other users; run chmod o-rwx /open/key",
        ],
    );
    check_https(
        "/etc/blobfish/tls.key",
        "/etc/blobfish/vendor.key",
        &[
            "line 3: listen.https[0].cert = \"/etc/blobfish/tls.crt\": not for /etc/blobfish/vendor.key, not usable as the default",
        ],
    );
    // Several certificates, with a default one and without.
    let vendor = "{ cert = \"/etc/blobfish/vendor.crt\", key = \"/etc/blobfish/vendor.key\" }";
    let build_https = |default: &str, certificates: &str| {
        format!("https = [{{ address = \"0.0.0.0:1\", {default}certificates = [{certificates}] }}]")
    };
    let default = "cert = \"/etc/blobfish/tls.crt\", key = \"/etc/blobfish/tls.key\", ";
    check_added("http", &build_https(default, vendor), &[]);
    check_added("http", &build_https("", &format!("{vendor}, {vendor}")), &[]);
    check_added(
        "http",
        &build_https("", ""),
        &[
            "line 3: listen.https[0].cert: missing; add cert = \"/etc/blobfish/tls.crt\"",
            "line 3: listen.https[0].key: missing; add key = \"/etc/blobfish/tls.key\"",
        ],
    );
    let half = "{ cert = \"/etc/blobfish/vendor.crt\" }";
    let swapped = "{ cert = \"/etc/blobfish/vendor.crt\", key = \"/etc/blobfish/tls.key\", x = 1 }";
    check_added(
        "http",
        &build_https("key = \"/etc/blobfish/tls.key\", ", &format!("{half}, {swapped}")),
        &[
            "line 3: listen.https[0].cert: missing; add cert = \"/etc/blobfish/tls.crt\"",
            "line 3: listen.https[0].certificates[0].key: missing; add key = \"/etc/blobfish/tls.key\"",
            "line 3: listen.https[0].certificates[1].cert = \"/etc/blobfish/vendor.crt\": not for /etc/blobfish/tls.key, not usable for its host names",
            "line 3: listen.https[0].certificates[1].x: unknown key; known: cert, key",
        ],
    );
    check_added(
        "region",
        "ca = \"/run/secret\"",
        &["line 8: target \"aliyun\": ca = \"/run/secret\": the file contains no PEM certificate"],
    );
}

#[test]
fn checks_dialects_and_profiles() {
    check_replaced(
        "\"oss\"",
        "\"jdcloud\"",
        &[
            "line 5: target \"aliyun\": dialect = \"jdcloud\": unknown dialect; it is a profile of dialect \"s3\"",
        ],
    );
    check_added(
        "region",
        "profile = \"aliun\"",
        &["line 8: target \"aliyun\": profile = \"aliun\": unknown profile; did you mean \"aliyun\"?"],
    );
    check_replaced(
        "\"oss\"",
        "\"cos\"\nprofile = \"tencent\"",
        &["line 6: target \"aliyun\": profile = \"tencent\": this dialect has no profiles; remove this key"],
    );
    check_replaced(
        "\"oss\"",
        "\"s3\"\nsigning = \"v4\"",
        &["line 6: target \"aliyun\": signing = \"v4\": only dialect \"oss\" supports this key"],
    );
    check_added("region", "signing = \"v1\"", &[]);
    check_added(
        "region",
        "signing = \"v2\"",
        &["line 8: target \"aliyun\": signing = \"v2\": unknown value; did you mean \"v1\"?"],
    );
}

#[test]
fn checks_endpoints() {
    let url = "https://oss-cn-hangzhou.aliyuncs.com";
    check_replaced(
        url,
        "http://oss-cn-hangzhou.aliyuncs.com",
        &[
            "line 6: target \"aliyun\": endpoint = \"http://oss-cn-hangzhou.aliyuncs.com\": requests to another machine would not be encrypted; use https, or set insecure = true to allow plain HTTP",
        ],
    );
    check_replaced(&format!("{url}\""), "http://a.example\"\ninsecure = true", &[]);
    check_replaced(url, "http://oss.localhost:9100", &[]);
    check_replaced(&format!("{url}\""), "http://127.0.0.1:9100\"\naddressing = \"path\"", &[]);
    check_replaced(
        url,
        "http://127.0.0.1:9100",
        &[
            "line 6: target \"aliyun\": endpoint = \"http://127.0.0.1:9100\": an IP address does not allow virtual-hosted addressing; set addressing = \"path\"",
        ],
    );
    check_replaced(
        url,
        "ftp://a.example",
        &["line 6: target \"aliyun\": endpoint = \"ftp://a.example\": unknown scheme; write http or https"],
    );
    check_replaced(
        url,
        "https://a.example/path",
        &[
            "line 6: target \"aliyun\": endpoint = \"https://a.example/path\": the endpoint must not contain a path; write https://a.example",
        ],
    );
    check_replaced(
        url,
        "https://me:TOPSECRET@a.example",
        &[
            "line 6: target \"aliyun\": endpoint = (secret): the URL must not contain a user name or password; use access_key and secret_key",
        ],
    );
    check_replaced(
        "\"cn-hangzhou\"",
        "\"\"",
        &[
            "line 7: target \"aliyun\": region = \"\": invalid region; use letters, digits, hyphens, underscores and dots",
        ],
    );
    check_replaced(
        "\"LTAI\"",
        "\"LT/AI\"",
        &[
            "line 8: target \"aliyun\": access_key = \"LT/AI\": an access key ID must not contain separators or quotes",
        ],
    );
    check_added(
        "region",
        "kms_keys = [\"\"]",
        &["line 8: target \"aliyun\": kms_keys[0] = \"\": the key ID is empty"],
    );
}

#[test]
fn checks_secrets() {
    let check_secret = |to: &str, what: &str| {
        let expected = format!("line 9: target \"aliyun\": secret_key = (secret): {what}");
        check_replaced("\"TOPSECRET-1\"", to, &[&expected]);
    };
    check_replaced("\"TOPSECRET-1\"", "{ env = \"GOOD\" }", &[]);
    check_replaced("\"TOPSECRET-1\"", "{ file = \"/run/secret\" }", &[]);
    check_secret("\"\"", "the secret is empty");
    check_secret("{ env = \"EMPTY\" }", "the secret is empty");
    check_secret("{ file = \"/run/empty\" }", "the secret is empty");
    let ends = "the secret begins or ends with white space, or contains a control character";
    check_secret("\" TOPSECRET\"", ends);
    check_secret("{ file = \"/run/lines\" }", ends);
    check_secret("{ env = \"MISSING_1\" }", "environment variable MISSING_1 is not set");
    check_secret("{ env = \"TOPSECRETpasted\" }", "environment variable named here is not set");
    check_secret("{ file = \"/run/none\" }", "file /run/none cannot be read: entity not found");
    check_secret("{ file = \"TOPSECRET\" }", "file named here cannot be read: entity not found");
    check_secret(
        "{ file = \"/open/secret\" }",
        "file /open/secret can be accessed by other users; run chmod o-rwx /open/secret",
    );
    check_secret(
        "{ env = \"GOOD\", file = \"/run/secret\" }",
        "both env and file are set; remove one of them",
    );
    check_secret("{}", "neither env nor file is set; write { env = \"NAME\" } or { file = \"PATH\" }");
    check_secret("{ env = [\"TOPSECRET\"] }", "must be a string, not a list");
    check_secret("\"${TOPSECRET}\"", "variables in a string are not expanded; write { env = \"NAME\" }");
    check_secret("5", "must be a string, { env = \"NAME\" } or { file = \"PATH\" }, not a whole number");
    check_secret("{ env = \"GOOD\", TOPSECRET = 1 }", "unknown key; known: env, file");
    check_replaced(
        "secret_key = \"TOPSECRET-1\"",
        "secretkey = \"TOPSECRET-1\"",
        &[
            "line 3: target \"aliyun\": secret_key: missing; add secret_key = { env = \"NAME\" }",
            "line 9: target \"aliyun\": secretkey: unknown key; did you mean \"secret_key\"?",
        ],
    );
    check_added(
        "region",
        "session_token = \"\"",
        &["line 8: target \"aliyun\": session_token = (secret): the secret is empty"],
    );
    check_replaced(
        "\"TOPSECRET-1\"",
        "\"TOPSECRET-1",
        &["line 9: invalid TOML: invalid basic string, expected `\"`"],
    );
    check_replaced(
        "\"TOPSECRET-1\"",
        "TOPSECRET-1",
        &["line 9: invalid TOML: invalid boolean, expected `true`"],
    );
    check_replaced(
        "secret_key = \"TOPSECRET-1\"",
        "secret_key = \"TOPSECRET-1\"\nsecret_key = \"TOPSECRET-3\"",
        &["line 10: secret_key: duplicate key"],
    );
}

#[test]
fn checks_buckets() {
    check_replaced(
        "\"aliyun\"\n[[caller]]",
        "\"tencent\"\n[[caller]]",
        &["line 12: bucket \"photos\": target = \"tencent\": unknown target; known: aliyun"],
    );
    check_replaced(
        "\"photos\"",
        "\"a*b*\"",
        &["line 11: bucket \"a*b*\": name = \"a*b*\": a pattern can contain only one *"],
    );
    check_replaced(
        "\"photos\"",
        "\"a/b\"",
        &[
            "line 11: bucket \"a/b\": name = \"a/b\": invalid bucket name; use letters, digits, dots, underscores and hyphens",
        ],
    );
    check_replaced(
        "\"photos\"",
        "\"photos-*\"\ntarget_bucket = \"photos\"",
        &[
            "line 12: bucket \"photos-*\": target_bucket = \"photos\": not allowed if name is a pattern; remove target_bucket, or name one bucket",
        ],
    );
    check_replaced(
        "\"photos\"",
        "\"photos\"\ntarget_bucket = \"*\"",
        &[
            "line 12: bucket \"photos\": target_bucket = \"*\": invalid bucket name; use letters, digits, dots, underscores and hyphens",
        ],
    );
    check_replaced(
        "[[caller]]",
        "[[bucket]]\nname = \"photos\"\ntarget = \"aliyun\"\n[[caller]]",
        &["line 14: bucket \"photos\": name = \"photos\": already used by another bucket on line 11"],
    );
    check_replaced(
        "\"photos\"",
        "\"photos\"\nunsupported = \"ignore\"\nconditions = \"chek\"",
        &[
            "line 12: bucket \"photos\": unsupported = \"ignore\": unknown value; known: reject, report",
            "line 13: bucket \"photos\": conditions = \"chek\": unknown value; did you mean \"check\"?",
        ],
    );
}

#[test]
fn checks_callers() {
    let second =
        "[[caller]]\nname = \"app\"\naccess_key = \"AKID\"\nsecret_key = \"TOPSECRET-3\"\n[[caller]]";
    check_replaced(
        "[[caller]]",
        second,
        &[
            "line 18: caller \"app\": name = \"app\": already used by another caller on line 14",
            "line 19: caller \"app\": access_key = \"AKID\": already used by another caller on line 15",
        ],
    );
    check_replaced(
        "[[target]]",
        "[[target]]\nname = \"aliyun\"\ndialect = \"s3\"\nendpoint = \"https://a.example\"\nregion = \"r\"\naccess_key = \"LTAI\"\nsecret_key = \"TOPSECRET\"\n[[target]]",
        &["line 11: target \"aliyun\": name = \"aliyun\": already used by another target on line 4"],
    );
    check_replaced(
        "\"app\"",
        "\"my app\"",
        &[
            "line 14: caller \"my app\": name = \"my app\": invalid name; use 1 to 64 letters, digits, hyphens, underscores and dots",
        ],
    );
    check_replaced(
        "[\"photos-*\"]",
        "[]",
        &["line 17: caller \"app\": grants[0].buckets: the grant names no bucket; remove the grant"],
    );
    check_replaced(
        ", access = \"read\"",
        "",
        &["line 17: caller \"app\": grants[0].access: missing; add access = \"read\""],
    );
    check_replaced("grants = [{ buckets = [\"photos-*\"], access = \"read\" }]\n", "", &[]);
    check_replaced(
        "\"AKID\"",
        "\"AKID\"\nsignatures = [\"s3v4\", \"s3v5\"]\ncos_signing = \"strikt\"",
        &[
            "line 16: caller \"app\": signatures[1] = \"s3v5\": unknown signature; did you mean \"s3v2\"?",
            "line 17: caller \"app\": cos_signing = \"strikt\": unknown value; did you mean \"strict\"?",
        ],
    );
    check_replaced(
        "\"AKID\"",
        "\"AKID\"\nsignatures = []",
        &[
            "line 16: caller \"app\": signatures: no signature is allowed; remove this key to allow all signatures",
        ],
    );
}

#[test]
fn checks_access_keys_of_a_caller() {
    let own = "access_key = \"AKID\"\nsecret_key = \"TOPSECRET-2\"\n";
    let second = "keys = [{ access_key = \"AKID2\", secret_key = \"TOPSECRET-3\" }]\n";
    assert_eq!(list_mistakes(&GOOD.replace(own, second)), [""; 0], "only the list");
    assert_eq!(list_mistakes(&GOOD.replace(own, &format!("{own}{second}"))), [""; 0], "both forms");
    check_replaced(
        own,
        &format!("{own}{}", second.replace("AKID2", "AKID")),
        &[
            "line 17: caller \"app\": keys[0].access_key = \"AKID\": already used by another caller on line 15",
        ],
    );
    check_replaced(
        own,
        "keys = [{ access_key = \"AKID2\" }]\n",
        &["line 15: caller \"app\": keys[0].secret_key: missing; add secret_key = { env = \"NAME\" }"],
    );
    check_replaced(
        own,
        "keys = []\n",
        &[
            "line 13: caller \"app\": access_key: missing; add access_key = \"AKID...\"",
            "line 13: caller \"app\": secret_key: missing; add secret_key = { env = \"NAME\" }",
        ],
    );
    check_added(
        "secret_key = \"TOPSECRET-2\"",
        "requests_per_second = 5_000_000\nconcurrent_requests_max = \"2\"",
        &[
            "line 17: caller \"app\": requests_per_second = 5_000_000: must be from 0 to 1000000",
            "line 18: caller \"app\": concurrent_requests_max = \"2\": must be a whole number, not a string",
        ],
    );
    check_added(
        "name = \"photos\"",
        "anonymous = \"write\"",
        &["line 12: bucket \"photos\": anonymous = \"write\": unknown value; known: reject, read"],
    );
}
