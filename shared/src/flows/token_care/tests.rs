//! One test for each rule of looking after tokens.

use tracing::level_filters::LevelFilter;

use super::*;
use crate::domain::client::Client;
use crate::domain::ids::WabaId;
use crate::domain::token_care::RENEW_BEFORE;
use crate::flows::testing::{TestTokenCare, bot, token_care, token_settings};
use crate::telemetry::testing::Lines;
use crate::testing::{Fault, GraphFault, MetaToken, MetaWaba, SignedUp, World, refusal};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A client whose token ends after so many days, and the schedule that looks after it.
struct Scene {
    world: World,
    settings: Settings,
    client: Client,
    it: SignedUp,
}

impl Scene {
    async fn new(days: Option<u32>) -> Self {
        let world = World::new();
        let (client, it) = world.active_client(&bot(), 1).await;
        let scene = Self { world, settings: token_settings(), client, it };
        let end = days.map(|days| scene.world.clock.now() + DAY * days);
        scene.meta_says(scene.it.token.expose(), |token| token.facts.expires_at = end);
        let new_end = scene.world.clock.now() + DAY * 100;
        scene.world.graph.with(|meta| meta.new_tokens_end = Some(new_end));
        scene
    }

    fn meta_says(&self, token: &str, change: impl FnOnce(&mut MetaToken)) {
        self.world.graph.with(|meta| change(meta.tokens.get_mut(token).unwrap()));
    }

    /// Meta takes the token no more.
    fn dies(&self, token: &str) {
        self.meta_says(token, |token| token.facts.is_valid = false);
    }

    /// Nobody but the client can give another token.
    fn nobody_can_renew(&self) {
        self.world.graph.with(|meta| meta.uninstalled.insert(self.it.business_id.clone()));
        for _ in 0..200 {
            self.world.graph.fail_next("renew_token", GraphFault::Refused(refusal(400, 1, "No.")));
        }
    }

    /// Meta refuses the next calls to the client's account.
    fn account_is_refused(&self, times: usize) {
        for _ in 0..times {
            self.world.graph.fail_next("account", GraphFault::Refused(refusal(403, 10, "No permission.")));
        }
    }

    /// The token is for all accounts of the business, and Meta names none.
    fn lists_no_accounts(&self) {
        self.meta_says(self.it.token.expose(), |token| {
            (token.facts.management_wabas, token.facts.messaging_wabas) = (None, None);
        });
        self.world.store.with(|t| t.grants.get_mut(&self.client.grant_id).unwrap().waba_ids.clear());
    }

    /// Another account that the client's token covers.
    fn covers_another_account(&self) -> WabaId {
        let other: WabaId = "999".parse().unwrap();
        self.world.graph.with(|meta| {
            let like = meta.wabas[&self.it.waba_id].clone();
            meta.wabas.insert(other.clone(), MetaWaba { numbers: Vec::new(), ..like });
        });
        let both = vec![self.it.waba_id.clone(), other.clone()];
        self.meta_says(self.it.token.expose(), |token| {
            (token.facts.management_wabas, token.facts.messaging_wabas) = (Some(both.clone()), Some(both));
        });
        other
    }

    fn care(&self) -> TestTokenCare<'_> {
        token_care(&self.world, &self.settings)
    }

    /// The schedule, when it is due.
    async fn look(&self) -> Grant {
        let due = self.grant().care_at.expect("somebody looks");
        self.world.clock.set(due.max(self.world.clock.now()));
        self.care().run_due(10).await.unwrap();
        self.grant()
    }

    fn grant(&self) -> Grant {
        self.world.store.with(|t| t.grants[&self.client.grant_id].clone())
    }

    fn needs_reconnect(&self) -> bool {
        self.world.store.with(|t| t.clients[&self.client.phone_number_id].reconnect_since.is_some())
    }

    fn token(&self) -> String {
        let (grant, context) = (self.grant(), SealContext::GrantToken(&self.client.grant_id));
        self.world.seal.opened(&grant.token.unwrap(), context).unwrap()
    }

    /// The days of which the partner was told, in order.
    fn told(&self) -> Vec<u64> {
        let mut told: Vec<(Timestamp, u64)> = self.world.store.with(|t| {
            let events = t.events.values().filter(|event| event.kind == EXPIRING);
            events.map(|event| (event.at, days_of(event))).collect()
        });
        told.sort();
        told.into_iter().map(|(_, days)| days).collect()
    }
}

fn days_of(event: &AccountEvent) -> u64 {
    let Raw::Plain(raw) = &event.raw else { panic!("small") };
    serde_json::from_str::<serde_json::Value>(raw).unwrap()["days"].as_u64().unwrap()
}

#[tokio::test]
async fn a_token_that_never_ends_is_looked_at_daily_and_kept() {
    let scene = Scene::new(None).await;
    let (begun, before) = (scene.world.clock.now(), scene.grant());
    let grant = scene.look().await;
    assert_eq!((grant.token_version, grant.token), (1, before.token));
    assert_eq!((grant.care_at, grant.care.looked_at), (Some(begun + LOOK_EVERY), Some(begun)));
    assert_eq!(scene.world.graph.calls("derive_business_token"), 0);
}

#[tokio::test]
async fn the_end_is_what_meta_says_and_scopes_too() {
    let scene = Scene::new(Some(60)).await;
    assert_eq!(scene.grant().token_expires_at, None, "as the signup noted it");
    let grant = scene.look().await;
    assert_eq!(grant.token_expires_at, Some(scene.world.clock.now() + DAY * 60));
    assert_eq!(grant.scopes.len(), 2);
}

#[tokio::test]
async fn a_token_is_renewed_in_time_and_the_old_one_kept_until_the_new_one_has_worked() {
    let scene = Scene::new(Some(60)).await;
    let old = scene.token();
    let end = scene.world.clock.now() + DAY * 60;
    while scene.grant().token_version == 1 {
        scene.look().await;
    }
    assert_eq!(scene.world.clock.now(), end - RENEW_BEFORE);
    let grant = scene.grant();
    assert_eq!((grant.token_version, grant.previous.as_ref().unwrap().expires_at), (2, Some(end)));
    assert_ne!(scene.token(), old);
    assert!(grant.token_expires_at > Some(end));
    assert_eq!(scene.world.graph.calls("derive_business_token"), 1);

    let grant = scene.look().await;
    assert_eq!((grant.token_version, grant.previous), (2, None), "it has read the client's account");
    assert_eq!(scene.told(), [] as [u64; 0]);
}

#[tokio::test]
async fn a_newer_token_of_another_signup_is_taken_before_one_is_made() {
    let scene = Scene::new(Some(10)).await;
    scene.world.graph.with(|meta| {
        let mut newer = meta.tokens[scene.it.token.expose()].clone();
        newer.facts.expires_at = None;
        meta.tokens.insert("EAA-newer".to_owned(), newer);
    });
    assert_eq!(scene.look().await.token_version, 2);
    assert_eq!(scene.token(), "EAA-newer");
    assert_eq!(scene.world.graph.calls("derive_business_token"), 0);
}

#[tokio::test]
async fn a_token_that_does_less_is_not_taken() {
    type Change = fn(&mut MetaToken);
    let worse: [(&str, Change); 4] = [
        ("scope", |it| it.facts.scopes.truncate(1)),
        ("account", |it| it.facts.messaging_wabas = Some(vec!["999".parse().unwrap()])),
        ("app", |it| it.facts.app_id = "42".to_owned()),
        ("end", |it| it.facts.expires_at = it.facts.expires_at.map(|end| end - DAY)),
    ];
    for (what, change) in worse {
        let scene = Scene::new(Some(10)).await;
        scene.nobody_can_renew();
        scene.world.graph.with(|meta| {
            let mut other = meta.tokens[scene.it.token.expose()].clone();
            change(&mut other);
            // By its name it is the first that Meta fetches.
            meta.tokens.insert("EAA-other".to_owned(), other);
        });
        let grant = scene.look().await;
        assert_eq!((grant.token_version, grant.care.failures), (1, 1), "{what}");
    }
}

#[tokio::test]
async fn a_tech_provider_exchanges_the_token_itself() {
    let mut scene = Scene::new(Some(10)).await;
    scene.settings.partner = None;
    assert_eq!(scene.look().await.token_version, 2);
    assert_eq!(
        (scene.world.graph.calls("renew_token"), scene.world.graph.calls("fetch_business_token")),
        (1, 0)
    );
}

#[tokio::test]
async fn where_nobody_can_renew_it_the_partner_is_told_three_times_and_each_try_is_counted() {
    let scene = Scene::new(Some(30)).await;
    scene.nobody_can_renew();
    let end = scene.world.clock.now() + DAY * 30;
    while scene.world.clock.now() < end - Duration::from_secs(3600) {
        let failures = scene.grant().care.failures;
        let grant = scene.look().await;
        assert!(grant.care.failures <= failures + 1);
    }
    assert_eq!(scene.told(), [14, 7, 1]);
    let grant = scene.grant();
    assert!(grant.care.failures > ALARM_AFTER);
    assert_eq!((grant.token_version, grant.dead_since, scene.needs_reconnect()), (1, None, false));
}

#[tokio::test]
async fn an_event_that_was_recorded_before_a_crash_is_recorded_once() {
    let scene = Scene::new(Some(13)).await;
    scene.nobody_can_renew();
    scene.world.steps.fault_next("save_care", Fault::CrashBefore);
    scene.look().await;
    scene.world.steps.restart();
    let grant = scene.look().await;
    assert_eq!((scene.told(), grant.care.told_days), (vec![14], Some(14)));
}

#[tokio::test]
async fn a_new_token_that_does_not_work_gives_way_to_the_one_before() {
    let scene = Scene::new(Some(15)).await;
    let old = scene.token();
    assert_eq!(scene.look().await.token_version, 2);
    scene.world.graph.fail_next("account", GraphFault::Refused(refusal(403, 10, "No permission.")));
    let grant = scene.look().await;
    assert_eq!((scene.token(), grant.token_version, grant.previous), (old, 3, None));
    assert_eq!(grant.care.failures, 1, "renewing is tried again later");
    assert!(grant.care_at < Some(scene.world.clock.now() + DAY));
}

#[tokio::test]
async fn new_tokens_that_stop_working_each_time_ring_and_are_told_of_like_renewals_that_fail() {
    let (lines, _listening) = Lines::listen(LevelFilter::WARN);
    let scene = Scene::new(Some(20)).await;
    let old = scene.token();
    let end = scene.world.clock.now() + DAY * 20;
    while scene.world.clock.now() < end - DAY {
        assert!(scene.look().await.previous.is_some(), "it could read the account at first");
        scene.account_is_refused(1);
        scene.look().await;
        assert_eq!(scene.token(), old);
    }
    assert_eq!(scene.told(), [14, 7, 1]);
    let failures = scene.grant().care.failures;
    assert!(failures > ALARM_AFTER);
    let rung = lines.counted(metric::TOKEN_RENEWAL_FAILED);
    assert_eq!(rung, u64::from(failures - ALARM_AFTER + 1));

    scene.look().await;
    let care = scene.look().await.care;
    assert_eq!((care.failures, care.told_days), (0, None), "a new one that works begins anew");
}

#[tokio::test]
async fn a_new_token_that_may_not_read_an_account_of_the_old_one_never_comes_into_service() {
    let scene = Scene::new(Some(15)).await;
    let other = scene.covers_another_account();
    let old = scene.token();
    for failures in 1..=2 {
        // Meta lists the account for it, and refuses it.
        scene.world.graph.fail_next("renew_token", GraphFault::NotSent);
        scene.account_is_refused(1);
        let grant = scene.look().await;
        assert_eq!((scene.token(), grant.token_version, grant.previous), (old.clone(), 1, None));
        assert_eq!(grant.care.failures, failures);
    }
    assert_eq!(scene.look().await.token_version, 2);
    let read = scene.world.graph.with(|meta| {
        let about = meta.calls.iter().filter(|call| call.name == "account" && call.acted);
        about.map(|call| call.about.clone()).collect::<std::collections::BTreeSet<_>>()
    });
    assert!(read.contains(other.as_ref()) && read.contains(scene.it.waba_id.as_ref()), "{read:?}");
}

#[tokio::test]
async fn what_neither_token_may_do_is_no_fault_of_the_new_one_and_both_are_kept() {
    let scene = Scene::new(Some(15)).await;
    let end = scene.world.clock.now() + DAY * 15;
    scene.account_is_refused(2);
    assert_eq!(scene.look().await.token_version, 2, "it does what the old one does");
    while scene.world.clock.now() < end - DAY {
        scene.account_is_refused(2);
        let (grant, now) = (scene.look().await, scene.world.clock.now());
        assert_eq!((grant.token_version, grant.previous.is_some()), (2, true));
        assert_eq!(grant.care_at, Some(now + LOOK_EVERY), "nobody mends that within minutes");
    }
    scene.look().await;
    scene.world.clock.set(end);
    scene.account_is_refused(2);
    assert_eq!(scene.look().await.previous, None, "it has ended");
}

#[tokio::test]
async fn a_momentary_refusal_says_nothing_of_a_new_token() {
    for code in [1, 2, 4, 80_008] {
        let scene = Scene::new(Some(15)).await;
        scene.look().await;
        scene.world.graph.fail_next("account", GraphFault::Refused(refusal(400, code, "Not now.")));
        let grant = scene.look().await;
        assert_eq!((grant.token_version, grant.previous.is_some()), (2, true), "{code}");
        assert_eq!(grant.care_at, Some(scene.world.clock.now() + SOON), "{code}");
        assert_eq!(scene.look().await.previous, None);
    }
}

#[tokio::test]
async fn where_meta_lists_no_accounts_those_of_the_clients_are_asked_for_tried_and_told_of() {
    for partner in [token_settings().partner, None] {
        let mut scene = Scene::new(Some(10)).await;
        scene.settings.partner = partner;
        scene.lists_no_accounts();
        let grant = scene.look().await;
        assert_eq!(grant.token_version, 2);
        scene.meta_says(&scene.token(), |new| {
            let asked_for = new.facts.management_wabas.clone();
            assert!(asked_for.is_none_or(|it| it == [scene.it.waba_id.clone()]), "{new:?}");
        });
        let tried = scene.world.graph.acts("account");
        scene.account_is_refused(1);
        assert_eq!(scene.look().await.token_version, 3, "the one before comes back");
        assert!(tried > 0 && scene.world.graph.acts("account") > tried);
        assert_eq!(scene.told(), [14]);
    }
}

#[tokio::test]
async fn without_any_account_no_token_is_asked_for_and_the_old_one_is_kept_till_its_end() {
    let scene = Scene::new(Some(10)).await;
    scene.lists_no_accounts();
    let changed_at = scene.world.clock.now();
    scene.world.store.with(|t| t.clients.clear());
    let grant = scene.look().await;
    assert_eq!((grant.token_version, scene.world.graph.calls("derive_business_token")), (2, 0), "exchanged");
    assert!(scene.look().await.previous.is_some(), "nothing was tried");
    scene.world.clock.set(changed_at + DAY * 10);
    assert_eq!(scene.look().await.previous, None);
}

#[tokio::test]
async fn while_meta_is_down_the_old_token_is_kept() {
    let scene = Scene::new(Some(15)).await;
    scene.look().await;
    scene.world.graph.fail_next("account", GraphFault::UnclearBefore);
    assert!(scene.look().await.previous.is_some());
    assert_eq!(scene.look().await.previous, None);
}

#[tokio::test]
async fn a_death_is_believed_after_two_refused_calls_and_all_clients_of_the_grant_must_reconnect() {
    let scene = Scene::new(None).await;
    scene.dies(scene.it.token.expose());
    scene.nobody_can_renew();
    let first = scene.look().await;
    assert_eq!((first.dead_since, scene.needs_reconnect()), (None, false), "one refusal proves nothing");
    let grant = scene.look().await;
    assert_eq!(grant.dead_since, Some(scene.world.clock.now()));
    assert!(scene.needs_reconnect());
    assert_eq!(scene.world.graph.calls("token_user"), 2);
}

#[tokio::test]
async fn a_refusal_that_does_not_come_again_proves_nothing() {
    let scene = Scene::new(None).await;
    scene.dies(scene.it.token.expose());
    scene.look().await;
    scene.meta_says(scene.it.token.expose(), |token| token.facts.is_valid = true);
    let grant = scene.look().await;
    assert_eq!((grant.dead_since, grant.care.refused_at), (None, None));
    for error in [GraphFault::UnclearBefore, GraphFault::Refused(refusal(403, 200, "Not this."))] {
        scene.dies(scene.it.token.expose());
        for _ in 0..3 {
            scene.world.graph.fail_next("token_user", error.clone());
            assert_eq!(scene.look().await.dead_since, None, "{error:?}");
        }
    }
}

#[tokio::test]
async fn a_dead_token_is_replaced_without_its_client_where_meta_lets_us() {
    let scene = Scene::new(None).await;
    scene.dies(scene.it.token.expose());
    scene.look().await;
    let grant = scene.look().await;
    assert_eq!((grant.token_version, grant.dead_since, grant.previous), (2, None, None));
    assert!(!scene.needs_reconnect());
}

#[tokio::test]
async fn a_client_need_not_reconnect_because_meta_was_busy_when_another_token_was_asked_for() {
    let scene = Scene::new(None).await;
    scene.dies(scene.it.token.expose());
    scene.look().await;
    scene.world.graph.fail_next("derive_business_token", GraphFault::NotSent);
    let grant = scene.look().await;
    assert_eq!((grant.token_version, grant.dead_since, scene.needs_reconnect()), (1, None, false));
    let grant = scene.look().await;
    assert_eq!((grant.token_version, scene.needs_reconnect()), (2, false));

    // But not for ever.
    scene.dies(&scene.token());
    scene.look().await;
    for _ in 0..=ALARM_AFTER {
        scene.world.graph.fail_next("derive_business_token", GraphFault::NotSent);
        scene.look().await;
    }
    assert!(scene.needs_reconnect());
}

#[tokio::test]
async fn a_dead_token_gives_way_to_the_one_before_also_where_meta_was_down_at_first() {
    let scene = Scene::new(Some(15)).await;
    let old = scene.token();
    scene.look().await;
    scene.dies(&scene.token());
    scene.look().await;
    // It says what it thinks of the new one, and then is not reached.
    let calls = scene.world.graph.with(|meta| meta.calls.len());
    for call in 2..=4 {
        scene.world.graph.fail_at(calls + call, GraphFault::NotSent);
    }
    let grant = scene.look().await;
    assert_eq!((grant.token_version, grant.previous.is_some()), (2, true));
    let grant = scene.look().await;
    assert_eq!((scene.token(), grant.token_version, grant.dead_since), (old, 3, None));
}

#[tokio::test]
async fn a_token_that_was_buried_is_replaced_as_soon_as_meta_gives_another() {
    let scene = Scene::new(None).await;
    scene.dies(scene.it.token.expose());
    scene.nobody_can_renew();
    scene.look().await;
    scene.look().await;
    assert!(scene.needs_reconnect());
    let buried = scene.look().await;
    assert_eq!(buried.care_at, Some(scene.world.clock.now() + LOOK_EVERY));
    scene.world.graph.with(|meta| meta.uninstalled.clear());
    let grant = scene.look().await;
    assert_eq!((grant.token_version, grant.dead_since, scene.needs_reconnect()), (2, None, false));
}

#[tokio::test]
async fn a_token_that_was_taken_for_dead_and_works_is_used_again() {
    let scene = Scene::new(None).await;
    let now = scene.world.clock.now();
    scene.world.store.mark_dead(&scene.client.grant_id, 1, now).await.unwrap();
    scene.world.store.set_reconnect(&scene.client.phone_number_id, Some(now)).await.unwrap();
    let grant = scene.look().await;
    assert_eq!((grant.token_version, grant.dead_since, scene.needs_reconnect()), (2, None, false));
}

#[tokio::test]
async fn a_signup_that_stores_a_token_meanwhile_wins() {
    let scene = Scene::new(Some(10)).await;
    let now = scene.world.clock.now();
    let claimed =
        scene.world.store.claim_care(&scene.client.grant_id, now, now + CLAIM).await.unwrap().unwrap();
    let found = scene.care().look_after(claimed.clone()).await.unwrap();
    assert_eq!(found.token_version, 2);
    let sealed =
        scene.world.seal.seal("EAA-signup", SealContext::GrantToken(&scene.client.grant_id)).await.unwrap();
    let signup = Grant { token: Some(sealed), token_version: 2, care_at: Some(now), ..claimed };
    scene.world.store.with(|t| t.grants.insert(signup.id.clone(), signup.clone()));
    assert!(!scene.world.store.save_care(&found, 1, now + CLAIM).await.unwrap());
    assert_eq!(scene.token(), "EAA-signup");
}

#[tokio::test]
async fn one_token_that_cannot_be_looked_at_stops_no_other() {
    let scene = Scene::new(None).await;
    let (other, _) = scene.world.active_client(&bot(), 2).await;
    scene.world.steps.fault_next("open", Fault::FailBefore);
    scene.care().run_due(10).await.unwrap();
    let looked = |id: &GrantId| scene.world.store.with(|t| t.grants[id].care.looked_at.is_some());
    assert_eq!([looked(&scene.client.grant_id), looked(&other.grant_id)].iter().filter(|it| **it).count(), 1);
}

#[tokio::test]
async fn a_grant_without_a_token_is_looked_at_no_more() {
    let scene = Scene::new(None).await;
    scene.world.store.with(|t| t.grants.get_mut(&scene.client.grant_id).unwrap().token = None);
    assert_eq!(scene.look().await.care_at, None);
}

/// A system user with a token that ends after so many days.
async fn system_user(days: Option<u32>) -> Scene {
    let scene = Scene::new(None).await;
    let end = days.map(|days| scene.world.clock.now() + DAY * days);
    scene.world.graph.with(|meta| {
        let mut token = meta.tokens[scene.it.token.expose()].clone();
        token.facts.expires_at = end;
        token.business_id = None;
        meta.tokens.insert("EAA-system".to_owned(), token);
    });
    let token = AccessToken::try_from("EAA-system".to_owned()).unwrap();
    scene.world.vault.replace_system_token(&token).await.unwrap();
    scene
}

async fn system_token(scene: &Scene) -> String {
    scene.world.vault.system_token().await.unwrap().unwrap().expose().to_owned()
}

#[tokio::test]
async fn the_system_users_token_is_renewed_in_time_and_put_where_all_read_it() {
    let scene = system_user(Some(25)).await;
    scene.care().look_after_system_token().await.unwrap();
    assert_eq!(system_token(&scene).await, "EAA-system", "there is time");
    scene.world.clock.advance(DAY * 6);
    scene.care().look_after_system_token().await.unwrap();
    assert_ne!(system_token(&scene).await, "EAA-system");
    assert_eq!(scene.world.graph.calls("renew_token"), 1);
}

#[tokio::test]
async fn a_system_users_token_that_cannot_be_renewed_stays_and_is_told_of() {
    let scene = system_user(Some(6)).await;
    scene.nobody_can_renew();
    for _ in 0..2 {
        scene.care().look_after_system_token().await.unwrap();
    }
    assert_eq!((system_token(&scene).await.as_str(), scene.told()), ("EAA-system", vec![7]));
}

#[tokio::test]
async fn a_new_token_of_the_system_user_that_does_not_work_is_not_put_in_its_place() {
    let scene = system_user(Some(6)).await;
    scene.world.graph.fail_next("token_user", GraphFault::Refused(refusal(401, 190, "No.")));
    scene.care().look_after_system_token().await.unwrap();
    assert_eq!(system_token(&scene).await, "EAA-system");
}

#[tokio::test]
async fn the_system_users_token_is_not_asked_for_what_only_business_tokens_have() {
    let scene = system_user(Some(6)).await;
    scene.care().look_after_system_token().await.unwrap();
    assert_ne!(system_token(&scene).await, "EAA-system");
    assert_eq!(scene.world.graph.calls("client_business"), 0);
}

#[tokio::test]
async fn a_new_token_of_the_system_user_that_cannot_be_stored_rings_and_is_told_of() {
    let (lines, _listening) = Lines::listen(LevelFilter::WARN);
    let scene = system_user(Some(6)).await;
    scene.world.steps.fault_next("replace_system_token", Fault::FailBefore);
    scene.care().look_after_system_token().await.unwrap_err();
    let counted = [metric::TOKEN_RENEWAL_FAILED, metric::TOKEN_EXPIRING].map(|it| lines.counted(it));
    assert_eq!((counted, scene.told()), ([1, 1], vec![7]));
    scene.care().look_after_system_token().await.unwrap();
    assert_ne!(system_token(&scene).await, "EAA-system");
}

#[tokio::test]
async fn a_token_of_the_system_user_that_cannot_be_read_rings() {
    let (lines, _listening) = Lines::listen(LevelFilter::WARN);
    let scene = system_user(Some(30)).await;
    scene.world.steps.fault_next("system_token", Fault::FailBefore);
    scene.care().look_after_system_token().await.unwrap_err();
    assert_eq!(lines.counted(metric::TOKEN_RENEWAL_FAILED), 1);
}

#[tokio::test]
async fn a_tech_provider_has_no_system_user_to_look_after() {
    let scene = Scene::new(None).await;
    scene.care().look_after_system_token().await.unwrap();
    assert_eq!(scene.world.graph.calls("token_facts"), 0);
}
