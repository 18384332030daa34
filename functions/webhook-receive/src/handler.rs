//! Signature, pack, one SQS call, 200. Success writes no log line: at this volume a line costs as much
//! as the request.

use lambda_http::{Body, Request};
use shared::domain::secret::AppSecret;
use shared::flows::receive::{ReceiveError, receive};
use shared::http::{ApiError, Response, header};
use shared::kept::Kept;
use shared::ports::{Clock, SendInbound};

pub(crate) async fn handle(
    queue: &impl SendInbound, // sqs:SendMessage on inbound
    clock: &impl Clock,
    secret: &Kept<AppSecret>, // secretsmanager:GetSecretValue on it, where nothing matches
    request: &Request,
) -> Result<Response<Body>, ApiError> {
    let signature = header(request, "x-hub-signature-256");
    match receive(queue, clock, secret, signature, request.body()).await {
        Ok(()) => Ok(Response::new(Body::Empty)),
        Err(ReceiveError::Forged(_)) => Err(ApiError::bad_signature()),
        // Meta delivers it again on anything but 200.
        Err(ReceiveError::Store(error)) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests;
