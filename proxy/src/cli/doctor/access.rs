//! Whether the target believes us: key, clock, region, and how a bucket is addressed.

use std::cell::Cell;

use blobfish_dialects::dialect::addressing;
use blobfish_dialects::dialect::route::Route;
use blobfish_dialects::dialect::signature::CLOCK_SKEW_SECONDS_MAX;
use blobfish_dialects::engine::diagnosis::{self, Failure};
use blobfish_dialects::engine::target_response::TargetResponse;
use blobfish_dialects::model::{ErrorKind, Field, Operation, Request, Value};

use crate::cli::doctor::asking::{ProbeError, TargetProbe, describe_failure};
use crate::cli::doctor::interrupt::InterruptSignal;
use crate::cli::doctor::report::Report;
use crate::target::runtime::TargetRuntime;

/// More than this is warned of, seconds: clocks that are kept differ by less.
const SKEW_WARN_SECONDS: i64 = 60;

/// What is asked: a page of one object that cannot be there, or of buckets where no bucket is known. An answer to a GET
/// has a document that says what is wrong; one to a HEAD may not.
fn build_probe_request(probe: &TargetProbe<'_>, bucket: Option<&str>) -> Request {
    let Some(bucket) = bucket else { return Request::for_bucket_list() };
    let mut request = Request::for_bucket(Operation::ListObjects, bucket);
    request.fields.set(Field::Prefix, Value::Text("blobfish-doctor-".to_owned()));
    request.fields.set(Field::MaxKeys, Value::Number(1));
    // Where the dialect has no first version there is a second one.
    if probe.route.target.dialect.find_route(request.operation).is_none() {
        request.operation = Operation::ListObjectsV2;
    }
    request
}

/// Asks one signed question, and says what the answer means.
///
/// # Errors
/// Why nothing else need be asked.
pub async fn check_credentials(
    report: &Report,
    probe: &TargetProbe<'_>,
    bucket: Option<&str>,
) -> Result<(), String> {
    let request = build_probe_request(probe, bucket);
    let response = match probe.send_request(&request).await {
        Ok(response) => response,
        Err(error) => {
            let message = format!("A signed request got no answer: {error}.");
            report.add_problem(
                "credentials",
                message,
                "See that nothing between here and the target breaks HTTP.",
            );
            return Err("the target does not answer".to_owned());
        }
    };
    let verdict = match diagnosis::is_proven_success(&probe.route, request.operation, &response) {
        true => {
            let key = &probe.route.target.credentials.current().access_key_id;
            report.add_ok("credentials", format!("The target accepts the access key {key}."));
            Ok(())
        }
        false if response.status / 100 == 2 => {
            report.add_problem(
                "credentials",
                "The target answered 200 with something else than the list that was asked for.",
                "Check that the end point is an object store's, and its dialect, profile and addressing.",
            );
            Err("the target's answers are not those of its dialect".to_owned())
        }
        false => report_rejection(
            report,
            probe,
            &diagnosis::diagnose_failure(probe.route.target.dialect, &response),
        ),
    };
    check_clock(report, probe);
    check_region(report, probe, bucket, &response).await;
    verdict
}

/// What a refusal says of the key.
fn report_rejection(report: &Report, probe: &TargetProbe<'_>, failure: &Failure) -> Result<(), String> {
    let target = &probe.route.target;
    let own = target.credentials.current();
    let (name, key, description) = (&target.name, &own.access_key_id, describe_failure(failure));
    let at = format!("of [[target]] \"{name}\"");
    let report_problem = |message: String, advice: String| {
        report.add_problem("credentials", message, advice);
        Err("the target does not accept our requests".to_owned())
    };
    match failure.kind {
        ErrorKind::InvalidAccessKeyId => report_problem(
            format!("The target does not know the access key {key} ({description})."),
            format!("Check access_key {at}, and that the end point is the one of that account."),
        ),
        ErrorKind::SignatureDoesNotMatch => report_problem(
            format!("The target knows the access key {key}, but the secret is another one ({description})."),
            format!("Check secret_key {at}, and the variable or file that it comes from."),
        ),
        ErrorKind::ExpiredToken => report_problem(
            format!("The session token has expired ({description})."),
            format!("Renew the temporary credentials {at}: access_key, secret_key and session_token."),
        ),
        ErrorKind::InvalidToken => report_problem(
            format!("The target does not accept the session token ({description})."),
            format!("Check that access_key, secret_key and session_token {at} were given out together."),
        ),
        ErrorKind::RequestTimeTooSkewed | ErrorKind::RequestExpired | ErrorKind::RequestNotYetValid => {
            report_problem(
                format!("The target refuses the time of our signature ({description})."),
                "Set this machine's clock by NTP.".to_owned(),
            )
        }
        _ if failure.wrong_location => {
            report.add_skipped(
                "credentials",
                format!("The request belongs to another region ({description})."),
            );
            Err("the region is another one".to_owned())
        }
        ErrorKind::NoSuchBucket => {
            report.add_ok("credentials", format!("The target accepts the access key {key}."));
            report.add_problem(
                "bucket",
                format!("There is no such bucket ({description})."),
                "Check target_bucket, and that the bucket is in this region and account.",
            );
            Err("there is no such bucket".to_owned())
        }
        ErrorKind::AccessDenied => {
            let advice = match own.session_token {
                Some(_) => {
                    "Allow it to list, if callers do; some vendors say the same of an expired session_token."
                }
                None => "Allow it to list, if callers do; otherwise this is as it should be.",
            };
            report.add_warning(
                "credentials",
                format!("The access key {key} may not list here ({description})."),
                advice,
            );
            Ok(())
        }
        _ => report_problem(
            format!("A signed request was refused: {description}."),
            format!("Check dialect, profile, signing and addressing {at}."),
        ),
    }
}

/// Whether the buckets that the configuration names are there: the one that is tried, which has answered, and the
/// others. Each is a pair of what callers say and its name at the target.
pub async fn check_buckets(
    report: &Report,
    probe: &TargetProbe<'_>,
    others: &[(String, String)],
    interrupt: &InterruptSignal,
) {
    let (mut present, mut denied, mut unusable) =
        (Vec::from_iter(probe.route.bucket()), Vec::new(), Vec::new());
    for (name, at_target) in others {
        if interrupt.is_interrupted() {
            return;
        }
        let route = probe.route.to_bucket(at_target.as_str());
        let probe = TargetProbe { route, skew_seconds: Cell::new(None), ..*probe };
        let request = build_probe_request(&probe, Some(name));
        match probe.send_request(&request).await {
            Ok(response) if diagnosis::is_proven_success(&probe.route, request.operation, &response) => {
                present.push(at_target)
            }
            Ok(response) => {
                let failure = diagnosis::diagnose_failure(probe.route.target.dialect, &response);
                match failure.kind {
                    ErrorKind::AccessDenied => denied.push(at_target.as_str()),
                    _ => unusable.push(format!("{at_target} ({})", describe_failure(&failure))),
                }
            }
            Err(error) => unusable.push(format!("{at_target} ({error})")),
        }
    }
    if unusable.is_empty() && denied.is_empty() {
        report.add_ok("bucket", format!("At the target: {}.", present.join(", ")));
    } else if unusable.is_empty() {
        report.add_warning(
            "bucket",
            format!("The access key may not list these: {}.", denied.join(", ")),
            "See that they are your own, and allow it to list if callers do.",
        );
    } else {
        report.add_problem(
            "bucket",
            format!("These buckets cannot be used: {}.", unusable.join(", ")),
            "Check name and target_bucket on their [[bucket]], and that they are in this region and account.",
        );
    }
}

fn check_clock(report: &Report, probe: &TargetProbe<'_>) {
    let Some(skew) = probe.skew_seconds.get() else {
        return report.add_skipped("clock", "The target does not tell its time.");
    };
    let direction = if skew < 0 { "behind" } else { "ahead of" };
    let seconds = skew.saturating_abs();
    let message = format!("The target's clock is {seconds} seconds {direction} ours.");
    if seconds > CLOCK_SKEW_SECONDS_MAX {
        let advice = format!(
            "Set the clock that is wrong by NTP; signatures hold for {CLOCK_SKEW_SECONDS_MAX} seconds."
        );
        report.add_problem("clock", message, advice);
    } else if seconds > SKEW_WARN_SECONDS {
        report.add_warning(
            "clock",
            message,
            format!("Signatures are refused from {CLOCK_SKEW_SECONDS_MAX} seconds on; use NTP."),
        );
    } else {
        report.add_ok("clock", message);
    }
}

/// Where the bucket is, as far as the target tells.
async fn check_region(
    report: &Report,
    probe: &TargetProbe<'_>,
    bucket: Option<&str>,
    response: &TargetResponse,
) {
    let target = probe.route.target;
    let own = target.region.as_str();
    let advise = |region: &str| {
        // The vendor's own end points are known; any other is the operator's.
        let own = find_region_by_host(probe)
            .zip(target.dialect.endpoint)
            .filter(|(own, at)| at(own) == target.authority);
        let endpoint = own.map(|(_, at)| format!(" and endpoint = \"https://{}\"", at(region)));
        format!(
            "Set region = \"{region}\"{} on [[target]] \"{}\".",
            endpoint.unwrap_or_default(),
            target.name
        )
    };
    if response.status / 100 != 2 {
        let failure = diagnosis::diagnose_failure(target.dialect, response);
        let region =
            failure.region.clone().or_else(|| find_region_by_host(probe)).filter(|region| region != own);
        return match region {
            _ if !failure.wrong_location => report.add_skipped("region", "The refusal does not tell."),
            Some(region) => {
                report.add_problem("region", format!("The region is {region}, not {own}."), advise(&region));
            }
            None => report.add_problem(
                "region",
                format!("The region is not {own} ({}).", describe_failure(&failure)),
                format!("Set region and endpoint of [[target]] \"{}\" to the bucket's.", target.name),
            ),
        };
    }
    let reported = match (diagnosis::read_region_header(target.dialect, response), bucket) {
        (Some(region), _) => Some(region),
        (None, Some(bucket)) => {
            let request = Request::for_bucket(Operation::GetBucketLocation, bucket);
            let response = probe.send_request(&request).await.ok();
            response.and_then(|response| diagnosis::read_location_document(target.dialect, &response))
        }
        (None, None) => None,
    };
    match reported {
        Some(region) if region != own => report.add_warning(
            "region",
            format!("Signatures for {own} are accepted, but the target calls the bucket's region {region}."),
            advise(&region),
        ),
        Some(region) => report.add_ok("region", format!("The bucket is in {region}.")),
        None => report.add_ok("region", format!("Signatures for {own} are accepted.")),
    }
}

/// The region that the end point's name says.
fn find_region_by_host(probe: &TargetProbe<'_>) -> Option<String> {
    addressing::find_region_in_host(&probe.route.target.authority, probe.route.target.dialect.hosts)
}

/// Whether the bucket may be said in the other place, too: asked when the configured way works, and when it does not.
pub async fn check_addressing(
    report: &Report,
    probe: &TargetProbe<'_>,
    switched: &TargetRuntime,
    bucket: Option<&str>,
    works: bool,
) {
    let addressing_word = |path: bool| if path { "path" } else { "virtual" };
    let (own, other) =
        (addressing_word(probe.route.target.path_style), addressing_word(switched.spec.path_style));
    let Some(bucket) = bucket else {
        return report.add_skipped("addressing", "No bucket is known to ask for.");
    };
    let route = Route { target: &switched.spec, ..probe.route.clone() };
    let skew = Cell::new(None);
    let other_probe = TargetProbe { client: probe.client, target: switched, route, skew_seconds: skew };
    let request = build_probe_request(&other_probe, Some(bucket));
    // A label before an IP address is no host.
    let response = match switched.spec.path_style || switched.endpoint.ip().is_none() {
        true => other_probe.send_request(&request).await,
        false => Err(ProbeError::Unsupported("an IP address has no names below it".to_owned())),
    };
    let other_works = response
        .is_ok_and(|response| diagnosis::is_proven_success(&other_probe.route, request.operation, &response));
    match (works, other_works) {
        (true, true) => report.add_ok("addressing", format!("\"{own}\" works, and \"{other}\" would.")),
        (true, false) => report.add_ok("addressing", format!("\"{own}\" works, \"{other}\" does not.")),
        (false, true) => report.add_problem(
            "addressing",
            format!("\"{own}\" does not work, and \"{other}\" does."),
            format!("Set addressing = \"{other}\" on [[target]] \"{}\".", probe.route.target.name),
        ),
        (false, false) => report.add_skipped("addressing", "Neither way got a good answer."),
    }
}
