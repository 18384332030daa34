//! The partner's own software is told, by signed events.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result, ensure};
use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::support::api::SEND;
use crate::support::{Api, Case, World, cases, eventually};

const SUBSCRIPTIONS: &str = "/api/whatsapp/subscriptions";

pub(crate) fn cases() -> Vec<Case> {
    cases!["events":
        Beside messages_and_their_statuses_arrive_signed,
        Beside an_onboarding_and_a_client_are_told,
        Beside what_fails_comes_again_under_the_same_id,
        Beside what_cannot_be_told_is_kept_and_told_again_when_somebody_asks,
        Beside what_waits_to_be_told_of_a_customer_is_erased_with_it,
        Beside an_address_that_is_gone_is_switched_off,
        Beside a_new_secret_signs_beside_the_old_one,
        Beside a_foreign_subscription_is_an_unknown_one,
    ]
}

/// What came to the receiver.
#[derive(Debug, Clone)]
struct Heard {
    headers: HashMap<String, String>,
    body: String,
}

impl Heard {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// Standard Webhooks, by the words of the specification.
    fn is_signed_by(&self, secret: &str) -> bool {
        let Ok(key) = STANDARD.decode(secret.trim_start_matches("whsec_")) else { return false };
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("HMAC takes keys of any length");
        let signed = format!("{}.{}.{}", self.header("id"), self.header("timestamp"), self.body);
        mac.update(signed.as_bytes());
        let wanted = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
        self.header("signature").split(' ').any(|signature| signature == wanted)
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(&format!("webhook-{name}")).map_or("", String::as_str)
    }
}

/// The partner's software: a server that keeps what it hears and answers as it is told. Its threads end with the test
/// program.
struct Receiver {
    url: String,
    heard: Arc<Mutex<Vec<Heard>>>,
    /// What it answers next; afterwards 200.
    answers: Arc<Mutex<Vec<u16>>>,
}

impl Receiver {
    fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let url = format!("http://{}/hook", listener.local_addr()?);
        let (heard, answers) = (Arc::default(), Arc::default());
        let it = Self { url, heard: Arc::clone(&heard), answers: Arc::clone(&answers) };
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let _ = serve(stream, &heard, &answers);
            }
        });
        Ok(it)
    }

    /// What it answers to the next calls.
    fn answers(&self, statuses: impl IntoIterator<Item = u16>) {
        self.answers.lock().unwrap().extend(statuses);
    }

    fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap().clone()
    }

    /// Waits for an event of this type that is as wanted.
    async fn hears(&self, kind: &str, wanted: impl Fn(&Value) -> bool) -> Result<Heard> {
        eventually(&format!("the receiver hears of {kind}"), async || {
            let heard = self.heard();
            let found = heard.iter().find(|it| it.json()["type"] == kind && wanted(&it.json()["data"]));
            found.cloned().with_context(|| format!("it heard {heard:?}"))
        })
        .await
    }
}

fn serve(mut stream: TcpStream, heard: &Mutex<Vec<Heard>>, answers: &Mutex<Vec<u16>>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut headers, mut line) = (HashMap::new(), String::new());
    reader.read_line(&mut line)?;
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|it| it.parse().ok()).unwrap_or_default();
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    heard.lock().unwrap().push(Heard { headers, body: String::from_utf8_lossy(&body).into_owned() });
    let status = {
        let mut answers = answers.lock().unwrap();
        if answers.is_empty() { 200 } else { answers.remove(0) }
    };
    let elsewhere = "location: http://127.0.0.1:9/\r\n";
    let head = format!("HTTP/1.1 {status} X\r\n{elsewhere}content-length: 0\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes())
}

/// A bot whose events go to a receiver.
struct Subscribed<'w> {
    api: Api<'w>,
    bot: String,
    receiver: Receiver,
    path: String,
    secret: String,
}

impl<'w> Subscribed<'w> {
    async fn new(world: &'w World, events: &[&str]) -> Result<Self> {
        let (api, bot, receiver) = (world.admin(), world.new_bot(), Receiver::start()?);
        let body = json!({"url": receiver.url, "events": events});
        let path = format!("{SUBSCRIPTIONS}/{bot}");
        let answer = api.post(&path, &body).await?.with_status(201)?;
        let text = |name: &str| answer[name].as_str().map(str::to_owned).context("a member is missing");
        let secret = text("secret")?;
        world.was_told_once(&secret);
        let path = format!("{path}/{}", text("subscriptionId")?);
        Ok(Self { api, bot, receiver, path, secret })
    }

    /// Sends a ping; its id.
    async fn ping(&self) -> Result<String> {
        let sent = self.api.post(&format!("{}/test", self.path), &json!({})).await?.with_status(202)?;
        Ok(sent["eventId"].as_str().context("no id")?.to_owned())
    }

    async fn dead(&self) -> Result<Vec<Value>> {
        let mut page = self.api.get(&format!("{}/deliveries", self.path)).await?.ok()?;
        Ok(serde_json::from_value(page["items"].take())?)
    }
}

async fn messages_and_their_statuses_arrive_signed(world: &World) -> Result<()> {
    let subscribed = Subscribed::new(world, &["message.received", "message.status"]).await?;
    let client = world.client_of(world.admin(), &subscribed.bot).await?;
    let customer = world.new_customer();
    let wamid = client.hears(&customer, "Are you open?").await?;
    let heard = subscribed.receiver.hears("message.received", |data| data["wamid"] == wamid).await?;
    ensure!(heard.is_signed_by(&subscribed.secret), "its signature does not fit: {heard:?}");
    let event = heard.json();
    ensure!(event["id"] == heard.header("id") && event["botId"] == subscribed.bot.as_str(), "{event}");
    ensure!(event["data"]["text"] == "Are you open?" && event["data"]["direction"] == "inbound", "{event}");
    // As the list shows it, but for what became of it since.
    let shown = client.settled(&customer).await?;
    let shown = shown.iter().find(|it| it["wamid"] == wamid).context("it is not listed")?;
    for name in ["messageId", "phoneNumberId", "customer", "content", "timestamp", "type"] {
        ensure!(event["data"][name] == shown[name], "{name}: {event}");
    }

    let message = client.text_to(&customer, "At nine.");
    let sent = client.api.post(SEND, &message).await?.ok()?;
    let delivered =
        |data: &Value| data["messageId"] == sent["messageId"] && !data["statuses"]["delivered"].is_null();
    let heard = subscribed.receiver.hears("message.status", delivered).await?;
    ensure!(heard.is_signed_by(&subscribed.secret), "its signature does not fit: {heard:?}");
    let all = subscribed.receiver.heard();
    let sequences: Vec<(String, String)> = all
        .iter()
        .map(Heard::json)
        .filter(|event| event["data"]["messageId"] == sent["messageId"])
        .map(|event| (event["sequence"].as_str().unwrap_or_default().to_owned(), event["data"].to_string()))
        .collect();
    let last = sequences.iter().max().context("nothing was heard of it")?;
    ensure!(last.1.contains("\"delivered\""), "the greatest sequence is not the newest: {sequences:?}");
    Ok(())
}

async fn an_onboarding_and_a_client_are_told(world: &World) -> Result<()> {
    let subscribed = Subscribed::new(world, &["onboarding.updated", "client.updated"]).await?;
    let client = world.client_of(world.admin(), &subscribed.bot).await?;
    let is_active =
        |data: &Value| data["onboardingId"] == client.onboarding.as_str() && data["status"] == "active";
    let heard = subscribed.receiver.hears("onboarding.updated", is_active).await?;
    ensure!(heard.is_signed_by(&subscribed.secret), "its signature does not fit");
    let shown = client.api.onboarding(&client.onboarding).await?.ok()?;
    ensure!(heard.json()["data"]["steps"] == shown["steps"], "{} but {shown}", heard.body);
    let of_client = |data: &Value| data["phoneNumberId"] == client.phone() && data["status"] == "active";
    subscribed.receiver.hears("client.updated", of_client).await?;
    client.hears(&world.new_customer(), "Hello").await?;
    subscribed.receiver.hears("client.updated", |data| of_client(data) && data["receives"] == true).await?;
    ensure!(
        subscribed
            .receiver
            .heard()
            .iter()
            .all(|it| !it.body.contains("sealed") && !it.body.contains("whsec_")),
        "something sealed was told"
    );
    Ok(())
}

async fn what_fails_comes_again_under_the_same_id(world: &World) -> Result<()> {
    let subscribed = Subscribed::new(world, &["message.received"]).await?;
    // A redirect is no success, and nobody follows it.
    subscribed.receiver.answers([302]);
    let id = subscribed.ping().await?;
    let twice = eventually("the ping came twice", async || {
        let heard = subscribed.receiver.heard();
        ensure!(heard.len() == 2, "{heard:?}");
        Ok(heard)
    })
    .await?;
    for heard in &twice {
        ensure!(heard.header("id") == id && heard.is_signed_by(&subscribed.secret), "{heard:?}");
    }
    ensure!(twice[0].body == twice[1].body, "the body changed");
    ensure!(subscribed.dead().await?.is_empty(), "what was told is listed as dead");
    Ok(())
}

async fn what_cannot_be_told_is_kept_and_told_again_when_somebody_asks(world: &World) -> Result<()> {
    let subscribed = Subscribed::new(world, &["message.received"]).await?;
    let id = {
        subscribed.receiver.answers([500]);
        let id = subscribed.ping().await?;
        eventually("the ping failed once", async || {
            ensure!(subscribed.receiver.heard().len() == 1, "not yet");
            Ok(())
        })
        .await?;
        id
    };
    // Three days of tries are too long for a test: what waits ends because nobody is to be told any more.
    let off = subscribed.api.put(&subscribed.path, &json!({"active": false})).await?.ok()?;
    ensure!(off["active"] == false && off["offReason"] == "caller", "{off}");
    let dead = eventually("the ping is dead", async || {
        let dead = subscribed.dead().await?;
        ensure!(dead.len() == 1, "{dead:?}");
        Ok(dead)
    })
    .await?;
    ensure!(dead[0]["eventId"] == id.as_str() && dead[0]["type"] == "ping", "{dead:?}");
    let replay = format!("{}/replay", subscribed.path);
    subscribed.api.post(&replay, &json!({"eventId": id})).await?.refused(409, "subscription_off")?;
    subscribed.api.put(&subscribed.path, &json!({"active": true})).await?.ok()?;
    subscribed.api.post(&replay, &json!({"eventId": "evt_none"})).await?.refused(404, "event_not_found")?;
    subscribed.api.post(&replay, &json!({})).await?.refused(400, "invalid_member")?;
    let replayed =
        subscribed.api.post(&replay, &json!({"since": "2026-01-01T00:00:00Z"})).await?.with_status(202)?;
    ensure!(replayed == json!({"replayed": 1, "more": false}), "{replayed}");
    eventually("the ping is told again", async || {
        let heard = subscribed.receiver.heard();
        ensure!(heard.len() == 2 && heard[1].header("id") == id, "{heard:?}");
        ensure!(subscribed.dead().await?.is_empty(), "it is still listed");
        Ok(())
    })
    .await
}

async fn what_waits_to_be_told_of_a_customer_is_erased_with_it(world: &World) -> Result<()> {
    let subscribed = Subscribed::new(world, &["message.received"]).await?;
    let client = world.client_of(world.admin(), &subscribed.bot).await?;
    let customer = world.new_customer();
    subscribed.receiver.answers([500]);
    client.hears(&customer, "Forget me").await?;
    subscribed.receiver.hears("message.received", |_| true).await?;
    client.answers(&customer, 1).await?;
    client.settled(&customer).await?;
    subscribed.api.put(&subscribed.path, &json!({"active": false})).await?.ok()?;
    eventually("the event is dead", async || {
        let dead = subscribed.dead().await?;
        ensure!(dead.len() == 1, "{dead:?}");
        Ok(())
    })
    .await?;
    let path = format!("/api/whatsapp/conversations/{}/{customer}", subscribed.bot);
    client.api.delete(&path).await?.ok()?;
    ensure!(subscribed.dead().await?.is_empty(), "an event of the erased customer is still kept");
    Ok(())
}

async fn an_address_that_is_gone_is_switched_off(world: &World) -> Result<()> {
    let subscribed = Subscribed::new(world, &["message.received"]).await?;
    subscribed.receiver.answers([410]);
    subscribed.ping().await?;
    eventually("the subscription is off", async || {
        let all = subscribed.api.get(&format!("{SUBSCRIPTIONS}/{}", subscribed.bot)).await?.ok()?;
        ensure!(all["items"][0]["offReason"] == "gone", "{all}");
        Ok(())
    })
    .await?;
    let test = format!("{}/test", subscribed.path);
    subscribed.api.post(&test, &json!({})).await?.refused(409, "subscription_off").map(drop)
}

async fn a_new_secret_signs_beside_the_old_one(world: &World) -> Result<()> {
    let subscribed = Subscribed::new(world, &["message.received"]).await?;
    let rotate = format!("{}/rotate-secret", subscribed.path);
    let rotated = subscribed.api.post_with_key(&rotate, "rotate-1", &json!({})).await?.ok()?;
    let again = subscribed.api.post_with_key(&rotate, "rotate-1", &json!({})).await?.ok()?;
    ensure!(rotated["secret"] == again["secret"], "the same request made another secret");
    let secret = rotated["secret"].as_str().context("no secret")?;
    ensure!(secret != subscribed.secret, "the secret is the old one");
    let id = subscribed.ping().await?;
    let heard = subscribed.receiver.hears("ping", |_| true).await?;
    ensure!(heard.header("id") == id, "{heard:?}");
    ensure!(heard.is_signed_by(secret) && heard.is_signed_by(&subscribed.secret), "{heard:?}");
    let gone = subscribed.api.delete(&subscribed.path).await?.ok()?;
    ensure!(gone["subscriptionId"] == rotated["subscriptionId"], "{gone}");
    subscribed.api.delete(&subscribed.path).await?.refused(404, "subscription_not_found").map(drop)
}

async fn a_foreign_subscription_is_an_unknown_one(world: &World) -> Result<()> {
    let subscribed = Subscribed::new(world, &["message.received"]).await?;
    let stranger = world.bot("demo-bakery");
    let theirs = format!("{SUBSCRIPTIONS}/{}", subscribed.bot);
    stranger.get(&theirs).await?.refused(404, "bot_not_found")?;
    let body = json!({"url": subscribed.receiver.url, "events": ["message.received"]});
    stranger.post(&theirs, &body).await?.refused(404, "bot_not_found")?;
    stranger.delete(&subscribed.path).await?.refused(404, "bot_not_found")?;
    stranger.get(&format!("{}/deliveries", subscribed.path)).await?.refused(404, "bot_not_found")?;
    // Through a bot of its own it is just as unknown.
    let id = subscribed.path.rsplit('/').next().unwrap_or_default();
    let through = format!("{SUBSCRIPTIONS}/demo-bakery/{id}");
    stranger.delete(&through).await?.refused(404, "subscription_not_found")?;
    stranger.post(&format!("{through}/test"), &json!({})).await?.refused(404, "subscription_not_found")?;
    ensure!(subscribed.receiver.heard().is_empty(), "a stranger made it ring");
    Ok(())
}
