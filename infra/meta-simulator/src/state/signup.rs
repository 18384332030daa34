//! A finished Embedded Signup: the client's assets, a token for them and the code that buys it.

use std::collections::BTreeMap;

use super::assets::default_templates;
use super::{BUSINESS_SCOPES, Business, Code, Number, State, Token, Waba};
use crate::clock::{DAY_MS, SECOND_MS};
use crate::random;

/// A code lives 30 seconds (Embedded Signup, implementation page, 2026-06-28).
const CODE_LIFE_MS: i64 = 30 * SECOND_MS;

/// How a signup can end.
#[derive(Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum FinishEvent {
    /// Cloud API with a number.
    Finish,
    /// Cloud API without a number.
    FinishOnlyWaba,
    /// A number that stays in the WhatsApp Business app.
    FinishWhatsappBusinessAppOnboarding,
    /// An on-behalf-of account that changed hands.
    FinishOboMigration,
    /// App-only install: a token, but nothing shared with the partner's portfolio.
    FinishGrantOnlyApiAccess,
}

impl FinishEvent {
    /// The name on the wire.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Finish => "FINISH",
            Self::FinishOnlyWaba => "FINISH_ONLY_WABA",
            Self::FinishWhatsappBusinessAppOnboarding => "FINISH_WHATSAPP_BUSINESS_APP_ONBOARDING",
            Self::FinishOboMigration => "FINISH_OBO_MIGRATION",
            Self::FinishGrantOnlyApiAccess => "FINISH_GRANT_ONLY_API_ACCESS",
        }
    }
}

/// One number that the client brings.
#[derive(Clone, Default, serde::Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct NumberSpec {
    pub(crate) display_phone_number: Option<String>,
    pub(crate) verified_name: Option<String>,
    /// Two-step verification is already on with this PIN.
    pub(crate) pin: Option<String>,
    pub(crate) verified: Option<bool>,
    pub(crate) on_biz_app: Option<bool>,
    /// Another partner has already registered the number.
    pub(crate) already_registered: Option<bool>,
}

/// What a signup is asked to be.
pub(crate) struct SignupSpec {
    pub(crate) event: FinishEvent,
    /// `None` = the token never expires.
    pub(crate) token_days: Option<i64>,
    pub(crate) business_name: Option<String>,
    pub(crate) numbers: Vec<NumberSpec>,
    pub(crate) scopes: Option<Vec<String>>,
    /// Sign an existing business up again.
    pub(crate) business_id: Option<String>,
    /// Sign an existing WABA up again: fresh code and token, and `numbers` come on top of those it has.
    pub(crate) waba_id: Option<String>,
}

/// What came of it.
pub(crate) struct Signup {
    pub(crate) code: String,
    pub(crate) business_id: String,
    pub(crate) waba_id: String,
    pub(crate) phone_number_ids: Vec<String>,
}

impl State {
    /// Finishes a signup. Ids that the specification names must exist: the caller has checked them.
    pub(crate) fn sign_up(&mut self, spec: SignupSpec) -> Signup {
        let business_id = self.signup_business(&spec);
        let waba_id = match &spec.waba_id {
            Some(id) => {
                // Whoever signs up again shares again what was taken away.
                if let Some(waba) = self.wabas.get_mut(id) {
                    waba.shared = spec.event != FinishEvent::FinishGrantOnlyApiAccess;
                }
                id.clone()
            }
            None => self.new_waba(&business_id, spec.event),
        };
        for number in &spec.numbers {
            self.new_number(&waba_id, spec.event, number);
        }
        let phone_number_ids = self.number_ids_of(&waba_id);
        let code = self.issue(&business_id, &waba_id, spec.token_days, spec.scopes);
        Signup { code, business_id, waba_id, phone_number_ids }
    }

    /// The ids of a WABA's numbers, oldest first.
    pub(crate) fn number_ids_of(&self, waba_id: &str) -> Vec<String> {
        let mut numbers: Vec<&Number> = self.numbers.values().filter(|n| n.waba_id == waba_id).collect();
        numbers.sort_by_key(|number| (number.onboarded_ms, number.id.clone()));
        numbers.into_iter().map(|number| number.id.clone()).collect()
    }

    fn signup_business(&mut self, spec: &SignupSpec) -> String {
        let of_waba = spec.waba_id.as_ref().and_then(|id| self.wabas.get(id)).map(|w| w.business_id.clone());
        if let Some(id) = of_waba.or_else(|| spec.business_id.clone()) {
            return id;
        }
        let id = random::object_id();
        let name = spec.business_name.clone().unwrap_or_else(|| "Corner Bakery Ltd".to_owned());
        self.businesses.insert(id.clone(), Business { id: id.clone(), name });
        id
    }

    fn new_waba(&mut self, business_id: &str, event: FinishEvent) -> String {
        let id = random::object_id();
        let name =
            self.businesses.get(business_id).map_or_else(String::new, |business| business.name.clone());
        let waba = Waba {
            id: id.clone(),
            business_id: business_id.to_owned(),
            name,
            currency: None,
            created_ms: self.now_ms(),
            shared: event != FinishEvent::FinishGrantOnlyApiAccess,
            subscribed: false,
            webhook: None,
            assigned_users: BTreeMap::new(),
            primary_funding_id: None,
            allocations: Vec::new(),
            refused_credit_calls: 0,
            templates: default_templates(),
            template_creates: Vec::new(),
            deleted_templates: Vec::new(),
        };
        self.wabas.insert(id.clone(), waba);
        id
    }

    fn new_number(&mut self, waba_id: &str, event: FinishEvent, spec: &NumberSpec) {
        let id = random::object_id();
        let on_biz_app = spec.on_biz_app.unwrap_or(event == FinishEvent::FinishWhatsappBusinessAppOnboarding);
        let verified = spec.verified.unwrap_or(true);
        let name = self.wabas.get(waba_id).map_or_else(String::new, |waba| waba.name.clone());
        // Numbers of one signup are a millisecond apart, so that their order is kept.
        let onboarded_ms = self.now_ms() + i64::try_from(self.number_ids_of(waba_id).len()).unwrap_or(0);
        let number = Number {
            id: id.clone(),
            waba_id: waba_id.to_owned(),
            display_phone_number: spec
                .display_phone_number
                .clone()
                .unwrap_or_else(|| self.free_phone_number()),
            verified_name: spec.verified_name.clone().unwrap_or(name),
            verified: verified || on_biz_app,
            registered: on_biz_app || spec.already_registered.unwrap_or(false),
            pin: spec.pin.clone(),
            on_biz_app,
            register_calls: Vec::new(),
            deregister_calls: Vec::new(),
            register_total: 0,
            blocked_until_ms: None,
            webhook: None,
            storage_region: None,
            synced: Default::default(),
            onboarded_ms,
        };
        self.numbers.insert(id, number);
    }

    fn free_phone_number(&self) -> String {
        loop {
            let candidate = random::display_phone_number();
            if self.numbers.values().all(|number| number.display_phone_number != candidate) {
                return candidate;
            }
        }
    }

    /// A fresh token for this WABA and the code for it.
    fn issue(
        &mut self,
        business_id: &str,
        waba_id: &str,
        days: Option<i64>,
        scopes: Option<Vec<String>>,
    ) -> String {
        let waba_ids = vec![waba_id.to_owned()];
        let token = self.issue_token(business_id, waba_ids, days, scopes);
        let code = random::code();
        let expires_ms = self.now_ms() + CODE_LIFE_MS;
        self.codes.insert(code.clone(), Code { token, expires_ms, used: false });
        code
    }

    /// A fresh business token.
    pub(crate) fn issue_token(
        &mut self,
        business_id: &str,
        waba_ids: Vec<String>,
        days: Option<i64>,
        scopes: Option<Vec<String>>,
    ) -> String {
        let value = random::token();
        let now = self.now_ms();
        let token = Token {
            business_id: business_id.to_owned(),
            user_id: random::object_id(),
            waba_ids,
            scopes: scopes.unwrap_or_else(|| BUSINESS_SCOPES.map(str::to_owned).to_vec()),
            issued_ms: now,
            expires_ms: days.map(|days| now + days * DAY_MS),
            revoked: false,
        };
        self.tokens.insert(value.clone(), token);
        value
    }
}
