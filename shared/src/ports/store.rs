//! Records. Every read is a key or an index query; every write that another copy could race is
//! conditional, and a lost race is a value.

use crate::domain::Timestamp;
use crate::domain::account::Noted;
use crate::domain::answer::Answer;
use crate::domain::bot::{Bot, BotSettings};
use crate::domain::client::{Client, Pause};
use crate::domain::drift::{Check, Round};
use crate::domain::grant::Grant;
use crate::domain::ids::{
    AllocationId, BotId, BusinessId, ConversationId, GrantId, MessageId, OffboardingId, OnboardingId,
    PhoneNumberId, WabaId, Wamid,
};
use crate::domain::message::Message;
use crate::domain::meta_error::MetaError;
use crate::domain::money::{Month, Usd};
use crate::domain::offboarding::Offboarding;
use crate::domain::onboarding::{Claims, Onboarding};
use crate::domain::parcel::PartHeader;
use crate::domain::rate::{Brake, PairTurn, RateKey};
use crate::domain::raw::Raw;
use crate::domain::status::StatusEvent;
use crate::error::StoreError;

type Stored<T> = Result<T, StoreError>;

/// One page of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// In the list's order.
    pub items: Vec<T>,
    /// Where the next page begins; `None` = this was the last. It holds nothing secret.
    pub next: Option<String>,
}

// ---- bots ------------------------------------------------------------------------------------

/// Settings of bots. IAM: `dynamodb:GetItem` on bots.
pub trait ReadBots: Send + Sync {
    /// The bot with its settings; the defaults where nobody set any.
    fn bot(&self, id: &BotId) -> impl Future<Output = Stored<Bot>> + Send;
}

/// What became of writing settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SavedBot {
    /// They are there, and have this version.
    Saved(u64),
    /// Others are there, of this version; nothing changed.
    Changed(u64),
}

/// IAM: `dynamodb:UpdateItem` on bots.
pub trait WriteBots: Send + Sync {
    /// Replaces the settings and counts their version up: whatever is there, or only the version `expected`
    /// (0 = none was set yet). With `expected` it may be repeated: the same settings again are no change.
    fn save_bot(
        &self,
        id: &BotId,
        settings: &BotSettings,
        expected: Option<u64>,
    ) -> impl Future<Output = Stored<SavedBot>> + Send;
}

/// What the models of a bot cost. IAM: `dynamodb:GetItem` on bots.
pub trait ReadSpending: Send + Sync {
    /// The sum of a month; zero where nothing was spent. Consistent.
    fn spent(&self, bot: &BotId, month: &Month) -> impl Future<Output = Stored<Usd>> + Send;
}

/// IAM: `dynamodb:UpdateItem` on bots.
pub trait AddSpending: Send + Sync {
    /// Adds to the sum of a month and answers the new sum. Copies that add at the same time each get a sum of
    /// their own. Repeated, it adds again.
    fn add_spending(&self, bot: &BotId, month: &Month, cost: Usd)
    -> impl Future<Output = Stored<Usd>> + Send;
}

// ---- clients ---------------------------------------------------------------------------------

/// One client. IAM: `dynamodb:GetItem` on clients.
pub trait ReadClients: Send + Sync {
    /// `None` if the number was never onboarded here. Consistent.
    fn client(&self, id: &PhoneNumberId) -> impl Future<Output = Stored<Option<Client>>> + Send;
}

/// Lists of clients. IAM: `dynamodb:Query` on indexes of clients, `dynamodb:BatchGetItem` on clients.
pub trait ListClients: Send + Sync {
    /// A bot's clients by phone number id, `after` excluded. Of a moment ago.
    fn clients_of(
        &self,
        bot: &BotId,
        after: Option<&str>,
        limit: usize,
    ) -> impl Future<Output = Stored<Page<Client>>> + Send;

    /// All clients by phone number id, for admins.
    fn all_clients(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> impl Future<Output = Stored<Page<Client>>> + Send;
}

/// What became of a claim on a number.
#[derive(Debug, Clone, PartialEq)]
pub enum ClientClaim {
    /// The record is ours; this is how it stands (an existing record keeps its PIN, status and dates).
    Ours(Box<Client>),
    /// The number is active or suspended under another bot.
    InUse,
}

/// Writing of clients by an onboarding. IAM: `dynamodb:UpdateItem`, `dynamodb:GetItem` on clients.
pub trait WriteClients: Send + Sync {
    /// Makes the number this onboarding's: creates it, or takes over one of the same bot, or one that is
    /// neither active nor suspended elsewhere. An existing record keeps `sealed_pin`, `created_at`, `account`
    /// and, under the same bot, `stage` and `onboarded_at`; the ids, the name and `signed_up_at` are the new
    /// ones. One that had left is being onboarded again, until this onboarding says otherwise.
    fn claim_client(&self, wanted: &Client) -> impl Future<Output = Stored<ClientClaim>> + Send;

    /// Writes the record if it is still this onboarding's and bot's; `false` if it is not (nothing
    /// changed). Leaves `last_message_at`, `last_webhook_at`, `pause`, `check` and `account` as they are.
    fn save_client(&self, client: &Client) -> impl Future<Output = Stored<bool>> + Send;
}

/// IAM: `dynamodb:UpdateItem` on clients.
pub trait TouchClients: Send + Sync {
    /// Moves `last_message_at` forward to `at` and sets `last_webhook_at` to `heard_at`, in one write; for a webhook
    /// without a message (`None`) moves `last_webhook_at` forward. An unknown client or an older time changes nothing.
    fn touch_client(
        &self,
        id: &PhoneNumberId,
        at: Option<Timestamp>,
        heard_at: Timestamp,
    ) -> impl Future<Output = Stored<()>> + Send;
}

/// What Meta's answers and events teach about a client, whoever its onboarding is. An unknown client stays
/// unknown. IAM: `dynamodb:UpdateItem` on clients.
pub trait MarkClients: Send + Sync {
    /// Changes the pause, or ends it, if it still is `known`; `false` if another copy was faster (nothing
    /// changed). Pauses are told apart by reason and end.
    fn change_pause(
        &self,
        id: &PhoneNumberId,
        known: Option<&Pause>,
        pause: Option<&Pause>,
    ) -> impl Future<Output = Stored<bool>> + Send;

    /// Notes since when the client needs a new signup, or that it needs none any more.
    fn set_reconnect(
        &self,
        id: &PhoneNumberId,
        since: Option<Timestamp>,
    ) -> impl Future<Output = Stored<()>> + Send;
}

/// What Meta's events tell of clients. IAM: `dynamodb:Query` on the index `byWaba` of clients,
/// `dynamodb:BatchGetItem` and `UpdateItem` on clients.
pub trait NoteAccounts: Send + Sync {
    /// The clients of an account. Which they are is of a moment ago, how they stand is consistent.
    fn clients_on(&self, waba: &WabaId) -> impl Future<Output = Stored<Vec<Client>>> + Send;

    /// Takes an event over into `account`, unless a newer one of its aspect is known. Answers the client as it
    /// then stands; `None` if there is none. May be repeated.
    fn note_account(
        &self,
        id: &PhoneNumberId,
        noted: &Noted,
        now: Timestamp,
    ) -> impl Future<Output = Stored<Option<Client>>> + Send;
}

/// What off-boarding needs of clients. IAM: `dynamodb:Query` on the index `byBusiness` of clients,
/// `dynamodb:BatchGetItem` and `UpdateItem` on clients.
pub trait LeaveClients: Send + Sync {
    /// The clients of a business, under all bots and accounts. Which they are is of a moment ago, how they
    /// stand is consistent.
    fn clients_of_business(&self, business: &BusinessId) -> impl Future<Output = Stored<Vec<Client>>> + Send;

    /// Deletes the sealed PIN of a client that is still this onboarding's; nothing otherwise.
    fn forget_pin(
        &self,
        id: &PhoneNumberId,
        onboarding: &OnboardingId,
        now: Timestamp,
    ) -> impl Future<Output = Stored<()>> + Send;
}

/// IAM: `dynamodb:UpdateItem` on clients.
pub trait NoteChecks: Send + Sync {
    /// Keeps the newest look at a client; an unknown client or an older look changes nothing.
    fn note_check(&self, id: &PhoneNumberId, check: &Check) -> impl Future<Output = Stored<()>> + Send;
}

/// The walk through all clients, one for the deployment. IAM: `dynamodb:GetItem`, `UpdateItem` on clients, where it
/// is an item that no index holds.
pub trait CheckRounds: Send + Sync {
    /// How it stands; one that is long due if there was none. Consistent.
    fn check_round(&self) -> impl Future<Output = Stored<Round>> + Send;

    /// Writes it if its stored version is one less; `false` if another copy was faster (nothing changed).
    fn save_check_round(&self, round: &Round) -> impl Future<Output = Stored<bool>> + Send;
}

// ---- grants ----------------------------------------------------------------------------------

/// IAM: `dynamodb:GetItem` on grants.
pub trait ReadGrants: Send + Sync {
    /// Consistent.
    fn grant(&self, id: &GrantId) -> impl Future<Output = Stored<Option<Grant>>> + Send;
}

/// IAM: `dynamodb:PutItem` on grants.
pub trait WriteGrants: Send + Sync {
    /// Writes the grant if its stored version is `expected` (`None` = there is none yet); `false` if
    /// another writer was faster (nothing changed).
    fn save_grant(&self, grant: &Grant, expected: Option<u64>) -> impl Future<Output = Stored<bool>> + Send;
}

/// IAM: `dynamodb:UpdateItem` on grants.
pub trait MarkGrants: Send + Sync {
    /// Notes that Meta does not take the token of this version any more; `false` if the grant has another
    /// token by now, or is unknown (nothing changed). The first time stays.
    fn mark_dead(
        &self,
        id: &GrantId,
        version: u64,
        at: Timestamp,
    ) -> impl Future<Output = Stored<bool>> + Send;

    /// Makes looking after the token of this version due at `at`, if it is due later: also under a claim, whose
    /// holder then begins anew. `false` if it is due by then, nobody looks after it, or the grant has another token
    /// by now or is unknown (nothing changed).
    fn hasten_care(
        &self,
        id: &GrantId,
        version: u64,
        at: Timestamp,
    ) -> impl Future<Output = Stored<bool>> + Send;

    /// Notes which allocation pays, and its billing currency, at `at`: revoking the credit needs its id. `false` if the
    /// grant is unknown (nothing changed). Leaves the token and its care alone.
    fn note_allocation(
        &self,
        id: &GrantId,
        allocation: &AllocationId,
        currency: &str,
        at: Timestamp,
    ) -> impl Future<Output = Stored<bool>> + Send;
}

/// Looking after the tokens of grants, one grant by one copy at a time. IAM: `dynamodb:Query` on the index `byCare`
/// of grants, `UpdateItem` on grants.
pub trait CareGrants: Send + Sync {
    /// Grants whose token somebody must look after at `now`, the longest due first. Of a moment ago.
    fn due_care(&self, now: Timestamp, limit: usize) -> impl Future<Output = Stored<Vec<GrantId>>> + Send;

    /// Claims a grant that is due at `now` by making it due at `until`; the grant as it then stands. `None` if it is
    /// not due: another copy has it, or it is unknown. After a failure it may be claimed once `until` has come.
    fn claim_care(
        &self,
        id: &GrantId,
        now: Timestamp,
        until: Timestamp,
    ) -> impl Future<Output = Stored<Option<Grant>>> + Send;

    /// Writes what was found, and the token with its version, in one move, if the stored version is still `version`
    /// and the claim the one until `claim`; `false` if one of them is another's (nothing changed). Leaves
    /// credit alone, and `dead_since` too unless the version is a new one. Repeated it is `false`, and changes
    /// nothing.
    fn save_care(
        &self,
        grant: &Grant,
        version: u64,
        claim: Timestamp,
    ) -> impl Future<Output = Stored<bool>> + Send;
}

// ---- rates -----------------------------------------------------------------------------------

/// How fast may be sent, shared by all running copies. IAM: `dynamodb:GetItem`, `BatchGetItem`,
/// `UpdateItem` on rates.
///
/// No key is hot: a number's messages are counted under a key of their own for each second, by blocks, so
/// that a thousand messages a second cost some dozens of writes; a customer's under the customer's. The
/// brakes are written when Meta refuses, and read by each copy once in some seconds. The ceiling is what
/// DynamoDB gives one key: 1000 writes a second (copies that begin to send from one number in the same
/// second) and 3000 consistent reads a second (copies times numbers, divided by those seconds).
pub trait Rates: Send + Sync {
    /// What keeps these back, in their order. Consistent.
    fn brakes(&self, on: &[RateKey]) -> impl Future<Output = Stored<Vec<Brake>>> + Send;

    /// Lets nothing out before `until`; a later time that is there already stays.
    fn hold(&self, on: &RateKey, until: Timestamp) -> impl Future<Output = Stored<()>> + Send;

    /// Halves the number's rate for a while: [`crate::domain::rate::Slowed::again`]. Answers how it stands.
    fn slow_number(&self, id: &PhoneNumberId, now: Timestamp) -> impl Future<Output = Stored<Brake>> + Send;

    /// Takes up to `wanted` of the `limit` messages that the number may send in the second of `now`; how
    /// many it got. Never more than `limit` together, whoever asks.
    fn reserve(
        &self,
        id: &PhoneNumberId,
        now: Timestamp,
        wanted: u32,
        limit: u32,
    ) -> impl Future<Output = Stored<u32>> + Send;

    /// Counts a message to this customer, unless it is too early for one.
    fn take_turn(
        &self,
        pair: &ConversationId,
        now: Timestamp,
    ) -> impl Future<Output = Stored<PairTurn>> + Send;

    /// After Meta's refusal of a message to this customer: until when to wait now. Refusals of sends that
    /// were on their way together count once.
    fn back_off(
        &self,
        pair: &ConversationId,
        now: Timestamp,
    ) -> impl Future<Output = Stored<Timestamp>> + Send;

    /// Meta took a message to this customer: its refusals are over.
    fn forgive(&self, pair: &ConversationId) -> impl Future<Output = Stored<()>> + Send;
}

// ---- onboardings -----------------------------------------------------------------------------

/// What became of starting an onboarding.
#[derive(Debug, Clone, PartialEq)]
pub enum Started {
    /// It is new.
    New,
    /// The same code started one before.
    Known(Box<Onboarding>),
}

/// Onboardings. IAM: `dynamodb:GetItem`, `PutItem`, `UpdateItem` on onboardings.
pub trait Onboardings: Send + Sync {
    /// Creates it, unless the id is taken.
    fn start_onboarding(&self, new: &Onboarding) -> impl Future<Output = Stored<Started>> + Send;

    /// Consistent. `None` if unknown, or expired so long ago that the record is gone.
    fn onboarding(&self, id: &OnboardingId) -> impl Future<Output = Stored<Option<Onboarding>>> + Send;

    /// Takes the lease until `until` if nobody holds one at `now`; `None` if somebody does or the
    /// onboarding is unknown. The same owner may take it again.
    fn lease_onboarding(
        &self,
        id: &OnboardingId,
        owner: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> impl Future<Output = Stored<Option<Onboarding>>> + Send;

    /// Writes everything but `claims` if `owner` still holds the lease (even if it ran out); `false` if
    /// another owner took it (nothing changed). Does not release the lease.
    fn save_onboarding(
        &self,
        onboarding: &Onboarding,
        owner: &str,
    ) -> impl Future<Output = Stored<bool>> + Send;

    /// Gives the lease back, if `owner` still has it.
    fn release_onboarding(&self, id: &OnboardingId, owner: &str) -> impl Future<Output = Stored<()>> + Send;

    /// Writes `claims`, and nothing else, whoever holds the lease; an unknown onboarding stays unknown.
    fn save_claims(&self, id: &OnboardingId, claims: &Claims) -> impl Future<Output = Stored<()>> + Send;
}

/// What the resuming schedule and the credit steps need besides. IAM: `dynamodb:Query` on the index
/// `openByNextTry`, `PutItem` and `UpdateItem` on onboardings.
pub trait OpenOnboardings: Send + Sync {
    /// Open ones whose next try is due, the longest due first. Of a moment ago.
    fn due_onboardings(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> impl Future<Output = Stored<Vec<OnboardingId>>> + Send;

    /// Takes the lease of a client business for credit steps; `false` if another owner has it at `now`.
    fn lease_business(
        &self,
        business: &BusinessId,
        owner: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> impl Future<Output = Stored<bool>> + Send;

    /// Gives it back, if `owner` still has it.
    fn release_business(&self, business: &BusinessId, owner: &str)
    -> impl Future<Output = Stored<()>> + Send;
}

// ---- off-boardings ---------------------------------------------------------------------------

/// IAM: `dynamodb:PutItem` on onboardings, where off-boardings are too.
pub trait StartOffboardings: Send + Sync {
    /// Creates it, unless the id is taken: then nothing changes.
    fn start_offboarding(&self, new: &Offboarding) -> impl Future<Output = Stored<()>> + Send;
}

/// Off-boardings at work. IAM: `dynamodb:Query` on the index `openByNextTry`, `GetItem` and `UpdateItem` on
/// onboardings.
pub trait Offboardings: Send + Sync {
    /// Those whose next try is due, the longest due first. Of a moment ago.
    fn due_offboardings(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> impl Future<Output = Stored<Vec<OffboardingId>>> + Send;

    /// Consistent.
    fn offboarding(&self, id: &OffboardingId) -> impl Future<Output = Stored<Option<Offboarding>>> + Send;

    /// Writes it if its stored `attempts` are one less; `false` if another run was faster (nothing changed).
    fn save_offboarding(&self, it: &Offboarding) -> impl Future<Output = Stored<bool>> + Send;
}

// ---- messages --------------------------------------------------------------------------------

/// What became of recording a message.
#[derive(Debug, Clone, PartialEq)]
pub enum Recorded {
    /// It is new.
    New,
    /// It was there before; this is how it stands.
    Known(Box<Message>),
}

/// What became of a status.
#[derive(Debug, Clone, PartialEq)]
pub struct AppliedStatus {
    /// The message as it then stands; `None` if the status waits for it.
    pub message: Option<Message>,
    /// Whether the status is kept as it came. If not, there is no room beside the message, and it must
    /// be kept elsewhere.
    pub body_kept: bool,
}

/// Recording of what webhooks bring. IAM: `dynamodb:PutItem`, `UpdateItem`, `GetItem` on messages.
pub trait RecordMessages: Send + Sync {
    /// Writes a message that a webhook brought, unless its id is taken by one that does not give way to it
    /// ([`Message::gives_way_to`]).
    fn record_message(&self, message: &Message) -> impl Future<Output = Stored<Recorded>> + Send;

    /// Merges a status into the message that it is about. With an intent of ours for this number the
    /// message also gets its wamid, and an intended, unsent or uncertain send becomes accepted: a status
    /// proves that Meta took it. Statuses that waited under the wamid are then merged into it, in case the
    /// call's own end never comes. Where no message is known by the wamid, the status waits for it under the
    /// wamid until then: one of other software never comes. `expires_at` is for a waiting record.
    ///
    /// Of each state the earliest fact stays; what Meta said stays in full, up to
    /// [`crate::domain::status::MOST_BODIES`] bytes a message. What is no news is not written.
    fn apply_status(
        &self,
        phone: &PhoneNumberId,
        status: &StatusEvent,
        expires_at: Option<Timestamp>,
    ) -> impl Future<Output = Stored<AppliedStatus>> + Send;
}

/// Reading of messages. IAM: `dynamodb:GetItem`, `BatchGetItem` on messages, `Query` on its indexes.
pub trait ReadMessages: Send + Sync {
    /// By key. Consistent.
    fn message(&self, id: &MessageId) -> impl Future<Output = Stored<Option<Message>>> + Send;

    /// The newest messages of a conversation, newest first. Of a moment ago: the very latest may be
    /// missing.
    fn recent_messages(
        &self,
        conversation: &ConversationId,
        limit: usize,
    ) -> impl Future<Output = Stored<Vec<Message>>> + Send;
}

/// Which messages a page is of.
#[derive(Debug, Clone, PartialEq)]
pub enum Listing {
    /// All of a bot's number: [`crate::domain::message::number_key`].
    Number(String),
    /// One conversation.
    Conversation(ConversationId),
}

/// Pages of messages. IAM: `dynamodb:Query` on indexes of messages, `BatchGetItem` on messages.
pub trait ListMessages: Send + Sync {
    /// Newest first, `from` and `to` included, before the position `before` (a `next` of an earlier page).
    fn list_messages(
        &self,
        listing: &Listing,
        from: Option<Timestamp>,
        to: Option<Timestamp>,
        before: Option<&str>,
        limit: usize,
    ) -> impl Future<Output = Stored<Page<Message>>> + Send;
}

/// The automatic answers that are due. IAM: `dynamodb:UpdateItem` on messages, `Query` on `due`.
pub trait Answers: Send + Sync {
    /// Ends a pending answer, or resolves an uncertain one by [`Answer::Answered`]; `false` if it had
    /// ended otherwise (nothing changed). The same end again is `true`: a call whose answer was lost may
    /// be repeated.
    fn settle_answer(&self, id: &MessageId, answer: &Answer) -> impl Future<Output = Stored<bool>> + Send;

    /// Moves a pending answer's due time, and counts a try; nothing if it is not pending.
    fn postpone_answer(&self, id: &MessageId, due_at: Timestamp) -> impl Future<Output = Stored<()>> + Send;

    /// Messages whose pending answer was due before `now`, the longest due first. Of a moment ago.
    fn due_answers(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> impl Future<Output = Stored<Vec<MessageId>>> + Send;
}

/// How a send ended.
#[derive(Debug, Clone, PartialEq)]
pub enum SendOutcome {
    /// Meta took it.
    Accepted(Wamid),
    /// Meta never took it; another try may succeed.
    NotSent,
    /// Meta refused it for good.
    Refused(MetaError),
    /// Unknown.
    Uncertain,
}

/// The record of outgoing messages. IAM: `dynamodb:PutItem`, `UpdateItem`, `GetItem` on messages.
pub trait RecordSends: Send + Sync {
    /// Writes the intent before the call, unless its id is taken.
    fn begin_send(&self, intent: &Message) -> impl Future<Output = Stored<Recorded>> + Send;

    /// Claims a send that is [`crate::domain::message::Sending::NotSent`] for another try; `false` if it is anything else.
    fn retake_send(&self, id: &MessageId, until: Timestamp) -> impl Future<Output = Stored<bool>> + Send;

    /// Records how the call ended, and answers the message as it then stands, with its `sending`: a status
    /// may have come first and proven more than `outcome` says: accepted stays accepted. An accepted message
    /// becomes findable by its wamid, and statuses that waited there are merged into it. `attempt` is when the
    /// claim under which the call was made ends: what is said of an attempt changes nothing once somebody
    /// tries again, however often it is repeated. Acceptance is proof whatever came after.
    fn finish_send(
        &self,
        id: &MessageId,
        attempt: Timestamp,
        outcome: &SendOutcome,
    ) -> impl Future<Output = Stored<Message>> + Send;
}

/// Sends whose outcome nobody told. IAM: `dynamodb:UpdateItem` on messages, `Query` on `due`.
pub trait UnresolvedSends: Send + Sync {
    /// Sends whose claim ended before `before` and that are still intended or uncertain, the oldest claim
    /// first. Of a moment ago.
    fn unresolved_sends(
        &self,
        before: Timestamp,
        limit: usize,
    ) -> impl Future<Output = Stored<Vec<MessageId>>> + Send;

    /// Waits no longer for such a send: it is uncertain, and listed no more. `false` if it is known by now
    /// how it ended, or it was claimed anew (nothing changed). Again is `true`: a call whose answer was lost
    /// may be repeated. A status may still resolve it.
    fn give_up_send(&self, id: &MessageId, before: Timestamp) -> impl Future<Output = Stored<bool>> + Send;
}

// ---- everything else that webhooks bring -----------------------------------------------------

/// Something that a webhook told that is neither a message nor a status.
#[derive(Debug, Clone, PartialEq)]
pub struct AccountEvent {
    /// The WABA where one is named, else the entry's id, else `-`.
    pub owner: String,
    /// Field and, for `account_update`, event: `account_update:PARTNER_ADDED`.
    pub kind: String,
    /// Meta's time, or ours where Meta gave none.
    pub at: Timestamp,
    /// SHA-256 of the raw bytes: the second arrival is the same record.
    pub hash: String,
    /// Whether it is time-stamped by Meta. If not, `at` is not part of the key.
    pub dated: bool,
    /// For `PARTNER_ADDED`: the client's portfolio.
    pub business_id: Option<BusinessId>,
    /// The change as it came.
    pub raw: Raw,
}

/// Keeping of events. IAM: `dynamodb:PutItem` on events.
pub trait RecordEvents: Send + Sync {
    /// Writes it; a repetition changes nothing. Answers the time of its first arrival's record: an event
    /// that Meta does not date has that one, however often it comes.
    fn record_event(&self, event: &AccountEvent) -> impl Future<Output = Stored<Timestamp>> + Send;
}

/// IAM: `dynamodb:Query` on events.
pub trait ReadEvents: Send + Sync {
    /// The portfolio of the newest `PARTNER_ADDED` for this account since `since`.
    fn partner_added(
        &self,
        waba: &WabaId,
        since: Timestamp,
    ) -> impl Future<Output = Stored<Option<BusinessId>>> + Send;
}

/// Signed bytes that nobody understood.
#[derive(Debug, Clone, PartialEq)]
pub struct Quarantined {
    /// SHA-256 of the bytes: the second arrival is the same record.
    pub id: String,
    /// Why, in a stable word.
    pub reason: String,
    /// When it was received.
    pub received_at: Timestamp,
    /// The bytes.
    pub raw: Raw,
}

/// IAM: `dynamodb:PutItem` on quarantine.
pub trait Quarantine: Send + Sync {
    /// Writes it; a repetition changes nothing, but takes the mark off an item that somebody takes out
    /// ([`super::EmptyQuarantine`]): it must stay.
    fn quarantine(&self, item: &Quarantined) -> impl Future<Output = Stored<()>> + Send;
}

/// Large things in numbered parts. IAM: `dynamodb:PutItem`, `Query` on blobs.
pub trait Blobs: Send + Sync {
    /// Stores one part (at most 390 kB); a repetition changes nothing.
    fn put_part(
        &self,
        header: &PartHeader,
        bytes: &[u8],
        expires_at: Option<Timestamp>,
    ) -> impl Future<Output = Stored<()>> + Send;

    /// All parts of a thing in order, or `None` while some are missing. Consistent. Cut into another
    /// number of parts it is another thing.
    fn parts(&self, name: &str, count: u32) -> impl Future<Output = Stored<Option<Vec<Vec<u8>>>>> + Send;
}

// ---- idempotency -----------------------------------------------------------------------------

/// What is known of an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// First use: run the request.
    New,
    /// A request with it died without an answer: continue it.
    Abandoned,
    /// A request with it runs.
    Running,
    /// It ended with this answer.
    Done(SavedResponse),
    /// It was used with another body.
    OtherBody,
}

/// The first answer to a request.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SavedResponse {
    /// HTTP status.
    pub status: u16,
    /// JSON.
    pub body: String,
}

/// Idempotency keys. IAM: `dynamodb:GetItem`, `PutItem`, `UpdateItem` on idempotency.
pub trait IdempotencyKeys: Send + Sync {
    /// Begins a request under `key`; the claim ends at `running_until`, the record at `expires_at`.
    fn begin_request(
        &self,
        key: &str,
        body_hash: &str,
        now: Timestamp,
        running_until: Timestamp,
        expires_at: Timestamp,
    ) -> impl Future<Output = Stored<Begun>> + Send;

    /// Keeps its answer. If there is one already, that stays: somebody may have seen it.
    fn finish_request(&self, key: &str, response: &SavedResponse) -> impl Future<Output = Stored<()>> + Send;

    /// Forgets the key: the request did nothing, and may be made again. One with an answer stays.
    fn forget_request(&self, key: &str) -> impl Future<Output = Stored<()>> + Send;
}
