//! Finished signups, as Embedded Signup leaves them.

use std::collections::BTreeSet;

use super::{FakeGraph, Meta, MetaNumber, MetaToken, MetaWaba};
use crate::domain::grant::TokenFacts;
use crate::domain::ids::{BusinessId, PhoneNumberId, WabaId};
use crate::domain::secret::{AccessToken, SignupCode};
use crate::ports::Number;

/// What a signup ended with.
#[derive(Debug, Clone)]
pub struct SignedUp {
    /// To be exchanged, once.
    pub code: SignupCode,
    /// What the code gives.
    pub token: AccessToken,
    /// The client's portfolio.
    pub business_id: BusinessId,
    /// Its account.
    pub waba_id: WabaId,
    /// Its number: verified, not registered.
    pub phone_number_id: PhoneNumberId,
}

impl FakeGraph {
    /// Client business number `n` signs up with a new account and number. The same `n` again is the
    /// same business with a new code for the same token.
    #[must_use]
    pub fn sign_up(&self, n: u32) -> SignedUp {
        self.with(|meta| meta.sign_up(n))
    }
}

impl Meta {
    fn sign_up(&mut self, n: u32) -> SignedUp {
        let business_id: BusinessId = format!("3390000{n:05}").parse().expect("digits");
        let waba_id: WabaId = format!("2280000{n:05}").parse().expect("digits");
        let phone_number_id: PhoneNumberId = format!("1170000{n:05}").parse().expect("digits");
        let (token, code) = (format!("EAAfake{n:05}"), format!("code-{n}-{}", self.codes.len()));
        self.codes.insert(code.clone(), token.clone());
        self.tokens.entry(token.clone()).or_insert_with(|| new_token(&waba_id, &business_id));
        self.wabas.entry(waba_id.clone()).or_insert_with(|| new_waba(n, &business_id, &phone_number_id));
        self.numbers.entry(phone_number_id.clone()).or_insert_with(|| new_number(n, &phone_number_id));
        SignedUp {
            code: SignupCode::try_from(code).expect("fits a header"),
            token: AccessToken::try_from(token).expect("fits a header"),
            business_id,
            waba_id,
            phone_number_id,
        }
    }
}

fn new_token(waba: &WabaId, business: &BusinessId) -> MetaToken {
    let facts = TokenFacts {
        is_valid: true,
        app_id: "1234567890".to_owned(),
        scopes: ["whatsapp_business_management", "whatsapp_business_messaging"].map(str::to_owned).to_vec(),
        management_wabas: Some(vec![waba.clone()]),
        messaging_wabas: Some(vec![waba.clone()]),
        expires_at: None,
    };
    MetaToken { facts, business_id: Some(business.clone()) }
}

fn new_waba(n: u32, owner: &BusinessId, phone: &PhoneNumberId) -> MetaWaba {
    MetaWaba {
        owner: owner.clone(),
        name: format!("Corner Bakery {n}"),
        numbers: vec![phone.clone()],
        funding: None,
        currency: None,
        subscribed: false,
        callback: None,
        assigned: BTreeSet::new(),
    }
}

fn new_number(n: u32, id: &PhoneNumberId) -> MetaNumber {
    let number = Number {
        id: id.clone(),
        display_phone_number: Some(format!("+1 555-01{:02}-{:04}", n / 10_000 % 100, n % 10_000)),
        verified_name: Some(format!("Corner Bakery {n}")),
        quality_rating: Some("UNKNOWN".to_owned()),
        status: Some("PENDING".to_owned()),
        code_verification_status: Some("VERIFIED".to_owned()),
        is_on_biz_app: false,
        throughput: Some("STANDARD".to_owned()),
        callback: None,
    };
    MetaNumber { number, pin: None, register_calls: 0 }
}
