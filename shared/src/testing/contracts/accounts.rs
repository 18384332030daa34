use super::clients::{claimed, finished, wanted};
use super::{Ids, Must, at, early, eventually};
use crate::domain::account::{Ban, Change, Link, Noted, Removal, Restriction};
use crate::domain::client::{Client, ClientStatus};
use crate::domain::offboarding::{OffStep, Offboarding};
use crate::ports::{
    ClientClaim, LeaveClients, NoteAccounts, Offboardings, ReadClients, StartOffboardings, WriteClients,
};

fn noted(seconds: i64, change: Change) -> Noted {
    Noted { at: at(seconds), change }
}

/// [`NoteAccounts`] and [`LeaveClients`], and what claims make of a client that left.
pub async fn accounts(store: &(impl ReadClients + WriteClients + NoteAccounts + LeaveClients), unique: &str) {
    let ids = Ids::new("accounts", unique);
    of_each_aspect_the_newest_event_counts(store, &ids).await;
    a_save_leaves_what_events_told_alone(store, &ids).await;
    clients_are_found_by_account_and_by_business(store, &ids).await;
    a_client_that_left_begins_anew(store, &ids).await;
    a_client_that_left_is_free_for_another_bot(store, &ids).await;
    only_the_onboarding_that_it_is_of_loses_its_pin(store, &ids).await;
}

async fn active(store: &impl WriteClients, ids: &Ids, phone: u32) -> Client {
    let client = finished(claimed(store, &wanted(ids, phone, 1, 1)).await, ClientStatus::Active);
    assert!(store.save_client(&client).await.must());
    client
}

async fn of_each_aspect_the_newest_event_counts(
    store: &(impl ReadClients + WriteClients + NoteAccounts),
    ids: &Ids,
) {
    let phone = ids.phone(1);
    let nobody = store.note_account(&phone, &noted(60, Change::Ban(Ban::Disabled)), at(90)).await.must();
    assert_eq!((nobody, store.client(&phone).await.must()), (None, None), "an unknown client stays so");
    active(store, ids, 1).await;
    let restriction = |kind: &str, until| Change::Restriction(Restriction { kind: kind.to_owned(), until });
    let events = [
        noted(70, Change::Ban(Ban::Disabled)),
        noted(70, Change::Ban(Ban::Disabled)),
        noted(80, Change::Ban(Ban::Reinstated)),
        noted(75, Change::Ban(Ban::Disabled)),
        // At the same second: the same one, whichever comes first.
        noted(61, Change::Link(Link::Found)),
        noted(61, Change::Link(Link::Lost)),
        noted(62, restriction("RESTRICTED_A", Some(at(500)))),
        noted(62, restriction("RESTRICTED_B", None)),
        noted(62, restriction("RESTRICTED_A", Some(at(400)))),
        noted(63, Change::MessagingLimit("TIER_2K".to_owned())),
    ];
    let mut expected = store.client(&phone).await.must().expect("it is there");
    for event in events {
        if expected.account.note(event.clone()) {
            expected.updated_at = at(100);
        }
        let answered = store.note_account(&phone, &event, at(100)).await.must();
        assert_eq!(answered.as_ref(), Some(&expected), "after {event:?}");
        assert_eq!(store.client(&phone).await.must(), answered);
    }
    assert_eq!((expected.status(), expected.messaging_limit()), (ClientStatus::Active, Some("TIER_2K")));
}

async fn a_save_leaves_what_events_told_alone(
    store: &(impl ReadClients + WriteClients + NoteAccounts),
    ids: &Ids,
) {
    let client = active(store, ids, 2).await;
    let banned = noted(60, Change::Ban(Ban::Disabled));
    store.note_account(&client.phone_number_id, &banned, at(100)).await.must();
    assert!(store.save_client(&client).await.must());
    let known = store.client(&client.phone_number_id).await.must().expect("it is there");
    assert_eq!((known.status(), known.stage), (ClientStatus::Suspended, ClientStatus::Active));
    assert_eq!(known.status_reason(), Some(("banned", at(60))));
    let again = claimed(store, &wanted(ids, 2, 1, 2)).await;
    assert_eq!((again.account, again.stage), (known.account, ClientStatus::Active), "nor does a claim");
}

async fn clients_are_found_by_account_and_by_business(
    store: &(impl WriteClients + NoteAccounts + LeaveClients),
    ids: &Ids,
) {
    for (phone, bot, onboarding) in [(20, 1, 7), (21, 2, 7), (22, 1, 8)] {
        claimed(store, &wanted(ids, phone, bot, onboarding)).await;
    }
    let phones = |clients: Vec<Client>| clients.into_iter().map(|c| c.phone_number_id).collect::<Vec<_>>();
    let expected = [20, 21].map(|n| ids.phone(n)).to_vec();
    let waba = ids.waba(7);
    let on_account = async || phones(store.clients_on(&waba).await.must());
    eventually("the clients of an account", on_account, |found| *found == expected).await;
    let business = ids.business(7);
    let of_business = async || phones(store.clients_of_business(&business).await.must());
    eventually("the clients of a business", of_business, |found| *found == expected).await;
    assert_eq!(store.clients_on(&ids.waba(99)).await.must(), []);
    assert_eq!(store.clients_of_business(&ids.business(99)).await.must(), []);
}

async fn a_client_that_left_begins_anew(store: &(impl ReadClients + WriteClients + NoteAccounts), ids: &Ids) {
    let first = active(store, ids, 3).await;
    let left = noted(60, Change::Removed(Removal::PartnerRemoved));
    let gone = store.note_account(&first.phone_number_id, &left, at(70)).await.must().expect("it is there");
    assert_eq!(gone.status(), ClientStatus::Inactive);
    assert_eq!(
        claimed(store, &wanted(ids, 3, 1, 1)).await.status(),
        ClientStatus::Inactive,
        "the same signup"
    );
    let again = Client { signed_up_at: at(200), ..wanted(ids, 3, 1, 2) };
    let ours = claimed(store, &again).await;
    assert_eq!((ours.status(), ours.stage), (ClientStatus::Onboarding, ClientStatus::Onboarding));
    assert_eq!((&ours.sealed_pin, ours.signed_up_at), (&first.sealed_pin, at(200)));
    let ready = finished(ours, ClientStatus::Active);
    assert!(store.save_client(&ready).await.must());
    // Meta repeats it for days.
    let late = store.note_account(&first.phone_number_id, &left, at(300)).await.must().expect("it is there");
    assert_eq!((late.status(), late.status_reason()), (ClientStatus::Active, None));
    let third = Client { signed_up_at: at(400), ..wanted(ids, 3, 1, 3) };
    assert_eq!(claimed(store, &third).await.stage, ClientStatus::Active, "it had not left since");
}

async fn a_client_that_left_is_free_for_another_bot(
    store: &(impl ReadClients + WriteClients + NoteAccounts),
    ids: &Ids,
) {
    let first = active(store, ids, 4).await;
    let other = Client { signed_up_at: at(200), ..wanted(ids, 4, 2, 2) };
    assert_eq!(store.claim_client(&other).await.must(), ClientClaim::InUse);
    let left = noted(60, Change::Removed(Removal::AccountDeleted));
    store.note_account(&first.phone_number_id, &left, at(70)).await.must();
    let ours = claimed(store, &other).await;
    assert_eq!((&ours.bot_id, ours.status()), (&other.bot_id, ClientStatus::Onboarding));
    assert!(!store.save_client(&first).await.must(), "the former owner finds out");
    assert_eq!(store.client(&first.phone_number_id).await.must(), Some(ours));
}

async fn only_the_onboarding_that_it_is_of_loses_its_pin(
    store: &(impl ReadClients + WriteClients + LeaveClients),
    ids: &Ids,
) {
    let client = active(store, ids, 5).await;
    let forget =
        async |n: u32| store.forget_pin(&client.phone_number_id, &ids.onboarding(n), at(90)).await.must();
    forget(2).await;
    assert_eq!(store.client(&client.phone_number_id).await.must(), Some(client.clone()), "another signup's");
    forget(1).await;
    forget(1).await;
    let bare = Client { sealed_pin: None, updated_at: at(90), ..client.clone() };
    assert_eq!(store.client(&client.phone_number_id).await.must(), Some(bare));
    store.forget_pin(&ids.phone(6), &ids.onboarding(1), at(90)).await.must();
    assert_eq!(store.client(&ids.phone(6)).await.must(), None, "an unknown client stays so");
}

/// [`StartOffboardings`] and [`Offboardings`]. Beside other data: only ids of this run are looked at.
pub async fn offboardings(store: &(impl StartOffboardings + Offboardings), unique: &str) {
    let ids = Ids::new("offboardings", unique);
    let new = |n: u32, due: i64| {
        let client = Client { onboarding_id: ids.onboarding(n), ..wanted(&ids, n, 1, n) };
        Offboarding { created_at: at(0), updated_at: at(0), ..Offboarding::of(&client, early(due)) }
    };
    let (first, second) = (new(1, 3000), new(2, 1000));
    assert_eq!(store.offboarding(&first.id).await.must(), None);
    assert!(!store.save_offboarding(&Offboarding { attempts: 1, ..first.clone() }).await.must());
    for it in [&first, &second] {
        store.start_offboarding(it).await.must();
    }
    store.start_offboarding(&Offboarding { problem: Some("no".to_owned()), ..first.clone() }).await.must();
    assert_eq!(
        store.offboarding(&first.id).await.must(),
        Some(first.clone()),
        "a repetition changes nothing"
    );

    let ours = [first.id.clone(), second.id.clone()];
    let due = async |seconds| {
        let due = store.due_offboardings(early(seconds), 1000).await.must();
        due.into_iter().filter(|id| ours.contains(id)).collect::<Vec<_>>()
    };
    let both = vec![second.id.clone(), first.id.clone()];
    eventually("the longest due first", async || due(4000).await, |found| *found == both).await;
    assert_eq!(due(2000).await, std::slice::from_ref(&second.id));

    let mut tried = first.clone();
    tried.end(OffStep::CreditRevoked, "revoked 1", at(10));
    tried.tried(Some("Unsubscribed: Meta is down".to_owned()), std::time::Duration::from_secs(60), at(10));
    assert!(store.save_offboarding(&tried).await.must());
    assert!(!store.save_offboarding(&tried).await.must(), "another run was faster");
    assert_eq!(store.offboarding(&first.id).await.must(), Some(tried.clone()));
    for step in [OffStep::Unsubscribed, OffStep::SecretsRemoved] {
        tried.end(step, "done", at(20));
    }
    tried.tried(None, std::time::Duration::from_secs(60), at(20));
    assert!(store.save_offboarding(&tried).await.must());
    let only_second = vec![second.id.clone()];
    let far = async || {
        let due = store.due_offboardings(at(1_000_000), 1000).await.must();
        due.into_iter().filter(|id| ours.contains(id)).collect::<Vec<_>>()
    };
    eventually("what has ended is not due", far, |found| *found == only_second).await;
    assert_eq!(store.offboarding(&first.id).await.must(), Some(tried));
}
