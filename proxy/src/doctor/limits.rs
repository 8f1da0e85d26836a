//! Limits that can be tried with one small object each: the longest key and the most metadata of the target's dialect,
//! for callers' requests up to there are sent.

use blobfish_dialects::engine::staging;
use blobfish_dialects::model::Operation;

use crate::doctor::asking::{Asking, Trouble};
use crate::doctor::features::Features;
use crate::doctor::report::Report;

/// The longest name between slashes of stores that keep objects in a file system, bytes; some less, for their endings.
const NAME_BYTES: usize = 200;

/// The name of the metadata.
const METADATA: &str = "much";

/// Where parts are kept that are smaller than the target takes, and whether they can be listed there.
pub async fn small_parts(report: &Report, asking: &Asking<'_>) {
    const CHECK: &str = "small parts";
    let target = asking.way.target;
    let least = target.dialect.limits.part_bytes_min;
    if !staging::is_needed(target.dialect) {
        return report.ok(CHECK, "The target takes parts as small as every caller's vendor does.");
    }
    if !target.staging.combines {
        return report.ok(CHECK, format!("Parts below {least} bytes, but for the last, are refused."));
    }
    let prefix = &target.staging.prefix;
    let at = Asking { way: staging::own(&asking.way), skew: asking.skew.clone(), ..*asking };
    match at.exchanged(staging::listed(prefix, 1)).await {
        Ok(_) => report.ok(
            CHECK,
            format!(
                "Parts below {least} bytes are kept below {prefix} in the bucket {} until their upload ends. What is left \
                 there is swept; as a safety net add a lifecycle rule that deletes below {prefix} after 7 days, and one \
                 that ends unfinished uploads before.",
                at.way.bucket
            ),
        ),
        Err(trouble) => report.problem(
            CHECK,
            format!("The bucket {} cannot be listed below {prefix}: {trouble}.", at.way.bucket),
            "Let the key list, read, write and delete there, or set small_parts = \"refuse\".",
        ),
    }
}

/// Writes an object at each limit. What a store refuses, callers are told; what it cuts off, they are not.
pub async fn tried(features: &Features<'_>) {
    let limits = &features.scratch.asking.way.target.dialect.limits;
    let (key, metadata) = (limits.key_bytes_max, limits.metadata_bytes_max);
    let mut refused = Vec::new();
    if let Err(why) = long_key(features, key, usize::MAX).await {
        refused.push(match long_key(features, key, NAME_BYTES).await {
            Ok(()) => format!("Keys of {key} bytes are taken only where slashes divide them ({why})."),
            Err(_) => format!("No key of {key} bytes is taken ({why})."),
        });
    }
    match much_metadata(features, metadata).await {
        Ok(true) => {}
        Ok(false) => {
            features.report.problem(
                "limits",
                format!("Of {metadata} bytes of metadata not all are kept."),
                "Callers who write much metadata lose some of it at this target.",
            );
            return;
        }
        Err(why) => refused.push(format!("{metadata} bytes of metadata are not taken ({why}).")),
    }
    if refused.is_empty() {
        let message = format!("Keys of {key} bytes and {metadata} bytes of metadata are taken.");
        features.report.ok("limits", message);
    } else {
        features.report.warning(
            "limits",
            refused.join(" "),
            "Callers who write more are told the target's refusal.",
        );
    }
}

/// Writes and reads an object with the longest key, a slash after so many bytes.
async fn long_key(features: &Features<'_>, bytes: usize, piece: usize) -> Result<(), Trouble> {
    let before = features.scratch.request(Operation::HeadObject, "").key.unwrap_or_default().len();
    let letter = |at: usize| if at % piece.saturating_add(1) == piece { '/' } else { 'k' };
    let name: String = (0..bytes.saturating_sub(before)).map(letter).collect();
    features.written(&features.scratch_put(&name)).await?;
    features.scratch.asking.read(&features.scratch.request(Operation::HeadObject, &name)).await.map(drop)
}

/// Whether all of the metadata is there afterwards.
async fn much_metadata(features: &Features<'_>, bytes: usize) -> Result<bool, Trouble> {
    let value = vec![b'm'; bytes.saturating_sub(METADATA.len())];
    let mut request = features.scratch_put("metadata");
    request.metadata = vec![(METADATA.to_owned(), value.clone())];
    features.written(&request).await?;
    let (reply, _) =
        features.scratch.asking.read(&features.scratch.request(Operation::HeadObject, "metadata")).await?;
    Ok(reply.metadata.iter().any(|row| row.0 == METADATA && row.1 == value))
}
