use serde_json::json;

use super::{Ids, Must, at, eventually, key};
use crate::domain::conversation::{ConversationTouch, TouchedBy};
use crate::domain::ids::ConversationId;
use crate::domain::parcel::PartHeader;
use crate::domain::rate::{PAIR_BURST, PairTurn};
use crate::domain::raw::Raw;
use crate::domain::status::{StatusEvent, StatusFact, StatusKey};
use crate::ports::{
    AccountEvent, Blobs, EraseBlobs, EraseConversations, EraseEvents, EraseMessages, ErasePairs,
    ListConversations, ListEvents, Rates, ReadConversations, ReadMessages, RecordEvents, RecordMessages,
    RecordSends, ResolveCustomers, SendOutcome, TouchConversations,
};

/// [`EraseMessages`], [`EraseConversations`], [`ErasePairs`], [`EraseEvents`] and [`EraseBlobs`]: what is named goes, what is
/// beside it stays, and once more is no error.
pub async fn erasing<S>(store: &S, unique: &str)
where
    S: EraseMessages + EraseConversations + ErasePairs + EraseEvents + EraseBlobs,
    S: RecordSends + RecordMessages + ReadMessages,
    S: ResolveCustomers + TouchConversations + ReadConversations + ListConversations,
    S: Rates + RecordEvents + ListEvents + Blobs,
{
    let ids = Ids::new("erasing", unique);
    a_message_goes_with_what_its_wamid_leads_to(store, &ids).await;
    a_conversation_goes_with_its_names(store, &ids).await;
    a_pair_begins_anew(store, &ids).await;
    an_event_goes_alone(store, &ids).await;
    all_parts_of_one_thing_go(store, &ids).await;
}

async fn a_message_goes_with_what_its_wamid_leads_to(
    store: &(impl EraseMessages + RecordSends + RecordMessages + ReadMessages),
    ids: &Ids,
) {
    let mut sent = Vec::new();
    for n in [1, 2] {
        let intent = ids.outgoing(n, at(30));
        store.begin_send(&intent).await.must();
        sent.push(store.finish_send(&intent.id, at(30), &SendOutcome::Accepted(ids.wamid(n))).await.must());
    }
    store.erase_message(&sent[0]).await.must();
    store.erase_message(&sent[0]).await.must();
    assert_eq!(store.message(&sent[0].id).await.must(), None);
    let mut told = Vec::new();
    for (n, message) in [(1, &sent[0]), (2, &sent[1])] {
        let body = format!("{{\"n\":{n}}}");
        let status = StatusEvent {
            wamid: ids.wamid(n),
            intent: None,
            key: StatusKey { state: "sent".to_owned(), participant: None },
            fact: StatusFact::new(at(40), &body),
            body,
        };
        let applied = store.apply_status(&message.phone_number_id, &status, Some(at(1_000_000))).await.must();
        told.push(applied.message.map(|message| message.id));
    }
    assert_eq!(told, [None, Some(sent[1].id.clone())], "a wamid leads nowhere, and the other one still does");
}

async fn a_conversation_goes_with_its_names<S>(store: &S, ids: &Ids)
where
    S: EraseConversations + ResolveCustomers + TouchConversations + ReadConversations + ListConversations,
{
    let phone = ids.phone(1);
    let of = |n: u32| ConversationId::new(&phone, &key(&ids.customer(n)));
    for n in [1, 2] {
        let customer = ids.customer(n);
        store.resolve_customer(&phone, &customer).await.must();
        let touch =
            ConversationTouch { id: of(n), bot_id: ids.bot(1), customer, at: at(1), by: TouchedBy::Customer };
        store.touch_conversation(&touch).await.must();
    }
    let names =
        eventually("both names", async || store.names_of(&of(1)).await.must(), |it| it.len() == 2).await;
    let foreign = ids.customer(2).aliases();
    for _ in 0..2 {
        store.erase_conversation(&of(1), &[names.clone(), foreign.clone()].concat()).await.must();
    }
    assert_eq!(store.conversation(&of(1)).await.must(), None);
    for name in &names {
        assert_eq!(store.find_customer(&phone, name).await.must(), None);
    }
    assert!(store.conversation(&of(2)).await.must().is_some());
    for name in &foreign {
        assert_eq!(store.find_customer(&phone, name).await.must(), Some(key(&ids.customer(2))), "not theirs");
    }
}

async fn a_pair_begins_anew(store: &(impl ErasePairs + Rates), ids: &Ids) {
    let (pair, other) = (ids.conversation(1), ids.conversation(2));
    for pair in [&pair, &other] {
        for _ in 0..PAIR_BURST {
            store.take_turn(pair, at(0)).await.must();
        }
    }
    store.erase_pair(&pair).await.must();
    store.erase_pair(&pair).await.must();
    assert_eq!(store.take_turn(&pair, at(0)).await.must(), PairTurn::Now { refusals: 0 });
    assert_eq!(store.take_turn(&other, at(0)).await.must(), PairTurn::NotBefore(at(6)));
}

async fn an_event_goes_alone(store: &(impl EraseEvents + RecordEvents + ListEvents), ids: &Ids) {
    let owner = ids.waba(1);
    let event = |n: u32, dated: bool| AccountEvent {
        owner: owner.to_string(),
        kind: "user_preferences".to_owned(),
        at: at(5),
        hash: format!("{n:064}"),
        dated,
        business_id: None,
        raw: Raw::Plain(json!({ "n": n }).to_string()),
    };
    let events = [event(1, true), event(2, true), event(3, false)];
    for event in &events {
        store.record_event(event).await.must();
    }
    for gone in [&events[0], &events[2], &events[0]] {
        store.erase_event(gone).await.must();
    }
    assert_eq!(store.events_of(owner.as_ref(), None, 10).await.must().items, [event(2, true)]);
}

async fn all_parts_of_one_thing_go(store: &(impl EraseBlobs + Blobs), ids: &Ids) {
    let (one, other) = (ids.text(1), ids.text(2));
    for (name, count) in [(&one, 2), (&one, 3), (&other, 2)] {
        for index in 0..count {
            let header = PartHeader { name: name.clone(), index, count };
            store.put_part(&header, b"part", None).await.must();
        }
    }
    store.erase_parts(&one, 2).await.must();
    store.erase_parts(&one, 2).await.must();
    assert_eq!(store.parts(&one, 2).await.must(), None);
    for (name, count) in [(&one, 3), (&other, 2)] {
        assert!(store.parts(name, count).await.must().is_some(), "cut otherwise, or another thing");
    }
}
