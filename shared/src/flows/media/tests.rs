use serde_json::{Value, json};

use super::*;
use crate::domain::ids::PhoneNumberId;
use crate::domain::media::MediaKey;
use crate::flows::testing::{CUSTOMER, Process, bot, parcel, webhook};
use crate::testing::{Fault, GraphFault, MetaFile, World, refusal};

const ID: &str = "880001";
const PICTURE: &[u8] = b"\xff\xd8\xff\xe0 a picture";

/// A client to whom a customer sent a file.
struct Shop {
    world: World,
    process: Process,
    phone: PhoneNumberId,
}

impl Shop {
    async fn new(bytes: &[u8], message: Value) -> Self {
        let world = World::new();
        let (client, _) = world.active_client(&bot(), 1).await;
        let shop = Self { world, process: Process::default(), phone: client.phone_number_id };
        shop.at_meta(bytes, "image/jpeg");
        shop.arrives(message).await;
        shop
    }

    async fn with_a_picture() -> Self {
        Self::new(PICTURE, json!({"type": "image", "image": {"id": ID, "mime_type": "image/jpeg"}})).await
    }

    fn at_meta(&self, bytes: &[u8], mime_type: &str) {
        let (phone_number_id, mime_type) = (self.phone.clone(), mime_type.to_owned());
        let file = MetaFile { phone_number_id, mime_type, bytes: bytes.to_vec(), stale: 0 };
        self.world.graph.with(|meta| meta.files.insert(ID.to_owned(), file));
    }

    async fn arrives(&self, mut message: Value) {
        message["from"] = CUSTOMER.into();
        message["id"] = "wamid.P".into();
        message["timestamp"] = self.world.clock.now().as_second().to_string().into();
        let body = webhook(&self.phone, json!({"messages": [message]}));
        self.process.ingest(&self.world).parcel(&parcel(&self.world, body)).await.unwrap();
    }

    fn key() -> MediaKey {
        MediaKey { bot_id: bot(), media_id: ID.parse().unwrap() }
    }

    fn wanted(&self) -> Fetch {
        Fetch { key: Self::key(), phone_number_id: self.phone.clone() }
    }

    async fn fetch(&self) -> Result<(), StoreError> {
        self.process.media(&self.world).fetch(&self.wanted()).await
    }

    fn state(&self) -> MediaState {
        self.world.store.with(|tables| tables.media[&Self::key()].state.clone())
    }

    fn kept(&self) -> Option<Vec<u8>> {
        self.world.files.all().remove(&self.wanted().file_key()).map(|file| file.bytes)
    }

    /// Lets the pause pass, and tries.
    async fn fetch_when_due(&self) {
        if let MediaState::Pending { due_at, .. } = self.state() {
            self.world.clock.set(due_at.max(self.world.clock.now()));
        }
        self.fetch().await.unwrap();
    }
}

#[tokio::test]
async fn a_file_is_noted_when_its_message_comes_and_fetched_once() {
    let shop = Shop::with_a_picture().await;
    assert!(matches!(shop.state(), MediaState::Pending { attempts: 0, .. }));
    assert_eq!(shop.world.graph.calls("media_info"), 0, "nothing slow where webhooks are recorded");
    assert_eq!(shop.world.queues.take_media(), [shop.wanted()]);
    shop.arrives(json!({"type": "image", "image": {"id": ID}})).await;
    assert_eq!(shop.world.queues.take_media(), [], "the second arrival asks for nothing");
    for _ in 0..2 {
        shop.fetch().await.unwrap();
    }
    assert_eq!(shop.kept().as_deref(), Some(PICTURE));
    assert_eq!(shop.world.graph.calls("download_media"), 1);
    let MediaState::Stored(stored) = shop.state() else { panic!("{:?}", shop.state()) };
    assert_eq!((stored.size, stored.mime_type.as_str()), (PICTURE.len() as u64, "image/jpeg"));
    assert_eq!(stored.sha256, crate::domain::raw::sha256(PICTURE));
    assert_eq!(stored.until, stored.at + std::time::Duration::from_secs(90 * 24 * 60 * 60));
}

#[tokio::test]
async fn messages_without_a_file_of_ours_note_nothing() {
    for message in [
        json!({"type": "text", "text": {"body": "Hi"}}),
        json!({"type": "image", "errors": [{"code": 131_052}]}),
        json!({"type": "image", "image": {"id": "../../other"}}),
        json!({"type": "image", "image": {"link": "https://pictures.example/1"}}),
    ] {
        let shop = Shop::new(PICTURE, message).await;
        assert!(shop.world.store.with(|tables| tables.media.is_empty()));
        assert_eq!(shop.world.queues.take_media(), []);
    }
}

#[tokio::test]
async fn the_file_of_an_edited_message_is_fetched_too() {
    let inner = json!({"type": "image", "image": {"id": ID, "caption": "Better"}});
    let edit = json!({"type": "edit", "edit": {"original_message_id": "wamid.O", "message": inner}});
    let shop = Shop::new(PICTURE, edit).await;
    shop.fetch().await.unwrap();
    assert!(shop.kept().is_some());
}

#[tokio::test]
async fn an_address_that_is_too_old_is_asked_for_once_more() {
    let shop = Shop::with_a_picture().await;
    let stale = |n| shop.world.graph.with(|meta| meta.files.get_mut(ID).unwrap().stale = n);
    stale(2);
    shop.fetch().await.unwrap();
    assert!(matches!(shop.state(), MediaState::Pending { attempts: 1, .. }));
    assert_eq!(shop.world.graph.calls("media_info"), 2);
    stale(1);
    shop.fetch_when_due().await;
    assert!(shop.kept().is_some());
}

#[tokio::test]
async fn other_bytes_than_announced_are_never_kept() {
    let announced = json!({"id": ID, "sha256": "c29tZXRoaW5nIGVsc2U="});
    let shop = Shop::new(PICTURE, json!({"type": "image", "image": announced})).await;
    shop.fetch().await.unwrap();
    assert_eq!(shop.state(), MediaState::Rejected(Rejected::Hash));
    assert_eq!(shop.kept(), None);
    assert_eq!(shop.world.graph.calls("download_media"), 2, "a transfer can go wrong");
}

#[tokio::test]
async fn a_picture_that_is_a_page_is_not_kept_and_a_document_that_is_one_is_only_bytes() {
    let page = b"<html><script>alert(1)</script>";
    let shop = Shop::new(page, json!({"type": "image", "image": {"id": ID}})).await;
    shop.fetch().await.unwrap();
    assert_eq!((shop.state(), shop.kept()), (MediaState::Rejected(Rejected::Type), None));

    let document = json!({"id": ID, "mime_type": "text/html", "filename": "a.html"});
    let shop = Shop::new(page, json!({"type": "document", "document": document})).await;
    shop.at_meta(page, "text/html");
    shop.fetch().await.unwrap();
    let kept = shop.world.files.all().remove(&shop.wanted().file_key()).unwrap();
    assert_eq!(
        (kept.content_type.as_str(), kept.name.as_deref()),
        ("application/octet-stream", Some("a.html"))
    );
}

#[tokio::test]
async fn a_failure_is_tried_again_with_growing_pauses_until_meta_forgets_the_file() {
    let shop = Shop::with_a_picture().await;
    let begun = shop.world.clock.now();
    let mut pauses = Vec::new();
    for _ in 0..200 {
        shop.world.graph.fail_next("media_info", GraphFault::Refused(refusal(400, 100, "Unsupported")));
        shop.fetch_when_due().await;
        match shop.state() {
            MediaState::Pending { due_at, .. } => {
                pauses.push(due_at.duration_since(shop.world.clock.now()).as_secs());
            }
            _ => break,
        }
    }
    assert_eq!(shop.state(), MediaState::Missing);
    assert_eq!(&pauses[..4], [60, 120, 240, 480]);
    assert!(pauses.windows(2).all(|pair| pair[0] <= pair[1]) && pauses.last() == Some(&(6 * 60 * 60)));
    let waited = shop.world.clock.now().duration_since(begun).as_hours();
    assert!((6 * 24..=7 * 24).contains(&waited), "{waited} hours");
}

#[tokio::test]
async fn what_is_not_the_bots_or_has_no_token_waits() {
    let shop = Shop::with_a_picture().await;
    shop.world.store.with(|tables| tables.grants.values_mut().for_each(|grant| grant.token = None));
    shop.fetch().await.unwrap();
    assert!(matches!(shop.state(), MediaState::Pending { attempts: 1, .. }));
    shop.world.store.with(|tables| {
        tables.clients.values_mut().for_each(|client| client.bot_id = "other-bot".parse().unwrap());
    });
    shop.fetch_when_due().await;
    assert!(matches!(shop.state(), MediaState::Pending { attempts: 2, .. }));
    assert_eq!(shop.world.graph.calls("media_info"), 0);
}

#[tokio::test]
async fn the_schedule_finds_what_no_note_asked_for() {
    let shop = Shop::with_a_picture().await;
    let _lost = shop.world.queues.take_media();
    let fetching = shop.process.media(&shop.world);
    assert_eq!(fetching.sweep(10).await.unwrap(), 0, "its note may still come");
    shop.world.clock.advance(NOTE_LOST_AFTER);
    assert_eq!(fetching.sweep(10).await.unwrap(), 1);
    assert_eq!(shop.world.queues.take_media(), [shop.wanted()]);
}

#[tokio::test]
async fn two_copies_fetch_a_file_once() {
    let shop = Shop::with_a_picture().await;
    let (one, other) = tokio::join!(shop.fetch(), shop.fetch());
    one.unwrap();
    other.unwrap();
    assert_eq!((shop.world.graph.calls("media_info"), shop.kept().is_some()), (1, true));
}

/// Whoever is erased while a file of theirs is fetched leaves none, whichever call the erasure comes before and
/// whether or not the process lives on.
#[tokio::test]
async fn nothing_is_kept_of_whoever_was_erased_meanwhile() {
    for dies in [false, true] {
        let shop = Shop::with_a_picture().await;
        if dies {
            shop.world.steps.fault_next("put_file", Fault::CrashAfter);
            assert!(shop.fetch().await.is_err());
            shop.world.steps.restart();
            shop.world.store.with(|tables| tables.media.clear());
        } else {
            let erase = async {
                // Between the file and its record.
                while shop.kept().is_none() {
                    tokio::task::yield_now().await;
                }
                shop.world.store.with(|tables| {
                    tables.media.clear();
                    tables.media_claims.clear();
                });
            };
            let (fetched, ()) = tokio::join!(shop.fetch(), erase);
            fetched.unwrap();
        }
        shop.fetch().await.unwrap();
        assert_eq!(shop.kept(), None, "dies: {dies}");
    }
}
