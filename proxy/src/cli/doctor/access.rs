//! Checks whether the target accepts the requests of Blobfish: credentials, clock, region, buckets and addressing.

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

/// A larger clock skew causes a warning, in seconds. Clocks that use NTP differ by less.
const SKEW_WARN_SECONDS: i64 = 60;

/// Builds the request of a check: a listing of one object, or ListBuckets without a bucket. It is a GET, because an
/// error response to a HEAD has no document with the error code.
fn build_probe_request(probe: &TargetProbe<'_>, bucket: Option<&str>) -> Request {
    let Some(bucket) = bucket else { return Request::for_bucket_list() };
    let mut request = Request::for_bucket(Operation::ListObjects, bucket);
    request.fields.set(Field::Prefix, Value::Text("blobfish-doctor-".to_owned()));
    request.fields.set(Field::MaxKeys, Value::Number(1));
    // A dialect without ListObjects has ListObjectsV2.
    if probe.route.target.dialect.find_route(request.operation).is_none() {
        request.operation = Operation::ListObjectsV2;
    }
    request
}

/// Sends one signed request, and reports what its response means.
///
/// # Errors
/// Why the other checks are skipped.
pub(super) async fn check_credentials(
    report: &Report,
    probe: &TargetProbe<'_>,
    bucket: Option<&str>,
) -> Result<(), String> {
    let request = build_probe_request(probe, bucket);
    let response = match probe.send_request(&request).await {
        Ok(response) => response,
        Err(error) => {
            let message = format!("A signed request got no response: {error}.");
            report.add_problem(
                "credentials",
                message,
                "Check for proxies and firewalls between this machine and the target.",
            );
            return Err("The target does not respond.".to_owned());
        }
    };
    let verdict = match diagnosis::is_proven_success(&probe.route, request.operation, &response) {
        true => {
            let key = &probe.route.target.credentials.current().access_key_id;
            report.add_ok("credentials", format!("The target accepts the access key {key}."));
            Ok(())
        }
        // A web page or another service at the endpoint also responds with 200.
        false if response.status / 100 == 2 => {
            report.add_problem(
                "credentials",
                "The target responded with 200, but not with the requested listing.",
                "Check that the endpoint is an object store, and check dialect, profile and addressing.",
            );
            Err("The responses do not match the target's dialect.".to_owned())
        }
        false => report_rejection(
            report,
            probe,
            &diagnosis::diagnose_failure(probe.route.target.dialect, &response),
        ),
    };
    // An error response also has a date, and often the right region.
    check_clock(report, probe);
    check_region(report, probe, bucket, &response).await;
    verdict
}

/// Reports what a rejection means for the credentials.
fn report_rejection(report: &Report, probe: &TargetProbe<'_>, failure: &Failure) -> Result<(), String> {
    let target = &probe.route.target;
    let own = target.credentials.current();
    let (name, key, description) = (&target.name, &own.access_key_id, describe_failure(failure));
    let at = format!("of [[target]] \"{name}\"");
    let report_problem = |message: String, advice: String| {
        report.add_problem("credentials", message, advice);
        Err("The target rejects Blobfish's requests.".to_owned())
    };
    match failure.kind {
        ErrorKind::InvalidAccessKeyId => report_problem(
            format!("The target does not know the access key ID {key} ({description})."),
            format!("Check access_key {at}, and that the endpoint belongs to the same account."),
        ),
        ErrorKind::SignatureDoesNotMatch => report_problem(
            format!("The target knows the access key ID {key}, but the secret key is wrong ({description})."),
            format!("Check secret_key {at}, and the environment variable or file that contains it."),
        ),
        ErrorKind::ExpiredToken => report_problem(
            format!("The session token has expired ({description})."),
            format!("Renew the temporary credentials {at}: access_key, secret_key and session_token."),
        ),
        ErrorKind::InvalidToken => report_problem(
            format!("The target does not accept the session token ({description})."),
            format!("Check that access_key, secret_key and session_token {at} were issued together."),
        ),
        ErrorKind::RequestTimeTooSkewed | ErrorKind::RequestExpired | ErrorKind::RequestNotYetValid => {
            report_problem(
                format!(
                    "The target rejects the time of the signature, which is that of this machine ({description})."
                ),
                "Synchronise the clock of this machine with NTP.".to_owned(),
            )
        }
        // The region check reports this, with the region to configure.
        _ if failure.wrong_location => {
            report.add_skipped(
                "credentials",
                format!("The request belongs to another region ({description})."),
            );
            Err("The region is wrong.".to_owned())
        }
        ErrorKind::NoSuchBucket => {
            report.add_ok("credentials", format!("The target accepts the access key {key}."));
            report.add_problem(
                "bucket",
                format!("The bucket does not exist ({description})."),
                "Check target_bucket, and that the bucket is in this region and account.",
            );
            Err("The bucket does not exist.".to_owned())
        }
        // Credentials without permission to list are common and often intended, so this is not a problem.
        ErrorKind::AccessDenied => {
            let advice = match own.session_token {
                Some(_) => {
                    "If clients list objects, allow it; some vendors return the same error for an expired session_token."
                }
                None => "If clients list objects, allow it; otherwise no action is needed.",
            };
            report.add_warning(
                "credentials",
                format!("The access key {key} may not list the bucket ({description})."),
                advice,
            );
            Ok(())
        }
        _ => report_problem(
            format!("A signed request was rejected: {description}."),
            format!("Check dialect, profile, signing and addressing {at}."),
        ),
    }
}

/// Checks whether the other configured buckets exist. Each is a pair of the name that clients use and the name at the
/// target.
pub(super) async fn check_buckets(
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
        report.add_ok("bucket", format!("Found at the target: {}.", present.join(", ")));
    } else if unusable.is_empty() {
        report.add_warning(
            "bucket",
            format!("The access key may not list these: {}.", denied.join(", ")),
            "Check that the buckets are yours, and allow listing if clients list objects.",
        );
    } else {
        report.add_problem(
            "bucket",
            format!("These buckets cannot be used: {}.", unusable.join(", ")),
            "Check name and target_bucket of each [[bucket]], and that the buckets are in this region and account.",
        );
    }
}

fn check_clock(report: &Report, probe: &TargetProbe<'_>) {
    let Some(skew) = probe.skew_seconds.get() else {
        return report.add_skipped("clock", "The responses of the target have no date.");
    };
    let direction = if skew < 0 { "behind" } else { "ahead of" };
    let seconds = skew.saturating_abs();
    let message = format!("The target's clock is {seconds} seconds {direction} the clock of this machine.");
    if seconds > CLOCK_SKEW_SECONDS_MAX {
        let advice = format!(
            "Synchronise the wrong clock with NTP; targets reject signatures with a skew above {CLOCK_SKEW_SECONDS_MAX} seconds."
        );
        report.add_problem("clock", message, advice);
    } else if seconds > SKEW_WARN_SECONDS {
        report.add_warning(
            "clock",
            message,
            format!("Use NTP; targets reject signatures with a skew above {CLOCK_SKEW_SECONDS_MAX} seconds."),
        );
    } else {
        report.add_ok("clock", message);
    }
}

/// Checks the region of the bucket, as far as the target reports it.
async fn check_region(
    report: &Report,
    probe: &TargetProbe<'_>,
    bucket: Option<&str>,
    response: &TargetResponse,
) {
    let target = probe.route.target;
    let own = target.region.as_str();
    let advise = |region: &str| {
        // Only the endpoints of the vendor are known; for another endpoint the advice names the region alone.
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
            _ if !failure.wrong_location => {
                report.add_skipped("region", "The error of the target does not name a region.")
            }
            Some(region) => {
                report.add_problem("region", format!("The region is {region}, not {own}."), advise(&region));
            }
            None => report.add_problem(
                "region",
                format!("The region is not {own} ({}).", describe_failure(&failure)),
                format!("Set region and endpoint of [[target]] \"{}\" to those of the bucket.", target.name),
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
            format!(
                "Signatures for {own} are accepted, but the target reports that the bucket is in {region}."
            ),
            advise(&region),
        ),
        Some(region) => report.add_ok("region", format!("The bucket is in {region}.")),
        None => report.add_ok("region", format!("Signatures for {own} are accepted.")),
    }
}

/// Finds the region in the endpoint's host name.
fn find_region_by_host(probe: &TargetProbe<'_>) -> Option<String> {
    addressing::find_region_in_host(&probe.route.target.authority, probe.route.target.dialect.hosts)
}

/// Checks whether the other addressing works, whether or not the configured one does.
pub(super) async fn check_addressing(
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
        return report.add_skipped("addressing", "The configuration names no bucket exactly.");
    };
    let route = Route { target: &switched.spec, ..probe.route.clone() };
    let skew = Cell::new(None);
    let other_probe = TargetProbe { client: probe.client, target: switched, route, skew_seconds: skew };
    let request = build_probe_request(&other_probe, Some(bucket));
    // A bucket name in front of an IP address is not a valid host.
    let response = match switched.spec.path_style || switched.endpoint.ip().is_none() {
        true => other_probe.send_request(&request).await,
        false => Err(ProbeError::Unsupported("an IP address has no subdomains".to_owned())),
    };
    let other_works = response
        .is_ok_and(|response| diagnosis::is_proven_success(&other_probe.route, request.operation, &response));
    match (works, other_works) {
        (true, true) => report.add_ok("addressing", format!("\"{own}\" works, and \"{other}\" works too.")),
        (true, false) => report.add_ok("addressing", format!("\"{own}\" works, \"{other}\" does not.")),
        (false, true) => report.add_problem(
            "addressing",
            format!("\"{own}\" does not work, but \"{other}\" does."),
            format!("Set addressing = \"{other}\" on [[target]] \"{}\".", probe.route.target.name),
        ),
        (false, false) => {
            report.add_skipped("addressing", "Neither \"virtual\" nor \"path\" got a valid response.")
        }
    }
}
