//! How work is told that takes longer than a caller's patience: copies and completing calls.

use std::future::Future;
use std::time::Duration;

use blobfish_dialects::engine::tell;
use blobfish_dialects::model::{Document, Refusal, Reply, Told};
use tokio::time::sleep;

use crate::caller::Framing;
use crate::job::{End, Job};

/// What takes longer is told to be under way, to callers who are used to that.
const PATIENCE: Duration = Duration::from_secs(10);

/// And then again and again.
const SIGN_OF_LIFE: Duration = Duration::from_secs(5);

/// Waits for the work and tells how it went; whether it went well.
///
/// # Errors
/// [`End`].
pub async fn told(
    job: &mut Job<'_>,
    work: impl Future<Output = Result<Reply, Refusal>>,
) -> Result<bool, End> {
    let dialect = job.listener.dialect;
    let mut work = std::pin::pin!(work);
    let soon = tokio::select! {
        biased;
        done = &mut work => Some(done),
        () = sleep(PATIENCE) => None,
    };
    match soon {
        Some(done) => return at_once(job, done?).await,
        // Some SDKs take the first status for the truth.
        None if !dialect.copy.tells_under_way || !job.chunks => {
            return at_once(job, work.await?).await;
        }
        None => {}
    }
    let mut head = Reply::status(200);
    head.set(Told::ContentType, "application/xml");
    let mut listens = job.tell_head(head, Framing::Chunked).await.is_ok();
    let done = loop {
        tokio::select! {
            biased;
            done = &mut work => break done,
            () = sleep(SIGN_OF_LIFE) => {
                // Who went away is not waited for, but the work is finished: it may be all but done.
                listens = listens && job.caller.answer_body(b" ").await.is_ok();
            }
        }
    };
    let (reply, well) = match done {
        Ok(reply) => (reply, true),
        Err(refusal) => (tell::refused(dialect, &refusal), false),
    };
    if !listens {
        return Err(End::Cut("the caller went"));
    }
    let document = job.document(reply);
    job.caller.answer_body(&document).await?;
    job.caller.answer_end().await?;
    Ok(well)
}

async fn at_once(job: &mut Job<'_>, reply: Reply) -> Result<bool, End> {
    let well = reply.status < 300 && !matches!(reply.document, Some(Document::Error(_)));
    job.tell(reply).await?;
    Ok(well)
}
