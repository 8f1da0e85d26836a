//! The values of the new configuration: from flags, from the tables of the dialects, and from a dialog on a terminal.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use blobfish_config::{Endpoint, Pattern};
use blobfish_dialects::dialect::Dialect;
use blobfish_dialects::dialect::addressing;
use blobfish_dialects::{find_dialect, list_configurable_dialects};
use clap::ValueEnum;

use crate::cli::args::{
    AddressingArg, ConditionsArg, InitArgs, SecretSource, UsageError, list_caller_dialects,
    list_target_dialects,
};

/// How often a question is repeated after an invalid value.
const TRIES_MAX: usize = 5;

/// The values of the new configuration.
pub(super) struct InitSettings {
    /// The application's dialect.
    pub caller_dialect: String,
    /// The target's name.
    pub target_name: String,
    /// The target's dialect.
    pub target_dialect: String,
    /// The target's profile.
    pub profile: Option<String>,
    /// The target's endpoint.
    pub endpoint: String,
    /// The target's region.
    pub region: String,
    /// Whether the bucket is in the path.
    pub path_style: bool,
    /// Whether plain HTTP to another machine is allowed.
    pub insecure: bool,
    /// Certificate authorities to trust.
    pub ca: Option<PathBuf>,
    /// The buckets.
    pub buckets: Vec<BucketMapping>,
    /// Whether Blobfish evaluates the conditions of copies.
    pub check_conditions: bool,
    /// The access key ID at the target.
    pub access_key: String,
    /// Where its secret key is stored.
    pub target_secret: TargetSecret,
    /// Where the caller's secret key is stored.
    pub caller_secret_source: SecretSource,
    /// Listen address for clients.
    pub listen: SocketAddr,
    /// Listen address of the admin port.
    pub admin: SocketAddr,
    /// Whether existing files are replaced.
    pub force: bool,
}

/// A bucket of the new configuration.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BucketMapping {
    /// The name that clients use, or a pattern.
    pub name: String,
    /// The name at the target, if it is different.
    pub target_bucket: Option<String>,
}

/// Where the secret key at the target is stored.
pub(super) enum TargetSecret {
    /// In this environment variable.
    Env(String),
    /// In this file.
    File(PathBuf),
}

impl InitSettings {
    /// Takes the values from the flags, and asks for the others.
    ///
    /// # Errors
    /// Values are missing (the error names all of them) or invalid.
    pub(super) fn from_args(args: InitArgs) -> anyhow::Result<Self> {
        let mut prompt =
            Prompt { terminal: io::stdin().is_terminal() && io::stderr().is_terminal(), missing: Vec::new() };
        let question =
            format!("Which dialect does the application use? ({})", list_caller_dialects().join(", "));
        let caller =
            prompt.ask("--caller-dialect", args.caller_dialect, &question, None, parse_caller_dialect)?;
        let question =
            format!("Which dialect or profile does the target have? ({})", list_target_dialects().join(", "));
        let target =
            prompt.ask("--target-dialect", args.target_dialect, &question, None, parse_target_dialect)?;
        let (dialect, profile) = target.unwrap_or_default();
        let profile = args.profile.or(profile);
        if let (Some(profile), false) = (&profile, dialect.is_empty()) {
            check_profile(&dialect, profile)
                .map_err(|why| UsageError(format!("--profile {profile}: {why}")))?;
        }
        let table = find_dialect(&dialect, profile.as_deref());
        let (endpoint, region) = prompt.ask_endpoint_and_region(args.endpoint, args.region, table)?;
        let requested = Some(args.bucket.join(",")).filter(|_| !args.bucket.is_empty());
        let question = "Which buckets does the application use? (a, b=NAME AT THE TARGET; * is every bucket)";
        let buckets = prompt.ask("--bucket", requested, question, None, parse_buckets)?;
        let question = "Which access key ID does Blobfish have at the target? (not the secret key)";
        let access_key = prompt.ask("--access-key", args.access_key, question, None, parse_word)?;
        prompt.check_missing()?;
        // A bucket cannot be a subdomain of an IP address.
        let is_ip = Endpoint::parse(&endpoint).is_ok_and(|endpoint| endpoint.ip().is_some());
        let default = if is_ip { AddressingArg::Path } else { AddressingArg::Virtual };
        let question = "How are buckets addressed? (virtual: bucket.host, path: host/bucket)";
        let addressing = prompt.choose(args.addressing, question, default)?;
        let question = "Where is the application's secret key stored? (env: in a variable that you set; file: generated, in a file; \
                        literal: generated, in the configuration)";
        let secrets = prompt.choose(args.secrets, question, SecretSource::Env)?;
        // The name of a target is free; its dialect or profile is a good first one.
        let name = profile.clone().unwrap_or_else(|| dialect.clone());
        let variable = format!("{}_SECRET", name.to_uppercase().replace('-', "_"));
        let secret = match args.secret_file {
            Some(file) => TargetSecret::File(std::path::absolute(file).context("--secret-file")?),
            None => parse_variable_name(&args.secret_env.unwrap_or(variable))
                .map(TargetSecret::Env)
                .map_err(|why| UsageError(format!("--secret-env: {why}")))?,
        };
        let ca = args.ca.map(std::path::absolute).transpose().context("--ca")?;
        Ok(Self {
            caller_dialect: caller.unwrap_or_default(),
            target_name: name,
            target_dialect: dialect,
            profile,
            endpoint,
            region,
            path_style: addressing == AddressingArg::Path,
            insecure: args.insecure,
            ca,
            buckets: buckets.unwrap_or_default(),
            // Native conditions are atomic, so they are the default where the target has them.
            check_conditions: match args.conditions {
                Some(who) => who == ConditionsArg::Check,
                None => table.is_some_and(|dialect| !dialect.supports_source_conditions()),
            },
            access_key: access_key.unwrap_or_default(),
            target_secret: secret,
            caller_secret_source: secrets,
            listen: args.listen,
            admin: args.admin,
            force: args.force,
        })
    }
}

/// Parses an application's dialect. A profile that applications use is, in HTTP, its dialect.
fn parse_caller_dialect(text: &str) -> Result<String, String> {
    let known = list_caller_dialects();
    if known.contains(&text) {
        parse_target_dialect(text).map(|(dialect, _)| dialect)
    } else {
        Err(format_unknown(&known))
    }
}

fn parse_target_dialect(text: &str) -> Result<(String, Option<String>), String> {
    let known = list_configurable_dialects();
    if known.iter().any(|dialect| dialect.name == text) {
        return Ok((text.to_owned(), None));
    }
    let owner = known.iter().find(|dialect| dialect.profiles.contains(&text));
    owner
        .map(|owner| (owner.name.to_owned(), Some(text.to_owned())))
        .ok_or_else(|| format_unknown(&list_target_dialects()))
}

fn check_profile(dialect: &str, profile: &str) -> Result<(), String> {
    let known = list_configurable_dialects();
    let profiles =
        known.iter().find(|row| row.name == dialect).map_or(&[][..], |row| row.profiles.as_slice());
    if profiles.contains(&profile) { Ok(()) } else { Err(format_unknown(profiles)) }
}

fn format_unknown(known: &[&str]) -> String {
    format!("unknown; available: {}", known.join(", "))
}

fn parse_endpoint(text: &str) -> Result<String, String> {
    Endpoint::parse(text).map(|_| text.to_owned()).map_err(|rejected| rejected.to_string())
}

fn parse_buckets(text: &str) -> Result<Vec<BucketMapping>, String> {
    text.split(',').map(|one| parse_bucket(one.trim())).collect()
}

fn parse_bucket(text: &str) -> Result<BucketMapping, String> {
    let (name, target_bucket) =
        text.split_once('=').map_or((text, None), |(name, there)| (name, Some(there)));
    Pattern::parse(name).map_err(|rejected| rejected.to_string())?;
    Ok(BucketMapping { name: name.to_owned(), target_bucket: target_bucket.map(str::to_owned) })
}

fn parse_word(text: &str) -> Result<String, String> {
    let is_word = !text.is_empty() && text.chars().all(|c| !c.is_whitespace() && !c.is_control());
    if is_word { Ok(text.to_owned()) } else { Err("must be one word".to_owned()) }
}

fn parse_variable_name(text: &str) -> Result<String, String> {
    let is_name = text.starts_with(|c: char| c.is_ascii_uppercase() || c == '_')
        && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    // The value is not repeated in the error, because it may be the secret itself.
    if is_name {
        Ok(text.to_owned())
    } else {
        Err("must be the name of an environment variable in capital letters, not the secret".to_owned())
    }
}

/// The dialog on the terminal, if there is one.
struct Prompt {
    terminal: bool,
    missing: Vec<&'static str>,
}

impl Prompt {
    /// Returns the flag's value or asks for it. Without a terminal it returns `None` and records the missing flag.
    fn ask<T>(
        &mut self,
        flag: &'static str,
        flag_value: Option<String>,
        question: &str,
        default: Option<&str>,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> anyhow::Result<Option<T>> {
        if let Some(text) = flag_value {
            return Ok(Some(parse(&text).map_err(|why| UsageError(format!("{flag} {text}: {why}")))?));
        }
        if self.terminal {
            return ask_terminal(question, default, parse).map(Some);
        }
        self.missing.push(flag);
        Ok(None)
    }

    /// Returns the flag's word or asks for it. Without a terminal it returns the default.
    fn choose<T: ValueEnum>(&self, flag_value: Option<T>, question: &str, fallback: T) -> anyhow::Result<T> {
        match flag_value {
            Some(given) => Ok(given),
            None if !self.terminal => Ok(fallback),
            None => {
                let word = fallback.to_possible_value();
                let default = word.as_ref().map(|word| word.get_name());
                let known: Vec<_> = T::value_variants().iter().filter_map(T::to_possible_value).collect();
                let known: Vec<&str> = known.iter().map(|word| word.get_name()).collect();
                ask_terminal(question, default, |text| {
                    T::from_str(text, false).map_err(|_| format_unknown(&known))
                })
            }
        }
    }

    /// Asks for endpoint and region, and derives one from the other where the vendor's host names allow it.
    fn ask_endpoint_and_region(
        &mut self,
        endpoint_url: Option<String>,
        region: Option<String>,
        table: Option<&Dialect>,
    ) -> anyhow::Result<(String, String)> {
        let own = table.and_then(|table| table.endpoint);
        let parsed = endpoint_url.as_deref().and_then(|at| Endpoint::parse(at).ok());
        let host_region =
            parsed.zip(table).and_then(|(at, table)| addressing::find_region_in_host(&at.host, table.hosts));
        let region = match region.or(host_region) {
            None if !self.terminal && endpoint_url.is_none() && own.is_some() => {
                self.missing.push("--region (or --endpoint)");
                return Ok(Default::default());
            }
            region => self.ask("--region", region, "Which region?", None, parse_word)?.unwrap_or_default(),
        };
        let suggested = own.map(|own| format!("https://{}", own(&region)));
        let offered = endpoint_url.or_else(|| suggested.clone().filter(|_| !self.terminal));
        let question = "Which endpoint? (https://host)";
        let at = self.ask("--endpoint", offered, question, suggested.as_deref(), parse_endpoint)?;
        Ok((at.unwrap_or_default(), region))
    }

    fn check_missing(&self) -> Result<(), UsageError> {
        if self.missing.is_empty() {
            return Ok(());
        }
        let missing = self.missing.join(", ");
        Err(UsageError(format!(
            "missing: {missing}\nAdd these flags, or run the command on a terminal to be asked. See blobfish init --help."
        )))
    }
}

fn ask_terminal<T>(
    question: &str,
    default: Option<&str>,
    parse: impl Fn(&str) -> Result<T, String>,
) -> anyhow::Result<T> {
    let (mut input, mut screen) = (io::stdin().lock(), io::stderr());
    for _ in 0..TRIES_MAX {
        let offered = default.map(|default| format!(" [{default}]")).unwrap_or_default();
        write!(screen, "{question}{offered}: ").context("the terminal")?;
        let mut line = String::new();
        // Zero bytes are the end of the input (Ctrl-D).
        if input.read_line(&mut line).context("the terminal")? == 0 {
            bail!("no input; no file was written");
        }
        let text = Some(line.trim()).filter(|text| !text.is_empty()).or(default).unwrap_or_default();
        match parse(text) {
            Ok(value) => return Ok(value),
            Err(why) => writeln!(screen, "{why}").context("the terminal")?,
        }
    }
    bail!("no valid input; no file was written")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_place(table: &str, at: Option<&str>, region: Option<&str>, expected: Option<(&str, &str)>) {
        let mut prompt = Prompt { terminal: false, missing: Vec::new() };
        let to_owned_text = |text: Option<&str>| text.map(str::to_owned);
        let (dialect, profile) = parse_target_dialect(table).unwrap();
        let place = prompt
            .ask_endpoint_and_region(
                to_owned_text(at),
                to_owned_text(region),
                find_dialect(&dialect, profile.as_deref()),
            )
            .unwrap();
        let found = prompt.missing.is_empty().then_some((place.0.as_str(), place.1.as_str()));
        assert_eq!(found, expected, "{table} {at:?} {region:?}");
    }

    #[test]
    fn endpoint_and_region_are_derived_from_each_other() {
        let hangzhou = ("https://oss-cn-hangzhou.aliyuncs.com", "cn-hangzhou");
        check_place("oss", None, Some(hangzhou.1), Some(hangzhou));
        check_place("oss", Some(hangzhou.0), None, Some(hangzhou));
        check_place(
            "aws",
            None,
            Some("cn-north-1"),
            Some(("https://s3.cn-north-1.amazonaws.com.cn", "cn-north-1")),
        );
        check_place("oss", None, None, None);
        check_place("seaweedfs", None, Some("r"), None);
        check_place("seaweedfs", Some("http://localhost:1"), None, None);
        let own = ("http://localhost:1", "r");
        check_place("seaweedfs", Some(own.0), Some(own.1), Some(own));
    }

    #[test]
    fn profile_implies_its_dialect() {
        assert_eq!(parse_target_dialect("cos"), Ok(("cos".to_owned(), None)));
        assert_eq!(parse_target_dialect("jdcloud"), Ok(("s3".to_owned(), Some("jdcloud".to_owned()))));
        assert!(parse_target_dialect("swift").is_err());
        assert!(check_profile("s3", "aws").is_ok() && check_profile("cos", "aws").is_err());
    }

    #[test]
    fn bucket_may_have_another_name_at_the_target() {
        let make_bucket = |name: &str, there: Option<&str>| BucketMapping {
            name: name.to_owned(),
            target_bucket: there.map(str::to_owned),
        };
        assert_eq!(
            parse_buckets("a, b=c,*"),
            Ok(vec![make_bucket("a", None), make_bucket("b", Some("c")), make_bucket("*", None)])
        );
        assert!(parse_buckets("").is_err() && parse_buckets("a,").is_err() && parse_buckets("a b").is_err());
    }

    #[test]
    fn secret_given_as_variable_name_is_not_printed() {
        assert_eq!(parse_variable_name("OSS_SECRET"), Ok("OSS_SECRET".to_owned()));
        let why = parse_variable_name("hunter2Secret").unwrap_err();
        assert!(!why.contains("hunter2"));
    }
}
