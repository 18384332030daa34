use super::{Ids, Must, at};
use crate::domain::grant::Grant;
use crate::domain::ids::GrantId;
use crate::domain::seal::Sealed;
use crate::ports::{MarkGrants, ReadGrants, WriteGrants};

/// [`ReadGrants`], [`WriteGrants`] and [`MarkGrants`].
pub async fn grants(store: &(impl ReadGrants + WriteGrants + MarkGrants), unique: &str) {
    let ids = Ids::new("grants", unique);
    let first = Grant {
        id: GrantId::new(&ids.bot(1), &ids.business(1)),
        bot_id: ids.bot(1),
        business_id: ids.business(1),
        token: Some(Sealed::new(vec![1, 2, 3])),
        token_version: 1,
        dead_since: None,
        token_expires_at: Some(at(5_000_000)),
        scopes: vec!["whatsapp_business_management".to_owned(), "whatsapp_business_messaging".to_owned()],
        waba_ids: vec![ids.waba(2), ids.waba(1)],
        allocation_id: None,
        currency: None,
        created_at: at(0),
        updated_at: at(0),
    };
    let second = Grant {
        token: Some(Sealed::new(vec![4, 5, 6])),
        token_version: 2,
        token_expires_at: None,
        scopes: Vec::new(),
        allocation_id: Some(ids.number(7)),
        currency: Some("USD".to_owned()),
        updated_at: at(60),
        ..first.clone()
    };
    assert_eq!(store.grant(&first.id).await.must(), None);
    assert!(!store.save_grant(&second, Some(1)).await.must(), "there is none to replace");
    assert_eq!(store.grant(&first.id).await.must(), None);

    let (a, b) = tokio::join!(store.save_grant(&first, None), store.save_grant(&second, None));
    assert_eq!([a.must(), b.must()].map(usize::from).iter().sum::<usize>(), 1, "one of two writers wins");
    let third =
        Grant { id: GrantId::new(&ids.bot(2), &ids.business(1)), bot_id: ids.bot(2), ..first.clone() };
    assert!(store.save_grant(&third, None).await.must(), "another bot's grant is another one");
    assert!(!store.save_grant(&third, None).await.must(), "it is there already");
    assert_eq!(store.grant(&third.id).await.must(), Some(third.clone()));

    let renewed = Grant { id: third.id.clone(), bot_id: ids.bot(2), ..second };
    assert!(store.save_grant(&renewed, Some(1)).await.must());
    assert_eq!(store.grant(&third.id).await.must(), Some(renewed.clone()));
    assert!(!store.save_grant(&third, Some(1)).await.must(), "another writer was faster");
    assert_eq!(store.grant(&third.id).await.must(), Some(renewed.clone()));
    let same_version = Grant { token: None, currency: Some("EUR".to_owned()), ..renewed };
    assert!(store.save_grant(&same_version, Some(2)).await.must(), "without a token the ids are kept");
    assert_eq!(store.grant(&third.id).await.must(), Some(same_version.clone()));

    assert!(!store.mark_dead(&third.id, 1, at(70)).await.must(), "another token's death");
    assert_eq!(store.grant(&third.id).await.must(), Some(same_version.clone()));
    let dead = Grant { dead_since: Some(at(70)), ..same_version };
    for again in [70, 80] {
        assert!(store.mark_dead(&third.id, 2, at(again)).await.must());
        assert_eq!(store.grant(&third.id).await.must(), Some(dead.clone()), "the first time stays");
    }
    let unknown = GrantId::new(&ids.bot(3), &ids.business(1));
    assert!(!store.mark_dead(&unknown, 1, at(70)).await.must());
    assert_eq!(store.grant(&unknown).await.must(), None, "an unknown grant stays unknown");
    let revived = Grant { token_version: 3, dead_since: None, ..dead };
    assert!(store.save_grant(&revived, Some(2)).await.must());
    assert_eq!(store.grant(&third.id).await.must(), Some(revived), "a new token begins alive");
}
