//! The tokens of local callers. The front is their issuer: in AWS that is the partner's identity provider.

use std::path::Path;

use anyhow::{Context, Result, anyhow};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64URL;
use jiff::{SignedDuration, Timestamp};
use ring::rand::SystemRandom;
use ring::rsa::{KeyPair, PublicKeyComponents};
use ring::signature::RSA_PKCS1_SHA256;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::info::Tokens;

/// What the HTTP API's authorizer expects; the default of the template's parameter `JwtAudience`.
pub(crate) const AUDIENCE: &str = "switchboard";

pub(crate) const CALLER_LIFETIME: SignedDuration = SignedDuration::from_hours(24);
/// As long as somebody needs for Embedded Signup.
const PAGE_LIFETIME: SignedDuration = SignedDuration::from_mins(15);

/// Who a token is for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Caller<'a> {
    /// The partner's operations: every bot.
    Admin,
    /// The partner's software, for one bot.
    Bot(&'a str),
    /// The signup page in a browser: may onboard for one bot, nothing else.
    Page(&'a str),
}

/// Signs tokens (RS256) and publishes the key to check them with.
pub(crate) struct Issuer {
    key: KeyPair,
    key_id: String,
    issuer: String,
}

impl Issuer {
    /// Reads the key (PKCS #8, DER). `issuer` is the front's origin.
    pub(crate) fn open(key: &Path, issuer: String) -> Result<Self> {
        let der = std::fs::read(key).with_context(|| format!("cannot read {}", key.display()))?;
        let key = KeyPair::from_pkcs8(&der).map_err(|error| {
            anyhow!("{} is not a signing key ({error}): start with --fresh", key.display())
        })?;
        let key_id = hex::encode(&Sha256::digest(key.public().as_ref())[..8]);
        Ok(Self { key, key_id, issuer })
    }

    /// The front's origin.
    pub(crate) fn origin(&self) -> &str {
        &self.issuer
    }

    /// Tokens for the admin and for each local bot.
    pub(crate) fn all(&self, now: Timestamp) -> Result<Tokens> {
        let bots = crate::BOTS.iter().map(|bot| Ok(((*bot).to_owned(), self.sign(Caller::Bot(bot), now)?)));
        Ok(Tokens { admin: self.sign(Caller::Admin, now)?, bots: bots.collect::<Result<_>>()? })
    }

    /// A token for `caller`, valid from `now`: a day, or 15 minutes for a page.
    pub(crate) fn sign(&self, caller: Caller<'_>, now: Timestamp) -> Result<String> {
        let lifetime = if matches!(caller, Caller::Page(_)) { PAGE_LIFETIME } else { CALLER_LIFETIME };
        let claims = match caller {
            Caller::Admin => json!({"sub": "local-admin", "role": "admin"}),
            Caller::Bot(bot) => json!({"sub": format!("local-{bot}"), "bots": [bot]}),
            Caller::Page(bot) => {
                json!({"sub": format!("local-page-{bot}"), "bots": [bot], "scope": "onboard"})
            }
        };
        self.sign_claims(claims, now, lifetime)
    }

    /// A token with these claims, and with those that every token has.
    pub(crate) fn sign_claims(
        &self,
        mut claims: Value,
        now: Timestamp,
        lifetime: SignedDuration,
    ) -> Result<String> {
        claims["iss"] = json!(self.issuer);
        claims["aud"] = json!(AUDIENCE);
        claims["iat"] = json!(now.as_second());
        claims["exp"] = json!((now + lifetime).as_second());
        let header = json!({"alg": "RS256", "typ": "JWT", "kid": self.key_id});
        let signed =
            format!("{}.{}", BASE64URL.encode(header.to_string()), BASE64URL.encode(claims.to_string()));
        let mut signature = vec![0; self.key.public().modulus_len()];
        self.key
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
            .map_err(|_| anyhow!("a token could not be signed"))?;
        Ok(format!("{signed}.{}", BASE64URL.encode(signature)))
    }

    /// `/.well-known/jwks.json`.
    pub(crate) fn key_set(&self) -> Value {
        let public = PublicKeyComponents::<Vec<u8>>::from(self.key.public());
        json!({"keys": [{
            "kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.key_id,
            "n": BASE64URL.encode(public.n), "e": BASE64URL.encode(public.e),
        }]})
    }

    /// `/.well-known/openid-configuration`, as far as API Gateway reads it.
    pub(crate) fn discovery(&self) -> Value {
        json!({
            "issuer": self.issuer,
            "jwks_uri": format!("{}/.well-known/jwks.json", self.issuer),
            "id_token_signing_alg_values_supported": ["RS256"],
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};

    use super::*;

    /// A key of the same kind as `make_key.py` makes, for tests alone.
    const KEY: &str = include_str!("../testdata/signing-key.hex");

    pub(crate) fn issuer() -> Issuer {
        let temp = tempfile::tempdir().unwrap();
        let file = temp.path().join("key.der");
        std::fs::write(&file, hex::decode(KEY.replace('\n', "")).unwrap()).unwrap();
        Issuer::open(&file, "http://127.0.0.1:3000".to_owned()).unwrap()
    }

    fn claims(token: &str) -> Value {
        let part = token.split('.').nth(1).unwrap();
        serde_json::from_slice(&BASE64URL.decode(part).unwrap()).unwrap()
    }

    #[test]
    fn a_bots_token_names_that_bot_alone_and_lives_a_day() {
        let claims = claims(&issuer().sign(Caller::Bot("demo-bakery"), Timestamp::UNIX_EPOCH).unwrap());
        assert_eq!(claims["bots"], json!(["demo-bakery"]));
        assert_eq!(claims["iss"], "http://127.0.0.1:3000");
        assert_eq!(claims["aud"], "switchboard");
        assert_eq!(claims["exp"], 86_400);
        assert!(claims.get("role").is_none() && claims.get("scope").is_none());
    }

    #[test]
    fn a_pages_token_may_only_onboard_and_lives_15_minutes() {
        let claims = claims(&issuer().sign(Caller::Page("demo-florist"), Timestamp::UNIX_EPOCH).unwrap());
        assert_eq!(claims["bots"], json!(["demo-florist"]));
        assert_eq!(claims["scope"], "onboard");
        assert_eq!(claims["exp"], 900);
    }

    #[test]
    fn the_admins_token_has_the_role_and_no_bots() {
        let claims = claims(&issuer().sign(Caller::Admin, Timestamp::UNIX_EPOCH).unwrap());
        assert_eq!(claims["role"], "admin");
        assert!(claims.get("bots").is_none());
    }

    #[test]
    fn the_published_key_checks_the_signature() {
        let issuer = issuer();
        let token = issuer.sign(Caller::Admin, Timestamp::now()).unwrap();
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let key = &issuer.key_set()["keys"][0];
        let part = |name: &str| BASE64URL.decode(key[name].as_str().unwrap()).unwrap();
        RsaPublicKeyComponents { n: part("n"), e: part("e") }
            .verify(&RSA_PKCS1_2048_8192_SHA256, signed.as_bytes(), &BASE64URL.decode(signature).unwrap())
            .unwrap();
    }
}
