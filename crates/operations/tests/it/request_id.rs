//! Ids of requests.

use alkhub_operations::{RequestId, RequestIdError};

#[test]
fn ids_are_visible_ascii() {
    for good in ["1", "a-b:c", &"x".repeat(128)] {
        assert_eq!(RequestId::new(good).unwrap().as_str(), good);
    }
    for bad in ["", "a b", "ü", "a\n", &"x".repeat(129)] {
        assert_eq!(
            RequestId::new(bad),
            Err(RequestIdError::RequestId),
            "{bad:?}"
        );
        assert!(serde_json::from_value::<RequestId>(bad.into()).is_err());
    }
}

#[test]
fn a_uuid_stands_for_itself_and_others_are_hashed_with_the_account() {
    let random = RequestId::random();
    assert_eq!(random.to_uuid("ada").to_string(), random.as_str());
    let counted = RequestId::new("1").unwrap();
    assert_eq!(counted.to_uuid("ada"), counted.to_uuid("ada"));
    assert_ne!(counted.to_uuid("ada"), counted.to_uuid("bob"));
    assert_eq!(counted.to_uuid("ada").get_version_num(), 5);
}

#[test]
fn an_idempotency_key_is_one_id_an_account() {
    let key = |account, key| RequestId::from_idempotency_key(account, key);
    assert_eq!(
        key("ada", "order-0001").unwrap(),
        key("ada", "order-0001").unwrap()
    );
    assert_ne!(
        key("ada", "order-0001").unwrap(),
        key("bob", "order-0001").unwrap()
    );
    assert_ne!(
        key("ada", "order-0001").unwrap().as_str(),
        RequestId::new("order-0001")
            .unwrap()
            .to_uuid("ada")
            .to_string(),
        "a key and an id of the same text are two things"
    );
    for bad in ["short", "with space", &"x".repeat(129)] {
        assert_eq!(key("ada", bad), Err(RequestIdError::IdempotencyKey));
    }
}
