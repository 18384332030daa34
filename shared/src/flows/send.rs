//! Sending exactly once over an API without idempotency keys.
//!
//! The intent is written before the call. If the process dies or the answer is lost between the two, the
//! outcome is unknown and stays so until a status webhook brings our id back: it is never sent again.

mod receipt;

use std::time::Duration;

use serde_json::Value;

pub use receipt::Receipt;

use crate::domain::Timestamp;
use crate::domain::client::{Client, Pause, PauseReason};
use crate::domain::conversation::{ConversationTouch, RecipientMark, TouchedBy};
use crate::domain::draft::{Recipient, call_of};
use crate::domain::ids::{ConversationId, MessageId, PhoneNumberId, Wamid};
use crate::domain::message::{Message, Sending};
use crate::domain::meta_error::{MetaError, Remedy};
use crate::domain::secret::AccessToken;
use crate::error::{Chain, GraphError, StoreError};
use crate::flows::content_of;
use crate::flows::pace::{Held, HeldReason, Pace};
use crate::flows::tokens::{Opened, Tokens};
use crate::ports::{
    Clock, MarkClients, MarkGrants, MarkRecipients, MessageGraph, Rates, ReadGrants, ReadMessages,
    RecordSends, Recorded, Seal, SendOutcome, TokenGraph,
};
use crate::telemetry::{measure, metric, unit};

/// How long to wait after a failure that says nothing of it.
const SOON: Duration = Duration::from_secs(1);
/// How long to wait after Meta did not take a token that it calls valid.
const TOKEN_IN_DOUBT: Duration = Duration::from_secs(30);

/// Sending with what it needs.
pub struct Sender<'a, S, K, G, C> {
    /// Records.
    pub store: &'a S,
    /// Sealing.
    pub seal: &'a K,
    /// Meta.
    pub graph: &'a G,
    /// Time.
    pub clock: &'a C,
    /// Opened tokens of this process.
    pub tokens: &'a Tokens,
    /// What this process knows of rates.
    pub pace: &'a Pace,
    /// How long a call may take; after it, whoever made it is dead. Longer than the HTTP client's timeout.
    pub claim: Duration,
}

/// What became of a token that Meta did not take.
enum TokenState {
    /// Gone, or Meta says that it is not valid.
    Dead,
    /// Meta says that it is valid all the same.
    Valid,
    /// There is another one by now.
    Replaced,
}

/// All records that sending uses.
pub trait SendRecords:
    ReadMessages + RecordSends + ReadGrants + MarkGrants + MarkClients + MarkRecipients + Rates
{
}
impl<T> SendRecords for T where
    T: ReadMessages + RecordSends + ReadGrants + MarkGrants + MarkClients + MarkRecipients + Rates
{
}

/// How a message stands after [`Sender::deliver`].
#[derive(Debug)]
pub enum Delivery {
    /// Meta took it, now or before.
    Accepted(Option<Wamid>),
    /// Meta did not take it. The same message may be delivered again, after the pause.
    NotSent {
        /// How long to wait at least.
        pause: Duration,
        /// Meta's error, if Meta answered.
        error: Option<MetaError>,
    },
    /// It may not go out now. Before the call of a new message nothing is recorded of it.
    Held(Held),
    /// Meta refused it for good.
    Refused(MetaError),
    /// Nobody knows, and it is not sent again.
    Uncertain,
    /// Another copy is making the call until then.
    InProgress(Timestamp),
    /// The client has no token that Meta takes; with Meta's error, if a call found that out.
    NoToken(Option<MetaError>),
}

/// One message on its way.
struct Parcel<'m> {
    client: &'m Client,
    id: &'m MessageId,
    recipient: &'m Recipient,
    conversation: &'m ConversationId,
    token: &'m Opened,
    /// When the claim ends under which the call is made.
    attempt: Timestamp,
}

impl Parcel<'_> {
    /// What Meta limits for itself; a group has no such limit.
    fn pair(&self) -> Option<&ConversationId> {
        matches!(self.recipient, Recipient::Person(_)).then_some(self.conversation)
    }
}

/// The right to make one call.
struct Turn {
    /// Refusals of the pair so far.
    refusals: u32,
    /// The client's pause, which this call finds out about.
    probes: Option<Pause>,
}

impl<S, K, G, C> Sender<'_, S, K, G, C>
where
    S: SendRecords,
    K: Seal,
    G: MessageGraph + TokenGraph,
    C: Clock,
{
    /// The intent's `sending`, as of now.
    #[must_use]
    pub fn intended(&self) -> Sending {
        Sending::Intended { until: self.clock.now() + self.claim }
    }

    /// Sends `intent` once, whoever calls this how often. `intent.sending` is [`Self::intended`].
    ///
    /// # Errors
    /// [`StoreError`]. Before the intent is written nothing has happened; after it, the message is
    /// uncertain until the claim has ended and somebody looks again.
    pub async fn deliver(
        &self,
        client: &Client,
        intent: &Message,
        recipient: &Recipient,
    ) -> Result<Delivery, StoreError> {
        let Some(Sending::Intended { until: attempt }) = intent.sending else {
            return Err(StoreError::corrupt("messages", "a message is sent without being intended"));
        };
        name(client, &intent.id);
        // The token first: if it cannot be opened, nothing was intended.
        let token = self.tokens.of(self.store, self.seal, self.clock, &client.grant_id).await?;
        let Some(token) = token else {
            let no_token = self.no_token(client, None).await?;
            return self.unless_begun(intent, no_token).await;
        };
        let conversation = &intent.conversation_id;
        let parcel = Parcel { client, id: &intent.id, recipient, conversation, token: &token, attempt };
        let turn = match self.turn(&parcel).await? {
            Ok(turn) => turn,
            Err(held) => return self.unless_begun(intent, Delivery::Held(held)).await,
        };
        match self.store.begin_send(intent).await? {
            Recorded::New => self.call(&parcel, turn, &content_of(intent)).await,
            // Our own write, repeated below us because its answer was lost: callers hold a claim, so no
            // other copy can have written the same to the millisecond.
            Recorded::Known(known)
                if known.sending == intent.sending && known.recorded_at == intent.recorded_at =>
            {
                self.call(&parcel, turn, &content_of(intent)).await
            }
            Recorded::Known(known) => match self.standing(&known).await? {
                Some(delivery) => Ok(delivery),
                None => self.again(&parcel, turn, &known).await,
            },
        }
    }

    /// Brings a send that was begun before to its end, without ever repeating it.
    ///
    /// # Errors
    /// [`StoreError`]; nothing was sent that was not intended before.
    pub async fn resume(
        &self,
        client: &Client,
        begun: &Message,
        recipient: &Recipient,
    ) -> Result<Delivery, StoreError> {
        name(client, &begun.id);
        if let Some(delivery) = self.standing(begun).await? {
            return Ok(delivery);
        }
        let token = self.tokens.of(self.store, self.seal, self.clock, &client.grant_id).await?;
        let Some(token) = token else { return self.no_token(client, None).await };
        let conversation = &begun.conversation_id;
        let attempt = self.clock.now() + self.claim;
        let parcel = Parcel { client, id: &begun.id, recipient, conversation, token: &token, attempt };
        match self.turn(&parcel).await? {
            Ok(turn) => self.again(&parcel, turn, begun).await,
            Err(held) => Ok(Delivery::Held(held)),
        }
    }

    /// A message that was begun before, and how it stands; `None` if there is none, or if it was not sent and
    /// may be tried again.
    ///
    /// # Errors
    /// [`StoreError`]; nothing is sent.
    pub async fn begun(&self, id: &MessageId) -> Result<Option<(Message, Delivery)>, StoreError> {
        let Some(known) = self.store.message(id).await? else { return Ok(None) };
        Ok(self.standing(&known).await?.map(|delivery| (known, delivery)))
    }

    /// That a message is kept back is true of a new one only: of one that may have gone out before, nobody
    /// may think that it did not.
    async fn unless_begun(&self, intent: &Message, kept_back: Delivery) -> Result<Delivery, StoreError> {
        match self.store.message(&intent.id).await? {
            Some(known) => Ok(self.standing(&known).await?.unwrap_or(kept_back)),
            None => Ok(kept_back),
        }
    }

    /// What would keep a message of this client back, before anything is spent on it. Counts nothing.
    pub async fn held(&self, client: &Client) -> Option<Held> {
        let now = self.clock.now();
        let paused = client.pause.filter(|pause| pause.until > now);
        if let Some(pause) = paused {
            return Some(Held::new(pause.until, HeldReason::Paused(pause)));
        }
        known(self.pace.braked(self.store, client, now).await).flatten()
    }

    /// The right to make the call now, or until when to wait.
    async fn turn(&self, parcel: &Parcel<'_>) -> Result<Result<Turn, Held>, StoreError> {
        let (client, now) = (parcel.client, self.clock.now());
        if let Some(held) = self.held(client).await {
            return Ok(Err(held));
        }
        let turn = self.pace.turn(self.store, client, parcel.pair(), now).await;
        let refusals = match known(turn) {
            Some(Ok(refusals)) => refusals,
            Some(Err(held)) => return Ok(Err(held)),
            None => 0,
        };
        let Some(pause) = &client.pause else { return Ok(Ok(Turn { refusals, probes: None })) };
        // The pause is over: one send finds out whether its cause is, the others wait for that.
        let probing = pause.while_probed(now);
        if self.store.change_pause(&client.phone_number_id, Some(pause), Some(&probing)).await? {
            return Ok(Ok(Turn { refusals, probes: Some(probing) }));
        }
        Ok(Err(Held::new(probing.until, HeldReason::Paused(probing))))
    }

    /// How a send stands that was begun before; `None` if it was not sent and may be tried again.
    async fn standing(&self, known: &Message) -> Result<Option<Delivery>, StoreError> {
        Ok(match &known.sending {
            Some(Sending::NotSent) => None,
            Some(Sending::Intended { until }) if *until <= self.clock.now() => {
                Some(self.finish(&known.id, *until, &SendOutcome::Uncertain).await?)
            }
            _ => Some(delivery_of(known.clone())),
        })
    }

    /// Tries again what was not sent. What was written then is what is sent now, whatever the caller brings.
    async fn again(&self, parcel: &Parcel<'_>, turn: Turn, known: &Message) -> Result<Delivery, StoreError> {
        if self.store.retake_send(&known.id, parcel.attempt).await? {
            return self.call(parcel, turn, &content_of(known)).await;
        }
        Ok(Delivery::InProgress(parcel.attempt))
    }

    async fn call(&self, parcel: &Parcel<'_>, turn: Turn, recorded: &Value) -> Result<Delivery, StoreError> {
        let id = parcel.id;
        let call = call_of(recorded, parcel.recipient, id);
        let answer = self.graph.send(&parcel.client.phone_number_id, &call, &parcel.token.token).await;
        let delivery = match answer {
            Ok(wamid) => {
                unit::wamid(&wamid);
                unit::count(measure::SENT, 1);
                let delivery = self.finish(id, parcel.attempt, &SendOutcome::Accepted(wamid)).await?;
                self.accepted(parcel, &turn).await;
                delivery
            }
            Err(GraphError::NotSent(source)) => {
                tracing::warn!(messageId = %id, error = %source, "Meta not reached");
                self.not_sent(parcel, SOON, None).await?
            }
            Err(error @ GraphError::Unclear(_)) => {
                tracing::warn!(messageId = %id, error = %Chain(&error), "outcome of a send is unknown");
                self.finish(id, parcel.attempt, &SendOutcome::Uncertain).await?
            }
            Err(GraphError::Refused(error)) => self.refused(parcel, &turn, error).await?,
        };
        known(self.pace.heed(self.store, self.graph.usage(), self.clock.now()).await);
        Ok(delivery)
    }

    /// What kept the client back is over. The message is sent whatever happens here.
    async fn accepted(&self, parcel: &Parcel<'_>, turn: &Turn) {
        let phone = &parcel.client.phone_number_id;
        if let (Some(pair), 1..) = (parcel.pair(), turn.refusals) {
            known(self.store.forgive(pair).await);
        }
        if turn.probes.is_some() {
            known(self.store.change_pause(phone, turn.probes.as_ref(), None).await);
            tracing::info!(clientId = %phone, "Meta takes messages of the client again");
        }
        if parcel.client.reconnect_since.is_some() {
            known(self.store.set_reconnect(phone, None).await);
        }
    }

    async fn refused(
        &self,
        parcel: &Parcel<'_>,
        turn: &Turn,
        error: MetaError,
    ) -> Result<Delivery, StoreError> {
        let client = parcel.client;
        unit::message_failed(error.code);
        tracing::warn!(messageId = %parcel.id, clientId = %client.phone_number_id, metaCode = error.code, fbtraceId = error.fbtrace_id, "Meta refused a send");
        match error.remedy() {
            Remedy::Retry { .. } => self.not_sent(parcel, SOON, Some(error)).await,
            Remedy::SlowDown { scope, pause } => {
                let delivery = self.not_sent(parcel, pause, Some(error)).await?;
                let now = self.clock.now();
                let slowed =
                    self.pace.slow_down(self.store, client, parcel.pair(), (scope, pause), now).await;
                let pause = known(slowed).map_or(pause, |until| span(now, until));
                Ok(match delivery {
                    Delivery::NotSent { error, .. } => Delivery::NotSent { pause, error },
                    proven => proven,
                })
            }
            Remedy::Token => self.token_refused(parcel, error).await,
            Remedy::Payment => self.stopped(parcel, turn, PauseReason::Payment, error).await,
            Remedy::Locked => self.stopped(parcel, turn, PauseReason::Locked, error).await,
            Remedy::WindowClosed
            | Remedy::NotReachable
            | Remedy::OptedOut
            | Remedy::MarketingLimit
            | Remedy::Fix
            | Remedy::Never => {
                let mark = error.recipient_mark();
                let delivery = self.finish(parcel.id, parcel.attempt, &SendOutcome::Refused(error)).await?;
                self.mark_recipient(parcel, mark).await;
                Ok(delivery)
            }
        }
    }

    /// What a refusal says of the recipient. The refusal stands whatever happens here.
    async fn mark_recipient(&self, parcel: &Parcel<'_>, mark: Option<RecipientMark>) {
        let (Some(mark), Recipient::Person(names)) = (mark, parcel.recipient) else { return };
        let contact = ConversationTouch {
            id: parcel.conversation.clone(),
            bot_id: parcel.client.bot_id.clone(),
            customer: names.clone(),
            at: self.clock.now(),
            by: TouchedBy::About,
        };
        known(self.store.mark_recipient(&contact, mark).await);
    }

    /// Meta takes nothing of this client until somebody mends the cause.
    async fn stopped(
        &self,
        parcel: &Parcel<'_>,
        turn: &Turn,
        reason: PauseReason,
        error: MetaError,
    ) -> Result<Delivery, StoreError> {
        let delivery = self.not_sent(parcel, SOON, None).await?;
        if !matches!(delivery, Delivery::NotSent { .. }) {
            return Ok(delivery);
        }
        let pause = Pause::after(turn.probes.as_ref(), reason, self.clock.now());
        let phone = &parcel.client.phone_number_id;
        if self.store.change_pause(phone, turn.probes.as_ref(), Some(&pause)).await? {
            report_pause(phone, reason);
        }
        Ok(Delivery::Held(Held { until: pause.until, reason: HeldReason::Paused(pause), error: Some(error) }))
    }

    /// A token is dead only if Meta says so when asked about it and refuses it once more, not because one call was
    /// refused.
    async fn token_refused(&self, parcel: &Parcel<'_>, error: MetaError) -> Result<Delivery, StoreError> {
        let client = parcel.client;
        self.tokens.forget(&client.grant_id);
        let delivery = self.not_sent(parcel, SOON, Some(error.clone())).await?;
        if !matches!(delivery, Delivery::NotSent { .. }) {
            return Ok(delivery);
        }
        match self.examine(client, parcel.token).await? {
            TokenState::Dead => self.no_token(client, Some(error)).await,
            TokenState::Valid => Ok(Delivery::NotSent { pause: TOKEN_IN_DOUBT, error: Some(error) }),
            TokenState::Replaced => Ok(delivery), // The next try takes the new one.
        }
    }

    /// What became of a token that Meta did not take; a dead one is marked.
    async fn examine(&self, client: &Client, token: &Opened) -> Result<TokenState, StoreError> {
        let Some(grant) = self.store.grant(&client.grant_id).await? else { return Ok(TokenState::Dead) };
        if grant.token_version != token.version {
            return Ok(TokenState::Replaced);
        }
        if grant.dead_since.is_none() {
            if !self.is_dead(&token.token).await {
                return Ok(TokenState::Valid);
            }
            // Meta may give another. Asked for before the mark: who finds the mark never comes here again.
            self.store.hasten_care(&grant.id, grant.token_version, self.clock.now()).await?;
        }
        if !self.store.mark_dead(&grant.id, grant.token_version, self.clock.now()).await? {
            return Ok(TokenState::Replaced);
        }
        tracing::error!(metric = metric::TOKEN_DEAD, grantId = %grant.id, clientId = %client.phone_number_id, "Meta does not take the client's token any more");
        Ok(TokenState::Dead)
    }

    async fn is_dead(&self, token: &AccessToken) -> bool {
        match self.graph.token_facts(token).await {
            Ok(facts) => !facts.is_valid && self.is_refused_again(token).await,
            Err(error) => {
                tracing::warn!(error = %Chain(&error), "nothing learned about a token that was refused");
                false
            }
        }
    }

    /// The second call that needs the token: the message was the first.
    async fn is_refused_again(&self, token: &AccessToken) -> bool {
        let tried = self.graph.client_business(token).await;
        tried.is_err_and(|error| error.refusal().is_some_and(|meta| meta.remedy() == Remedy::Token))
    }

    async fn no_token(&self, client: &Client, error: Option<MetaError>) -> Result<Delivery, StoreError> {
        self.needs_reconnect(client).await?;
        Ok(Delivery::NoToken(error))
    }

    async fn needs_reconnect(&self, client: &Client) -> Result<(), StoreError> {
        if client.reconnect_since.is_none() {
            self.store.set_reconnect(&client.phone_number_id, Some(self.clock.now())).await?;
        }
        Ok(())
    }

    async fn not_sent(
        &self,
        parcel: &Parcel<'_>,
        pause: Duration,
        error: Option<MetaError>,
    ) -> Result<Delivery, StoreError> {
        Ok(match self.finish(parcel.id, parcel.attempt, &SendOutcome::NotSent).await? {
            Delivery::NotSent { .. } => Delivery::NotSent { pause, error },
            proven => proven,
        })
    }

    /// Records the outcome of an attempt; a status may have come first and proven more.
    async fn finish(
        &self,
        id: &MessageId,
        attempt: Timestamp,
        outcome: &SendOutcome,
    ) -> Result<Delivery, StoreError> {
        Ok(delivery_of(self.store.finish_send(id, attempt, outcome).await?))
    }
}

fn name(client: &Client, message: &MessageId) {
    unit::client(&client.phone_number_id);
    unit::bot(&client.bot_id);
    unit::message(message);
}

fn delivery_of(message: Message) -> Delivery {
    match message.sending {
        Some(Sending::Accepted) => Delivery::Accepted(message.wamid),
        Some(Sending::Refused(error)) => Delivery::Refused(error),
        Some(Sending::NotSent) => Delivery::NotSent { pause: SOON, error: None },
        Some(Sending::Intended { until }) => Delivery::InProgress(until),
        Some(Sending::Uncertain) | None => Delivery::Uncertain,
    }
}

/// Counts a pause, for its alarm.
pub(super) fn report_pause(phone: &PhoneNumberId, reason: PauseReason) {
    match reason {
        PauseReason::Payment => {
            tracing::error!(metric = metric::PAYMENT_STOPPED, clientId = %phone, "Meta takes no messages of the client: nobody pays");
        }
        PauseReason::Locked => {
            tracing::error!(metric = metric::ACCOUNT_LOCKED, clientId = %phone, "Meta takes no messages of the client: its account is locked");
        }
    }
}

/// Rates and marks are a help, not a guard: where they cannot be read or written, sending goes on, and Meta
/// is the judge of it.
fn known<T>(result: Result<T, StoreError>) -> Option<T> {
    result
        .inspect_err(|error| tracing::warn!(error = %Chain(error), "what would help sending is not known"))
        .ok()
}

/// From `now` until then; nothing if that has passed.
pub(super) fn span(now: Timestamp, until: Timestamp) -> Duration {
    Duration::try_from(until.duration_since(now)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
