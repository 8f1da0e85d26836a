//! Limits that one small object can test: the longest key and the most metadata of the target's dialect. The proxy
//! passes on requests up to these limits.

use blobfish_dialects::engine::small_parts;
use blobfish_dialects::model::Operation;

use crate::cli::doctor::asking::{ProbeError, TargetProbe};
use crate::cli::doctor::features::FeatureChecks;
use crate::cli::doctor::report::Report;

/// The longest key segment of stores that keep objects in a file system, in bytes: below 255, because they append
/// suffixes.
const SEGMENT_BYTES_MAX: usize = 200;

/// The name of the metadata entry.
const METADATA_NAME: &str = "much";

/// Checks where small parts are stored, and whether they can be listed there. `bucket` is the name at the target.
pub(super) async fn check_small_parts(report: &Report, probe: &TargetProbe<'_>, bucket: &str) {
    const CHECK: &str = "small parts";
    let target = probe.route.target;
    let least = target.dialect.limits.part_bytes_min;
    if !small_parts::needs_small_parts(target) {
        return report.add_ok(CHECK, "The target accepts parts as small as every caller dialect does.");
    }
    if !target.staging.is_combining {
        return report.add_ok(CHECK, format!("Parts below {least} bytes are rejected, except the last."));
    }
    let prefix = &target.staging.prefix;
    let bucket = small_parts::find_small_parts_bucket(target, bucket);
    let staging_probe = TargetProbe {
        route: probe.route.to_bucket(bucket),
        skew_seconds: probe.skew_seconds.clone(),
        ..*probe
    };
    match staging_probe.run_exchange(small_parts::build_prefix_list_request(bucket, prefix, 1)).await {
        Ok(_) => report.add_ok(
            CHECK,
            format!(
                "Parts below {least} bytes are stored under {prefix} in the bucket {bucket} until their upload ends. Orphaned parts \
                 are deleted; as a safeguard add a lifecycle rule that deletes objects below {prefix} after 7 days, and \
                 one that aborts incomplete uploads earlier."
            ),
        ),
        Err(error) => report.add_problem(
            CHECK,
            format!("The bucket {bucket} cannot be listed below {prefix}: {error}."),
            "Allow the access key to list, read, write and delete there, or set small_parts = \"reject\".",
        ),
    }
}

/// Writes an object at each limit. A rejection reaches the client, so it is a warning; silent truncation is a problem.
pub(super) async fn check_limits(features: &FeatureChecks<'_>) {
    let limits = &features.scratch.probe.route.target.dialect.limits;
    let (key, metadata) = (limits.key_bytes_max, limits.metadata_bytes_max);
    let mut rejections = Vec::new();
    // Stores on a file system limit the length of each key segment, so the second attempt has slashes.
    if let Err(why) = probe_long_key(features, key, usize::MAX).await {
        rejections.push(match probe_long_key(features, key, SEGMENT_BYTES_MAX).await {
            Ok(()) => format!("Keys of {key} bytes are accepted only if slashes divide them ({why})."),
            Err(_) => format!("Keys of {key} bytes are not accepted ({why})."),
        });
    }
    match probe_large_metadata(features, metadata).await {
        Ok(true) => {}
        Ok(false) => {
            features.report.add_problem(
                "limits",
                format!("The target does not store all of {metadata} bytes of metadata."),
                "Clients that write much metadata lose some of it at this target.",
            );
            return;
        }
        Err(why) => rejections.push(format!("{metadata} bytes of metadata are not accepted ({why}).")),
    }
    if rejections.is_empty() {
        let message = format!("Keys of {key} bytes and {metadata} bytes of metadata are accepted.");
        features.report.add_ok("limits", message);
    } else {
        features.report.add_warning(
            "limits",
            rejections.join(" "),
            "Clients that write more get the target's error.",
        );
    }
}

/// Writes and reads an object with the longest key, with a slash after every `segment_bytes` bytes.
async fn probe_long_key(
    features: &FeatureChecks<'_>,
    bytes: usize,
    segment_bytes: usize,
) -> Result<(), ProbeError> {
    let prefix_bytes = features.scratch.key("").len();
    let letter_at = |at: usize| if at % segment_bytes.saturating_add(1) == segment_bytes { '/' } else { 'k' };
    let name: String = (0..bytes.saturating_sub(prefix_bytes)).map(letter_at).collect();
    features.put_object(&features.build_put_request(&name)).await?;
    features
        .scratch
        .probe
        .get_object(&features.scratch.build_request(Operation::HeadObject, &name))
        .await
        .map(drop)
}

/// Writes an object with much metadata, and returns whether the target stored all of it.
async fn probe_large_metadata(features: &FeatureChecks<'_>, bytes: usize) -> Result<bool, ProbeError> {
    // Vendors count names and values together.
    let value = vec![b'm'; bytes.saturating_sub(METADATA_NAME.len())];
    let mut request = features.build_put_request("metadata");
    request.metadata = vec![(METADATA_NAME.to_owned(), value.clone())];
    features.put_object(&request).await?;
    let (response, _) = features
        .scratch
        .probe
        .get_object(&features.scratch.build_request(Operation::HeadObject, "metadata"))
        .await?;
    Ok(response.metadata.iter().any(|row| row.0 == METADATA_NAME && row.1 == value))
}
