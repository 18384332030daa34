use super::{Ids, Must, at};
use crate::domain::grant::Grant;
use crate::domain::ids::GrantId;
use crate::domain::seal::Sealed;
use crate::domain::token_care::{Care, Previous};
use crate::ports::{CareGrants, MarkGrants, ReadGrants, WriteGrants};

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
        previous: None,
        care_at: None,
        care: Care::default(),
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
    let allocation = "716163138563199".parse().expect("an id");
    assert!(!store.note_allocation(&unknown, &allocation, "EUR", at(90)).await.must());
    assert_eq!(store.grant(&unknown).await.must(), None, "an unknown grant stays unknown");
    assert!(store.note_allocation(&third.id, &allocation, "INR", at(90)).await.must());
    let dead = Grant {
        allocation_id: Some(allocation),
        currency: Some("INR".to_owned()),
        updated_at: at(90),
        ..dead
    };
    assert_eq!(store.grant(&third.id).await.must(), Some(dead.clone()), "nothing else changed");
    let revived = Grant { token_version: 3, dead_since: None, ..dead };
    assert!(store.save_grant(&revived, Some(2)).await.must());
    assert_eq!(store.grant(&third.id).await.must(), Some(revived), "a new token begins alive");
}

/// [`CareGrants`]: what is due is found, and nothing else; one copy has it, and its write changes what it may.
pub async fn due_care<S: ReadGrants + WriteGrants + MarkGrants + CareGrants>(store: &S, unique: &str) {
    let ids = Ids::new("care", unique);
    let mine = |found: Vec<GrantId>| -> Vec<GrantId> {
        found.into_iter().filter(|id| (1..=4).any(|n| id.as_ref().starts_with(ids.bot(n).as_ref()))).collect()
    };
    let grant = |bot: u32, care_at| Grant {
        id: GrantId::new(&ids.bot(bot), &ids.business(1)),
        bot_id: ids.bot(bot),
        business_id: ids.business(1),
        token: Some(Sealed::new(vec![1, 2, 3])),
        token_version: 1,
        dead_since: None,
        token_expires_at: Some(at(5_000_000)),
        previous: None,
        care_at,
        care: Care::default(),
        scopes: Vec::new(),
        waba_ids: vec![ids.waba(1)],
        allocation_id: Some(ids.number(7)),
        currency: Some("USD".to_owned()),
        created_at: at(0),
        updated_at: at(0),
    };
    let (first, second) = (grant(1, Some(at(20))), grant(2, Some(at(10))));
    for grant in [&first, &second, &grant(3, Some(at(31))), &grant(4, None)] {
        assert!(store.save_grant(grant, None).await.must());
    }
    let both = [second.id.clone(), first.id.clone()];
    assert_eq!(mine(store.due_care(at(30), 1000).await.must()), both, "the longest due first");
    assert!(store.due_care(at(30), 1).await.must().len() <= 1);

    let id = &first.id;
    let (a, b) = tokio::join!(store.claim_care(id, at(30), at(130)), store.claim_care(id, at(30), at(131)));
    let claims: Vec<Grant> = [a.must(), b.must()].into_iter().flatten().collect();
    let [claimed] = &claims[..] else { panic!("one of two copies has it: {claims:?}") };
    let claim = claimed.care_at.expect("the claim's end");
    assert_eq!(*claimed, Grant { care_at: Some(claim), ..first.clone() });
    assert_eq!(mine(store.due_care(at(30), 1000).await.must()), std::slice::from_ref(&second.id));
    for nobody in [GrantId::new(&ids.bot(9), &ids.business(1)), grant(4, None).id, grant(3, None).id] {
        assert_eq!(store.claim_care(&nobody, at(30), at(130)).await.must(), None);
    }

    // Looking, without a new token: a death that others note meanwhile stays.
    let care = Care { looked_at: Some(at(30)), told_days: Some(14), refused_at: Some(at(29)), failures: 3 };
    let looked = Grant {
        care,
        scopes: vec!["whatsapp_business_messaging".to_owned()],
        waba_ids: vec![ids.waba(2)],
        token_expires_at: None,
        care_at: Some(at(50)),
        updated_at: at(30),
        ..claimed.clone()
    };
    assert!(!store.save_care(&looked, 1, at(129)).await.must(), "another's claim");
    assert!(!store.save_care(&looked, 2, claim).await.must(), "another's token");
    assert!(store.mark_dead(id, 1, at(40)).await.must());
    let blind = Grant { allocation_id: None, currency: None, ..looked.clone() };
    assert!(store.save_care(&blind, 1, claim).await.must());
    let stored = Grant { dead_since: Some(at(40)), ..looked };
    assert_eq!(store.grant(id).await.must(), Some(stored.clone()), "credit and death stay");
    assert!(!store.save_care(&blind, 1, claim).await.must(), "the claim is over");

    // Somebody else wants it looked at sooner.
    for (version, time) in [(2, at(45)), (1, at(50)), (1, at(51))] {
        assert!(!store.hasten_care(id, version, time).await.must(), "another's token, or no sooner");
        assert_eq!(store.grant(id).await.must(), Some(stored.clone()));
    }
    for nobody in [GrantId::new(&ids.bot(9), &ids.business(1)), grant(4, None).id] {
        let before = store.grant(&nobody).await.must();
        assert!(!store.hasten_care(&nobody, 1, at(45)).await.must());
        assert_eq!(store.grant(&nobody).await.must(), before, "nobody looks after it as before");
    }
    assert_eq!(store.claim_care(id, at(44), at(144)).await.must(), None, "not due yet");
    let claimed = store.claim_care(id, at(50), at(149)).await.must().expect("due");
    assert!(store.hasten_care(id, 1, at(45)).await.must());
    let sooner = Grant { care_at: Some(at(45)), ..stored };
    assert_eq!(store.grant(id).await.must(), Some(sooner), "nothing else changed");
    assert!(!store.save_care(&claimed, 1, at(149)).await.must(), "whoever had it begins anew");

    // A new token begins alive, beside the one before.
    assert_eq!(store.claim_care(id, at(44), at(150)).await.must(), None, "not due yet");
    let claimed = store.claim_care(id, at(45), at(150)).await.must().expect("due");
    let renewed = Grant {
        previous: Some(Previous { token: Sealed::new(vec![1, 2, 3]), expires_at: Some(at(5_000_000)) }),
        token: Some(Sealed::new(vec![4, 5, 6])),
        token_version: 2,
        token_expires_at: Some(at(9_000_000)),
        care: Care::default(),
        care_at: Some(at(60)),
        ..claimed
    };
    assert!(store.save_care(&renewed, 1, at(150)).await.must());
    assert_eq!(store.grant(id).await.must(), Some(Grant { dead_since: None, ..renewed.clone() }));
    assert!(!store.save_care(&renewed, 1, at(150)).await.must(), "another token is there by now");

    // Nobody looks any more.
    let claimed = store.claim_care(id, at(60), at(160)).await.must().expect("due");
    let left = Grant { previous: None, care_at: None, ..claimed };
    assert!(store.save_care(&left, 2, at(160)).await.must());
    assert_eq!(store.grant(id).await.must(), Some(left));
    assert!(!mine(store.due_care(at(9_000_000), 1000).await.must()).contains(id));
}
