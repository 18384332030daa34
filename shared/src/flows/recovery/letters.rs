//! Dead letters: into the archive, and back onto their queue.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use serde::{Deserialize, Serialize};

use super::{AT_ONCE, MOST_NAMED, PAGE, Records, Recovery, RecoveryError, wrong};
use crate::domain::Timestamp;
use crate::domain::letter::{DeadLetter, DeadQueue, FedQueue, Letter, attribute};
use crate::domain::raw::sha256;
use crate::error::{Chain, StoreError};
use crate::flows::raws::keep;
use crate::flows::stored_bytes;
use crate::ports::{Clock, DeadLetters, Quarantined, Random, SendBack, SendInbound, Shelf};
use crate::telemetry::metric;

/// How long a letter is hidden that is moved at once; it shows again if the move fails.
const HIDDEN: Duration = Duration::from_secs(60);
const DAY_SECONDS: u64 = 24 * 60 * 60;

/// Job `archive-dead-letters`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ArchiveRequest {
    /// Who calls: the schedule says so.
    pub source: Option<String>,
    /// Another age than the setting's; 0 = all.
    pub older_than_days: Option<u16>,
}

/// What archiving did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Archived {
    /// Letters that are in quarantine now instead of on their dead-letter queue.
    pub archived: usize,
    /// Younger letters that were seen and left.
    pub left: usize,
    /// Whether time ran out before all were looked at.
    pub more: bool,
}

/// Job `redrive`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RedriveRequest {
    /// Whose dead letters.
    pub queue: DeadQueue,
    /// Most letters; without it as many as the time allows.
    pub limit: Option<usize>,
    /// Only look.
    #[serde(default)]
    pub dry_run: bool,
}

/// What a redrive did, or would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Redriven {
    /// Whose dead letters.
    pub queue: DeadQueue,
    /// Whether nothing was moved, and the numbers say what would be.
    pub dry_run: bool,
    /// Letters back on their queue, those from the archive included.
    pub moved: usize,
    /// Of these, letters that were archived.
    pub from_archive: usize,
    /// Letters thrown away: scheduled runs, which the next run makes good.
    pub discarded: usize,
    /// Whether the limit or the time ended this, so that there may be more: call again.
    pub more: bool,
    /// What a dry run found.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub letters: Vec<LetterInfo>,
}

/// A dead letter without its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LetterInfo {
    /// SQS's id, or the archive's.
    pub id: String,
    /// `body` or `part` of a webhook, `nudge`, `schedule`.
    pub kind: String,
    /// When it was first sent.
    pub sent_at: Timestamp,
    /// Bytes.
    pub size: usize,
    /// Whether it is in the archive.
    pub archived: bool,
}

fn info(queue: DeadQueue, id: &str, sent_at: Timestamp, letter: &Letter, archived: bool) -> LetterInfo {
    let kind = match queue {
        DeadQueue::Inbound => letter.text(attribute::KIND).unwrap_or("body"),
        DeadQueue::Answers => "nudge",
        DeadQueue::Schedules => "schedule",
    };
    LetterInfo { id: id.to_owned(), kind: kind.to_owned(), sent_at, size: letter.size(), archived }
}

/// The bytes of a letter in the archive.
fn packed(letter: &Letter) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(letter).map_err(|e| StoreError::corrupt("dead letters", e))
}

fn unpacked(bytes: &[u8]) -> Result<Letter, StoreError> {
    serde_json::from_slice(bytes).map_err(|e| StoreError::corrupt("quarantine", e))
}

impl<S, D, I, C, R> Recovery<'_, S, D, I, C, R>
where
    S: Records,
    D: DeadLetters + SendBack,
    I: SendInbound,
    C: Clock,
    R: Random,
{
    /// Writes old dead letters into quarantine and deletes them then. One that cannot be written keeps no
    /// other from being written.
    pub(super) async fn archive(&self, request: &ArchiveRequest) -> Result<Archived, RecoveryError> {
        let age = request.older_than_days.map(|days| Duration::from_secs(u64::from(days) * DAY_SECONDS));
        let before = self.clock.now() - age.unwrap_or(self.settings.archive_after);
        let deadline = self.deadline();
        let mut done = Archived::default();
        let mut failed = None;
        for queue in FedQueue::ALL {
            if let Err(error) = self.archive_queue(queue, before, deadline, &mut done).await {
                tracing::error!(?queue, error = %Chain(&error), "dead letters were not archived");
                failed = Some(error);
            }
        }
        match failed {
            None => Ok(done),
            Some(error) => Err(error.into()),
        }
    }

    async fn archive_queue(
        &self,
        queue: FedQueue,
        before: Timestamp,
        deadline: Timestamp,
        done: &mut Archived,
    ) -> Result<(), StoreError> {
        let mut younger = Vec::new();
        let result = self.archive_old(queue, before, deadline, done, &mut younger).await;
        done.left += younger.len();
        // They must show again at once: the alarm counts what is visible. If this fails they show later.
        let released = self.dead.release_dead(queue.into(), &younger).await;
        result.and(released)
    }

    async fn archive_old(
        &self,
        queue: FedQueue,
        before: Timestamp,
        deadline: Timestamp,
        done: &mut Archived,
        younger: &mut Vec<DeadLetter>,
    ) -> Result<(), StoreError> {
        // Longer than the run, so that it sees each letter once.
        let hidden = self.settings.budget + HIDDEN;
        let mut failed = None;
        loop {
            if self.clock.now() > deadline {
                done.more = true;
                break;
            }
            let letters = self.dead.receive_dead(queue.into(), hidden).await?;
            if letters.is_empty() {
                break;
            }
            let (old, young): (Vec<_>, Vec<_>) = letters.into_iter().partition(|l| l.sent_at <= before);
            younger.extend(young);
            let results: Vec<_> = stream::iter(old)
                .map(async |letter| (self.keep_letter(queue, &letter).await, letter))
                .buffered(AT_ONCE)
                .collect()
                .await;
            let mut kept = Vec::new();
            for (result, letter) in results {
                match result {
                    Ok(()) => kept.push(letter),
                    Err(error) => {
                        tracing::error!(letterId = %letter.id, error = %Chain(&error), "a dead letter stays");
                        failed = Some(error);
                    }
                }
            }
            self.dead.delete_dead(queue.into(), &kept).await?;
            if !kept.is_empty() {
                let count = kept.len() as u64;
                tracing::warn!(
                    metric = metric::DEAD_LETTERS_ARCHIVED,
                    count,
                    ?queue,
                    "archived dead letters"
                );
            }
            done.archived += kept.len();
        }
        failed.map_or(Ok(()), Err)
    }

    /// The id is the content's hash: written twice it is one item, whichever run wrote it.
    async fn keep_letter(&self, queue: FedQueue, dead: &DeadLetter) -> Result<(), StoreError> {
        let bytes = packed(&dead.letter)?;
        let raw = keep(self.store, &bytes, None).await?;
        let (id, reason) = (sha256(&bytes), queue.reason().to_owned());
        self.store.quarantine(&Quarantined { id, reason, received_at: dead.sent_at, raw }).await
    }

    /// Puts dead letters back on their queue: first those that died lately, then the archived ones.
    pub(super) async fn redrive(&self, request: &RedriveRequest) -> Result<Redriven, RecoveryError> {
        if request.limit == Some(0) {
            return Err(wrong("limit must be at least 1"));
        }
        let most = if request.dry_run { MOST_NAMED } else { usize::MAX };
        let mut run = Run {
            limit: request.limit.unwrap_or(most).min(most),
            deadline: self.deadline(),
            done: Redriven {
                queue: request.queue,
                dry_run: request.dry_run,
                moved: 0,
                from_archive: 0,
                discarded: 0,
                more: false,
                letters: Vec::new(),
            },
        };
        if request.dry_run {
            self.look(&mut run).await?;
        } else {
            self.move_back(&mut run).await?;
        }
        Ok(run.done)
    }

    async fn move_back(&self, run: &mut Run) -> Result<(), StoreError> {
        let queue = run.done.queue;
        let started = self.clock.now();
        while run.goes_on(self.clock.now()) {
            let mut letters = self.dead.receive_dead(queue, HIDDEN).await?;
            if letters.is_empty() {
                break;
            }
            // One that this run put back and that died again: it stays, or the run would go round in circles.
            letters.retain(|letter| letter.sent_at <= started);
            let over = letters.split_off(letters.len().min(run.left()));
            if !over.is_empty() {
                run.done.more = true;
                self.dead.release_dead(queue, &over).await?;
            }
            if let Some(home) = queue.home() {
                let contents: Vec<Letter> = letters.iter().map(|dead| dead.letter.clone()).collect();
                self.dead.send_back(home, &contents).await?;
                run.done.moved += letters.len();
            } else {
                run.done.discarded += letters.len();
            }
            // Only now: until here a crash leaves them where they were.
            self.dead.delete_dead(queue, &letters).await?;
        }
        run.done.more |= run.left() == 0;
        match queue.home() {
            Some(home) => self.take_from_archive(home, run).await,
            None => Ok(()),
        }
    }

    async fn take_from_archive(&self, home: FedQueue, run: &mut Run) -> Result<(), StoreError> {
        let mut after = None;
        while run.goes_on(self.clock.now()) {
            let shelf = Shelf::DeadLetters(home);
            let page = self.store.quarantined_on(shelf, after.as_deref(), run.left().min(PAGE)).await?;
            let (letters, _) = self.letters_of(&page.items).await?;
            let ids: Vec<&str> = letters.iter().map(|(id, _)| id.as_str()).collect();
            let token = self.token();
            self.mark_all(&ids, &token).await?;
            let contents: Vec<Letter> = letters.iter().map(|(_, letter)| letter.clone()).collect();
            self.dead.send_back(home, &contents).await?;
            self.remove_all(&ids, &token).await?;
            run.done.moved += letters.len();
            run.done.from_archive += letters.len();
            after = page.next;
            if after.is_none() {
                return Ok(());
            }
        }
        run.done.more = true;
        Ok(())
    }

    /// The letters of archived items by id, and how many cannot be read; those stay.
    async fn letters_of(&self, items: &[Quarantined]) -> Result<(Vec<(String, Letter)>, usize), StoreError> {
        let read = async |item: &Quarantined| {
            let bytes = stored_bytes(self.store, &item.raw).await;
            (item.id.clone(), bytes.and_then(|bytes| unpacked(&bytes)))
        };
        let results: Vec<_> = stream::iter(items).map(read).buffered(AT_ONCE).collect().await;
        let (mut letters, mut damaged) = (Vec::new(), 0);
        for (id, result) in results {
            match result {
                Ok(letter) => letters.push((id, letter)),
                Err(error @ StoreError::Corrupt { .. }) => {
                    tracing::error!(quarantineId = %id, error = %Chain(&error), "an archived letter is damaged");
                    damaged += 1;
                }
                Err(error) => return Err(error),
            }
        }
        Ok((letters, damaged))
    }

    /// What [`Self::move_back`] would move. It hides what it looks at, and shows it again at its end.
    async fn look(&self, run: &mut Run) -> Result<(), StoreError> {
        let queue = run.done.queue;
        let mut seen = Vec::new();
        let result = self.look_at_dead(run, &mut seen).await;
        let released = self.dead.release_dead(queue, &seen).await;
        result.and(released)?;
        if let Some(home) = queue.home() {
            self.look_at_archive(home, run).await?;
        }
        let found = run.done.letters.len();
        match queue.home() {
            Some(_) => run.done.moved = found,
            None => run.done.discarded = found,
        }
        Ok(())
    }

    async fn look_at_dead(&self, run: &mut Run, seen: &mut Vec<DeadLetter>) -> Result<(), StoreError> {
        let queue = run.done.queue;
        while run.goes_on(self.clock.now()) {
            let letters = self.dead.receive_dead(queue, self.settings.budget + HIDDEN).await?;
            if letters.is_empty() {
                break;
            }
            run.done.more |= letters.len() > run.left();
            let infos = letters.iter().map(|dead| info(queue, &dead.id, dead.sent_at, &dead.letter, false));
            let left = run.left();
            run.done.letters.extend(infos.take(left));
            seen.extend(letters);
        }
        Ok(())
    }

    async fn look_at_archive(&self, home: FedQueue, run: &mut Run) -> Result<(), StoreError> {
        let mut after = None;
        while run.goes_on(self.clock.now()) {
            let shelf = Shelf::DeadLetters(home);
            let page = self.store.quarantined_on(shelf, after.as_deref(), run.left().min(PAGE)).await?;
            let (letters, _) = self.letters_of(&page.items).await?;
            for (id, letter) in &letters {
                let item = page.items.iter().find(|item| item.id == *id);
                let sent_at = item.map_or(Timestamp::UNIX_EPOCH, |item| item.received_at);
                run.done.letters.push(info(home.into(), id, sent_at, letter, true));
            }
            run.done.from_archive += letters.len();
            after = page.next;
            if after.is_none() {
                return Ok(());
            }
        }
        run.done.more = true;
        Ok(())
    }

    /// Marks items as being taken out. Together with [`Self::remove_all`] around the write that makes their
    /// content durable elsewhere.
    pub(super) async fn mark_all(&self, ids: &[&str], token: &str) -> Result<(), StoreError> {
        let mark = async |id: &&str| self.store.mark_quarantined(id, token).await;
        let marked: Vec<_> = stream::iter(ids).map(mark).buffered(AT_ONCE).collect().await;
        // One that is gone was taken out by another run at the same time: once more does no harm.
        marked.into_iter().try_for_each(|result| result.map(drop))
    }

    /// Removes items whose mark is still ours.
    pub(super) async fn remove_all(&self, ids: &[&str], token: &str) -> Result<(), StoreError> {
        let remove = async |id: &&str| self.store.remove_quarantined(id, token).await;
        let removed: Vec<_> = stream::iter(ids).map(remove).buffered(AT_ONCE).collect().await;
        removed.into_iter().try_for_each(|result| result.map(drop))
    }
}

/// A redrive under way.
struct Run {
    limit: usize,
    deadline: Timestamp,
    done: Redriven,
}

impl Run {
    fn left(&self) -> usize {
        // A dry run names what a real one counts.
        let done = self.done.moved + self.done.discarded + self.done.letters.len();
        self.limit.saturating_sub(done)
    }

    fn goes_on(&mut self, now: Timestamp) -> bool {
        if now > self.deadline {
            self.done.more = true;
        }
        self.left() > 0 && now <= self.deadline
    }
}
