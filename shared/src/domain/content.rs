//! What a message object of Meta's says, in both directions. Every member is optional and every word open:
//! what is missing or new leaves a reading without it, and the object itself stays as it came (Meta, webhooks
//! reference `messages`, 2026-05 to 2026-08).

use serde_json::{Map, Value};

use super::json::value_of;

/// How much of a quoted text a line shows, in characters.
const LONGEST_QUOTE: usize = 200;
/// How many things of a list a line names.
const MOST_NAMED: usize = 10;

/// A file that is somewhere else. An incoming one is fetched by `id` (for 7 days) or by `url` (for 5 minutes,
/// with the client's token); an outgoing one may have a `link` instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Media<'a> {
    /// `image`, `video`, `audio`, `document` or `sticker`.
    pub kind: &'a str,
    /// Meta's id of the file.
    pub id: Option<&'a str>,
    /// Where it can be fetched directly.
    pub url: Option<&'a str>,
    /// The public address that was sent.
    pub link: Option<&'a str>,
    /// MIME type; may carry a parameter (`audio/ogg; codecs=opus`).
    pub mime_type: Option<&'a str>,
    /// SHA-256 of its bytes in base64.
    pub sha256: Option<&'a str>,
    /// What was written under it.
    pub caption: Option<&'a str>,
    /// The customer's name for a document: user input.
    pub filename: Option<&'a str>,
    /// An audio that was spoken into the app.
    pub voice: bool,
    /// A sticker that moves.
    pub animated: bool,
}

/// Where a customer came from: an ad or a post. An answer within 24 hours opens the free entry point of 72 hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Referral<'a> {
    /// `ad` or `post`.
    pub source_type: Option<&'a str>,
    /// The ad's or post's id.
    pub source_id: Option<&'a str>,
    /// The click, for reports of conversions; missing for ads in a status.
    pub ctwa_clid: Option<&'a str>,
    /// Its headline.
    pub headline: Option<&'a str>,
}

fn member<'a>(object: &'a Value, path: &[&str]) -> Option<&'a str> {
    let value = path.iter().try_fold(object, |value, member| value.get(member))?;
    value.as_str().filter(|text| !text.is_empty())
}

fn list<'a>(object: &'a Value, name: &str) -> &'a [Value] {
    object.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The type of a message object and the object of that name.
fn parts(message: &Value) -> Option<(&str, &Value)> {
    let kind = message.get("type")?.as_str()?;
    Some((kind, message.get(kind).unwrap_or(&Value::Null)))
}

/// The file in a message.
#[must_use]
pub fn media_of(message: &Value) -> Option<Media<'_>> {
    let (kind, file) = parts(message)?;
    let is_media = matches!(kind, "image" | "video" | "audio" | "document" | "sticker");
    if !is_media || !file.is_object() {
        return None;
    }
    let text = |name| member(file, &[name]);
    let is = |name| file.get(name).and_then(Value::as_bool).unwrap_or(false);
    Some(Media {
        kind,
        id: text("id"),
        url: text("url"),
        link: text("link"),
        mime_type: text("mime_type"),
        sha256: text("sha256"),
        caption: text("caption"),
        filename: text("filename"),
        voice: is("voice"),
        animated: is("animated"),
    })
}

/// Where the customer came from, if the message says it. It can be on any type.
#[must_use]
pub fn referral_of(message: &Value) -> Option<Referral<'_>> {
    let referral = message.get("referral").filter(|referral| referral.is_object())?;
    let text = |name| member(referral, &[name]);
    Some(Referral {
        source_type: text("source_type"),
        source_id: text("source_id"),
        ctwa_clid: text("ctwa_clid"),
        headline: text("headline"),
    })
}

/// The id of the button or row that the customer chose: of a template, of reply buttons or of a list.
#[must_use]
pub fn choice_of(message: &Value) -> Option<&str> {
    match parts(message)? {
        ("button", button) => member(button, &["payload"]),
        ("interactive", it) => member(it, &[member(it, &["type"])?, "id"]),
        _ => None,
    }
}

/// What the customer filled into a Flow or an address form: free JSON inside a string.
#[must_use]
pub fn form_of(message: &Value) -> Option<Map<String, Value>> {
    let (_, it) = parts(message).filter(|(kind, _)| *kind == "interactive")?;
    match value_of(member(it, &["nfm_reply", "response_json"])?) {
        Value::Object(form) => Some(form),
        _ => None,
    }
}

/// The message that this one reacts to, changes or takes back.
#[must_use]
pub fn refers_to(message: &Value) -> Option<&str> {
    match parts(message)? {
        ("reaction", reaction) => member(reaction, &["message_id"]),
        ("edit" | "revoke", change) => member(change, &["original_message_id"]),
        _ => None,
    }
}

/// What was written in a message, in its sender's words: what rules look at.
#[must_use]
pub fn text_of(message: &Value) -> Option<&str> {
    let (kind, content) = parts(message)?;
    let path: &[&str] = match kind {
        "text" => &["body"],
        "button" => &["text"],
        "image" | "video" | "document" => &["caption"],
        "reaction" => &["emoji"],
        "order" => &["text"],
        "location" => &["name"],
        "system" => &["body"],
        "interactive" => return interactive_text(content),
        _ => return None,
    };
    member(content, path)
}

fn interactive_text(interactive: &Value) -> Option<&str> {
    match member(interactive, &["type"])? {
        kind @ ("button_reply" | "list_reply") => member(interactive, &[kind, "title"]),
        _ => member(interactive, &["body", "text"]),
    }
}

/// A message in one line, for people and models: what was written, else what it is, in square brackets.
#[must_use]
pub fn line_of(message: &Value) -> String {
    let Some((kind, content)) = parts(message) else { return "[unknown]".to_owned() };
    let said = match kind {
        "location" => Some(location(content)),
        "contacts" => Some(cards(list(message, "contacts"))),
        "order" => Some(order(content)),
        "interactive" => interactive(message, content),
        "system" => text_of(message).map(str::to_owned),
        "edit" => content.get("message").map(|new| format!("[edited] {}", quoted(&line_of(new)))),
        "revoke" => Some("[deleted a message]".to_owned()),
        "reaction" if text_of(message).is_none() => Some("[reaction removed]".to_owned()),
        "unsupported" => member(content, &["type"]).map(|inner| format!("[unsupported: {inner}]")),
        "template" => member(content, &["name"]).map(|name| format!("[template] {name}")),
        _ => text_of(message).map(str::to_owned).or_else(|| media_of(message).map(file)),
    };
    said.unwrap_or_else(|| format!("[{kind}]"))
}

fn quoted(text: &str) -> String {
    match text.char_indices().nth(LONGEST_QUOTE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Some of many, and how many more.
fn several(named: Vec<String>) -> String {
    let more = named.len().saturating_sub(MOST_NAMED);
    let shown = named.into_iter().take(MOST_NAMED).collect::<Vec<_>>().join(", ");
    if more > 0 { format!("{shown} and {more} more") } else { shown }
}

fn bracketed(what: &str, said: &str) -> String {
    if said.is_empty() { format!("[{what}]") } else { format!("[{what}] {said}") }
}

fn file(media: Media<'_>) -> String {
    match (media.kind, media.filename) {
        ("audio", _) if media.voice => "[voice message]".to_owned(),
        (kind, name) => bracketed(kind, name.unwrap_or_default()),
    }
}

fn location(place: &Value) -> String {
    let named: Vec<&str> = ["name", "address"].iter().filter_map(|name| member(place, &[name])).collect();
    match (named.as_slice(), place.get("latitude"), place.get("longitude")) {
        ([], Some(latitude), Some(longitude)) => format!("[location] {latitude}, {longitude}"),
        _ => bracketed("location", &named.join(", ")),
    }
}

fn cards(cards: &[Value]) -> String {
    let name = |card: &Value| {
        let name =
            member(card, &["name", "formatted_name"]).or_else(|| member(card, &["name", "first_name"]));
        let phone = list(card, "phones").first().and_then(|phone| member(phone, &["phone"]));
        name.or(phone).or_else(|| member(card, &["org", "company"])).map(str::to_owned)
    };
    bracketed("contacts", &several(cards.iter().filter_map(name).collect()))
}

fn order(order: &Value) -> String {
    let item = |item: &Value| {
        let count = item.get("quantity").map_or_else(|| "1".to_owned(), number);
        Some(format!("{count} × {}", member(item, &["product_retailer_id"])?))
    };
    let items = several(list(order, "product_items").iter().filter_map(item).collect());
    match member(order, &["text"]) {
        Some(note) => format!("{}: {note}", bracketed("order", &items)),
        None => bracketed("order", &items),
    }
}

/// A number as it came, also out of a string.
fn number(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn interactive(message: &Value, content: &Value) -> Option<String> {
    let kind = member(content, &["type"])?;
    let text = |path: &[&str]| member(content, path).unwrap_or_default();
    Some(match kind {
        "nfm_reply" => form(message, text(&["nfm_reply", "name"]), text(&["nfm_reply", "body"])),
        "call_permission_reply" => bracketed("call permission", text(&["call_permission_reply", "response"])),
        "product" => bracketed("product", text(&["product", "product_retailer_id"])),
        _ => interactive_text(content).map_or_else(|| format!("[{kind}]"), str::to_owned),
    })
}

/// The answers of a form; of an address Meta writes a line itself, of a Flow only that it was sent.
fn form(message: &Value, name: &str, body: &str) -> String {
    if name != "flow" && !body.is_empty() {
        return bracketed("form", body);
    }
    let answers = form_of(message).unwrap_or_default();
    let answers = answers.iter().filter(|(name, _)| *name != "flow_token");
    let answers = answers.map(|(name, value)| quoted(&format!("{name}: {}", number(value)))).collect();
    bracketed("form", &several(answers))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_text_of_what_a_customer_reads_or_writes() {
        for (message, text) in [
            (json!({"type":"text","text":{"body":"Hi"}}), Some("Hi")),
            (json!({"type":"image","image":{"caption":"Cake"}}), Some("Cake")),
            (
                json!({"type":"interactive","interactive":{"type":"list_reply","list_reply":{"title":"Two"}}}),
                Some("Two"),
            ),
            (
                json!({"type":"interactive","interactive":{"type":"button","body":{"text":"Choose"}}}),
                Some("Choose"),
            ),
            (json!({"type":"interactive"}), None),
            (json!({"type":"audio","audio":{"id":"1"}}), None),
            (json!({}), None),
        ] {
            assert_eq!(text_of(&message), text, "{message}");
        }
    }

    #[test]
    fn every_type_has_a_line_that_says_what_it_is() {
        for (message, line) in [
            (json!({"type":"text","text":{"body":"Hi"}}), "Hi"),
            (json!({"type":"image","image":{"id":"1"}}), "[image]"),
            (json!({"type":"image","image":{"id":"1","caption":"Cake"}}), "Cake"),
            (json!({"type":"audio","audio":{"voice":true}}), "[voice message]"),
            (json!({"type":"audio","audio":{"id":"1"}}), "[audio]"),
            (json!({"type":"document","document":{"filename":"a.pdf"}}), "[document] a.pdf"),
            (json!({"type":"location","location":{"latitude":1.5,"longitude":-2}}), "[location] 1.5, -2"),
            (
                json!({"type":"location","location":{"name":"Shop","address":"Street 1"}}),
                "[location] Shop, Street 1",
            ),
            (
                json!({"type":"contacts","contacts":[{"name":{"formatted_name":"A B"}},{"phones":[{"phone":"+1"}]},{}]}),
                "[contacts] A B, +1",
            ),
            (
                json!({"type":"order","order":{"product_items":[{"product_retailer_id":"MUG","quantity":"2"},{"product_retailer_id":"POT"}],"text":"Soon"}}),
                "[order] 2 × MUG, 1 × POT: Soon",
            ),
            (json!({"type":"reaction","reaction":{"message_id":"x","emoji":""}}), "[reaction removed]"),
            (json!({"type":"edit","edit":{"message":{"type":"text","text":{"body":"New"}}}}), "[edited] New"),
            (json!({"type":"revoke"}), "[deleted a message]"),
            (json!({"type":"system","system":{}}), "[system]"),
            (json!({"type":"unsupported"}), "[unsupported]"),
            (json!({"type":"request_welcome"}), "[request_welcome]"),
            (json!({"type":"template","template":{"name":"offer"}}), "[template] offer"),
            (
                json!({"type":"interactive","interactive":{"type":"nfm_reply","nfm_reply":{"name":"flow","body":"Sent","response_json":"{\"flow_token\":\"t\",\"guests\":4}"}}}),
                "[form] guests: 4",
            ),
            (
                json!({"type":"interactive","interactive":{"type":"nfm_reply","nfm_reply":{"response_json":"no JSON"}}}),
                "[form]",
            ),
            (json!({"type":"interactive","interactive":{"type":"new"}}), "[new]"),
            (json!({"type":"hologram","hologram":{"depth":3}}), "[hologram]"),
            (json!([]), "[unknown]"),
        ] {
            assert_eq!(line_of(&message), line, "{message}");
        }
    }

    #[test]
    fn a_line_of_very_many_things_names_some() {
        let cards: Vec<Value> =
            (0..300).map(|n| json!({"name": {"formatted_name": n.to_string()}})).collect();
        let line = line_of(&json!({"type": "contacts", "contacts": cards}));
        assert_eq!(line, "[contacts] 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 290 more");
        let edited =
            json!({"type":"edit","edit":{"message":{"type":"text","text":{"body":"ä".repeat(9000)}}}});
        assert!(line_of(&edited).chars().count() < LONGEST_QUOTE + 20);
    }

    #[test]
    fn a_choice_is_known_by_its_id_whatever_its_kind() {
        for (message, id) in [
            (json!({"type":"button","button":{"payload":"P","text":"T"}}), Some("P")),
            (
                json!({"type":"interactive","interactive":{"type":"button_reply","button_reply":{"id":"B"}}}),
                Some("B"),
            ),
            (
                json!({"type":"interactive","interactive":{"type":"list_reply","list_reply":{"id":"L"}}}),
                Some("L"),
            ),
            (json!({"type":"interactive","interactive":{"type":"nfm_reply"}}), None),
            (json!({"type":"text","text":{"body":"B"}}), None),
        ] {
            assert_eq!(choice_of(&message), id, "{message}");
        }
    }

    #[test]
    fn a_file_has_all_that_is_needed_to_fetch_and_to_check_it() {
        let voice = json!({"type":"audio","audio":{"id":"7","mime_type":"audio/ogg; codecs=opus","sha256":"x=","url":"https://a.example","voice":true}});
        let media = media_of(&voice).unwrap();
        assert_eq!((media.kind, media.id, media.voice), ("audio", Some("7"), true));
        assert_eq!((media.mime_type, media.sha256), (Some("audio/ogg; codecs=opus"), Some("x=")));
        assert_eq!((media.url, media.animated, media.caption), (Some("https://a.example"), false, None));
        assert!(media_of(&json!({"type":"video"})).is_none() && media_of(&json!({"type":"text"})).is_none());
    }

    #[test]
    fn reactions_edits_and_revokes_name_the_message_that_they_are_about() {
        assert_eq!(refers_to(&json!({"type":"reaction","reaction":{"message_id":"a"}})), Some("a"));
        assert_eq!(refers_to(&json!({"type":"revoke","revoke":{"original_message_id":"b"}})), Some("b"));
        assert_eq!(refers_to(&json!({"type":"text","context":{"id":"c"}})), None);
    }

    fn tree() -> impl Strategy<Value = Value> {
        let words = prop::sample::select(vec![
            "",
            "text",
            "image",
            "audio",
            "contacts",
            "order",
            "interactive",
            "nfm_reply",
            "product",
            "edit",
            "reaction",
            "é😀",
        ]);
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            words.prop_map(Value::from),
        ];
        let names = prop::sample::select(vec![
            "type",
            "text",
            "image",
            "contacts",
            "order",
            "interactive",
            "nfm_reply",
            "name",
            "body",
            "message",
            "product_items",
            "edit",
            "reaction",
            "response_json",
            "phones",
            "referral",
        ]);
        leaf.prop_recursive(5, 40, 5, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(names.clone().prop_map(str::to_owned), inner, 0..5)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn nothing_in_a_message_makes_a_reading_panic_and_a_line_is_never_empty(message in tree()) {
            prop_assert!(!line_of(&message).is_empty());
            let _ = (text_of(&message), media_of(&message), referral_of(&message), choice_of(&message));
            let _ = (form_of(&message), refers_to(&message));
        }
    }
}
