//! The automatic answers that are due.

use super::super::Stored;
use super::super::expression::Expression;
use super::super::table::{Range, Write};
use super::super::values::{millis, n, number, s, shards, text, with_nulls};
use super::record::{self, AnswerFields};
use super::{KEY, Messages, QUERY, TABLE, UPDATE};
use crate::domain::Timestamp;
use crate::domain::answer::Answer;
use crate::domain::ids::MessageId;
use crate::error::StoreError;
use crate::ports::Answers;

impl Answers for Messages {
    async fn settle_answer(&self, id: &MessageId, answer: &Answer) -> Stored<bool> {
        let change = match answer {
            // A pending answer settles nothing.
            Answer::Pending { .. } => return Ok(false),
            Answer::Answered(_) => Expression::when(
                "#answerState = :pending OR (#answerState = :none AND #answerReason = :sendUncertain)",
            )
            .value("none", s("none"))
            .value("sendUncertain", s("send_uncertain")),
            Answer::None(..) => Expression::when("#answerState = :pending"),
        };
        let fields = with_nulls(TABLE, &AnswerFields::new(id, Some(answer)))?;
        let change = change.value("pending", s("pending")).overwrite(fields, &[]);
        match self.0.update(UPDATE, (KEY, id.as_ref()), change).await? {
            Write::Done(_) => Ok(true),
            Write::Refused(item) if item.is_empty() => Ok(false),
            Write::Refused(item) => Ok(record::message(item)?.answer.as_ref() == Some(answer)),
        }
    }

    async fn postpone_answer(&self, id: &MessageId, due_at: Timestamp) -> Stored<()> {
        let change = Expression::when("#answerState = :pending")
            .value("pending", s("pending"))
            .value("none", n(0))
            .value("one", n(1))
            .set("dueAt", millis(due_at))
            .assign("#answerAttempts = if_not_exists(#answerAttempts, :none) + :one");
        self.0.update(UPDATE, (KEY, id.as_ref()), change).await?;
        Ok(())
    }

    async fn due_answers(&self, now: Timestamp, limit: usize) -> Stored<Vec<MessageId>> {
        self.due(shards(), now, limit).await
    }
}

impl Messages {
    /// What the index `due` lists under these keys as due before `now`, the longest due first.
    pub(super) async fn due(
        &self,
        keys: impl Iterator<Item = String>,
        now: Timestamp,
        limit: usize,
    ) -> Stored<Vec<MessageId>> {
        let mut due = Vec::new();
        for key in keys {
            let range = Range {
                index: Some("due"),
                condition: "#dueKey = :dueKey AND #dueAt < :now",
                values: vec![("dueKey", s(key)), ("now", millis(now))],
                attributes: &[],
                ascending: true,
                consistent: false,
                limit: Some(limit),
            };
            due.extend(self.0.query(QUERY, range).await?);
        }
        due.sort_by_key(|entry| number(entry, "dueAt"));
        let ids = due.iter().filter_map(|entry| text(entry, KEY)).take(limit);
        ids.map(|id| id.parse().map_err(|e| StoreError::corrupt(TABLE, e))).collect()
    }
}
