//! Which Meta app the stack works for: an invented one of the simulator, or a real one from `.env`.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::state_dir::StateDir;

/// Meta's own origin.
pub(crate) const GRAPH: &str = "https://graph.facebook.com";

/// The Meta app, the partner, and where the Graph API is.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) app_id: String,
    pub(crate) app_secret: String,
    pub(crate) verify_token: String,
    pub(crate) config_id: String,
    pub(crate) business_id: Option<String>,
    /// Only Solution Partners have one.
    pub(crate) credit_line_id: Option<String>,
    pub(crate) system_user_token: Option<String>,
    /// Real settings: Meta's Graph API, no simulator, and no secret in `stack.json`.
    pub(crate) real: bool,
    /// An OpenAI-compatible endpoint with its model and key; the simulator's where there is a simulator.
    pub(crate) model: Option<Model>,
}

/// A language model that answers customers.
#[derive(Clone)]
pub(crate) struct Model {
    pub(crate) base_url: String,
    pub(crate) name: Option<String>,
    pub(crate) key: Option<String>,
}

/// The invented partner; the secrets are made at the first start.
mod invented {
    pub(super) const APP_ID: &str = "748215930264817";
    pub(super) const CONFIG_ID: &str = "1093847562018374";
    pub(super) const BUSINESS_ID: &str = "302958174630285";
    pub(super) const CREDIT_LINE_ID: &str = "6195827403918265";
}

/// Who the invented system user token belongs to.
pub(crate) const SYSTEM_USER_ID: &str = "100084736251908";

const SECRETS: &str = "secrets.json";

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Secrets {
    app_secret: String,
    verify_token: String,
    system_user_token: String,
}

impl Settings {
    /// The settings of `.env` if it names an app, else invented ones.
    pub(crate) fn load(dir: &StateDir, env_file: Option<&Path>) -> Result<Self> {
        let entries = env_file.map(read_env).transpose()?.unwrap_or_default();
        match entries.contains_key("FACEBOOK_APP_ID") {
            true => Self::real(entries),
            false => Self::invented(dir),
        }
    }

    fn invented(dir: &StateDir) -> Result<Self> {
        let secrets = match dir.read(SECRETS)? {
            Some(json) => serde_json::from_slice(&json)
                .context("the secrets kept by an earlier start cannot be read: start with --fresh")?,
            None => make_secrets(dir)?,
        };
        Ok(Self {
            app_id: invented::APP_ID.to_owned(),
            app_secret: secrets.app_secret,
            verify_token: secrets.verify_token,
            config_id: invented::CONFIG_ID.to_owned(),
            business_id: Some(invented::BUSINESS_ID.to_owned()),
            credit_line_id: Some(invented::CREDIT_LINE_ID.to_owned()),
            system_user_token: Some(secrets.system_user_token),
            real: false,
            model: None,
        })
    }

    fn real(mut entries: BTreeMap<String, String>) -> Result<Self> {
        let mut optional = |name: &str| entries.remove(name);
        let model = optional("MODEL_BASE_URL");
        let model = model.map(|base_url| Model {
            base_url,
            name: optional("MODEL_NAME"),
            key: optional("MODEL_KEY"),
        });
        let business_id = optional("FACEBOOK_BUSINESS_ID");
        let credit_line_id = optional("FACEBOOK_CREDIT_LINE_ID");
        let system_user_token = optional("FACEBOOK_SYSTEM_USER_TOKEN");
        if credit_line_id.is_some() && (business_id.is_none() || system_user_token.is_none()) {
            bail!(
                ".env has FACEBOOK_CREDIT_LINE_ID, so it is a Solution Partner's: it also needs \
                 FACEBOOK_BUSINESS_ID and FACEBOOK_SYSTEM_USER_TOKEN"
            );
        }
        let mut required = |name: &str| {
            entries
                .remove(name)
                .with_context(|| format!(".env has FACEBOOK_APP_ID but no {name}: see .env.example"))
        };
        Ok(Self {
            app_id: required("FACEBOOK_APP_ID")?,
            app_secret: required("FACEBOOK_APP_SECRET")?,
            verify_token: required("WEBHOOK_VERIFY_TOKEN")?,
            config_id: required("NEXT_PUBLIC_FACEBOOK_LOGIN_CONFIG_ID")?,
            business_id,
            credit_line_id,
            system_user_token,
            real: true,
            model,
        })
    }
}

fn make_secrets(dir: &StateDir) -> Result<Secrets> {
    let secrets = Secrets {
        app_secret: random_hex(16)?,
        verify_token: random_hex(16)?,
        // As every token of Meta's begins, so that what must not leak can be searched for.
        system_user_token: format!("EAA{}", random_hex(40)?),
    };
    dir.write(SECRETS, &serde_json::to_vec_pretty(&secrets).context("secrets cannot be written")?)?;
    Ok(secrets)
}

fn random_hex(bytes: usize) -> Result<String> {
    let mut random = vec![0; bytes];
    getrandom::fill(&mut random).context("the system gives no random numbers")?;
    Ok(hex::encode(random))
}

/// The entries of `.env` that have a value; none if there is no such file.
fn read_env(path: &Path) -> Result<BTreeMap<String, String>> {
    if !path.exists() {
        return Ok(BTreeMap::new());
    }
    let mut entries = BTreeMap::new();
    for entry in dotenvy::from_path_iter(path).with_context(|| format!("cannot read {}", path.display()))? {
        // The library's message quotes the line, which may hold a secret.
        let Ok((name, value)) = entry else {
            bail!("{} has a line that is not NAME=value: see .env.example", path.display());
        };
        if !value.trim().is_empty() {
            entries.insert(name, value.trim().to_owned());
        }
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    const REAL: &str = "
# a comment
FACEBOOK_APP_ID=5550001112223
export FACEBOOK_APP_SECRET='0123456789abcdef'
WEBHOOK_VERIFY_TOKEN=\"a long random word\"
NEXT_PUBLIC_FACEBOOK_LOGIN_CONFIG_ID=555000333
FACEBOOK_CREDIT_LINE_ID=
";

    fn load(env: Option<&str>) -> Result<Settings> {
        let temp = tempfile::tempdir().unwrap();
        let dir = StateDir::open(&temp.path().join(".local"), false).unwrap();
        let file = temp.path().join(".env");
        if let Some(env) = env {
            std::fs::write(&file, env).unwrap();
        }
        Settings::load(&dir, Some(&file))
    }

    fn error(env: &str) -> String {
        load(Some(env)).err().unwrap().to_string()
    }

    #[test]
    fn without_an_env_file_everything_is_invented_and_the_secrets_are_kept() {
        let temp = tempfile::tempdir().unwrap();
        let dir = StateDir::open(temp.path(), false).unwrap();
        let first = Settings::load(&dir, None).unwrap();
        let second = Settings::load(&dir, None).unwrap();
        assert!(!first.real && first.credit_line_id.is_some());
        assert_eq!(first.app_secret, second.app_secret);
        assert!(first.system_user_token.unwrap().starts_with("EAA"));
        assert_ne!(first.app_secret, load(None).unwrap().app_secret);
    }

    #[test]
    fn an_env_file_with_an_app_is_real() {
        let settings = load(Some(REAL)).unwrap();
        assert!(settings.real);
        assert_eq!(settings.app_id, "5550001112223");
        assert_eq!(settings.app_secret, "0123456789abcdef");
        assert_eq!(settings.verify_token, "a long random word");
        assert!(settings.credit_line_id.is_none(), "an empty value is none");
    }

    #[test]
    fn an_unfilled_example_is_not_real() {
        let example = std::fs::read_to_string(crate::root().join(".env.example")).unwrap();
        assert!(!load(Some(&example)).unwrap().real);
    }

    #[test]
    fn a_missing_entry_is_named() {
        let error = error("FACEBOOK_APP_ID=5550001112223\n");
        assert!(error.contains("FACEBOOK_APP_SECRET"), "{error}");
    }

    #[test]
    fn a_credit_line_needs_its_business_and_system_user() {
        let error = error(&format!("{REAL}FACEBOOK_CREDIT_LINE_ID=1\n"));
        assert!(error.contains("FACEBOOK_SYSTEM_USER_TOKEN"), "{error}");
    }

    #[test]
    fn a_broken_line_is_not_quoted() {
        let error = error("FACEBOOK_APP_SECRET='hush");
        assert!(!error.contains("hush"), "{error}");
    }
}
