//! Which event a change is, if any. Events show things as the API does, so nothing is in them that is not there.

use serde_json::{Value, json};

use crate::api::clients::ClientItem;
use crate::api::events::TokenState;
use crate::api::messages::MessageItem;
use crate::api::onboarding::OnboardingState;
use crate::domain::Timestamp;
use crate::domain::change::{Change, Changed, Pair};
use crate::domain::client::Client;
use crate::domain::event::{Event, EventKind};
use crate::domain::grant::Grant;
use crate::domain::ids::{BotId, ConversationId, EventId};
use crate::domain::message::{Message, Origin, Sending};
use crate::domain::onboarding::{Onboarding, OnboardingStatus, Step, StepState};

/// Members of a client that change with each message or look, and are no news.
const NO_NEWS: [&str; 4] = ["lastMessageAt", "lastWebhookAt", "checkedAt", "updatedAt"];

/// Whose change it is.
pub(super) fn bot_of(change: &Change) -> Option<&BotId> {
    match &change.record {
        Changed::Message(it) => it.after.bot_id.as_ref(),
        Changed::Onboarding(it) => Some(&it.after.bot_id),
        Changed::Client(it) => Some(&it.after.bot_id),
        Changed::Grant(it) => Some(&it.after.bot_id),
    }
}

/// The event that a change is; `None` for what nobody is told of. `client` is the one of an onboarding, as far as there
/// is one.
#[must_use]
pub fn event_of(change: &Change, client: Option<&Client>) -> Option<Event> {
    let (kind, data) = match &change.record {
        Changed::Message(it) => message(it)?,
        Changed::Onboarding(it) => onboarding(it, client)?,
        Changed::Client(it) => client_of(it, change.at)?,
        Changed::Grant(it) => grant(it)?,
    };
    Some(Event {
        id: EventId::of_change(&change.id, kind.as_str()),
        kind,
        bot_id: bot_of(change)?.clone(),
        at: change.at,
        sequence: change.sequence.clone(),
        conversation_id: conversation_of(change).cloned(),
        data,
    })
}

fn conversation_of(change: &Change) -> Option<&ConversationId> {
    match &change.record {
        Changed::Message(it) => Some(&it.after.conversation_id),
        _ => None,
    }
}

fn message(it: &Pair<Message>) -> Option<(EventKind, Value)> {
    let (before, after) = (it.before.as_deref(), &*it.after);
    match after.origin {
        Origin::Customer => {
            // It may take the place of its copy out of a history.
            let is_new = before.is_none_or(|before| before.origin.is_history());
            is_new.then(|| (EventKind::MessageReceived, json!(MessageItem::of(after))))
        }
        Origin::Bot | Origin::Api | Origin::App | Origin::OtherApp => {
            let is_under_way = matches!(after.sending, Some(Sending::Intended { .. }));
            let shown = json!(MessageItem::of(after));
            let is_news = before.is_some_and(|before| json!(MessageItem::of(before)) != shown);
            (is_news && !is_under_way).then_some((EventKind::MessageStatus, shown))
        }
        Origin::HistoryIn | Origin::HistoryOut | Origin::StandbyIn | Origin::StandbyOut => None,
    }
}

/// A step that ended, how, and why so.
type Ended<'a> = (Step, StepState, Option<&'a str>);

/// How far an onboarding is: that a step is about to be made, or when it is tried again, is no news.
fn stage(it: &Onboarding) -> (OnboardingStatus, Vec<Ended<'_>>) {
    let ended = it
        .steps
        .iter()
        .filter(|step| matches!(step.state, StepState::Done | StepState::Failed | StepState::Skipped));
    let step = ended.map(|it| (it.step, it.state, it.cause.as_ref().map(|cause| cause.code.as_str())));
    (it.status, step.collect())
}

fn onboarding(it: &Pair<Onboarding>, client: Option<&Client>) -> Option<(EventKind, Value)> {
    let is_news = it.before.as_ref().is_none_or(|before| stage(before) != stage(&it.after));
    let client = client.filter(|client| client.bot_id == it.after.bot_id);
    is_news.then(|| (EventKind::OnboardingUpdated, json!(OnboardingState::of(&it.after, client))))
}

fn client_of(it: &Pair<Client>, at: Timestamp) -> Option<(EventKind, Value)> {
    let news = |client: &Client| {
        let mut shown = json!(ClientItem::of(client, at));
        if let Some(members) = shown.as_object_mut() {
            members.retain(|name, _| !NO_NEWS.contains(&name.as_str()));
        }
        shown
    };
    let is_news = it.before.as_ref().is_none_or(|before| news(before) != news(&it.after));
    is_news.then(|| (EventKind::ClientUpdated, json!(ClientItem::of(&it.after, at))))
}

fn grant(it: &Pair<Grant>) -> Option<(EventKind, Value)> {
    let (before, after) = (it.before.as_deref(), &*it.after);
    let died = after.dead_since.is_some() && before.is_none_or(|before| before.dead_since.is_none());
    let told = |grant: &Grant| grant.care.told_days;
    let kind = if died {
        EventKind::TokenDead
    } else if told(after).is_some() && before.and_then(told) != told(after) {
        EventKind::TokenExpiring
    } else {
        return None;
    };
    Some((kind, json!(TokenState::of(after))))
}
