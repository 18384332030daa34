//! Secrets Manager: the partner's own secrets, read at cold start.

use aws_sdk_secretsmanager::Client;
use secrecy::zeroize::Zeroizing;

use super::aws::failure;
use crate::domain::ids::InvalidId;
use crate::domain::secret::{AccessToken, Rotating};
use crate::error::StoreError;
use crate::ports::{ReadSecret, SystemTokens};

/// What a secret holds that the partner has not set: the template must give every secret some value.
const NOT_SET: &str = "none";

/// The secret store. IAM: `secretsmanager:GetSecretValue` on the secrets read.
#[derive(Debug, Clone)]
pub struct Secrets {
    client: Client,
}

impl Secrets {
    /// The store behind this client.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// The secret with this ARN; `None` if its value is `none` or empty. White space around it does not
    /// count: files end with a line break.
    ///
    /// # Errors
    /// [`StoreError::Service`] if it cannot be read, [`StoreError::Corrupt`] if it is not a `T`.
    pub async fn get<T>(&self, arn: &str) -> Result<Option<T>, StoreError>
    where
        T: TryFrom<String, Error = InvalidId>,
    {
        let call = self.client.get_secret_value().secret_id(arn);
        let answer = call.send().await.map_err(|e| failure("secretsmanager GetSecretValue", &e))?;
        let value = Zeroizing::new(answer.secret_string.unwrap_or_default());
        match value.trim() {
            "" | NOT_SET => Ok(None),
            value => T::try_from(value.to_owned()).map(Some).map_err(|e| StoreError::corrupt("secrets", e)),
        }
    }

    /// The same for a secret that nothing works without.
    ///
    /// # Errors
    /// As [`Self::get`], and [`StoreError::Corrupt`] if it is not set.
    pub async fn required<T>(&self, arn: &str) -> Result<T, StoreError>
    where
        T: TryFrom<String, Error = InvalidId>,
    {
        self.get(arn).await?.ok_or_else(|| {
            let what_to_do = format!("secret {arn} is not set: put its value there and start again");
            StoreError::corrupt("secrets", what_to_do)
        })
    }
}

/// One secret, for [`crate::kept::Kept`]: a value, or a list of two while it is changed.
#[derive(Debug, Clone)]
pub struct OneSecret {
    secrets: Secrets,
    arn: String,
}

impl OneSecret {
    /// The secret with this ARN.
    #[must_use]
    pub fn new(secrets: &Secrets, arn: String) -> Self {
        Self { secrets: secrets.clone(), arn }
    }
}

impl<T: TryFrom<String, Error = InvalidId> + Send + Sync> ReadSecret<T> for OneSecret {
    async fn read_secret(&self) -> Result<Rotating<T>, StoreError> {
        self.secrets.required(&self.arn).await
    }
}

/// The secret with the system user's token.
#[derive(Debug, Clone)]
pub struct SystemToken {
    secrets: Secrets,
    arn: String,
}

impl SystemToken {
    /// The secret with this ARN.
    #[must_use]
    pub fn new(secrets: &Secrets, arn: String) -> Self {
        Self { secrets: secrets.clone(), arn }
    }
}

impl SystemTokens for SystemToken {
    async fn system_token(&self) -> Result<Option<AccessToken>, StoreError> {
        let token = self.secrets.get::<Rotating<AccessToken>>(&self.arn).await?;
        Ok(token.map(Rotating::into_current))
    }

    async fn replace_system_token(&self, token: &AccessToken) -> Result<(), StoreError> {
        let call = self.secrets.client.put_secret_value().secret_id(&self.arn).secret_string(token.expose());
        call.send().await.map_err(|e| failure("secretsmanager PutSecretValue", &e))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::aws::tests::at;
    use super::super::scripted::{Act, Scripted};
    use super::*;
    use crate::domain::secret::{AppSecret, Pin};
    use crate::error::Chain;

    const ARN: &str = "arn:aws:secretsmanager:us-east-1:000000000000:secret:app-secret";

    async fn required<T: TryFrom<String, Error = InvalidId>>(value: &'static str) -> Result<T, StoreError> {
        let server = Scripted::start(move |_| Act::json(200, &json!({"ARN": ARN, "SecretString": value})));
        Secrets::new(at(&server.url).secrets()).required(ARN).await
    }

    #[tokio::test]
    async fn a_secret_is_read_without_the_space_around_it() {
        assert_eq!(required::<AppSecret>("hush\n").await.unwrap().expose(), "hush");
    }

    #[tokio::test]
    async fn none_means_not_set_and_a_required_one_says_what_to_do() {
        for value in ["none", "", "\n"] {
            let error = required::<AppSecret>(value).await.unwrap_err();
            let words = Chain(&error).to_string();
            assert!(words.contains(ARN) && words.contains("not set"), "{words}");
        }
    }

    #[tokio::test]
    async fn a_secret_that_is_being_changed_has_two_values() {
        let value = json!({"ARN": ARN, "SecretString": "[\"new\",\"old\"]\n"});
        let server = Scripted::start(move |_| Act::json(200, &value));
        let secret = OneSecret::new(&Secrets::new(at(&server.url).secrets()), ARN.to_owned());
        let known: Rotating<AppSecret> = secret.read_secret().await.unwrap();
        assert!(known.iter().map(AppSecret::expose).eq(["new", "old"]));
    }

    #[tokio::test]
    async fn a_value_of_the_wrong_form_is_not_shown() {
        let error = required::<Pin>("hush-hush").await.unwrap_err();
        assert_eq!(Chain(&error).to_string(), "a record of secrets cannot be read: not a valid Pin");
        assert!(!format!("{error:?}").contains("hush"));
    }

    #[tokio::test]
    async fn a_missing_secret_is_a_failure_of_the_service() {
        let answer = json!({"__type": "ResourceNotFoundException", "message": "no such secret"});
        let server = Scripted::start(move |_| Act::json(400, &answer));
        let error = Secrets::new(at(&server.url).secrets()).get::<AppSecret>(ARN).await.unwrap_err();
        assert!(Chain(&error).to_string().contains("ResourceNotFoundException"), "{error:?}");
    }

    #[tokio::test]
    async fn the_system_users_token_is_replaced_in_one_call() {
        let server = Scripted::start(move |_| Act::json(200, &json!({"ARN": ARN, "SecretString": "none"})));
        let token = SystemToken::new(&Secrets::new(at(&server.url).secrets()), ARN.to_owned());
        assert!(token.system_token().await.unwrap().is_none(), "a Tech Provider has none");
        let new = AccessToken::try_from("EAAhush".to_owned()).unwrap();
        token.replace_system_token(&new).await.unwrap();
        let request = server.requests().remove(1);
        assert_eq!(request.header("x-amz-target"), Some("secretsmanager.PutSecretValue"));
        let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
        assert_eq!((&body["SecretId"], &body["SecretString"]), (&json!(ARN), &json!("EAAhush")));
    }
}
