use super::*;
use crate::domain::conversation::CustomerKey;
use crate::flows::testing::bot;
use crate::ports::Clock;
use crate::testing::World;

async fn client(world: &World, throughput: Option<u32>) -> Client {
    Client { throughput, ..world.active_client(&bot(), 1).await.0 }
}

async fn may_send(pace: &Pace, world: &World, client: &Client) -> bool {
    pace.turn(&world.store, client, None, world.clock.now()).await.unwrap().is_ok()
}

fn reservations(world: &World) -> usize {
    world.steps.log().iter().filter(|step| **step == "reserve").count()
}

#[tokio::test]
async fn copies_share_the_rate_of_a_number_in_every_second() {
    let usual = client(&World::new(), None).await;
    let coexistence = Client { on_biz_app: true, ..usual.clone() };
    let upgraded = Client { throughput: Some(1000), ..usual.clone() };
    for (client, expected) in [(usual, 80), (coexistence, 20), (upgraded, 1000)] {
        let world = World::new();
        let copies = [Pace::default(), Pace::default(), Pace::default()];
        for _ in 0..3 {
            let mut out = 0;
            for n in 0..1500 {
                out += usize::from(may_send(&copies[n % 3], &world, &client).await);
            }
            // What one copy reserved and did not use is lost for the others: less than a block each.
            assert!((expected * 9 / 10..=expected).contains(&out), "{out} of {expected}");
            world.clock.advance(Duration::from_secs(1));
        }
    }
}

#[tokio::test]
async fn a_thousand_messages_a_second_cost_few_writes() {
    let world = World::new();
    let client = client(&world, Some(1000)).await;
    let pace = Pace::default();
    let mut costs = Vec::new();
    for _ in 0..3 {
        let before = reservations(&world);
        for _ in 0..1000 {
            assert!(may_send(&pace, &world, &client).await);
        }
        costs.push(reservations(&world) - before);
        world.clock.advance(Duration::from_secs(1));
    }
    assert!(costs[0] <= 12 && costs[2] <= 5, "{costs:?}");
}

#[tokio::test]
async fn who_sends_little_reserves_little() {
    let world = World::new();
    let client = client(&world, None).await;
    let pace = Pace::default();
    for _ in 0..64 {
        may_send(&pace, &world, &client).await;
    }
    for _ in 0..8 {
        world.clock.advance(Duration::from_secs(1));
        assert!(may_send(&pace, &world, &client).await);
    }
    let taken = world.store.with(|tables| tables.seconds.values().last().copied());
    assert_eq!(taken, Some(1));
}

#[tokio::test]
async fn a_used_up_second_is_not_asked_for_again() {
    let world = World::new();
    let client = client(&world, Some(5)).await;
    let pace = Pace::default();
    let out = async || {
        let mut out = 0;
        for _ in 0..10 {
            out += usize::from(may_send(&pace, &world, &client).await);
        }
        out
    };
    assert_eq!(out().await, 5);
    let asked = reservations(&world);
    assert_eq!((out().await, reservations(&world)), (0, asked));
    let held = pace.turn(&world.store, &client, None, world.clock.now()).await.unwrap().unwrap_err();
    assert_eq!(held, Held::new(world.clock.now() + Duration::from_secs(1), HeldReason::Number));
}

#[tokio::test]
async fn a_message_that_its_customers_limit_holds_back_costs_the_number_nothing() {
    let world = World::new();
    let client = client(&world, Some(4)).await;
    let pace = Pace::default();
    let customer = CustomerKey::try_from("15550100123".to_owned()).unwrap();
    let pair = ConversationId::new(&client.phone_number_id, &customer);
    let now = world.clock.now();
    world.store.back_off(&pair, now).await.unwrap();
    for _ in 0..10 {
        let held = pace.turn(&world.store, &client, Some(&pair), now).await.unwrap().unwrap_err();
        assert_eq!(held.reason, HeldReason::Pair);
    }
    for _ in 0..4 {
        assert!(may_send(&pace, &world, &client).await);
    }
}

#[tokio::test]
async fn brakes_are_read_once_in_some_seconds() {
    let world = World::new();
    let client = client(&world, None).await;
    let pace = Pace::default();
    let reads = || world.steps.log().iter().filter(|step| **step == "brakes").count();
    for _ in 0..20 {
        may_send(&pace, &world, &client).await;
    }
    assert_eq!(reads(), 1);
    world.store.hold(&RateKey::App, world.clock.now() + Duration::from_secs(60)).await.unwrap();
    assert!(may_send(&pace, &world, &client).await, "another copy's news take a moment");
    world.clock.advance(FRESH);
    assert!(!may_send(&pace, &world, &client).await);
    assert_eq!(reads(), 2);
}
