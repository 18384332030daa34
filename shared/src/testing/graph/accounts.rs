//! What Meta checks, and what it says no with. Codes: Meta's error pages (2026-09-11).

use super::{Allocation, Meta, MetaNumber, MetaToken, MetaWaba, SYSTEM_USER, SentMessage};
use crate::domain::grant::TokenFacts;
use crate::domain::ids::{AllocationId, BusinessId, PhoneNumberId, WabaId, Wamid};
use crate::domain::meta_error::MetaError;
use crate::domain::secret::{AccessToken, Pin, SignupCode};
use crate::ports::{Account, AllocationState, Number};

/// Most register calls per number in 72 hours (Meta, registration of business phone numbers).
const REGISTER_LIMIT: u32 = 10;

/// An error of Meta's with this code.
#[must_use]
pub fn refusal(status: u16, code: i64, details: &str) -> MetaError {
    let fbtrace_id = Some("AFakeTraceOfMeta".to_owned());
    MetaError { status, code, subcode: None, details: details.to_owned(), fbtrace_id, is_transient: false }
}

/// Meta's answer for what does not exist and for what the token may not see.
fn not_seen() -> MetaError {
    MetaError { subcode: Some(33), ..refusal(400, 100, "Object does not exist or permission is missing") }
}

fn must_be_text(text: String) -> AccessToken {
    AccessToken::try_from(text).expect("a test's token fits in a header")
}

impl Meta {
    pub(super) fn exchange(&mut self, code: &SignupCode) -> Result<AccessToken, MetaError> {
        let invalid = |subcode, details| MetaError { subcode: Some(subcode), ..refusal(400, 100, details) };
        let token = self.codes.get(code.expose()).cloned();
        let token = token.ok_or_else(|| invalid(36007, "This authorization code has expired."))?;
        if self.spent_codes.insert(code.expose().to_owned()) {
            Ok(must_be_text(token))
        } else {
            Err(invalid(36009, "This authorization code has been used."))
        }
    }

    pub(super) fn token(&self, token: &AccessToken) -> Result<&MetaToken, MetaError> {
        let known = self.tokens.get(token.expose()).filter(|known| known.facts.is_valid);
        known.ok_or_else(|| refusal(401, 190, "The access token is not valid."))
    }

    /// A token whose list Meta leaves out covers all accounts of its business.
    fn covers(&self, token: &AccessToken, id: &WabaId) -> Result<bool, MetaError> {
        let known = self.token(token)?;
        if known.facts.management_wabas.is_some() {
            return Ok(known.facts.waba_ids().contains(id));
        }
        Ok(self.wabas.get(id).is_some_and(|waba| known.business_id.as_ref() == Some(&waba.owner)))
    }

    /// The account, if the token covers it.
    pub(super) fn waba(&mut self, id: &WabaId, token: &AccessToken) -> Result<&mut MetaWaba, MetaError> {
        let covered = self.covers(token, id)?;
        self.wabas.get_mut(id).filter(|_| covered).ok_or_else(not_seen)
    }

    pub(super) fn account(&mut self, id: &WabaId, token: &AccessToken) -> Result<Account, MetaError> {
        let waba = self.waba(id, token)?;
        Ok(Account {
            owner_business_id: Some(waba.owner.clone()),
            primary_funding_id: waba.funding.clone(),
            name: Some(waba.name.clone()),
            currency: waba.currency.clone(),
        })
    }

    pub(super) fn numbers_of(&mut self, id: &WabaId, token: &AccessToken) -> Result<Vec<Number>, MetaError> {
        let ids = self.waba(id, token)?.numbers.clone();
        Ok(ids.iter().filter_map(|id| self.numbers.get(id)).map(|known| known.number.clone()).collect())
    }

    /// The number, if the token covers its account.
    pub(super) fn number_of(
        &mut self,
        id: &PhoneNumberId,
        token: &AccessToken,
    ) -> Result<&mut MetaNumber, MetaError> {
        self.token(token)?;
        let waba = self.wabas.iter().find(|(_, waba)| waba.numbers.contains(id)).map(|(waba, _)| waba);
        let covered = waba.map_or(Ok(false), |waba| self.covers(token, waba))?;
        self.numbers.get_mut(id).filter(|_| covered).ok_or_else(not_seen)
    }

    pub(super) fn register(
        &mut self,
        id: &PhoneNumberId,
        pin: &Pin,
        token: &AccessToken,
    ) -> Result<(), MetaError> {
        let known = self.number_of(id, token)?;
        known.register_calls += 1;
        if known.register_calls > REGISTER_LIMIT {
            return Err(refusal(400, 133_016, "Too many registrations: blocked for 72 hours."));
        }
        if known.number.is_on_biz_app {
            return Err(refusal(400, 100, "This endpoint is not available for SMB solution."));
        }
        if known.number.is_unverified() {
            return Err(refusal(400, 133_006, "The phone number must be verified first."));
        }
        if known.number.is_connected() {
            return Ok(()); // A repeat succeeds and does not change the PIN.
        }
        if known.pin.as_deref().is_some_and(|known| known != pin.expose()) {
            return Err(refusal(400, 133_005, "Two step verification PIN mismatch"));
        }
        known.pin = Some(pin.expose().to_owned());
        known.number.status = Some("CONNECTED".to_owned());
        Ok(())
    }

    pub(super) fn partner_waba(&mut self, id: &WabaId) -> Result<&mut MetaWaba, MetaError> {
        self.wabas.get_mut(id).ok_or_else(not_seen)
    }

    /// Shares without looking, as Meta does: a second call makes a second allocation.
    pub(super) fn share(&mut self, id: &WabaId, currency: &str) -> Result<AllocationId, MetaError> {
        let number = 700_001 + self.allocations.len() + self.revoked.len();
        let waba = self.partner_waba(id)?;
        if !waba.assigned.contains(SYSTEM_USER) {
            return Err(refusal(403, 200, "The system user may not manage this account."));
        }
        let credential = format!("funding-{number}");
        waba.funding = Some(credential.clone());
        waba.currency = Some(currency.to_owned());
        let business_id = waba.owner.clone();
        let allocation: AllocationId = number.to_string().parse().expect("digits");
        self.allocations.push(Allocation { id: allocation.clone(), business_id, credential });
        Ok(allocation)
    }

    pub(super) fn allocation_state(&self, id: &AllocationId) -> Result<AllocationState, MetaError> {
        let state = |list: &[Allocation], is_deleted| {
            let known = list.iter().find(|known| known.id == *id)?;
            Some(AllocationState { business_id: Some(known.business_id.clone()), is_deleted })
        };
        state(&self.allocations, false).or_else(|| state(&self.revoked, true)).ok_or_else(not_seen)
    }

    /// Takes the line from every account that this allocation pays for.
    pub(super) fn revoke(&mut self, id: &AllocationId) -> Result<(), MetaError> {
        let index = self.allocations.iter().position(|known| known.id == *id).ok_or_else(not_seen)?;
        let allocation = self.allocations.remove(index);
        for waba in self.wabas.values_mut() {
            if waba.funding.as_ref() == Some(&allocation.credential) {
                waba.funding = None;
            }
        }
        self.revoked.push(allocation);
        Ok(())
    }

    pub(super) fn existing_token(&self, business: &BusinessId) -> Result<AccessToken, MetaError> {
        let ours = |token: &&MetaToken| token.facts.is_valid && token.business_id.as_ref() == Some(business);
        let token = self.tokens.iter().find(|(_, token)| ours(token)).map(|(text, _)| text.clone());
        token.map(must_be_text).ok_or_else(|| refusal(400, 100, "There is no token for this business."))
    }

    /// A token with the rights of another. It ends in 60 days, of which this Meta knows the number only: a test that
    /// minds them sets [`Meta::new_tokens_end`].
    pub(super) fn issue(&mut self, like: MetaToken) -> AccessToken {
        let text = format!("EAAfakenew{:05}", self.tokens.len());
        let facts = TokenFacts { is_valid: true, expires_at: self.new_tokens_end, ..like.facts };
        self.tokens.insert(text.clone(), MetaToken { facts, ..like });
        must_be_text(text)
    }

    pub(super) fn derived_token(
        &mut self,
        business: &BusinessId,
        accounts: &[WabaId],
    ) -> Result<AccessToken, MetaError> {
        let ours = |token: &&MetaToken| token.business_id.as_ref() == Some(business);
        let known = self.tokens.values().find(ours).filter(|_| !self.uninstalled.contains(business)).cloned();
        let mut token = known.ok_or_else(not_seen)?;
        token.facts.management_wabas = Some(accounts.to_vec());
        token.facts.messaging_wabas = Some(accounts.to_vec());
        Ok(self.issue(token))
    }

    pub(super) fn take_message(
        &mut self,
        id: &PhoneNumberId,
        message: &serde_json::Value,
        token: &AccessToken,
    ) -> Result<Wamid, MetaError> {
        let wamid: Wamid = format!("wamid.FAKE{:06}", self.sent.len() + 1).parse().expect("a wamid");
        if !self.number_of(id, token)?.number.is_connected() {
            return Err(refusal(400, 133_010, "The account is not registered."));
        }
        let (phone_number_id, message) = (id.clone(), message.clone());
        self.sent.push(SentMessage { phone_number_id, message, wamid: wamid.clone() });
        Ok(wamid)
    }
}
