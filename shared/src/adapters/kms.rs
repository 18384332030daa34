//! KMS: sealing of tokens and PINs.

use aws_sdk_kms::Client;
use aws_sdk_kms::error::SdkError;
use aws_sdk_kms::operation::decrypt::DecryptError;
use aws_sdk_kms::primitives::Blob;

use secrecy::SecretString;
use secrecy::zeroize::Zeroize;

use super::aws::failure;
use crate::domain::seal::{SealContext, Sealed};
use crate::domain::secret::wiped;
use crate::error::StoreError;
use crate::ports::Seal;

/// Seals with one KMS key.
#[derive(Debug, Clone)]
pub struct Kms {
    client: Client,
    key_id: String,
}

impl Kms {
    /// `key_id` is the key's id or ARN. Opening names it too, so that a ciphertext of another key, which
    /// somebody with access to a table could put there, does not open.
    #[must_use]
    pub fn new(client: Client, key_id: String) -> Self {
        Self { client, key_id }
    }
}

impl Seal for Kms {
    async fn seal(&self, secret: &str, context: SealContext<'_>) -> Result<Sealed, StoreError> {
        let mut call = self.client.encrypt().key_id(&self.key_id).plaintext(Blob::new(secret));
        for (name, value) in context.pairs() {
            call = call.encryption_context(name, value);
        }
        let answer = call.send().await.map_err(|e| failure("kms Encrypt", &e))?;
        let ciphertext =
            answer.ciphertext_blob.ok_or_else(|| StoreError::service("kms Encrypt", "no ciphertext"))?;
        Ok(Sealed::new(ciphertext.into_inner()))
    }

    async fn open(&self, sealed: &Sealed, context: SealContext<'_>) -> Result<SecretString, StoreError> {
        let ciphertext = Blob::new(sealed.ciphertext());
        let mut call = self.client.decrypt().key_id(&self.key_id).ciphertext_blob(ciphertext);
        for (name, value) in context.pairs() {
            call = call.encryption_context(name, value);
        }
        let answer = call.send().await.map_err(|e| not_opened(&e))?;
        let plaintext = answer.plaintext.ok_or_else(|| StoreError::service("kms Decrypt", "no plaintext"))?;
        match String::from_utf8(plaintext.into_inner()) {
            Ok(text) => Ok(wiped(text)),
            Err(error) => {
                error.into_bytes().zeroize();
                Err(StoreError::Unsealable("what was sealed is not text".into()))
            }
        }
    }
}

/// KMS answers a wrong context, a damaged ciphertext and one of another key alike: it does not open.
fn not_opened(error: &SdkError<DecryptError>) -> StoreError {
    match error.as_service_error() {
        Some(DecryptError::InvalidCiphertextException(_)) => {
            StoreError::Unsealable("it was altered or moved to another record".into())
        }
        Some(DecryptError::IncorrectKeyException(_)) => {
            StoreError::Unsealable("it was sealed with another key".into())
        }
        _ => failure("kms Decrypt", error),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use base64::{Engine, engine::general_purpose::STANDARD};
    use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
    use secrecy::ExposeSecret;
    use serde_json::{Value, json};

    use super::super::aws::tests::at;
    use super::super::scripted::{Act, Request, Scripted};
    use super::*;

    /// KMS with real integrity: AES-256-GCM with the context as associated data. The key `other` did not
    /// seal anything, and the key `busy` makes KMS fail.
    fn kms(request: &Request) -> Act {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let key_id = body["KeyId"].as_str().unwrap();
        // Sorted: the SDK sends the pairs in any order.
        let context: BTreeMap<String, String> =
            serde_json::from_value(body["EncryptionContext"].clone()).unwrap();
        let aad = Aad::from(serde_json::to_vec(&context).unwrap());
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[7; 32]).unwrap());
        let nonce = || Nonce::assume_unique_for_key([1; 12]);
        let bytes = |name: &str| STANDARD.decode(body[name].as_str().unwrap()).unwrap();
        match request.header("x-amz-target").unwrap() {
            "TrentService.Encrypt" => {
                let mut bytes = bytes("Plaintext");
                key.seal_in_place_append_tag(nonce(), aad, &mut bytes).unwrap();
                Act::json(200, &json!({"CiphertextBlob": STANDARD.encode(bytes), "KeyId": key_id}))
            }
            _ if key_id == "other" => refusal("IncorrectKeyException"),
            _ if key_id == "busy" => refusal("KMSInternalException"),
            _ => match key.open_in_place(nonce(), aad, &mut bytes("CiphertextBlob")) {
                Ok(plain) => Act::json(200, &json!({"Plaintext": STANDARD.encode(plain)})),
                Err(_) => refusal("InvalidCiphertextException"),
            },
        }
    }

    fn refusal(kind: &str) -> Act {
        Act::json(400, &json!({"__type": kind, "message": "no"}))
    }

    fn grant(id: &str) -> crate::domain::ids::GrantId {
        id.parse().unwrap()
    }

    #[tokio::test]
    async fn what_is_sealed_opens_in_its_own_record_and_field_only() {
        let server = Scripted::start(kms);
        let kms = Kms::new(at(&server.url).kms(), "key".to_owned());
        let (mine, other) = (grant("bot.1"), grant("bot.2"));
        let sealed = kms.seal("EAAsecret", SealContext::GrantToken(&mine)).await.unwrap();
        assert!(!String::from_utf8_lossy(sealed.ciphertext()).contains("EAA"));
        assert_eq!(
            kms.open(&sealed, SealContext::GrantToken(&mine)).await.unwrap().expose_secret(),
            "EAAsecret"
        );

        let moved = kms.open(&sealed, SealContext::GrantToken(&other)).await.unwrap_err();
        assert!(matches!(moved, StoreError::Unsealable(_)), "{moved:?}");
        let phone = "117".parse().unwrap();
        let field = kms.open(&sealed, SealContext::ClientPin(&phone)).await.unwrap_err();
        assert!(matches!(field, StoreError::Unsealable(_)), "{field:?}");
    }

    #[tokio::test]
    async fn a_tampered_ciphertext_and_another_key_do_not_open() {
        let server = Scripted::start(kms);
        let client = at(&server.url).kms();
        let mine = grant("bot.1");
        let context = SealContext::GrantToken(&mine);
        let key = Kms::new(client.clone(), "key".to_owned());
        let sealed = key.seal("EAAsecret", context).await.unwrap();

        let mut bytes = sealed.ciphertext().to_vec();
        bytes[0] ^= 1;
        let tampered = key.open(&Sealed::new(bytes), context).await.unwrap_err();
        assert!(matches!(tampered, StoreError::Unsealable(_)), "{tampered:?}");

        let other = Kms::new(client, "other".to_owned()).open(&sealed, context).await.unwrap_err();
        assert!(matches!(other, StoreError::Unsealable(_)), "{other:?}");
    }

    #[tokio::test]
    async fn a_failing_service_is_not_taken_for_a_broken_seal() {
        let server = Scripted::start(kms);
        let mine = grant("bot.1");
        let kms = Kms::new(at(&server.url).kms(), "busy".to_owned());
        let error = kms.open(&Sealed::new(vec![1]), SealContext::GrantToken(&mine)).await.unwrap_err();
        assert!(matches!(error, StoreError::Service { .. }), "{error:?}");
        assert!(crate::error::Chain(&error).to_string().contains("KMSInternalException"), "{error:?}");
    }

    #[tokio::test]
    async fn an_answer_that_cannot_be_read_is_not_repeated_in_the_error() {
        let server = Scripted::start(|_| Act::json(200, &json!({"Plaintext": ["EAAsecret"]})));
        let mine = grant("bot.1");
        let kms = Kms::new(at(&server.url).kms(), "key".to_owned());
        let error = kms.open(&Sealed::new(vec![1]), SealContext::GrantToken(&mine)).await.unwrap_err();
        assert!(!format!("{error:?} {}", crate::error::Chain(&error)).contains("EAA"), "{error:?}");
    }
}
