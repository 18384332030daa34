//! The tables of one function, as one store: a function names those that it may touch, and the rest is
//! not there.

use super::{
    Blobs, Bots, Client, Clients, Conversations, Deliveries, Events, Grants, Idempotency, Media, Messages,
    Onboardings, Quarantine, Rates, Stored, Subscriptions, Templates,
};
use crate::domain::Timestamp;
use crate::domain::account::Noted;
use crate::domain::answer::Answer;
use crate::domain::bot::{Bot, BotSettings};
use crate::domain::client::{Client as BusinessClient, Pause};
use crate::domain::conversation::{
    Conversation, ConversationTouch, CustomerKey, CustomerNames, RecipientMark,
};
use crate::domain::delivery::{Delivery, DeliveryKey};
use crate::domain::drift::{Check, Round};
use crate::domain::grant::Grant;
use crate::domain::ids::{
    AllocationId, BotId, BusinessId, ConversationId, GrantId, MessageId, OffboardingId, OnboardingId,
    PhoneNumberId, SubscriptionKey, TemplateId, TemplateName, WabaId,
};
use crate::domain::media::{Fetch, MediaFile, MediaKey};
use crate::domain::message::Message;
use crate::domain::money::{Month, Usd};
use crate::domain::offboarding::Offboarding;
use crate::domain::onboarding::{Claims, Onboarding};
use crate::domain::parcel::PartHeader;
use crate::domain::rate::{Brake, PairTurn, RateKey};
use crate::domain::status::StatusEvent;
use crate::domain::subscription::Subscription;
use crate::domain::template::{SyncState, Template};
use crate::error::{Chain, StoreError};
use crate::ports::Onboardings as _;
use crate::ports::ReadClients as _;
use crate::ports::{
    self, AccountEvent, Begun, ClientClaim, ConversationClaim, DeadDelivery, Listing, MediaClaim, Page,
    Quarantined, Recorded, SavedBot, SavedResponse, SendOutcome, Shelf, Started,
};

/// The tables that a function was given.
pub struct Tables {
    client: Client,
    bots: Option<Bots>,
    clients: Option<Clients>,
    grants: Option<Grants>,
    onboardings: Option<Onboardings>,
    messages: Option<Messages>,
    conversations: Option<Conversations>,
    events: Option<Events>,
    quarantine: Option<Quarantine>,
    blobs: Option<Blobs>,
    idempotency: Option<Idempotency>,
    rates: Option<Rates>,
    templates: Option<Templates>,
    media: Option<Media>,
    subscriptions: Option<Subscriptions>,
    deliveries: Option<Deliveries>,
}

impl Tables {
    /// No table yet.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self {
            client,
            bots: None,
            clients: None,
            grants: None,
            onboardings: None,
            messages: None,
            conversations: None,
            events: None,
            quarantine: None,
            blobs: None,
            idempotency: None,
            rates: None,
            templates: None,
            media: None,
            subscriptions: None,
            deliveries: None,
        }
    }

    /// Opens the connection by reading a record that is not there, so that the first event finds it open:
    /// init runs at full speed, the first event may not. What the table answers does not matter.
    pub async fn warm_up(&self) {
        let read = match (&self.clients, &self.onboardings) {
            (Some(clients), _) => clients.client(&"0".parse().expect("digits")).await.map(drop),
            (None, Some(table)) => table.onboarding(&"ob_0".parse().expect("of its form")).await.map(drop),
            (None, None) => Ok(()),
        };
        if let Err(error) = read {
            tracing::debug!(error = %Chain(&error), "connection opened");
        }
    }
}

macro_rules! tables {
    ($($field:ident: $table:ident = $name:literal,)*) => {
        impl Tables {$(
            #[doc = concat!("With the table of ", $name, ".")]
            #[must_use]
            pub fn $field(mut self, table: String) -> Self {
                self.$field = Some($table::new(&self.client, table));
                self
            }
        )*}
    };
}

/// Each port goes to its table. A table that the function was not given fails by name.
macro_rules! delegate {
    ($($port:path, $field:ident {
        $($method:ident(self $(, $argument:ident: $type:ty)*) -> $result:ty;)*
    })*) => {$(
        impl $port for Tables {$(
            async fn $method(&self $(, $argument: $type)*) -> Stored<$result> {
                match &self.$field {
                    Some(table) => table.$method($($argument),*).await,
                    None => Err(not_given(stringify!($field))),
                }
            }
        )*}
    )*};
}

fn not_given(table: &'static str) -> StoreError {
    StoreError::service("a table's use", format!("this function was not given the table {table}"))
}

tables! {
        bots: Bots = "bots",
        clients: Clients = "clients",
        grants: Grants = "grants",
        onboardings: Onboardings = "onboardings",
        messages: Messages = "messages",
        conversations: Conversations = "conversations",
        events: Events = "events",
        quarantine: Quarantine = "quarantine",
        blobs: Blobs = "blobs",
        idempotency: Idempotency = "idempotency",
        rates: Rates = "rates",
        templates: Templates = "templates",
        media: Media = "media",
        subscriptions: Subscriptions = "subscriptions",
        deliveries: Deliveries = "deliveries",
}

delegate! {
    ports::ReadBots, bots {
        bot(self, id: &BotId) -> Bot;
    }
    ports::WriteBots, bots {
        save_bot(self, id: &BotId, settings: &BotSettings, expected: Option<u64>) -> SavedBot;
    }
    ports::ReadSpending, bots {
        spent(self, bot: &BotId, month: &Month) -> Usd;
    }
    ports::AddSpending, bots {
        add_spending(self, bot: &BotId, month: &Month, cost: Usd) -> Usd;
    }
    ports::ReadClients, clients {
        client(self, id: &PhoneNumberId) -> Option<BusinessClient>;
    }
    ports::ListClients, clients {
        clients_of(self, bot: &BotId, after: Option<&str>, limit: usize) -> Page<BusinessClient>;
        all_clients(self, after: Option<&str>, limit: usize) -> Page<BusinessClient>;
    }
    ports::WriteClients, clients {
        claim_client(self, wanted: &BusinessClient) -> ClientClaim;
        save_client(self, client: &BusinessClient) -> bool;
    }
    ports::TouchClients, clients {
        touch_client(self, id: &PhoneNumberId, at: Option<Timestamp>, heard_at: Timestamp) -> ();
    }
    ports::NoteChecks, clients {
        note_check(self, id: &PhoneNumberId, check: &Check) -> ();
    }
    ports::CheckRounds, clients {
        check_round(self) -> Round;
        save_check_round(self, round: &Round) -> bool;
    }
    ports::MarkClients, clients {
        change_pause(self, id: &PhoneNumberId, known: Option<&Pause>, pause: Option<&Pause>) -> bool;
        set_reconnect(self, id: &PhoneNumberId, since: Option<Timestamp>) -> ();
    }
    ports::NoteAccounts, clients {
        clients_on(self, waba: &WabaId) -> Vec<BusinessClient>;
        note_account(self, id: &PhoneNumberId, noted: &Noted, now: Timestamp) -> Option<BusinessClient>;
    }
    ports::LeaveClients, clients {
        clients_of_business(self, business: &BusinessId) -> Vec<BusinessClient>;
        forget_pin(self, id: &PhoneNumberId, onboarding: &OnboardingId, now: Timestamp) -> ();
    }
    ports::ReadGrants, grants {
        grant(self, id: &GrantId) -> Option<Grant>;
    }
    ports::WriteGrants, grants {
        save_grant(self, grant: &Grant, expected: Option<u64>) -> bool;
    }
    ports::MarkGrants, grants {
        mark_dead(self, id: &GrantId, version: u64, at: Timestamp) -> bool;
        hasten_care(self, id: &GrantId, version: u64, at: Timestamp) -> bool;
        note_allocation(self, id: &GrantId, allocation: &AllocationId, currency: &str, at: Timestamp) -> bool;
    }
    ports::CareGrants, grants {
        due_care(self, now: Timestamp, limit: usize) -> Vec<GrantId>;
        claim_care(self, id: &GrantId, now: Timestamp, until: Timestamp) -> Option<Grant>;
        save_care(self, grant: &Grant, version: u64, claim: Timestamp) -> bool;
    }
    ports::Rates, rates {
        brakes(self, on: &[RateKey]) -> Vec<Brake>;
        hold(self, on: &RateKey, until: Timestamp) -> ();
        slow_number(self, id: &PhoneNumberId, now: Timestamp) -> Brake;
        reserve(self, id: &PhoneNumberId, now: Timestamp, wanted: u32, limit: u32) -> u32;
        take_turn(self, pair: &ConversationId, now: Timestamp) -> PairTurn;
        back_off(self, pair: &ConversationId, now: Timestamp) -> Timestamp;
        forgive(self, pair: &ConversationId) -> ();
    }
    ports::Onboardings, onboardings {
        start_onboarding(self, new: &Onboarding) -> Started;
        onboarding(self, id: &OnboardingId) -> Option<Onboarding>;
        lease_onboarding(self, id: &OnboardingId, owner: &str, now: Timestamp, until: Timestamp) -> Option<Onboarding>;
        save_onboarding(self, onboarding: &Onboarding, owner: &str) -> bool;
        release_onboarding(self, id: &OnboardingId, owner: &str) -> ();
        save_claims(self, id: &OnboardingId, claims: &Claims) -> ();
    }
    ports::OpenOnboardings, onboardings {
        due_onboardings(self, now: Timestamp, limit: usize) -> Vec<OnboardingId>;
        lease_business(self, business: &BusinessId, owner: &str, now: Timestamp, until: Timestamp) -> bool;
        release_business(self, business: &BusinessId, owner: &str) -> ();
    }
    ports::StartOffboardings, onboardings {
        start_offboarding(self, new: &Offboarding) -> ();
    }
    ports::Offboardings, onboardings {
        due_offboardings(self, now: Timestamp, limit: usize) -> Vec<OffboardingId>;
        offboarding(self, id: &OffboardingId) -> Option<Offboarding>;
        save_offboarding(self, it: &Offboarding) -> bool;
    }
    ports::RecordMessages, messages {
        record_message(self, message: &Message) -> Recorded;
        apply_status(self, phone: &PhoneNumberId, status: &StatusEvent, expires_at: Option<Timestamp>) -> ports::AppliedStatus;
    }
    ports::ReadMessages, messages {
        message(self, id: &MessageId) -> Option<Message>;
        recent_messages(self, conversation: &ConversationId, limit: usize) -> Vec<Message>;
    }
    ports::ListMessages, messages {
        list_messages(self, listing: &Listing, from: Option<Timestamp>, to: Option<Timestamp>, before: Option<&str>, limit: usize) -> Page<Message>;
    }
    ports::Answers, messages {
        settle_answer(self, id: &MessageId, answer: &Answer) -> bool;
        postpone_answer(self, id: &MessageId, due_at: Timestamp) -> ();
        due_answers(self, now: Timestamp, limit: usize) -> Vec<MessageId>;
    }
    ports::RecordSends, messages {
        begin_send(self, intent: &Message) -> Recorded;
        retake_send(self, id: &MessageId, until: Timestamp) -> bool;
        finish_send(self, id: &MessageId, attempt: Timestamp, outcome: &SendOutcome) -> Message;
    }
    ports::UnresolvedSends, messages {
        unresolved_sends(self, before: Timestamp, limit: usize) -> Vec<MessageId>;
        give_up_send(self, id: &MessageId, before: Timestamp) -> bool;
    }
    ports::ResolveCustomers, conversations {
        resolve_customer(self, phone: &PhoneNumberId, names: &CustomerNames) -> CustomerKey;
        find_customer(self, phone: &PhoneNumberId, name: &CustomerKey) -> Option<CustomerKey>;
        add_alias(self, phone: &PhoneNumberId, old: &CustomerKey, new: &CustomerKey) -> ();
    }
    ports::EraseMessages, messages {
        erase_message(self, message: &Message) -> ();
    }
    ports::EraseConversations, conversations {
        erase_conversation(self, id: &ConversationId, names: &[CustomerKey]) -> ();
    }
    ports::ErasePairs, rates {
        erase_pair(self, pair: &ConversationId) -> ();
    }
    ports::EraseEvents, events {
        erase_event(self, event: &AccountEvent) -> ();
    }
    ports::EraseBlobs, blobs {
        erase_parts(self, name: &str, count: u32) -> ();
    }
    ports::ListConversations, conversations {
        list_conversations(self, number: &str, before: Option<&str>, limit: usize) -> Page<Conversation>;
        names_of(self, id: &ConversationId) -> Vec<CustomerKey>;
    }
    ports::MarkRecipients, conversations {
        mark_recipient(self, contact: &ConversationTouch, mark: RecipientMark) -> ();
    }
    ports::PauseConversations, conversations {
        pause_conversation(self, id: &ConversationId, until: Timestamp) -> ();
    }
    ports::SetPauses, conversations {
        set_pause(self, id: &ConversationId, until: Option<Timestamp>) -> bool;
    }
    ports::NoteAway, conversations {
        note_away(self, id: &ConversationId, at: Timestamp) -> ();
    }
    ports::TouchConversations, conversations {
        touch_conversation(self, touch: &ConversationTouch) -> ();
    }
    ports::ClaimConversations, conversations {
        claim_conversation(self, id: &ConversationId, owner: &str, now: Timestamp, until: Timestamp) -> ConversationClaim;
        release_conversation(self, id: &ConversationId, owner: &str) -> ();
    }
    ports::ReadConversations, conversations {
        conversation(self, id: &ConversationId) -> Option<Conversation>;
    }
    ports::RecordEvents, events {
        record_event(self, event: &AccountEvent) -> Timestamp;
    }
    ports::ReadEvents, events {
        partner_added(self, waba: &WabaId, since: Timestamp) -> Option<BusinessId>;
    }
    ports::ListEvents, events {
        events_of(self, owner: &str, after: Option<&str>, limit: usize) -> Page<AccountEvent>;
    }
    ports::Quarantine, quarantine {
        quarantine(self, item: &Quarantined) -> ();
    }
    ports::EmptyQuarantine, quarantine {
        quarantined(self, id: &str) -> Option<Quarantined>;
        quarantined_on(self, shelf: Shelf, after: Option<&str>, limit: usize) -> Page<Quarantined>;
        mark_quarantined(self, id: &str, token: &str) -> bool;
        remove_quarantined(self, id: &str, token: &str) -> bool;
    }
    ports::Blobs, blobs {
        put_part(self, header: &PartHeader, bytes: &[u8], expires_at: Option<Timestamp>) -> ();
        parts(self, name: &str, count: u32) -> Option<Vec<Vec<u8>>>;
    }
    ports::ReadTemplates, templates {
        template(self, waba: &WabaId, id: &TemplateId) -> Option<Template>;
        templates_on(self, waba: &WabaId, after: Option<&TemplateId>, limit: usize) -> Page<Template>;
        templates_named(self, waba: &WabaId, name: &TemplateName) -> Vec<Template>;
    }
    ports::WriteTemplates, templates {
        save_template(self, template: &Template) -> bool;
    }
    ports::RequestTemplateSyncs, templates {
        request_sync(self, waba: &WabaId, at: Timestamp) -> ();
    }
    ports::TemplateSyncs, templates {
        due_syncs(self, now: Timestamp, limit: usize) -> Vec<WabaId>;
        claim_sync(self, waba: &WabaId, now: Timestamp, until: Timestamp) -> Option<SyncState>;
        save_sync(self, waba: &WabaId, claim: Timestamp, state: &SyncState, due_at: Option<Timestamp>) -> bool;
    }
    ports::NoteMedia, media {
        note_media(self, file: &MediaFile) -> bool;
    }
    ports::ReadMedia, media {
        media_file(self, key: &MediaKey) -> Option<MediaFile>;
        media_files(self, keys: &[MediaKey]) -> Vec<MediaFile>;
    }
    ports::FetchMedia, media {
        due_media(self, now: Timestamp, limit: usize) -> Vec<Fetch>;
        claim_media(self, key: &MediaKey, now: Timestamp, until: Timestamp) -> MediaClaim;
        save_media(self, file: &MediaFile, claim: Timestamp) -> ports::MediaSave;
    }
    ports::EraseMedia, media {
        erase_media(self, key: &MediaKey) -> ();
    }
    ports::ListSubscriptions, subscriptions {
        subscriptions_of(self, bot: &BotId) -> Vec<Subscription>;
    }
    ports::ReadSubscriptions, subscriptions {
        subscription(self, key: &SubscriptionKey) -> Option<Subscription>;
    }
    ports::WriteSubscriptions, subscriptions {
        add_subscription(self, new: &Subscription) -> Option<Subscription>;
        save_subscription(self, changed: &Subscription, expected: u64) -> bool;
        delete_subscription(self, key: &SubscriptionKey) -> ();
    }
    ports::NoteCalls, subscriptions {
        take_call(self, key: &SubscriptionKey, now: Timestamp, until: Timestamp) -> bool;
        note_failure(self, key: &SubscriptionKey, now: Timestamp, paused_until: Option<Timestamp>) -> ();
        note_success(self, key: &SubscriptionKey) -> ();
        note_gone(self, key: &SubscriptionKey, now: Timestamp) -> ();
    }
    ports::Deliveries, deliveries {
        add_delivery(self, new: &Delivery) -> bool;
        claim_delivery(self, key: &DeliveryKey, now: Timestamp, until: Timestamp) -> Option<Delivery>;
        save_delivery(self, it: &Delivery, claim: Timestamp) -> bool;
        forget_delivery(self, key: &DeliveryKey) -> ();
        due_deliveries(self, now: Timestamp, limit: usize) -> Vec<DeliveryKey>;
    }
    ports::DeadDeliveries, deliveries {
        dead_deliveries(self, subscription: &SubscriptionKey, since: Option<Timestamp>, after: Option<&str>, limit: usize) -> Page<DeadDelivery>;
        revive_delivery(self, key: &DeliveryKey, due_at: Timestamp) -> bool;
    }
    ports::EraseDeliveries, deliveries {
        erase_deliveries(self, conversation: &ConversationId, limit: usize) -> usize;
    }
    ports::IdempotencyKeys, idempotency {
        begin_request(self, key: &str, body_hash: &str, now: Timestamp, running_until: Timestamp, expires_at: Timestamp) -> Begun;
        finish_request(self, key: &str, response: &SavedResponse) -> ();
        forget_request(self, key: &str) -> ();
    }
}
