use std::time::Duration;

use super::{Ids, Must, at, early, eventually};
use crate::domain::Timestamp;
use crate::domain::media::{Fetch, MediaFile, MediaKey, MediaState, Rejected, StoredFile};
use crate::domain::raw::sha256;
use crate::ports::{
    EraseFiles, EraseMedia, FetchMedia, LinkFiles, LinkUploads, MediaClaim, MediaSave, NewFile, NoteMedia,
    PutFiles, ReadFiles, ReadMedia, SendFetches,
};

fn file(ids: &Ids, n: u32, due_at: Timestamp) -> MediaFile {
    MediaFile {
        key: MediaKey { bot_id: ids.bot(0), media_id: ids.number(n) },
        phone_number_id: ids.phone(0),
        conversation_id: ids.conversation(0),
        message_id: ids.wamid(n),
        mime_type: Some("audio/ogg; codecs=opus".to_owned()),
        sha256: Some("aGFzaA==".to_owned()),
        filename: Some("menu \"é\".pdf".to_owned()),
        noted_at: at(0),
        state: MediaState::Pending { due_at, attempts: 0 },
        expires_at: Some(at(1_000_000)),
    }
}

/// [`NoteMedia`], [`ReadMedia`], [`FetchMedia`] and [`EraseMedia`].
pub async fn media<S: NoteMedia + ReadMedia + FetchMedia + EraseMedia>(store: &S, unique: &str) {
    let ids = Ids::new("media", unique);
    a_file_is_noted_once_and_erased(store, &ids).await;
    one_copy_fetches_a_file_until_it_has_ended(store, &ids).await;
    every_end_is_kept_as_it_was(store, &ids).await;
}

async fn a_file_is_noted_once_and_erased<S: NoteMedia + ReadMedia + EraseMedia>(store: &S, ids: &Ids) {
    let (one, other) = (file(ids, 1, at(60)), file(ids, 2, at(60)));
    assert_eq!(store.media_file(&one.key).await.must(), None);
    assert!(store.note_media(&one).await.must() && store.note_media(&other).await.must());
    assert!(!store.note_media(&file(ids, 1, at(99))).await.must(), "it is known");
    assert_eq!(store.media_file(&one.key).await.must(), Some(one.clone()), "as it was noted first");
    let foreign = MediaKey { bot_id: ids.bot(9), ..one.key.clone() };
    assert_eq!(store.media_file(&foreign).await.must(), None, "another bot's");
    let found = store.media_files(&[other.key.clone(), foreign, one.key.clone()]).await.must();
    assert_eq!(found, [other.clone(), one.clone()]);
    for _ in 0..2 {
        store.erase_media(&one.key).await.must();
    }
    assert_eq!(store.media_files(&[one.key, other.key.clone()]).await.must(), [other]);
}

async fn one_copy_fetches_a_file_until_it_has_ended<S: NoteMedia + ReadMedia + FetchMedia + EraseMedia>(
    store: &S,
    ids: &Ids,
) {
    let noted = file(ids, 3, at(60));
    let key = &noted.key;
    assert_eq!(store.claim_media(key, at(0), at(90)).await.must(), MediaClaim::Unknown);
    store.note_media(&noted).await.must();
    let claimed = async |now, until| store.claim_media(key, now, until).await.must();
    let due = |due_at, attempts| MediaState::Pending { due_at, attempts };
    let first = MediaFile { state: due(at(90), 0), ..noted.clone() };
    assert_eq!(claimed(at(0), at(90)).await, MediaClaim::Claimed(Box::new(first.clone())));
    assert_eq!(claimed(at(89), at(179)).await, MediaClaim::Busy);
    assert_eq!(store.media_file(key).await.must(), Some(first), "due when the claim is over");
    assert!(matches!(claimed(at(90), at(180)).await, MediaClaim::Claimed(_)), "the claim ran out");
    let later = MediaFile { state: due(at(500), 1), ..noted.clone() };
    let save = async |file, claim| store.save_media(file, claim).await.must();
    assert_eq!(save(&later, at(90)).await, MediaSave::Lost, "of the one that lost it");
    assert_eq!(save(&later, at(180)).await, MediaSave::Saved);
    assert_eq!(save(&noted, at(180)).await, MediaSave::Lost, "it was given back");
    assert_eq!(store.media_file(key).await.must(), Some(later.clone()));
    assert!(matches!(claimed(at(181), at(271)).await, MediaClaim::Claimed(_)), "free at once");
    let ended = MediaFile { state: MediaState::Missing, ..noted.clone() };
    assert_eq!(save(&ended, at(271)).await, MediaSave::Saved);
    assert_eq!(claimed(at(900), at(990)).await, MediaClaim::Ended);

    let erased = file(ids, 4, at(60));
    store.note_media(&erased).await.must();
    assert!(matches!(store.claim_media(&erased.key, at(0), at(90)).await.must(), MediaClaim::Claimed(_)));
    store.erase_media(&erased.key).await.must();
    assert_eq!(save(&erased, at(90)).await, MediaSave::Unknown, "what is erased does not come back");
    assert_eq!(store.media_file(&erased.key).await.must(), None);
}

async fn every_end_is_kept_as_it_was<S: NoteMedia + ReadMedia + FetchMedia>(store: &S, ids: &Ids) {
    let stored = StoredFile {
        at: at(7),
        until: at(700_000),
        size: 104_857_600,
        mime_type: "audio/ogg; codecs=opus".to_owned(),
        sha256: sha256(b"sound"),
    };
    let ends = [MediaState::Stored(stored), MediaState::Missing, MediaState::Rejected(Rejected::TooLarge)];
    for (n, state) in (10..).zip(ends) {
        let noted = file(ids, n, at(60));
        store.note_media(&noted).await.must();
        store.claim_media(&noted.key, at(0), at(90)).await.must();
        let ended = MediaFile { state, ..noted };
        assert_eq!(store.save_media(&ended, at(90)).await.must(), MediaSave::Saved);
        assert_eq!(store.media_file(&ended.key).await.must(), Some(ended));
    }
}

/// [`FetchMedia`]: what is due is found, and nothing else.
pub async fn due_media<S: NoteMedia + FetchMedia>(store: &S, unique: &str) {
    let ids = Ids::new("due_media", unique);
    let files: Vec<MediaFile> = (1..=20).map(|n| file(&ids, n, early(1000 + i64::from(n)))).collect();
    for file in &files {
        store.note_media(file).await.must();
    }
    let due = async |seconds: i64| {
        let mut due = store.due_media(early(seconds), 100).await.must();
        due.retain(|fetch| fetch.key.bot_id == ids.bot(0));
        due
    };
    let fetches = |files: &[MediaFile]| files.iter().map(MediaFile::fetch).collect::<Vec<Fetch>>();
    eventually("the due files", async || due(1015).await, |it| *it == fetches(&files[..15])).await;
    store.claim_media(&files[0].key, early(1015), early(1105)).await.must();
    store.claim_media(&files[1].key, early(1015), early(1105)).await.must();
    let missing = MediaFile { state: MediaState::Missing, ..files[1].clone() };
    assert_eq!(store.save_media(&missing, early(1105)).await.must(), MediaSave::Saved);
    eventually("without the claimed", async || due(1015).await, |it| *it == fetches(&files[2..15])).await;
    let last = [&files[2..], &files[..1]].concat();
    eventually("a claim ran out", async || due(1105).await, |it| *it == fetches(&last)).await;
}

/// [`PutFiles`], [`ReadFiles`], [`LinkFiles`] and [`EraseFiles`]. `open` answers the bytes behind a link at `now`, or
/// `None` if it does not work.
pub async fn files<F: PutFiles + ReadFiles + LinkFiles + EraseFiles>(
    files: &F,
    open: impl AsyncFn(String) -> Option<Vec<u8>>,
    now: Timestamp,
    unique: &str,
) {
    let ids = Ids::new("files", unique);
    let (key, other) = (format!("{}/a/{}", ids.phone(1), ids.text(1)), format!("{}/b", ids.phone(1)));
    let put = async |key: &str, bytes: &[u8]| {
        let (sha256, bytes) = (sha256(bytes), bytes.to_vec());
        let name = Some("menu \"é\" 1+1.pdf");
        let file = NewFile { key, content_type: "application/pdf", name, sha256: &sha256, bytes };
        files.put_file(file).await
    };
    let link = |key: &str| files.file_link(key, now, Duration::from_secs(300)).must();
    assert_eq!(files.read_file(&key, 100).await.must(), None);
    assert_eq!(open(link(&key)).await, None);
    put(&key, b"first").await.must();
    put(&other, b"other").await.must();
    put(&key, &[7; 70_000]).await.must();
    assert_eq!(files.read_file(&key, 70_000).await.must(), Some(vec![7; 70_000]), "in place of the first");
    assert_eq!(files.read_file(&key, 69_999).await.must(), None, "larger than wanted");
    assert_eq!(open(link(&key)).await, Some(vec![7; 70_000]));
    assert_eq!(open(link(&other)).await.as_deref(), Some(&b"other"[..]), "a link is of one file");
    let wrong =
        NewFile { key: &key, content_type: "text/plain", name: None, sha256: &sha256(b"x"), bytes: vec![1] };
    assert!(files.put_file(wrong).await.is_err(), "bytes that are not those of the hash");
    for _ in 0..2 {
        files.erase_file(&key).await.must();
    }
    assert_eq!(files.read_file(&key, 70_000).await.must(), None);
    assert_eq!(open(link(&key)).await, None);
    assert_eq!(files.read_file(&other, 100).await.must().as_deref(), Some(&b"other"[..]));
    files.erase_file(&other).await.must();
}

/// [`LinkUploads`]. `put` sends bytes of a type to a link and answers whether they were taken.
pub async fn upload_links<F: LinkUploads + ReadFiles + EraseFiles>(
    files: &F,
    put: impl AsyncFn(String, &'static str, &'static [u8]) -> bool,
    now: Timestamp,
    unique: &str,
) {
    let key = format!("uploads/{}", Ids::new("upload_links", unique).text(1));
    let link = || files.upload_link(&key, "video/mp4", 5, now, Duration::from_secs(300)).must();
    assert!(!put(link(), "text/html", b"movie").await, "another type");
    assert!(!put(link(), "video/mp4", b"movies").await, "another size");
    assert_eq!(files.read_file(&key, 100).await.must(), None);
    assert!(put(link(), "video/mp4", b"movie").await);
    assert_eq!(files.read_file(&key, 100).await.must().as_deref(), Some(&b"movie"[..]));
    files.erase_file(&key).await.must();
}

/// [`SendFetches`]: whatever their number, all arrive.
pub async fn fetches(queue: &impl SendFetches, mut received: impl AsyncFnMut() -> Vec<Fetch>, unique: &str) {
    let ids = Ids::new("fetches", unique);
    let sent: Vec<Fetch> = (0..23).map(|n| file(&ids, n, at(0)).fetch()).collect();
    queue.send_fetches(&[]).await.must();
    queue.send_fetches(&sent).await.must();
    let missing = async || {
        let received = received().await;
        sent.iter().filter(|fetch| !received.contains(fetch)).count()
    };
    eventually("fetches that did not arrive", missing, |missing| *missing == 0).await;
}
