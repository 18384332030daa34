//! One test for each rule of off-boarding.

use super::*;
use crate::domain::account::{Change, Noted, Removal};
use crate::domain::onboarding::OnboardingStatus;
use crate::flows::testing::{PAST_ALL_CLAIMS, bot, offboard, settings, solution_partner};
use crate::ports::NoteAccounts;
use crate::testing::{GraphFault, SignedUp, World, refusal};

/// A client that has everything, and leaves.
struct Leaver {
    world: World,
    settings: Settings,
    client: Client,
    it: SignedUp,
}

impl Leaver {
    async fn new() -> Self {
        let world = World::new();
        let (client, it) = whole_client(&world, 1).await;
        world.clock.advance(PAST_ALL_CLAIMS);
        Self { world, settings: solution_partner(), client, it }
    }

    /// Noted as ingest does.
    async fn leave(&self) -> OffboardingId {
        leave(&self.world, &self.client.phone_number_id).await
    }

    /// The schedule, some time later.
    async fn schedule(&self) -> Offboarding {
        self.world.clock.advance(PAST_ALL_CLAIMS);
        offboard(&self.world, &self.settings).run_due(20).await.unwrap();
        self.ledger()
    }

    fn ledger(&self) -> Offboarding {
        let id = OffboardingId::of(&self.client.onboarding_id);
        self.world.store.with(|t| t.offboardings[&id].clone())
    }

    fn how(&self, step: OffStep) -> String {
        self.ledger().ended.get(&step).map(|ended| ended.how.clone()).unwrap_or_default()
    }

    fn allocations(&self) -> usize {
        self.world.graph.with(|meta| meta.allocations.len())
    }

    fn is_subscribed(&self) -> bool {
        self.world.graph.with(|meta| meta.wabas[&self.it.waba_id].subscribed)
    }

    fn has_pin(&self) -> bool {
        self.world.store.with(|t| t.clients[&self.client.phone_number_id].sealed_pin.is_some())
    }

    fn has_token(&self) -> bool {
        self.world.store.with(|t| t.grants[&self.client.grant_id].token.is_some())
    }
}

/// An active client with a sealed PIN and an allocation that pays for its account.
async fn whole_client(world: &World, n: u32) -> (Client, SignedUp) {
    let (client, it) = world.active_client(&bot(), n).await;
    let pin = world.seal.seal("482913", SealContext::ClientPin(&client.phone_number_id)).await.unwrap();
    let user = world.graph.system_user().await.unwrap();
    world.graph.assign(&it.waba_id, &user).await.unwrap();
    let allocation = world.graph.share_credit(&it.waba_id, "USD").await.unwrap();
    world.store.with(|t| {
        t.clients.get_mut(&client.phone_number_id).unwrap().sealed_pin = Some(pin);
        t.grants.get_mut(&client.grant_id).unwrap().allocation_id = Some(allocation);
    });
    (client, it)
}

async fn leave(world: &World, phone: &PhoneNumberId) -> OffboardingId {
    let now = world.clock.now();
    let noted = Noted { at: now, change: Change::Removed(Removal::PartnerRemoved) };
    let client = world.store.note_account(phone, &noted, now).await.unwrap().unwrap();
    let off = Offboarding::of(&client, now);
    world.store.with(|t| t.offboardings.insert(off.id.clone(), off.clone()));
    off.id
}

/// Another client of the same business, under the same account or another.
fn neighbour(leaver: &Leaver, phone: &str, same_account: bool) {
    leaver.world.store.with(|t| {
        let mut other = t.clients[&leaver.client.phone_number_id].clone();
        other.phone_number_id = phone.parse().unwrap();
        other.onboarding_id = "ob_neighbour".parse().unwrap();
        if !same_account {
            other.waba_id = "999".parse().unwrap();
        }
        t.clients.insert(other.phone_number_id.clone(), other);
    });
}

#[tokio::test]
async fn what_the_client_had_of_ours_goes_and_the_ids_stay() {
    let leaver = Leaver::new().await;
    leaver.leave().await;
    let ended = leaver.schedule().await;
    assert_eq!((ended.next_try_at, ended.problem), (None, None));
    assert_eq!(
        (leaver.allocations(), leaver.is_subscribed(), leaver.has_pin(), leaver.has_token()),
        (0, false, false, false)
    );
    assert!(leaver.how(OffStep::CreditRevoked).starts_with("revoked 7"));
    let grant = leaver.world.store.with(|t| t.grants[&leaver.client.grant_id].clone());
    assert_eq!((grant.business_id, grant.allocation_id.is_some()), (leaver.it.business_id.clone(), true));
    let calls = leaver.world.graph.calls("revoke_credit");
    assert_eq!(leaver.schedule().await, leaver.ledger(), "nothing is due any more");
    assert_eq!(leaver.world.graph.calls("revoke_credit"), calls);
}

#[tokio::test]
async fn a_dead_token_does_not_keep_the_credit_alive() {
    for dead in [refusal(401, 190, "The session is invalid"), refusal(403, 200, "Permissions error")] {
        let leaver = Leaver::new().await;
        leaver.leave().await;
        leaver.world.graph.fail_next("is_subscribed", GraphFault::Refused(dead));
        let ended = leaver.schedule().await;
        assert_eq!(ended.next_try_at, None, "{:?}", ended.problem);
        assert!(leaver.how(OffStep::Unsubscribed).starts_with("Meta refuses the token"));
        assert_eq!((leaver.allocations(), leaver.has_token()), (0, false));
    }
}

#[tokio::test]
async fn a_meta_that_is_down_is_asked_again_and_the_token_waits_for_it() {
    let leaver = Leaver::new().await;
    leaver.leave().await;
    leaver.world.graph.fail_next("is_subscribed", GraphFault::NotSent);
    leaver.world.graph.fail_next("allocations", GraphFault::UnclearBefore);
    let open = leaver.schedule().await;
    assert!(open.next_try_at.is_some() && open.problem.is_some() && open.ended.is_empty(), "{open:?}");
    assert!(leaver.has_token());
    leaver.schedule().await;
    leaver.schedule().await;
    assert_eq!(leaver.ledger().next_try_at, None);
    assert_eq!((leaver.allocations(), leaver.has_token(), leaver.is_subscribed()), (0, false, false));
}

#[tokio::test]
async fn another_client_on_the_account_keeps_credit_subscription_and_token() {
    let leaver = Leaver::new().await;
    neighbour(&leaver, "117999", true);
    leaver.leave().await;
    assert_eq!(leaver.schedule().await.next_try_at, None);
    assert_eq!((leaver.allocations(), leaver.is_subscribed()), (1, true));
    assert_eq!((leaver.has_pin(), leaver.has_token()), (false, true), "its own PIN goes");
    let last = leave(&leaver.world, &"117999".parse().unwrap()).await;
    leaver.schedule().await;
    assert_eq!(leaver.world.store.with(|t| t.offboardings[&last].next_try_at), None);
    assert_eq!((leaver.allocations(), leaver.is_subscribed(), leaver.has_token()), (0, false, false));
}

#[tokio::test]
async fn another_account_of_the_business_keeps_the_credit_and_not_the_subscription() {
    let leaver = Leaver::new().await;
    neighbour(&leaver, "117999", false);
    leaver.leave().await;
    assert_eq!(leaver.schedule().await.next_try_at, None);
    assert_eq!((leaver.allocations(), leaver.is_subscribed(), leaver.has_token()), (1, false, true));
}

#[tokio::test]
async fn a_signup_at_work_holds_up_what_it_may_need_until_it_has_ended() {
    let leaver = Leaver::new().await;
    neighbour(&leaver, "117999", true);
    let now = leaver.world.clock.now();
    let neighbour = |change: &dyn Fn(&mut Client)| {
        leaver
            .world
            .store
            .with(|t| change(t.clients.get_mut(&"117999".parse::<PhoneNumberId>().unwrap()).unwrap()));
    };
    neighbour(&|client| (client.stage, client.signed_up_at) = (ClientStatus::Onboarding, now));
    leaver.leave().await;
    let open = leaver.schedule().await;
    assert!(open.ended.is_empty() && open.problem.unwrap().contains("117999 is signing up"));
    assert_eq!((leaver.allocations(), leaver.is_subscribed(), leaver.has_token()), (1, true, true));
    leaver.world.clock.advance(LIFETIME);
    assert_eq!(leaver.schedule().await.next_try_at, None, "nobody finished it");
    assert_eq!((leaver.allocations(), leaver.is_subscribed(), leaver.has_token()), (0, false, false));
}

#[tokio::test]
async fn a_client_that_is_back_before_the_schedule_came_loses_nothing() {
    let leaver = Leaver::new().await;
    leaver.leave().await;
    leaver.world.clock.advance(Duration::from_secs(5));
    let now = leaver.world.clock.now();
    leaver.world.store.with(|t| {
        let client = t.clients.get_mut(&leaver.client.phone_number_id).unwrap();
        client.onboarding_id = "ob_again".parse().unwrap();
        client.signed_up_at = now;
    });
    assert_eq!(leaver.schedule().await.next_try_at, None);
    assert_eq!(
        (leaver.allocations(), leaver.is_subscribed(), leaver.has_pin(), leaver.has_token()),
        (1, true, true, true)
    );
}

#[tokio::test]
async fn a_token_that_was_stored_a_moment_ago_is_left_alone() {
    let leaver = Leaver::new().await;
    leaver.leave().await;
    leaver.world.clock.advance(PAST_ALL_CLAIMS);
    let now = leaver.world.clock.now();
    leaver.world.store.with(|t| t.grants.get_mut(&leaver.client.grant_id).unwrap().updated_at = now);
    offboard(&leaver.world, &leaver.settings).run_due(20).await.unwrap();
    assert!(leaver.has_token() && leaver.ledger().next_try_at.is_some());
    leaver.schedule().await;
    assert!(!leaver.has_token());
}

#[tokio::test]
async fn an_allocation_of_another_business_is_never_revoked() {
    let leaver = Leaver::new().await;
    let (_, stranger) = whole_client(&leaver.world, 2).await;
    let theirs = leaver.world.graph.allocations(&stranger.business_id).await.unwrap().remove(0);
    leaver.world.store.with(|t| {
        t.grants.get_mut(&leaver.client.grant_id).unwrap().allocation_id = Some(theirs.clone());
    });
    leaver.leave().await;
    leaver.schedule().await;
    assert_eq!(leaver.world.graph.with(|meta| meta.allocations[0].id.clone()), theirs);
    assert_eq!(leaver.allocations(), 1);
}

#[tokio::test]
async fn a_tech_provider_has_no_credit_to_revoke() {
    let leaver = Leaver { settings: settings(Partner::TechProvider), ..Leaver::new().await };
    leaver.leave().await;
    assert_eq!(leaver.schedule().await.next_try_at, None);
    assert_eq!((leaver.allocations(), leaver.has_token()), (1, false));
}

/// Neither crosses the other: what one looked up is still so when it acts.
#[tokio::test]
async fn who_holds_the_lease_of_the_business_is_waited_for() {
    use crate::domain::onboarding::{Claims, Step};
    use crate::flows::testing::{exchange, onboard};
    let leaver = Leaver::new().await;
    leaver.leave().await;
    leaver.world.clock.advance(PAST_ALL_CLAIMS);
    let now = leaver.world.clock.now();
    let business = &leaver.it.business_id;
    let until = now + leaver.settings.lease;
    assert!(leaver.world.store.lease_business(business, "somebody", now, until).await.unwrap());
    offboard(&leaver.world, &leaver.settings).run_due(20).await.unwrap();
    assert_eq!((leaver.ledger().attempts, leaver.allocations(), leaver.has_token()), (0, 1, true));

    let again = leaver.world.graph.sign_up(1);
    let id = exchange(&leaver.world).run(&again.code, &bot(), Claims::default()).await.unwrap().id;
    leaver.world.graph.with(|meta| meta.wabas.get_mut(&leaver.it.waba_id).unwrap().subscribed = false);
    let engine = onboard(&leaver.world, &leaver.settings);
    engine.run(&id).await.unwrap();
    let open = leaver.world.store.with(|t| t.onboardings[&id].clone());
    assert_eq!(open.step(Step::AppSubscribed).cause.as_ref().unwrap().code, "business_busy");
    assert!(!leaver.is_subscribed());
    leaver.world.clock.advance(PAST_ALL_CLAIMS);
    engine.run(&id).await.unwrap();
    assert!(leaver.is_subscribed());
}

#[tokio::test]
async fn an_onboarding_gives_nothing_more_to_a_client_that_left_meanwhile() {
    use crate::domain::onboarding::{Claims, Step};
    use crate::flows::testing::{exchange, onboard};
    let world = World::new();
    let it = world.graph.sign_up(1);
    let onboarding = exchange(&world).run(&it.code, &bot(), Claims::default()).await.unwrap();
    world.graph.fail_next("assign", GraphFault::NotSent);
    let settings = solution_partner();
    onboard(&world, &settings).run(&onboarding.id).await.unwrap();
    leave(&world, &it.phone_number_id).await;
    world.clock.advance(PAST_ALL_CLAIMS);
    onboard(&world, &settings).run(&onboarding.id).await.unwrap();
    let ended = world.store.with(|t| t.onboardings[&onboarding.id].clone());
    assert_eq!(ended.status, OnboardingStatus::Failed);
    assert_eq!(ended.step(Step::CreditShared).cause.as_ref().unwrap().code, "client_removed");
    assert_eq!(world.graph.with(|meta| meta.allocations.len()), 0);
}
