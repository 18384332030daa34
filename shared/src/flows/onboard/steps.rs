//! What each step does. All of them may be repeated: they look first.

use std::time::Duration;

use crate::domain::account::Account;
use crate::domain::client::{Client, ClientStatus, HIGH_THROUGHPUT};
use crate::domain::grant::{Grant, Lack, TokenFacts};
use crate::domain::ids::{AllocationId, BusinessId, GrantId, PhoneNumberId, WabaId};
use crate::domain::onboarding::{Cause, Onboarding, OnboardingStatus, SignupEvent, Step, StepState, Turn};
use crate::domain::seal::SealContext;
use crate::domain::secret::{AccessToken, Pin};
use crate::domain::token_care::Care;
use crate::error::{GraphError, StoreError};
use crate::flows::exchange::spent;
use crate::flows::lookups::allocation_behind;
use crate::ports::{ClientClaim, Clock, Number, Random, Seal};

use super::{Meta, Onboard, Partner, Records, Stop, causes};

/// How long before the onboarding a `PARTNER_ADDED` may have been sent to count as this signup's.
const SIGNUP_TIME: Duration = Duration::from_secs(15 * 60);

type Done = Result<(), Stop>;

impl<S: Records, K: Seal, G: Meta, C: Clock, R: Random> Onboard<'_, S, K, G, C, R> {
    /// Does one step and notes it as done or skipped.
    pub(super) async fn act(&self, step: Step, o: &mut Onboarding, owner: &str) -> Done {
        match step {
            Step::TokenStored => self.fetch_token(o).await,
            Step::GrantVerified => self.verify_grant(o).await,
            Step::AppSubscribed => self.subscribe_app_once(o, owner).await,
            Step::SystemUserAssigned => self.assign_system_user(o).await,
            Step::CreditShared => self.share_credit_once(o, owner).await,
            Step::PinStored => self.store_pin(o).await,
            Step::PhoneRegistered => self.register_phone(o).await,
            Step::DetailsRead => self.read_details(o).await,
            Step::Active => self.activate(o).await,
        }
    }

    fn graph_error(&self, error: GraphError) -> Stop {
        causes::of_graph(error, self.clock.now())
    }

    /// Of a call with our system user's token.
    fn own_graph_error(&self, error: GraphError) -> Stop {
        causes::of_own_graph(error, self.clock.now())
    }

    /// The one gap that Meta leaves: the code was spent, its token lost. Where a signed `PARTNER_ADDED`
    /// of this signup's time names the business behind the claimed account, its token can be fetched.
    async fn fetch_token(&self, o: &mut Onboarding) -> Done {
        let lost = || Stop::from(spent());
        if self.settings.partner == Partner::TechProvider {
            return Err(lost());
        }
        let waba = o.claims.waba_id.clone().ok_or_else(lost)?;
        let since = o.created_at - SIGNUP_TIME;
        let business = self.store.partner_added(&waba, since).await?.ok_or_else(lost)?;
        let token = self.graph.fetch_business_token(&business).await.map_err(|e| self.graph_error(e))?;
        o.token = Some(self.seal.seal(token.expose(), SealContext::OnboardingToken(&o.id)).await?);
        o.done(Step::TokenStored, self.clock.now(), [("fetchedFor", business.to_string())]);
        Ok(())
    }

    /// The token while it is on its way: the onboarding's own, later the grant's.
    async fn token(&self, o: &Onboarding) -> Result<AccessToken, Stop> {
        let opened = match (&o.token, &o.grant_id) {
            (Some(sealed), _) => self.seal.open(sealed, SealContext::OnboardingToken(&o.id)).await?,
            (None, Some(id)) => {
                let grant = self.store.grant(id).await?;
                let grant = grant.ok_or_else(|| StoreError::corrupt("grants", "the grant is gone"))?;
                let sealed = grant.token.ok_or_else(causes::removed)?;
                self.seal.open(&sealed, SealContext::GrantToken(id)).await?
            }
            (None, None) => return Err(Stop::from(spent())),
        };
        AccessToken::try_from(opened).map_err(|e| StoreError::corrupt("onboardings", e).into())
    }

    async fn verify_grant(&self, o: &mut Onboarding) -> Done {
        let token = self.token(o).await?;
        let facts = self.graph.token_facts(&token).await.map_err(|e| self.graph_error(e))?;
        self.check_facts(&facts)?;
        let waba = claimed_waba(o, &facts)?;
        let business = self.owner(&waba, o, &token).await?;
        let number = self.claimed_number(&waba, o, &token).await?;
        let grant_id = GrantId::new(&o.bot_id, &business);
        o.facts = Some(facts);
        o.business_id = Some(business.clone());
        o.waba_id = Some(waba.clone());
        if let Some(number) = &number {
            self.claim(o, &grant_id, number).await?;
        }
        self.save_token(o, &grant_id, &business, &token).await?;
        let number = number.map_or_else(|| "none".to_owned(), |n| n.id.to_string());
        let proof =
            [("wabaId", waba.to_string()), ("businessId", business.to_string()), ("phoneNumberId", number)];
        o.done(Step::GrantVerified, self.clock.now(), proof);
        Ok(())
    }

    fn check_facts(&self, facts: &TokenFacts) -> Done {
        match facts.lack(&self.settings.app_id) {
            Some(Lack::Invalid) => Err(causes::grant_invalid("Meta says that the token is not valid.")),
            Some(Lack::App) => Err(causes::grant_invalid("The token belongs to another app.")),
            Some(Lack::Scope(scope)) => {
                Err(causes::grant_invalid(&format!("The permission {scope} was not granted.")))
            }
            None => Ok(()),
        }
    }

    /// The portfolio behind the account, which must be the one behind the token.
    async fn owner(&self, waba: &WabaId, o: &Onboarding, token: &AccessToken) -> Result<BusinessId, Stop> {
        let account = match self.graph.account(waba, token).await {
            // The token cannot see it, or there is no such object.
            Err(GraphError::Refused(meta)) if matches!(meta.code, 100 | 803 | 10 | 200..=299) => {
                return Err(causes::grant_mismatch("This signup's token does not cover the account."));
            }
            other => other.map_err(|e| self.graph_error(e))?,
        };
        let behind_token = self.graph.client_business(token).await.map_err(|e| self.graph_error(e))?;
        let business = match (behind_token, account.owner_business_id) {
            (Some(token), Some(owner)) if token != owner => {
                return Err(causes::grant_mismatch(
                    "The account belongs to another business than the token.",
                ));
            }
            (Some(business), _) | (None, Some(business)) => business,
            (None, None) => {
                return Err(causes::ours("owner_unknown", "Meta does not say yet who owns the account."));
            }
        };
        if o.claims.business_id.as_ref().is_some_and(|claimed| *claimed != business) {
            return Err(causes::grant_mismatch("This signup belongs to another business portfolio."));
        }
        Ok(business)
    }

    /// The number that the browser named, or the only one there is; `None` while there is none.
    async fn claimed_number(
        &self,
        waba: &WabaId,
        o: &Onboarding,
        token: &AccessToken,
    ) -> Result<Option<Number>, Stop> {
        let numbers = self.graph.numbers(waba, token).await.map_err(|e| self.graph_error(e))?;
        if let Some(claimed) = &o.claims.phone_number_id {
            let found = numbers.into_iter().find(|n| n.id == *claimed);
            return found
                .map(Some)
                .ok_or_else(|| causes::grant_mismatch("The number is not one of this account."));
        }
        let coexistence = o.claims.event == Some(SignupEvent::FinishWhatsappBusinessAppOnboarding);
        let mut candidates: Vec<Number> =
            numbers.into_iter().filter(|n| !coexistence || n.is_on_biz_app).collect();
        match candidates.len() {
            0 | 1 => Ok(candidates.pop()),
            _ => Err(causes::person(
                "number_ambiguous",
                "The account has several numbers.",
                "Call onboard-client again with the phoneNumberId that is meant.",
            )),
        }
    }

    async fn claim(&self, o: &mut Onboarding, grant_id: &GrantId, number: &Number) -> Done {
        let now = self.clock.now();
        let (Some(waba_id), Some(business_id)) = (o.waba_id.clone(), o.business_id.clone()) else {
            return Err(StoreError::corrupt("onboardings", "a number without an account").into());
        };
        let wanted = Client {
            phone_number_id: number.id.clone(),
            bot_id: o.bot_id.clone(),
            grant_id: grant_id.clone(),
            waba_id,
            business_id,
            client_name: o.claims.client_name.clone(),
            display_phone_number: number.display_phone_number.clone(),
            verified_name: number.verified_name.clone(),
            quality_rating: number.quality_rating.clone(),
            stage: ClientStatus::Onboarding,
            account: Account::default(),
            signed_up_at: o.created_at,
            on_biz_app: number.is_on_biz_app,
            throughput: None,
            pause: None,
            reconnect_since: None,
            onboarding_id: o.id.clone(),
            sealed_pin: None,
            credit_shared: None,
            onboarded_at: None,
            last_message_at: None,
            last_webhook_at: None,
            check: None,
            created_at: now,
            updated_at: now,
        };
        match self.store.claim_client(&wanted).await? {
            ClientClaim::Ours(_) => o.phone_number_id = Some(number.id.clone()),
            ClientClaim::InUse => return Err(causes::number_in_use()),
        }
        Ok(())
    }

    /// Moves the token from the onboarding into the grant, as its newest version.
    async fn save_token(
        &self,
        o: &mut Onboarding,
        id: &GrantId,
        business: &BusinessId,
        token: &AccessToken,
    ) -> Done {
        let now = self.clock.now();
        let old = self.store.grant(id).await?;
        let facts = o.facts.clone();
        let grant = Grant {
            id: id.clone(),
            bot_id: o.bot_id.clone(),
            business_id: business.clone(),
            token: Some(self.seal.seal(token.expose(), SealContext::GrantToken(id)).await?),
            token_version: old.as_ref().map_or(1, |g| g.token_version + 1),
            dead_since: None,
            token_expires_at: facts.as_ref().and_then(|f| f.expires_at),
            // A person has just consented: there is nothing to go back to.
            previous: None,
            care_at: Some(now),
            care: Care::default(),
            scopes: facts.as_ref().map(|f| f.scopes.clone()).unwrap_or_default(),
            waba_ids: facts.as_ref().map(TokenFacts::waba_ids).unwrap_or_default(),
            allocation_id: old.as_ref().and_then(|g| g.allocation_id.clone()),
            currency: old.as_ref().and_then(|g| g.currency.clone()),
            created_at: old.as_ref().map_or(now, |g| g.created_at),
            updated_at: now,
        };
        if !self.store.save_grant(&grant, old.map(|g| g.token_version)).await? {
            return Err(causes::ours(
                "grant_busy",
                "Another signup of the same business was stored at the same moment.",
            ));
        }
        o.grant_id = Some(id.clone());
        o.token = None;
        Ok(())
    }

    /// Under the business's lease, like credit: an off-boarding of another client there must not end what
    /// this begins.
    async fn subscribe_app_once(&self, o: &mut Onboarding, owner: &str) -> Done {
        let business = business_of(o)?;
        self.lease_business(&business, owner).await?;
        let result = self.subscribe_app(o).await;
        self.store.release_business(&business, owner).await?;
        result
    }

    async fn lease_business(&self, business: &BusinessId, owner: &str) -> Done {
        let now = self.clock.now();
        if self.store.lease_business(business, owner, now, now + self.settings.lease).await? {
            return Ok(());
        }
        Err(causes::ours("business_busy", "Another signup or off-boarding of the same business is at work."))
    }

    async fn subscribe_app(&self, o: &mut Onboarding) -> Done {
        self.check_stays(o).await?;
        let token = self.token(o).await?;
        let waba = waba_of(o)?;
        if !self.graph.is_subscribed(&waba, &token).await.map_err(|e| self.graph_error(e))? {
            self.graph.subscribe(&waba, &token).await.map_err(|e| self.graph_error(e))?;
        }
        o.done(Step::AppSubscribed, self.clock.now(), [("wabaId", waba.to_string())]);
        Ok(())
    }

    /// Whether our credit line is to pay for this client.
    fn pays(&self, o: &Onboarding) -> bool {
        // An app-only install does not share the account with our portfolio (Meta, app-only install).
        self.settings.partner != Partner::TechProvider
            && o.claims.event != Some(SignupEvent::FinishGrantOnlyApiAccess)
    }

    async fn assign_system_user(&self, o: &mut Onboarding) -> Done {
        if !self.pays(o) {
            o.skip(Step::SystemUserAssigned, self.clock.now());
            return Ok(());
        }
        let waba = waba_of(o)?;
        let user = self.graph.system_user().await.map_err(|e| self.own_graph_error(e))?;
        if !self.graph.is_assigned(&waba, &user).await.map_err(|e| self.own_graph_error(e))? {
            self.graph.assign(&waba, &user).await.map_err(|e| self.own_graph_error(e))?;
        }
        o.done(Step::SystemUserAssigned, self.clock.now(), [("systemUserId", user)]);
        Ok(())
    }

    /// Credit steps of one client business run one at a time, whoever runs them.
    async fn share_credit_once(&self, o: &mut Onboarding, owner: &str) -> Done {
        let Partner::Solution { currency } = &self.settings.partner else {
            o.skip(Step::CreditShared, self.clock.now());
            return Ok(());
        };
        if !self.pays(o) {
            o.skip(Step::CreditShared, self.clock.now());
            return Ok(());
        }
        let business = business_of(o)?;
        self.lease_business(&business, owner).await?;
        let result = self.share_credit(o, &business, currency).await;
        self.store.release_business(&business, owner).await?;
        result
    }

    async fn share_credit(&self, o: &mut Onboarding, business: &BusinessId, currency: &str) -> Done {
        self.check_stays(o).await?;
        let token = self.token(o).await?;
        let waba = waba_of(o)?;
        let account = self.graph.account(&waba, &token).await.map_err(|e| self.graph_error(e))?;
        let allocation = match &account.primary_funding_id {
            Some(funding) => self.paying(business, funding).await?.ok_or_else(|| {
                causes::person(
                    "other_funding",
                    "The account is paid by something else than our credit line, and Meta allows no change.",
                    "Sign up with another WhatsApp account of the business, or agree that the client pays Meta itself.",
                )
            })?,
            None => {
                let currency = account.currency.as_deref().unwrap_or(currency);
                self.graph.share_credit(&waba, currency).await.map_err(|e| self.own_graph_error(e))?
            }
        };
        self.note_allocation(o, &allocation, account.currency.as_deref().unwrap_or(currency)).await?;
        o.done(Step::CreditShared, self.clock.now(), [("allocationId", allocation.to_string())]);
        Ok(())
    }

    /// Our allocation that pays through `funding`, if there is one.
    async fn paying(&self, business: &BusinessId, funding: &str) -> Result<Option<AllocationId>, Stop> {
        allocation_behind(self.graph, business, funding).await.map_err(|e| self.own_graph_error(e))
    }

    /// Revoking the credit later needs the allocation's id.
    async fn note_allocation(&self, o: &Onboarding, allocation: &AllocationId, currency: &str) -> Done {
        let Some(id) = &o.grant_id else { return Ok(()) };
        self.store.note_allocation(id, allocation, currency, self.clock.now()).await?;
        Ok(())
    }

    async fn store_pin(&self, o: &mut Onboarding) -> Done {
        if o.phone_number_id.is_none() {
            self.look_for_number(o).await?;
        }
        let phone = phone_of(o)?;
        let token = self.token(o).await?;
        let number = self.graph.number(&phone, &token).await.map_err(|e| self.graph_error(e))?;
        let mut client = self.client(o, &phone).await?;
        let now = self.clock.now();
        if needs_no_register(o, &number) && client.sealed_pin.is_none() && o.claims.pin.is_none() {
            // Registered by somebody else, or from the app: its PIN is not ours to know.
            o.skip(Step::PinStored, now);
            return Ok(());
        }
        let pin = match (&o.claims.pin, &client.sealed_pin) {
            (Some(typed), _) => {
                let typed = self.seal.open(typed, SealContext::OnboardingPin(&o.id)).await?;
                Some(Pin::try_from(typed).map_err(|e| StoreError::corrupt("onboardings", e))?)
            }
            (None, Some(_)) => None,
            (None, None) => Some(self.new_pin()),
        };
        if let Some(pin) = pin {
            client.sealed_pin = Some(self.seal.seal(pin.expose(), SealContext::ClientPin(&phone)).await?);
            self.save_client(client).await?;
        }
        o.done(Step::PinStored, now, [("phoneNumberId", phone.to_string())]);
        Ok(())
    }

    fn new_pin(&self) -> Pin {
        let random = self.random.bytes();
        Pin::from_random(random[..8].try_into().expect("eight of sixteen bytes"))
    }

    /// A signup without a number waits for one.
    async fn look_for_number(&self, o: &mut Onboarding) -> Done {
        let token = self.token(o).await?;
        let waba = waba_of(o)?;
        let Some(number) = self.claimed_number(&waba, o, &token).await? else {
            return Err(causes::person(
                "number_missing",
                "The account has no phone number yet.",
                "Add one in WhatsApp Manager; we look again by ourselves.",
            ));
        };
        let grant_id = o.grant_id.clone().ok_or_else(|| StoreError::corrupt("onboardings", "no grant"))?;
        self.claim(o, &grant_id, &number).await
    }

    async fn register_phone(&self, o: &mut Onboarding) -> Done {
        let phone = phone_of(o)?;
        let token = self.token(o).await?;
        let number = self.graph.number(&phone, &token).await.map_err(|e| self.graph_error(e))?;
        let now = self.clock.now();
        if needs_no_register(o, &number) {
            let status = number.status.unwrap_or_default();
            o.done(Step::PhoneRegistered, now, [("status", status), ("by", "registered before".to_owned())]);
            return Ok(());
        }
        if number.is_unverified() {
            return Err(causes::unverified().into());
        }
        let client = self.client(o, &phone).await?;
        let sealed =
            client.sealed_pin.ok_or_else(|| StoreError::corrupt("clients", "no PIN before register"))?;
        let pin = self.seal.open(&sealed, SealContext::ClientPin(&phone)).await?;
        let pin = Pin::try_from(pin).map_err(|e| StoreError::corrupt("clients", e))?;
        self.graph.register(&phone, &pin, &token).await.map_err(|e| causes::of_register(e, now))?;
        o.done(Step::PhoneRegistered, self.clock.now(), [("phoneNumberId", phone.to_string())]);
        Ok(())
    }

    async fn read_details(&self, o: &mut Onboarding) -> Done {
        let phone = phone_of(o)?;
        let token = self.token(o).await?;
        let number = self.graph.number(&phone, &token).await.map_err(|e| self.graph_error(e))?;
        if !needs_no_register(o, &number) {
            return Err(causes::ours("not_connected", "Meta does not show the number as connected yet."));
        }
        let mut client = self.client(o, &phone).await?;
        client.display_phone_number = number.display_phone_number.clone();
        client.verified_name = number.verified_name.clone();
        client.quality_rating = number.quality_rating;
        client.on_biz_app = number.is_on_biz_app;
        client.throughput = (number.throughput.as_deref() == Some("HIGH")).then_some(HIGH_THROUGHPUT);
        self.save_client(client).await?;
        let proof = [
            ("displayPhoneNumber", number.display_phone_number.unwrap_or_default()),
            ("verifiedName", number.verified_name.unwrap_or_default()),
        ];
        o.done(Step::DetailsRead, self.clock.now(), proof);
        Ok(())
    }

    async fn activate(&self, o: &mut Onboarding) -> Done {
        let phone = phone_of(o)?;
        let now = self.clock.now();
        let mut client = self.client(o, &phone).await?;
        client.stage = ClientStatus::Active;
        client.reconnect_since = None;
        client.credit_shared = Some(o.step(Step::CreditShared).state == StepState::Done);
        client.onboarded_at = client.onboarded_at.or(Some(now));
        let waba = client.waba_id.clone();
        self.save_client(client).await?;
        // Its templates are read by the next run of their schedule.
        self.store.request_sync(&waba, now).await?;
        o.done(Step::Active, now, [("phoneNumberId", phone.to_string())]);
        o.status = OnboardingStatus::Active;
        o.next_try_at = None;
        Ok(())
    }

    /// The client, as long as it is this onboarding's and has not left.
    async fn client(&self, o: &Onboarding, phone: &PhoneNumberId) -> Result<Client, Stop> {
        let client = self.store.client(phone).await?;
        let client = client.filter(|c| c.onboarding_id == o.id && c.bot_id == o.bot_id);
        let client = client.ok_or_else(taken_over)?;
        if client.is_removed() { Err(causes::removed()) } else { Ok(client) }
    }

    /// Nothing more is given to a client that left meanwhile: its off-boarding may have passed already.
    async fn check_stays(&self, o: &Onboarding) -> Done {
        match &o.phone_number_id {
            Some(phone) => self.client(o, phone).await.map(drop),
            None => Ok(()),
        }
    }

    async fn save_client(&self, mut client: Client) -> Done {
        client.updated_at = self.clock.now();
        if self.store.save_client(&client).await? { Ok(()) } else { Err(taken_over()) }
    }
}

/// A later signup of the same number has taken the client over: it goes on there.
fn taken_over() -> Stop {
    Cause::new(
        "taken_over",
        Turn::NewSignup,
        "A later signup of the same number goes on instead.",
        "Nothing to do here: look at the later onboarding.",
    )
    .into()
}

/// The account that the browser named if the token covers it, else the newest that it covers.
fn claimed_waba(o: &Onboarding, facts: &TokenFacts) -> Result<WabaId, Stop> {
    let covered = facts.waba_ids();
    match &o.claims.waba_id {
        // Meta may leave the list out; then reading the account decides.
        Some(claimed) if covered.contains(claimed) || facts.management_wabas.is_none() => Ok(claimed.clone()),
        Some(_) => Err(causes::grant_mismatch("This signup's token does not cover the account.")),
        None => covered.into_iter().next().ok_or_else(|| {
            causes::person(
                "account_unknown",
                "Meta does not say which account the signup was for.",
                "Call onboard-client again with the wabaId of the finish event.",
            )
        }),
    }
}

/// Of a coexistence signup Meta may not show yet that the number is in the app.
fn needs_no_register(o: &Onboarding, number: &Number) -> bool {
    number.needs_no_register() || o.claims.event == Some(SignupEvent::FinishWhatsappBusinessAppOnboarding)
}

fn waba_of(o: &Onboarding) -> Result<WabaId, StoreError> {
    o.waba_id.clone().ok_or_else(|| StoreError::corrupt("onboardings", "no account after grant_verified"))
}

fn business_of(o: &Onboarding) -> Result<BusinessId, StoreError> {
    o.business_id
        .clone()
        .ok_or_else(|| StoreError::corrupt("onboardings", "no business after grant_verified"))
}

fn phone_of(o: &Onboarding) -> Result<PhoneNumberId, StoreError> {
    o.phone_number_id.clone().ok_or_else(|| StoreError::corrupt("onboardings", "no number after pin_stored"))
}
