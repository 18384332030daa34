use std::time::Duration;

use super::{Ids, Must, at};
use crate::domain::Timestamp;
use crate::domain::rate::{Brake, PAIR_BURST, PairTurn, RateKey, Slowed};
use crate::ports::Rates;

/// [`Rates`].
pub async fn rates(store: &impl Rates, unique: &str) {
    let ids = Ids::new("rates", unique);
    what_is_held_is_held_until_its_latest_time(store, &ids).await;
    a_number_is_slowed_once_per_refusal_and_recovers(store, &ids).await;
    no_more_is_reserved_in_a_second_than_its_limit(store, &ids).await;
    of_many_who_reserve_at_once_all_together_get_the_limit(store, &ids).await;
    a_customer_gets_a_burst_and_then_one_message_in_six_seconds(store, &ids).await;
    of_many_messages_at_once_to_a_customer_a_burst_goes_out(store, &ids).await;
    a_pair_waits_longer_with_each_refusal_until_it_is_forgiven(store, &ids).await;
}

async fn what_is_held_is_held_until_its_latest_time(store: &impl Rates, ids: &Ids) {
    let account = RateKey::Account(ids.waba(1));
    let keys = [RateKey::Number(ids.phone(1)), account.clone()];
    assert_eq!(store.brakes(&keys).await.must(), [Brake::default(); 2]);
    for (until, expected) in [(60, 60), (30, 60), (90, 90)] {
        store.hold(&account, at(until)).await.must();
        let held = Brake { held_until: Some(at(expected)), slowed: None };
        assert_eq!(store.brakes(&keys).await.must(), [Brake::default(), held]);
    }
    // All share the app: a hold that is over keeps nobody who uses the store meanwhile.
    let over = Timestamp::from_second(Timestamp::now().as_second() - 60).expect("within jiff's years");
    store.hold(&RateKey::App, over).await.must();
    let app = store.brakes(&[RateKey::App]).await.must()[0];
    assert!(app.held_until >= Some(over), "{app:?}");
}

async fn a_number_is_slowed_once_per_refusal_and_recovers(store: &impl Rates, ids: &Ids) {
    let (phone, other) = (ids.phone(2), ids.phone(3));
    let number = RateKey::Number(phone.clone());
    let slowed = |halvings, seconds| Some(Slowed { halvings, at: at(seconds) });
    assert_eq!(store.slow_number(&phone, at(0)).await.must().slowed, slowed(1, 0));
    assert_eq!(store.slow_number(&phone, at(1)).await.must().slowed, slowed(1, 0), "the same trouble");
    assert_eq!(store.slow_number(&phone, at(10)).await.must().slowed, slowed(2, 10));
    assert_eq!(store.slow_number(&phone, at(10 + 3600)).await.must().slowed, slowed(1, 3610));
    store.hold(&number, at(5000)).await.must();
    let both = Brake { held_until: Some(at(5000)), slowed: slowed(1, 3610) };
    let known = store.brakes(&[number, RateKey::Number(other.clone())]).await.must();
    assert_eq!(known, [both, Brake::default()], "a hold and a rate do not disturb each other");
    let (one, two) = tokio::join!(store.slow_number(&other, at(0)), store.slow_number(&other, at(0)));
    assert_eq!((one.must().slowed, two.must().slowed), (slowed(1, 0), slowed(1, 0)), "two refusals at once");
}

async fn no_more_is_reserved_in_a_second_than_its_limit(store: &impl Rates, ids: &Ids) {
    let phone = ids.phone(4);
    let reserve = async |second, wanted, limit| store.reserve(&phone, at(second), wanted, limit).await.must();
    assert_eq!(reserve(0, 10, 25).await, 10);
    assert_eq!(reserve(0, 10, 25).await, 10);
    assert_eq!(reserve(0, 10, 25).await, 5, "what is left");
    assert_eq!(reserve(0, 10, 25).await, 0);
    assert_eq!(reserve(0, 10, 12).await, 0, "a limit that was lowered meanwhile");
    assert_eq!(reserve(1, 30, 25).await, 25, "the next second begins anew");
    let later = at(1) + Duration::from_millis(999);
    assert_eq!(store.reserve(&phone, later, 1, 25).await.must(), 0, "and lasts to its end");
    assert_eq!(store.reserve(&ids.phone(5), at(0), 1, 25).await.must(), 1, "another number is another one");
}

async fn of_many_who_reserve_at_once_all_together_get_the_limit(store: &impl Rates, ids: &Ids) {
    let phone = ids.phone(6);
    let all = (0..8).map(|_| store.reserve(&phone, at(0), 1, 5));
    let got = futures_util::future::join_all(all).await;
    assert_eq!(got.into_iter().map(Must::must).sum::<u32>(), 5);
}

async fn a_customer_gets_a_burst_and_then_one_message_in_six_seconds(store: &impl Rates, ids: &Ids) {
    let pair = ids.conversation(1);
    let turn = async |seconds| store.take_turn(&pair, at(seconds)).await.must();
    for _ in 0..PAIR_BURST {
        assert_eq!(turn(0).await, PairTurn::Now { refusals: 0 });
    }
    assert_eq!(turn(0).await, PairTurn::NotBefore(at(6)));
    assert_eq!(turn(6).await, PairTurn::Now { refusals: 0 });
    assert_eq!(turn(11).await, PairTurn::NotBefore(at(12)));
    assert_eq!(turn(10_000).await, PairTurn::Now { refusals: 0 });
    let other = store.take_turn(&ids.conversation(2), at(0)).await.must();
    assert_eq!(other, PairTurn::Now { refusals: 0 }, "another customer is another one");
}

async fn of_many_messages_at_once_to_a_customer_a_burst_goes_out(store: &impl Rates, ids: &Ids) {
    let pair = ids.conversation(3);
    let mut out = 0;
    for _ in 0..20 {
        let all = (0..4).map(|_| store.take_turn(&pair, at(0)));
        let turns = futures_util::future::join_all(all).await;
        out += turns.into_iter().filter(|turn| matches!(turn, Ok(PairTurn::Now { .. }))).count();
    }
    assert_eq!(u32::try_from(out), Ok(PAIR_BURST));
}

async fn a_pair_waits_longer_with_each_refusal_until_it_is_forgiven(store: &impl Rates, ids: &Ids) {
    let pair = ids.conversation(4);
    let turn = async |seconds| store.take_turn(&pair, at(seconds)).await.must();
    assert_eq!(store.back_off(&pair, at(0)).await.must(), at(1));
    assert_eq!(turn(0).await, PairTurn::NotBefore(at(1)));
    assert_eq!(store.back_off(&pair, at(0)).await.must(), at(1), "of sends that were together on their way");
    assert_eq!(turn(1).await, PairTurn::Now { refusals: 1 });
    let (one, two) = tokio::join!(store.back_off(&pair, at(1)), store.back_off(&pair, at(1)));
    assert_eq!((one.must(), two.must()), (at(5), at(5)));
    assert_eq!(turn(5).await, PairTurn::Now { refusals: 2 });
    assert_eq!(store.back_off(&pair, at(5)).await.must(), at(21));
    store.forgive(&pair).await.must();
    store.forgive(&pair).await.must();
    assert_eq!(turn(21).await, PairTurn::Now { refusals: 0 });
    assert_eq!(store.back_off(&pair, at(30)).await.must(), at(31));
    store.forgive(&ids.conversation(5)).await.must();
}
