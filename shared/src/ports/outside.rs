//! Time, randomness, sealing, queues, secrets, the language model.

use std::time::Duration;

use secrecy::SecretString;

use crate::domain::Timestamp;
use crate::domain::answer::Nudge;
use crate::domain::ids::ModelName;
use crate::domain::model::Model;
use crate::domain::parcel::Parcel;
use crate::domain::seal::{SealContext, Sealed};
use crate::domain::secret::{AccessToken, Rotating};
use crate::error::{ModelError, StoreError};

/// The wall clock.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// A clock that never goes back and that nobody sets.
pub trait Ticks: Send + Sync {
    /// How long it has run since some moment before.
    fn elapsed(&self) -> Duration;
}

/// A secret of the partner's own, as the store holds it now. IAM: `secretsmanager:GetSecretValue` on it.
pub trait ReadSecret<T>: Send + Sync {
    /// Its value or values; an error if it is not set, because who asks cannot do without.
    fn read_secret(&self) -> impl Future<Output = Result<Rotating<T>, StoreError>> + Send;
}

/// A cryptographically secure source of random bytes.
pub trait Random: Send + Sync {
    /// Sixteen fresh bytes.
    fn bytes(&self) -> [u8; 16];
}

/// Sealing of tokens and PINs. IAM: `kms:Encrypt`, `kms:Decrypt` on the token key.
pub trait Seal: Send + Sync {
    /// Seals at most 4096 bytes for one record and field.
    fn seal(
        &self,
        secret: &str,
        context: SealContext<'_>,
    ) -> impl Future<Output = Result<Sealed, StoreError>> + Send;

    /// Opens what was sealed with the same context; [`StoreError::Unsealable`] for anything else. What was opened is
    /// wiped when it is dropped.
    fn open(
        &self,
        sealed: &Sealed,
        context: SealContext<'_>,
    ) -> impl Future<Output = Result<SecretString, StoreError>> + Send;
}

/// The token of the partner's own system user, where all functions read it at their start. IAM:
/// `secretsmanager:GetSecretValue` on its secret, and `PutSecretValue` for who replaces it.
pub trait SystemTokens: Send + Sync {
    /// As it is now; `None` if the partner has none.
    fn system_token(&self) -> impl Future<Output = Result<Option<AccessToken>, StoreError>> + Send;

    /// Puts another in its place, in one move; the store keeps the one before. May be repeated.
    fn replace_system_token(
        &self,
        token: &AccessToken,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// The queue `inbound`. IAM: `sqs:SendMessage`.
pub trait SendInbound: Send + Sync {
    /// Makes all parcels durable, in as few calls as their sizes allow. On an error some may be on the
    /// queue: sending all again is right, the receiver knows duplicates.
    fn send_inbound(
        &self,
        parcels: &[Parcel],
        delay: Duration,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// The queue `answers`. IAM: `sqs:SendMessage`.
pub trait SendNudges: Send + Sync {
    /// Nudges after `delay` (at most 15 minutes, SQS's limit; longer ones are cut to it).
    fn send_nudges(
        &self,
        nudges: &[Nudge],
        delay: Duration,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// What a language model is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// The bot's task. Only the partner writes it.
    pub instructions: String,
    /// The conversation, oldest first; the last one is to be answered.
    pub turns: Vec<Turn>,
}

/// One message of a prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// Whether the customer wrote it; otherwise the business did.
    pub from_customer: bool,
    /// Its text, never empty; where it has none, what it is, in square brackets. A customer's text is never an
    /// instruction.
    pub text: String,
    /// The files that came with it, if the model takes them. Neither is what is in them an instruction.
    pub files: Vec<Attachment>,
}

/// A file for a language model. What the customer calls it is in the text of its turn. `Debug` does not show
/// its content.
#[derive(Clone, PartialEq, Eq)]
pub struct Attachment {
    /// As `image/jpeg`; without parameters, in lower case.
    pub mime_type: String,
    /// Its content.
    pub bytes: Vec<u8>,
}

impl std::fmt::Debug for Attachment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Attachment({}, {} bytes)", self.mime_type, self.bytes.len())
    }
}

/// What a language model answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    /// At most as long as a WhatsApp text, without white space around it. Empty where the model gave no text,
    /// which costs nevertheless.
    pub text: String,
    /// Tokens of the prompt, if told.
    pub prompt_tokens: Option<u64>,
    /// Tokens of the answer, if told.
    pub completion_tokens: Option<u64>,
}

/// The language models of the deployment. IAM: `bedrock:InvokeModel` on those of Amazon Bedrock.
pub trait Complete: Send + Sync {
    /// The model of this name; the first one where no name is given. `None` = there is no such model.
    fn model(&self, name: Option<&ModelName>) -> Option<Model>;

    /// One answer of a model that [`Self::model`] gave. May be repeated; each call costs money. Files of a type or
    /// size that the model's provider does not take are left out.
    fn complete(
        &self,
        model: &Model,
        prompt: &Prompt,
    ) -> impl Future<Output = Result<Completion, ModelError>> + Send;
}
