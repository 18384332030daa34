use super::{Ids, Must, at, eventually};
use crate::domain::ids::WabaId;
use crate::domain::parcel::PartHeader;
use crate::domain::raw::{PartList, Raw};
use crate::ports::{AccountEvent, Blobs, Quarantine, Quarantined, ReadEvents, RecordEvents};

/// [`RecordEvents`] and [`ReadEvents`].
pub async fn events(store: &(impl RecordEvents + ReadEvents), unique: &str) {
    let ids = Ids::new("events", unique);
    let added = |waba: u32, seconds: i64, business: u32| AccountEvent {
        owner: ids.waba(waba).to_string(),
        kind: "account_update:PARTNER_ADDED".to_owned(),
        at: at(seconds),
        hash: ids.text(business),
        dated: true,
        business_id: Some(ids.business(business)),
        raw: Raw::Plain("{}".to_owned()),
    };
    let newest = async |waba: WabaId, since| store.partner_added(&waba, at(since)).await.must();
    assert_eq!(newest(ids.waba(1), 0).await, None);
    let removed = AccountEvent { kind: "account_update:PARTNER_REMOVED".to_owned(), ..added(1, 500, 5) };
    let quality = AccountEvent {
        kind: "phone_number_quality_update".to_owned(),
        dated: false,
        business_id: None,
        raw: Raw::Gzip(vec![1]),
        ..added(1, 600, 6)
    };
    let nobodys = AccountEvent { owner: "-".to_owned(), ..added(1, 700, 7) };
    for event in [&added(1, 200, 2), &added(1, 100, 1), &removed, &quality, &nobodys, &added(2, 900, 9)] {
        assert_eq!(store.record_event(event).await.must(), event.at);
        assert_eq!(store.record_event(event).await.must(), event.at);
    }
    let later = AccountEvent { at: at(9999), ..quality.clone() };
    assert_eq!(store.record_event(&later).await.must(), quality.at, "not dated: its first arrival counts");
    for (since, expected) in [(0, Some(2)), (150, Some(2)), (199, Some(2)), (201, None)] {
        let expected = expected.map(|n| ids.business(n));
        let ask = async || newest(ids.waba(1), since).await;
        eventually("the newest PARTNER_ADDED", ask, |found| *found == expected).await;
    }
    let repeated = AccountEvent { business_id: Some(ids.business(8)), ..added(1, 200, 2) };
    store.record_event(&repeated).await.must();
    assert_eq!(newest(ids.waba(1), 0).await, Some(ids.business(2)), "a repetition changes nothing");
}

/// [`Quarantine`]: a repetition is no error. That it changes nothing, only a reader of the table sees.
pub async fn quarantine(store: &impl Quarantine, unique: &str) {
    let ids = Ids::new("quarantine", unique);
    for (n, raw) in [
        (1, Raw::Plain("not json".to_owned())),
        (2, Raw::Gzip(vec![0, 255])),
        (3, Raw::Parts(PartList { sha256: ids.text(3), count: 2 })),
    ] {
        let item = Quarantined { id: ids.text(n), reason: "not_json".to_owned(), received_at: at(0), raw };
        store.quarantine(&item).await.must();
        store.quarantine(&Quarantined { received_at: at(60), ..item }).await.must();
    }
}

/// [`Blobs`].
pub async fn blobs(store: &impl Blobs, unique: &str) {
    let ids = Ids::new("blobs", unique);
    let name = ids.text(1);
    let part = |index: u32| vec![u8::try_from(index).expect("few parts") | 0x80; 1000];
    let put = async |index: u32, bytes: &[u8]| {
        let header = PartHeader { name: name.clone(), index, count: 12 };
        store.put_part(&header, bytes, Some(at(1_000_000))).await.must();
    };
    assert_eq!(store.parts(&name, 12).await.must(), None);
    for index in [11, 3, 0, 10, 1, 2, 9, 8, 7, 5, 4] {
        put(index, &part(index)).await;
        assert_eq!(store.parts(&name, 12).await.must(), None, "some are missing");
    }
    put(3, b"another").await;
    put(6, &part(6)).await;
    assert_eq!(
        store.parts(&name, 12).await.must(),
        Some((0..12).map(part).collect()),
        "in order, first come"
    );

    assert_eq!(
        store.parts(&name, 11).await.must(),
        None,
        "cut into another number of parts it is another thing"
    );

    let large = vec![7; 390_000];
    for (index, expires_at) in [(0, None), (1, Some(at(1_000_000))), (2, None)] {
        let header = PartHeader { name: ids.text(2), index, count: 3 };
        store.put_part(&header, &large, expires_at).await.must();
    }
    let parts = store.parts(&ids.text(2), 3).await.must().expect("all are there");
    assert!(parts.len() == 3 && parts.iter().all(|part| *part == large), "more than one answer holds");
}
