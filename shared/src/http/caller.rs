//! Who calls.

use lambda_http::request::RequestContext;
use lambda_http::{Request, RequestExt};

use super::ApiError;
use crate::domain::ids::BotId;
use crate::telemetry::unit;

/// API Gateway passes JWT claims on as text; a caller with more bots than this uses an admin token.
const MOST_BOTS: usize = 1000;

/// Before the names of our claims in tokens of the template's own user pool: Cognito puts `custom:` before the
/// attributes of a user. The longer prefix keeps apart what a partner's own pool may let its users write.
const POOL_CLAIM: &str = "custom:switchboard_";

/// Who calls, from the claims that API Gateway's JWT authorizer has checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    subject: String,
    bots: Bots,
    onboard_only: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Bots {
    All,
    These(Vec<BotId>),
}

impl Caller {
    /// The caller of a route that the signup page's short-lived token must not open.
    ///
    /// # Errors
    /// 401 without usable claims, 403 `scope_insufficient` for the page's token.
    pub fn of(request: &Request) -> Result<Self, ApiError> {
        let caller = Self::of_onboarding(request)?;
        if caller.onboard_only {
            return Err(ApiError::forbidden(
                "scope_insufficient",
                "The token's scope opens the signup only.",
                "Use a token without scope onboard.",
            ));
        }
        Ok(caller)
    }

    /// The caller of a signup route.
    ///
    /// # Errors
    /// 401 without usable claims.
    pub fn of_onboarding(request: &Request) -> Result<Self, ApiError> {
        let context = request.request_context_ref();
        let Some(RequestContext::ApiGatewayV2(context)) = context else {
            return Err(ApiError::unauthenticated());
        };
        let jwt = context.authorizer.as_ref().and_then(|authorizer| authorizer.jwt.as_ref());
        let claims = &jwt.ok_or_else(ApiError::unauthenticated)?.claims;
        let claim = |name: &str| claims.get(name).map(String::as_str);
        let of_pool = |name: &str| claim(&format!("{POOL_CLAIM}{name}"));
        let bots = match claim("role").or_else(|| of_pool("role")) {
            Some("admin") => Bots::All,
            _ => {
                let named = claim("bots").or_else(|| of_pool("bots"));
                Bots::These(named.and_then(bot_list).ok_or_else(ApiError::unauthenticated)?)
            }
        };
        // The page's token stays the page's, whichever claim says so.
        let scopes = [claim("scope"), of_pool("scope")].map(Option::unwrap_or_default).join(" ");
        Ok(Self {
            subject: claim("sub").unwrap_or_default().to_owned(),
            bots,
            onboard_only: scopes.split_whitespace().any(|scope| scope == "onboard"),
        })
    }

    /// Whether the caller may touch a bot.
    ///
    /// # Errors
    /// 404 `bot_not_found`, as for a bot that does not exist.
    pub fn check(&self, bot: &BotId) -> Result<(), ApiError> {
        match &self.bots {
            Bots::These(bots) if !bots.contains(bot) => Err(ApiError::not_found("bot_not_found")),
            Bots::All | Bots::These(_) => {
                unit::bot(bot);
                Ok(())
            }
        }
    }

    /// The bots that the claims name, sorted; `None` = all of them.
    #[must_use]
    pub fn bots(&self) -> Option<&[BotId]> {
        match &self.bots {
            Bots::All => None,
            Bots::These(bots) => Some(bots),
        }
    }

    /// Names the caller, for keys that must not be shared between callers.
    #[must_use]
    pub fn name(&self) -> String {
        match &self.bots {
            Bots::All => format!("admin:{}", self.subject),
            Bots::These(bots) => {
                let bots: Vec<&str> = bots.iter().map(AsRef::as_ref).collect();
                format!("{}:{}", bots.join(","), self.subject)
            }
        }
    }
}

/// The claim `bots`: a JSON list, or what API Gateway makes of one (`[a b]`). Anything else is nothing.
fn bot_list(claim: &str) -> Option<Vec<BotId>> {
    let names: Vec<String> = match serde_json::from_str(claim) {
        Ok(names) => names,
        Err(_) => {
            let inner = claim.strip_prefix('[')?.strip_suffix(']')?;
            inner.split(' ').filter(|name| !name.is_empty()).map(str::to_owned).collect()
        }
    };
    let mut bots = names.into_iter().map(BotId::try_from).collect::<Result<Vec<_>, _>>().ok()?;
    bots.sort();
    bots.dedup();
    (bots.len() <= MOST_BOTS).then_some(bots)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::request;
    use super::*;

    #[test]
    fn claims_come_as_gateway_text_or_as_json() {
        for bots in ["[a b]", "[\"a\",\"b\"]", "[b a b]"] {
            let caller = Caller::of(&request(&json!({"bots": bots, "sub": "s"}), "")).unwrap();
            assert!(caller.check(&"a".parse().unwrap()).is_ok(), "{bots}");
            assert_eq!(caller.check(&"c".parse().unwrap()).unwrap_err().code(), "bot_not_found");
            assert_eq!(caller.bots().unwrap().len(), 2);
        }
    }

    #[test]
    fn anything_else_in_the_claims_fails_closed() {
        for claims in [
            json!({}),
            json!({"bots": "a b"}),
            json!({"bots": "a"}),
            json!({"bots": "[a,b]"}),
            json!({"bots": "[a b"}),
            json!({"bots": "{\"a\":1}"}),
            json!({"role": "user"}),
            json!({"bots": "[a/b]"}),
        ] {
            assert_eq!(Caller::of(&request(&claims, "")).unwrap_err().status(), 401, "{claims}");
        }
        let nobody = Caller::of(&request(&json!({"bots": "[]"}), "")).unwrap();
        assert!(nobody.check(&"a".parse().unwrap()).is_err());
    }

    #[test]
    fn the_pages_token_opens_the_signup_only() {
        let request = request(&json!({"bots": "[a]", "scope": "onboard"}), "");
        assert!(Caller::of_onboarding(&request).is_ok());
        assert_eq!(Caller::of(&request).unwrap_err().code(), "scope_insufficient");
    }

    #[test]
    fn attributes_of_the_user_pool_count_as_the_claims_of_the_same_name() {
        let of = |claims| Caller::of_onboarding(&request(&claims, ""));
        let caller = of(json!({"custom:switchboard_bots": "[\"a\",\"b\"]", "sub": "s"})).unwrap();
        assert_eq!(caller.bots().unwrap().len(), 2);
        assert!(of(json!({"custom:switchboard_role": "admin"})).unwrap().bots().is_none());
        let page = request(
            &json!({"custom:switchboard_bots": "[\"a\"]", "custom:switchboard_scope": "onboard"}),
            "",
        );
        assert_eq!(Caller::of(&page).unwrap_err().code(), "scope_insufficient");
        for claims in [
            json!({"custom:role": "admin"}),
            json!({"custom:bots": "[a]"}),
            json!({"switchboard_role": "admin"}),
        ] {
            assert_eq!(of(claims.clone()).unwrap_err().status(), 401, "{claims}");
        }
        // A plain claim goes before.
        let both = of(json!({"role": "user", "custom:switchboard_role": "admin", "bots": "[a]"})).unwrap();
        assert!(both.bots().is_some());
    }

    #[test]
    fn an_admin_may_touch_every_bot() {
        let caller = Caller::of(&request(&json!({"role": "admin"}), "")).unwrap();
        assert!(caller.check(&"any".parse().unwrap()).is_ok());
        assert!(caller.bots().is_none());
    }
}
