use super::{Ids, Must, at, eventually, key};
use crate::domain::conversation::{
    Conversation, ConversationTouch, CustomerKey, CustomerNames, FREE_ENTRY_POINT, RecipientMark,
    RecipientMarks, SERVICE_WINDOW, TouchedBy,
};
use crate::domain::ids::{ConversationId, PhoneNumberId};
use crate::ports::{
    ClaimConversations, ConversationClaim, ListConversations, MarkRecipients, NoteAway, PauseConversations,
    ReadConversations, ResolveCustomers, SetPauses, TouchConversations,
};

/// [`ResolveCustomers`].
pub async fn customers(store: &impl ResolveCustomers, unique: &str) {
    let ids = Ids::new("customers", unique);
    a_new_customer_gets_the_best_name(store, &ids).await;
    a_known_customer_keeps_its_key(store, &ids).await;
    copies_that_meet_a_customer_at_once_agree(store, &ids).await;
    a_changed_name_leads_to_the_same_customer(store, &ids).await;
}

fn phone_only(names: &CustomerNames) -> CustomerNames {
    CustomerNames { wa_id: names.wa_id.clone(), ..CustomerNames::default() }
}

fn bsuid_only(names: &CustomerNames) -> CustomerNames {
    CustomerNames { bsuid: names.bsuid.clone(), ..CustomerNames::default() }
}

async fn a_new_customer_gets_the_best_name(store: &impl ResolveCustomers, ids: &Ids) {
    let (phone, both) = (ids.phone(1), ids.customer(1));
    for name in both.aliases() {
        assert_eq!(store.find_customer(&phone, &name).await.must(), None);
    }
    for names in [&both, &both, &phone_only(&both), &bsuid_only(&both)] {
        assert_eq!(store.resolve_customer(&phone, names).await.must(), key(&both));
    }
    for name in both.aliases() {
        assert_eq!(store.find_customer(&phone, &name).await.must(), Some(key(&both)));
        assert_eq!(store.find_customer(&ids.phone(2), &name).await.must(), None, "per client");
    }
}

async fn a_known_customer_keeps_its_key(store: &impl ResolveCustomers, ids: &Ids) {
    let (phone, both) = (ids.phone(1), ids.customer(2));
    let first = key(&phone_only(&both));
    for names in [&phone_only(&both), &both, &bsuid_only(&both)] {
        assert_eq!(store.resolve_customer(&phone, names).await.must(), first, "the first name stays the key");
    }
    // Two who turn out to be one: the BSUID decides.
    let other = ids.customer(3);
    assert_eq!(store.resolve_customer(&phone, &phone_only(&other)).await.must(), key(&phone_only(&other)));
    assert_eq!(store.resolve_customer(&phone, &bsuid_only(&other)).await.must(), key(&other));
    assert_eq!(store.resolve_customer(&phone, &other).await.must(), key(&other));
}

async fn copies_that_meet_a_customer_at_once_agree(store: &impl ResolveCustomers, ids: &Ids) {
    let phone = ids.phone(1);
    for n in 10..20 {
        let both = ids.customer(n);
        agree(store, &phone, [&both, &both]).await;
        let both = ids.customer(n + 10);
        agree(store, &phone, [&both, &phone_only(&both)]).await;
        let both = ids.customer(n + 20);
        agree(store, &phone, [&bsuid_only(&both), &both]).await;
    }
}

async fn agree(store: &impl ResolveCustomers, phone: &PhoneNumberId, names: [&CustomerNames; 2]) {
    let (a, b) =
        tokio::join!(store.resolve_customer(phone, names[0]), store.resolve_customer(phone, names[1]));
    let (a, b) = (a.must(), b.must());
    assert_eq!(a.as_ref(), b.as_ref(), "two copies at once");
    for name in names.iter().flat_map(|names| names.aliases()) {
        assert_eq!(store.find_customer(phone, &name).await.must().as_ref(), Some(&a), "and from then on");
    }
}

async fn a_changed_name_leads_to_the_same_customer(store: &impl ResolveCustomers, ids: &Ids) {
    let phone = ids.phone(1);
    let (old, new, known) = (ids.customer(50), ids.customer(51), ids.customer(52));
    let (number, changed) = (key(&phone_only(&old)), key(&phone_only(&new)));
    let customer = store.resolve_customer(&phone, &old).await.must();
    for _ in 0..2 {
        store.add_alias(&phone, &number, &changed).await.must();
        assert_eq!(store.find_customer(&phone, &changed).await.must(), Some(customer.clone()));
    }
    assert_eq!(store.resolve_customer(&phone, &phone_only(&new)).await.must(), customer);
    let stays = store.resolve_customer(&phone, &known).await.must();
    store.add_alias(&phone, &number, &stays).await.must();
    assert_eq!(
        store.find_customer(&phone, &stays).await.must(),
        Some(stays),
        "a known name stays whose it is"
    );
    let group = CustomerKey::group(&ids.text(1)).expect("a group's id");
    assert_eq!(store.find_customer(&phone, &group).await.must(), None);
}

/// [`TouchConversations`] and [`ReadConversations`].
pub async fn conversations(store: &(impl TouchConversations + ReadConversations), unique: &str) {
    let ids = Ids::new("conversations", unique);
    times_only_move_forward(store, &ids).await;
    touches_at_once_lose_nothing(store, &ids).await;
    only_the_customer_and_meta_say_who_the_customer_is(store, &ids).await;
    an_answer_to_who_came_from_an_ad_makes_three_days_free(store, &ids).await;
    the_names_of_a_groups_participants_do_not_mix(store, &ids).await;
}

fn touched(ids: &Ids, n: u32, seconds: i64, by: TouchedBy) -> ConversationTouch {
    let (id, customer) = (ids.conversation(n), ids.customer(1));
    ConversationTouch { id, bot_id: ids.bot(1), customer, at: at(seconds), by }
}

fn known(ids: &Ids, n: u32, last: i64) -> Conversation {
    Conversation {
        id: ids.conversation(n),
        bot_id: ids.bot(1),
        phone_number_id: ids.phone(n),
        customer: ids.customer(1),
        named_at: None,
        last_message_at: at(last),
        window_ends_at: None,
        referred_at: None,
        free_until: None,
        paused_until: None,
        away_at: None,
        marks: RecipientMarks::default(),
    }
}

async fn times_only_move_forward(store: &(impl TouchConversations + ReadConversations), ids: &Ids) {
    use TouchedBy::{About, Business, Customer};
    assert_eq!(store.conversation(&ids.conversation(1)).await.must(), None);
    let mut expected = known(ids, 1, 100);
    for (second, by, last, named, window) in [
        (100, Business, 100, None, None),
        (50, Customer, 100, Some(50), Some(50)),
        (40, Customer, 100, Some(50), Some(50)),
        (200, Customer, 200, Some(200), Some(200)),
        (150, Customer, 200, Some(200), Some(200)),
        (300, Business, 300, Some(200), Some(200)),
        (200, Customer, 300, Some(200), Some(200)),
        (400, About, 400, Some(400), Some(200)),
        (350, Customer, 400, Some(400), Some(350)),
    ] {
        store.touch_conversation(&touched(ids, 1, second, by)).await.must();
        expected.last_message_at = at(last);
        expected.named_at = named.map(at);
        expected.window_ends_at = window.map(|seconds| at(seconds) + SERVICE_WINDOW);
        let known = store.conversation(&expected.id).await.must();
        assert_eq!(known.as_ref(), Some(&expected), "after {second} s by {by:?}");
    }
    // The client may have moved to another bot.
    let bot_id = ids.bot(2);
    let moved = ConversationTouch { bot_id: bot_id.clone(), ..touched(ids, 1, 500, TouchedBy::Business) };
    store.touch_conversation(&moved).await.must();
    store.touch_conversation(&touched(ids, 1, 450, TouchedBy::Customer)).await.must();
    let known = store.conversation(&expected.id).await.must().expect("it was touched");
    assert_eq!((known.bot_id, known.last_message_at), (bot_id, at(500)));
}

async fn touches_at_once_lose_nothing(store: &(impl TouchConversations + ReadConversations), ids: &Ids) {
    for n in 20..30 {
        let named = |name: &str| CustomerNames { name: Some(name.to_owned()), ..ids.customer(1) };
        let customers = touched(ids, n, 10, TouchedBy::Customer);
        let business = touched(ids, n, 20, TouchedBy::Business);
        let other = ConversationTouch { customer: named("Anna"), ..touched(ids, n, 15, TouchedBy::Customer) };
        let (one, two, three) = tokio::join!(
            store.touch_conversation(&customers),
            store.touch_conversation(&business),
            store.touch_conversation(&other)
        );
        one.must();
        two.must();
        three.must();
        let mut expected = known(ids, n, 20);
        expected.customer = named("Anna");
        expected.named_at = Some(at(15));
        expected.window_ends_at = Some(at(15) + SERVICE_WINDOW);
        let found = store.conversation(&expected.id).await.must();
        assert_eq!(found.as_ref(), Some(&expected), "three at once");
        assert!(found.is_some_and(|it| it.customer == expected.customer), "with all names");
    }
}

async fn only_the_customer_and_meta_say_who_the_customer_is(
    store: &(impl TouchConversations + ReadConversations),
    ids: &Ids,
) {
    use TouchedBy::{About, Business, Customer};
    let both = CustomerNames { wa_id: ids.customer(1).wa_id, ..bsuid_only(&ids.customer(1)) };
    let other = ids.customer(2);
    let username = |names: CustomerNames, it: &str| CustomerNames { username: Some(it.to_owned()), ..names };
    for (second, by, told, expected) in [
        (10, Business, phone_only(&both), phone_only(&both)),
        (20, Business, other.clone(), phone_only(&both)),
        (30, Customer, bsuid_only(&both), both.clone()),
        (40, Customer, username(bsuid_only(&both), "anna"), username(both.clone(), "anna")),
        (50, Business, phone_only(&both), username(both.clone(), "anna")),
        (60, Customer, bsuid_only(&both), username(both.clone(), "anna")),
        (35, About, username(both.clone(), "older"), username(both.clone(), "anna")),
        (70, About, bsuid_only(&other), username(bsuid_only(&other), "anna")),
        (65, Customer, both.clone(), username(bsuid_only(&other), "anna")),
        (80, Business, both.clone(), username(bsuid_only(&other), "anna")),
    ] {
        let touch = ConversationTouch { customer: told, ..touched(ids, 3, second, by) };
        store.touch_conversation(&touch).await.must();
        let found = store.conversation(&touch.id).await.must().expect("it was touched");
        assert!(found.customer == expected, "after {second} s by {by:?}: {:?}", found.customer);
    }
}

async fn an_answer_to_who_came_from_an_ad_makes_three_days_free(
    store: &(impl TouchConversations + ReadConversations),
    ids: &Ids,
) {
    use TouchedBy::{Business, Customer, ReferredCustomer};
    for (second, by, referred, free) in [
        (100, Customer, None, None),
        (90, ReferredCustomer, Some(90), None),
        (80, Business, Some(90), None),
        (120, Customer, Some(90), None),
        (110, Business, Some(90), Some(110)),
        (130, Business, Some(90), Some(110)),
        (140, ReferredCustomer, Some(140), Some(110)),
        (150, Business, Some(140), Some(150)),
        (160, Business, Some(140), Some(150)),
    ] {
        let touch = touched(ids, 5, second, by);
        store.touch_conversation(&touch).await.must();
        let found = store.conversation(&touch.id).await.must().expect("it was touched");
        let expected = (referred.map(at), free.map(|second| at(second) + FREE_ENTRY_POINT));
        assert_eq!((found.referred_at, found.free_until), expected, "after {second} s by {by:?}");
    }
}

async fn the_names_of_a_groups_participants_do_not_mix(
    store: &(impl TouchConversations + ReadConversations),
    ids: &Ids,
) {
    let group = CustomerKey::group(&ids.text(1)).expect("a group's id");
    let id = ConversationId::new(&ids.phone(1), &group);
    let named = CustomerNames { name: Some("Anna".to_owned()), ..bsuid_only(&ids.customer(1)) };
    let last = phone_only(&ids.customer(2));
    for (second, customer, expected) in [(10, &named, &named), (20, &last, &last), (15, &named, &last)] {
        let (id, customer) = (id.clone(), customer.clone());
        let touch = ConversationTouch { id, customer, ..touched(ids, 4, second, TouchedBy::Customer) };
        store.touch_conversation(&touch).await.must();
        let found = store.conversation(&touch.id).await.must().expect("it was touched");
        assert!(found.customer == *expected, "after {second} s: {:?}", found.customer);
    }
}

/// [`ListConversations`]. The list is of a moment ago: it is read until it shows what was written.
pub async fn conversation_lists(
    store: &(impl ListConversations + TouchConversations + MarkRecipients + ResolveCustomers),
    unique: &str,
) {
    let ids = Ids::new("conversation-lists", unique);
    let touch = |n: u32, seconds: i64| ConversationTouch {
        id: ConversationId::new(&ids.phone(1), &key(&ids.customer(n))),
        bot_id: ids.bot(1),
        customer: ids.customer(n),
        at: at(seconds),
        by: TouchedBy::Customer,
    };
    let number = touch(1, 0).number_key();
    for (n, seconds) in [(1, 10), (2, 20), (3, 30), (1, 40), (2, 5)] {
        store.touch_conversation(&touch(n, seconds)).await.must();
    }
    store.mark_recipient(&touch(4, 25), RecipientMark::Unreachable).await.must();
    store.mark_recipient(&touch(1, 50), RecipientMark::Unreachable).await.must();
    let expected: Vec<_> = [1, 3, 4, 2].map(|n| touch(n, 0).id).into();
    let listed = async |before: Option<&str>, limit| {
        let page = store.list_conversations(&number, before, limit).await.must();
        (page.items.iter().map(|it| it.id.clone()).collect::<Vec<_>>(), page.next)
    };
    let all = async || listed(None, 10).await;
    eventually("the newest first", all, |all| *all == (expected.clone(), None)).await;
    let (first, next) = listed(None, 2).await;
    assert_eq!(first, expected[..2]);
    assert_eq!(listed(next.as_deref(), 2).await, (expected[2..].to_vec(), None));
    assert_eq!(store.list_conversations(&format!("{number}9"), None, 10).await.must().items, []);

    let customer = ids.customer(9);
    let id =
        ConversationId::new(&ids.phone(1), &store.resolve_customer(&ids.phone(1), &customer).await.must());
    store.resolve_customer(&ids.phone(2), &customer).await.must();
    let expected: Vec<_> = customer.aliases();
    let names = async || store.names_of(&id).await.must();
    let names = eventually("all names", names, |names| names.len() == expected.len()).await;
    assert!(expected.iter().all(|name| names.contains(name)), "{names:?}");
    assert_eq!(store.names_of(&ids.conversation(99)).await.must(), []);
}

/// [`PauseConversations`], [`SetPauses`] and [`NoteAway`].
pub async fn conversation_pauses(
    store: &(impl PauseConversations + SetPauses + NoteAway + TouchConversations + ReadConversations),
    unique: &str,
) {
    let ids = Ids::new("conversation_pauses", unique);
    let id = ids.conversation(1);
    store.pause_conversation(&id, at(60)).await.must();
    assert_eq!(store.conversation(&id).await.must(), None, "an unknown one stays so");
    let touch = |seconds: i64| ConversationTouch {
        id: id.clone(),
        bot_id: ids.bot(1),
        customer: ids.customer(1),
        at: at(seconds),
        by: TouchedBy::About,
    };
    store.touch_conversation(&touch(0)).await.must();
    let mut known = store.conversation(&id).await.must().expect("it was touched");
    for (until, stands) in [(100, 100), (100, 100), (50, 100), (160, 160)] {
        store.pause_conversation(&id, at(until)).await.must();
        known.paused_until = Some(at(stands));
        assert_eq!(store.conversation(&id).await.must().as_ref(), Some(&known), "paused until {until} s");
    }
    store.touch_conversation(&touch(10)).await.must();
    known.last_message_at = at(10);
    known.named_at = Some(at(10));
    assert_eq!(store.conversation(&id).await.must().as_ref(), Some(&known), "a message keeps the pause");
    for until in [Some(at(90)), Some(at(90)), None, None, Some(at(120))] {
        assert!(store.set_pause(&id, until).await.must());
        known.paused_until = until;
        assert_eq!(store.conversation(&id).await.must().as_ref(), Some(&known), "set to {until:?}");
    }
    for (heard, stands) in [(70, 70), (70, 70), (60, 70), (80, 80)] {
        store.note_away(&id, at(heard)).await.must();
        known.away_at = Some(at(stands));
        assert_eq!(store.conversation(&id).await.must().as_ref(), Some(&known), "away at {heard} s");
    }
    let unknown = ids.conversation(2);
    assert!(!store.set_pause(&unknown, Some(at(90))).await.must());
    assert!(!store.set_pause(&unknown, None).await.must());
    store.note_away(&unknown, at(90)).await.must();
    assert_eq!(store.conversation(&unknown).await.must(), None, "an unknown one stays so");
}

/// [`MarkRecipients`].
pub async fn recipient_marks(
    store: &(impl MarkRecipients + TouchConversations + ReadConversations),
    unique: &str,
) {
    use RecipientMark::{MarketingResumed, MarketingStopped, Unreachable};
    let ids = Ids::new("recipient-marks", unique);
    let contact = |seconds: i64| ConversationTouch {
        id: ids.conversation(1),
        bot_id: ids.bot(1),
        customer: ids.customer(1),
        at: at(seconds),
        by: TouchedBy::About,
    };
    let mut expected = Conversation {
        id: ids.conversation(1),
        bot_id: ids.bot(1),
        phone_number_id: ids.phone(1),
        customer: ids.customer(1),
        named_at: None,
        last_message_at: at(20),
        window_ends_at: None,
        referred_at: None,
        free_until: None,
        paused_until: None,
        away_at: None,
        marks: RecipientMarks::default(),
    };
    for (mark, second) in [
        (Unreachable, 20),
        (MarketingStopped, 30),
        (MarketingStopped, 25),
        (MarketingResumed, 28),
        (Unreachable, 40),
    ] {
        for _ in 0..2 {
            store.mark_recipient(&contact(second), mark).await.must();
        }
        expected.marks.put(mark, at(second));
        let known = store.conversation(&expected.id).await.must();
        assert_eq!(known.as_ref(), Some(&expected), "after {mark:?} at {second} s");
    }
    let customer = ids.customer(2);
    store
        .touch_conversation(&ConversationTouch { customer, by: TouchedBy::Customer, ..contact(50) })
        .await
        .must();
    expected.last_message_at = at(50);
    expected.window_ends_at = Some(at(50) + SERVICE_WINDOW);
    expected.customer = ids.customer(2);
    expected.named_at = Some(at(50));
    assert_eq!(
        store.conversation(&expected.id).await.must().as_ref(),
        Some(&expected),
        "a message keeps marks"
    );
    assert!(expected.marks.refuses_marketing() && !expected.is_unreachable());
}

/// [`ClaimConversations`].
pub async fn conversation_claims(
    store: &(impl ClaimConversations + TouchConversations + ReadConversations),
    unique: &str,
) {
    let ids = Ids::new("conversation_claims", unique);
    let id = ids.conversation(1);
    let claim =
        async |owner: &str, now, until| store.claim_conversation(&id, owner, at(now), at(until)).await.must();
    assert_eq!(claim("a", 0, 60).await, ConversationClaim::Unknown);
    assert_eq!(store.conversation(&id).await.must(), None, "and stays so");
    let touch = ConversationTouch {
        id: id.clone(),
        bot_id: ids.bot(1),
        customer: ids.customer(1),
        at: at(0),
        by: TouchedBy::Customer,
    };
    store.touch_conversation(&touch).await.must();
    let known = store.conversation(&id).await.must().expect("it was touched");
    let won = ConversationClaim::Won(Box::new(known.clone()));
    assert_eq!(claim("a", 0, 60).await, won);
    assert_eq!(claim("b", 30, 90).await, ConversationClaim::Busy(at(60)));
    assert_eq!(claim("a", 30, 90).await, ConversationClaim::Busy(at(60)), "not even its owner gets it twice");
    store.touch_conversation(&touch).await.must();
    assert_eq!(store.conversation(&id).await.must(), Some(known), "a claim is no part of the conversation");
    assert_eq!(claim("b", 70, 130).await, won, "it ran out");
    store.release_conversation(&id, "a").await.must();
    assert_eq!(claim("c", 80, 140).await, ConversationClaim::Busy(at(130)), "only its owner gives it back");
    store.release_conversation(&id, "b").await.must();
    store.release_conversation(&id, "b").await.must();
    let (c, d) = tokio::join!(claim("c", 80, 140), claim("d", 80, 140));
    let wins = [&c, &d].into_iter().filter(|claim| **claim == won).count();
    let losses = [&c, &d].into_iter().filter(|claim| **claim == ConversationClaim::Busy(at(140))).count();
    assert_eq!((wins, losses), (1, 1), "of two, one gets it");
    store.release_conversation(&ids.conversation(2), "a").await.must();
    assert_eq!(store.conversation(&ids.conversation(2)).await.must(), None, "an unknown one stays so");
}
