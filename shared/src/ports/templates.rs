//! Message templates: our records of them, and Meta's.

use serde_json::Value;

use crate::domain::Timestamp;
use crate::domain::ids::{TemplateId, TemplateName, WabaId};
use crate::domain::secret::AccessToken;
use crate::domain::template::{Shown, SyncState, Template};
use crate::error::{GraphError, StoreError};

use super::Page;

type Stored<T> = Result<T, StoreError>;

/// Reading of templates. IAM: `dynamodb:GetItem`, `Query` on templates, `Query` on its index `byName`.
pub trait ReadTemplates: Send + Sync {
    /// By key. Consistent.
    fn template(
        &self,
        waba: &WabaId,
        id: &TemplateId,
    ) -> impl Future<Output = Stored<Option<Template>>> + Send;

    /// An account's templates by id, deleted ones included, `after` excluded. Consistent.
    fn templates_on(
        &self,
        waba: &WabaId,
        after: Option<&TemplateId>,
        limit: usize,
    ) -> impl Future<Output = Stored<Page<Template>>> + Send;

    /// All languages of a name, deleted ones included. Of a moment ago.
    fn templates_named(
        &self,
        waba: &WabaId,
        name: &TemplateName,
    ) -> impl Future<Output = Stored<Vec<Template>>> + Send;
}

/// Writing of templates. IAM: `dynamodb:PutItem` on templates.
pub trait WriteTemplates: Send + Sync {
    /// Writes the template if its stored version is the one before this one's, or there is none and this is version
    /// 1; `false` if another writer was faster (nothing changed).
    fn save_template(&self, template: &Template) -> impl Future<Output = Stored<bool>> + Send;
}

/// IAM: `dynamodb:UpdateItem` on templates.
pub trait RequestTemplateSyncs: Send + Sync {
    /// Makes the account's list due at `at` if it is not due before. May be repeated.
    fn request_sync(&self, waba: &WabaId, at: Timestamp) -> impl Future<Output = Stored<()>> + Send;
}

/// Keeping whole lists true, one account by one copy at a time. IAM: `dynamodb:UpdateItem` on templates, `Query` on
/// its index `due`.
pub trait TemplateSyncs: Send + Sync {
    /// Accounts whose list was due at `now`, the longest due first. Of a moment ago.
    fn due_syncs(&self, now: Timestamp, limit: usize) -> impl Future<Output = Stored<Vec<WabaId>>> + Send;

    /// Claims the account's list until `until`, and makes it due then, in case the process dies; how far it has come.
    /// `None` if another copy has it at `now`. An account that is not known yet becomes so.
    fn claim_sync(
        &self,
        waba: &WabaId,
        now: Timestamp,
        until: Timestamp,
    ) -> impl Future<Output = Stored<Option<SyncState>>> + Send;

    /// Writes how far it has come, gives it back and makes it due at `due_at` (`None` = when somebody asks), if the
    /// claim is still the one until `claim`; `false` if it is another's (nothing changed).
    fn save_sync(
        &self,
        waba: &WabaId,
        claim: Timestamp,
        state: &SyncState,
        due_at: Option<Timestamp>,
    ) -> impl Future<Output = Stored<bool>> + Send;
}

/// A template that Meta took for review.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatedTemplate {
    /// Its id.
    pub id: TemplateId,
    /// Where it stands: mostly `PENDING`.
    pub status: Option<String>,
    /// Its category, which Meta may have changed.
    pub category: Option<String>,
}

/// A file that shows reviewers what a media header may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SampleFile<'f> {
    /// Its name.
    pub name: &'f str,
    /// Its type, as `image/png`.
    pub mime_type: &'f str,
    /// Its bytes.
    pub bytes: &'f [u8],
}

/// Meta's templates of an account, with the client's business token. No AWS permission.
pub trait TemplateGraph: Send + Sync {
    /// Asks for a new template. After [`GraphError::Unclear`] it may be there; the same name and language again is
    /// refused.
    fn create_template(
        &self,
        waba: &WabaId,
        template: &Value,
        token: &AccessToken,
    ) -> impl Future<Output = Result<CreatedTemplate, GraphError>> + Send;

    /// One page of the account's templates in all languages, behind the cursor `after`. What Meta shows without an id
    /// or a name is left out.
    fn templates(
        &self,
        waba: &WabaId,
        after: Option<&str>,
        token: &AccessToken,
    ) -> impl Future<Output = Result<Page<Shown>, GraphError>> + Send;

    /// Replaces what `changes` names; components as a whole. Meta reviews it again.
    fn edit_template(
        &self,
        id: &TemplateId,
        changes: &Value,
        token: &AccessToken,
    ) -> impl Future<Output = Result<(), GraphError>> + Send;

    /// Deletes one language, or all languages of the name.
    fn delete_template(
        &self,
        waba: &WabaId,
        name: &TemplateName,
        only: Option<&TemplateId>,
        token: &AccessToken,
    ) -> impl Future<Output = Result<(), GraphError>> + Send;

    /// Ends a pause for low quality.
    fn unpause_template(
        &self,
        id: &TemplateId,
        token: &AccessToken,
    ) -> impl Future<Output = Result<(), GraphError>> + Send;

    /// Uploads a sample to our app; the handle that a new template's `example.header_handle` takes. May be repeated.
    fn upload_sample(
        &self,
        file: SampleFile<'_>,
        token: &AccessToken,
    ) -> impl Future<Output = Result<String, GraphError>> + Send;
}
