//! Our own secrets change while we run: no call fails for it, and none is made twice that Meta acted on.

use super::*;
use crate::testing::{MemorySecret, World};

const MINUTE: Duration = Duration::from_secs(60);

/// Meta with one good app secret and one good token of our system user at a time.
#[derive(Clone)]
struct Meta(std::sync::Arc<Mutex<(&'static str, &'static str)>>);

impl Meta {
    fn start() -> (Self, Scripted) {
        let meta = Self(std::sync::Arc::new(Mutex::new(("old", "EAAold"))));
        let answers = meta.clone();
        (meta, Scripted::start(move |request| answers.answer(request)))
    }

    fn takes(&self, secret: &'static str, system_token: &'static str) {
        *self.0.lock().unwrap() = (secret, system_token);
    }

    fn answer(&self, request: &Request) -> Act {
        let (secret, system_token) = *self.0.lock().unwrap();
        let refusal = |code: i64, message: &str| {
            Act::json(400, &json!({"error": {"message": message, "type": "OAuthException", "code": code}}))
        };
        let right = AppSecret::try_from(secret.to_owned()).unwrap();
        if let Some(given) = request.query("client_secret") {
            return match given == secret {
                true => Act::json(200, &json!({"access_token": "EAAgiven"})),
                false => refusal(1, "Error validating client secret."),
            };
        }
        let token = request.header("authorization").unwrap().strip_prefix("Bearer ").unwrap();
        if token.starts_with("EAA") && ![TOKEN, system_token].contains(&token) {
            return refusal(190, "Error validating access token: Session has expired.");
        }
        if token.starts_with("700|") && token != format!("700|{secret}") {
            return refusal(190, "Invalid OAuth access token signature.");
        }
        let token = AccessToken::try_from(token.to_owned()).unwrap();
        match request.query("appsecret_proof") == Some(appsecret_proof(&right, &token)) {
            true => Act::json(
                200,
                &json!({"messages": [{"id": "wamid.A="}], "id": "8", "data": {"is_valid": true}}),
            ),
            false => refusal(100, "Invalid appsecret_proof provided in the API argument"),
        }
    }
}

struct Scene {
    world: World,
    secret: MemorySecret,
    system_token: MemorySecret,
    meta: Meta,
    server: Scripted,
    graph: Graph,
}

async fn scene(secret: &str) -> Scene {
    let world = World::new();
    let stored = |value: &str| MemorySecret::new(world.steps.clone(), value);
    let (secret, system_token) = (stored(secret), stored("EAAold"));
    let (meta, server) = Meta::start();
    let config = GraphConfig {
        base_url: server.url.clone(),
        version: "v26.0".to_owned(),
        app_id: "700".to_owned(),
        app_secret: Some(Kept::read(secret.clone(), world.clone()).await.unwrap()),
        partner: Some(PartnerAccess {
            business_id: business(),
            credit_line_id: "197".to_owned(),
            system_user_token: Kept::read(system_token.clone(), world.clone()).await.unwrap(),
        }),
    };
    let graph = Graph::with_timeout(config, Duration::from_secs(5)).unwrap();
    Scene { world, secret, system_token, meta, server, graph }
}

impl Scene {
    /// One call of each way in which the secret goes out; the answers' errors.
    async fn all_calls(&self) -> Vec<GraphError> {
        let code = SignupCode::try_from("AQcode".to_owned()).unwrap();
        let errors = [
            self.graph.exchange_code(&code).await.map(drop),
            self.graph.renew_token(&token()).await.map(drop),
            self.graph.token_facts(&token()).await.map(drop),
            self.graph.send(&phone(), &json!({}), &token()).await.map(drop),
            self.graph.system_user().await.map(drop),
        ];
        errors.into_iter().filter_map(Result::err).collect()
    }

    fn reads(&self) -> usize {
        self.world.steps.count()
    }
}

#[tokio::test]
async fn a_call_goes_out_with_the_current_secret_and_where_meta_refuses_that_once_with_the_other() {
    let scene = scene(r#"["old","new"]"#).await;
    assert!(scene.all_calls().await.is_empty());
    assert_eq!(scene.server.requests().len(), 5, "the current one is right");
    scene.meta.takes("new", "EAAold");
    assert!(scene.all_calls().await.is_empty());
    assert_eq!(scene.server.requests().len(), 5 + 10, "each is refused once");
    assert_eq!(scene.reads(), 2, "at the start");
}

#[tokio::test]
async fn a_running_process_calls_with_a_secret_that_was_stored_after_its_start() {
    let scene = scene("old").await;
    scene.secret.set(r#"["new","old"]"#);
    scene.meta.takes("new", "EAAold");
    scene.world.clock.advance(MINUTE);
    assert!(scene.all_calls().await.is_empty());
    assert_eq!((scene.reads(), scene.server.requests().len()), (3, 6), "one refusal, one reading");
}

#[tokio::test]
async fn an_app_secret_that_meta_does_not_take_is_no_refusal_of_the_call_and_is_read_once_a_minute() {
    let scene = scene("wrong").await;
    for minute in 0..3 {
        for _ in 0..10 {
            let errors = scene.all_calls().await;
            assert_eq!(errors.len(), 5);
            assert!(errors.iter().all(|error| matches!(error, GraphError::NotSent(_))), "{errors:?}");
            assert!(errors.iter().all(is_clean), "{errors:?}");
        }
        assert_eq!(scene.reads(), 2 + minute);
        scene.world.clock.advance(MINUTE);
    }
}

#[tokio::test]
async fn what_meta_refuses_for_another_reason_is_not_sent_again() {
    for code in [1, 100, 190] {
        let body = json!({"error": {"message": "no", "code": code}});
        let server = Scripted::start(move |_| Act::json(400, &body));
        let error = graph(server.url.clone()).send(&phone(), &json!({}), &token()).await.unwrap_err();
        assert_eq!((error.refusal().unwrap().code, server.requests().len()), (code, 1));
    }
}

#[tokio::test]
async fn the_system_users_token_is_read_again_where_meta_does_not_take_it_at_most_once_a_minute() {
    let scene = scene("old").await;
    scene.meta.takes("old", "EAAnew");
    for _ in 0..10 {
        let refused = scene.graph.system_user().await.unwrap_err();
        assert_eq!(refused.refusal().unwrap().code, 190, "read less than a minute ago");
    }
    scene.world.clock.advance(MINUTE);
    assert_eq!(scene.graph.system_user().await.unwrap_err().refusal().unwrap().code, 190, "nothing new yet");
    scene.system_token.set("EAAnew");
    scene.world.clock.advance(MINUTE);
    assert_eq!(scene.graph.system_user().await.unwrap(), "8");
    assert_eq!(scene.reads(), 4, "one reading in each of two minutes");
    assert!(
        scene.graph.share_credit(&waba(), "USD").await.is_err_and(|e| e.refusal().is_none()),
        "it is taken"
    );
}
