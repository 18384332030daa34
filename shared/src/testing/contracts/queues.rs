use std::time::Duration;

use super::{Ids, Must, at, eventually};
use crate::domain::answer::Nudge;
use crate::domain::parcel::{Content, Parcel, PartHeader, SQS_LIMIT};
use crate::ports::{SendInbound, SendNudges};

/// [`SendInbound`]: whatever the number and size, all parcels arrive as they were. `received` answers
/// what arrived so far, in any order; others' parcels may be among it.
pub async fn inbound(queue: &impl SendInbound, received: impl AsyncFnMut() -> Vec<Parcel>, unique: &str) {
    let ids = Ids::new("inbound", unique);
    let body = |n: u32, len: usize| {
        let text = format!("{{\"{}\":\"é\\n{}\"}}", ids.text(n), "x".repeat(len));
        Parcel { content: Content::Body(text), received_at: at(i64::from(n)), silent: n % 2 == 1 }
    };
    let part = |index: u32| Parcel {
        content: Content::Part {
            header: PartHeader { name: ids.text(100), index, count: 2 },
            base64: "QUJD".repeat(100_000),
        },
        received_at: at(0),
        silent: index == 1,
    };
    let large = SQS_LIMIT - 4096;
    let mut parcels: Vec<Parcel> = (0..23).map(|n| body(n, 100)).collect();
    parcels.extend([body(30, large), body(31, large), body(32, SQS_LIMIT / 2), body(33, SQS_LIMIT / 2)]);
    parcels.extend([part(0), part(1)]);
    queue.send_inbound(&[], Duration::ZERO).await.must();
    queue.send_inbound(&parcels, Duration::ZERO).await.must();
    all_arrive(&parcels, received).await;
}

/// [`SendNudges`]: whatever their number, all arrive. `received` as for [`inbound`].
pub async fn nudges(queue: &impl SendNudges, received: impl AsyncFnMut() -> Vec<Nudge>, unique: &str) {
    let ids = Ids::new("nudges", unique);
    let nudges: Vec<Nudge> = (0..23).map(|n| Nudge { message_id: ids.wamid(n) }).collect();
    queue.send_nudges(&[], Duration::ZERO).await.must();
    queue.send_nudges(&nudges, Duration::ZERO).await.must();
    // Longer than the queue allows: cut, not refused.
    let late = Nudge { message_id: ids.wamid(99) };
    queue.send_nudges(std::slice::from_ref(&late), Duration::from_secs(24 * 60 * 60)).await.must();
    all_arrive(&nudges, received).await;
}

async fn all_arrive<T: PartialEq>(sent: &[T], mut received: impl AsyncFnMut() -> Vec<T>) {
    let missing = async || {
        let received = received().await;
        sent.iter().filter(|item| !received.contains(item)).count()
    };
    eventually("items that did not arrive", missing, |missing| *missing == 0).await;
}
