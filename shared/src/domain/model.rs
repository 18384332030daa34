//! The language models that the partner configured. Bots choose among them by name.

use std::str::FromStr;

use super::ids::ModelName;
use super::money::Usd;

/// How many models may be configured; their setting has to fit into a function's environment (4 KB).
const MOST_MODELS: usize = 20;

/// How a model is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// By OpenAI's chat completions; many others speak them too.
    OpenAi,
    /// By the Converse operation of Amazon Bedrock.
    Bedrock,
}

/// A kind of file that some models take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum FileKind {
    /// A picture.
    Image,
    /// A voice message or a sound file.
    Audio,
    /// A document, such as a PDF.
    Document,
}

impl FileKind {
    /// The kind of the files in messages of this type of Meta's.
    #[must_use]
    pub fn of(message_type: &str) -> Option<Self> {
        match message_type {
            "image" => Some(Self::Image),
            "audio" => Some(Self::Audio),
            "document" => Some(Self::Document),
            _ => None,
        }
    }
}

/// What a model costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prices {
    /// For a million tokens of the prompt.
    pub input: Usd,
    /// For a million tokens of the answer.
    pub output: Usd,
}

impl Prices {
    /// What so many tokens cost, rounded up to a millionth of a dollar.
    #[must_use]
    pub fn cost(&self, input_tokens: u64, output_tokens: u64) -> Usd {
        let of = |price: Usd, tokens: u64| u128::from(price.micros()) * u128::from(tokens);
        let total = of(self.input, input_tokens) + of(self.output, output_tokens);
        Usd::from_micros(u64::try_from(total.div_ceil(1_000_000)).unwrap_or(u64::MAX))
    }
}

/// A model of the deployment.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "Written")]
pub struct Model {
    /// What bots call it.
    pub name: ModelName,
    /// How it is asked.
    pub provider: Provider,
    /// What its provider calls it: a model's id, an inference profile, an ARN.
    pub id: String,
    /// Where it is: for [`Provider::OpenAi`] the address up to the version, as
    /// `https://models.example/v1`; for [`Provider::Bedrock`] the origin of another endpoint than the
    /// region's own.
    pub base_url: Option<String>,
    /// The region of [`Provider::Bedrock`]; `None` = the function's own.
    pub region: Option<String>,
    /// The files that it takes.
    pub takes: Vec<FileKind>,
    /// What it costs, if the partner said so.
    pub prices: Option<Prices>,
}

/// A model as it is configured.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Written {
    name: ModelName,
    provider: Provider,
    model: String,
    base_url: Option<String>,
    region: Option<String>,
    #[serde(default)]
    takes: Vec<FileKind>,
    usd_per_million_input_tokens: Option<Usd>,
    usd_per_million_output_tokens: Option<Usd>,
}

impl TryFrom<Written> for Model {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let name = written.name;
        let prices = match (written.usd_per_million_input_tokens, written.usd_per_million_output_tokens) {
            (Some(input), Some(output)) => Some(Prices { input, output }),
            (None, None) => None,
            _ => return Err(format!("{name} has one price of two")),
        };
        if written.model.is_empty() {
            return Err(format!("{name} has an empty model"));
        }
        if written.provider == Provider::OpenAi && written.base_url.is_none() {
            return Err(format!("{name} has no baseUrl"));
        }
        Ok(Self {
            name,
            provider: written.provider,
            id: written.model,
            base_url: written.base_url,
            region: written.region,
            takes: written.takes,
            prices,
        })
    }
}

/// All models of the deployment, in the partner's order. The first is the default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Models(Vec<Model>);

/// The setting is no list of models.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a list of models: {0}")]
pub struct InvalidModels(String);

impl Models {
    /// The model of this name.
    #[must_use]
    pub fn named(&self, name: &ModelName) -> Option<&Model> {
        self.0.iter().find(|model| model.name == *name)
    }

    /// The model that a bot means: of that name, or the first where it names none.
    #[must_use]
    pub fn chosen(&self, name: Option<&ModelName>) -> Option<&Model> {
        name.map_or_else(|| self.0.first(), |name| self.named(name))
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Model> {
        self.0.iter()
    }
}

/// From JSON.
impl FromStr for Models {
    type Err = InvalidModels;

    fn from_str(text: &str) -> Result<Self, InvalidModels> {
        let models: Vec<Model> = serde_json::from_str(text).map_err(|e| InvalidModels(e.to_string()))?;
        if models.len() > MOST_MODELS {
            return Err(InvalidModels(format!("there are more than {MOST_MODELS}")));
        }
        for (place, model) in models.iter().enumerate() {
            if models[..place].iter().any(|other| other.name == model.name) {
                return Err(InvalidModels(format!("{} is there twice", model.name)));
            }
        }
        Ok(Self(models))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TWO: &str = r#"[
        {"name": "fast", "provider": "openai", "baseUrl": "https://models.example/v1", "model": "m-1",
         "takes": ["image", "audio"], "usdPerMillionInputTokens": 0.15, "usdPerMillionOutputTokens": 0.6},
        {"name": "deep.2", "provider": "bedrock", "model": "example.model-v1:0", "region": "eu-central-1"}]"#;

    #[test]
    fn the_first_model_is_the_default_and_each_is_found_by_its_name() {
        let models: Models = TWO.parse().unwrap();
        let deep: ModelName = "deep.2".parse().unwrap();
        assert_eq!(models.chosen(None).unwrap().id, "m-1");
        assert_eq!(models.chosen(Some(&deep)).unwrap().region.as_deref(), Some("eu-central-1"));
        assert_eq!(models.chosen(Some(&"gone".parse().unwrap())), None);
        assert_eq!(models.iter().next().unwrap().takes, [FileKind::Image, FileKind::Audio]);
        assert_eq!(Models::default().chosen(None), None);
        assert_eq!("[]".parse::<Models>().unwrap(), Models::default());
    }

    #[test]
    fn a_price_is_per_million_tokens_and_a_part_of_a_millionth_is_a_whole_one() {
        let models: Models = TWO.parse().unwrap();
        let prices = models.chosen(None).unwrap().prices.unwrap();
        assert_eq!(prices.cost(1_000_000, 0).micros(), 150_000);
        assert_eq!(prices.cost(0, 2).micros(), 2, "1.2 millionths");
        assert_eq!(prices.cost(0, 0).micros(), 0);
    }

    #[test]
    fn a_mistake_in_the_setting_is_named() {
        let model = |more: serde_json::Value| {
            let mut model = json!({"name": "a", "provider": "bedrock", "model": "m"});
            model.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            json!([model]).to_string()
        };
        for (text, problem) in [
            ("fast".to_owned(), "line 1"),
            (model(json!({"provider": "oracle"})), "oracle"),
            (model(json!({"provider": "openai"})), "a has no baseUrl"),
            (model(json!({"usdPerMillionInputTokens": 1})), "one price of two"),
            (model(json!({"model": ""})), "empty model"),
            (model(json!({"key": "hush"})), "key"),
            (model(json!({"takes": ["video"]})), "video"),
            (model(json!({"name": "a b"})), "ModelName"),
            (TWO.replace("deep.2", "fast"), "fast is there twice"),
        ] {
            let error = text.parse::<Models>().unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
    }
}
