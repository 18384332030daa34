use super::*;
use crate::domain::account::Removal;
use crate::domain::drift::MetaCall;
use crate::domain::ids::BusinessId;
use crate::flows::testing::{bot, reconcile, solution_partner};
use crate::ports::PartnerGraph;
use crate::testing::{Fault, GraphFault, Meta as FakeMeta, MetaWaba, SignedUp, World, refusal};

/// A client that has everything, and a world to change.
struct Shop {
    world: World,
    settings: Settings,
    tokens: Tokens,
    client: Client,
    it: SignedUp,
}

impl Shop {
    async fn new() -> Self {
        let world = World::new();
        let (client, it) = world.active_client(&bot(), 1).await;
        let pin = world.seal.seal("482913", SealContext::ClientPin(&client.phone_number_id)).await.unwrap();
        let user = world.graph.system_user().await.unwrap();
        world.graph.assign(&it.waba_id, &user).await.unwrap();
        let allocation = world.graph.share_credit(&it.waba_id, "USD").await.unwrap();
        let shown = world.graph.with(|meta| {
            let number = meta.numbers.get_mut(&it.phone_number_id).unwrap();
            number.pin = Some("482913".to_owned());
            meta.calls.clear();
            meta.numbers[&it.phone_number_id].number.clone()
        });
        world.store.with(|t| {
            let client = t.clients.get_mut(&client.phone_number_id).unwrap();
            (client.sealed_pin, client.verified_name) = (Some(pin), shown.verified_name);
            client.quality_rating = shown.quality_rating;
            t.grants.get_mut(&client.grant_id).unwrap().allocation_id = Some(allocation);
        });
        Self { world, settings: solution_partner(), tokens: Tokens::default(), client, it }
    }

    fn phone(&self) -> &PhoneNumberId {
        &self.client.phone_number_id
    }

    async fn check(&self) -> Result<Vec<DriftName>, Failed> {
        let check = reconcile(&self.world, &self.settings, &self.tokens).check(self.phone()).await?;
        Ok(check.drifts.iter().map(|drift| drift.name).collect())
    }

    async fn repair(&self) -> Result<Repair, Failed> {
        self.world.clock.advance(Duration::from_secs(1));
        reconcile(&self.world, &self.settings, &self.tokens).repair(self.phone()).await
    }

    async fn night(&self) -> usize {
        reconcile(&self.world, &self.settings, &self.tokens).run_round().await.unwrap()
    }

    fn meta<T>(&self, change: impl FnOnce(&mut FakeMeta) -> T) -> T {
        self.world.graph.with(change)
    }

    fn account<T>(&self, change: impl FnOnce(&mut MetaWaba) -> T) -> T {
        self.meta(|meta| change(meta.wabas.get_mut(&self.it.waba_id).unwrap()))
    }

    fn number<T>(&self, change: impl FnOnce(&mut Number) -> T) -> T {
        self.meta(|meta| change(&mut meta.numbers.get_mut(&self.it.phone_number_id).unwrap().number))
    }

    /// The credit is gone: its allocation is revoked.
    fn revoke(&self) {
        self.meta(|meta| {
            let gone = meta.allocations.pop().unwrap();
            meta.wabas.get_mut(&self.it.waba_id).unwrap().funding = None;
            meta.revoked.push(gone);
        });
    }

    fn known(&self) -> Client {
        self.world.store.with(|t| t.clients[self.phone()].clone())
    }

    fn noted_allocation(&self) -> Option<AllocationId> {
        self.world.store.with(|t| t.grants[&self.client.grant_id].allocation_id.clone())
    }

    /// Calls that changed something at Meta.
    fn acts(&self) -> Vec<&'static str> {
        const LOOKS: [&str; 8] = [
            "token_facts",
            "number",
            "account",
            "subscription",
            "receiving_credential",
            "allocations",
            "system_user",
            "is_assigned",
        ];
        let calls = self.meta(|meta| meta.calls.clone());
        calls.into_iter().map(|call| call.name).filter(|name| !LOOKS.contains(name)).collect()
    }
}

fn names(drifts: &[Drift]) -> Vec<DriftName> {
    drifts.iter().map(|drift| drift.name).collect()
}

#[tokio::test]
async fn a_client_as_it_was_made_has_no_drift_and_the_look_is_kept() {
    let shop = Shop::new().await;
    assert_eq!(shop.check().await.unwrap(), []);
    assert_eq!(shop.known().check, Some(Check { at: shop.world.clock.now(), drifts: Vec::new() }));
    assert_eq!(shop.acts(), [""; 0]);
    let repair = shop.repair().await.unwrap();
    assert_eq!((repair.found, repair.mended, shop.acts()), (vec![], vec![], vec![]));
}

#[tokio::test]
async fn everything_that_is_ours_to_mend_is_mended_by_the_calls_that_were_listed() {
    let shop = Shop::new().await;
    shop.revoke();
    shop.account(|waba| {
        waba.subscribed = false;
        waba.assigned.clear();
    });
    shop.number(|number| {
        number.status = Some("PENDING".to_owned());
        number.callback = Some("https://elsewhere.example/".to_owned());
        number.verified_name = Some("Corner Cafe".to_owned());
        number.quality_rating = Some("YELLOW".to_owned());
    });
    let all = [
        DriftName::Unsubscribed,
        DriftName::NumberCallbackOverridden,
        DriftName::SystemUserUnassigned,
        DriftName::CreditMissing,
        DriftName::NotConnected,
        DriftName::NameChanged,
        DriftName::QualityChanged,
    ];
    assert_eq!(shop.check().await.unwrap(), all);
    assert_eq!(shop.acts(), [""; 0], "a look changes nothing");
    let repair = shop.repair().await.unwrap();
    assert_eq!(names(&repair.found), all);
    let listed: Vec<&MetaCall> = repair.found.iter().flat_map(|drift| &drift.calls).collect();
    let acts = ["subscribe", "clear_callback", "assign", "share_credit", "register"];
    assert_eq!((shop.acts(), listed.len()), (acts.to_vec(), acts.len()));
    assert!(repair.mended.iter().all(|it| it.problem.is_none()), "{:?}", repair.mended);
    assert_eq!(repair.check.drifts, []);
    let known = shop.known();
    assert_eq!((known.verified_name(), known.quality_rating()), (Some("Corner Cafe"), Some("YELLOW")));
    assert_eq!(shop.noted_allocation(), shop.meta(|meta| Some(meta.allocations[0].id.clone())));
    assert_eq!(shop.repair().await.unwrap().mended, [], "what is mended is not mended again");
    assert_eq!(shop.acts(), acts);
}

#[tokio::test]
async fn an_override_is_removed() {
    let shop = Shop::new().await;
    shop.account(|waba| waba.callback = Some("https://elsewhere.example/?secret".to_owned()));
    assert_eq!(shop.check().await.unwrap(), [DriftName::CallbackOverridden]);
    assert_eq!(shop.repair().await.unwrap().check.drifts, []);
    assert_eq!(shop.account(|waba| (waba.subscribed, waba.callback.clone())), (true, None));
}

#[tokio::test]
async fn credit_is_not_shared_again_after_a_lost_answer() {
    let shop = Shop::new().await;
    shop.revoke();
    shop.world.graph.fail_next("share_credit", GraphFault::UnclearAfter);
    let repair = shop.repair().await.unwrap();
    assert!(repair.mended[0].problem.is_some());
    assert_eq!(
        names(&repair.check.drifts),
        [DriftName::AllocationChanged],
        "it was done, and is not noted yet"
    );
    assert_eq!(shop.repair().await.unwrap().check.drifts, []);
    assert_eq!(shop.world.graph.calls("share_credit"), 1);
    assert_eq!(shop.noted_allocation(), shop.meta(|meta| Some(meta.allocations[0].id.clone())));
}

#[tokio::test]
async fn what_somebody_else_pays_is_left_to_a_person() {
    let shop = Shop::new().await;
    shop.account(|waba| waba.funding = Some("a-card".to_owned()));
    let repair = shop.repair().await.unwrap();
    assert_eq!(names(&repair.check.drifts), [DriftName::OtherFunding]);
    assert_eq!((repair.mended, shop.acts()), (vec![], vec![]));
}

#[tokio::test]
async fn a_client_that_pays_meta_itself_is_not_asked_for_credit() {
    let mut shop = Shop::new().await;
    shop.account(|waba| waba.funding = None);
    shop.settings.partner = Partner::TechProvider;
    assert_eq!(shop.check().await.unwrap(), []);
    assert_eq!(shop.world.graph.calls("system_user"), 0);
    shop.settings = solution_partner();
    shop.world.store.with(|t| t.grants.get_mut(&shop.client.grant_id).unwrap().allocation_id = None);
    assert_eq!(shop.check().await.unwrap(), [], "an app-only install");
}

#[tokio::test]
async fn a_refused_token_and_a_closed_account_need_a_new_signup() {
    let shop = Shop::new().await;
    for (call, code, name) in [
        ("number", 190, DriftName::TokenInvalid),
        ("number", 100, DriftName::AccessLost),
        ("account", 200, DriftName::AccessLost),
        ("subscription", 10, DriftName::AccessLost),
        ("is_assigned", 100, DriftName::AccessLost),
    ] {
        shop.world.graph.fail_next(call, GraphFault::Refused(refusal(400, code, "no")));
        assert_eq!(shop.check().await.unwrap(), [name], "{call} {code}");
    }
    shop.meta(|meta| meta.tokens.values_mut().for_each(|token| token.facts.is_valid = false));
    assert_eq!(shop.check().await.unwrap(), [DriftName::TokenInvalid]);
    let calls = shop.meta(|meta| meta.calls.len());
    shop.world.store.with(|t| t.grants.get_mut(&shop.client.grant_id).unwrap().token = None);
    assert_eq!(shop.check().await.unwrap(), [DriftName::TokenInvalid]);
    assert_eq!(shop.meta(|meta| meta.calls.len()), calls, "without a token nobody is asked");
}

#[tokio::test]
async fn a_trouble_of_ours_is_not_called_the_clients() {
    let shop = Shop::new().await;
    let refuse = |call, code| {
        shop.world.graph.fail_next(call, GraphFault::Refused(refusal(400, code, "no")));
    };
    for call in ["token_facts", "receiving_credential", "system_user", "is_assigned"] {
        refuse(call, 190);
        assert!(matches!(shop.check().await, Err(Failed::OwnToken(_))), "{call}");
    }
    for (call, code) in
        [("number", 4), ("receiving_credential", 4), ("system_user", 100), ("system_user", 200)]
    {
        refuse(call, code);
        assert!(matches!(shop.check().await, Err(Failed::Meta(_))), "{call} {code}");
    }
    shop.account(|waba| waba.funding = Some("another".to_owned()));
    refuse("allocations", 100);
    assert!(matches!(shop.check().await, Err(Failed::Meta(_))), "our credit line");
    shop.world.graph.fail_next("account", GraphFault::UnclearBefore);
    assert!(matches!(shop.check().await, Err(Failed::Meta(_))));
    assert_eq!(shop.known().check, None, "what was not seen is not kept");
}

#[tokio::test]
async fn a_noted_allocation_that_is_gone_is_looked_for_under_another_id() {
    let shop = Shop::new().await;
    shop.world.graph.fail_next("receiving_credential", GraphFault::Refused(refusal(400, 100, "gone")));
    assert_eq!(shop.check().await.unwrap(), []);
}

#[tokio::test]
async fn a_mending_says_that_the_trouble_is_the_partners() {
    let shop = Shop::new().await;
    shop.revoke();
    shop.world.graph.fail_next("share_credit", GraphFault::Refused(refusal(400, 190, "no")));
    let problem = shop.repair().await.unwrap().mended[0].problem.clone();
    assert_eq!(problem.as_deref(), Some("Meta does not take the partner's own token"));
}

#[tokio::test]
async fn credit_is_shared_and_noted_in_the_currency_of_the_account() {
    let shop = Shop::new().await;
    shop.revoke();
    shop.account(|waba| waba.currency = Some("EUR".to_owned()));
    let repair = shop.repair().await.unwrap();
    assert_eq!(repair.found[0].calls[0].parameters["waba_currency"], "EUR");
    assert_eq!(repair.check.drifts, []);
    let noted = shop.world.store.with(|t| t.grants[&shop.client.grant_id].currency.clone());
    assert_eq!(noted.as_deref(), Some("EUR"));
}

#[tokio::test]
async fn a_client_whose_onboarding_left_credit_out_is_not_asked_for_that_of_its_business() {
    let shop = Shop::new().await;
    shop.revoke();
    let noted = |credit_shared| {
        shop.world.store.with(|t| t.clients.get_mut(shop.phone()).unwrap().credit_shared = credit_shared);
    };
    for (credit_shared, expected) in [
        (None, vec![DriftName::CreditMissing]),
        (Some(true), vec![DriftName::CreditMissing]),
        (Some(false), vec![]),
    ] {
        noted(credit_shared);
        assert_eq!(shop.check().await.unwrap(), expected, "{credit_shared:?}");
    }
}

#[tokio::test]
async fn what_an_event_told_during_the_look_is_newer_than_what_the_look_shows() {
    let shop = Shop::new().await;
    shop.number(|number| number.quality_rating = Some("YELLOW".to_owned()));
    let event = async {
        while shop.world.graph.calls("number") == 0 {
            tokio::task::yield_now().await;
        }
        shop.world.clock.advance(Duration::from_secs(1));
        let noted = Noted { at: shop.world.clock.now(), change: Change::Quality("RED".to_owned()) };
        shop.world.store.note_account(shop.phone(), &noted, noted.at).await.unwrap();
        shop.world.clock.advance(Duration::from_secs(1));
    };
    tokio::join!(shop.night(), event);
    assert_eq!(shop.known().quality_rating(), Some("RED"));
}

#[tokio::test]
async fn one_mending_that_meta_refuses_stops_no_other() {
    let shop = Shop::new().await;
    shop.account(|waba| waba.subscribed = false);
    shop.number(|number| number.callback = Some("https://elsewhere.example/".to_owned()));
    shop.world
        .graph
        .fail_next("subscribe", GraphFault::Refused(refusal(400, 131_000, "Something went wrong")));
    let repair = shop.repair().await.unwrap();
    let problems: Vec<_> = repair.mended.iter().map(|it| it.problem.is_some()).collect();
    assert_eq!(problems, [true, false]);
    assert!(repair.mended[0].problem.as_ref().unwrap().contains("131000"));
    assert_eq!(names(&repair.check.drifts), [DriftName::Unsubscribed]);
}

#[tokio::test]
async fn nothing_is_mended_beside_a_signup_of_the_business_or_of_a_client_that_left() {
    let shop = Shop::new().await;
    shop.account(|waba| waba.subscribed = false);
    let (now, business): (_, &BusinessId) = (shop.world.clock.now(), &shop.client.business_id);
    let until = now + Duration::from_secs(60);
    assert!(shop.world.store.lease_business(business, "somebody", now, until).await.unwrap());
    assert!(matches!(shop.repair().await, Err(Failed::Busy)));
    assert_eq!(shop.check().await.unwrap(), [DriftName::Unsubscribed], "a look waits for nobody");
    shop.world.store.release_business(business, "somebody").await.unwrap();
    let noted = Noted { at: shop.world.clock.now(), change: Change::Removed(Removal::PartnerRemoved) };
    shop.world.store.note_account(shop.phone(), &noted, now).await.unwrap();
    assert!(matches!(shop.repair().await, Err(Failed::NotActive(ClientStatus::Inactive))));
    assert_eq!(shop.acts(), [""; 0]);
    let unknown = "119".parse().unwrap();
    let reconcile = reconcile(&shop.world, &shop.settings, &shop.tokens);
    assert!(matches!(reconcile.check(&unknown).await, Err(Failed::Unknown)));
}

#[tokio::test]
async fn the_lease_is_given_back_also_after_a_failure() {
    let shop = Shop::new().await;
    shop.world.graph.fail_next("number", GraphFault::NotSent);
    assert!(matches!(shop.repair().await, Err(Failed::Meta(_))));
    assert!(shop.repair().await.is_ok());
}

#[tokio::test]
async fn a_version_that_ends_is_a_drift_of_each_client() {
    let shop = Shop::new().await;
    let mut reconcile = reconcile(&shop.world, &shop.settings, &shop.tokens);
    reconcile.version = "v21.0";
    let check = reconcile.check(shop.phone()).await.unwrap();
    assert_eq!(names(&check.drifts), [DriftName::GraphVersionEnding]);
}

#[tokio::test]
async fn each_night_all_clients_are_looked_at_once_in_portions() {
    let shop = Shop::new().await;
    for n in 2..=20 {
        let (client, it) = shop.world.active_client(&bot(), n).await;
        let number = shop.meta(|meta| meta.numbers[&it.phone_number_id].number.clone());
        shop.world.store.with(|t| {
            let client = t.clients.get_mut(&client.phone_number_id).unwrap();
            (client.verified_name, client.quality_rating) = (number.verified_name, number.quality_rating);
        });
    }
    // One is being onboarded, and of one Meta does not answer.
    let onboarding = shop.meta(|meta| meta.numbers.keys().nth(3).cloned().unwrap());
    shop.world.store.with(|t| t.clients.get_mut(&onboarding).unwrap().stage = ClientStatus::Onboarding);
    shop.world.graph.fail_next("number", GraphFault::NotSent);
    assert_eq!(shop.night().await, 18);
    let unchecked = shop.world.store.with(|t| t.clients.values().filter(|it| it.check.is_none()).count());
    assert_eq!(unchecked, 2);
    assert_eq!(shop.night().await, 0, "not twice in a night");
    shop.world.clock.advance(Duration::from_secs(24 * 60 * 60));
    assert_eq!(shop.night().await, 19);
}

#[tokio::test]
async fn at_night_records_are_put_right_and_nothing_is_mended_at_meta() {
    let shop = Shop::new().await;
    shop.account(|waba| waba.subscribed = false);
    shop.number(|number| number.verified_name = Some("Corner Cafe".to_owned()));
    assert_eq!(shop.night().await, 1);
    assert_eq!((shop.known().verified_name(), shop.acts()), (Some("Corner Cafe"), vec![]));
    let left = names(&shop.known().check.unwrap().drifts);
    assert_eq!(left, [DriftName::Unsubscribed], "what was put right is not shown");
}

#[tokio::test]
async fn a_round_that_died_goes_on_and_two_at_once_are_one() {
    let shop = Shop::new().await;
    shop.world.steps.fault_next("all_clients", Fault::FailBefore);
    assert!(reconcile(&shop.world, &shop.settings, &shop.tokens).run_round().await.is_err());
    assert_eq!(shop.night().await, 0, "somebody may be at it");
    shop.world.clock.advance(CLAIM);
    let (a, b) = tokio::join!(shop.night(), shop.night());
    assert_eq!(a + b, 1);
}
