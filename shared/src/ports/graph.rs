//! Meta's Graph API, one trait per use. No AWS permission.

use serde_json::Value;

use crate::domain::grant::TokenFacts;
use crate::domain::ids::{AllocationId, BusinessId, PhoneNumberId, WabaId, Wamid};
use crate::domain::rate::Usage;
use crate::domain::secret::{AccessToken, Pin, SignupCode};
use crate::error::GraphError;

/// Tokens: getting and examining them.
pub trait TokenGraph: Send + Sync {
    /// Exchanges a signup code (30 s, once). After [`GraphError::Unclear`] the code may be spent.
    fn exchange_code(
        &self,
        code: &SignupCode,
    ) -> impl Future<Output = Result<AccessToken, GraphError>> + Send;

    /// What a token covers (`debug_token`).
    fn token_facts(&self, token: &AccessToken)
    -> impl Future<Output = Result<TokenFacts, GraphError>> + Send;

    /// A new token in place of one that ends, valid 60 days from now; the old one stays valid until its own end.
    /// Documented for tokens of system users (Meta, system users, 2026), and of one that is still valid. May be
    /// repeated: each call makes another token.
    fn renew_token(
        &self,
        token: &AccessToken,
    ) -> impl Future<Output = Result<AccessToken, GraphError>> + Send;

    /// The id of the user behind a token, whatever kind of token it is (`/me?fields=id`).
    fn token_user(&self, token: &AccessToken) -> impl Future<Output = Result<String, GraphError>> + Send;

    /// The portfolio that a business token is bound to (`/me?fields=client_business_id`).
    fn client_business(
        &self,
        token: &AccessToken,
    ) -> impl Future<Output = Result<Option<BusinessId>, GraphError>> + Send;
}

/// A client's account, with the client's business token.
pub trait AccountGraph: Send + Sync {
    /// Portfolio that owns the account and the id of what pays for it.
    fn account(
        &self,
        waba: &WabaId,
        token: &AccessToken,
    ) -> impl Future<Output = Result<Account, GraphError>> + Send;

    /// All numbers under the account.
    fn numbers(
        &self,
        waba: &WabaId,
        token: &AccessToken,
    ) -> impl Future<Output = Result<Vec<Number>, GraphError>> + Send;

    /// One number, fresh from Meta.
    fn number(
        &self,
        phone: &PhoneNumberId,
        token: &AccessToken,
    ) -> impl Future<Output = Result<Number, GraphError>> + Send;

    /// The subscription of our app to the account's webhooks; `None` = there is none.
    fn subscription(
        &self,
        waba: &WabaId,
        token: &AccessToken,
    ) -> impl Future<Output = Result<Option<Subscription>, GraphError>> + Send;

    /// Whether our app gets the account's webhooks.
    fn is_subscribed(
        &self,
        waba: &WabaId,
        token: &AccessToken,
    ) -> impl Future<Output = Result<bool, GraphError>> + Send;

    /// Subscribes our app. Repeating is harmless, but removes a callback override.
    fn subscribe(
        &self,
        waba: &WabaId,
        token: &AccessToken,
    ) -> impl Future<Output = Result<(), GraphError>> + Send;

    /// Ends the subscription of our app. Repeating is harmless.
    fn unsubscribe(
        &self,
        waba: &WabaId,
        token: &AccessToken,
    ) -> impl Future<Output = Result<(), GraphError>> + Send;

    /// Removes the number's own callback, so that its messages go where the account's do. Repeating is harmless.
    fn clear_callback(
        &self,
        phone: &PhoneNumberId,
        token: &AccessToken,
    ) -> impl Future<Output = Result<(), GraphError>> + Send;

    /// Registers the number with a PIN. Costs one of 10 calls per 72 hours, also when refused.
    fn register(
        &self,
        phone: &PhoneNumberId,
        pin: &Pin,
        token: &AccessToken,
    ) -> impl Future<Output = Result<(), GraphError>> + Send;
}

/// What only our own system user may do: credit, and fetching a client's token.
pub trait PartnerGraph: Send + Sync {
    /// The id of our system user: whom the system user token belongs to.
    fn system_user(&self) -> impl Future<Output = Result<String, GraphError>> + Send;

    /// Whether the system user may manage the account.
    fn is_assigned(
        &self,
        waba: &WabaId,
        system_user: &str,
    ) -> impl Future<Output = Result<bool, GraphError>> + Send;

    /// Assigns it. Repeating is harmless.
    fn assign(&self, waba: &WabaId, system_user: &str)
    -> impl Future<Output = Result<(), GraphError>> + Send;

    /// Allocations of our credit line to a business that are in force.
    fn allocations(
        &self,
        business: &BusinessId,
    ) -> impl Future<Output = Result<Vec<AllocationId>, GraphError>> + Send;

    /// What an allocation pays through; equal to the account's `primary_funding_id` when it is attached.
    fn receiving_credential(
        &self,
        allocation: &AllocationId,
    ) -> impl Future<Output = Result<Option<String>, GraphError>> + Send;

    /// Shares the credit line and attaches it to the account, for good. Never call it without having
    /// looked whether it is done already.
    fn share_credit(
        &self,
        waba: &WabaId,
        currency: &str,
    ) -> impl Future<Output = Result<AllocationId, GraphError>> + Send;

    /// How an allocation stands.
    fn allocation(
        &self,
        allocation: &AllocationId,
    ) -> impl Future<Output = Result<AllocationState, GraphError>> + Send;

    /// Revokes an allocation: all accounts of its business lose our credit line at once.
    fn revoke_credit(&self, allocation: &AllocationId)
    -> impl Future<Output = Result<(), GraphError>> + Send;

    /// The existing business token of a client business (`fetch_only`).
    fn fetch_business_token(
        &self,
        business: &BusinessId,
    ) -> impl Future<Output = Result<AccessToken, GraphError>> + Send;

    /// A new business token of a client business for these of its accounts, valid 60 days from now. May be
    /// repeated: each call makes another token.
    fn derive_business_token(
        &self,
        business: &BusinessId,
        accounts: &[WabaId],
    ) -> impl Future<Output = Result<AccessToken, GraphError>> + Send;
}

/// Sending, and saying that something was read.
pub trait MessageGraph: Send + Sync {
    /// Sends a message object. There is no idempotency key: after [`GraphError::Unclear`] it may have
    /// been sent.
    fn send(
        &self,
        phone: &PhoneNumberId,
        message: &Value,
        token: &AccessToken,
    ) -> impl Future<Output = Result<Wamid, GraphError>> + Send;

    /// Marks a customer's message and the earlier ones as read; `typing` also shows the typing sign. May be
    /// repeated.
    fn mark_read(
        &self,
        phone: &PhoneNumberId,
        message: &Wamid,
        typing: bool,
        token: &AccessToken,
    ) -> impl Future<Output = Result<(), GraphError>> + Send;

    /// How much of Meta's limits is used, as its answers told since this was last asked. Not a call.
    fn usage(&self) -> Vec<Usage>;
}

/// A client's account as Meta shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Who owns it.
    pub owner_business_id: Option<BusinessId>,
    /// What pays for it; `None` = nothing does.
    pub primary_funding_id: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// Its billing currency, if it has one.
    pub currency: Option<String>,
}

/// A subscription of our app as Meta shows it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Subscription {
    /// Where the account's messages are sent instead of to our app's address.
    pub callback: Option<String>,
}

/// An allocation of our credit line as Meta shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllocationState {
    /// Whom it pays for.
    pub business_id: Option<BusinessId>,
    /// Whether it was revoked.
    pub is_deleted: bool,
}

/// A number as Meta shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Number {
    /// Its id.
    pub id: PhoneNumberId,
    /// Formatted; not E.164.
    pub display_phone_number: Option<String>,
    /// Display name.
    pub verified_name: Option<String>,
    /// `GREEN`, `YELLOW`, `RED`, `UNKNOWN`, …
    pub quality_rating: Option<String>,
    /// `CONNECTED` = registered and usable.
    pub status: Option<String>,
    /// `VERIFIED` = ownership proven by the one-time password.
    pub code_verification_status: Option<String>,
    /// Whether it also runs in the WhatsApp Business app.
    pub is_on_biz_app: bool,
    /// `STANDARD`, `HIGH` = upgraded, `NOT_APPLICABLE`, …
    pub throughput: Option<String>,
    /// Where its messages are sent instead of to the account's or the app's address.
    pub callback: Option<String>,
}

impl Number {
    /// Registered with the Cloud API and usable.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.status.as_deref() == Some("CONNECTED")
    }

    /// Whether registering is done, or not ours to do: coexistence numbers are registered from the app.
    #[must_use]
    pub fn needs_no_register(&self) -> bool {
        self.is_connected() || self.is_on_biz_app
    }

    /// Known not to be verified by one-time password. An unknown value counts as verified: register
    /// will tell.
    #[must_use]
    pub fn is_unverified(&self) -> bool {
        matches!(self.code_verification_status.as_deref(), Some("NOT_VERIFIED" | "EXPIRED"))
    }
}
