use super::{Ids, Must, at, eventually};
use crate::domain::Timestamp;
use crate::domain::answer::{Answer, NoAnswer};
use crate::domain::ids::{BotId, WaId};
use crate::domain::message::{Message, Origin, number_key};
use crate::domain::raw::{PartList, Raw};
use crate::ports::{Answers, ListMessages, Listing, ReadMessages, RecordMessages, Recorded};

/// [`RecordMessages::record_message`] and [`ReadMessages::message`].
pub async fn incoming_messages(store: &(impl RecordMessages + ReadMessages + Answers), unique: &str) {
    let ids = Ids::new("incoming_messages", unique);
    let plain = Message {
        answer: Some(Answer::Pending { due_at: at(3), attempts: 0 }),
        reply_to: Some(ids.wamid(99)),
        ..ids.incoming(1, at(0))
    };
    assert_eq!(store.message(&plain.id).await.must(), None);
    assert_eq!(store.record_message(&plain).await.must(), Recorded::New);
    assert_eq!(store.message(&plain.id).await.must(), Some(plain.clone()));

    let answer = Answer::None(NoAnswer::Human, None);
    assert!(store.settle_answer(&plain.id, &answer).await.must());
    let stands = Message { answer: Some(answer), ..plain.clone() };
    let again = store.record_message(&plain).await.must();
    assert_eq!(again, Recorded::Known(Box::new(stands.clone())), "as it stands, not as it came");
    assert_eq!(store.message(&plain.id).await.must(), Some(stands));

    for message in every_form(&ids) {
        assert_eq!(store.record_message(&message).await.must(), Recorded::New);
        assert_eq!(store.message(&message.id).await.must(), Some(message));
    }
    let raced = ids.incoming(20, at(0));
    let (a, b) = tokio::join!(store.record_message(&raced), store.record_message(&raced));
    let news = [a.must(), b.must()].iter().filter(|r| **r == Recorded::New).count();
    assert_eq!(news, 1, "of two deliveries, one is new");
}

/// [`RecordMessages::record_message`] where the same message comes out of a history, too.
pub async fn messages_out_of_a_history(store: &(impl RecordMessages + ReadMessages), unique: &str) {
    use Origin::{App, Customer, HistoryIn, HistoryOut, StandbyIn};
    const PLACEHOLDER: &str = "media_placeholder";
    let ids = Ids::new("messages_out_of_a_history", unique);
    let cases = [
        ((HistoryIn, "text"), (Customer, "text"), true),
        ((HistoryOut, "text"), (App, "text"), true),
        ((HistoryIn, "text"), (StandbyIn, "text"), true),
        ((HistoryIn, "text"), (HistoryIn, "text"), false),
        ((HistoryIn, PLACEHOLDER), (HistoryIn, "image"), true),
        ((HistoryOut, PLACEHOLDER), (HistoryOut, PLACEHOLDER), false),
        ((HistoryIn, "image"), (HistoryIn, PLACEHOLDER), false),
        ((HistoryIn, PLACEHOLDER), (Customer, "image"), true),
        ((Customer, "text"), (HistoryIn, "text"), false),
        ((Customer, PLACEHOLDER), (HistoryIn, "image"), false),
        ((App, "text"), (Customer, "text"), false),
        ((StandbyIn, "text"), (Customer, "text"), false),
    ];
    for (n, (first, then, gives_way)) in (0..).zip(cases) {
        let message = |(origin, kind): (Origin, &str), second| Message {
            origin,
            kind: kind.to_owned(),
            ..ids.incoming(n, at(second))
        };
        let (first, then) = (message(first, 0), message(then, 1));
        assert_eq!(store.record_message(&first).await.must(), Recorded::New);
        let expected = if gives_way { Recorded::New } else { Recorded::Known(Box::new(first.clone())) };
        assert_eq!(store.record_message(&then).await.must(), expected, "case {n}");
        let stands = if gives_way { then } else { first };
        assert_eq!(store.message(&stands.id).await.must(), Some(stands), "case {n}");
    }
}

/// Messages that between them hold every form of every field.
fn every_form(ids: &Ids) -> [Message; 4] {
    let wa_id: WaId = "15550100123".parse().expect("a phone number");
    let bare = Message {
        bot_id: None,
        expires_at: None,
        raw: Raw::Gzip(vec![31, 139, 0, 255]),
        answer: Some(Answer::None(NoAnswer::NotLive, Some(ids.intent(1)))),
        ..ids.incoming(2, at(1))
    };
    let mut by_phone = ids.incoming(3, at(1));
    by_phone.customer.bsuid = None;
    by_phone.customer.wa_id = Some(wa_id);
    by_phone.raw = Raw::Parts(PartList { sha256: "ab".repeat(32), count: 3 });
    let mut by_bsuid = ids.incoming(4, at(1));
    by_bsuid.customer.wa_id = None;
    by_bsuid.answer = Some(Answer::Answered(ids.intent(2)));
    let by_millisecond = Message {
        recorded_at: Timestamp::from_millisecond(at(1).as_millisecond() + 789).expect("within jiff's years"),
        ..ids.incoming(5, at(1))
    };
    [bare, by_phone, by_bsuid, by_millisecond]
}

/// [`ReadMessages::recent_messages`] and [`ListMessages`].
pub async fn message_lists(store: &(impl RecordMessages + ReadMessages + ListMessages), unique: &str) {
    let ids = Ids::new("message_lists", unique);
    // Two share a second: the id decides. Recorded out of order.
    let seconds = [(4, 30), (1, 0), (3, 20), (2, 20), (5, 40)];
    for (n, second) in seconds {
        store.record_message(&ids.incoming(n, at(second))).await.must();
    }
    let other_chat = Message { conversation_id: ids.conversation(1), ..ids.incoming(6, at(25)) };
    let other_bot = Message { bot_id: Some(ids.bot(7)), ..ids.incoming(7, at(26)) };
    let nobodys = Message { bot_id: None, ..ids.incoming(8, at(27)) };
    for message in [&other_chat, &other_bot, &nobodys] {
        store.record_message(message).await.must();
    }
    let list = Lists { store, ids: &ids };
    let chat = Listing::Conversation(ids.conversation(0));
    let number = |bot: Option<&BotId>| Listing::Number(number_key(bot, &ids.phone(0)));
    let ours = number(Some(&ids.bot(0)));

    list.expect(&chat, (None, None), &[5, 4, 8, 7, 3, 2, 1]).await;
    list.expect(&ours, (None, None), &[5, 4, 6, 3, 2, 1]).await;
    list.expect(&number(Some(&ids.bot(7))), (None, None), &[7]).await;
    list.expect(&number(None), (None, None), &[8]).await;
    list.expect(&number(Some(&ids.bot(9))), (None, None), &[]).await;
    list.expect(&ours, (Some(20), None), &[5, 4, 6, 3, 2]).await;
    list.expect(&ours, (None, Some(20)), &[3, 2, 1]).await;
    list.expect(&ours, (Some(20), Some(30)), &[4, 6, 3, 2]).await;
    list.expect(&ours, (Some(31), Some(39)), &[]).await;

    let recent = async || store.recent_messages(&ids.conversation(0), 3).await.must();
    let newest = eventually("recent messages", recent, |m| m.len() == 3).await;
    assert_eq!(newest, [ids.incoming(5, at(40)), ids.incoming(4, at(30)), nobodys]);
    assert!(store.recent_messages(&ids.conversation(9), 3).await.must().is_empty());
}

struct Lists<'a, S> {
    store: &'a S,
    ids: &'a Ids,
}

impl<S: ListMessages> Lists<'_, S> {
    /// The listing holds exactly these, whole and in pages of every size.
    async fn expect(&self, listing: &Listing, seconds: (Option<i64>, Option<i64>), numbers: &[u32]) {
        let expected: Vec<_> = numbers.iter().map(|n| self.ids.wamid(*n)).collect();
        for limit in [50, 1, 2, 3] {
            let pages = async || self.pages(listing, seconds, limit).await;
            let listed = eventually("a list", pages, |listed| listed.len() >= expected.len()).await;
            let listed: Vec<_> = listed.into_iter().map(|message| message.id).collect();
            assert_eq!(listed, expected, "{listing:?} {seconds:?} in pages of {limit}");
        }
    }

    async fn pages(
        &self,
        listing: &Listing,
        (from, to): (Option<i64>, Option<i64>),
        limit: usize,
    ) -> Vec<Message> {
        let mut messages = Vec::new();
        let mut before = None;
        for _ in 0..20 {
            let (from, to) = (from.map(at), to.map(at));
            let page = self.store.list_messages(listing, from, to, before.as_deref(), limit).await.must();
            assert!(page.items.len() <= limit, "a page is no longer than its limit");
            messages.extend(page.items);
            before = page.next;
            if before.is_none() {
                return messages;
            }
        }
        panic!("the pages do not end")
    }
}
