use super::Must;
use crate::domain::secret::AccessToken;
use crate::ports::SystemTokens;

/// [`SystemTokens`]: what was put there is what is read.
pub async fn system_tokens(vault: &impl SystemTokens, unique: &str) {
    for n in [1, 2, 2] {
        let token = format!("EAAcontract{unique}{n}");
        vault.replace_system_token(&AccessToken::try_from(token.clone()).must()).await.must();
        let read = vault.system_token().await.must().expect("it was put there");
        assert_eq!(read.expose(), token);
    }
}
