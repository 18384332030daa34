//! Opened secrets are wiped: while a client signs up and a message is sent, an allocator looks into every block that is
//! freed. What it finds must be in a buffer of somebody else's (the HTTP clients', the SDK's), which we cannot wipe and
//! `docs/secrets.md` names.
#![allow(clippy::unwrap_used, reason = "a test program")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::backtrace::Backtrace;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Mutex;
use std::time::Duration;

use aws_credential_types::Credentials;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use memchr::memmem;
use serde_json::json;
use shared::adapters::aws::Aws;
use shared::adapters::graph::{Graph, GraphConfig, PartnerAccess};
use shared::adapters::kms::Kms;
use shared::adapters::secrets::{OneSecret, Secrets};
use shared::domain::onboarding::Claims;
use shared::domain::seal::SealContext;
use shared::domain::secret::{AccessToken, AppSecret, Pin, SignupCode};
use shared::flows::exchange::Exchange;
use shared::flows::onboard::{Onboard, Partner, Settings};
use shared::flows::receive::receive;
use shared::flows::tokens::Tokens;
use shared::kept::Kept;
use shared::ports::{AccountGraph, MessageGraph, PartnerGraph, Seal, TokenGraph};
use shared::testing::World;

/// What every secret of this test holds: tokens, codes and app secrets, and the PIN.
const CANARIES: [&str; 4] = ["EAAfake", "code-1-", "cANaRy", "738291"];
/// Whose buffers may hold a secret when they are freed, and why. The fakes stand for Meta and KMS.
const NOT_OURS: [(&str, &str); 7] = [
    ("shared::testing::", "the fakes: what Meta and KMS know"),
    ("reqwest", "the HTTP client's requests"),
    ("hyper", "the HTTP client's buffers"),
    ("url", "the address of a code exchange, which Meta wants it in"),
    ("form_urlencoded", "the same address while it is written"),
    ("bytes", "the HTTP clients' shared buffers"),
    ("aws_", "the SDK's requests and answers"),
];

thread_local! {
    /// Whether this thread's blocks are looked at. Meta's and AWS's server is another thread.
    static WATCHED: Cell<bool> = const { Cell::new(false) };
}

/// Where blocks with a secret in them were freed.
static FREED: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Watching;

// SAFETY: every call goes to the system's allocator as it came; memory is only read besides, and only between its
// allocation, which fills it with zeros, and its release.
unsafe impl GlobalAlloc for Watching {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are passed on. Zeros, so that what nobody wrote can be read.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if WATCHED.try_with(|watched| watched.replace(false)).unwrap_or(false) {
            // SAFETY: the block is the caller's until it is released below, has this size, and was filled.
            look(unsafe { std::slice::from_raw_parts(block, layout.size()) });
            let _ = WATCHED.try_with(|watched| watched.set(true));
        }
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(block, layout) }
    }
    // What grows is copied and freed here, never moved out of sight: `realloc` is not passed on.
}

#[global_allocator]
static ALLOCATOR: Watching = Watching;

fn look(block: &[u8]) {
    for canary in CANARIES {
        if memmem::find(block, canary.as_bytes()).is_some() {
            let place = Backtrace::force_capture().to_string();
            FREED.lock().unwrap().push(format!("{canary}, {} bytes\n{place}", block.len()));
        }
    }
}

/// Runs something with the allocator's eyes open; the places where it freed a secret, without those of others.
fn watched<T>(run: impl FnOnce() -> T) -> (T, BTreeMap<String, String>) {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock();
    FREED.lock().unwrap().clear();
    WATCHED.set(true);
    let result = run();
    WATCHED.set(false);
    let places = std::mem::take(&mut *FREED.lock().unwrap());
    let ours = places.into_iter().map(|trace| (owner(&trace), trace));
    (
        result,
        ours.filter(|(owner, _)| NOT_OURS.iter().all(|(others, _)| !owner.starts_with(others))).collect(),
    )
}

/// Who let a block go: the first function, or the first type that was dropped, that is not of the standard library, the
/// allocator or the wrappers that wipe.
fn owner(trace: &str) -> String {
    const PASSED: [&str; 12] = [
        "std::",
        "core::",
        "alloc::",
        "__rust",
        "freed::",
        "dealloc",
        "realloc",
        "secrecy::",
        "zeroize::",
        "pin_project_lite::",
        "T as alloc::",
        "T as core::",
    ];
    let frames = trace.lines().filter_map(|line| line.trim().split_once(": "));
    let names =
        frames.filter(|(number, _)| number.bytes().all(|byte| byte.is_ascii_digit())).map(|(_, name)| name);
    let names = names.map(|name| name.strip_prefix("core::ptr::").unwrap_or(name));
    let names = names.map(|name| name.strip_prefix("drop_in_place<").unwrap_or(name));
    let names = names.map(|name| name.trim_start_matches(['<', '&', '(', '[']).trim_start_matches("impl "));
    let mut all = names.filter(|name| name.contains("::"));
    all.find(|name| PASSED.iter().all(|passed| !name.starts_with(passed))).unwrap_or("nobody").to_owned()
}

fn block_on<T>(run: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(run)
}

#[test]
fn a_copy_that_is_not_wiped_is_found() {
    let ((), places) = watched(|| drop(format!("EAAfake{}", 1)));
    assert_eq!(places.len(), 1, "the allocator is blind");
    let ((), places) = watched(|| drop(AccessToken::try_from("EAAfake1".to_owned()).unwrap()));
    assert!(places.is_empty(), "{places:?}");
}

#[test]
fn a_signup_and_a_message_leave_no_copy_of_a_secret() {
    let world = World::new();
    let it = world.graph.sign_up(1);
    let settings = Settings {
        partner: Partner::Solution { currency: "USD".to_owned() },
        app_id: "1234567890".to_owned(),
        lease: Duration::from_secs(90),
        retry: Duration::from_secs(60),
    };
    let bot = "bot-1".parse().unwrap();
    let (status, places) = watched(|| {
        block_on(async {
            let (store, seal, graph) = (&world.store, &world.seal, &world.graph);
            let (clock, random) = (&world.clock, &world.random);
            let exchange = Exchange { store, seal, graph, clock, random };
            let opened = exchange.run(&it.code, &bot, Claims::default()).await.unwrap();
            let onboard = Onboard { store, seal, graph, clock, random, settings: &settings };
            let pin = Pin::try_from("738291".to_owned()).unwrap();
            let claims = Claims {
                waba_id: Some(it.waba_id.clone()),
                phone_number_id: Some(it.phone_number_id.clone()),
                ..Claims::default()
            };
            onboard.hear(&opened, claims, Some(pin)).await.unwrap();
            let status = onboard.run(&opened.id).await.map(|done| format!("{done:?}"));
            let client = world.store.with(|tables| tables.clients[&it.phone_number_id].clone());
            let tokens = Tokens::default();
            let token = tokens.of(store, seal, clock, &client.grant_id).await.unwrap().unwrap();
            graph.send(&client.phone_number_id, &json!({"to": "15550100123"}), &token.token).await.unwrap();
            assert!(client.sealed_pin.is_some());
            status.unwrap()
        })
    });
    std::mem::forget(world);
    assert!(!status.is_empty());
    assert!(places.is_empty(), "freed with a secret in it: {places:#?}");
}

#[test]
fn our_side_of_every_adapter_leaves_no_copy_of_a_secret() {
    let address = serve();
    let ((), places) = watched(|| {
        block_on(async {
            let credentials = Credentials::new("test", "test", None, None, "test");
            let aws = Aws::new("us-east-1".to_owned(), credentials, Some(&address.parse().unwrap()));
            let clock = shared::adapters::system::SystemClock;
            let secret = OneSecret::new(&Secrets::new(aws.secrets()), "app-secret".to_owned());
            let app_secret = Kept::<AppSecret>::read(secret.clone(), clock).await.unwrap();
            let partner = PartnerAccess {
                business_id: "900".parse().unwrap(),
                credit_line_id: "197".to_owned(),
                system_user_token: Kept::<AccessToken>::read(secret, clock).await.unwrap(),
            };
            let world = World::new();
            let forged = format!("sha256={}", "0".repeat(64));
            assert!(receive(&world.queues, &world.clock, &app_secret, Some(&forged), b"{}").await.is_err());
            let graph = Graph::new(GraphConfig {
                base_url: address.parse().unwrap(),
                version: "v26.0".to_owned(),
                app_id: "700".to_owned(),
                app_secret: Some(app_secret),
                partner: Some(partner),
            })
            .unwrap();
            let code = SignupCode::try_from("code-1-1".to_owned()).unwrap();
            let token = graph.exchange_code(&code).await.unwrap();
            let _ = graph.token_facts(&token).await;
            graph.system_user().await.unwrap();
            let phone = "117".parse().unwrap();
            let pin = Pin::try_from("738291".to_owned()).unwrap();
            let _ = graph.register(&phone, &pin, &token).await;
            let _ = graph.send(&phone, &json!({"to": "15550100123"}), &token).await;
            let kms = Kms::new(aws.kms(), "key".to_owned());
            let context = SealContext::ClientPin(&phone);
            let sealed = kms.seal("EAAfake-sealed", context).await.unwrap();
            AccessToken::try_from(kms.open(&sealed, context).await.unwrap()).unwrap();
        });
    });
    assert!(places.is_empty(), "freed with a secret in it: {places:#?}");
}

/// Meta, KMS and the secret store behind one address, each with a secret to tell.
fn serve() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            answer(stream.unwrap());
        }
    });
    address
}

fn answer(mut stream: TcpStream) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
        head += &line;
    }
    reader.read_exact(&mut vec![0; length]).unwrap();
    let says = |what: &str| head.contains(what);
    let body = if says("GetSecretValue") {
        json!({"ARN": "app-secret", "SecretString": "[\"new-cANaRy\",\"old-cANaRy\"]"})
    } else if says("TrentService.Encrypt") {
        json!({"CiphertextBlob": STANDARD.encode("sealed"), "KeyId": "key"})
    } else if says("TrentService.Decrypt") {
        json!({"Plaintext": STANDARD.encode("EAAfake-sealed"), "KeyId": "key"})
    } else {
        json!({"access_token": "EAAfake-wire", "token_type": "bearer", "id": "1", "success": true, "data": {}})
    };
    let body = body.to_string();
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    let _ = stream.write_all(answer.as_bytes());
}
