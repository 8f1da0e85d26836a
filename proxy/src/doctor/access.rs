//! Whether the target believes us: key, clock, region, and how a bucket is addressed.

use std::cell::Cell;

use blobfish_dialects::engine::auth::SKEW_SECONDS;
use blobfish_dialects::engine::diagnosis::{self, Failure};
use blobfish_dialects::engine::exchange::Answer;
use blobfish_dialects::engine::hosts;
use blobfish_dialects::engine::way::Way;
use blobfish_dialects::model::{Fault, Field, Operation, Request, Value};

use crate::doctor::Stop;
use crate::doctor::asking::{Asking, Trouble, told};
use crate::doctor::report::Report;
use crate::snapshot::Upstream;

/// More than this is warned of, seconds: clocks that are kept differ by less.
const SKEW_WARNED: i64 = 60;

/// What is asked: a page of one object that cannot be there, or of buckets where no bucket is known. An answer to a GET
/// has a document that says what is wrong; one to a HEAD may not.
fn question(asking: &Asking<'_>, bucket: Option<&str>) -> Request {
    let Some(bucket) = bucket else { return Request::new(Operation::ListBuckets) };
    let mut request = Request::new(Operation::ListObjects);
    request.bucket = Some(bucket.to_owned());
    request.fields.set(Field::Prefix, Value::Text("blobfish-doctor-".to_owned()));
    request.fields.set(Field::MaxKeys, Value::Number(1));
    // Where the dialect has no first version there is a second one.
    if asking.way.target.dialect.route(request.operation).is_none() {
        request.operation = Operation::ListObjectsV2;
    }
    request
}

/// Asks one signed question, and says what the answer means.
///
/// # Errors
/// Why nothing else need be asked.
pub async fn examined(report: &Report, asking: &Asking<'_>, bucket: Option<&str>) -> Result<(), String> {
    let request = question(asking, bucket);
    let answer = match asking.raw(&request).await {
        Ok(answer) => answer,
        Err(trouble) => {
            let message = format!("A signed request got no answer: {trouble}.");
            report.problem(
                "credentials",
                message,
                "See that nothing between here and the target breaks HTTP.",
            );
            return Err("the target does not answer".to_owned());
        }
    };
    let verdict = match diagnosis::succeeded(&asking.way, request.operation, &answer) {
        true => {
            let key = &asking.way.target.credentials.current().access_key;
            report.ok("credentials", format!("The target accepts the access key {key}."));
            Ok(())
        }
        false if answer.status / 100 == 2 => {
            report.problem(
                "credentials",
                "The target answered 200 with something else than the list that was asked for.",
                "Check that the end point is an object store's, and its dialect, profile and addressing.",
            );
            Err("the target's answers are not those of its dialect".to_owned())
        }
        false => refused(report, asking, &diagnosis::failure(asking.way.target.dialect, &answer)),
    };
    clock(report, asking);
    region(report, asking, bucket, &answer).await;
    verdict
}

/// What a refusal says of the key.
fn refused(report: &Report, asking: &Asking<'_>, failure: &Failure) -> Result<(), String> {
    let target = &asking.way.target;
    let own = target.credentials.current();
    let (name, key, told) = (&target.name, &own.access_key, told(failure));
    let at = format!("of [[target]] \"{name}\"");
    let problem = |message: String, advice: String| {
        report.problem("credentials", message, advice);
        Err("the target does not accept our requests".to_owned())
    };
    match failure.fault {
        Fault::InvalidAccessKeyId => problem(
            format!("The target does not know the access key {key} ({told})."),
            format!("Check access_key {at}, and that the end point is the one of that account."),
        ),
        Fault::SignatureDoesNotMatch => problem(
            format!("The target knows the access key {key}, but the secret is another one ({told})."),
            format!("Check secret_key {at}, and the variable or file that it comes from."),
        ),
        Fault::ExpiredToken => problem(
            format!("The session token has expired ({told})."),
            format!("Renew the temporary credentials {at}: access_key, secret_key and session_token."),
        ),
        Fault::InvalidToken => problem(
            format!("The target does not accept the session token ({told})."),
            format!("Check that access_key, secret_key and session_token {at} were given out together."),
        ),
        Fault::RequestTimeTooSkewed | Fault::RequestExpired | Fault::RequestNotYetValid => problem(
            format!("The target refuses the time of our signature ({told})."),
            "Set this machine's clock by NTP.".to_owned(),
        ),
        _ if failure.elsewhere => {
            report.skipped("credentials", format!("The request belongs to another region ({told})."));
            Err("the region is another one".to_owned())
        }
        Fault::NoSuchBucket => {
            report.ok("credentials", format!("The target accepts the access key {key}."));
            report.problem(
                "bucket",
                format!("There is no such bucket ({told})."),
                "Check target_bucket, and that the bucket is in this region and account.",
            );
            Err("there is no such bucket".to_owned())
        }
        Fault::AccessDenied => {
            let advice = match own.session_token {
                Some(_) => {
                    "Allow it to list, if callers do; some vendors say the same of an expired session_token."
                }
                None => "Allow it to list, if callers do; otherwise this is as it should be.",
            };
            report.warning(
                "credentials",
                format!("The access key {key} may not list here ({told})."),
                advice,
            );
            Ok(())
        }
        _ => problem(
            format!("A signed request was refused: {told}."),
            format!("Check dialect, profile, signing and addressing {at}."),
        ),
    }
}

/// Whether the buckets that the configuration names are there: the one that is tried, which has answered, and the
/// others. Each is a pair of what callers say and its name at the target.
pub async fn buckets(report: &Report, asking: &Asking<'_>, others: &[(String, String)], stop: &Stop) {
    let (mut there, mut closed, mut wrong) = (vec![asking.way.bucket.as_str()], Vec::new(), Vec::new());
    for (name, at_target) in others {
        if stop.is_asked() {
            return;
        }
        let way = Way { bucket: at_target.clone(), ..asking.way.clone() };
        let asking = Asking { way, skew: Cell::new(None), ..*asking };
        let request = question(&asking, Some(name));
        match asking.raw(&request).await {
            Ok(answer) if diagnosis::succeeded(&asking.way, request.operation, &answer) => {
                there.push(at_target)
            }
            Ok(answer) => {
                let failure = diagnosis::failure(asking.way.target.dialect, &answer);
                match failure.fault {
                    Fault::AccessDenied => closed.push(at_target.as_str()),
                    _ => wrong.push(format!("{at_target} ({})", told(&failure))),
                }
            }
            Err(trouble) => wrong.push(format!("{at_target} ({trouble})")),
        }
    }
    if wrong.is_empty() && closed.is_empty() {
        report.ok("bucket", format!("At the target: {}.", there.join(", ")));
    } else if wrong.is_empty() {
        report.warning(
            "bucket",
            format!("The access key may not list these: {}.", closed.join(", ")),
            "See that they are your own, and allow it to list if callers do.",
        );
    } else {
        report.problem(
            "bucket",
            format!("These buckets cannot be used: {}.", wrong.join(", ")),
            "Check name and target_bucket on their [[bucket]], and that they are in this region and account.",
        );
    }
}

fn clock(report: &Report, asking: &Asking<'_>) {
    let Some(skew) = asking.skew.get() else {
        return report.skipped("clock", "The target does not tell its time.");
    };
    let way = if skew < 0 { "behind" } else { "ahead of" };
    let seconds = skew.saturating_abs();
    let message = format!("The target's clock is {seconds} seconds {way} ours.");
    if seconds > SKEW_SECONDS {
        let advice =
            format!("Set the clock that is wrong by NTP; signatures hold for {SKEW_SECONDS} seconds.");
        report.problem("clock", message, advice);
    } else if seconds > SKEW_WARNED {
        report.warning(
            "clock",
            message,
            format!("Signatures are refused from {SKEW_SECONDS} seconds on; use NTP."),
        );
    } else {
        report.ok("clock", message);
    }
}

/// Where the bucket is, as far as the target tells.
async fn region(report: &Report, asking: &Asking<'_>, bucket: Option<&str>, answer: &Answer) {
    let target = asking.way.target;
    let own = target.region.as_str();
    let advice = |region: &str| {
        // The vendor's own end points are known; any other is the operator's.
        let own =
            by_host(asking).zip(target.dialect.endpoint).filter(|(own, at)| at(own) == target.authority);
        let endpoint = own.map(|(_, at)| format!(" and endpoint = \"https://{}\"", at(region)));
        format!(
            "Set region = \"{region}\"{} on [[target]] \"{}\".",
            endpoint.unwrap_or_default(),
            target.name
        )
    };
    if answer.status / 100 != 2 {
        let failure = diagnosis::failure(target.dialect, answer);
        let region = failure.region.clone().or_else(|| by_host(asking)).filter(|region| region != own);
        return match region {
            _ if !failure.elsewhere => report.skipped("region", "The refusal does not tell."),
            Some(region) => {
                report.problem("region", format!("The region is {region}, not {own}."), advice(&region));
            }
            None => report.problem(
                "region",
                format!("The region is not {own} ({}).", told(&failure)),
                format!("Set region and endpoint of [[target]] \"{}\" to the bucket's.", target.name),
            ),
        };
    }
    let located = match (diagnosis::told_region(target.dialect, answer), bucket) {
        (Some(region), _) => Some(region),
        (None, Some(bucket)) => {
            let mut request = Request::new(Operation::GetBucketLocation);
            request.bucket = Some(bucket.to_owned());
            let told = asking.raw(&request).await.ok();
            told.and_then(|told| diagnosis::location(target.dialect, &told))
        }
        (None, None) => None,
    };
    match located {
        Some(region) if region != own => report.warning(
            "region",
            format!("Signatures for {own} are accepted, but the target calls the bucket's region {region}."),
            advice(&region),
        ),
        Some(region) => report.ok("region", format!("The bucket is in {region}.")),
        None => report.ok("region", format!("Signatures for {own} are accepted.")),
    }
}

/// The region that the end point's name says.
fn by_host(asking: &Asking<'_>) -> Option<String> {
    hosts::region(&asking.way.target.authority, asking.way.target.dialect.hosts)
}

/// Whether the bucket may be said in the other place, too: asked when the configured way works, and when it does not.
pub async fn addressing(
    report: &Report,
    asking: &Asking<'_>,
    turned: &Upstream,
    bucket: Option<&str>,
    works: bool,
) {
    let words = |path: bool| if path { "path" } else { "virtual" };
    let (own, other) = (words(asking.way.target.path_style), words(turned.target.path_style));
    let Some(bucket) = bucket else {
        return report.skipped("addressing", "No bucket is known to ask for.");
    };
    let way = Way { target: &turned.target, ..asking.way.clone() };
    let skew = Cell::new(None);
    let other_asking = Asking { upstreams: asking.upstreams, upstream: turned, way, skew };
    let request = question(&other_asking, Some(bucket));
    // A label before an IP address is no host.
    let answer = match turned.target.path_style || turned.endpoint.ip().is_none() {
        true => other_asking.raw(&request).await,
        false => Err(Trouble::Unsaid("an IP address has no names below it".to_owned())),
    };
    let also = answer.is_ok_and(|answer| diagnosis::succeeded(&other_asking.way, request.operation, &answer));
    match (works, also) {
        (true, true) => report.ok("addressing", format!("\"{own}\" works, and \"{other}\" would.")),
        (true, false) => report.ok("addressing", format!("\"{own}\" works, \"{other}\" does not.")),
        (false, true) => report.problem(
            "addressing",
            format!("\"{own}\" does not work, and \"{other}\" does."),
            format!("Set addressing = \"{other}\" on [[target]] \"{}\".", asking.way.target.name),
        ),
        (false, false) => report.skipped("addressing", "Neither way got a good answer."),
    }
}
