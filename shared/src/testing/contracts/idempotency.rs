use super::{Ids, Must, at};
use crate::ports::{Begun, IdempotencyKeys, SavedResponse};

/// [`IdempotencyKeys`].
pub async fn idempotency(store: &impl IdempotencyKeys, unique: &str) {
    let ids = Ids::new("idempotency", unique);
    let begin = async |key: &str, body: &str, now: i64| {
        store.begin_request(key, body, at(now), at(now + 30), at(now + 1000)).await.must()
    };
    let response = |status| SavedResponse { status, body: r#"{"messageId":"msg_1"}"#.to_owned() };

    let key = ids.text(1);
    assert_eq!(begin(&key, "a", 0).await, Begun::New);
    assert_eq!(begin(&key, "a", 10).await, Begun::Running);
    assert_eq!(begin(&key, "b", 10).await, Begun::OtherBody, "also while the first one runs");
    assert_eq!(begin(&key, "b", 40).await, Begun::OtherBody, "also when it died");
    assert_eq!(begin(&key, "a", 40).await, Begun::Abandoned);
    assert_eq!(begin(&key, "a", 50).await, Begun::Running, "who continues it has the claim");
    store.finish_request(&key, &response(200)).await.must();
    for now in [51, 100] {
        assert_eq!(begin(&key, "a", now).await, Begun::Done(response(200)));
        assert_eq!(begin(&key, "b", now).await, Begun::OtherBody);
    }
    store.finish_request(&key, &response(202)).await.must();
    store.forget_request(&key).await.must();
    assert_eq!(begin(&key, "a", 100).await, Begun::Done(response(200)), "the first answer stays");
    assert_eq!(begin(&key, "b", 2000).await, Begun::New, "an expired key is free, deleted or not");
    assert_eq!(begin(&key, "b", 2010).await, Begun::Running);

    let forgotten = ids.text(2);
    assert_eq!(begin(&forgotten, "a", 0).await, Begun::New);
    for _ in 0..2 {
        store.forget_request(&forgotten).await.must();
    }
    assert_eq!(begin(&forgotten, "b", 1).await, Begun::New);

    for n in [3, 4] {
        let raced = ids.text(n);
        let mut wanted = Begun::New;
        if n == 4 {
            begin(&raced, "a", 0).await;
            wanted = Begun::Abandoned;
        }
        let (a, b) = tokio::join!(begin(&raced, "a", 100), begin(&raced, "a", 100));
        let both = [a, b];
        assert!(both.contains(&wanted) && both.contains(&Begun::Running), "of two, one runs: {both:?}");
    }
}
