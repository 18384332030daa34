//! What callers send: taken as it is or refused by name, never repeated, never more than it says.

use lambda_http::{Body, Request};
use serde_json::{Map, Value, json};

use super::Choices;
use crate::domain::Timestamp;
use crate::domain::draft::{CallbackData, Draft, Recipient, call_of};
use crate::domain::ids::{
    AllocationId, BotId, Bsuid, BusinessId, ConversationId, GrantId, MessageId, OnboardingId, PhoneNumberId,
    WaId, WabaId, Wamid,
};
use crate::domain::message::time_key;
use crate::domain::onboarding::SignupEvent;
use crate::domain::secret::{Pin, SignupCode};
use crate::http::{ApiError, Caller, Limit, Members, Name, RequestKey};
use crate::testing::Sample;

const INTENT: &str = "msg_0123456789abcdef0123456789abcdef";

/// Any body, claims and idempotency key.
pub fn api(input: &[u8]) {
    match input.split_first() {
        Some((0 | b'c', rest)) => claims(rest),
        Some((1 | b'k', rest)) => idempotency_key(rest),
        _ => body(input),
    }
}

fn body(bytes: &[u8]) {
    let members = Members::of(&Request::new(Body::Binary(bytes.to_vec())));
    let Ok(members) = members else {
        let is_object = serde_json::from_slice::<Map<String, Value>>(bytes).is_ok();
        return assert!(!is_object || bytes.len() > 256 * 1024, "refused an object");
    };
    draft(members.all());
    member::<BotId>(&members, "botId");
    member::<OnboardingId>(&members, "onboardingId");
    member::<SignupCode>(&members, "code");
    member::<WabaId>(&members, "wabaId");
    member::<PhoneNumberId>(&members, "phoneNumberId");
    member::<BusinessId>(&members, "businessId");
    member::<Name>(&members, "clientName");
    member::<Pin>(&members, "pin");
    if let Ok(Some(event)) = members.optional::<String>("event") {
        let _ = SignupEvent::parse(&event);
    }
}

/// A member is taken, missing, or refused in words that do not depend on its value.
fn member<T: TryFrom<String>>(members: &Members, name: &str) {
    let Err(error) = members.required::<T>(name) else { return };
    let code = match members.all().get(name) {
        None | Some(Value::Null) => "missing_member",
        Some(_) => "invalid_member",
    };
    assert_eq!(error.code(), code);
    let other = json!({ name: {"any": "thing"} }).to_string();
    let other = Members::of(&Request::new(Body::Text(other))).expect("an object");
    if let ("invalid_member", Err(same)) = (code, other.required::<T>(name)) {
        assert_eq!(error.problem(), same.problem());
    }
}

/// A draft that is taken calls Meta with all that the caller said, and our id.
fn draft(body: &Map<String, Value>) {
    let draft = match Draft::parse(body) {
        Ok(draft) => draft,
        Err(refusal) => return assert!(!refusal.member.is_empty() && !refusal.problem.is_empty()),
    };
    let intent: MessageId = INTENT.parse().expect("an intent's id");
    let call = draft.call(&intent);
    assert_eq!(call_of(&draft.recorded(), &draft.recipient, &intent), call, "the record is enough to call");
    let is_person = matches!(draft.recipient, Recipient::Person(_));
    assert_eq!(call["messaging_product"], "whatsapp");
    assert_eq!(call["recipient_type"], if is_person { "individual" } else { "group" });
    assert!(call.get("to").is_some() != call.get("recipient").is_some(), "one recipient");
    let data = call["biz_opaque_callback_data"].as_str().expect("text");
    assert!(data.encode_utf16().count() <= 512, "Meta takes 512 characters");
    let heard = CallbackData::parse(data);
    assert_eq!(heard.intent, Some(intent));
    assert_eq!(heard.caller.as_deref(), body.get("biz_opaque_callback_data").and_then(Value::as_str));
    let ours = [
        "botId",
        "phoneNumberId",
        "to",
        "recipient",
        "recipient_type",
        "messaging_product",
        "biz_opaque_callback_data",
    ];
    for (name, value) in body.iter().filter(|(name, _)| !ours.contains(&name.as_str())) {
        assert_eq!(&call[name], value, "{name} is sent as it came");
    }
}

/// Claims open what they name and nothing else.
fn claims(bytes: &[u8]) {
    let mut choices = Choices(bytes);
    let (bots, role, scope) = (choices.text(), choices.text(), choices.text());
    let claims = json!({"sub": "somebody", "bots": bots, "role": role, "scope": scope});
    let Ok(caller) = Caller::of_onboarding(&request(claims.clone(), "1")) else { return };
    let is_admin = role == "admin";
    assert_eq!(caller.bots().is_none(), is_admin);
    for bot in caller.bots().unwrap_or_default() {
        assert!(bots.contains(bot.as_ref()), "nobody named {bot}");
        assert!(caller.check(bot).is_ok());
    }
    let other: BotId = "a-bot-that-no-claim-names-0123456789".parse().expect("a bot's id");
    assert_eq!(caller.check(&other).is_ok(), is_admin || bots.contains(other.as_ref()));
    let page = scope.split_whitespace().any(|word| word == "onboard");
    assert_eq!(Caller::of(&request(claims, "1")).is_err(), page);
}

/// A key is taken as one header value or refused; another key is another record.
fn idempotency_key(bytes: &[u8]) {
    let Ok(key) = std::str::from_utf8(bytes) else { return };
    let is_header = !key.is_empty() && key.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
    if !is_header {
        return;
    }
    let of = |key: &str| -> Result<Option<RequestKey>, ApiError> {
        let request = request(json!({"bots": "[a]", "sub": "s"}), key);
        RequestKey::of(&request, &Caller::of(&request)?, "route")
    };
    let fits = key.len() <= 255 && !key.contains(' ');
    let (taken, other) = (of(key), of("another-key"));
    // Blanks around a header's value are not part of it.
    assert!(taken.is_ok() == fits || key.trim().len() != key.len());
    if let (Ok(Some(taken)), Ok(Some(other))) = (taken, other) {
        assert_eq!(format!("{taken:?}") == format!("{other:?}"), key == "another-key");
    }
}

fn request(claims: Value, key: &str) -> Request {
    const EVENT: &str = r#"{"version": "2.0", "routeKey": "POST /x", "rawPath": "/x", "rawQueryString": "",
        "headers": {}, "isBase64Encoded": false, "body": "{}", "requestContext": {"stage": "$default",
        "timeEpoch": 0, "http": {"method": "POST", "path": "/x", "protocol": "HTTP/1.1",
        "sourceIp": "127.0.0.1"}, "authorizer": {"jwt": {"claims": {}, "scopes": null}}}}"#;
    Sample::of(EVENT).claims(claims).header("idempotency-key", Some(key)).request()
}

/// Any text as any name, and as a position in a list.
pub fn names(input: &[u8]) {
    let mut choices = Choices(input);
    let text = choices.text();
    macro_rules! round {
        ($($name:ident),*) => {$(
            if let Ok(name) = text.parse::<$name>() {
                assert_eq!(name.as_ref(), text);
                let json = serde_json::to_string(&name).expect("a text");
                assert_eq!(serde_json::from_str::<$name>(&json).expect("the same"), name);
                // 2048 bytes is the longest key of DynamoDB, 1024 the longest sort key with a time before.
                assert!(!text.is_empty() && text.len() <= 1000);
            }
        )*};
    }
    round!(
        BotId,
        WabaId,
        PhoneNumberId,
        BusinessId,
        AllocationId,
        Wamid,
        Bsuid,
        WaId,
        OnboardingId,
        GrantId,
        MessageId,
        ConversationId
    );
    let limit = Limit::try_from(text.clone());
    assert_eq!(limit.is_ok(), text.parse::<usize>().is_ok_and(|n| (1..=100).contains(&n)));
    position(&text, &mut choices);
}

/// A list's position gives back its time and its message, and sorts by time.
fn position(id: &str, choices: &mut Choices<'_>) {
    let millis = |choices: &mut Choices<'_>| {
        let bytes: [u8; 8] = std::array::from_fn(|_| choices.byte());
        i64::from_be_bytes(bytes).rem_euclid(253_402_207_200_000)
    };
    let (one, two) = (millis(choices), millis(choices));
    let key = |ms| time_key(Timestamp::from_millisecond(ms).expect("within jiff's years"), id);
    let at_one = key(one);
    let (time, rest) = at_one.split_once('#').expect("time and id");
    assert_eq!((time.parse(), rest), (Ok(one), id));
    assert!(one == two || (one < two) == (at_one < key(two)));
}
