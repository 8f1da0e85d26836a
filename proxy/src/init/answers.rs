//! The answers: from flags, from the tables of the dialects, and, on a terminal, from whoever sits there.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use blobfish_config::{Endpoint, Pattern};
use blobfish_dialects::engine::dialect::Dialect;
use blobfish_dialects::engine::hosts;
use blobfish_dialects::{ALL, NAMES, by_name};
use clap::ValueEnum;

use crate::cli::{Init, Secrets, Usage, Where, Who};

/// So often a question is asked that has no good answer.
const TRIES: usize = 5;

/// Everything that is written.
pub struct Answers {
    /// What the app speaks.
    pub caller: String,
    /// The target's name.
    pub name: String,
    /// The target's dialect.
    pub dialect: String,
    /// And its variety.
    pub profile: Option<String>,
    /// Where it is.
    pub endpoint: String,
    /// In which region.
    pub region: String,
    /// Bucket in the path.
    pub path_style: bool,
    /// Plain HTTP beyond this machine.
    pub insecure: bool,
    /// Authorities to trust.
    pub ca: Option<PathBuf>,
    /// The buckets.
    pub buckets: Vec<Bucket>,
    /// Conditions are looked at first.
    pub check: bool,
    /// Our key there.
    pub access_key: String,
    /// Where its secret comes from.
    pub secret: TargetSecret,
    /// Where the caller's secret comes from.
    pub secrets: Secrets,
    /// Where callers connect.
    pub listen: SocketAddr,
    /// Where operators connect.
    pub admin: SocketAddr,
    /// Files may be replaced.
    pub force: bool,
}

/// A bucket.
#[derive(Debug, PartialEq, Eq)]
pub struct Bucket {
    /// As callers say it, or a pattern.
    pub name: String,
    /// Its name at the target, where that is another one.
    pub there: Option<String>,
}

/// Where the secret of our key at the target comes from.
pub enum TargetSecret {
    /// This variable.
    Env(String),
    /// This file.
    File(PathBuf),
}

impl Answers {
    /// Completes what the flags say.
    ///
    /// # Errors
    /// What is missing, all of it; an answer that is none.
    pub fn complete(asked: Init) -> anyhow::Result<Self> {
        let mut desk =
            Desk { terminal: io::stdin().is_terminal() && io::stderr().is_terminal(), missing: Vec::new() };
        let callers: Vec<&str> = ALL.iter().map(|dialect| dialect.name).collect();
        let question = format!("What does the app speak? ({})", callers.join(", "));
        let caller = desk.answer("--caller-dialect", asked.caller_dialect, &question, None, caller)?;
        let question = format!("What does the store speak? ({})", targets().join(", "));
        let target = desk.answer("--target-dialect", asked.target_dialect, &question, None, target)?;
        let (dialect, profile) = target.unwrap_or_default();
        let profile = asked.profile.or(profile);
        if let (Some(profile), false) = (&profile, dialect.is_empty()) {
            profile_of(&dialect, profile).map_err(|why| Usage(format!("--profile {profile}: {why}")))?;
        }
        let table = by_name(&dialect, profile.as_deref());
        let (endpoint, region) = desk.place(asked.endpoint, asked.region, table)?;
        let given = Some(asked.bucket.join(",")).filter(|_| !asked.bucket.is_empty());
        let question = "Which buckets does the app name? (a, b=NAME AT THE STORE; * is every bucket)";
        let buckets = desk.answer("--bucket", given, question, None, buckets)?;
        let question = "Which access key id has Blobfish at the store? (never the secret)";
        let access_key = desk.answer("--access-key", asked.access_key, question, None, word)?;
        desk.verdict()?;
        let is_ip = Endpoint::parse(&endpoint).is_ok_and(|endpoint| endpoint.ip().is_some());
        let default = if is_ip { Where::Path } else { Where::Virtual };
        let question = "Where does the bucket go? (virtual: bucket.host, path: host/bucket)";
        let addressing = desk.choice(asked.addressing, question, default)?;
        let question = "Where does the app's secret come from? (env: a variable that you set; file: a new one; \
                        literal: a new one in the configuration)";
        let secrets = desk.choice(asked.secrets, question, Secrets::Env)?;
        let name = profile.clone().unwrap_or_else(|| dialect.clone());
        let variable = format!("{}_SECRET", name.to_uppercase().replace('-', "_"));
        let secret = match asked.secret_file {
            Some(file) => TargetSecret::File(std::path::absolute(file).context("--secret-file")?),
            None => variable_name(&asked.secret_env.unwrap_or(variable))
                .map(TargetSecret::Env)
                .map_err(|why| Usage(format!("--secret-env: {why}")))?,
        };
        let ca = asked.ca.map(std::path::absolute).transpose().context("--ca")?;
        Ok(Self {
            caller: caller.unwrap_or_default(),
            name,
            dialect,
            profile,
            endpoint,
            region,
            path_style: addressing == Where::Path,
            insecure: asked.insecure,
            ca,
            buckets: buckets.unwrap_or_default(),
            check: match asked.conditions {
                Some(who) => who == Who::Check,
                None => table.is_some_and(|dialect| !dialect.has_conditions()),
            },
            access_key: access_key.unwrap_or_default(),
            secret,
            secrets,
            listen: asked.listen,
            admin: asked.admin,
            force: asked.force,
        })
    }
}

/// The dialect of an app; a profile that apps speak is, on the wire, its dialect.
fn caller(text: &str) -> Result<String, String> {
    let known: Vec<&str> = ALL.iter().map(|dialect| dialect.name).collect();
    if known.contains(&text) { target(text).map(|(dialect, _)| dialect) } else { Err(unknown(&known)) }
}

/// Dialects, and the profiles that are more than another name.
fn targets() -> Vec<&'static str> {
    let all =
        NAMES.iter().flat_map(|(dialect, profiles)| [*dialect].into_iter().chain(profiles.iter().copied()));
    all.collect()
}

fn target(text: &str) -> Result<(String, Option<String>), String> {
    if NAMES.iter().any(|(dialect, _)| *dialect == text) {
        return Ok((text.to_owned(), None));
    }
    let of = NAMES.iter().find(|(_, profiles)| profiles.contains(&text));
    of.map(|(dialect, _)| ((*dialect).to_owned(), Some(text.to_owned()))).ok_or_else(|| unknown(&targets()))
}

fn profile_of(dialect: &str, profile: &str) -> Result<(), String> {
    let profiles = NAMES.iter().find(|row| row.0 == dialect).map_or(&[][..], |row| row.1);
    if profiles.contains(&profile) { Ok(()) } else { Err(unknown(profiles)) }
}

fn unknown(known: &[&str]) -> String {
    format!("not known; known are {}", known.join(", "))
}

fn endpoint(text: &str) -> Result<String, String> {
    Endpoint::parse(text).map(|_| text.to_owned()).map_err(|rejected| rejected.to_string())
}

fn buckets(text: &str) -> Result<Vec<Bucket>, String> {
    text.split(',').map(|one| bucket(one.trim())).collect()
}

fn bucket(text: &str) -> Result<Bucket, String> {
    let (name, there) = text.split_once('=').map_or((text, None), |(name, there)| (name, Some(there)));
    Pattern::parse(name).map_err(|rejected| rejected.to_string())?;
    Ok(Bucket { name: name.to_owned(), there: there.map(str::to_owned) })
}

fn word(text: &str) -> Result<String, String> {
    let is_word = !text.is_empty() && text.chars().all(|c| !c.is_whitespace() && !c.is_control());
    if is_word { Ok(text.to_owned()) } else { Err("one word".to_owned()) }
}

fn variable_name(text: &str) -> Result<String, String> {
    let is_name = text.starts_with(|c: char| c.is_ascii_uppercase() || c == '_')
        && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    // What was given is not shown: it may be the secret itself.
    if is_name {
        Ok(text.to_owned())
    } else {
        Err("the name of a variable, in capitals; not the secret".to_owned())
    }
}

/// Where answers come in.
struct Desk {
    terminal: bool,
    missing: Vec<&'static str>,
}

impl Desk {
    /// The flag's value, or what somebody types. `None` where there is neither, which is noted.
    fn answer<T>(
        &mut self,
        flag: &'static str,
        given: Option<String>,
        question: &str,
        default: Option<&str>,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> anyhow::Result<Option<T>> {
        if let Some(text) = given {
            return Ok(Some(read(&text).map_err(|why| Usage(format!("{flag} {text}: {why}")))?));
        }
        if self.terminal {
            return typed(question, default, read).map(Some);
        }
        self.missing.push(flag);
        Ok(None)
    }

    /// The flag's word, or what somebody types; where nobody is asked, the usual one.
    fn choice<T: ValueEnum>(&self, given: Option<T>, question: &str, usual: T) -> anyhow::Result<T> {
        match given {
            Some(given) => Ok(given),
            None if !self.terminal => Ok(usual),
            None => {
                let word = usual.to_possible_value();
                let default = word.as_ref().map(|word| word.get_name());
                let known: Vec<_> = T::value_variants().iter().filter_map(T::to_possible_value).collect();
                let known: Vec<&str> = known.iter().map(|word| word.get_name()).collect();
                typed(question, default, |text| T::from_str(text, false).map_err(|_| unknown(&known)))
            }
        }
    }

    /// End point and region: one may follow from the other.
    fn place(
        &mut self,
        at: Option<String>,
        region: Option<String>,
        table: Option<&Dialect>,
    ) -> anyhow::Result<(String, String)> {
        let own = table.and_then(|table| table.endpoint);
        let named = at.as_deref().and_then(|at| Endpoint::parse(at).ok());
        let by_host = named.zip(table).and_then(|(at, table)| hosts::region(&at.host, table.hosts));
        let region = match region.or(by_host) {
            None if !self.terminal && at.is_none() && own.is_some() => {
                self.missing.push("--region (or --endpoint)");
                return Ok(Default::default());
            }
            region => self.answer("--region", region, "Which region?", None, word)?.unwrap_or_default(),
        };
        let suggested = own.map(|own| format!("https://{}", own(&region)));
        let given = at.or_else(|| suggested.clone().filter(|_| !self.terminal));
        let question = "Which end point? (https://host)";
        let at = self.answer("--endpoint", given, question, suggested.as_deref(), endpoint)?;
        Ok((at.unwrap_or_default(), region))
    }

    fn verdict(&self) -> Result<(), Usage> {
        if self.missing.is_empty() {
            return Ok(());
        }
        let missing = self.missing.join(", ");
        Err(Usage(format!(
            "missing: {missing}\nGive them, or run this on a terminal to be asked. See blobfish init --help."
        )))
    }
}

fn typed<T>(
    question: &str,
    default: Option<&str>,
    read: impl Fn(&str) -> Result<T, String>,
) -> anyhow::Result<T> {
    let (mut input, mut screen) = (io::stdin().lock(), io::stderr());
    for _ in 0..TRIES {
        let offered = default.map(|default| format!(" [{default}]")).unwrap_or_default();
        write!(screen, "{question}{offered}: ").context("the terminal")?;
        let mut line = String::new();
        if input.read_line(&mut line).context("the terminal")? == 0 {
            bail!("no answer; nothing was written");
        }
        let text = Some(line.trim()).filter(|text| !text.is_empty()).or(default).unwrap_or_default();
        match read(text) {
            Ok(value) => return Ok(value),
            Err(why) => writeln!(screen, "{why}").context("the terminal")?,
        }
    }
    bail!("no good answer; nothing was written")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_place(table: &str, at: Option<&str>, region: Option<&str>, expected: Option<(&str, &str)>) {
        let mut desk = Desk { terminal: false, missing: Vec::new() };
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let (dialect, profile) = target(table).unwrap();
        let place = desk.place(owned(at), owned(region), by_name(&dialect, profile.as_deref())).unwrap();
        let found = desk.missing.is_empty().then_some((place.0.as_str(), place.1.as_str()));
        assert_eq!(found, expected, "{table} {at:?} {region:?}");
    }

    #[test]
    fn an_end_point_follows_from_a_region_and_the_reverse() {
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
    fn a_profile_stands_for_its_dialect() {
        assert_eq!(target("cos"), Ok(("cos".to_owned(), None)));
        assert_eq!(target("jdcloud"), Ok(("s3".to_owned(), Some("jdcloud".to_owned()))));
        assert!(target("swift").is_err());
        assert!(profile_of("s3", "aws").is_ok() && profile_of("cos", "aws").is_err());
    }

    #[test]
    fn a_bucket_may_have_another_name_there() {
        let own = |name: &str, there: Option<&str>| Bucket {
            name: name.to_owned(),
            there: there.map(str::to_owned),
        };
        assert_eq!(buckets("a, b=c,*"), Ok(vec![own("a", None), own("b", Some("c")), own("*", None)]));
        assert!(buckets("").is_err() && buckets("a,").is_err() && buckets("a b").is_err());
    }

    #[test]
    fn a_secret_in_the_place_of_a_name_is_not_shown() {
        assert_eq!(variable_name("OSS_SECRET"), Ok("OSS_SECRET".to_owned()));
        let why = variable_name("hunter2Secret").unwrap_err();
        assert!(!why.contains("hunter2"));
    }
}
