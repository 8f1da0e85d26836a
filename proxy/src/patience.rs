//! How work is told that takes longer than a caller's patience: copies and completing calls.

use std::future::Future;
use std::time::Duration;

use blobfish_dialects::engine::tell;
use blobfish_dialects::model::{Document, Refusal, Reply, Told};
use blobfish_dialects::wire::xml;
use tokio::time::sleep;

use crate::caller::{Framing, NotWritten};
use crate::copies::Progress;
use crate::job::{End, Job};

/// What takes longer is told to be under way, to callers who are used to that.
const PATIENCE: Duration = Duration::from_secs(10);

/// And then again and again.
const SIGN_OF_LIFE: Duration = Duration::from_secs(5);

/// Waits for the work and tells how it went; whether it went well. Where a copy is `watched` it is given up when its
/// caller goes.
///
/// # Errors
/// [`End`].
pub async fn told(
    job: &mut Job<'_>,
    work: impl Future<Output = Result<Reply, Refusal>>,
    watched: Option<&Progress>,
) -> Result<bool, End> {
    let dialect = job.listener.dialect;
    // Some SDKs take the first status for the truth.
    let tells = dialect.copy.tells_under_way && job.chunks;
    let (mut listens, mut begun) = (true, false);
    let mut work = std::pin::pin!(work);
    let done = loop {
        tokio::select! {
            biased;
            done = &mut work => break done,
            () = job.caller.gone(), if listens && watched.is_some() => {
                listens = false;
                watched.inspect(|copy| copy.abandon());
            }
            () = sleep(if begun { SIGN_OF_LIFE } else { PATIENCE }), if listens && tells => {
                listens = match begun {
                    true => sign_of_life(job).await.is_ok(),
                    false => begin(job).await.is_ok(),
                };
                begun = true;
            }
        }
    };
    if !listens {
        return Err(End::Cut("the caller went"));
    }
    if !begun {
        return at_once(job, done?).await;
    }
    let (reply, well) = match done {
        Ok(reply) => (reply, true),
        Err(refusal) => {
            job.note_refusal(&refusal);
            (tell::refused(dialect, &refusal), false)
        }
    };
    let document = job.document(reply);
    let rest = document.strip_prefix(xml::DECLARATION.as_bytes()).unwrap_or(&document);
    job.caller.answer_body(rest).await?;
    job.caller.answer_end().await?;
    Ok(well)
}

/// The head of a success, and as much of its document as is always true: nothing may stand before a declaration.
async fn begin(job: &mut Job<'_>) -> Result<(), End> {
    let mut head = Reply::status(200);
    head.set(Told::ContentType, "application/xml");
    job.tell_head(head, Framing::Chunked).await?;
    job.caller.answer_body(xml::DECLARATION.as_bytes()).await?;
    Ok(job.caller.flush().await?)
}

/// White space, which is no part of the document. It keeps nobody waiting only if it is sent at once.
async fn sign_of_life(job: &mut Job<'_>) -> Result<(), NotWritten> {
    job.caller.answer_body(b" ").await?;
    job.caller.flush().await
}

async fn at_once(job: &mut Job<'_>, reply: Reply) -> Result<bool, End> {
    let well = reply.status < 300 && !matches!(reply.document, Some(Document::Error(_)));
    job.tell(reply).await?;
    Ok(well)
}
