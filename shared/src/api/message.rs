//! The body of send-message, for the description. It is read by [`Draft`](crate::domain::draft::Draft), whose limits
//! are written as checks; what stands here is tried against it by the tests.
#![expect(dead_code, reason = "only described")]

use schemars::JsonSchema;
use serde_json::{Map, Value};

use crate::domain::bot::LONGEST_TEXT;
use crate::domain::ids::{BotId, Bsuid, PhoneNumberId};

/// A message to be sent: the Cloud API's message object, and from which client. Give `to` or `recipient`.
#[derive(JsonSchema)]
#[schemars(extend("anyOf" = [
    {"required": ["to"], "properties": {"to": {"type": "string"}}},
    {"required": ["recipient"], "properties": {"recipient": {"type": "string"}}},
]))]
pub(super) struct SendRequest {
    /// The bot that sends.
    #[schemars(rename = "botId")]
    bot_id: BotId,
    /// The number to send from; needed if the bot has several.
    #[schemars(rename = "phoneNumberId")]
    phone_number_id: Option<PhoneNumberId>,
    /// The customer's phone number with country code, 7 to 15 digits, with or without `+`; for a group the group's id.
    #[schemars(extend("examples" = ["15550100001"]))]
    to: Option<String>,
    /// The customer's business-scoped user id, where there is no phone number.
    recipient: Option<Bsuid>,
    /// Needed for a group.
    recipient_type: Option<RecipientType>,
    /// The message that this one quotes.
    context: Option<QuoteContext>,
    /// Comes back in `statuses` webhooks of other software; kept with the message.
    #[schemars(length(max = 475))]
    biz_opaque_callback_data: Option<String>,
    /// Meta sends only if the customer's identity is still this one.
    recipient_identity_key_hash: Option<String>,
    #[schemars(flatten)]
    content: MessageContent,
}

/// Whom it goes to.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum RecipientType {
    Individual,
    Group,
}

/// What is quoted.
#[derive(JsonSchema)]
struct QuoteContext {
    #[schemars(length(min = 1, max = 1000))]
    message_id: String,
}

/// `type`, and the object of that name.
#[derive(JsonSchema)]
#[schemars(tag = "type", rename_all = "snake_case")]
enum MessageContent {
    /// A text.
    Text { text: TextContent },
    /// A picture.
    Image { image: PictureContent },
    /// A film.
    Video { video: PictureContent },
    /// A sound, or a voice message.
    Audio { audio: AudioContent },
    /// A document.
    Document { document: DocumentContent },
    /// A sticker.
    Sticker { sticker: FileContent },
    /// A place.
    Location { location: LocationContent },
    /// Contact cards.
    Contacts {
        #[schemars(length(min = 1, max = 257))]
        contacts: Vec<ContactCard>,
    },
    /// A reaction to a message.
    Reaction {
        reaction: ReactionContent,
        /// Must not be there: a reaction names its message itself.
        context: Option<()>,
    },
    /// A template: the only type outside the customer service window.
    Template { template: TemplateContent },
    /// Buttons, lists, products, Flows and more.
    Interactive { interactive: InteractiveContent },
}

/// A text.
#[derive(JsonSchema)]
struct TextContent {
    #[schemars(length(min = 1, max = LONGEST_TEXT))]
    body: String,
    /// Whether the first address in it is shown as a card.
    preview_url: Option<bool>,
}

/// An uploaded file, or an address at which Meta fetches it: one of the two.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum FileContent {
    Uploaded {
        /// Meta's id of the file.
        #[schemars(length(min = 1, max = 4096))]
        id: String,
    },
    Linked {
        /// Where Meta fetches it.
        #[schemars(with = "Link")]
        link: String,
    },
}

/// An address of the web.
#[derive(JsonSchema)]
#[schemars(transparent, extend("pattern" = r"^https?://[A-Za-z0-9.-]{1,200}(:[0-9]{1,5})?(/[!-~]{0,1700})?$"))]
struct Link(String);

#[derive(JsonSchema)]
struct PictureContent {
    #[schemars(flatten)]
    file: FileContent,
    #[schemars(length(max = 1024))]
    caption: Option<String>,
}

#[derive(JsonSchema)]
struct DocumentContent {
    #[schemars(flatten)]
    file: FileContent,
    #[schemars(length(max = 1024))]
    caption: Option<String>,
    #[schemars(length(max = 4096))]
    filename: Option<String>,
}

#[derive(JsonSchema)]
struct AudioContent {
    #[schemars(flatten)]
    file: FileContent,
    /// Whether it is shown as a voice message.
    voice: Option<bool>,
}

#[derive(JsonSchema)]
struct LocationContent {
    #[schemars(range(min = -90.0, max = 90.0))]
    latitude: f64,
    #[schemars(range(min = -180.0, max = 180.0))]
    longitude: f64,
    #[schemars(length(max = 4096))]
    name: Option<String>,
    #[schemars(length(max = 4096))]
    address: Option<String>,
}

/// A contact card; further members as at Meta.
#[derive(JsonSchema)]
struct ContactCard {
    name: ContactCardName,
}

#[derive(JsonSchema)]
struct ContactCardName {
    #[schemars(length(min = 1, max = 4096))]
    formatted_name: String,
}

#[derive(JsonSchema)]
struct ReactionContent {
    #[schemars(length(min = 1, max = 1000))]
    message_id: String,
    /// One emoji; empty to take the reaction back.
    #[schemars(extend("examples" = ["👍", ""]))]
    emoji: String,
}

#[derive(JsonSchema)]
struct TemplateContent {
    #[schemars(extend("pattern" = "^[a-z0-9_]{1,512}$"))]
    name: String,
    language: TemplateLanguage,
    /// The values for its parameters, in Meta's form.
    #[schemars(length(max = 50))]
    components: Option<Vec<FilledComponent>>,
}

#[derive(JsonSchema)]
struct TemplateLanguage {
    /// Meta's code, as `en_US`.
    #[schemars(length(min = 2, max = 20))]
    code: String,
}

#[derive(JsonSchema)]
struct FilledComponent {
    /// `header`, `body`, `button`, `carousel`, or what Meta adds.
    r#type: String,
    /// The values, in order or named.
    parameters: Option<Vec<Map<String, Value>>>,
}

/// An interactive message, in Meta's form. What `header`, `body`, `footer` and `action` may hold depends on `type`.
#[derive(JsonSchema)]
struct InteractiveContent {
    /// `button`, `list`, `cta_url`, `flow`, `location_request_message`, `address_message`, `contact_request`, `product`,
    /// `product_list`, `catalog_message`, `carousel`, `call_permission_request`, `voice_call`, `order_details`,
    /// `order_status`, or what Meta adds.
    #[schemars(length(min = 1, max = 64))]
    r#type: String,
    header: Option<Map<String, Value>>,
    body: Option<InteractiveText>,
    footer: Option<InteractiveText>,
    action: Option<Map<String, Value>>,
}

#[derive(JsonSchema)]
struct InteractiveText {
    text: String,
}
