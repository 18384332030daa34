//! Message templates: what is told of them is kept, and each account's whole list is read again and again, because
//! events can be lost and templates vanish without one.

mod sync;
#[cfg(test)]
mod tests;

use crate::domain::Timestamp;
use crate::domain::ids::{TemplateId, TemplateName, WabaId};
use crate::domain::template::{Fact, Source, Template};
use crate::error::StoreError;
use crate::ports::{ReadTemplates, WriteTemplates};

pub use sync::{Records, Synced, Syncing};

/// How often a template is read again that others write at the same time.
const TRIES: usize = 5;

/// Something that was told of a template.
#[derive(Debug, Clone)]
pub struct Told<'t> {
    /// Its account.
    pub waba: &'t WabaId,
    /// Its id.
    pub id: &'t TemplateId,
    /// Its name, should it be new.
    pub name: &'t TemplateName,
    /// Its language, should it be new.
    pub language: &'t str,
    /// When it was so.
    pub at: Timestamp,
    /// What, and how it is known.
    pub facts: &'t [(Source, Fact)],
}

/// Takes over what is news; an unknown template becomes known. Answers the template as it then stands. May be
/// repeated.
///
/// # Errors
/// [`StoreError`].
pub async fn note(
    store: &(impl ReadTemplates + WriteTemplates), // dynamodb:GetItem, PutItem on templates
    told: &Told<'_>,
    now: Timestamp,
) -> Result<Template, StoreError> {
    for _ in 0..TRIES {
        let known = store.template(told.waba, told.id).await?;
        let new = || Template::named(told.waba, told.id, told.name, told.language, now);
        let template = known.unwrap_or_else(new);
        let Some(changed) = changed(&template, told.at, told.facts, now) else { return Ok(template) };
        if store.save_template(&changed).await? {
            return Ok(changed);
        }
    }
    Err(StoreError::service("a template's record", "others keep writing it"))
}

/// The template with what is news of it, as its next version; `None` if nothing is, and it was written before.
fn changed(known: &Template, at: Timestamp, facts: &[(Source, Fact)], now: Timestamp) -> Option<Template> {
    let mut template = known.clone();
    // All of them: each is of an aspect of its own.
    let news = facts.iter().filter(|(source, fact)| template.note(fact, *source, at)).count();
    (news > 0 || known.version == 0).then(|| Template {
        version: known.version + 1,
        updated_at: now,
        ..template
    })
}
