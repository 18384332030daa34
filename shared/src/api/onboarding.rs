//! The signup: exchange of the code, and the onboarding.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::domain::Timestamp;
use crate::domain::client::{Client, ClientStatus};
use crate::domain::grant::TokenFacts;
use crate::domain::ids::{BotId, BusinessId, OnboardingId, PhoneNumberId, WabaId};
use crate::domain::onboarding::{
    Cause, Claims, Onboarding, OnboardingStatus, SignupEvent, Step, StepRecord, StepState, Turn,
};
use crate::domain::secret::{Pin, SignupCode};
use crate::http::{ApiError, Members, MetaRefusal, Name};

/// What exchange-token takes.
#[derive(Debug)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename_all = "camelCase"))]
pub struct ExchangeRequest {
    /// The bot that the client signs up for.
    pub bot_id: BotId,
    /// The code that Embedded Signup gave to the page: good for 30 seconds, and once.
    pub code: SignupCode,
    /// What the finish event named already.
    #[cfg_attr(feature = "openapi", schemars(with = "Option<SignupHints>"))]
    pub signup: Claims,
}

/// What the page knows of the finish event. What is ill-formed is left out here, and asked for by onboard-client.
#[cfg(feature = "openapi")]
#[derive(schemars::JsonSchema)]
#[schemars(rename_all = "camelCase")]
#[expect(dead_code, reason = "only described")]
struct SignupHints {
    waba_id: Option<WabaId>,
    phone_number_id: Option<PhoneNumberId>,
    business_id: Option<BusinessId>,
    /// Meta's word for how it ended: `FINISH…`.
    event: Option<String>,
}

impl ExchangeRequest {
    /// Reads it.
    ///
    /// # Errors
    /// 400 `missing_member` or `invalid_member`.
    pub fn of(members: &Members) -> Result<Self, ApiError> {
        Ok(Self {
            bot_id: members.required("botId")?,
            code: members.required("code")?,
            signup: hints(members),
        })
    }
}

fn hints(members: &Members) -> Claims {
    fn hint<T: TryFrom<String>>(signup: &Map<String, Value>, name: &str) -> Option<T> {
        T::try_from(signup.get(name)?.as_str()?.to_owned()).ok()
    }
    let Some(Value::Object(signup)) = members.all().get("signup") else { return Claims::default() };
    Claims {
        waba_id: hint(signup, "wabaId"),
        phone_number_id: hint(signup, "phoneNumberId"),
        business_id: hint(signup, "businessId"),
        event: hint::<String>(signup, "event").as_deref().and_then(SignupEvent::parse),
        ..Claims::default()
    }
}

/// What exchange-token answers. The token itself never leaves Switchboard.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Exchanged<'a> {
    onboarding_id: &'a OnboardingId,
    /// When the onboarding is given up.
    expires_at: Timestamp,
    grant: Granted<'a>,
}

/// What the client granted.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
struct Granted<'a> {
    /// The accounts, newest first; empty also where Meta named none.
    waba_ids: Vec<WabaId>,
    /// What the token may do, in Meta's words.
    scopes: &'a [String],
    /// When the client must have signed up again; null = never.
    token_expires_at: Option<Timestamp>,
}

impl<'a> Exchanged<'a> {
    /// What is said of the onboarding that a code began.
    #[must_use]
    pub fn of(onboarding: &'a Onboarding) -> Self {
        let facts = onboarding.facts.as_ref();
        Self {
            onboarding_id: &onboarding.id,
            expires_at: onboarding.expires_at,
            grant: Granted {
                waba_ids: facts.map(TokenFacts::waba_ids).unwrap_or_default(),
                scopes: facts.map(|facts| facts.scopes.as_slice()).unwrap_or_default(),
                token_expires_at: facts.and_then(|facts| facts.expires_at),
            },
        }
    }
}

/// What onboard-client takes.
#[derive(Debug)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename_all = "camelCase"))]
pub struct OnboardRequest {
    /// From exchange-token.
    #[cfg_attr(feature = "openapi", schemars(with = "OnboardingId"))]
    pub onboarding_id: String,
    /// What the browser and the partner say of the client.
    #[cfg_attr(feature = "openapi", schemars(flatten, with = "ClaimsOfACaller"))]
    pub claims: Claims,
    /// The PIN that the number already has: six digits. Without it Switchboard makes one.
    pub pin: Option<Pin>,
}

/// None of it is trusted: it must fit the client's token.
#[cfg(feature = "openapi")]
#[derive(schemars::JsonSchema)]
#[schemars(rename_all = "camelCase")]
#[expect(dead_code, reason = "only described")]
struct ClaimsOfACaller {
    waba_id: Option<WabaId>,
    phone_number_id: Option<PhoneNumberId>,
    business_id: Option<BusinessId>,
    /// What the partner calls the client.
    client_name: Option<Name>,
    /// Meta's word for how the signup ended: `FINISH…`.
    event: Option<String>,
}

impl OnboardRequest {
    /// Reads it.
    ///
    /// # Errors
    /// 400 `missing_member` or `invalid_member`.
    pub fn of(members: &Members) -> Result<Self, ApiError> {
        let onboarding_id = members.required("onboardingId")?;
        let event: Option<String> = members.optional("event")?;
        let claims = Claims {
            waba_id: members.optional("wabaId")?,
            phone_number_id: members.optional("phoneNumberId")?,
            business_id: members.optional("businessId")?,
            client_name: members.optional::<Name>("clientName")?.map(String::from),
            event: event.as_deref().and_then(SignupEvent::parse),
            pin: None,
        };
        Ok(Self { onboarding_id, claims, pin: members.optional("pin")? })
    }
}

/// How an onboarding stands.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "Onboarding"))]
#[serde(rename_all = "camelCase")]
pub struct OnboardingState<'a> {
    onboarding_id: &'a OnboardingId,
    bot_id: &'a BotId,
    status: OnboardingStatus,
    expires_at: Timestamp,
    /// When it goes on by itself.
    next_try_at: Option<Timestamp>,
    steps: Vec<StepItem<'a>>,
    /// The client, as soon as there is one.
    client: Option<OnboardedClient<'a>>,
}

/// One step.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "OnboardingStep"))]
#[serde(rename_all = "camelCase")]
struct StepItem<'a> {
    name: Step,
    state: StepState,
    /// When it came to that state.
    at: Option<Timestamp>,
    /// What Meta answered: ids read back.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    proof: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<StepCause<'a>>,
    /// What to do, if it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<&'a str>,
}

/// Why a step failed.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
struct StepCause<'a> {
    /// Stable: docs/onboarding.md lists them.
    code: &'a str,
    detail: &'a str,
    turn: Turn,
    #[serde(skip_serializing_if = "Option::is_none")]
    meta: Option<MetaRefusal<'a>>,
}

/// The client that an onboarding makes.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
struct OnboardedClient<'a> {
    /// The same as `phoneNumberId`.
    id: &'a PhoneNumberId,
    phone_number_id: &'a PhoneNumberId,
    waba_id: &'a WabaId,
    business_id: &'a BusinessId,
    client_name: Option<&'a str>,
    display_phone_number: Option<&'a str>,
    verified_name: Option<&'a str>,
    status: ClientStatus,
    /// Whether it can send.
    ready: bool,
    /// Whether a webhook for it has arrived since its signup. Until then, write to the number from any phone.
    receives: bool,
}

impl<'a> OnboardingState<'a> {
    /// What is shown of an onboarding and its client.
    #[must_use]
    pub fn of(onboarding: &'a Onboarding, client: Option<&'a Client>) -> Self {
        Self {
            onboarding_id: &onboarding.id,
            bot_id: &onboarding.bot_id,
            status: onboarding.status,
            expires_at: onboarding.expires_at,
            next_try_at: onboarding.next_try_at,
            steps: onboarding.steps.iter().map(step).collect(),
            client: client.map(summary),
        }
    }
}

fn step(record: &StepRecord) -> StepItem<'_> {
    StepItem {
        name: record.step,
        state: record.state,
        at: record.at,
        proof: &record.proof,
        cause: record.cause.as_ref().map(cause),
        action: record.cause.as_ref().map(|cause| cause.action.as_str()),
    }
}

fn cause(cause: &Cause) -> StepCause<'_> {
    let meta = cause.meta.as_ref().map(MetaRefusal::of);
    StepCause { code: &cause.code, detail: &cause.detail, turn: cause.turn, meta }
}

fn summary(client: &Client) -> OnboardedClient<'_> {
    OnboardedClient {
        id: &client.phone_number_id,
        phone_number_id: &client.phone_number_id,
        waba_id: &client.waba_id,
        business_id: &client.business_id,
        client_name: client.client_name.as_deref(),
        display_phone_number: client.display_phone_number.as_deref(),
        verified_name: client.verified_name(),
        status: client.status(),
        ready: client.status() == ClientStatus::Active,
        receives: client.receives(),
    }
}

/// What this file describes.
#[cfg(feature = "openapi")]
pub(super) fn operations() -> Vec<super::describe::Operation> {
    use super::describe::Operation;
    use serde_json::json;

    let path = "/api/integrations/whatsapp/exchange-token";
    let exchange = Operation::new(
        "post",
        path,
        "exchangeToken",
        "Trades a signup code for the client's token",
    )
    .described(
        "The token stays in Switchboard. The same code with the same bot again answers as the first time.",
    )
    .for_the_page()
    .body::<ExchangeRequest>(json!({"botId": "demo-bakery", "code": "AQinvented"}))
    .problem(404, "bot_not_found")
    .with_key()
    .answer::<Exchanged<'_>>(200, "The onboarding that the code began.")
    .problem(400, "code_expired")
    .problem(400, "code_refused")
    .problem(409, "code_spent")
    .problem(409, "exchange_running")
    .problem(503, "meta_unavailable");
    let path = "/api/integrations/whatsapp/onboard-client";
    let onboard = Operation::new("post", path, "onboardClient", "Goes on with an onboarding")
        .described("May be repeated. What is not finished goes on by itself, every minute.")
        .for_the_page()
        .body::<OnboardRequest>(json!({"onboardingId": "ob_0123456789abcdef0123456789abcdef"}))
        .with_key()
        .answer::<OnboardingState<'_>>(200, "The client is active.")
        .answer::<OnboardingState<'_>>(202, "Steps are open, with `cause` and `action` where one failed.")
        .problem(404, "onboarding_not_found")
        .problem(403, "grant_mismatch")
        .problem(409, "number_in_use")
        .problem(409, "grant_invalid")
        .problem(409, "code_expired")
        .problem(409, "code_refused")
        .problem(409, "client_removed")
        .problem(409, "taken_over")
        .problem(409, "onboarding_failed")
        .problem(410, "onboarding_expired");
    let path = "/api/integrations/whatsapp/onboarding/{onboardingId}";
    let get = Operation::new("get", path, "getOnboarding", "Shows an onboarding")
        .for_the_page()
        .path::<OnboardingId>("onboardingId", "From exchange-token.", "onboarding_not_found")
        .answer::<OnboardingState<'_>>(200, "How it stands.");
    vec![exchange, onboard, get]
}
