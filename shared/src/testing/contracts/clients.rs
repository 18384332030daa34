use serde_json::json;

use super::{Ids, Must, at, early, eventually};
use crate::domain::account::Account;
use crate::domain::bot::{Bot, BotSettings};
use crate::domain::client::{Client, ClientStatus, Pause, PauseReason};
use crate::domain::drift::{CallToken, Check, Drift, DriftName, MetaCall};
use crate::domain::ids::GrantId;
use crate::domain::money::{Month, Usd};
use crate::domain::onboarding::Turn;
use crate::domain::seal::Sealed;
use crate::ports::{
    AddSpending, CheckRounds, ClientClaim, ListClients, MarkClients, NoteChecks, Page, ReadBots, ReadClients,
    ReadSpending, SavedBot, TouchClients, WriteBots, WriteClients,
};

/// [`ReadBots`] and [`WriteBots`]: a bot that nobody set up has the defaults.
pub async fn bots(store: &(impl ReadBots + WriteBots), unique: &str) {
    let ids = Ids::new("bots", unique);
    let id = ids.bot(1);
    let is = async |version: u64, settings: &BotSettings| {
        let expected = Bot { id: id.clone(), version, settings: settings.clone() };
        assert_eq!(store.bot(&id).await.must(), expected);
    };
    is(0, &BotSettings::default()).await;
    let [one, two, three] = ["One", "Two", "Three"].map(bot_that_says);
    assert_eq!(store.save_bot(&id, &one, Some(1)).await.must(), SavedBot::Changed(0));
    is(0, &BotSettings::default()).await;
    for _ in 0..2 {
        assert_eq!(store.save_bot(&id, &one, Some(0)).await.must(), SavedBot::Saved(1), "also repeated");
        is(1, &one).await;
    }
    assert_eq!(store.save_bot(&id, &two, Some(0)).await.must(), SavedBot::Changed(1));
    is(1, &one).await;
    assert_eq!(store.save_bot(&id, &two, Some(1)).await.must(), SavedBot::Saved(2));
    assert_eq!(store.save_bot(&id, &one, Some(1)).await.must(), SavedBot::Changed(2));
    assert_eq!(store.save_bot(&id, &three, None).await.must(), SavedBot::Saved(3));
    is(3, &three).await;
    let (a, b) = tokio::join!(store.save_bot(&id, &one, Some(3)), store.save_bot(&id, &two, Some(3)));
    let mut both = [a.must(), b.must()];
    both.sort_by_key(|saved| matches!(saved, SavedBot::Changed(_)));
    assert_eq!(both, [SavedBot::Saved(4), SavedBot::Changed(4)], "of two, one is written");
    assert_eq!(store.save_bot(&ids.bot(2), &one, None).await.must(), SavedBot::Saved(1));
}

/// [`ReadSpending`] and [`AddSpending`]: sums of a bot and a month, apart from its settings and from others'.
pub async fn spending(store: &(impl ReadSpending + AddSpending + ReadBots + WriteBots), unique: &str) {
    let ids = Ids::new("spending", unique);
    let (id, other) = (ids.bot(1), ids.bot(2));
    let [november, december] =
        ["2026-11-30T23:59:59Z", "2026-12-01T00:00:00Z"].map(|at| Month::of(at.parse().expect("a time")));
    let usd = Usd::from_micros;
    assert_eq!(store.spent(&id, &november).await.must(), usd(0));
    assert_eq!(store.add_spending(&id, &november, usd(7)).await.must(), usd(7));
    assert_eq!(store.add_spending(&id, &november, usd(5_000_000)).await.must(), usd(5_000_007));
    assert_eq!(store.add_spending(&id, &december, usd(0)).await.must(), usd(0));
    let (a, b) = tokio::join!(
        store.add_spending(&id, &november, usd(10)),
        store.add_spending(&id, &november, usd(10))
    );
    let mut both = [a.must(), b.must()];
    both.sort_unstable();
    assert_eq!(both, [usd(5_000_017), usd(5_000_027)], "each gets a sum of its own");
    assert_eq!(store.spent(&id, &november).await.must(), usd(5_000_027));
    assert_eq!(store.spent(&id, &december).await.must(), usd(0));
    assert_eq!(store.spent(&other, &november).await.must(), usd(0));
    assert_eq!(store.bot(&id).await.must().version, 0, "settings are another matter");
    assert_eq!(store.save_bot(&id, &bot_that_says("One"), Some(0)).await.must(), SavedBot::Saved(1));
    assert_eq!(store.spent(&id, &november).await.must(), usd(5_000_027));
}

/// Settings with messages in them that are deep and have numbers of every kind.
fn bot_that_says(text: &str) -> BotSettings {
    let place =
        json!({"type": "location", "location": {"latitude": 52.520_008, "longitude": -1e-7, "name": text}});
    let deep = (0..40).fold(json!(1), |inner, _| json!({ "inner": inner }));
    let list = json!({"type": "interactive", "interactive": {"type": "list", "new": deep}});
    let rules = json!([
        {"keyword": "where", "answer": place}, {"pattern": "\\d", "answer": list}, {"choice": "a", "answer": ""}]);
    let hours = json!({"timeZone": "UTC", "weekly": [{"days": ["monday"], "from": "09:00", "to": "24:00"}]});
    let hand_over = json!({"keywords": ["human"], "minutes": 5, "answer": text, "byModel": true});
    let all = json!({"model": "deep.2", "monthlyBudgetUsd": 0.000_001, "rules": rules, "businessHours": hours, "handOver": hand_over, "instructions": ""});
    serde_json::from_value(all).expect("settings")
}

/// [`ReadClients`], [`WriteClients`], [`ListClients`], [`TouchClients`] and [`MarkClients`].
pub async fn clients(
    store: &(impl ReadClients + WriteClients + ListClients + TouchClients + MarkClients),
    unique: &str,
) {
    let ids = Ids::new("clients", unique);
    a_claimed_number_is_there_and_a_repeated_claim_changes_nothing(store, &ids).await;
    the_same_bot_keeps_what_was_achieved(store, &ids).await;
    a_number_in_use_elsewhere_is_refused(store, &ids).await;
    an_abandoned_number_is_taken_over_with_its_pin(store, &ids).await;
    of_two_bots_that_claim_at_once_the_loser_cannot_save(store, &ids).await;
    only_the_claiming_onboarding_saves(store, &ids).await;
    the_last_message_only_moves_forward(store, &ids).await;
    a_pause_is_changed_by_who_knows_it_and_kept_by_saves(store, &ids).await;
    the_need_of_a_new_signup_is_noted_and_removed(store, &ids).await;
    lists_are_by_phone_number_id_in_pages(store, &ids).await;
}

/// What onboarding `n` of bot `bot` wants to write for a number.
pub(super) fn wanted(ids: &Ids, phone: u32, bot: u32, onboarding: u32) -> Client {
    Client {
        phone_number_id: ids.phone(phone),
        bot_id: ids.bot(bot),
        grant_id: GrantId::new(&ids.bot(bot), &ids.business(onboarding)),
        waba_id: ids.waba(onboarding),
        business_id: ids.business(onboarding),
        client_name: Some(format!("Bakery {onboarding}")),
        display_phone_number: None,
        verified_name: None,
        quality_rating: None,
        stage: ClientStatus::Onboarding,
        account: Account::default(),
        signed_up_at: at(i64::from(onboarding)),
        on_biz_app: false,
        throughput: None,
        pause: None,
        reconnect_since: None,
        onboarding_id: ids.onboarding(onboarding),
        sealed_pin: None,
        credit_shared: None,
        onboarded_at: None,
        last_message_at: None,
        last_webhook_at: None,
        check: None,
        created_at: at(i64::from(onboarding)),
        updated_at: at(i64::from(onboarding)),
    }
}

/// The same with all that an onboarding adds.
pub(super) fn finished(client: Client, stage: ClientStatus) -> Client {
    Client {
        display_phone_number: Some("+1 555-010-0123".to_owned()),
        verified_name: Some("Corner Bakery".to_owned()),
        quality_rating: Some("GREEN".to_owned()),
        stage,
        on_biz_app: true,
        throughput: Some(1000),
        sealed_pin: Some(Sealed::new(vec![1, 2, 3, 250])),
        credit_shared: Some(true),
        onboarded_at: Some(at(50)),
        updated_at: at(50),
        ..client
    }
}

pub(super) async fn claimed(store: &impl WriteClients, wanted: &Client) -> Client {
    match store.claim_client(wanted).await.must() {
        ClientClaim::Ours(client) => *client,
        ClientClaim::InUse => panic!("the number is free, and was refused"),
    }
}

async fn a_claimed_number_is_there_and_a_repeated_claim_changes_nothing(
    store: &(impl ReadClients + WriteClients),
    ids: &Ids,
) {
    let client = wanted(ids, 1, 1, 1);
    assert_eq!(store.client(&client.phone_number_id).await.must(), None);
    assert_eq!(claimed(store, &client).await, client);
    assert_eq!(claimed(store, &client).await, client);
    assert_eq!(store.client(&client.phone_number_id).await.must(), Some(client));
}

async fn the_same_bot_keeps_what_was_achieved(
    store: &(impl ReadClients + WriteClients + TouchClients),
    ids: &Ids,
) {
    for (phone, status) in [
        (2, ClientStatus::Onboarding),
        (3, ClientStatus::Active),
        (4, ClientStatus::Suspended),
        (5, ClientStatus::Inactive),
    ] {
        let first = finished(claimed(store, &wanted(ids, phone, 1, 1)).await, status);
        assert!(store.save_client(&first).await.must());
        let again = wanted(ids, phone, 1, 2);
        let ours = claimed(store, &again).await;
        assert_eq!((ours.stage, ours.onboarded_at), (status, first.onboarded_at));
        assert_eq!((&ours.sealed_pin, ours.created_at), (&first.sealed_pin, first.created_at));
        assert_new_ids_and_name(&ours, &again);
        assert_eq!(store.client(&again.phone_number_id).await.must(), Some(ours));
    }
}

fn assert_new_ids_and_name(ours: &Client, wanted: &Client) {
    assert_eq!(ours.bot_id, wanted.bot_id);
    assert_eq!(ours.grant_id, wanted.grant_id);
    assert_eq!(ours.waba_id, wanted.waba_id);
    assert_eq!(ours.business_id, wanted.business_id);
    assert_eq!(ours.onboarding_id, wanted.onboarding_id);
    assert_eq!(ours.client_name, wanted.client_name);
}

async fn a_number_in_use_elsewhere_is_refused(store: &(impl ReadClients + WriteClients), ids: &Ids) {
    for (phone, status) in [(6, ClientStatus::Active), (7, ClientStatus::Suspended)] {
        let first = finished(claimed(store, &wanted(ids, phone, 1, 1)).await, status);
        assert!(store.save_client(&first).await.must());
        assert_eq!(store.claim_client(&wanted(ids, phone, 2, 2)).await.must(), ClientClaim::InUse);
        assert_eq!(store.client(&first.phone_number_id).await.must(), Some(first), "nothing changed");
    }
}

async fn an_abandoned_number_is_taken_over_with_its_pin(
    store: &(impl ReadClients + WriteClients),
    ids: &Ids,
) {
    for (phone, status) in [(8, ClientStatus::Onboarding), (9, ClientStatus::Inactive)] {
        let first = finished(claimed(store, &wanted(ids, phone, 1, 1)).await, status);
        assert!(store.save_client(&first).await.must());
        let taker = wanted(ids, phone, 2, 2);
        let ours = claimed(store, &taker).await;
        assert_eq!((&ours.sealed_pin, ours.created_at), (&first.sealed_pin, first.created_at));
        assert_eq!((ours.stage, ours.onboarded_at), (ClientStatus::Onboarding, None));
        assert_new_ids_and_name(&ours, &taker);
        assert_eq!(store.client(&taker.phone_number_id).await.must(), Some(ours.clone()));
        assert!(!store.save_client(&first).await.must(), "the loser finds out");
        assert_eq!(store.client(&taker.phone_number_id).await.must(), Some(ours));
    }
}

async fn of_two_bots_that_claim_at_once_the_loser_cannot_save(
    store: &(impl ReadClients + WriteClients),
    ids: &Ids,
) {
    let (a, b) = (wanted(ids, 10, 1, 1), wanted(ids, 10, 2, 2));
    let (first, second) = tokio::join!(store.claim_client(&a), store.claim_client(&b));
    assert!([first.must(), second.must()].iter().any(|claim| matches!(claim, ClientClaim::Ours(_))));
    let (first, second) = tokio::join!(store.save_client(&a), store.save_client(&b));
    let saved = [first.must(), second.must()];
    let owner = store.client(&a.phone_number_id).await.must().map(|client| client.bot_id);
    assert_eq!(saved.map(usize::from).iter().sum::<usize>(), 1, "one of them");
    assert_eq!(owner, Some(if saved[0] { a.bot_id } else { b.bot_id }));
}

async fn only_the_claiming_onboarding_saves(store: &(impl ReadClients + WriteClients), ids: &Ids) {
    assert!(!store.save_client(&wanted(ids, 11, 1, 1)).await.must(), "never claimed");
    assert_eq!(store.client(&ids.phone(11)).await.must(), None);
    let ours = claimed(store, &wanted(ids, 11, 1, 1)).await;
    assert!(!store.save_client(&wanted(ids, 11, 1, 2)).await.must(), "another onboarding");
    let stranger = Client { bot_id: ids.bot(2), ..ours.clone() };
    assert!(!store.save_client(&stranger).await.must(), "another bot");
    assert_eq!(store.client(&ids.phone(11)).await.must(), Some(ours.clone()));
    let full = finished(ours, ClientStatus::Active);
    for _ in 0..2 {
        assert!(store.save_client(&full).await.must(), "may be repeated");
        assert_eq!(store.client(&ids.phone(11)).await.must(), Some(full.clone()));
    }
}

async fn the_last_message_only_moves_forward(
    store: &(impl ReadClients + WriteClients + TouchClients),
    ids: &Ids,
) {
    let phone = ids.phone(12);
    for message in [Some(at(0)), None] {
        store.touch_client(&phone, message, at(0)).await.must();
    }
    assert_eq!(store.client(&phone).await.must(), None, "an unknown client stays unknown");
    let client = claimed(store, &wanted(ids, 12, 1, 1)).await;
    for (message, heard, expected) in [
        (None, 100, (None, 100)),
        (None, 50, (None, 100)),
        (Some(3600), 3601, (Some(3600), 3601)),
        (Some(0), 3700, (Some(3600), 3601)),
        (Some(3600), 3701, (Some(3600), 3601)),
        (None, 3800, (Some(3600), 3800)),
        (Some(7200), 7201, (Some(7200), 7201)),
    ] {
        store.touch_client(&phone, message.map(at), at(heard)).await.must();
        let known = store.client(&phone).await.must().expect("it was claimed");
        let expected = (expected.0.map(at), Some(at(expected.1)));
        assert_eq!((known.last_message_at, known.last_webhook_at), expected);
        let bare = Client { last_message_at: None, last_webhook_at: None, ..known };
        assert_eq!(bare, client, "nothing else changes");
    }
    assert!(store.save_client(&client).await.must());
    let known = store.client(&phone).await.must().expect("it was claimed");
    let times = (known.last_message_at, known.last_webhook_at);
    assert_eq!(times, (Some(at(7200)), Some(at(7201))), "a save leaves them as they are");
}

async fn a_pause_is_changed_by_who_knows_it_and_kept_by_saves(
    store: &(impl ReadClients + WriteClients + MarkClients),
    ids: &Ids,
) {
    let phone = ids.phone(13);
    let pause = |reason, until| Pause { reason, since: at(0), until: at(until) };
    let (first, second) = (pause(PauseReason::Payment, 10), pause(PauseReason::Locked, 20));
    assert!(!store.change_pause(&phone, None, Some(&first)).await.must(), "an unknown client");
    assert_eq!(store.client(&phone).await.must(), None, "stays unknown");
    let client = claimed(store, &wanted(ids, 13, 1, 1)).await;
    let stored = async || store.client(&phone).await.must().expect("it was claimed").pause;
    assert!(!store.change_pause(&phone, Some(&first), Some(&second)).await.must(), "there is none");
    let (one, two) = tokio::join!(
        store.change_pause(&phone, None, Some(&first)),
        store.change_pause(&phone, None, Some(&first))
    );
    assert_eq!([one.must(), two.must()].map(usize::from).iter().sum::<usize>(), 1, "one of two writers");
    for wrong in [None, Some(&second), Some(&pause(PauseReason::Locked, 10))] {
        assert!(!store.change_pause(&phone, wrong, None).await.must());
        assert_eq!(stored().await, Some(first));
    }
    assert!(store.change_pause(&phone, Some(&first), Some(&second)).await.must());
    assert!(store.save_client(&client).await.must());
    assert_eq!(stored().await, Some(second), "a save leaves it as it is");
    assert!(store.change_pause(&phone, Some(&second), None).await.must());
    assert_eq!(store.client(&phone).await.must(), Some(client));
}

async fn the_need_of_a_new_signup_is_noted_and_removed(
    store: &(impl ReadClients + WriteClients + MarkClients),
    ids: &Ids,
) {
    let phone = ids.phone(14);
    store.set_reconnect(&phone, Some(at(5))).await.must();
    assert_eq!(store.client(&phone).await.must(), None, "an unknown client stays unknown");
    let client = claimed(store, &wanted(ids, 14, 1, 1)).await;
    store.set_reconnect(&phone, Some(at(5))).await.must();
    let marked = Client { reconnect_since: Some(at(5)), ..client.clone() };
    assert_eq!(store.client(&phone).await.must(), Some(marked));
    store.set_reconnect(&phone, None).await.must();
    assert_eq!(store.client(&phone).await.must(), Some(client));
}

async fn lists_are_by_phone_number_id_in_pages(store: &(impl ListClients + WriteClients), ids: &Ids) {
    for (phone, bot) in [(22, 20), (20, 20), (23, 21), (21, 20), (24, 20)] {
        claimed(store, &wanted(ids, phone, bot, 1)).await;
    }
    let bot = ids.bot(20);
    let expected = [20, 21, 22, 24].map(|phone| wanted(ids, phone, 20, 1));
    let all =
        async || pages(None, async |after| store.clients_of(&bot, after.as_deref(), 3).await.must()).await;
    let listed = eventually("a bot's clients", all, |clients| clients.len() >= expected.len()).await;
    assert_eq!(listed, expected);
    let after = ids.phone(21).to_string();
    let page = store.clients_of(&bot, Some(&after), 50).await.must();
    assert_eq!((page.items.as_slice(), page.next), (&expected[2..], None));
    assert!(store.clients_of(&ids.bot(99), None, 50).await.must().items.is_empty());

    let start = Some(ids.phone(19).to_string());
    let first = async || store.all_clients(start.as_deref(), 5).await.must().items;
    let ours =
        |clients: &Vec<Client>| clients.iter().all(|c| (20..=24).any(|n| c.phone_number_id == ids.phone(n)));
    let listed = eventually("all clients", first, |clients| clients.len() == 5 && ours(clients)).await;
    let phones: Vec<_> = listed.into_iter().map(|client| client.phone_number_id).collect();
    assert_eq!(phones, [20, 21, 22, 23, 24].map(|n| ids.phone(n)));
    let page = store.all_clients(start.as_deref(), 2).await.must();
    assert_eq!(page.items.len(), 2);
    let page = store.all_clients(page.next.as_deref(), 1).await.must();
    assert_eq!(page.items[0].phone_number_id, ids.phone(22));
}

/// Follows a list to its end.
async fn pages<T>(start: Option<String>, ask: impl AsyncFn(Option<String>) -> Page<T>) -> Vec<T> {
    let mut items = Vec::new();
    let mut after = start;
    for _ in 0..20 {
        let page = ask(after).await;
        assert!(page.items.len() <= 3, "a page is no longer than its limit");
        items.extend(page.items);
        after = page.next;
        if after.is_none() {
            return items;
        }
    }
    panic!("the pages do not end")
}

/// [`NoteChecks`]: the newest look is kept, whoever writes the rest of the record.
pub async fn checks(store: &(impl ReadClients + WriteClients + NoteChecks), unique: &str) {
    let ids = Ids::new("checks", unique);
    let phone = ids.phone(1);
    let look = |seconds: i64, drifts: Vec<Drift>| Check { at: at(seconds), drifts };
    store.note_check(&phone, &look(100, Vec::new())).await.must();
    assert_eq!(store.client(&phone).await.must(), None, "an unknown client stays unknown");
    let client = claimed(store, &wanted(&ids, 1, 1, 1)).await;
    for (new, expected) in [(100, 100), (50, 100), (200, 200)] {
        store.note_check(&phone, &look(new, every_drift())).await.must();
        let known = store.client(&phone).await.must().expect("it was claimed");
        assert_eq!(known, Client { check: Some(look(expected, every_drift())), ..client.clone() });
    }
    assert!(store.save_client(&client).await.must());
    store.note_check(&phone, &look(300, Vec::new())).await.must();
    assert!(store.save_client(&client).await.must());
    let known = store.client(&phone).await.must().expect("it was claimed");
    assert_eq!(known.check, Some(look(300, Vec::new())), "a save leaves it as it is");
    let again = claimed(store, &wanted(&ids, 1, 1, 2)).await;
    assert_eq!(again.check, known.check, "so does the same bot's next signup");
}

/// A drift with everything, and one with nothing.
fn every_drift() -> Vec<Drift> {
    let call = MetaCall {
        method: "POST".to_owned(),
        path: "/117/register".to_owned(),
        parameters: [("pin".to_owned(), json!("{storedPin}")), ("deep".to_owned(), json!({"a": [1, null]}))]
            .into(),
        token: CallToken::Client,
    };
    let full = Drift {
        name: DriftName::NotConnected,
        turn: Turn::Ours,
        expected: Some("CONNECTED".to_owned()),
        found: Some("PENDING".to_owned()),
        calls: vec![call],
    };
    let bare = Drift {
        name: DriftName::TokenInvalid,
        turn: Turn::NewSignup,
        expected: None,
        found: None,
        calls: Vec::new(),
    };
    vec![full, bare]
}

/// [`CheckRounds`]: of two that go on from the same place, one does. Needs tables of its own: there is one round.
pub async fn check_rounds(store: &(impl CheckRounds + ListClients), _unique: &str) {
    let begun = store.check_round().await.must();
    if begun.version == 0 {
        assert_eq!((begun.due_at, begun.after.clone()), (early(0), None), "nobody ever went");
    }
    let first = begun.moved(at(10), Some("117".to_owned()));
    let second = begun.moved(at(20), None);
    let (a, b) = tokio::join!(store.save_check_round(&first), store.save_check_round(&second));
    assert_eq!(usize::from(a.must()) + usize::from(b.must()), 1, "one of two");
    let known = store.check_round().await.must();
    assert!(known == first || known == second, "{known:?}");
    for after in [Some("118".to_owned()), None] {
        let known = store.check_round().await.must();
        let next = known.moved(at(30), after);
        assert!(store.save_check_round(&next).await.must());
        assert!(!store.save_check_round(&next).await.must(), "it is there already");
        assert_eq!(store.check_round().await.must(), next);
    }
    let listed = store.all_clients(None, 100).await.must();
    assert!(
        listed.items.iter().all(|client| !client.phone_number_id.as_ref().contains('#')),
        "it is no client"
    );
}
