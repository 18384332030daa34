//! What must wait is not sent, and nothing is recorded of it.

use super::*;
use crate::domain::rate::{PAIR_BURST, RateKey, Usage};

impl Desk {
    /// The n-th message, to the same customer.
    async fn send(&self, n: u32) -> Delivery {
        let intent = Message { id: format!("msg_{n}").parse().unwrap(), ..self.intent("Hi") };
        self.deliver(&intent).await.unwrap()
    }

    fn fails(&self, code: i64) {
        self.world.graph.fail_next("send", GraphFault::Refused(refusal(400, code, "No")));
    }

    fn recorded(&self) -> usize {
        self.world.store.with(|t| t.messages.len())
    }
}

fn seconds(delivery: &Delivery, world: &World) -> u64 {
    match delivery {
        Delivery::NotSent { pause, .. } => pause.as_secs(),
        Delivery::Held(held) => span(world.clock.now(), held.until).as_secs(),
        other => panic!("it waits: {other:?}"),
    }
}

#[tokio::test]
async fn a_limit_holds_back_what_it_is_on_and_nothing_else() {
    // Code, how long the refused message waits, and whether the next one to the same and to another
    // customer, of another number of the account, and of another account go out.
    for (code, pause, same, other, sibling, stranger) in [
        (4, 300, false, false, false, false),
        (80_007, 300, false, false, false, true),
        (80_008, 300, false, false, false, true),
        (131_057, 60, false, false, true, true),
        (131_056, 1, false, true, true, true),
        (130_429, 1, true, true, true, true),
        (131_000, 1, true, true, true, true),
        (134_101, 600, true, true, true, true),
    ] {
        let it = Desk::new().await;
        it.fails(code);
        let refused = it.send(1).await;
        assert_eq!(seconds(&refused, &it.world), pause, "{code}");
        let goes_out = async |n: u32, client: &Client, customer: &str| {
            let phone = client.phone_number_id.clone();
            let key = CustomerKey::try_from(customer.to_owned()).unwrap();
            let intent = Message {
                id: format!("msg_{n}").parse().unwrap(),
                conversation_id: ConversationId::new(&phone, &key),
                ..it.intent("Hi")
            };
            let sender = it.process.sender(&it.world);
            match sender.deliver(client, &intent, &recipient()).await.unwrap() {
                Delivery::Held(held) => {
                    assert_eq!(span(it.world.clock.now(), held.until).as_secs(), pause, "{code}");
                    false
                }
                _ => true,
            }
        };
        let (stranger_client, _) = it.world.active_client(&bot(), 2).await;
        let sibling_client = Client { waba_id: it.client.waba_id.clone(), ..stranger_client.clone() };
        assert_eq!(goes_out(2, &it.client, CUSTOMER).await, same, "{code}: the same customer");
        assert_eq!(goes_out(3, &it.client, "15550100999").await, other, "{code}: another customer");
        assert_eq!(goes_out(4, &sibling_client, CUSTOMER).await, sibling, "{code}: another number");
        assert_eq!(goes_out(5, &stranger_client, CUSTOMER).await, stranger, "{code}: another account");
    }
}

#[tokio::test]
async fn more_than_a_burst_to_one_customer_waits_and_leaves_no_trace() {
    let it = Desk::new().await;
    for n in 0..PAIR_BURST {
        assert!(matches!(it.send(n).await, Delivery::Accepted(_)), "{n}");
    }
    let held = it.send(PAIR_BURST).await;
    assert!(matches!(&held, Delivery::Held(held) if held.reason == HeldReason::Pair));
    assert_eq!(seconds(&held, &it.world), 6);
    assert_eq!((it.sends(), it.recorded()), (45, 45), "no call and no intent");
    it.world.clock.advance(Duration::from_secs(6));
    assert!(matches!(it.send(PAIR_BURST).await, Delivery::Accepted(_)));
}

#[tokio::test]
async fn each_pair_refusal_in_a_row_waits_four_times_as_long_and_a_success_ends_them() {
    let it = Desk::new().await;
    for expected in [1, 4, 16, 64] {
        it.fails(131_056);
        let refused = it.send(1).await;
        assert_eq!(seconds(&refused, &it.world), expected);
        it.world.clock.advance(Duration::from_secs(expected) - Duration::from_millis(1));
        assert!(matches!(it.send(1).await, Delivery::Held(_)), "not before");
        it.world.clock.advance(Duration::from_millis(1));
    }
    assert!(matches!(it.send(1).await, Delivery::Accepted(_)));
    it.fails(131_056);
    assert_eq!(seconds(&it.send(2).await, &it.world), 1);
}

#[tokio::test]
async fn a_refusal_for_throughput_halves_the_rate_of_all_copies() {
    let it = Desk::new().await;
    let other = Process::default();
    it.fails(130_429);
    assert_eq!(seconds(&it.send(1).await, &it.world), 1);
    it.world.clock.advance(Duration::from_secs(5));
    let mut out = 0;
    for n in 0..100 {
        let key = CustomerKey::try_from(format!("155501{n:05}")).unwrap();
        let conversation_id = ConversationId::new(&it.client.phone_number_id, &key);
        let intent = Message { id: format!("msg_x{n}").parse().unwrap(), conversation_id, ..it.intent("Hi") };
        let process = if n % 2 == 0 { &it.process } else { &other };
        let sent = process.sender(&it.world).deliver(&it.client, &intent, &recipient()).await.unwrap();
        out += usize::from(matches!(sent, Delivery::Accepted(_)));
    }
    assert_eq!(out, 40);
}

#[tokio::test]
async fn what_meta_says_of_its_limits_is_heeded_before_they_are_hit() {
    let it = Desk::new().await;
    let usage = |key, percent| Usage { key, percent, regained_after: Some(Duration::from_secs(120)) };
    let (other, _) = it.world.active_client(&bot(), 2).await;
    it.world.graph.with(|meta| meta.usage.push(usage(RateKey::Account(it.client.waba_id.clone()), 95)));
    assert!(matches!(it.send(1).await, Delivery::Accepted(_)));
    let held = it.send(2).await;
    assert!(matches!(&held, Delivery::Held(held) if held.reason == HeldReason::Account));
    assert_eq!(seconds(&held, &it.world), 120);
    let another_copy = Process::default();
    let intent = it.intent("Hi");
    let held = another_copy.sender(&it.world).deliver(&it.client, &intent, &recipient()).await.unwrap();
    assert!(matches!(held, Delivery::Held(_)), "all copies hear of it");
    let sent = it.process.sender(&it.world).deliver(&other, &intent, &recipient()).await.unwrap();
    assert!(!matches!(sent, Delivery::Held(_)), "another account goes on");
}

#[tokio::test]
async fn rates_that_cannot_be_read_or_written_stop_nothing() {
    for step in ["brakes", "reserve", "take_turn"] {
        let it = Desk::new().await;
        it.world.steps.fault_next(step, Fault::FailBefore);
        assert!(matches!(it.send(1).await, Delivery::Accepted(_)), "{step}");
    }
    for (step, code) in [("hold", 4), ("slow_number", 130_429), ("back_off", 131_056)] {
        let it = Desk::new().await;
        it.world.steps.fault_next(step, Fault::FailBefore);
        it.fails(code);
        assert!(matches!(it.send(1).await, Delivery::NotSent { .. }), "{step}");
    }
}
