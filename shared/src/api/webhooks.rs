//! What Meta calls. Its answers have no body of ours, so there is no type to share.

use schemars::JsonSchema;
use serde_json::json;

use super::describe::Operation;

/// Meta's envelope. What of it is not understood is kept all the same.
#[derive(JsonSchema)]
#[schemars(rename = "Webhook")]
#[expect(dead_code, reason = "only described")]
struct Envelope {
    /// `whatsapp_business_account`.
    object: Option<serde_json::Value>,
    /// Changes, account by account.
    entry: Option<serde_json::Value>,
}

/// What this file describes.
pub(super) fn operations() -> Vec<Operation> {
    let path = "/api/webhooks/whatsapp";
    let mut receive = Operation::public("post", path, "receiveWebhook", "Takes a webhook of Meta's")
        .described(
            "Everything that is signed is answered 200 and can be found afterwards, also what is no JSON or not \
             understood. Meta delivers again on anything else.",
        )
        .signed()
        .plain_answer(200, false, "It is kept.");
    receive.request = Some((
        |generator| generator.subschema_for::<Envelope>(),
        json!({"object": "whatsapp_business_account", "entry": []}),
    ));
    let verify =
        Operation::public("get", path, "verifyWebhook", "Meta's handshake when the callback address is set")
            .required_query::<String>("hub.mode", "Always `subscribe`.")
            .required_query::<String>("hub.verify_token", "This deployment's verify token.")
            .required_query::<Challenge>("hub.challenge", "What is to be repeated.")
            .plain_answer(200, true, "The challenge.")
            .problem(400, "missing_challenge")
            .problem(403, "wrong_verify_token");
    vec![receive, verify]
}

#[derive(JsonSchema)]
#[schemars(transparent, extend("pattern" = "^[A-Za-z0-9_.-]{1,200}$"))]
struct Challenge(#[expect(dead_code, reason = "only described")] String);
