//! The configuration as `/api/config` shows it: everything except secrets, which this module never reads.

use blobfish_config::{
    Addressing, BucketRule, Caller, Certificate, Conditions, Config, CopiesOnDisconnect, GrantAccess,
    HttpsListener, Limits, LogFormat, SmallParts, Target, Traces, UnsupportedFields,
};
use serde_json::{Value, json};

/// Renders the response of `/api/config`.
pub(crate) fn render_config(config: &Config, loaded_seconds: f64) -> Value {
    let listen = &config.listen;
    let dialects = blobfish_dialects::DIALECTS.iter().chain(blobfish_dialects::PROFILES.iter());
    json!({
        "loaded_timestamp_seconds": loaded_seconds,
        "listen": {
            "http": listen.http,
            "https": listen.https.iter().map(render_https).collect::<Vec<_>>(),
            "trusted_proxies": listen.trusted_proxies.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "proxy_protocol": listen.proxy_protocol,
            "dialect": listen.default_dialect,
        },
        "admin": config.admin,
        "control_socket": config.control.as_ref().map(|path| path.display().to_string()),
        "base_domains": config.base_domains,
        "limits": render_limits(&config.limits),
        "log": {
            "format": match config.log.format {
                LogFormat::Json => "json",
                LogFormat::Logfmt => "logfmt",
            },
            "level": format!("{:?}", config.log.level).to_lowercase(),
        },
        "traces": config.traces.as_ref().map(render_traces),
        "targets": config.targets.iter().map(render_target).collect::<Vec<_>>(),
        "buckets": config.buckets.iter().map(|rule| render_bucket(rule, &config.targets)).collect::<Vec<_>>(),
        "callers": config.callers.iter().map(render_caller).collect::<Vec<_>>(),
        "dialects": dialects.map(|dialect| dialect.name).collect::<Vec<_>>(),
        "caller_dialects": blobfish_dialects::DIALECTS.iter().map(|dialect| dialect.name).collect::<Vec<_>>(),
    })
}

fn render_https(listener: &HttpsListener) -> Value {
    let certificate_path = |certificate: &Certificate| certificate.cert.display().to_string();
    json!({
        "address": listener.address,
        "cert": listener.default.as_ref().map(certificate_path),
        "certificates": listener.certificates.iter().map(certificate_path).collect::<Vec<_>>(),
    })
}

fn render_limits(limits: &Limits) -> Value {
    let copies = &limits.copies;
    json!({
        "head_bytes_max": limits.head_bytes_max,
        "headers_max": limits.headers_max,
        "body_idle_timeout_seconds": limits.body_idle_timeout.as_secs(),
        "keepalive_timeout_seconds": limits.keepalive_timeout.as_secs(),
        "connections_max": limits.connections_max,
        "connections_per_address_max": limits.connections_per_address_max,
        "buffer_bytes_max": limits.buffer_bytes_max,
        "buffer_bytes_per_caller_max": limits.buffer_bytes_per_caller_max,
        "shutdown_delay_seconds": limits.shutdown_delay.as_secs(),
        "drain_timeout_seconds": limits.drain.as_secs(),
        "upgrade_drain_timeout_seconds": limits.upgrade_drain.as_secs(),
        "copies_max": copies.copies_max,
        "copies_per_caller_max": copies.copies_per_caller_max,
        "copy_multipart_threshold_bytes": copies.single_bytes_max,
        "copy_part_bytes": copies.part_bytes,
        "copy_concurrency": copies.copy_concurrency,
        "copy_bytes_per_second": copies.bytes_per_second.unwrap_or_default(),
        "copy_bytes_per_second_per_caller": copies.bytes_per_second_per_caller.unwrap_or_default(),
        "spool_dir": limits.spool.dir,
        "spool_bytes_max": limits.spool.bytes_max,
        "spool_files_max": limits.spool.files_max,
        "copies_on_disconnect": match copies.copies_on_disconnect {
            CopiesOnDisconnect::Finish => "finish",
            CopiesOnDisconnect::Abort => "abort",
        },
    })
}

fn render_traces(traces: &Traces) -> Value {
    let scheme = if traces.endpoint.tls { "https" } else { "http" };
    json!({
        "endpoint": format!("{scheme}://{}{}", traces.endpoint.authority(), traces.path),
        // Names only: the values are often API keys.
        "headers": traces.headers.iter().map(|(name, _)| name).collect::<Vec<_>>(),
        "sample_ratio": traces.sample_ratio,
        "trust_incoming_context": traces.trust_incoming_context,
        "propagate": traces.propagate,
        "own_authorities": traces.ca.is_some(),
    })
}

fn render_target(target: &Target) -> Value {
    let scheme = if target.endpoint.tls { "https" } else { "http" };
    json!({
        "name": target.name,
        "dialect": target.dialect,
        "profile": target.profile,
        "endpoint": format!("{scheme}://{}", target.endpoint.authority()),
        "region": target.region,
        "addressing": match target.addressing {
            Addressing::Virtual => "virtual",
            Addressing::Path => "path",
        },
        "signing": target.signing,
        "credentials": target.credentials,
        "access_key": shorten_access_key(&target.access_key),
        // Only the presence of secrets and certificates is returned.
        "session_token": target.session_token.is_some(),
        "own_authorities": target.ca.is_some(),
        "client_certificate": target.client_cert.is_some(),
        "connections_max": target.connections_max,
        "circuit_breaker_failures": target.circuit_breaker_failures,
        "circuit_breaker_open_seconds": target.circuit_breaker_open.as_secs(),
        "kms_keys": target.kms_keys.len(),
        "small_parts": match target.small_parts {
            SmallParts::Combine => "combine",
            SmallParts::Reject => "reject",
        },
        "small_parts_bucket": target.small_parts_bucket,
        "small_parts_prefix": target.small_parts_prefix,
        "small_parts_cleanup_seconds": target.small_parts_cleanup.as_secs(),
    })
}

fn render_bucket(rule: &BucketRule, targets: &[Target]) -> Value {
    json!({
        "name": rule.name.to_string(),
        "target": targets.get(rule.target).map(|target| &target.name),
        "target_bucket": rule.target_bucket,
        "unsupported": match rule.unsupported {
            UnsupportedFields::Reject => "reject",
            UnsupportedFields::Report => "report",
        },
        "conditions": match rule.conditions {
            Conditions::Auto => "by target",
            Conditions::Native => "native",
            Conditions::Check => "check",
        },
        "relay": rule.relay,
        "anonymous_read": rule.anonymous_read,
    })
}

fn render_caller(caller: &Caller) -> Value {
    let grants = caller.grants.iter().map(|grant| {
        let buckets: Vec<String> = grant.buckets.iter().map(ToString::to_string).collect();
        let access = match grant.access {
            GrantAccess::Read => "read",
            GrantAccess::Write => "write",
            GrantAccess::ReadWrite => "read-write",
            GrantAccess::Admin => "admin",
        };
        json!({ "buckets": buckets, "access": access })
    });
    let mut view = json!({
        "name": caller.name,
        "access_keys": caller.keys.iter().map(|key| shorten_access_key(&key.access_key)).collect::<Vec<_>>(),
        "session_token": caller.keys.iter().any(|key| key.session_token.is_some()),
        "requests_per_second": caller.requests_per_second,
        "concurrent_requests_max": caller.concurrent_requests_max,
        "signatures": caller.signatures,
        "grants": grants.collect::<Vec<_>>(),
    });
    // One key for each dialect that lets its clients leave something unsigned, as in the configuration.
    for dialect in blobfish_dialects::list_configurable_dialects() {
        let Some(key) = dialect.strict_signing_config_key else { continue };
        let is_strict = caller.strict_dialects.contains(&dialect.name);
        if let Some(view) = view.as_object_mut() {
            view.insert(key.to_owned(), json!(if is_strict { "strict" } else { "accept" }));
        }
    }
    view
}

/// Shortens an access key ID. Its ends are enough to recognise it.
fn shorten_access_key(key: &str) -> String {
    let characters: Vec<char> = key.chars().collect();
    // A short ID keeps only a quarter at each end, so that half of it stays hidden.
    let visible_chars = if characters.len() >= 16 { 4 } else { characters.len() / 4 };
    let begin: String = characters.iter().take(visible_chars).collect();
    let end: String = characters.iter().skip(characters.len().saturating_sub(visible_chars)).collect();
    format!("{begin}…{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_ends_of_an_access_key_are_shown() {
        assert_eq!(shorten_access_key("AKIDBLOBFISHDEMO0001"), "AKID…0001");
        assert_eq!(shorten_access_key("AKIDKEY1"), "AK…Y1");
        assert_eq!(shorten_access_key("abc"), "…");
    }
}
